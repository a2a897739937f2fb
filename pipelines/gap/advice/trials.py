"""Trying changes for real: scenes with and without them are rendered, the detector is trained on for the same steps on
each, with the same seeds, and both are measured on photos of the pool that it never saw.

Scenes and runs lie in a folder beside the report, named after what they are made of, so a stopped trial continues.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hybrid.core.errors import DataError, RunError
from hybrid.core.progress import Progress, count_in, silent
from hybrid.data.clips import ClipSource
from hybrid.weights.record import RUN
from pipelines.common.data import data_hash, note, split_to_measure
from pipelines.common.record import weights_hash
from pipelines.gap.advice.advise import Advice
from pipelines.gap.advice.preset import Rendered, layered, preset_text
from pipelines.gap.advice.rounds import Answer, answer_of, candidates, checked, effects, rounds
from pipelines.gap.advice.trial_progress import TrialProgress, measuring
from pipelines.gap.advice.widening import Change
from pipelines.gap.finished import FinishedRun, open_run
from pipelines.gap.ledger import count_reading, read_ledger
from pipelines.gap.measure import measure
from pipelines.gap.schema.sections import Knob
from pipelines.gap.stats.grouping import PhotoSessions
from pipelines.gap.stats.interval import LEAST_SESSIONS
from pipelines.gap.stats.resampled import DRAWS, resampled
from simgen.dataset.store.files import write_atomically
from simgen.spec.text.lines import VARIABLE as LINES_VARIABLE
from simgen.spec.text.printable import printable

if TYPE_CHECKING:
    from pipelines.gap.sections.pool import Pool

MOST_ASKS = 10  # of the pool, in all
SEEDS = (0, 1, 2)
SCENE_SEED = 1018  # another one than that of the set that the detector was trained on
OTHER_SCENES = 1019  # of the change that is none
HELD_OUT = "0.05"
LAST_LINES = 8
CHILD_TELLS_S = "2"


@dataclass(frozen=True)
class TrialWishes:
    """What is to be tried, and where."""

    most: int  # changes to try; 0: none
    scenes: int
    steps: int
    folder: Path
    cache: Path
    preset_folder: Path
    made: str
    progress: TrialProgress


@dataclass(frozen=True)
class TriedOut:
    """The advice after the trials, and their rows in the report."""

    advice: Advice
    effects: tuple[Knob, ...] = ()


Command = Callable[[Sequence[str | Path], Progress], None]  # runs Python with these words


def try_out(
    advised: Advice, run: FinishedRun, pool: Pool | None, wishes: TrialWishes, command: Command | None = None
) -> TriedOut:
    """Try the advised changes; only those that help stay in the preset.

    Raises:
        DataError: nothing can be tried.
        RunError: a command failed.
    """
    wishes.progress.at_most(_sets(wishes.most, advised.changes))
    if not wishes.most or not advised.changes:
        if wishes.most:
            note(advised.left_out or "--iterate: no figure of the report asks for a wider range, so nothing is tried")
        return TriedOut(advised)
    part = None if pool is None else pool.unseen(run)
    if pool is None or part is None or part[1].count < LEAST_SESSIONS or advised.rendered is None:
        needed = f"labelled photos in {LEAST_SESSIONS} sessions that {run.folder.name} was not trained on"
        raise DataError(f"--iterate: needs --look with {needed}")
    trial = _Trial(advised.rendered, run, pool, *part, wishes, command or run_python)
    tried = checked(rounds(advised.changes, wishes.most, trial.ask), trial.ask_nothing)
    wishes.progress.at_most(0)
    text = preset_text(advised.rendered, tried.kept, wishes.preset_folder, wishes.made)
    rows = effects(tried, wishes.steps, wishes.scenes)
    return TriedOut(replace(advised, changes=tried.kept, preset=text), rows)


def _sets(most: int, changes: Sequence[Change]) -> int:
    """Sets of scenes, at most: one for each candidate, one without a change, and other ones without."""
    tried = min(most, len(candidates(changes)))
    return tried + 2 if tried else 0


@dataclass(frozen=True)
class _Trial:
    rendered: Rendered
    run: FinishedRun
    pool: Pool
    source: ClipSource  # of the pool: what the run never saw
    sessions: PhotoSessions
    wishes: TrialWishes
    command: Command
    known: dict[str, list[FinishedRun]] = field(default_factory=dict)  # the runs of each set of scenes

    def ask(self, kept: tuple[Change, ...], candidate: tuple[Change, ...]) -> Answer | None:
        """What a candidate wins on top of what is kept; None where the pool was asked too often."""
        if self.asked_too_often():
            return None
        return self.difference(self.trained(kept), self.trained((*kept, *candidate)))

    def ask_nothing(self) -> Answer | None:
        """What a change that is none wins: other scenes of the same preset."""
        if self.asked_too_often():
            return None
        return self.difference(self.trained(()), self.trained((), OTHER_SCENES))

    def asked_too_often(self) -> bool:
        if len(read_ledger(self.pool.location, "asks").lines) < MOST_ASKS:
            return False
        note(f"--iterate: the pool was asked {MOST_ASKS} times: by now chance would win; label other photos")
        return True

    def difference(self, before: Sequence[FinishedRun], after: Sequence[FinishedRun]) -> Answer:
        """What the second runs have more than the first, on the pool; the question is counted."""
        named = [(one.folder.parent.name, weights_hash(one.folder)) for one in (*before, *after)]
        of_pool = data_hash(self.pool.location, split_to_measure(self.pool.location))
        count_reading(self.pool.location, of_pool, named, "ask", self.wishes.made, "asks")
        differences = np.array([self.ap50(b) - self.ap50(a) for a, b in zip(before, after, strict=True)])
        return answer_of(differences, self.sessions.count, len(self.sessions.of_frame))

    def ap50(self, run: FinishedRun) -> np.ndarray:
        """On the pool, for each draw of its sessions."""
        title = measuring(run.folder.parent.name, run.folder.name)
        found = measure(run, self.source, self.wishes.cache, title, self.wishes.progress.show).detections
        return resampled(found, self.source.frames, self.sessions.of_frame, DRAWS).ap50

    def trained(self, changes: tuple[Change, ...], scene_seed: int = SCENE_SEED) -> list[FinishedRun]:
        """The run, trained on scenes with these changes: one run for each seed."""
        wishes = self.wishes
        text = layered(self.rendered, changes, wishes.folder / "presets")
        about = f"{text} {wishes.scenes} {wishes.steps} {weights_hash(self.run.folder)}"
        if scene_seed != SCENE_SEED:
            about += f" {scene_seed}"
        kind = "with" if changes else "without" if scene_seed == SCENE_SEED else "other"
        name = f"{kind}-{hashlib.sha256(about.encode()).hexdigest()[:10]}"
        if name in self.known:
            return self.known[name]
        preset, own = wishes.folder / "presets" / f"{name}.yaml", wishes.folder / name
        preset.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(preset, text.encode())
        scenes, runs = own / "scenes", [own / f"seed{seed}" for seed in SEEDS]
        progress = wishes.progress
        progress.begin(name, [one.name for one in runs])
        if (scenes / "manifest.json").is_file():
            progress.rendered(name)
        else:
            words = render_words(preset, wishes.scenes, scenes, scene_seed)
            self.run_whole(words, progress.rendering(name), wishes.scenes)
        frames = self.rendered.config.timing.frames
        for seed, out in zip(SEEDS, runs, strict=True):
            words = train_words(self.run, scenes, wishes.steps, seed, out, frames)
            if (out / RUN).is_file():
                progress.trained(name, out.name)
                self.command(words, silent)  # refuses where the settings are others
            else:
                self.run_whole(words, progress.training(name, out.name), wishes.steps)
        self.known[name] = [open_run(out) for out in runs]
        return self.known[name]

    def run_whole(self, words: Sequence[str | Path], progress: Progress, size: int) -> None:
        """Run a command; whatever it told of its progress, all is done then."""
        self.command(words, progress)
        progress(size, size, {})


def render_words(preset: Path, scenes: int, out: Path, seed: int = SCENE_SEED) -> list[str | Path]:
    """Python's words that render a data set."""
    return [
        "-c", "from simgen.cli import main; main()", "render", "--preset", preset, "--scenes", str(scenes), "--seed",
        str(seed), "--out", out, "--shard-scenes", str(max(1, min(8, scenes // 4))), "--resume",
    ]  # fmt: skip


def train_words(run: FinishedRun, scenes: Path, steps: int, seed: int, out: Path, frames: int) -> list[str | Path]:
    """Python's words that train a run on; they do nothing where it has finished."""
    words: list[str | Path] = ["-m", "pipelines.train_sim", "--data", scenes, "--init", run.folder, "--out", out]
    words += ["--steps", str(steps), "--seed", str(seed), "--tile", str(run.tile_px), "--holdout", HELD_OUT]
    return words + (["--clip-length", "1"] if frames == 1 else [])


def run_python(words: Sequence[str | Path], progress: Progress = silent) -> None:
    """Run Python; `progress` is called with the counts that it prints. Its last lines are shown only where it fails.

    Raises:
        RunError: it failed.
    """
    last: deque[str] = deque(maxlen=LAST_LINES)
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", LINES_VARIABLE: CHILD_TELLS_S}
    with subprocess.Popen(
        [sys.executable, *map(str, words)], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, encoding="utf-8", errors="replace",
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for text in process.stdout:
            if text.strip():
                last.append(printable(text.strip()))
            if count := count_in(text):
                progress(count.done, count.total, {})
    if process.returncode:
        command, ended = " ".join(map(str, words[:4])), process.returncode
        raise RunError(f"--iterate: {command} ... ended with {ended}: {' | '.join(last)}")
