"""Colour, blur, noise and compression of a training clip. One draw holds for all frames of the clip.

`hybrid.training.samples.window` does the geometry (crop, scale, flip), so that boxes stay exact. albumentations draws
each transform once and applies it to every frame of `images`; `set_random_seed` fixes the draw.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import UInt8

Frames = UInt8[np.ndarray, "t h w 3"]
Augment = Callable[[Frames, int], Frames]  # (frames, seed) -> frames


def import_albumentations() -> Any:
    """The module albumentations. Its import would look for a newer version on the network."""
    import os

    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations  # type: ignore[import-untyped]

    return albumentations


@cache
def photometric(strength: float) -> Augment:
    """The augmentation of this strength. Strength 0 returns the frames unchanged.

    The ranges at strength 1 are the differences between cameras over a line: exposure and contrast by one stop, white
    balance by a few thousand kelvin, focus by one or two pixels, sensor noise up to 5 % of white, JPEG quality down
    to 40.
    """
    if strength == 0:
        return lambda frames, seed: frames
    A = import_albumentations()
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
