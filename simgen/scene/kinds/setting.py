"""What a scene kind puts on the work surface before the parts come, and what it plans for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simgen.spec.geometry import about_z, pose
from simgen.spec.scene import BodySpec, PartSource, SheetSpec, StageSpec
from simgen.spec.types import Vec3

STILL: Vec3 = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Nest:
    """A pocket of a tray: the middle of its floor, and its sides along x and y."""

    middle_m: tuple[float, float]
    inside_m: tuple[float, float]
    rib_m: float  # height of the ribs round it
    tilt_rad: float  # how far its part is turned


@dataclass(frozen=True)
class Heap:
    """Where a handful of parts is tipped out."""

    middle_m: tuple[float, float]
    spread_m: float  # standard deviation


@dataclass(frozen=True)
class Feed:
    """A feeder's mouth: where, when and how fast parts leave it."""

    at_m: Vec3
    half_width_m: float  # along y
    velocity_m_s: Vec3
    starts_s: tuple[float, ...]  # of each part, since the others fall


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What stands there, and what it means for the parts."""

    walls: tuple[BodySpec, ...] = ()  # stand still
    riding: tuple[BodySpec, ...] = ()  # go with the work surface; here they are when the parts start to fall
    loop_m: float = 0.0  # after which they come again
    above: tuple[BodySpec, ...] = ()  # stand still over the parts, which pass below
    sheets: tuple[SheetSpec, ...] = ()  # on the stage, on top of its own
    half_width_m: float | None = None  # parts are laid so close to the stage's middle line; None: as far as it goes
    contents: tuple[tuple[str, PartSource], ...] | None = None  # a kind of the preset and a size for each part
    nests: tuple[Nest, ...] = ()  # one for each of the contents
    heaps: tuple[Heap, ...] = ()
    feed: Feed | None = None

    @property
    def solid(self) -> tuple[BodySpec, ...]:
        """What parts cannot be laid into."""
        return tuple(body for body in (*self.walls, *self.riding) if body.friction is not None)


BARE = Setting()


def bar(
    stage: StageSpec, size_m: Vec3, centre_m: tuple[float, float], yaw_rad: float = 0.0, *, friction: float = 0.2,
    rides: bool = False,
) -> BodySpec:  # fmt: skip
    """A solid box that stands on the work surface, of the material of the stage's sides."""
    at = np.array([*centre_m, size_m[2] / 2])
    return BodySpec(
        shape="box",
        size_m=size_m,
        material=stage.sides,
        world_from_body=pose(about_z(yaw_rad), at),
        velocity_m_s=STILL,
        friction=friction,
        rides=rides or None,
    )
