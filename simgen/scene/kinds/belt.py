"""A belt that runs along +x: parts scattered over it ride with it, through its open ends."""

from __future__ import annotations

from simgen.scene.config.parts import StageKnobs
from simgen.scene.kinds.drop import Scattered
from simgen.scene.kinds.model import SceneKind, SolidBox, enclosure, no_walls
from simgen.spec.scene import StageSpec


def _fits(knobs: StageKnobs) -> bool:
    return (knobs.belt_speed_m_s.low, knobs.belt_speed_m_s.high) != (0, 0)


def _solid(stage: StageSpec) -> tuple[SolidBox, ...]:
    return enclosure(stage, open_ends=True)


def _speed_m_s(stage: StageSpec) -> float:
    return stage.belt_speed_m_s


BELT = SceneKind(fits=_fits, drop=Scattered, draw_walls=no_walls, solid=_solid, surface_speed_m_s=_speed_m_s)
