"""The advice of a report: its wider ranges as a preset, where the simulated set's preset is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hybrid.core.errors import DataError
from pipelines.gap.advice.preset import Rendered, check_preset, preset_text, rendered_with
from pipelines.gap.advice.widening import Change, changes
from pipelines.gap.schema.sections import Coverage, Knob
from simgen.dataset.store.locations import Location


@dataclass(frozen=True)
class Advice:
    """Ranges to widen, and the preset that does it."""

    changes: tuple[Change, ...] = ()
    rendered: Rendered | None = None  # what the simulated set was rendered with
    preset: str = ""  # YAML; empty: nothing is to be widened, or it cannot be written
    left_out: str = ""  # why it cannot be written


def advice(sim: Location, coverage: Sequence[Coverage], effects: Sequence[Knob], folder: Path, made: str) -> Advice:
    """What to widen. `folder` is where the preset will lie, `made` the date of the report."""
    try:
        rendered = rendered_with(sim)
        found = changes(coverage, effects, rendered.config)
        if found:
            check_preset(rendered, found)
    except DataError as error:
        return Advice(left_out=f"A preset with wider ranges: {error}")
    return Advice(found, rendered, preset_text(rendered, found, folder, made))
