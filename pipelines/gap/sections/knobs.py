"""What a property of the photos costs: the photos are changed, the detector stays, AP50 is compared photo by photo.

Such a change is causal: nothing else differs. It says what the property costs this detector today, which is the most
that another simulation could win by it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from hybrid.core.types import Detections
from pipelines.gap.appearance import pooled
from pipelines.gap.schema.figure import Figure, too_few
from pipelines.gap.schema.sections import Knob
from pipelines.gap.sections.why import Looks
from pipelines.gap.stats.grouping import PhotoSessions
from pipelines.gap.stats.interval import difference_figure, holm
from pipelines.gap.stats.resampled import Resampled

Image = UInt8[np.ndarray, "h w 3"]
Change = Callable[[Image], Image]
POINTS = "points of AP50"


@dataclass(frozen=True)
class PhotoChange:
    """A change of every photo."""

    name: str
    words: str
    key: str  # by which its detections are kept
    of: Change


def photo_changes(seen: Looks) -> list[PhotoChange]:
    """Changes that bring the photos to the simulation's mean, and those that take something away."""
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
    return [PhotoChange(name, words, f"{name}{value}", change) for name, words, value, change in rows]


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
        values = draws_of(found).ap50 - as_they_are.ap50
        figures[change.name] = (
            difference_figure([float(values[0])], values[None, 1:], sessions.count, POINTS, len(sessions.of_frame))
            if np.isfinite(values[0])
            else too_few("no object", POINTS)
        )
    corrected = holm(figures)
    rows = [
        Knob(
            name=change.name, change=f"photos {change.words}", kind="change the photos",
            effect=replace(corrected[change.name], unit=POINTS), so=_so(corrected[change.name]),
        )
        for change in changes
    ]  # fmt: skip
    return tuple(sorted(rows, key=lambda row: -(row.effect.value or 0.0)))


def _so(effect: Figure) -> str:
    if effect.value is None or effect.p_holm is None:
        return "not known"
    if effect.p_holm >= 0.05:
        return "makes no difference that can be told"
    if effect.value > 0:
        return "costs AP today: vary it more in simulation"
    return "the detector needs it: leave it in the photos"
