"""The command: check the folder, decide what fits into the time, run the steps, say what came out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.common import options

if TYPE_CHECKING:
    from pipelines.line.contents import Line
    from pipelines.line.work import Ask

RENDER_WORKERS = min(8, os.cpu_count() or 1)

EPILOG = """Examples:

  simgen new my_line --part bracket.step --empty empty.jpg --view-m 0.6     (makes the folder)

  python -m pipelines.line my_line --dry-run                                (what would be done, and how long it takes)

  python -m pipelines.line my_line --minutes 30

  python -m pipelines.line my_line --again                                  (after line.yaml, a part or labels changed)
"""
Quick = Annotated[
    bool, typer.Option("--quick", help="A few scenes and steps, to try the command itself. Its figures mean nothing.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Time a few scenes and steps, print the plan, write nothing.")]
Again = Annotated[
    bool,
    typer.Option(
        "--again",
        help="Make anew what the folder no longer fits, or what has another size. Earlier results are kept in "
        "result/earlier-N.",
    ),
]


def main(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A line's folder, with line.yaml: simgen new makes one.")
    ],
    minutes: Annotated[
        float | None,
        typer.Option(
            min=1.0,
            max=100_000.0,
            help="How long all may take: scenes and steps are fitted to it.",
            show_default="60, or as the folder was begun",
        ),
    ] = None,
    quick: Quick = False,
    dry_run: DryRun = False,
    again: Again = False,
    compare: Annotated[
        bool,
        typer.Option("--compare", help="Train on the photos alone too, with the same steps: is simulation worth it?"),
    ] = False,
    workers: options.Workers = RENDER_WORKERS,
) -> None:
    """From the folder of a line to a detector: render, pretrain, fine-tune, measure, report, export.

    What is done depends on what the folder holds. photos/train.json (COCO, or a YOLO data set in photos/): photos to
    fine-tune on. photos/test.json: photos to measure on. Pictures in photos/ or photos/unlabelled/: the detector is run
    on them. All results are in result/; a stopped run continues.
    """
    if quick and minutes is not None:
        options.stop("--quick and --minutes exclude each other")
    with options.one_line_errors():
        check_preset(folder)
        from pipelines.line.work import Ask

        ask = Ask(minutes=minutes, quick=quick, again=again, compare=compare, workers=workers)
        carry_out(folder, ask, dry_run)


def check_preset(folder: Path) -> None:
    """Check that a folder is a line's, before anything heavy is loaded.

    Raises:
        DataError: it has no preset.
    """
    from hybrid.core.errors import DataError

    if not (folder / "line.yaml").is_file():
        there = "has no line.yaml" if folder.is_dir() else "there is no such folder"
        raise DataError(f"{folder}: {there}; simgen new {folder} --part PART.step --empty EMPTY.jpg makes a line")


def carry_out(folder: Path, ask: Ask, dry_run: bool) -> None:
    """Do what was asked with a line's folder.

    Raises:
        HybridError, SimgenError, OSError: something in the folder cannot be used, or a step failed.
    """
    from pipelines.line.contents import read_line

    work_on(read_line(folder), folder, ask, dry_run)


def work_on(line: Line, given: Path, ask: Ask, dry_run: bool = False) -> None:
    """Do what was asked with a line that was read; `given` is its folder as the user wrote it.

    Raises:
        HybridError, SimgenError, OSError: earlier results do not fit, or a step failed.
    """
    from hybrid.core.errors import RunError
    from pipelines.line.work import Work
    from simgen.dataset.store.lock import held

    with held(line.folder, RunError(f"{given}: another process works in this folder; wait until it has ended")):
        try:
            work = Work.begin(line, given, ask, dry_run, typer.echo)
            lines = work.told() if dry_run else work.done()
        except KeyboardInterrupt:
            options.stop("stopped; the same command continues from here")
        for text in lines:
            typer.echo(text)


app = options.single_app(main, EPILOG)

if __name__ == "__main__":
    app()
