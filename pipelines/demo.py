"""The whole job at small size: render, pretrain, fine-tune, train the same without simulation, report."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.common.options import one_line_errors

SIM_SCENES, TRAIN_SCENES, TEST_SCENES = 100, 10, 20
PRETRAIN_STEPS, TUNE_STEPS = 300, 100
SCRATCH_STEPS = PRETRAIN_STEPS + TUNE_STEPS  # as many as the pretrained one had in all
SIZE = ["--clip-length", "2", "--tile", "192", "--batch", "4"]
Command = list[str | Path]
RUNS: dict[str, tuple[str, Command]] = {
    "sim": ("pretrain on simulation", ["-m", "pipelines.train_sim"]),
    "tuned": ("fine-tune", ["-m", "pipelines.finetune_real"]),
    "scratch": ("train without simulation", ["-m", "pipelines.finetune_real", "--checkpoint", "none", "--lr", "5e-4"]),
}


@dataclass(frozen=True)
class Step:
    title: str
    expected_s: float  # on two cores; what has run so far corrects it
    command: Command
    done: Path  # exists once the step has finished


def arguments(line: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pipelines.demo", description=__doc__)
    add = parser.add_argument
    add("--out", type=Path, default=Path("out/demo"), help="folder (default: %(default)s); a second call goes on in it")
    add(
        "--real", type=Path, help="COCO JSON of photos to fine-tune on; without it: a stand-in, another simulated world"
    )
    add("--real-test", type=Path, help="COCO JSON of photos to measure on, none of them in --real")
    add("--workers", type=int, default=min(2, os.cpu_count() or 1), help="processes that render (default: %(default)s)")
    add("--quick", action="store_true", help="a few scenes and steps, to try the demo itself: its figures mean nothing")
    asked = parser.parse_args(line)
    if (asked.real is None) != (asked.real_test is None):
        parser.error("give --real and --real-test together: photos to learn from are no photos to measure on")
    return asked


def steps(asked: argparse.Namespace) -> list[Step]:
    """What there is to do; each step finds in its folder what the ones before it made."""
    out, shrink = asked.out, 25 if asked.quick else 1
    few = {
        "scenes": SIM_SCENES // shrink,
        "train": max(2, TRAIN_SCENES // shrink),
        "test": max(2, TEST_SCENES // shrink),
    }
    count = {"sim": PRETRAIN_STEPS // shrink, "tuned": TUNE_STEPS // shrink, "scratch": SCRATCH_STEPS // shrink}
    sim, photos, test = out / "data/sim", asked.real, asked.real_test
    todo = [_render("the simulated scenes", "demo", few["scenes"], 0, sim, asked.workers)]
    if photos is None:
        photos, test = out / "data/standin-train", out / "data/standin-test"
        todo.append(_render("the stand-in to fine-tune on", "standin", few["train"], 1, photos, asked.workers))
        todo.append(_render("the stand-in to measure on", "standin", few["test"], 2, test, asked.workers))
    todo += [_train(out, name, photos if name != "sim" else sim, count[name]) for name in RUNS]
    report: Command = ["-m", "pipelines.gap_report", "--sim", sim, "--real", test, "--out", out / "report.html"]
    report = [*report, "--sim-clips", "10", "--runs", *(out / "runs" / name for name in RUNS)]
    return [*todo, Step("measure and write the report", 60.0, report, out / "report.json")]


def _train(out: Path, name: str, data: Path, count: int) -> Step:
    title, more = RUNS[name]
    start: Command = ["--checkpoint", out / "runs/sim"] if name == "tuned" else []
    folder = out / "runs" / name
    command = [*more, *start, "--data", data, *SIZE, "--steps", str(count), "--out", folder]
    return Step(title, 20 + 0.5 * count, command, folder / "run.json")


def _render(what: str, preset: str, scenes: int, seed: int, folder: Path, workers: int) -> Step:
    command: Command = [
        "-c", "from simgen.cli import main; main()", "render", "--preset", preset, "--scenes", str(scenes),
        "--seed", str(seed), "--out", folder, "--workers", str(workers), "--resume",
    ]  # fmt: skip
    return Step(f"render {what}", 6 + 0.9 * scenes, command, folder / "manifest.json")


def main(line: Sequence[str] | None = None) -> None:
    asked = arguments(line)
    todo = steps(asked)
    with one_line_errors():
        for path in (asked.real, asked.real_test):
            if path is not None and not path.is_file():
                raise FileNotFoundError(f"{path}: there is no such file")
        asked.out.mkdir(parents=True, exist_ok=True)
    _carry_out(todo)
    word = "stand-in data: another simulated world, no photographs" if asked.real is None else "your photographs"
    sys.stdout.write(f"\nMeasured on {word}.\nThe report: {asked.out / 'report.html'}\n")


def _carry_out(todo: Sequence[Step]) -> None:
    spent, planned = 0.0, 0.0
    for place, step in enumerate(todo):
        head = f"[{place + 1}/{len(todo)}] {step.title}"
        if step.done.exists():
            sys.stdout.write(f"{head}: done before\n")
            continue
        left = sum(s.expected_s for s in todo[place:] if not s.done.exists())
        pace = spent / planned if planned else 1.0
        sys.stdout.write(f"{head}: about {_minutes(step.expected_s * pace)}, {_minutes(left * pace)} to the end\n")
        sys.stdout.flush()
        began = time.monotonic()
        code = subprocess.run([sys.executable, *map(str, step.command)]).returncode
        if code:
            sys.stderr.write(f"error: “{step.title}” ended with status {code}; the same command goes on from here\n")
            raise SystemExit(2)
        spent, planned = spent + time.monotonic() - began, planned + step.expected_s


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


if __name__ == "__main__":
    main()
