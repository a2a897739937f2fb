"""What a scene kind is, and what kinds share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simgen.assets.parts.model import PartModel
from simgen.scene.config.stage import StageKnobs
from simgen.scene.kinds.drop import Drop, DropArea
from simgen.scene.kinds.setting import Setting
from simgen.spec.scene import PartSource, StageSpec
from simgen.spec.types import Vec3

DEPTH_M = 2.0  # of the solid block under the work surface, and how far solid walls reach beyond its edges


@dataclass(frozen=True, kw_only=True)
class SolidBox:
    """A box at rest that parts collide with. It is simulated, not drawn."""

    centre_m: Vec3
    half_m: Vec3  # half of its extents
    friction: float


@dataclass(frozen=True)
class Stock:
    """The parts of a preset, and a draw of one: its kind, its source and its model."""

    most: int  # in a scene
    spread: float  # largest share of the stage's sides that parts are laid on
    draw: Callable[[np.random.Generator], tuple[str, PartSource, PartModel]]


Furnish = Callable[[StageSpec, StageKnobs, Stock, np.random.Generator], Setting]


@dataclass(frozen=True, kw_only=True)
class SceneKind:
    """A row of `simgen.scene.kinds.KINDS`."""

    fits: Callable[[StageKnobs], bool]  # whether the knobs ask for this kind
    drop: Callable[[DropArea], Drop]  # how parts are laid
    furnish: Furnish  # what stands on or round the work surface, and what is planned for the parts
    solid: Callable[[StageSpec], tuple[SolidBox, ...]]  # what parts collide with, beside each other and solid bodies
    surface_speed_m_s: Callable[[StageSpec], float]  # of the work surface and what lies on it, along +x


def unfurnished(stage: StageSpec, knobs: StageKnobs, parts: Stock, rng: np.random.Generator) -> Setting:
    return Setting()


def runs(stage: StageSpec) -> float:
    """The speed of a belt, when it runs at full speed."""
    return stage.belt_speed_m_s


def stands_still(stage: StageSpec) -> float:
    return 0.0


def enclosure(stage: StageSpec, *, open_ends: bool) -> tuple[SolidBox, ...]:
    """The work surface as a deep block that thin washers cannot cross, between walls without friction.

    Bullet's result depends on the order of these boxes.

    Args:
        stage: whose edges the walls stand at.
        open_ends: without the walls at both ends of x.
    """
    x, y, thick = stage.size_m[0] / 2, stage.size_m[1] / 2, DEPTH_M / 2
    boxes = [SolidBox(centre_m=(0.0, 0.0, -thick), half_m=(x + DEPTH_M, y + DEPTH_M, thick), friction=1.0)]
    for side in (-1.0, 1.0):
        long, across = (x + DEPTH_M, thick, DEPTH_M), (thick, y + DEPTH_M, DEPTH_M)
        boxes.append(SolidBox(centre_m=(0.0, side * (y + thick), 0.0), half_m=long, friction=0.0))
        if not open_ends:
            boxes.append(SolidBox(centre_m=(side * (x + thick), 0.0, 0.0), half_m=across, friction=0.0))
    return tuple(boxes)
