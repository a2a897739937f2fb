"""What the key light sees: one picture along its direction, from very far, from which every shadow follows.

TinyRenderer's own shadows are hard, and at small image sizes most of a lit plane shadows itself, because its shadow map
has the image's size (measured: 73 % of a bare table at 160x120 under a light 23 degrees high). Here a point of the
stage is in shadow where the light sees another body there, which needs no depth comparison and cannot shadow itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32

from simgen.renderers.camera_view import CameraView, across_and_up, seen_on_plane
from simgen.spec.scene import SceneSpec

SIDE_TEXELS = 256
DISTANCE_M = 60.0  # to where the light looks from: TinyRenderer draws nothing in an orthographic view (measured)
NEAR_M, FAR_M = DISTANCE_M - 2.0, DISTANCE_M + 2.0  # of the region that it sees
TALLEST_M = 0.15  # of what lies on the stage and is looked at


@dataclass(frozen=True)
class LightBox:
    """The region that the light's picture covers: what the camera sees of the stage, and what lies there."""

    view: Float64[np.ndarray, "4 4"]  # light from world; x right, y up, looking along -z as OpenGL does
    half_m: float

    @classmethod
    def of(cls, spec: SceneSpec) -> LightBox:
        toward = np.asarray(spec.light.direction, np.float64)
        axes = np.stack([*across_and_up(toward), toward])
        seen = _seen(spec) @ axes.T
        low, high = seen.min(axis=0), seen.max(axis=0)
        view = np.eye(4)
        view[:3, :3] = axes
        view[:2, 3] = -(low + high)[:2] / 2
        view[2, 3] = -DISTANCE_M
        return cls(view, float((high - low)[:2].max()) / 2 * 1.02 + 0.002)

    def projection(self) -> Float64[np.ndarray, "4 4"]:
        """OpenGL's projection."""
        scale = DISTANCE_M / self.half_m
        depth = [0.0, 0.0, -(FAR_M + NEAR_M) / (FAR_M - NEAR_M), -2 * FAR_M * NEAR_M / (FAR_M - NEAR_M)]
        return np.array([[scale, 0.0, 0.0, 0.0], [0.0, scale, 0.0, 0.0], depth, [0.0, 0.0, -1.0, 0.0]])

    def seen_from(self) -> CameraView:
        """The light's picture as a camera's."""
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
        """Column and row of the light's picture, homogeneous, from world coordinates (x, y, z, 1)."""
        clip = self.projection() @ self.view
        half = SIDE_TEXELS / 2
        column = half * (clip[0] + clip[3])
        row = half * (clip[3] - clip[1]) - clip[3]  # TinyRenderer samples row j at j + 1
        return np.stack([column, row, clip[3]])


def _seen(spec: SceneSpec) -> Float64[np.ndarray, "n 3"]:
    """Corners of what is seen of the stage's top in any frame, and of as much that high above it."""
    half = np.asarray(spec.stage.size_m) / 2
    corners = []
    for pose in spec.camera.world_from_camera:
        view = CameraView.of(spec, pose, supersample=1)
        for z_m in (0.0, TALLEST_M):
            (x0, y0), (x1, y1) = seen_on_plane(view, z_m, half)
            corners += [(x, y, z_m) for x in (x0, x1) for y in (y0, y1)]
    return np.array(corners, np.float64)


@dataclass(frozen=True)
class LightMap:
    """The surface code that the key light sees, by texel."""

    box: LightBox
    surface: Int32[np.ndarray, "n n"]

    def plane_shadow(
        self, blocked: Bool[np.ndarray, "n n"], image_from_plane: Float64[np.ndarray, "3 3"],
        size: tuple[int, int], penumbra_m: float,
    ) -> Float32[np.ndarray, "h w"]:  # fmt: skip
        """Share of the key light that is hidden from each sample of the plane z = 0, with a Gaussian penumbra."""
        sigma = max(penumbra_m / self.box.texel_m, 0.5)
        soft = cv2.GaussianBlur(blocked.astype(np.float32), (0, 0), sigma)
        homography = image_from_plane @ np.linalg.inv(self.box.texels()[:, [0, 1, 3]])
        return np.asarray(cv2.warpPerspective(soft, homography, size, flags=cv2.INTER_LINEAR), np.float32)

    def seen(self, points: Float32[np.ndarray, "n 3"]) -> Int32[np.ndarray, "n"]:
        """The surface that the light meets on its way to each point."""
        texels = self.box.texels()
        at = points @ texels[:, :3].T + texels[:, 3]
        at = np.rint(at[:, :2] / at[:, 2:]).astype(np.int64)
        columns, rows = np.clip(at, 0, SIDE_TEXELS - 1).T
        return np.asarray(self.surface[rows, columns], np.int32)
