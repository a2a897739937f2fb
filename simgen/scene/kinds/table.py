"""A table: parts scattered over it, nothing moves. Solid walls at its edges, which are not drawn, keep parts on it."""

from __future__ import annotations

from simgen.scene.config.stage import StageKnobs
from simgen.scene.kinds.drop import Scattered
from simgen.scene.kinds.model import SceneKind, SolidBox, enclosure, stands_still, unfurnished
from simgen.spec.scene import StageSpec


def _fits(knobs: StageKnobs) -> bool:
    return True


def _solid(stage: StageSpec) -> tuple[SolidBox, ...]:
    return enclosure(stage, open_ends=False)


TABLE = SceneKind(fits=_fits, drop=Scattered, furnish=unfurnished, solid=_solid, surface_speed_m_s=stands_still)
