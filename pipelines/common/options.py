"""What the command lines have in common: the training options, and errors of one line. Loads nothing heavy."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

_TRAINING, _MACHINE = "Training", "Machine"

Out = Annotated[Path, typer.Option(help="The run's folder; a run of the same options goes on where it was stopped.")]
Preset = Annotated[
    str,
    typer.Option(
        help="The detector: tiny (trains on two cores) or base (for a GPU); tiny-video and base-video follow objects."
    ),
]
Branches = Annotated[
    str | None,
    typer.Option(
        help="cnn, cnn+rnn, cnn+transformer or cnn+rnn+transformer (over maps and frames).",
        show_default="the preset's: cnn",
    ),
]
Steps = Annotated[int, typer.Option(help="Optimizer steps.", rich_help_panel=_TRAINING)]
Batch = Annotated[int, typer.Option(help="Clips a step.", rich_help_panel=_TRAINING)]
ClipLength = Annotated[int, typer.Option(help="Frames of a training clip; 1: stills.", rich_help_panel=_TRAINING)]
LongestStep = Annotated[
    int,
    typer.Option(
        help="A clip is every so many-th frame, drawn up to this: other frame rates.", rich_help_panel=_TRAINING
    ),
]
Model = Annotated[
    list[str] | None, typer.Option(help="KEY=VALUE of the detector's config (hybrid/config.py); more than once.")
]
Tile = Annotated[int, typer.Option(help="Side of the training tile in pixels.", rich_help_panel=_TRAINING)]
Rate = Annotated[float, typer.Option("--lr", help="Peak learning rate.", rich_help_panel=_TRAINING)]
Seed = Annotated[int, typer.Option(help="Of the first weights and of the samples.", rich_help_panel=_TRAINING)]
Holdout = Annotated[
    float, typer.Option(help="Share of clips to validate on, not to train on.", rich_help_panel=_TRAINING)
]
Threads = Annotated[int, typer.Option(help="Of torch; 0: as torch chooses.", rich_help_panel=_MACHINE)]
Workers = Annotated[int, typer.Option(help="Processes that make tiles.", rich_help_panel=_MACHINE)]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.", rich_help_panel=_MACHINE)]


def share_cores() -> None:
    """Let torch's threads sleep while they wait: where they spin, they take the cores from those who make the tiles.

    OpenMP reads this once, when torch is first imported.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@contextmanager
def one_line_errors() -> Iterator[None]:
    """A user's mistake is one line and exit status 2; ours keeps its traceback."""
    share_cores()
    try:
        yield
    except OSError as error:
        _stop(str(error))
    except Exception as error:
        told = _mistake(error)
        if told is None:
            raise
        _stop(told)


def _mistake(error: Exception) -> str | None:
    """The message for a user, or None where the mistake is ours."""
    from pydantic import ValidationError

    from hybrid.core.errors import HybridError

    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'config'}: {first['msg']}, got {first['input']!r:.60}"
    return str(error) if isinstance(error, HybridError) else None


def _stop(message: str) -> None:
    sys.stderr.write(f"error: {' '.join(message.split())}\n")
    raise SystemExit(2)
