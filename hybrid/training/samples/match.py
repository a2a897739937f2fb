"""The look of unlabelled photos on rendered tiles: by low frequencies (FDA), or by histograms of colours.

FDA: Yang and Soatto, "Fourier Domain Adaptation for Semantic Segmentation" (CVPR 2020): the amplitudes of the lowest
frequencies, which hold light and colour, are replaced by those of a photo; the phases, which hold the shapes, stay.
One photo and one draw hold for all frames of a clip. Both transforms are albumentations'.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8

from hybrid.training.samples.augment import import_albumentations

LOW_FREQUENCIES = (0.008, 0.025)  # range of beta: the half side of the replaced square, as a share of the spectrum's
BLEND = (0.2, 0.7)  # range of the share of the matched colours; the rest is the tile's own

Method = Literal["fourier", "histogram"]


def matched(
    frames: UInt8[np.ndarray, "t h w 3"], photo: UInt8[np.ndarray, "_ _ 3"], method: Method, seed: int
) -> UInt8[np.ndarray, "t h w 3"]:
    """The frames with the look of a photo, or of a piece of one. Shapes stay in place."""
    pipeline = _pipeline(method)
    pipeline.set_random_seed(seed)
    return np.ascontiguousarray(pipeline(images=frames, photos=[photo])["images"])


@cache
def _pipeline(method: Method) -> Any:
    A = import_albumentations()
    rows = {
        "fourier": lambda: A.FDA(beta_limit=LOW_FREQUENCIES, metadata_key="photos", p=1),
        "histogram": lambda: A.HistogramMatching(blend_ratio=BLEND, metadata_key="photos", p=1),
    }
    return A.Compose([rows[method]()], seed=0)
