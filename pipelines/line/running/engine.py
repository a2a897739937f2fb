"""The engine: runs steps that are commands, keeps what they print, and says how long the rest will take."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pipelines
from hybrid.core.errors import RunError
from pipelines.line.running.display import Display
from simgen.spec.text.lines import VARIABLE as LINES_VARIABLE
from simgen.spec.text.printable import printable

Words = list[str | Path]
Kind = Literal["render", "train", "rest"]
RENDERED_IN_PART = 4  # exit status of `simgen render`: some scenes could not be made; they are named
CHILD_TELLS_S = "2"
ENDS_IN_S = 20.0  # after Ctrl-C
LAST_LINES = 12  # of what a step printed, shown where it ended with a fault of the program


@dataclass(frozen=True)
class Step:
    """One command of a line."""

    name: str
    title: str
    expected_s: float  # the steps that have run correct it
    command: Words  # what the Python interpreter is started with, in the line's folder
    result: Path  # this file exists once the step has finished
    kind: Kind = "rest"  # steps of one kind run at one pace
    made_of: Mapping[str, Any] = field(default_factory=dict)  # what it depends on, besides earlier steps
    after: tuple[str, ...] = ()  # steps whose results it reads
    costs_little: bool = False  # so it is simply done again where something changed
    size: int = 0  # scenes or steps


class Pace:
    """How long steps take here, from those that have run.

    Where no step of its kind has run, those of other kinds count if they were slow: a machine that is busy is slow at
    everything, but one that renders fast may not train fast.
    """

    def __init__(self) -> None:
        self._ran: list[tuple[Step, float]] = []

    def add(self, step: Step, seconds: float) -> None:
        self._ran.append((step, seconds))

    def ratio(self, kind: Kind) -> float:
        """The time that steps of a kind take, against the one that was expected."""
        of_its_kind = [(one, seconds) for one, seconds in self._ran if one.kind == kind]
        known = of_its_kind or self._ran
        if not known:
            return 1.0
        ratio = sum(seconds for _, seconds in known) / max(1e-9, sum(one.expected_s for one, _ in known))
        return ratio if of_its_kind else max(1.0, ratio)

    def seconds(self, step: Step) -> float:
        """The time that `step` should take."""
        return step.expected_s * self.ratio(step.kind)


Plan = Callable[[Pace], Sequence[Step]]


def carry_out(
    plan: Plan,
    done: Callable[[Step], bool],
    began: Callable[[Step], bool],
    ended: Callable[[Step, float], None],
    folder: Path,
    logs: Path,
) -> None:
    """Run the steps that have no result yet, one after the other. After each the rest is planned anew.

    Args:
        plan: the steps in order, by the pace so far.
        done: whether a step's result is there.
        began: called before a step; whether it begins at its start, so that its time counts for the pace.
        ended: called when it ended, with the seconds that it took, also where it failed.
        folder: in which the commands run.
        logs: folder for what they print.

    Raises:
        RunError: a step failed. The same command continues there.
    """
    pace, told = Pace(), set[str]()
    with Display() as display:
        while True:
            steps = list(plan(pace))
            for number, step in enumerate(steps, 1):
                if done(step) and step.name not in told:
                    told.add(step.name)
                    display.tell(f"[{number}/{len(steps)}] {step.title}: already done")
            waiting = [step for step in steps if not done(step)]
            if not waiting:
                return
            step = waiting[0]
            told.add(step.name)
            title = f"[{steps.index(step) + 1}/{len(steps)}] {step.title}"
            display.begin(title, pace.seconds(step), math.fsum(pace.seconds(later) for later in waiting[1:]))
            is_whole, start_s = began(step), time.monotonic()
            try:
                run(step, folder, logs / f"{step.name}.log", display.line)
            finally:
                seconds = time.monotonic() - start_s
                ended(step, seconds)
            if is_whole:
                pace.add(step, seconds)
            display.tell(f"{title}: done")


def run(step: Step, folder: Path, log: Path, line: Callable[[str], None]) -> None:
    """Run a step's command in `folder`. What it prints is written to `log`, and each line given to `line`.

    Raises:
        RunError: it failed. Has the error that it printed.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    last: deque[str] = deque(maxlen=LAST_LINES)
    with log.open("a", encoding="utf-8") as kept, _started(step, folder) as process:
        assert process.stdout is not None
        try:
            for text in process.stdout:
                kept.write(text)
                last.append(printable(text.rstrip()))
                line(last[-1])
        except KeyboardInterrupt:  # a terminal sends it to both; the step puts away what it has
            _end(process)
            raise
    if process.returncode == 0 or (process.returncode == RENDERED_IN_PART and step.result.exists()):
        return
    raise RunError(_why(step, process.returncode, last, log))


def _end(process: subprocess.Popen[str]) -> None:
    try:
        process.wait(ENDS_IN_S)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.wait()


def _started(step: Step, folder: Path) -> subprocess.Popen[str]:
    path = os.pathsep.join(filter(None, (str(Path(pipelines.__file__).parents[1]), os.environ.get("PYTHONPATH", ""))))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", LINES_VARIABLE: CHILD_TELLS_S}
    return subprocess.Popen(
        [sys.executable, *map(str, step.command)],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )


def _why(step: Step, status: int, last: Sequence[str], log: Path) -> str:
    """The error that a step printed, or where to look."""
    errors = [one for one in last if one.startswith(("error: ", "simgen: ")) and not one.startswith("simgen: note: ")]
    said = errors[-1].removeprefix("error: ").removeprefix("simgen: ") if status == 2 and errors else ""
    if said:
        return f"{step.title}: {said}; the same command continues from here"
    words = next((one.strip() for one in reversed(last) if one.strip()), "it printed nothing")
    return f"{step.title}: ended with status {status}: {words}; what it printed is in {log}"
