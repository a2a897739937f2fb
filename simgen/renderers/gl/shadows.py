"""The extent of the key light's two shadow maps: of the visible part of the stage's top, and of the whole scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from simgen.renderers.camera_view import across_and_up

SIDE_TEXELS = 1024
COARSE_TEXELS = 64  # of the map by which regions without a shadow are skipped


@dataclass(frozen=True)
class Cascade:
    """An orthographic shadow map along the key light."""

    matrix: Float64[np.ndarray, "3 4"]  # texture coordinates and depth in 0..1 from world coordinates
    across_m: float
    deep_m: float
    reach_coarse: int  # how far a shadow's soft edge can reach, in coarse texels


@dataclass(frozen=True)
class Spheres:
    """Bounding spheres of shadow casters."""

    centres_m: Float[np.ndarray, "n 3"]
    radii_m: Float[np.ndarray, "n"]


def cascade(
    toward: Float[np.ndarray, "3"], receivers_m: Float[np.ndarray, "m 3"], casters: Spheres, cone: float
) -> Cascade:
    """The smallest square shadow map that covers all of `receivers_m`, deep enough for the casters above it.

    Args:
        toward: unit vector to the light.
        receivers_m: corners of the region that receives shadows.
        casters: bounding spheres of the bodies that cast them.
        cone: tangent of half the light's angular diameter.
    """
    right, up = across_and_up(toward)
    receivers = receivers_m @ np.stack([right, up, toward], axis=1)
    low, high = receivers.min(axis=0), receivers.max(axis=0)
    across = float((high - low)[:2].max()) * 1.04 + 1e-3
    middle = (low + high)[:2] / 2
    centres = casters.centres_m @ np.stack([right, up, toward], axis=1)
    near = (np.abs(centres[:, :2] - middle) < across / 2 + casters.radii_m[:, None]).all(axis=1)
    tops, bottoms = centres[near, 2] + casters.radii_m[near], centres[near, 2] - casters.radii_m[near]
    top, bottom = max(float(high[2]), *tops.tolist(), -1e9) + 2e-3, min(float(low[2]), *bottoms.tolist(), 1e9) - 2e-3
    deep = top - bottom
    matrix = np.zeros((3, 4))
    matrix[0, :3], matrix[0, 3] = right / across, 0.5 - middle[0] / across
    matrix[1, :3], matrix[1, 3] = up / across, 0.5 - middle[1] / across
    matrix[2, :3], matrix[2, 3] = -toward / deep, top / deep
    reach = (top - float(low[2])) * cone / across * COARSE_TEXELS
    return Cascade(matrix, across, deep, min(int(np.ceil(reach)) + 1, COARSE_TEXELS))
