"""The result of a geometry pass, and small functions shared by the shading."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, Int32, UInt8

from simgen.renderers.camera_view import CameraView
from simgen.renderers.textures import sample_pattern
from simgen.spec.scene import MaterialSpec

# Surface codes. Parts are their index, 0 and up; clutter and occluders count down from BODY, in that order.
NOTHING, FLOOR, STAGE, BODY = -1, -2, -3, -4

Samples = Float32[np.ndarray, "n"]
Colours = Float32[np.ndarray, "n 3"]


@dataclass(frozen=True)
class Geometry:
    """What each sample shows."""

    depth_m: Float32[np.ndarray, "h w"]  # along the optical axis
    surface: Int32[np.ndarray, "h w"]
    lit: UInt8[np.ndarray, "h w"]  # 255 * cosine of the key light


@dataclass(frozen=True)
class Moment:
    """Camera and poses of one frame."""

    view: CameraView
    positions_m: Float32[np.ndarray, "p 3"]
    rotations: Float32[np.ndarray, "p 3 3"]  # world_from_part
    occluder_positions_m: Float32[np.ndarray, "o 3"]
    belt_shift_m: float


def dot(a: Colours, b: Colours) -> Samples:
    """Dot product of each row."""
    return np.asarray(np.einsum("ni,ni->n", a, b))


def unit(v: Colours) -> Colours:
    """Each row scaled to unit length."""
    return np.asarray(v / np.maximum(np.sqrt(dot(v, v)), 1e-9)[:, None], np.float32)


def blurred(a: Float32[np.ndarray, "h w"], sigma_px: float) -> Float32[np.ndarray, "h w"]:
    """A Gaussian blur."""
    return np.asarray(cv2.GaussianBlur(a, (0, 0), sigma_px, borderType=cv2.BORDER_REPLICATE), np.float32)


def solid_pattern(material: MaterialSpec, local: Colours) -> Samples:
    """A material's pattern on a solid, by two coordinates that vary along any face."""
    u, v = local[:, 0] + 0.7 * local[:, 1], local[:, 2] + 0.7 * local[:, 1]
    return sample_pattern(material, u, v)


def solid_albedo(material: MaterialSpec, local: Colours) -> Colours:
    """Albedo of a solid at points in its own frame."""
    pattern = solid_pattern(material, local)
    return np.clip(np.asarray(material.rgb, np.float32) * (1 + material.contrast * pattern[:, None]), 0, 1).astype(
        np.float32
    )
