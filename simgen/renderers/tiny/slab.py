"""Stage and floor in a geometry pass: rectangles drawn by affine functions of the image coordinates.

On a plane the inverse depth is an affine function of a pinhole camera's image coordinates, and so is each world
coordinate times the inverse depth (Heckbert and Moreton 1991, "Interpolation for Polygon Texture Mapping and Shading").
So four comparisons decide whether a sample shows a rectangle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from simgen.renderers.camera_view import CameraView
from simgen.renderers.surfaces import FLOOR, STAGE, Geometry
from simgen.spec.scene import StageSpec
from simgen.spec.types import Vec3

Affine = Float64[np.ndarray, "3"]  # of a sample's column and row, and the constant


@dataclass(frozen=True)
class Face:
    """An axis-aligned rectangle, visible from its outer side alone."""

    code: int  # as in `simgen.renderers.surfaces`
    axis: int  # of its normal
    side: float  # +1 or -1, of its normal along that axis
    centre_m: Vec3  # in its plane
    half_m: tuple[float, float, float]  # half its size; inf for an unbounded plane

    def draw(self, geometry: Geometry, view: CameraView, sun: Vec3, near_m: float, far_m: float) -> None:
        """Draw the face into `geometry` wherever it is nearer than the surface there."""
        height_m = self.side * (float(view.eye[self.axis]) - self.centre_m[self.axis])  # of the eye, over the face
        if height_m <= 0:
            return
        rays = _rays(view)
        inverse = -self.side * rays[self.axis] / height_m  # of the depth
        nearest, farthest = 1 / near_m, 1 / far_m
        depth = geometry.depth_m
        inverse_grid = _grid(inverse, view)
        shown = (inverse_grid > farthest) & (inverse_grid < nearest)
        for axis in {0, 1, 2} - {self.axis}:
            if not np.isfinite(self.half_m[axis]):
                continue
            offset = rays[axis] + (float(view.eye[axis]) - self.centre_m[axis]) * inverse  # from the centre, over depth
            shown &= _grid(self.half_m[axis] * inverse + offset, view) >= 0
            shown &= _grid(self.half_m[axis] * inverse - offset, view) >= 0
        nearness = np.zeros_like(inverse_grid)  # relative to what is drawn there; 0 along the horizon, and 0 inf is nan
        shown &= np.multiply(inverse_grid, depth, out=nearness, where=shown) > 1
        np.divide(1, inverse_grid, out=depth, where=shown)
        geometry.surface[shown] = self.code
        geometry.lit[shown] = round(255 * max(0.0, self.side * sun[self.axis]))


def stage_faces(stage: StageSpec) -> tuple[Face, ...]:
    """The slab's top and sides, without its bottom."""
    x, y = (size / 2 for size in stage.size_m)
    deep = stage.thickness_m / 2
    top = Face(STAGE, 2, 1.0, (0.0, 0.0, 0.0), (x, y, 0.0))
    ends = [Face(STAGE, 0, side, (side * x, 0.0, -deep), (0.0, y, deep)) for side in (-1.0, 1.0)]
    sides = [Face(STAGE, 1, side, (0.0, side * y, -deep), (x, 0.0, deep)) for side in (-1.0, 1.0)]
    return top, *ends, *sides


def floor_face(stage: StageSpec) -> Face:
    """The floor, an unbounded plane."""
    return Face(FLOOR, 2, 1.0, (0.0, 0.0, -stage.floor_below_m), (np.inf, np.inf, 0.0))


def _rays(view: CameraView) -> Float64[np.ndarray, "3 3"]:
    """World direction of the samples' rays per metre of depth: one affine function of (column, row) per coordinate."""
    first = [(view.offset - centre) / view.focal for centre in view.centre]
    image = np.array([[1 / view.focal, 0, first[0]], [0, 1 / view.focal, first[1]], [0, 0, 1.0]])
    return np.asarray(view.rotation.astype(np.float64) @ image)


def _grid(affine: Affine, view: CameraView) -> Float32[np.ndarray, "h w"]:
    """An affine function at every sample."""
    across = (affine[0] * np.arange(view.width)).astype(np.float32)
    down = (affine[1] * np.arange(view.height) + affine[2]).astype(np.float32)
    return np.asarray(np.add.outer(down, across), np.float32)
