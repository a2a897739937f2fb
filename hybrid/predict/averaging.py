"""Each frame of a video averaged with the frames before it, which are moved as the picture moved: against noise.

For a fixed camera over a belt, in poor light. Nothing here learns. One shift is estimated for each pair of frames: the
peak of the correlation of two small pictures without their slow changes of brightness. The correlations of earlier
pairs count too, less and less, since under strong noise one pair may not tell. Parabolas through the peak give
fractions. Where no peak stands out, the frame begins anew: it is not mixed with frames that do not fit.

What does not move with the rest of the picture (a guide beside the belt, a part that rolls) is smeared.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float32, Float64, UInt8

from hybrid.core.errors import ConfigError
from hybrid.core.peak import fraction
from hybrid.predict.io.video import Source, SourceFrame

MOST = 32  # frames that are averaged
SMALL_PX = 160  # the small pictures are about so long, or half the frame
LEAST_POOL = 2
REACH = 0.2  # the longest shift, as a share of the picture's longer side
AROUND = 0.2  # side of the square whose mean is taken from each pixel, likewise
KEPT = 0.7  # of the correlations of the pairs before
LEAST_PEAK = 4.5  # height of a peak in standard deviations of the correlation, from which it is believed

Image = UInt8[np.ndarray, "h w 3"]
Small = Float32[np.ndarray, "_ _"]
Shift = Float64[np.ndarray, "2"]  # (x, y) in pixels of the frame


def averaged(source: Source, frames: int) -> Source:
    """A source of video with averaged frames. Stills stay as they are.

    Args:
        source: as `open_source` gives it.
        frames: that are averaged, with the frame itself. A clip's first frames have fewer.

    Raises:
        ConfigError: `frames` is not from 1 to MOST.

    >>> detector.stream(averaged(open_source("belt.mp4"), 4))
    """
    if not 1 <= frames <= MOST:
        raise ConfigError(f"average: needs 1 to {MOST} frames, got {frames}")
    return source if frames == 1 else replace(source, clips=(_averaged_clip(clip, frames) for clip in source.clips))


def _averaged_clip(clip: Iterable[SourceFrame], frames: int) -> Iterator[SourceFrame]:
    average: Average | None = None
    for frame in clip:
        if frame.still:
            yield frame
            continue
        average = after(average, frame.image, frames)
        yield replace(frame, image=average.image())


@dataclass(frozen=True)
class Average:
    """The last frames, newest first, and what is kept to tell the motion."""

    images: tuple[Image, ...]
    ways_px: tuple[Shift, ...]  # how far each of them moved until now
    small: Small
    agreement: Small  # of each shift, row by row; 0 at first

    def image(self) -> Image:
        """The mean of the frames, each where it is now. What came in later is the mean of fewer."""
        height, width = self.images[0].shape[:2]
        total, count = self.images[0].astype(np.float32), np.ones((height, width, 3), np.float32)
        for image, way in zip(self.images[1:], self.ways_px[1:], strict=True):
            moved = cv2.warpAffine(image, np.array([[1, 0, way[0]], [0, 1, way[1]]]), (width, height))
            rows, columns = _seen(float(way[1]), height), _seen(float(way[0]), width)
            total[rows, columns] += moved[rows, columns]
            count[rows, columns] += 1
        return cv2.divide(total, count, dtype=cv2.CV_8U)


def _seen(way_px: float, side_px: int) -> slice:
    """Where a frame that was moved by so much along an axis has pixels of its own."""
    return slice(max(0, math.ceil(way_px)), max(0, min(side_px, math.floor(side_px - 1 + way_px) + 1)))


def after(before: Average | None, image: Image, frames: int) -> Average:
    """The average after one more frame, of at most `frames`. None, or another size: it begins here."""
    small = _small(image)
    if before is None or before.images[0].shape != image.shape:
        return Average((image,), (np.zeros(2),), small, _correlation(np.zeros_like(small), small))
    agreement = KEPT * before.agreement + _correlation(before.small, small)
    shift = _peak(agreement)
    if shift is None:
        return Average((image,), (np.zeros(2),), small, agreement)
    ways = tuple(way + shift * _pool(image) for way in before.ways_px)
    return Average((image, *before.images)[:frames], (np.zeros(2), *ways)[:frames], small, agreement)


def _pool(image: Image) -> int:
    return max(LEAST_POOL, round(int(max(image.shape[:2])) / SMALL_PX))


def _small(image: Image) -> Small:
    """A small grey picture without slow changes of brightness, of mean 0 and spread 1."""
    pool, (height, width) = _pool(image), image.shape[:2]
    grey = cv2.resize(image, (width // pool, height // pool), interpolation=cv2.INTER_AREA).mean(2, dtype=np.float32)
    side = 2 * int(AROUND * max(grey.shape) / 2) + 1
    flat = grey - cv2.blur(grey, (side, side))
    return (flat - flat.mean()) / (flat.std() + 1e-4)  # type: ignore[no-any-return]


def _correlation(earlier: Small, now: Small) -> Small:
    """How well each shift carries one picture onto the other, over what chance gives."""
    reach = int(REACH * max(now.shape))
    around = cv2.copyMakeBorder(now, reach, reach, reach, reach, cv2.BORDER_CONSTANT, value=(0.0,))
    sums = cv2.matchTemplate(around, earlier, cv2.TM_CCORR)
    apart = np.abs(np.arange(-reach, reach + 1))
    overlap = np.outer(*(np.maximum(side - apart, 1) for side in now.shape))
    return (sums / np.sqrt(overlap)).astype(np.float32)  # type: ignore[no-any-return]


def _peak(agreement: Small) -> Shift | None:
    """(x, y) of the highest point from the middle, with fractions; None: no point stands out."""
    row, column = np.unravel_index(np.argmax(agreement), agreement.shape)
    top, reach = agreement[row, column], agreement.shape[0] // 2
    if top - agreement.mean() < LEAST_PEAK * agreement.std() or not agreement.std():
        return None
    x = column - reach + fraction(agreement[row], int(column))
    y = row - reach + fraction(agreement[:, column], int(row))
    return np.array([x, y], np.float64)
