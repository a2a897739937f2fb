"""The command lines of the pipelines: shared options, option groups, errors of one line. Loads nothing heavy.

An option that several pipelines have is declared here once, as an `Annotated` type with its help and its group, so that
it has the same name and the same help everywhere. Its default stands beside it where that is the same everywhere too;
where a default depends on the task (steps, learning rate), the pipeline gives it.

An option that takes a list takes it in two ways: `--runs A B C`, and `--runs A --runs B --runs C`. Typer knows the
second way only; `Command` rewrites the first into it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand

DATA, DETECTOR, TRAINING, MACHINE = "Data", "Detector", "Training", "Machine"  # groups of options in --help

# helps of options whose type or default differs between pipelines
BATCH = "Clips per step."
CLIP_LENGTH = "Frames per training clip; 1: stills."

# data
Out = Annotated[
    Path,
    typer.Option(help="The run's folder. A stopped run of the same options is resumed there.", rich_help_panel=DATA),
]
Holdout = Annotated[
    float, typer.Option(help="Share of the clips to validate on instead of training on them.", rich_help_panel=DATA)
]

Categories = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME ...",
        help="Use boxes of these categories alone; the others are counted and left out.",
        show_default="all that the photos label",
        rich_help_panel=DATA,
    ),
]

# data and detector of a fine-tuning
Checkpoint = Annotated[
    str,
    typer.Option(
        help="A finished run to start from, or the name of released weights (fasteners); none: by --preset and "
        "--branches, for comparison.",
        rich_help_panel=DETECTOR,
    ),
]
Shots = Annotated[
    int | None,
    typer.Option(
        help="Photos to train on: the first of a shuffle. 0: with --unlabelled none, else all. A frame of a video "
        "counts as a photo.",
        show_default="all",
        rich_help_panel=DATA,
    ),
]
SHUFFLE_SEED = 0
ShuffleSeed = Annotated[int, typer.Option(help="Seed of that shuffle.", rich_help_panel=DATA)]
Unlabelled = Annotated[
    Path | None,
    typer.Option(
        help="Pictures or video without labels to adapt to: a folder or a file; labels of a data set are not read.",
        rich_help_panel=DATA,
    ),
]
Sim = Annotated[
    str | None,
    typer.Option(
        metavar="DIR|none",
        help="Simulated data set to mix in, so that nothing is forgotten: a folder or a URL; none: do not.",
        show_default="the data that --checkpoint learned from",
        rich_help_panel=DATA,
    ),
]

Sessions = Annotated[
    str | None,
    typer.Option(
        metavar="REGEX|FILE.csv",
        help="Which photos are of one session: same light, camera and place. A regular expression whose group is the "
        "session's name in the photo's, or a CSV file of lines PHOTO,SESSION. A group called level, (?P<level>...), "
        "names a level such as the distance: the report compares levels.",
        show_default="the name without its last number; gap_report looks at clips and EXIF times first",
        rich_help_panel=DATA,
    ),
]

# detector
PRESET = "lite"
Preset = Annotated[
    str,
    typer.Option(
        help="lite (ImageNet weights, trains on two cores), tiny (random weights), base (random weights, for a GPU); "
        "lite-video, tiny-video and base-video follow objects.",
        rich_help_panel=DETECTOR,
    ),
]
Branches = Annotated[
    str | None,
    typer.Option(
        "--branches",
        "--parts",
        help="For comparisons: cnn, cnn+rnn, cnn+transformer or cnn+rnn+transformer. Every preset is cnn, since the "
        "others gained too little (docs/detector.md). --parts is the option's earlier name.",
        show_default="the preset's: cnn",
        rich_help_panel=DETECTOR,
    ),
]
Model = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY=VALUE ...",
        help="Settings of the detector's config (hybrid/core/config.py).",
        rich_help_panel=DETECTOR,
    ),
]

# training
TILE_PX, SEED = 256, 0
Steps = Annotated[int, typer.Option(help="Optimizer steps.", rich_help_panel=TRAINING)]
Batch = Annotated[int, typer.Option(help=BATCH, rich_help_panel=TRAINING)]
ClipLength = Annotated[
    int | None,
    typer.Option(
        help=CLIP_LENGTH,
        show_default="1 for a detector that looks at each frame alone, else 2",
        rich_help_panel=TRAINING,
    ),
]
Tile = Annotated[int, typer.Option(help="Side of a training tile, in pixels.", rich_help_panel=TRAINING)]
LearningRate = Annotated[float, typer.Option("--lr", help="Peak learning rate.", max=1.0, rich_help_panel=TRAINING)]
BackboneRate = Annotated[
    float | None,
    typer.Option(
        help="Learning rate of the backbone, as a share of --lr; 0 freezes it.",
        show_default="0.1 where it began with pretrained weights, else 1",
        rich_help_panel=TRAINING,
    ),
]
Recipe = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|NAME",
        help="Training settings and stages from a YAML file, or head-first, cnn-first, long-clips. Options given here "
        "count more.",
        rich_help_panel=TRAINING,
    ),
]
PRECISION = "fp32"
Precision = Annotated[
    str, typer.Option(help="fp32, or bf16 (faster where the device computes in it).", rich_help_panel=TRAINING)
]
ACCUMULATE, TRUNCATE, VALIDATE_EVERY, PATIENCE = 1, 0, 0, 0
Accumulate = Annotated[
    int, typer.Option(help="Parts that each batch is computed in, to save memory.", rich_help_panel=TRAINING)
]
Truncate = Annotated[
    int,
    typer.Option(
        help="Gradients flow back through this many frames of a clip at most; 0: all.", rich_help_panel=TRAINING
    ),
]
ValidateEvery = Annotated[
    int,
    typer.Option(
        help="Measure on the held-out clips after every n steps, and keep the best weights; 0: at the end only.",
        rich_help_panel=TRAINING,
    ),
]
Patience = Annotated[
    int,
    typer.Option(help="Stop after this many measurements without a better AP; 0: never.", rich_help_panel=TRAINING),
]
FROZEN_STAGES, STAGE_DECAY = 0, 1.0
FrozenStages = Annotated[
    int,
    typer.Option(help="How many of the backbone's three stages never learn, from the first.", rich_help_panel=TRAINING),
]
StageDecay = Annotated[
    float,
    typer.Option(
        help="Learning rate of each stage of the backbone, as a share of the next stage's.", rich_help_panel=TRAINING
    ),
]
Seed = Annotated[
    int, typer.Option(help="Seed of the initial weights and of the training samples.", rich_help_panel=TRAINING)
]

LOG_TO = "files"
LogTo = Annotated[
    str,
    typer.Option(
        help="Where else the curves go: tensorboard, mlflow or wandb. The run's folder has them in any case.",
        rich_help_panel=TRAINING,
    ),
]

# machine
THREADS, WORKERS, DEVICE = 0, 1, "auto"
Threads = Annotated[int, typer.Option(help="Threads of torch; 0: torch chooses.", rich_help_panel=MACHINE)]
Workers = Annotated[
    int, typer.Option(help="Processes that prepare data: render scenes or cut tiles.", rich_help_panel=MACHINE)
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...", rich_help_panel=MACHINE)]


_STATED: ContextVar[frozenset[str]] = ContextVar("stated", default=frozenset())


class Command(TyperCommand):
    """A command whose list options take several values after one flag. It has no positional arguments."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        lists = [flag for option in self.params if getattr(option, "multiple", False) for flag in option.opts]
        rest = super().parse_args(ctx, repeat_flags(args, lists))
        sources = {name: ctx.get_parameter_source(name) for name in ctx.params}
        _STATED.set(frozenset(name for name, source in sources.items() if source and source.name == "COMMANDLINE"))
        return rest


def stated_options() -> frozenset[str]:
    """The options that the user gave on the command line, by the names of the pipeline's arguments."""
    return _STATED.get()


def repeat_flags(line: Sequence[str], flags: Collection[str]) -> list[str]:
    """`line` with each of `flags` repeated before every further value that follows it.

    `["--runs", "a", "b", "--out", "c"]` becomes `["--runs", "a", "--runs", "b", "--out", "c"]`. The values of a list
    end at the next word that begins with a dash.
    """
    repeated: list[str] = []
    flag, has_value = "", False  # the list option that the next word belongs to, and whether it has a value already
    for word in line:
        if word.startswith("-"):
            name, equals, _ = word.partition("=")
            flag, has_value = name if name in flags else "", bool(equals)
        elif flag:
            if has_value:
                repeated.append(flag)
            has_value = True
        repeated.append(word)
    return repeated


def add_command(app: typer.Typer, main: Callable[..., None], epilog: str, name: str | None = None) -> None:
    """Add a pipeline's `main` to an app."""
    app.command(name, cls=Command, epilog=epilog)(main)


def single_app(main: Callable[..., None], epilog: str) -> typer.Typer:
    """The app of one pipeline, for `python -m pipelines.NAME`."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    add_command(app, main, epilog)
    return app


def let_threads_sleep() -> None:
    """Let torch's threads sleep while they wait. Spinning threads take the cores from the processes that cut tiles.

    OpenMP reads this once, when torch is first imported.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Print an error that the user can correct as one line, and exit with status 2. A bug keeps its traceback."""
    let_threads_sleep()
    try:
        yield
    except OSError as error:
        stop(str(error))
    except Exception as error:
        message = _user_message(error)
        if message is None:
            raise
        stop(message)


def _user_message(error: Exception) -> str | None:
    """The message for the user; None where the error is a bug. Imports only what its raiser has already loaded."""
    from pydantic import ValidationError

    from hybrid.core.errors import HybridError
    from simgen.spec.errors import SimgenError

    if isinstance(error, ValidationError):
        first = error.errors()[0]
        words = first["msg"].removeprefix("Value error, ")
        return f"{'.'.join(map(str, first['loc']))}: {words}, got {first['input']!r:.60}" if first["loc"] else words
    return str(error) if isinstance(error, (HybridError, SimgenError)) else None


def stop(message: str) -> NoReturn:
    """Write `message` as one line on the error stream and exit with status 2."""
    from simgen.spec.text.printable import printable, redacted

    sys.stderr.write(f"error: {' '.join(printable(redacted(message)).split())}\n")
    raise SystemExit(2)
