"""Time a few scenes and a few steps of a line on this machine. What is made is thrown away."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from hybrid.training.run.folder import METRICS, read_metrics
from pipelines.line.contents import PRESET, Line
from pipelines.line.running.engine import Step, Words, run
from pipelines.line.sizes import Costs
from pipelines.line.steps import SIM, Shape, render_command

SCENES, STEPS, LOG_EVERY = 8, 9, 3
ABOUT_S = 60.0


def measured(line: Line, shape: Shape, workers: int, tell: Callable[[str], None]) -> Costs:
    """The costs of a line here.

    Raises:
        RunError: a scene cannot be rendered, or a step cannot be done.
    """
    folder = Path(tempfile.mkdtemp(prefix="line-"))
    costs = _measured(line, shape, workers, folder, tell)  # where it fails, the error names a log in this folder
    shutil.rmtree(folder)
    return costs


def _measured(line: Line, shape: Shape, workers: int, folder: Path, tell: Callable[[str], None]) -> Costs:
    data, trained, recipe = folder / SIM, folder / "run", folder / "trial.yaml"
    scenes = max(SCENES, 4 * workers)
    command = [*render_command(line.folder / PRESET, scenes, 0, data, workers, in_shard=1), *shape.renderer]
    render_s = _timed("rendering", command, data / "manifest.json", folder, tell)
    scene_s = seconds_a_scene([path.stat().st_mtime for path in data.glob("*.tar")], workers)
    recipe.write_text(f"log_every: {LOG_EVERY}\n")
    train: Words = ["-m", "pipelines.train_sim", "--data", data, *shape.common, *shape.pretrain, "--recipe", recipe]
    train += ["--steps", str(STEPS), "--out", trained]
    train_s = _timed("training", train, trained / "run.json", folder, tell)
    rows = [row["seconds_per_step"] for row in read_metrics(trained / METRICS)]
    step_s = statistics.median(rows[1:] or rows)
    return Costs(
        scene_s=scene_s,
        render_start_s=max(0.0, render_s - scenes * scene_s),
        step_s=step_s,
        train_start_s=max(0.0, train_s - STEPS * step_s),
    )


def _timed(what: str, command: Words, result: Path, folder: Path, tell: Callable[[str], None]) -> float:
    """How long a command takes, in seconds."""
    began_s = time.monotonic()
    run(Step(what, f"trial of {what}", 0.0, command, result), folder, folder / f"{what}.log", tell)
    return time.monotonic() - began_s


def seconds_a_scene(ends_s: list[float], workers: int) -> float:
    """The time from one scene to the next, from when each ended. Before the first ones the workers start."""
    ends_s = sorted(ends_s)
    first = min(workers, len(ends_s) - 1) - 1
    return max(1e-3, (ends_s[-1] - ends_s[first]) / (len(ends_s) - 1 - first))
