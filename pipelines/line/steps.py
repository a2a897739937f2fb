"""The steps of a line: which commands its folder asks for. Paths in them are relative to the folder."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines.line.contents import PRESET, RESULT, Labelled, Line, listing_sha256
from pipelines.line.running.engine import Step, Words
from pipelines.line.sizes import FINE_TUNE, PHOTOS_ALONE, PRETRAIN, Costs, Sizes

DATA, RUNS = Path(RESULT, "data"), Path(RESULT, "runs")
SIM, REPORT, ONNX = DATA / "sim", Path(RESULT, "report.html"), Path(RESULT, "detector.onnx")
SHEET, DETECTIONS = Path(RESULT, "detections.jpg"), Path(RESULT, "detections")
TITLES = {
    PRETRAIN: "pretrain on simulation",
    FINE_TUNE: "fine-tune on the photos",
    PHOTOS_ALONE: "train on the photos alone",
}
SIM_CLIPS = 20  # simulated scenes that a report measures on
SCENES_HELD_OUT = 0.05  # share
PRETRAIN_RATE, ALONE_RATE = "1e-3", "5e-4"


class Shape:
    """How a line trains: what differs between a user's line and the demo, which is small."""

    def __init__(self, line: Line, small: bool = False) -> None:
        clip_length = min(2, line.frames)
        if small:  # the detector takes stills: no frame needs its next one
            self.common: Words = ["--clip-length", "1", "--tile", "192", "--batch", "4"]
            self.pretrain: Words = []
        else:
            self.common = ["--clip-length", str(clip_length)]
            self.pretrain = ["--lr", PRETRAIN_RATE, "--holdout", str(SCENES_HELD_OUT)]
        self.renderer: Words = [] if small else ["--renderer", "auto"]


def trainings(line: Line, compare: bool) -> tuple[str, ...]:
    """The trainings of a line, in order."""
    on_photos = (FINE_TUNE, PHOTOS_ALONE) if compare else (FINE_TUNE,)
    return (PRETRAIN, *(on_photos if line.train else ()))


def chosen(names: Sequence[str]) -> str:
    """The training whose run is the line's detector. What the folder holds decides, never a test photo."""
    return FINE_TUNE if FINE_TUNE in names else PRETRAIN


def has_onnx() -> bool:
    """Whether the extra `onnx` is installed."""
    return all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime", "onnxscript"))


def rest_seconds(line: Line, costs: Costs) -> float:
    """What takes time besides rendering and training."""
    look_s = costs.look_s if line.pictures else 0.0
    return look_s + (costs.report_s if line.test else 0.0) + (costs.export_s if has_onnx() else 0.0)


def plan(line: Line, sizes: Sizes, costs: Costs, shape: Shape, compare: bool, workers: int) -> list[Step]:
    """The steps of a line, in order."""
    assert sizes.scenes is not None, "sizes are decided first"
    names = trainings(line, compare)
    steps = [render_step(line, sizes.scenes, costs, shape, workers)]
    steps += [_training(line, name, sizes.steps[name], costs, shape) for name in names]
    if line.test:
        steps.append(_report(line, line.test, names, costs))
    if has_onnx():
        steps.append(_export(line, chosen(names), costs))
    if line.unlabelled is not None and line.pictures:
        steps.append(_look(line, line.unlabelled, chosen(names), costs))
    return steps


def render_step(line: Line, scenes: int, costs: Costs, shape: Shape, workers: int) -> Step:
    """Render the line's preset."""
    command = render_command(PRESET, scenes, 0, SIM, workers)
    seconds = costs.render_start_s + scenes * costs.scene_s
    made_of = {PRESET: line.preset}
    return Step(
        "render", f"render {scenes} scenes", seconds, [*command, *shape.renderer], line.folder / SIM / "manifest.json",
        "render", made_of, size=scenes,
    )  # fmt: skip


def render_command(
    preset: str | Path, scenes: int, seed: int, out: Path, workers: int, in_shard: int | None = None
) -> Words:
    """The command that renders a data set."""
    size = shard_scenes(scenes) if in_shard is None else in_shard
    return [
        "-c", "from simgen.cli import main; main()", "render", "--preset", preset, "--scenes", str(scenes), "--seed",
        str(seed), "--out", out, "--workers", str(workers), "--shard-scenes", str(size), "--resume",
    ]  # fmt: skip


def shard_scenes(scenes: int) -> int:
    """Scenes in a shard: small enough that the workers end together, and that little is lost when one is stopped.

    It does not depend on the workers: a stopped run may go on with others.
    """
    return max(1, min(8, scenes // 16))


def _training(line: Line, name: str, steps: int, costs: Costs, shape: Shape) -> Step:
    rows = ["--steps", str(steps), "--out", RUNS / name, *shape.common]
    seconds, result = costs.train_start_s + steps * costs.step_s, line.folder / RUNS / name / "run.json"
    if name == PRETRAIN:
        command: Words = ["-m", "pipelines.train_sim", "--data", SIM, *shape.pretrain, *rows]
        title = f"{TITLES[name]}, {steps} steps"
        return Step(name, title, seconds, command, result, "train", {}, ("render",), size=steps)
    assert line.train is not None, "trainings() names it where there are photos"
    start: Words = ["--checkpoint", RUNS / PRETRAIN]
    if name == PHOTOS_ALONE:
        start = ["--checkpoint", "none", "--lr", ALONE_RATE]
    command = ["-m", "pipelines.finetune_real", *start, "--data", _inside(line, line.train.path), *rows]
    made_of: dict[str, Any] = {_shown(line, line.train.path): line.train.sha256}
    after = (PRETRAIN,) if name == FINE_TUNE else ()
    title, command = f"{TITLES[name]}, {steps} steps", [*command, *_only(line)]
    return Step(name, title, seconds, command, result, "train", made_of, after, size=steps)


def _only(line: Line) -> Words:
    """The categories to train on: those that are rendered, where the photos label others too."""
    others = line.train is not None and set(line.train.names) - set(line.categories)
    return ["--categories", *line.categories] if others else []


def measured_categories(line: Line, test: Labelled, names: Sequence[str]) -> tuple[str, ...]:
    """The categories that all the runs know and the test photos label; none where these are all that they label."""
    known = set(line.categories)
    if PHOTOS_ALONE in names and line.train is not None:
        known &= set(line.train.names)
    both = known & set(test.names)
    return () if set(test.names) == both else tuple(name for name in line.categories if name in both)


def _report(line: Line, test: Labelled, names: Sequence[str], costs: Costs) -> Step:
    only = measured_categories(line, test, names)
    runs = [RUNS / name for name in names]
    command: Words = ["-m", "pipelines.gap_report", "--sim", SIM, "--real", _inside(line, test.path), "--out", REPORT]
    command += ["--sim-clips", str(SIM_CLIPS), "--runs", *runs, *(["--categories", *only] if only else [])]
    made_of = {_shown(line, test.path): test.sha256, "runs": list(names)}
    if line.unlabelled is not None and line.pictures:  # how they look says which knobs are too narrow
        command += ["--look", _inside(line, line.unlabelled)]
        made_of["look"] = listing_sha256(line.unlabelled, line.pictures)
    return Step(
        "report", "measure and write the report", costs.report_s, command, line.folder / REPORT, "rest", made_of,
        tuple(names), costs_little=True,
    )  # fmt: skip


def _export(line: Line, run: str, costs: Costs) -> Step:
    width, height = line.size_px
    command: Words = ["-m", "hybrid", "export", "--checkpoint", RUNS / run, "--out", ONNX, "--overwrite"]
    command += ["--width", str(width), "--height", str(height)]
    made_of = {"run": run, "width_px": width, "height_px": height}
    return Step(
        "export", "export ONNX", costs.export_s, command, line.folder / ONNX, "rest", made_of, (run,), costs_little=True
    )


def _look(line: Line, folder: Path, run: str, costs: Costs) -> Step:
    command: Words = ["-m", "pipelines.line.sheet", RUNS / run, _inside(line, folder), DETECTIONS, SHEET]
    made_of = {"run": run, "photos": listing_sha256(folder, line.pictures)}
    return Step(
        "look", "detect on the photos", costs.look_s, command, line.folder / SHEET, "rest", made_of, (run,),
        costs_little=True,
    )  # fmt: skip


def _inside(line: Line, path: Path) -> Path:
    """A path as seen from the line's folder, where it lies in it."""
    return path.relative_to(line.folder) if path.is_relative_to(line.folder) else path


def _shown(line: Line, path: Path) -> str:
    return _inside(line, path).as_posix()
