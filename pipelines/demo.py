"""The whole job at small size: render, pretrain, fine-tune, train the same without simulation, report."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from pipelines.common import options

EPILOG = """Examples:

  python -m pipelines.demo --quick                                                      (a trial of a few minutes)

  python -m pipelines.demo --real photos/train.json --real-test photos/test.json --out out/demo
"""
SIM_SCENES, TRAIN_SCENES, TEST_SCENES = 100, 10, 20
PRETRAIN_STEPS, TUNE_STEPS = 300, 100
SCRATCH_STEPS = PRETRAIN_STEPS + TUNE_STEPS  # as many steps in all as the pretrained run, for a fair comparison
SIZE = ["--clip-length", "2", "--tile", "192", "--batch", "4"]
RENDER_WORKERS = min(2, os.cpu_count() or 1)
QUICK = 25  # scenes and steps are divided by it with --quick
Words = list[str | Path]
RUNS: dict[str, tuple[str, Words]] = {
    "sim": ("pretrain on simulation", ["-m", "pipelines.train_sim"]),
    "tuned": ("fine-tune", ["-m", "pipelines.finetune_real"]),
    "scratch": ("train without simulation", ["-m", "pipelines.finetune_real", "--checkpoint", "none", "--lr", "5e-4"]),
}


@dataclass(frozen=True)
class DemoStep:
    """One command of the demo."""

    title: str
    expected_s: float  # on two cores; the steps that have run correct it
    command: Words  # what the Python interpreter is started with
    result: Path  # this file exists once the step has finished


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
        for path in (real, real_test):
            if path is not None and not path.is_file():
                raise FileNotFoundError(f"{path}: there is no such file")
        out.mkdir(parents=True, exist_ok=True)
    carry_out(plan(out, real, real_test, workers, quick))
    data = "stand-in data: another simulated world, no photos" if real is None else "your photos"
    typer.echo(f"\nMeasured on {data}.\nThe report: {out / 'report.html'}")


def plan(
    out: Path, real: Path | None = None, real_test: Path | None = None, workers: int = 1, quick: bool = False
) -> list[DemoStep]:
    """The steps of the demo, in order. Each one reads what earlier ones wrote into `out`."""
    divisor = QUICK if quick else 1
    train_scenes, test_scenes = max(2, TRAIN_SCENES // divisor), max(2, TEST_SCENES // divisor)
    steps = {"sim": PRETRAIN_STEPS // divisor, "tuned": TUNE_STEPS // divisor, "scratch": SCRATCH_STEPS // divisor}
    sim = out / "data/sim"
    todo = [_render("the simulated scenes", "demo", SIM_SCENES // divisor, 0, sim, workers)]
    if real is None or real_test is None:
        real, real_test = out / "data/standin-train", out / "data/standin-test"
        todo.append(_render("the stand-in to fine-tune on", "standin", train_scenes, 1, real, workers))
        todo.append(_render("the stand-in to measure on", "standin", test_scenes, 2, real_test, workers))
    todo += [_train(out, name, sim if name == "sim" else real, steps[name]) for name in RUNS]
    report: Words = ["-m", "pipelines.gap_report", "--sim", sim, "--real", real_test, "--out", out / "report.html"]
    report += ["--sim-clips", "10", "--runs", *(out / "runs" / name for name in RUNS)]
    return [*todo, DemoStep("measure and write the report", 60.0, report, out / "report.json")]


def _render(title: str, preset: str, scenes: int, seed: int, folder: Path, workers: int) -> DemoStep:
    command: Words = [
        "-c", "from simgen.cli import main; main()", "render", "--preset", preset, "--scenes", str(scenes),
        "--seed", str(seed), "--out", folder, "--workers", str(workers), "--resume",
    ]  # fmt: skip
    return DemoStep(f"render {title}", 6 + 0.9 * scenes, command, folder / "manifest.json")


def _train(out: Path, name: str, data: Path, steps: int) -> DemoStep:
    title, script = RUNS[name]
    checkpoint: Words = ["--checkpoint", out / "runs/sim"] if name == "tuned" else []
    folder = out / "runs" / name
    command: Words = [*script, *checkpoint, "--data", data, *SIZE, "--steps", str(steps), "--out", folder]
    return DemoStep(title, 20 + 0.5 * steps, command, folder / "run.json")


def carry_out(todo: Sequence[DemoStep]) -> None:
    """Run the steps that have no result yet, and say how long the rest will take.

    Ends the program with status 2 when a step fails.
    """
    spent_s, expected_s = 0.0, 0.0  # of the steps that ran here
    for number, step in enumerate(todo):
        head = f"[{number + 1}/{len(todo)}] {step.title}"
        if step.result.exists():
            typer.echo(f"{head}: already done")
            continue
        pace = spent_s / expected_s if expected_s else 1.0
        left_s = sum(later.expected_s for later in todo[number:] if not later.result.exists())
        typer.echo(f"{head}: about {_minutes(step.expected_s * pace)}, {_minutes(left_s * pace)} to the end")
        began = time.monotonic()
        status = subprocess.run([sys.executable, *map(str, step.command)]).returncode
        if status:
            options.stop(f"“{step.title}” ended with status {status}; the same command continues from here")
        spent_s, expected_s = spent_s + time.monotonic() - began, expected_s + step.expected_s


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


app = options.single_app(main, EPILOG)

if __name__ == "__main__":
    app()
