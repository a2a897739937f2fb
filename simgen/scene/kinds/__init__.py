"""Scene kinds: how parts are laid, what is solid, what moves. A new kind is a new file and a row here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from simgen.scene.config.stage import StageKnobs
from simgen.scene.kinds.belt import BELT
from simgen.scene.kinds.bin import BIN
from simgen.scene.kinds.feeder import FEEDER
from simgen.scene.kinds.model import SceneKind, SolidBox
from simgen.scene.kinds.scatter import SCATTER
from simgen.scene.kinds.table import TABLE
from simgen.scene.kinds.tray import TRAY
from simgen.spec.scene import StageSpec

__all__ = ["KINDS", "SceneKind", "SolidBox", "draw_kind", "kind_name", "scene_kind", "with_kind"]

KINDS: dict[str, SceneKind] = {  # a stage is of the first kind that fits its knobs, and every stage fits a table
    "bin": BIN,
    "tray": TRAY,
    "feeder": FEEDER,
    "scatter": SCATTER,
    "belt": BELT,
    "table": TABLE,
}


def kind_name(knobs: StageKnobs) -> str:
    """The row of KINDS that scenes of these knobs are of, where `kinds` names none."""
    return next(name for name, kind in KINDS.items() if kind.fits(knobs))


def draw_kind(knobs: StageKnobs, rng: np.random.Generator) -> str:
    """The row of KINDS of a scene: one of `kinds` by their weights, else the one that fits."""
    return knobs.kinds.draw(rng) if knobs.kinds else kind_name(knobs)


def scene_kind(stage: StageSpec) -> SceneKind:
    """The row of KINDS that a drawn scene is of.

    Raises:
        KeyError: no such kind; the message lists the kinds.
    """
    name = stage.kind or _kind_by_speed(stage)
    if name not in KINDS:
        raise KeyError(f"no scene kind {name!r}; there are {sorted(KINDS)}")
    return KINDS[name]


def with_kind(stage: StageSpec, name: str) -> StageSpec:
    """The stage with its kind. A table and a belt store none, so that their scenes keep the bytes that they had.

    A stage that stands still has no speed, whatever the knobs of a belt beside it say.
    """
    if not KINDS[name].surface_speed_m_s(stage):
        stage = replace(stage, belt_speed_m_s=stage.belt_speed_m_s if name == "belt" else 0.0)
    return replace(stage, kind=None if name == _kind_by_speed(stage) else name)


def _kind_by_speed(stage: StageSpec) -> str:
    """The kind of a stage that stores none."""
    return "belt" if stage.belt_speed_m_s else "table"
