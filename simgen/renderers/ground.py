"""The ground under parts that stand on a photo: a plane that is not drawn, but takes their shadows.

Where it shows, a renderer gives the share of its light that arrives (`simgen.spec.frames.Frame`), and no light.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float32

from simgen.spec.colour import LUMINANCE
from simgen.spec.scene import SceneSpec

BEYOND_M = 0.3  # how far the ground goes on beyond the stage's edges, for the shadows of parts at the edge


def with_ground(spec: SceneSpec) -> SceneSpec:
    """The scene to draw: on a photo the stage is larger, since the photo does not end at its edges."""
    if spec.stage.photo is None:
        return spec
    length, width = (size + 2 * BEYOND_M for size in spec.stage.size_m)
    return replace(spec, stage=replace(spec.stage, size_m=(length, width)))


def arriving_share(
    arriving: Float32[np.ndarray, "h w 3"], whole: Float32[np.ndarray, "3"]
) -> Float32[np.ndarray, "h w"]:
    """The share of the unshadowed irradiance `whole` that arrives at the ground, by luminance."""
    weights = LUMINANCE.astype(np.float32)
    return np.asarray(np.minimum(arriving @ weights / max(float(whole @ weights), 1e-9), 1), np.float32)
