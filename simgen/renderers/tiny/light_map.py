"""The shadow map of the key light: the surface that the light reaches first, seen from far away.

TinyRenderer's own shadows are hard. At small image sizes most of a lit plane shadows itself, because its shadow map has
the image's size (measured: 73 % of a bare table at 160x120 with a light 23 degrees high). Here a point of the stage is
in shadow where the light reaches another body first. That needs no depth comparison, so a surface cannot shadow itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32

from simgen.renderers.camera_view import CameraView, across_and_up, visible_on_plane
from simgen.spec.scene import SceneSpec

SIDE_TEXELS = 256
DISTANCE_M = 60.0  # of the light's camera: TinyRenderer draws nothing in an orthographic view (measured)
NEAR_M, FAR_M = DISTANCE_M - 2.0, DISTANCE_M + 2.0  # depth range of that camera
TALLEST_M = 0.15  # height above the stage that the map covers


@dataclass(frozen=True)
class LightBox:
    """The region that the shadow map covers: the visible part of the stage and the space above it."""

    view: Float64[np.ndarray, "4 4"]  # light from world; x right, y up, looking along -z (OpenGL)
    half_m: float

    @classmethod
    def of(cls, spec: SceneSpec) -> LightBox:
        toward = np.asarray(spec.light.direction, np.float64)
        axes = np.stack([*across_and_up(toward), toward])
        corners = _corners(spec) @ axes.T
        low, high = corners.min(axis=0), corners.max(axis=0)
        view = np.eye(4)
        view[:3, :3] = axes
        view[:2, 3] = -(low + high)[:2] / 2
        view[2, 3] = -DISTANCE_M
        return cls(view, float((high - low)[:2].max()) / 2 * 1.02 + 0.002)

    def projection(self) -> Float64[np.ndarray, "4 4"]:
        """OpenGL's projection matrix."""
        scale = DISTANCE_M / self.half_m
        depth = [0.0, 0.0, -(FAR_M + NEAR_M) / (FAR_M - NEAR_M), -2 * FAR_M * NEAR_M / (FAR_M - NEAR_M)]
        return np.array([[scale, 0.0, 0.0, 0.0], [0.0, scale, 0.0, 0.0], depth, [0.0, 0.0, -1.0, 0.0]])

    def camera(self) -> CameraView:
        """The light's camera."""
        rotation = (self.view[:3, :3] * np.array([[1.0], [-1.0], [-1.0]])).T  # x right, y down, along z
        half = SIDE_TEXELS / 2
        return CameraView(
            eye=(-self.view[:3, :3].T @ self.view[:3, 3]).astype(np.float32),
            rotation=rotation.astype(np.float32),
            width=SIDE_TEXELS,
            height=SIDE_TEXELS,
            focal=half * DISTANCE_M / self.half_m,
            centre=(half, half - 1),  # TinyRenderer samples row j at j + 1
            offset=0.0,
        )

    @property
    def texel_m(self) -> float:
        return 2 * self.half_m / SIDE_TEXELS

    def texels(self) -> Float64[np.ndarray, "3 4"]:
        """Matrix from world coordinates (x, y, z, 1) to homogeneous column and row of the map."""
        clip = self.projection() @ self.view
        half = SIDE_TEXELS / 2
        column = half * (clip[0] + clip[3])
        row = half * (clip[3] - clip[1]) - clip[3]  # TinyRenderer samples row j at j + 1
        return np.stack([column, row, clip[3]])


def _corners(spec: SceneSpec) -> Float64[np.ndarray, "n 3"]:
    """Corners of the visible part of the stage's top in all frames, on the top and TALLEST_M above it."""
    half = np.asarray(spec.stage.size_m) / 2
    corners = []
    for pose in spec.camera.world_from_camera:
        view = CameraView.of(spec, pose, supersample=1)
        for z_m in (0.0, TALLEST_M):
            (x0, y0), (x1, y1) = visible_on_plane(view, z_m, half)
            corners += [(x, y, z_m) for x in (x0, x1) for y in (y0, y1)]
    return np.array(corners, np.float64)


@dataclass(frozen=True)
class LightMap:
    """The code of the first surface along the key light, by texel."""

    box: LightBox
    surface: Int32[np.ndarray, "n n"]

    def plane_shadow(
        self, blocked: Bool[np.ndarray, "n n"], image_from_plane: Float64[np.ndarray, "3 3"],
        size: tuple[int, int], penumbra_m: float,
    ) -> Float32[np.ndarray, "h w"]:  # fmt: skip
        """Share of the key light that is blocked at each sample of the plane z = 0, with a Gaussian penumbra."""
        sigma = max(penumbra_m / self.box.texel_m, 0.5)
        soft = cv2.GaussianBlur(blocked.astype(np.float32), (0, 0), sigma)
        homography = image_from_plane @ np.linalg.inv(self.box.texels()[:, [0, 1, 3]])
        return np.asarray(cv2.warpPerspective(soft, homography, size, flags=cv2.INTER_LINEAR), np.float32)

    def first_surface(self, points: Float32[np.ndarray, "n 3"]) -> Int32[np.ndarray, "n"]:
        """The code of the first surface on the light's way to each point."""
        matrix = self.box.texels()
        homogeneous = points @ matrix[:, :3].T + matrix[:, 3]
        texels = np.rint(homogeneous[:, :2] / homogeneous[:, 2:]).astype(np.int64)
        columns, rows = np.clip(texels, 0, SIDE_TEXELS - 1).T
        return np.asarray(self.surface[rows, columns], np.int32)
