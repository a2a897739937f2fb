"""Things that pass in front: drawn into training clips, each in motion of its own, so that objects hide and come back.

As random erasing (Zhong et al., AAAI 2020), but over the frames of a clip: what is learned from a still is where a
thing ends that is half covered, and from a clip that it is still there once it is covered whole. For boxes of whole
things.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, UInt8

MOST = 3  # things of a clip
RADIUS = (0.08, 0.3)  # of the tile's side
SPEED = 0.12  # of the tile's side in a frame, at most
STILL = 0.3  # the share of things that do not move
COVERED = 0.9  # the share of a box from which on its object counts as hidden


@dataclass(frozen=True)
class _Thing:
    corners_px: Float32[np.ndarray, "k 2"]  # about its centre
    start_px: Float32[np.ndarray, " xy"]
    speed_px: Float32[np.ndarray, " xy"]
    paint: Float32[np.ndarray, "h w 3"]  # what it looks like, over the whole tile

    def mask(self, frame: int) -> Bool[np.ndarray, "h w"]:
        import cv2

        blank = np.zeros(self.paint.shape[:2], np.uint8)
        outline = self.corners_px + self.start_px + frame * self.speed_px
        return cv2.fillPoly(blank, [np.round(outline).astype(np.int32)], 1).astype(bool)


def pass_in_front(
    images: UInt8[np.ndarray, "t h w 3"], rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "t h w 3"], Bool[np.ndarray, "t h w"]]:
    """The frames with one to three things drawn over them, and where those are."""
    frames, height, width, _ = images.shape
    images, covered = images.copy(), np.zeros(images.shape[:3], bool)
    for _ in range(int(rng.integers(1, MOST + 1))):
        thing = _draw(height, width, frames, rng)
        for k in range(frames):
            mask = thing.mask(k)
            images[k][mask] = thing.paint[mask].clip(0, 255).astype(np.uint8)
            covered[k] |= mask
    return images, covered


def hidden_behind(
    covered: Bool[np.ndarray, "h w"], boxes_xyxy_px: Float32[np.ndarray, "n 4"]
) -> Bool[np.ndarray, " n"]:
    """Which boxes are covered but for a tenth."""
    shares = []
    for x0, y0, x1, y1 in np.round(boxes_xyxy_px).astype(int):
        inside = covered[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
        shares.append(inside.mean() if inside.size else 0.0)
    return np.array(shares) >= COVERED


def _draw(height: int, width: int, frames: int, rng: np.random.Generator) -> _Thing:
    side = min(height, width)
    angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(4, 9))))
    reach = side * rng.uniform(*RADIUS) * rng.uniform(0.7, 1.3, len(angles))
    corners = np.stack([np.cos(angles), np.sin(angles)], -1) * reach[:, None]
    speed = rng.uniform(-1, 1, 2) * SPEED * side * (rng.random() >= STILL)
    middle = rng.uniform(0, 1, 2) * (width, height)  # where it is in the middle of the clip
    return _Thing(
        corners.astype(np.float32),
        (middle - speed * (frames - 1) / 2).astype(np.float32),
        speed.astype(np.float32),
        _paint(height, width, rng),
    )


def _paint(height: int, width: int, rng: np.random.Generator) -> Float32[np.ndarray, "h w 3"]:
    """A colour that changes along a line, and grain."""
    from_colour, to_colour = rng.uniform(0, 255, (2, 3))
    to_colour = from_colour + rng.uniform(0, 0.5) * (to_colour - from_colour)
    slope = rng.uniform(-1, 1, 2)
    y, x = np.mgrid[0:height, 0:width]
    along = (slope[0] * x / width + slope[1] * y / height + 1) / 2
    grain = rng.normal(0, rng.uniform(0, 12), (height, width, 1))
    return (from_colour + along[..., None] * (to_colour - from_colour) + grain).astype(np.float32)  # type: ignore[no-any-return]
