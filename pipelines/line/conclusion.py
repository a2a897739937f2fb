"""What came out of a line, in three lines: result, meaning, next. All figures are read from what the steps wrote."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybrid.core.errors import RunError
from hybrid.weights.record import RUN
from pipelines.line.contents import PHOTOS, Line
from pipelines.line.sheet import LISTING
from pipelines.line.sizes import FINE_TUNE, PHOTOS_ALONE, PRETRAIN
from pipelines.line.steps import DETECTIONS, ONNX, REPORT, RUNS, SHEET, chosen
from simgen.spec.errors import TextFileError
from simgen.spec.text.json_text import parse_json, read_json, read_text

NAMES = {PRETRAIN: "simulation alone", FINE_TUNE: "simulation, then photos", PHOTOS_ALONE: "photos alone"}
ENOUGH_AP50 = 0.9
FEW_STEPS = 300  # on simulation: of two parts from CAD 61 steps reached AP50 0.33 on photos, 450 steps 0.99


@dataclass(frozen=True)
class Shown:
    """How paths are written: as the user gave the folder."""

    line: Path

    def __call__(self, path: Path) -> str:
        return (self.line / path).as_posix()


def conclusion(line: Line, given: Path, trainings: tuple[str, ...], after_trial: str | None) -> list[str]:
    """A table where something was measured, where things are, and three lines.

    Args:
        given: the line's folder as the user wrote it.
        trainings: that were done.
        after_trial: the next command, where this was a trial whose figures mean nothing.

    Raises:
        RunError: what a step wrote cannot be read.
    """
    shown = Shown(given)
    head, result, meaning, then = (
        _measured(line, shown, trainings) if line.test else _unmeasured(line, shown, chosen(trainings))
    )
    if after_trial:
        meaning, then = "nothing: this was a trial, with few scenes and steps.", after_trial
    made = [(REPORT, "report"), (SHEET, "what it finds on your photos"), (ONNX, _onnx(line))]
    there = [f"{shown(path)}: {what}" for path, what in made if (line.folder / path).is_file()]
    return [*head, "", *there, "", f"Result:  {result}", f"Meaning: {meaning}", f"Next:    {then}"]


def _onnx(line: Line) -> str:
    return "the detector as ONNX, for pictures of {} x {} px".format(*line.size_px)


def _measured(line: Line, shown: Shown, trainings: tuple[str, ...]) -> tuple[list[str], str, str, str]:
    from pipelines.gap.outcome import LEAST_AP50, ap50_of, images, outcome, photos_of, table
    from pipelines.gap.schema.report import read_report

    report = read_report(line.folder / REPORT.with_suffix(".json"))
    photos = photos_of(report)
    head = ["", *table(report, {name: words.replace("photos", photos) for name, words in NAMES.items()})]
    if line.stand_in:
        head.append("Measured on stand-in data: another simulated world, no photos.")
    detector = chosen(trainings)
    compared = outcome(report, FINE_TUNE, PHOTOS_ALONE) if PHOTOS_ALONE in trainings else None
    if compared is not None:
        return head, compared.figures(), compared.meaning(), _use(shown)
    ap50 = ap50_of(report, detector)
    if ap50 is None or ap50.value is None:
        nothing = "nothing could be measured."
        return head, nothing, f"the {photos} to measure on hold no box that the detector knows.", _use(shown)
    chance = "" if ap50.low is None else f" (95 % interval {ap50.low:.2f} to {ap50.high:.2f})"
    result = f"AP50 {ap50.value:.2f}{chance} on {images(report)} {photos} that it was not trained on."
    if ap50.value < LEAST_AP50:
        return head, result, "It has learned too little: nothing can be said.", _more(line, shown, trainings)
    if ap50.value < ENOUGH_AP50:
        return (
            head,
            result,
            "Some parts are missed, or things are taken for parts: see the report.",
            _more(line, shown, trainings),
        )
    return head, result, "It finds the parts on these photos. Others, of another day, may be harder.", _use(shown)


def _unmeasured(line: Line, shown: Shown, detector: str) -> tuple[list[str], str, str, str]:
    ap50, scenes = held_out(line.folder / RUNS / detector / RUN)
    if ap50 is None and detector != PRETRAIN:
        ap50, scenes = held_out(line.folder / RUNS / PRETRAIN / RUN)
    on_simulation = "" if ap50 is None else f" AP50 {ap50:.2f} on {scenes} simulated scenes that were held out."
    names = ", ".join(line.categories)
    result = f"a detector of {names}, from {NAMES[detector]}.{on_simulation}"
    meaning = "How good it is on your line is not known: no labelled photos to measure on."
    if not line.pictures:
        return (
            [],
            result,
            meaning,
            f"put photos of your line into {shown(Path(PHOTOS))}, and run the same command again",
        )
    looked, found = detections(line.folder / DETECTIONS / LISTING)
    meaning = f"It found {found} parts on {looked} photos. How many of them are right is not known: none is labelled."
    label = f"look at {shown(SHEET)}; then label ten photos as {shown(Path(PHOTOS, 'test.json'))} to measure it"
    return [], result, meaning, label


def _use(shown: Shown) -> str:
    return f"hybrid predict --checkpoint {shown(Path())} --source PHOTO.jpg --out found"


def _more(line: Line, shown: Shown, trainings: tuple[str, ...]) -> str:
    steps = _steps(line.folder / RUNS / PRETRAIN / RUN)
    if steps < FEW_STEPS:
        return f"python -m pipelines.line {shown(Path())} --minutes N --again, with more minutes: {steps} steps are few"
    if FINE_TUNE not in trainings:
        return f"label ten other photos as {shown(Path(PHOTOS, 'train.json'))}, and run the same command again"
    return f"python -m pipelines.line {shown(Path())} --minutes N --again, with more minutes, or label more photos"


def _steps(record: Path) -> int:
    """How many steps a run had, by its record.

    Raises:
        RunError: the record cannot be read.
    """
    try:
        return int(read_json(record)["steps"])
    except (TextFileError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{record}: cannot be read: {error}") from None


def held_out(record: Path) -> tuple[float | None, int]:
    """The AP50 on held-out clips in a run's record, and on how many frames; None where there is none.

    Raises:
        RunError: the record cannot be read.
    """
    try:
        plain = read_json(record)
    except TextFileError as error:
        raise RunError(str(error)) from None
    measured: Any = plain.get("validation") if isinstance(plain, dict) else None
    try:
        overall = measured["ema"]["overall"]
        return float(overall["ap50"]), int(measured["ema"]["frames"])
    except (KeyError, TypeError, ValueError):
        return None, 0


def detections(listing: Path) -> tuple[int, int]:
    """How many photos were looked at, and how many parts were found on them.

    Raises:
        RunError: the listing cannot be read.
    """
    try:
        rows = [parse_json(row) for row in read_text(listing).splitlines()]
        return len(rows), sum(len(row["detections"]) for row in rows)
    except (TextFileError, KeyError, TypeError) as error:
        raise RunError(f"{listing}: cannot be read: {error}; remove {listing.parent} to make it again") from None
