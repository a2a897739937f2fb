"""The command `hybrid classify`: classes of whole clips, such as ok and defective. Loads torch only when it works."""

from __future__ import annotations

import csv
import io
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybrid.core.config import LITE_BACKBONE
from hybrid.core.console import note, one_line_errors
from simgen.spec.text.printable import printable

if TYPE_CHECKING:
    from hybrid.training.methods.clip_data import ReadClips

FRAMES, SIZE_PX, STEPS, BATCH = 8, 128, 300, 8
TRAIN_EPILOG = """examples:\n\n
hybrid classify train --data clips/ --out ok-or-not.safetensors     (clips/ok/1.mp4, clips/defective/7/000.jpg, ...)\n\n
hybrid classify train --data clips/ --labels classes.csv --out ok-or-not.safetensors\n\n
hybrid classify train --data data/belt --holds washer --out washer.safetensors
"""
PREDICT_EPILOG = """example:\n\n
hybrid classify predict --checkpoint ok-or-not.safetensors --source new-clips/ --out classes.csv
"""
app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Classes of whole clips.")

Data = Annotated[
    Path,
    typer.Option(
        help="Clips: videos or folders of frames, in one folder for each class; a CSV of clip,class; or a simulated "
        "data set."
    ),
]
Labels = Annotated[Path | None, typer.Option(help="CSV of clip,class for the clips of --data.")]
Holds = Annotated[
    str | None,
    typer.Option(
        help="For a simulated data set: clips with a part of this category are one class, all others the other."
    ),
]
FramesOption = Annotated[int, typer.Option(min=1, max=256, help="Frames of a clip that are used, spread evenly.")]
Size = Annotated[int, typer.Option(min=32, max=1024, help="Side of the square that frames are scaled to, in pixels.")]
Holdout = Annotated[float, typer.Option(min=0.0, max=0.9, help="Share of the clips to measure on.")]
Backbone = Annotated[str, typer.Option(help="tiny, resnet18, ... or timm:NAME.")]
Weights = Annotated[str, typer.Option(help="Of the backbone: bundled, default (a download), none, or a file.")]
Flips = Annotated[bool, typer.Option("--flips/--no-flips", help="Mirror clips at random; not for directions.")]
Steps = Annotated[int, typer.Option(min=1, help="Optimizer steps.")]
Batch = Annotated[int, typer.Option(min=1, help="Clips per step.")]
Rate = Annotated[float, typer.Option("--lr", help="Peak learning rate.")]


@app.command(epilog=TRAIN_EPILOG)
def train(
    data: Data,
    out: Annotated[Path, typer.Option(help="The .safetensors file to write.")],
    labels: Labels = None,
    holds: Holds = None,
    kind: Annotated[
        str, typer.Option(help="cnn, cnn+rnn, cnn+transformer, cnn+rnn+transformer, or transformer.")
    ] = "cnn+rnn",
    frames: FramesOption = FRAMES,
    size: Size = SIZE_PX,
    steps: Steps = STEPS,
    batch: Batch = BATCH,
    lr: Rate = 1e-3,
    backbone: Backbone = LITE_BACKBONE,
    weights: Weights = "bundled",
    flips: Flips = True,
    holdout: Holdout = 0.2,
    seed: Annotated[int, typer.Option(help="Of the first weights, the samples and the held-out clips.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write over the file at --out.")] = False,
) -> None:
    """Train a classifier of clips, and measure it on held-out clips."""
    with one_line_errors():
        from hybrid.predict.io.outputs import check_file

        check_file(out, ".safetensors", [data, *([labels] if labels else [])], overwrite)
        read = _read(data, labels, holds, frames, size)
        from hybrid.training.methods import compare_clips

        split = compare_clips.split(read, holdout, seed)
        made, result = compare_clips.trained(
            split, kind, seed, backbone=backbone, weights=weights, progress=_progress(),
            steps=steps, batch=batch, learning_rate=lr, flips=flips,
        )  # fmt: skip
        made.save(out)
    typer.echo(f"{printable(str(out))}: {kind}, {result.parameters:,} parameters, classes {', '.join(made.classes)}")
    if result.measured:
        typer.echo(f"on {result.measured} held-out clips: accuracy {result.accuracy:.3f}, macro F1 {result.f1:.3f}")
    else:
        typer.echo("no clip was held out, so nothing was measured")


@app.command(epilog=PREDICT_EPILOG)
def predict(
    checkpoint: Annotated[Path, typer.Option(help="The file that `hybrid classify train` wrote.")],
    source: Annotated[Path, typer.Option(help="Clips, as --data of train; or one video or folder of frames.")],
    out: Annotated[Path | None, typer.Option(help="The .csv file to write.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write over the file at --out.")] = False,
) -> None:
    """Print the class and its probability for each clip, and write them as CSV."""
    with one_line_errors():
        from hybrid.predict.io.outputs import check_file
        from simgen.dataset.store.files import write_atomically

        if out is not None:
            check_file(out, ".csv", [checkpoint, source], overwrite)
        from hybrid.training.methods.classifier import VideoClassifier

        classifier = VideoClassifier.load(checkpoint)
        frames, height, _ = classifier.shape or (FRAMES, SIZE_PX, SIZE_PX)
        read = _read(source, None, None, frames, height, needs_classes=False)
        shares = classifier.predict_shares(read.clips)
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["clip", "class", "probability", *classifier.classes])
        width = max(len(printable(name)) for name in read.names)
        for name, row in zip(read.names, shares, strict=True):
            best = int(row.argmax())
            typer.echo(f"{printable(name):{width}}  {classifier.classes[best]}  {row[best]:.3f}")
            table.writerow([name, classifier.classes[best], f"{row[best]:.4f}", *(f"{share:.4f}" for share in row)])
        if out is not None:
            write_atomically(out, text.getvalue().encode())
    if out is not None:
        typer.echo(printable(f"  {out}"))


@app.command()
def compare(
    data: Data,
    labels: Labels = None,
    holds: Holds = None,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each kind, with seeds 0, 1, ...")] = 2,
    frames: FramesOption = FRAMES,
    size: Size = SIZE_PX,
    steps: Steps = STEPS,
    batch: Batch = BATCH,
    lr: Rate = 1e-3,
    backbone: Backbone = LITE_BACKBONE,
    weights: Weights = "bundled",
    flips: Flips = True,
    holdout: Holdout = 0.3,
) -> None:
    """Compare the kinds of classifiers: one table of accuracy, macro F1, time per clip and parameters.

    CNN alone, CNN + RNN, CNN + transformer, transformer alone and all, with the same clips, steps and rate.
    """
    with one_line_errors():
        read = _read(data, labels, holds, frames, size)
        from hybrid.training.methods import compare_clips

        split = compare_clips.split(read, holdout, seed=0)
        for line in compare_clips.table(
            split, seeds, backbone=backbone, weights=weights, progress=_progress(), steps=steps, batch=batch,
            learning_rate=lr, flips=flips,
        ):  # fmt: skip
            typer.echo(line)


def _read(
    data: Path, labels: Path | None, holds: str | None, frames: int, size: int, needs_classes: bool = True
) -> ReadClips:
    """The clips in memory. Notes say what was left out.

    Raises:
        DataError: no clip can be read, or classes are needed and there are not two.
    """
    from hybrid.core.errors import DataError
    from hybrid.data.clips import skipped_lines
    from hybrid.training.methods.clip_data import find_clips, read_clips

    files = find_clips(data, labels, holds)
    if needs_classes:
        counts = Counter(file.label for file in files if file.label)
        if len(counts) < 2:
            raise DataError(
                f"{data}: needs clips of two classes or more, got {dict(counts) or 'none'}: one folder for each class, "
                "or --labels FILE.csv with rows clip,class; --holds CATEGORY for a simulated data set"
            )
        unlabelled = [file.name for file in files if not file.label]
        for line in skipped_lines({"clips without a class are left out": unlabelled}):
            note(line)
        files = [file for file in files if file.label]
        note("clips of each class: " + ", ".join(f"{count} of {name}" for name, count in sorted(counts.items())))
    read = read_clips(files, frames, size)
    for line in skipped_lines(read.skipped):
        note(line)
    return read


def _progress() -> Callable[[int, int, Any], None]:
    """Says the loss some ten times in a training."""

    def say(done: int, total: int, values: Any) -> None:
        if done % max(1, total // 10) == 0:
            sys.stderr.write(f"step {done}/{total}: loss {values['loss']:.3f}\n")

    return say
