"""`result/line.json`: what the results in a line's folder were made of, and how large; so that nothing is mixed.

Each step is noted before it begins. A second call compares: a step whose sources have changed is stale, and so are
those that read its results.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from pydantic import TypeAdapter, ValidationError

from hybrid.core.errors import RunError
from hybrid.weights.record import where_and_why
from pipelines.line.running.engine import Step
from pipelines.line.sizes import Costs
from simgen.dataset.store.files import write_atomically
from simgen.spec.differences import Difference
from simgen.spec.differences import differences as every_difference
from simgen.spec.errors import TextFileError
from simgen.spec.text.json_text import read_json

STATE, VERSION = "line.json", 1
EARLIER = "earlier-"  # folders of results that were set aside
LONGEST_VALUE = 24  # of a value that a message shows
_STRICT: dict[str, Any] = {"extra": "forbid"}


@dataclass(frozen=True, kw_only=True)
class LineState:
    """What has been done in a line's folder."""

    version: int = VERSION
    asked: str  # for which size: "60 minutes", "quick"
    trainings: tuple[str, ...] = ()  # for which the time was divided
    budget_s: float = 0.0
    costs: Costs | None = None  # as they were measured; None: not yet
    scenes: int | None = None
    steps: dict[str, int] = field(default_factory=dict)  # of the trainings that have begun
    spent_s: dict[str, float] = field(default_factory=dict)  # by step
    made_of: dict[str, dict[str, Any]] = field(default_factory=dict)  # of the steps that have begun
    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    def without(self, steps: Sequence[str]) -> LineState:
        """The state as if these steps had never begun."""

        def kept(rows: Mapping[str, Any]) -> dict[str, Any]:
            return {name: row for name, row in rows.items() if name not in steps}

        scenes = None if "render" in steps else self.scenes
        return replace(
            self, scenes=scenes, steps=kept(self.steps), spent_s=kept(self.spent_s), made_of=kept(self.made_of)
        )


def read_state(result: Path) -> LineState | None:
    """The state in a folder of results; None where there is none yet.

    Raises:
        RunError: the file is damaged or of a later version, or the folder holds something else.
    """
    path = result / STATE
    if not path.exists():
        names = [one.name for one in result.iterdir()] if result.is_dir() else []
        there = sorted(name for name in names if not name.startswith(EARLIER))[:3]
        if there or (result.exists() and not result.is_dir()):
            holds = f"holds {', '.join(there)}" if there else "is a file"
            raise RunError(f"{result}: {holds}, and was not made by this command, which writes there: rename it")
        return None
    try:
        plain = read_json(path)
    except TextFileError as error:
        raise RunError(str(error)) from None
    version = plain.get("version") if isinstance(plain, dict) else None
    if version != VERSION:
        raise RunError(
            f"{path}: has version {version!r:.20}, this program reads {VERSION}: rename {result} to begin anew"
        )
    try:
        return TypeAdapter(LineState).validate_json(json.dumps(plain))
    except ValidationError as error:
        raise RunError(f"{path}: {where_and_why(error)}: rename {result} to begin anew") from None


def write_state(result: Path, state: LineState) -> None:
    """Write the state, as a whole or not at all."""
    result.mkdir(parents=True, exist_ok=True)
    write_atomically(result / STATE, json.dumps(asdict(state), indent=1).encode())


def stale(state: LineState, steps: Sequence[Step]) -> dict[str, str]:
    """The steps whose results are of something else than what is there now, with what has changed."""
    found: dict[str, str] = {}
    for step in steps:
        before = state.made_of.get(step.name)
        if before is None:
            continue
        if changes := differences(before, json.loads(json.dumps(step.made_of))):
            found[step.name] = ", ".join(changes[:3]) + (f" and {len(changes) - 3} more" if len(changes) > 3 else "")
        elif earlier := [name for name in step.after if name in found]:
            found[step.name] = f"it reads what {earlier[0]} made"
    return found


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two trees, with the values where they are short."""
    return [_in_words(one) for one in every_difference(before, now)]


def _in_words(one: Difference) -> str:
    short = len(repr(one.before)) <= LONGEST_VALUE and len(repr(one.after)) <= LONGEST_VALUE
    known = one.before is not None and one.after is not None
    return f"{one.path} was {one.before!r}, is {one.after!r}" if short and known else one.path


def set_aside(result: Path, paths: Sequence[Path]) -> Path | None:
    """Move results to a folder of earlier ones, `result/earlier-1` and so on; None where there are none."""
    there = [path for path in paths if path.exists()]
    if not there:
        return None
    numbers = (result / f"{EARLIER}{number}" for number in range(1, 10**6))
    folder = next(one for one in numbers if not one.exists())
    for path in there:
        to = folder / path.relative_to(result)
        to.parent.mkdir(parents=True, exist_ok=True)
        path.rename(to)
    return folder
