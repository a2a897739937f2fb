"""Colour, blur, noise and compression of a training clip. One draw holds for all frames of the clip; the noise has the
same strength in all of them, and other values in each, as a sensor has it.

`hybrid.training.samples.window` does the geometry (crop, scale, flip), so that boxes stay exact. albumentations draws
each transform once and applies it to every frame of `images`; `set_random_seed` fixes the draw.
"""

from __future__ import annotations

import zlib
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


def _noise_of_each_frame(albumentations: Any) -> Any:
    """GaussNoise that does not give all frames of a clip the same noise: a memory would learn that noise stays."""

    class FrameNoise(albumentations.GaussNoise):  # type: ignore[misc]
        def apply_to_images(self, images: np.ndarray, noise_map: np.ndarray, **params: Any) -> np.ndarray:
            """The noise of the first frame, shifted at random, for each of the others: its pixels are independent."""
            count, height, width = images.shape[:3]
            own_draws = np.random.default_rng(zlib.crc32(noise_map.tobytes()))  # what is drawn next is as for a still
            shifts = own_draws.permutation(height * width - 1)[: count - 1] + 1
            maps = [noise_map, *(np.roll(noise_map, divmod(int(shift), width), (0, 1)) for shift in shifts)]
            pairs = zip(images, maps, strict=True)
            return np.stack([self.apply(image, noise_map=own, **params) for image, own in pairs])

    return FrameNoise


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
            _noise_of_each_frame(A)(std_range=(0.005, 0.005 + 0.045 * s), p=min(1, 0.3 * s)),
            A.ImageCompression(quality_range=(max(10, round(100 - 60 * s)), 95), p=min(1, 0.2 * s)),
        ],
        seed=0,
    )

    def apply(frames: Frames, seed: int) -> Frames:
        pipeline.set_random_seed(seed)
        return np.ascontiguousarray(pipeline(images=frames)["images"])

    return apply
