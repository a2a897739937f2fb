"""How far parts have moved since the frame before, from their pixels.

On a belt most parts move alike. Detections alone do not always tell how far: below the edge of a bridge each frame
shows a piece of some part at the same place, so that the pieces seem to stand. The pixels of the detections do tell
it. Each detection's patch is looked for in the next frame, by normalized cross-correlation (Lewis, Fast Normalized
Cross-Correlation, 1995); the mean over all patches has its peak where most of them went. What stands still, such as the
edge of a bridge in a patch, is outvoted.

All is done on a small grey picture, in which parts are about PART_PX wide, so that the cost does not grow with the
camera.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int64, UInt8

from hybrid.core.peak import fraction

PART_PX = 16.0  # side of a usual part in the small picture
SAME_SCALE = 1.6  # a smaller change of the parts' size keeps the scale
REACH = 2.0  # sides of a usual part: the farthest movement that is looked for
MOST_STEP = 2.0  # usual intervals, for which the reach grows
MOST_PATCHES = 12  # the surest ones, so that the cost is bounded
MARGIN = 0.1  # of a patch on each side of a detection, in its sides
LEAST_PX, LEAST_CONTRAST = 5, 2.0  # of a patch: sides, and standard deviation of its grey levels
LEAST_FIT, ALONE = 0.35, 0.5  # of the peak, from which it counts; a mean over n patches counts n / (n + ALONE)
STEADY = 0.15  # the fit that the last movement is given in advance
NEAR_PX = 2.0  # and so near to it, in the small picture
OWN_FIT = 0.2  # a part moves by itself if its patch fits there by so much better than at the common place


@dataclass(frozen=True)
class Picture:
    """What is kept of a frame, so that the next one can be compared with it."""

    grey: UInt8[np.ndarray, "_ _"]
    scale: float  # of a length in `grey` to one in the frame
    patches_xyxy: Int64[np.ndarray, "m 4"]  # of its detections, in `grey`
    ids: Int64[np.ndarray, " m"]  # of their tracks; -1: none
    way_px: Float[np.ndarray, "2"] | None  # the last movement that was seen, in pixels of the frame per interval


@dataclass(frozen=True)
class Movement:
    """What most parts did since the frame before."""

    way_px: Float[np.ndarray, "2"]  # in pixels of the frame, per usual interval
    step: float
    scale: float
    fits: dict[int, Float32[np.ndarray, "_ _"]] = field(repr=False)  # of each track's patch, by the shift
    grey: UInt8[np.ndarray, "_ _"] = field(repr=False)  # this frame at `scale`

    def own(self, ids: Int64[np.ndarray, " k"], speed_px: Float[np.ndarray, "k 2"]) -> Bool[np.ndarray, " k"]:
        """Which tracks move by themselves: their pixels went along with their own speed, not with the others."""
        rows = zip(ids.tolist(), speed_px, strict=True)
        return np.array([who in self.fits and self._is_own(self.fits[who], one) for who, one in rows], bool)

    def _is_own(self, fit: Float32[np.ndarray, "_ _"], speed_px: Float[np.ndarray, "2"]) -> bool:
        alone, common = (_fit_near(fit, way * self.step * self.scale) for way in (speed_px, self.way_px))
        return bool(alone > common + OWN_FIT)


def movement(before: Picture, image: UInt8[np.ndarray, "h w 3"], step: float) -> Movement | None:
    """How far the parts of the frame before have moved; None: their pixels do not tell.

    Args:
        before: of the frame before.
        image: this frame, RGB.
        step: usual intervals between the two.
    """
    now = _grey(image, before.scale)
    if now.shape != before.grey.shape:
        return None
    reach = round(REACH * PART_PX * min(max(step, 1.0), MOST_STEP))
    fits = _fits(before, now, reach)
    if not fits:
        return None
    mean = np.mean([fit for _, fit in fits], axis=0) * len(fits) / (len(fits) + ALONE)
    if before.way_px is not None:
        mean = mean + STEADY * _bump(before.way_px * step * before.scale, reach)
    row, column = np.unravel_index(int(mean.argmax()), mean.shape)
    if mean[row, column] < LEAST_FIT:
        return None
    peak = np.array([column + fraction(mean[row], int(column)), row + fraction(mean[:, column], int(row))]) - reach
    of_tracks = {who: fit for who, fit in fits if who >= 0}
    return Movement(peak / before.scale / step, step, before.scale, of_tracks, now)


def picture_of(
    image: UInt8[np.ndarray, "h w 3"],
    boxes_xyxy_px: Float[np.ndarray, "n 4"],
    scores: Float[np.ndarray, " n"],
    ids: Int64[np.ndarray, " n"],
    before: Picture | None,
    moved: Movement | None,
) -> Picture:
    """What is kept of a frame.

    Args:
        image: the frame, RGB.
        boxes_xyxy_px: of the detections whose patches are kept.
        scores: of these.
        ids: of their tracks; -1: none.
        before: of the frame before.
        moved: since then.
    """
    sides = np.sqrt((boxes_xyxy_px[:, 2:] - boxes_xyxy_px[:, :2]).clip(1.0).prod(1))
    scale = 1.0 if before is None else before.scale
    if len(sides):
        best = min(1.0, PART_PX / float(np.median(sides)))
        if before is None or max(best / scale, scale / best) > SAME_SCALE:
            scale = best
    grey = moved.grey if moved is not None and moved.scale == scale else _grey(image, scale)
    rows = np.argsort(-scores, kind="stable")[:MOST_PATCHES]
    boxes = boxes_xyxy_px[rows] * scale
    more = MARGIN * (boxes[:, 2:] - boxes[:, :2])
    extent = np.array(grey.shape[::-1])
    low = np.floor(boxes[:, :2] - more).clip(0, extent)
    high = np.ceil(boxes[:, 2:] + more).clip(0, extent)
    way_px = moved.way_px if moved is not None else None if before is None else before.way_px
    return Picture(grey, scale, np.concatenate([low, high], 1).astype(np.int64), ids[rows], way_px)


def _grey(image: UInt8[np.ndarray, "h w 3"], scale: float) -> UInt8[np.ndarray, "_ _"]:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if scale == 1.0:
        return grey
    size = [max(1, round(one * scale)) for one in grey.shape[::-1]]
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)


def _fits(before: Picture, now: UInt8[np.ndarray, "_ _"], reach: int) -> list[tuple[int, Float32[np.ndarray, "_ _"]]]:
    """Of each patch its track, and how well it fits at each shift: rows and columns from -reach to reach."""
    border, ground = cv2.BORDER_CONSTANT, float(now.mean())
    wide = cv2.copyMakeBorder(now, reach, reach, reach, reach, border, value=ground)
    fits = []
    for (left, top, right, bottom), who in zip(before.patches_xyxy.tolist(), before.ids.tolist(), strict=True):
        patch = before.grey[top:bottom, left:right]
        if min(right - left, bottom - top) < LEAST_PX or patch.std() < LEAST_CONTRAST:
            continue
        there = wide[top : bottom + 2 * reach, left : right + 2 * reach]
        fit = cv2.matchTemplate(there, patch, cv2.TM_CCOEFF_NORMED)
        fits.append((who, np.nan_to_num(fit, nan=0.0, posinf=0.0, neginf=0.0).clip(-1, 1)))
    return fits


def _bump(shift: Float[np.ndarray, "2"], reach: int) -> Float[np.ndarray, "_ _"]:
    along = np.arange(-reach, reach + 1)
    x, y = (np.exp(-np.square(along - one) / (2 * NEAR_PX**2)) for one in shift)
    return y[:, None] * x[None]  # type: ignore[no-any-return]


def _fit_near(fit: Float32[np.ndarray, "_ _"], shift: Float[np.ndarray, "2"]) -> float:
    """The best fit within a pixel of a shift; that of the nearest one where it is out of reach."""
    reach = len(fit) // 2
    column, row = (np.round(shift).astype(int) + reach).clip(1, 2 * reach - 1)
    return float(fit[row - 1 : row + 2, column - 1 : column + 2].max())
