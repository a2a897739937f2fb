"""A pinhole camera at the resolution of its samples: from samples to world points and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64

from simgen.spec.geometry import rotation_matrix
from simgen.spec.scene import SceneSpec
from simgen.spec.types import Pose

_EDGE_POINTS = 9  # rays along each side of the image that bound the visible region


def centre_offset(supersample: int) -> float:
    """Offset of each sample in its cell (0.5 is the middle), so that one sample is at every pixel's centre."""
    return 0.5 if supersample % 2 else 0.0


@dataclass(frozen=True)
class CameraView:
    """A pinhole camera whose sample (column, row) is at (column + offset, row + offset), in samples."""

    eye: Float32[np.ndarray, "3"]
    rotation: Float32[np.ndarray, "3 3"]  # world_from_camera
    width: int
    height: int
    focal: float
    centre: tuple[float, float]
    offset: float

    @classmethod
    def of(cls, spec: SceneSpec, world_from_camera: Pose, supersample: int | None = None) -> CameraView:
        """The spec's camera at a pose, at `supersample` samples along a pixel (by default the spec's own)."""
        camera, s = spec.camera, supersample or spec.render.supersample
        return cls(
            eye=np.asarray(world_from_camera.position_m, np.float32),
            rotation=rotation_matrix(world_from_camera.rotation_xyzw).astype(np.float32),
            width=camera.width_px * s,
            height=camera.height_px * s,
            focal=camera.focal_px * s,
            centre=(camera.centre_px[0] * s, camera.centre_px[1] * s),
            offset=centre_offset(s),
        )

    def points(self, xs: np.ndarray, ys: np.ndarray, depth_m: Float32[np.ndarray, "n"]) -> Float32[np.ndarray, "n 3"]:
        """World points of samples at columns `xs`, rows `ys` and a depth."""
        x = (xs + (self.offset - self.centre[0])) / self.focal
        y = (ys + (self.offset - self.centre[1])) / self.focal
        rays = np.stack([x, y, np.ones_like(x)], axis=-1).astype(np.float32) @ self.rotation.T
        return np.asarray(self.eye + rays * depth_m[:, None], np.float32)

    def climb(self) -> Float32[np.ndarray, "h w"]:
        """Rise of each sample's ray along the world's z, per metre of depth."""
        across = self.rotation[2, 0] * (np.arange(self.width) + self.offset - self.centre[0]) / self.focal
        down = self.rotation[2, 1] * (np.arange(self.height) + self.offset - self.centre[1]) / self.focal
        return np.asarray(np.add.outer((down + self.rotation[2, 2]).astype(np.float32), across.astype(np.float32)))

    def image_from_plane(self, z_m: float, origin_m: tuple[float, float], texel_m: float) -> Float64[np.ndarray, "3 3"]:
        """Homography from texels of a texture on the plane z, whose first corner is at `origin_m`, to samples."""
        cx, cy = (c - self.offset for c in self.centre)
        intrinsics = np.array([[self.focal, 0, cx], [0, self.focal, cy], [0, 0, 1]])
        half = texel_m / 2
        plane = np.array([[texel_m, 0, origin_m[0] + half], [0, texel_m, origin_m[1] + half], [0, 0, z_m]])
        plane[:, 2] -= self.eye
        return np.asarray(intrinsics @ self.rotation.astype(float).T @ plane, np.float64)


def across_and_up(toward: Float[np.ndarray, "3"]) -> tuple[Float64[np.ndarray, "3"], Float64[np.ndarray, "3"]]:
    """Right and up axes of an image seen from the direction `toward`, a unit vector."""
    up = np.array([0.0, 1.0, 0.0]) if abs(toward[2]) > 0.9 else np.array([0.0, 0.0, 1.0])
    right = np.cross(up, toward)
    right /= np.linalg.norm(right)
    return right, np.cross(toward, right)


def visible_on_plane(view: CameraView, z_m: float, half_m: Float[np.ndarray, "2"]) -> Float64[np.ndarray, "2 2"]:
    """Bounds (minimum and maximum x and y) of the visible part of a rectangle around the origin on the plane z.

    The whole rectangle where the horizon is in the image, or where no part of the rectangle is.
    """
    whole = np.stack([-half_m, half_m]).astype(np.float64)
    along = np.linspace(0.0, 1.0, _EDGE_POINTS)
    zero, one = np.zeros(_EDGE_POINTS), np.ones(_EDGE_POINTS)
    x = np.concatenate([along, along, zero, one]) * view.width - view.centre[0]
    y = np.concatenate([zero, one, along, along]) * view.height - view.centre[1]
    rays = np.stack([x / view.focal, y / view.focal, np.ones_like(x)], axis=1) @ view.rotation.T.astype(np.float64)
    if (rays[:, 2] > -0.02).any() or view.eye[2] <= z_m:
        return whole
    hits = view.eye[:2] + rays[:, :2] * ((z_m - view.eye[2]) / rays[:, 2])[:, None]
    low, high = np.maximum(hits.min(axis=0), whole[0]), np.minimum(hits.max(axis=0), whole[1])
    return np.stack([low, high]) if (low < high).all() else whole
