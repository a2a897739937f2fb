"""Occluders: moving shapes that are drawn into training clips, so that objects disappear and come back.

This is random erasing (Zhong et al., AAAI 2020) over the frames of a clip. From a still, a detector learns where a
half-covered object ends; from a clip, that an object which is fully covered is still there. The labels must be boxes
of whole objects.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, UInt8

MOST_OCCLUDERS = 3  # in a clip
RADIUS = (0.08, 0.3)  # range, as a fraction of the tile's side
SPEED = 0.12  # at most, as a fraction of the tile's side per frame
STATIC_SHARE = 0.3  # of the occluders do not move
COVERED_SHARE = 0.9  # an object counts as hidden from this covered fraction of its box


@dataclass(frozen=True)
class _Occluder:
    corners_px: Float32[np.ndarray, "k 2"]  # relative to its centre
    start_px: Float32[np.ndarray, " xy"]
    speed_px: Float32[np.ndarray, " xy"]  # per frame
    texture: Float32[np.ndarray, "h w 3"]  # its colour, over the whole tile

    def mask(self, frame: int) -> Bool[np.ndarray, "h w"]:
        import cv2

        blank = np.zeros(self.texture.shape[:2], np.uint8)
        outline = self.corners_px + self.start_px + frame * self.speed_px
        return cv2.fillPoly(blank, [np.round(outline).astype(np.int32)], 1).astype(bool)


def draw_occluders(
    images: UInt8[np.ndarray, "t h w 3"], rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "t h w 3"], Bool[np.ndarray, "t h w"]]:
    """A copy of the frames with one to three occluders drawn over them, and a mask of the covered pixels."""
    frames, height, width, _ = images.shape
    images, covered = images.copy(), np.zeros(images.shape[:3], bool)
    for _ in range(int(rng.integers(1, MOST_OCCLUDERS + 1))):
        occluder = _random_occluder(height, width, frames, rng)
        for k in range(frames):
            mask = occluder.mask(k)
            images[k][mask] = occluder.texture[mask].clip(0, 255).astype(np.uint8)
            covered[k] |= mask
    return images, covered


def hidden_boxes(covered: Bool[np.ndarray, "h w"], boxes_xyxy_px: Float32[np.ndarray, "n 4"]) -> Bool[np.ndarray, " n"]:
    """Which boxes are covered by COVERED_SHARE or more."""
    shares = []
    for x0, y0, x1, y1 in np.round(boxes_xyxy_px).astype(int):
        inside = covered[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
        shares.append(inside.mean() if inside.size else 0.0)
    return np.array(shares) >= COVERED_SHARE


def _random_occluder(height: int, width: int, frames: int, rng: np.random.Generator) -> _Occluder:
    side = min(height, width)
    angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(4, 9))))
    radii = side * rng.uniform(*RADIUS) * rng.uniform(0.7, 1.3, len(angles))
    corners = np.stack([np.cos(angles), np.sin(angles)], -1) * radii[:, None]
    speed = rng.uniform(-1, 1, 2) * SPEED * side * (rng.random() >= STATIC_SHARE)
    centre = rng.uniform(0, 1, 2) * (width, height)  # its position in the middle of the clip
    return _Occluder(
        corners.astype(np.float32),
        (centre - speed * (frames - 1) / 2).astype(np.float32),
        speed.astype(np.float32),
        _random_texture(height, width, rng),
    )


def _random_texture(height: int, width: int, rng: np.random.Generator) -> Float32[np.ndarray, "h w 3"]:
    """A linear colour gradient with noise."""
    from_colour, to_colour = rng.uniform(0, 255, (2, 3))
    to_colour = from_colour + rng.uniform(0, 0.5) * (to_colour - from_colour)
    slope = rng.uniform(-1, 1, 2)
    y, x = np.mgrid[0:height, 0:width]
    along = (slope[0] * x / width + slope[1] * y / height + 1) / 2
    noise = rng.normal(0, rng.uniform(0, 12), (height, width, 1))
    return (from_colour + along[..., None] * (to_colour - from_colour) + noise).astype(np.float32)  # type: ignore[no-any-return]
