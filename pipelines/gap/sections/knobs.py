"""What a property of the photos costs: the photos are changed, the detector stays, AP50 is compared photo by photo.

Such a change is causal: nothing else differs. It says what the property costs this detector today, which is the most
that another simulation could win by it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from hybrid.core.types import Detections
from hybrid.data.clips import ClipSource, FrameRecord
from hybrid.data.pixels import decode
from pipelines.gap.appearance import pooled
from pipelines.gap.schema.figure import Figure, too_few
from pipelines.gap.schema.sections import Knob
from pipelines.gap.sections.why import Looks
from pipelines.gap.stats.errors import work_areas
from pipelines.gap.stats.grouping import PhotoSessions
from pipelines.gap.stats.interval import difference_figure, holm
from pipelines.gap.stats.resampled import Resampled

Image = UInt8[np.ndarray, "h w 3"]
Change = Callable[[Image], Image]
Outline = Float[np.ndarray, "..."] | None
POINTS = "points of AP50"
NEARER, FARTHER = 1.25, 0.8  # times the photo's size
MARGIN = 0.02  # of the longer side of a photo: so far from the work area it stays as it is
GREY = 128
SURROUNDINGS = "surroundings"


@dataclass(frozen=True)
class PhotoChange:
    """A change of every photo."""

    name: str
    words: str
    key: str  # by which its detections are kept
    of: Callable[[int, Image], Image]  # of a photo's number and the photo
    larger: float = 1.0  # times the photo's size

    def made(self, number: int, frame: FrameRecord) -> Image:
        """The changed photo of this number."""
        return self.of(number, decode(frame))

    def as_before(self, found: Sequence[Detections]) -> list[Detections]:
        """Detections in the changed photos, with their boxes where they are in the photos as they were."""
        return [replace(one, boxes_xyxy_px=one.boxes_xyxy_px / self.larger) for one in found]


def areas_of(source: ClipSource, sessions: PhotoSessions) -> list[Outline]:
    """The outline of each photo's work area: the hull of all labelled boxes of its session; None: there is none."""
    outlines = work_areas(source.frames, sessions.of_frame)
    return [outlines.get(number) for number in sessions.of_frame.tolist()]


def photo_changes(seen: Looks, areas: Sequence[Outline] = ()) -> list[PhotoChange]:
    """Changes that bring the photos to the simulation's mean, and those that take something away.

    Args:
        seen: the picture statistics of both sides.
        areas: the outline of each photo's work area in pixels; None: not known.
    """
    light = _middle(seen, "brightness")
    cast = _middle(seen, "warmth")
    rows: list[tuple[str, str, str, Change]] = [
        (
            "white balance",
            "with the colour cast of the simulated pictures",
            f" {cast:.3f}",
            partial(balanced, cast=cast),
        ),
        ("brightness", "with the brightness of the simulated pictures", f" {light:.1f}", partial(lit, level=light)),
        ("noise", "without their noise", "", denoised),
        ("sharpness", "a little blurred", "", blurred),
        ("saturation", "without colour", "", grey),
    ]
    changes = [PhotoChange(name, words, f"{name}{value}", _of_each(change)) for name, words, value, change in rows]
    for name, larger in (("larger", NEARER), ("smaller", FARTHER)):
        words = f"shown {larger:g} times as large, as from {'nearer' if larger > 1 else 'farther'}"
        changes.append(PhotoChange(name, words, f"size {larger:g}", _of_each(partial(sized, larger=larger)), larger))
    if any(area is not None for area in areas):
        outlines = hashlib.sha256(repr([None if one is None else one.tolist() for one in areas]).encode()).hexdigest()
        grey_outside = PhotoChange(
            SURROUNDINGS, "grey outside the work area", f"grey outside {outlines}",
            lambda number, image: inside_alone(image, areas[number]),
        )  # fmt: skip
        changes.append(grey_outside)
    return changes


def _of_each(change: Change) -> Callable[[int, Image], Image]:
    return lambda _, image: change(image)


def _middle(seen: Looks, name: str) -> float:
    return float(np.median(pooled(seen.simulated[name])))


def balanced(image: Image, cast: float) -> Image:
    """The image with this logarithm of mean red over mean blue; its green and its brightness stay about the same."""
    red, _, blue = (float(value) for value in image.reshape(-1, 3).mean(0) + 1.0)
    step = (cast - np.log(red / blue)) / 2
    return _whole(image * np.exp(np.array([step, 0.0, -step])))


def lit(image: Image, level: float) -> Image:
    """The image at this mean grey level, by a gamma, so that black and white stay."""
    mean = float(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).mean())
    power = np.log(np.clip(level, 1, 254) / 255) / np.log(np.clip(mean, 1, 254) / 255)
    table = _whole(255 * (np.arange(256) / 255) ** np.clip(power, 0.3, 3.0))
    return np.asarray(table[image])


def denoised(image: Image) -> Image:
    """The image without fine noise: an edge-preserving (bilateral) filter, C. Tomasi and R. Manduchi, 1998."""
    return _whole(cv2.bilateralFilter(image, 5, 12.0, 1.5))


def blurred(image: Image) -> Image:
    """The image, blurred by a Gaussian of 1 px."""
    return _whole(cv2.GaussianBlur(image, (0, 0), 1.0))


def grey(image: Image) -> Image:
    """The image without colour."""
    return np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)


def sized(image: Image, larger: float) -> UInt8[np.ndarray, "height width 3"]:
    """The image at so many times its size."""
    method = cv2.INTER_CUBIC if larger > 1 else cv2.INTER_AREA
    return np.asarray(cv2.resize(image, None, fx=larger, fy=larger, interpolation=method))


def inside_alone(image: Image, area: Outline) -> Image:
    """The image, grey where it is farther from the work area than `MARGIN`; as it is where no area is known."""
    if area is None:
        return image
    mask = np.zeros(image.shape[:2], np.uint8)
    corners = [np.round(area).astype(np.int32).reshape(-1, 1, 2)]
    cv2.fillPoly(mask, corners, 1)
    cv2.polylines(mask, corners, isClosed=True, color=1, thickness=max(1, round(2 * MARGIN * max(mask.shape))))
    return np.where(mask[..., None] > 0, image, np.uint8(GREY))


def _whole(values: Float[np.ndarray, "*shape"] | UInt8[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def knobs(
    changes: Sequence[PhotoChange],
    detections: Sequence[Sequence[Detections]],
    draws_of: Callable[[Sequence[Detections]], Resampled],
    as_they_are: Resampled,
    sessions: PhotoSessions,
) -> tuple[Knob, ...]:
    """The effect of each change, with p corrected over all of them, and the largest gain first.

    Args:
        changes: of the photos.
        detections: of the changed photos, for each change.
        draws_of: matches detections with the photos' boxes, on the draws of `as_they_are`.
        as_they_are: the detections of the photos as they are.
        sessions: of the photos.
    """
    figures: dict[str, Figure] = {}
    for change, found in zip(changes, detections, strict=True):
        values = draws_of(change.as_before(found)).ap50 - as_they_are.ap50
        figures[change.name] = (
            difference_figure([float(values[0])], values[None, 1:], sessions.count, POINTS, len(sessions.of_frame))
            if np.isfinite(values[0])
            else too_few("no object", POINTS)
        )
    corrected = holm(figures)
    rows = [
        Knob(
            name=change.name, change=f"photos {change.words}", kind="change the photos",
            effect=replace(corrected[change.name], unit=POINTS), so=_so(change.name, corrected[change.name]),
        )
        for change in changes
    ]  # fmt: skip
    return tuple(sorted(rows, key=lambda row: -(row.effect.value or 0.0)))


def _so(name: str, effect: Figure) -> str:
    if effect.value is None or effect.p_holm is None:
        return "not known"
    if effect.p_holm >= 0.05:
        return "makes no difference that can be told"
    if effect.value > 0 and name == SURROUNDINGS:
        return "costs AP today: cut the photos to the work area, or put such things around it in simulation"
    if effect.value > 0:
        return "costs AP today: vary it more in simulation"
    return "the detector needs it: leave it in the photos"
