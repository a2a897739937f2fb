"""The whole job at small size: render, pretrain, fine-tune, train the same without simulation, report."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from hybrid.core.progress import minutes
from pipelines.common import options

EPILOG = """Examples:

  python -m pipelines.demo --quick                                                      (a trial of a few minutes)

  python -m pipelines.demo --real photos/train.json --real-test photos/test.json --out out/demo
"""
SIM_SCENES, TRAIN_SCENES, TEST_SCENES = 200, 30, 40  # a stand-in scene is one photo
SIM_FRAMES = 2  # of a simulated scene
PRETRAIN_STEPS, PHOTO_STEPS = 700, 200  # both detectors do the same steps on the photos
SIZE = ["--clip-length", "1", "--tile", "192", "--batch", "4"]  # the detector takes stills: no frame needs its next one
RENDER_WORKERS = min(2, os.cpu_count() or 1)
QUICK = 50  # scenes and steps are divided by it with --quick
Words = list[str | Path]
RUNS: dict[str, tuple[str, Words]] = {
    "sim": ("pretrain on simulation", ["-m", "pipelines.train_sim"]),
    "tuned": ("fine-tune on the photos", ["-m", "pipelines.finetune_real"]),
    "scratch": ("train on the photos alone", ["-m", "pipelines.finetune_real", "--checkpoint", "none", "--lr", "5e-4"]),
}
TITLES = {"sim": "simulation alone", "tuned": "simulation, then photos", "scratch": "photos alone"}
# seconds on two free cores: a process of simgen, a scene on one core, a training's process with its measuring, a step
START_S, SCENE_S, TRAIN_START_S, STEP_S, REPORT_S = 3.0, 0.5, 20.0, 0.5, 60.0
KNOWN = ("bolt", "nut", "washer")  # what the demo's preset renders
Kind = Literal["render", "train", "report"]


@dataclass(frozen=True)
class DemoStep:
    """One command of the demo."""

    title: str
    expected_s: float  # on two free cores; the steps that have run correct it
    command: Words  # what the Python interpreter is started with
    result: Path  # this file exists once the step has finished
    kind: Kind = "train"  # steps of one kind run at one pace


def main(
    out: Annotated[
        Path, typer.Option(help="Folder. A second call continues in it.", rich_help_panel=options.DATA)
    ] = Path("out/demo"),
    real: Annotated[
        Path | None,
        typer.Option(
            help="COCO JSON of photos to fine-tune on. Without it: a stand-in, another simulated world.",
            rich_help_panel=options.DATA,
        ),
    ] = None,
    real_test: Annotated[
        Path | None,
        typer.Option(help="COCO JSON of photos to measure on, none of them in --real.", rich_help_panel=options.DATA),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A few scenes and steps, to try the demo itself. Its figures mean nothing.")
    ] = False,
    workers: options.Workers = RENDER_WORKERS,
) -> None:
    """Do the whole job at small size: render, pretrain, fine-tune, train the same without simulation, report."""
    if (real is None) != (real_test is None):
        options.stop("give --real and --real-test together: photos to train on cannot be measured on")
    with options.one_line_errors():
        categories = _checked(real, real_test, out)
        out.mkdir(parents=True, exist_ok=True)
    carry_out(plan(out, real, real_test, workers, quick, categories))
    with options.one_line_errors():
        for line in conclusion(out, real is not None, quick):
            typer.echo(line)


def _checked(real: Path | None, real_test: Path | None, out: Path) -> tuple[str, ...]:
    """Check the paths, and that the photos show what the demo renders, before anything is made.

    Returns the categories to use: those that are rendered and that both label; none where that is all there are.

    Raises:
        DataError: a file is missing, or no category is one that is rendered.
        TextFileError: a file is no JSON.
    """
    from hybrid.core.errors import DataError
    from pipelines.common.paths import check_folder, check_report, data_at
    from simgen.spec.text.json_text import read_json

    listed: list[set[str]] = []
    for option, path in (("--real", real), ("--real-test", real_test)):
        if path is None or not isinstance(data_at(str(path), option), Path) or path.suffix != ".json":
            continue
        plain = read_json(path, most_bytes=2**30)
        rows = plain.get("categories") if isinstance(plain, dict) else None
        names = [row.get("name") for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        listed.append({name for name in names if isinstance(name, str)})
        if not listed[-1] & set(KNOWN):
            raise DataError(
                f"{option} {path}: has the categories {names!r:.200}, but the demo renders {list(KNOWN)}. For other "
                "parts: simgen render, then pipelines.train_sim, finetune_real and gap_report"
            )
    common = tuple(name for name in KNOWN if all(name in names for names in listed))
    if not common:
        raise DataError(f"--real and --real-test have none of {list(KNOWN)} in common")
    check_folder(out)
    check_report(out / "report.html", overwrite=False)
    return common if any(names != set(common) for names in listed) else ()


def conclusion(out: Path, own_photos: bool, quick: bool) -> list[str]:
    """A table of the runs, then what came out, what it means and the next command, from the report's figures."""
    from pipelines.gap.outcome import outcome, photos_of, read_report, table

    report = read_report(out / "report.json")
    photos = photos_of(report)
    titles = {name: words.replace("photos", photos) for name, words in TITLES.items()}
    compared = outcome(report, "tuned", "scratch")
    lines = ["", *table(report, titles), "", f"The report: {out / 'report.html'}"]
    if not own_photos:
        lines.append("Measured on stand-in data: another simulated world, no photos.")
    lines.append("")
    if compared is None:
        result, meaning = "nothing could be measured.", "the test data hold no box that a detector knows."
    else:
        result = compared.figures()
        meaning = "nothing: this was a trial of the demo itself." if quick else compared.meaning()
    return [*lines, f"Result:  {result}", f"Meaning: {meaning}", f"Next:    {_next_command(out, own_photos, quick)}"]


def _next_command(out: Path, own_photos: bool, quick: bool) -> str:
    if own_photos:
        return f"python -m hybrid predict --checkpoint {out / 'runs/tuned'} --source PHOTO.jpg --out {out / 'detected'}"
    if quick:
        return "python -m pipelines.demo"
    return "python -m pipelines.demo --real photos/train.json --real-test photos/test.json --out out/mine"


def plan(
    out: Path,
    real: Path | None = None,
    real_test: Path | None = None,
    workers: int = 1,
    quick: bool = False,
    categories: Sequence[str] = (),
) -> list[DemoStep]:
    """The steps of the demo, in order. Each one reads what earlier ones wrote into `out`."""
    divisor = QUICK if quick else 1
    train_scenes, test_scenes = max(2, TRAIN_SCENES // divisor), max(2, TEST_SCENES // divisor)
    steps = {"sim": PRETRAIN_STEPS // divisor, "tuned": PHOTO_STEPS // divisor, "scratch": PHOTO_STEPS // divisor}
    sim = out / "data/sim"
    todo = [_render("the simulated scenes", "demo", SIM_SCENES // divisor, SIM_FRAMES, 0, sim, workers)]
    if real is None or real_test is None:
        real, real_test = out / "data/standin-train", out / "data/standin-test"
        todo.append(_render("the stand-in photos to train on", "standin", train_scenes, 1, 1, real, workers))
        todo.append(_render("the stand-in photos to measure on", "standin", test_scenes, 1, 2, real_test, workers))
    only: Words = ["--categories", *categories] if categories else []
    todo += [_train(out, name, sim if name == "sim" else real, steps[name], only) for name in RUNS]
    report: Words = ["-m", "pipelines.gap_report", "--sim", sim, "--real", real_test, "--out", out / "report.html"]
    report += ["--sim-clips", "20", "--runs", *(out / "runs" / name for name in RUNS), *only]
    return [*todo, DemoStep("measure and write the report", REPORT_S, report, out / "report.html", "report")]


def _render(title: str, preset: str, scenes: int, frames: int, seed: int, folder: Path, workers: int) -> DemoStep:
    command: Words = [
        "-c", "from simgen.cli import main; main()", "render", "--preset", preset, "--set", f"timing.frames={frames}",
        "--scenes", str(scenes), "--seed", str(seed), "--out", folder, "--workers", str(workers), "--resume",
    ]  # fmt: skip
    expected_s = START_S + scenes * SCENE_S / max(1, min(workers, os.cpu_count() or 1))
    return DemoStep(f"render {title}", expected_s, command, folder / "manifest.json", "render")


def _train(out: Path, name: str, data: Path, steps: int, only: Words) -> DemoStep:
    title, script = RUNS[name]
    more: Words = ["--checkpoint", out / "runs/sim"] if name == "tuned" else []
    more += [] if name == "sim" else only
    folder = out / "runs" / name
    command: Words = [*script, *more, "--data", data, *SIZE, "--steps", str(steps), "--out", folder]
    return DemoStep(title, TRAIN_START_S + STEP_S * steps, command, folder / "run.json")


def carry_out(todo: Sequence[DemoStep]) -> None:
    """Run the steps that have no result yet, and say how long the rest will take.

    Ends the program with status 2 when a step fails.
    """
    pace = Pace()
    for number, step in enumerate(todo):
        head = f"[{number + 1}/{len(todo)}] {step.title}"
        if step.result.exists():
            typer.echo(f"{head}: already done")
            continue
        left_s = sum(pace.seconds(later) for later in todo[number:] if not later.result.exists())
        typer.echo(f"{head}: about {minutes(pace.seconds(step))}, {minutes(left_s)} to the end")
        began = time.monotonic()
        status = subprocess.run([sys.executable, *map(str, step.command)]).returncode
        if status:
            options.stop(f"“{step.title}” ended with status {status}; the same command continues from here")
        pace.add(step, time.monotonic() - began)


class Pace:
    """How long steps take here, from those that have run.

    Where no step of its kind has run, those of other kinds count if they were slow: a machine that is busy is slow at
    everything, but one that renders fast may not train fast.
    """

    def __init__(self) -> None:
        self._ran: list[tuple[DemoStep, float]] = []

    def add(self, step: DemoStep, seconds: float) -> None:
        self._ran.append((step, seconds))

    def seconds(self, step: DemoStep) -> float:
        """The time that `step` should take."""
        of_its_kind = [(one, seconds) for one, seconds in self._ran if one.kind == step.kind]
        known = of_its_kind or self._ran
        if not known:
            return step.expected_s
        ratio = sum(seconds for _, seconds in known) / sum(one.expected_s for one, _ in known)
        return step.expected_s * (ratio if of_its_kind else max(1.0, ratio))


app = options.single_app(main, EPILOG)

if __name__ == "__main__":
    app()
