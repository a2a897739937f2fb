"""Where a camera stands over the ground that its photos show, and the knobs that say so.

A camera at height h whose optical axis is tilted by t from straight down sees the ground in the middle of its picture
from h / cos(t). The stage is the part of the ground that is in the picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from simgen.presets.new_line.lens import GUESS, LensFound
from simgen.scene.config import PhotoFile
from simgen.scene.sampling.photo import place_of
from simgen.spec.errors import CameraError
from simgen.spec.geometry import rotation_matrix
from simgen.spec.types import Vec2

LONGEST_PX = 768  # of a rendered picture: larger photos are scaled down
PARTS_ACROSS = 10  # a guessed view is as wide as so many parts
GUESSED_TILT_DEG = 20.0
STEEPEST_DEG = 80.0
INSIDE = 0.9  # of the picture's ground: parts at its edge are still seen
FOCALS = (0.42, 3.0)  # bounds of a focal length that is looked for, in widths of the picture: 100 to 19 degrees
TURN_DEG, SHARE = 2.0, 0.05  # how exactly angles and distances are known: the ranges are so much to either side


@dataclass(frozen=True)
class View:
    """A camera over the ground, and the size of the rendered pictures."""

    size_px: tuple[int, int]
    lens: LensFound  # at that size
    distance_m: float  # along the optical axis
    tilt_deg: float  # 0: straight down
    how: str
    area_m: tuple[float, float] | None = None  # of the work surface, where its corners are known in each photo

    @property
    def ground_m(self) -> tuple[float, float]:
        """Width and depth of the ground that the picture shows, at its middle; or of the work surface."""
        if self.area_m is not None:
            return self.area_m
        width, height = (self.distance_m * px / self.lens.focal_px for px in self.size_px)
        return width, height / math.cos(math.radians(self.tilt_deg))


def rendered_size(photo_px: tuple[int, int]) -> tuple[int, int]:
    """The size of rendered pictures for photos of a size (width, height): the same shape."""
    shrink = min(1.0, LONGEST_PX / max(photo_px))
    width, height = (max(16, round(n * shrink)) for n in photo_px)
    return width, height


def placed(
    size_px: tuple[int, int], lens: LensFound, height_m: float | None, tilt_deg: float | None, view_m: float | None,
    part_m: float,
) -> View:  # fmt: skip
    """The camera's place, from what is known of it; what is not known is guessed, and `how` says so.

    Args:
        size_px: of the rendered pictures.
        height_m: of the camera over the ground.
        view_m: width of the ground that the middle row of a photo shows.
        part_m: size of a part, for a guess.

    Raises:
        CameraError: as `check_place`.
    """
    check_place(height_m, tilt_deg, view_m)
    tilt = GUESSED_TILT_DEG if tilt_deg is None else tilt_deg
    said = "tilt guessed" if tilt_deg is None else "tilt given"
    if height_m is not None:
        distance_m, how = height_m / math.cos(math.radians(tilt)), "height given"
    elif view_m is not None:
        distance_m, how = view_m * lens.focal_px / size_px[0], "from the width of the view"
    else:
        distance_m = PARTS_ACROSS * part_m * lens.focal_px / size_px[0]
        how = f"guessed: the view is as wide as {PARTS_ACROSS} parts; give --height-m or --view-m"
    return View(size_px, lens, distance_m, tilt, f"{how}, {said}")


def over_area(size_px: tuple[int, int], lens: LensFound, photos: Sequence[PhotoFile], area_m: Vec2) -> View:
    """The camera's place over a work surface whose corners each photo has: the median over the photos.

    A focal length that is a guess is replaced by the one with which the corners fit best.

    Raises:
        CameraError: no camera sees such a surface at the corners of a photo.
    """
    if lens.how.startswith(GUESS):
        focal_px = min(np.geomspace(*FOCALS, 80) * size_px[0], key=lambda one: _off_px(size_px, one, photos, area_m))
        lens = replace(lens, focal_px=float(focal_px), how="from the corners of the work surface")
    places = [place_of(photo, size_px, lens.focal_px, area_m) for photo in photos]
    found = [place.world_from_camera for place in places if place is not None]
    if not found:
        raise CameraError(f"--work-area: no camera sees a surface of {area_m[0]:g} x {area_m[1]:g} m at these corners")
    down = [-rotation_matrix(one.rotation_xyzw)[2, 2] for one in found]
    tilt_deg = math.degrees(math.acos(min(1.0, float(np.median(down)))))
    distance_m = float(np.median([np.linalg.norm(one.position_m) for one in found]))
    return View(size_px, lens, distance_m, tilt_deg, "from the corners of the work surface", area_m)


def _off_px(size_px: tuple[int, int], focal_px: float, photos: Sequence[PhotoFile], area_m: Vec2) -> float:
    """How far the corners are off, over all photos."""
    places = [place_of(photo, size_px, focal_px, area_m) for photo in photos]
    return sum(size_px[0] if place is None else place.off_px for place in places)


def check_area(work_area: Path | None, area_m: Vec2 | None) -> None:
    """Refuse corners without a size, and a size without corners.

    Raises:
        CameraError: one of the two is missing, or a side is out of bounds.
    """
    if (work_area is None) != (area_m is None):
        raise CameraError("--work-area and --area-m go together: the corners of the work surface, and its two sides")
    if area_m is not None and not all(0.01 <= side <= 50 for side in area_m):
        raise CameraError(f"--area-m: needs two sides of 0.01 to 50 metres, got {area_m[0]:g} {area_m[1]:g}")


def check_place(height_m: float | None, tilt_deg: float | None, view_m: float | None) -> None:
    """Refuse what no camera over a line has.

    Raises:
        CameraError: a length or an angle is out of bounds.
    """
    if tilt_deg is not None and not 0 <= tilt_deg <= STEEPEST_DEG:
        raise CameraError(f"--tilt-deg: needs 0 (straight down) to {STEEPEST_DEG:g}, got {tilt_deg:g}")
    for name, value in (("--height-m", height_m), ("--view-m", view_m)):
        if value is not None and not 0.01 <= value <= 50:
            raise CameraError(f"{name}: needs 0.01 to 50 metres, got {value:g}")
