"""Colour, blur, noise and compression of a training clip: one draw for all of its frames.

Geometry (crop, scale, flip) is done in `hybrid.training.samples.sampler`: one crop and one resize, with exact boxes.
albumentations applies a transform drawn once to every frame of `images`; `set_random_seed` fixes the draw.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from jaxtyping import UInt8

Frames = UInt8[np.ndarray, "t h w 3"]
Augment = Callable[[Frames, int], Frames]  # (frames, seed) -> frames


@cache
def photometric(strength: float) -> Augment:
    """Changes of appearance; at 0 the frames as they are.

    Each range is what cameras over a line differ by: exposure and contrast by a stop, white balance by a few thousand
    kelvin, focus by a pixel or two, sensor noise to 5 % of white, JPEG down to quality 40.
    """
    if strength == 0:
        return lambda frames, seed: frames
    import os

    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else importing it asks the network for a newer version
    import albumentations as A  # type: ignore[import-untyped]

    s = strength
    pipeline = A.Compose(
        [
            A.OneOf(
                [
                    A.RandomBrightnessContrast(brightness_limit=0.3 * s, contrast_limit=0.3 * s, p=1),
                    A.RandomGamma(gamma_limit=(100 / (1 + 0.5 * s), 100 * (1 + 0.5 * s)), p=1),
                ],
                p=min(1, 0.7 * s),
            ),
            A.HueSaturationValue(
                hue_shift_limit=12 * s, sat_shift_limit=30 * s, val_shift_limit=10 * s, p=min(1, 0.4 * s)
            ),
            A.RGBShift(*[20 * s] * 3, p=min(1, 0.3 * s)),
            A.ToGray(p=min(1, 0.05 * s)),
            A.OneOf(
                [
                    A.GaussianBlur(blur_limit=0, sigma_limit=(0.3, 0.3 + 1.2 * s), p=1),
                    A.MotionBlur(blur_limit=(3, 3 + 2 * max(1, round(s))), p=0.5),
                    A.Sharpen(alpha=(0.1, min(1, 0.4 * s)), p=0.5),
                ],
                p=min(1, 0.3 * s),
            ),
            A.GaussNoise(std_range=(0.005, 0.005 + 0.045 * s), p=min(1, 0.3 * s)),
            A.ImageCompression(quality_range=(max(10, round(100 - 60 * s)), 95), p=min(1, 0.2 * s)),
        ],
        seed=0,
    )

    def apply(frames: Frames, seed: int) -> Frames:
        pipeline.set_random_seed(seed)
        return np.ascontiguousarray(pipeline(images=frames)["images"])

    return apply
