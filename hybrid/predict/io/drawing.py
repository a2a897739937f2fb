"""Results drawn into images: boxes, categories, scores, trails of tracks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from hybrid.predict.counting.places import Place, Region

if TYPE_CHECKING:
    from hybrid.predict.counting.counter import Counter
    from hybrid.predict.result import Result

Image = UInt8[np.ndarray, "h w 3"]
COLOURS = (
    (46, 160, 67),
    (31, 111, 235),
    (250, 166, 26),
    (191, 57, 137),
    (0, 171, 179),
    (218, 54, 51),
)  # RGB, repeating
PLACE_COLOUR = (255, 221, 51)  # RGB
AREA_COLOUR = (230, 230, 230)
TRAIL_FRAMES = 24  # length of the trail that is drawn behind a track
Trails = dict[int, list[tuple[int, int]]]  # the last centres of each track


def draw_result(image: Image, result: Result, trails: Trails | None = None) -> Image:
    """A copy of the image with a box, category and score for each detection.

    Objects that are hidden in this frame have dashed boxes. With `trails`, each track has a colour, its number and a
    trail.
    """
    import cv2

    canvas = image.copy()
    thick, letters = _thickness(image), max(0.35, max(image.shape[:2]) / 3000)
    tracks = result.track_ids.tolist()
    rows = zip(result.boxes_xyxy_px, result.scores, result.labels, tracks, result.names, result.hidden, strict=True)
    for box, score, label, track, name, hidden in rows:
        has_trail = trails is not None and track >= 0
        colour = COLOURS[(track if has_trail else int(label)) % len(COLOURS)]
        if trails is not None and has_trail:
            cv2.polylines(canvas, [np.array(trails[track], np.int32)], False, colour, thick, cv2.LINE_AA)
        x0, y0, x1, y1 = (int(v) for v in np.round(box))
        if hidden:
            _draw_dashed(canvas, (x0, y0, x1 - 1, y1 - 1), colour, thick)
        else:
            cv2.rectangle(canvas, (x0, y0), (x1 - 1, y1 - 1), colour, thick, cv2.LINE_AA)
        text_xy = (x0, y0 - 2 * thick if y0 > 12 * thick else y1 + 10 * thick)
        cv2.putText(
            canvas,
            f"{name} {track} {score:.2f}" if has_trail else f"{name} {score:.2f}",
            text_xy,
            cv2.FONT_HERSHEY_SIMPLEX,
            letters,
            colour,
            max(1, thick - 1),
            cv2.LINE_AA,
        )
    return canvas


def draw_counts(canvas: Image, counter: Counter) -> None:
    """Draw the lines and regions of a counter into the image, and what has been counted at each."""
    letters = max(0.35, max(canvas.shape[:2]) / 2200)
    thick, row = _thickness(canvas), round(34 * letters)
    for number, (name, counts) in enumerate(counter.counts.items()):
        draw_edge(canvas, counter.places[number], PLACE_COLOUR)
        kinds = ", ".join(f"{kind} {count}" for kind, count in counts.items())
        text = f"{name}: {sum(counts.values())}" + (f" ({kinds})" if kinds else "")
        _draw_plate(canvas, text, (4 * thick, row * (number + 1)), letters)


def draw_edge(canvas: Image, place: Place, colour: tuple[int, int, int]) -> None:
    """Draw a line, or the edge of a region, into the image."""
    import cv2

    height, width = canvas.shape[:2]
    points = np.array(place.points_px((height, width)), np.float64).clip(-10_000, 10_000).round().astype(np.int32)
    cv2.polylines(canvas, [points], isinstance(place, Region), colour, _thickness(canvas) + 1, cv2.LINE_AA)


def _thickness(canvas: Image) -> int:
    """Of a line in a picture of this size, in pixels."""
    longest: int = max(canvas.shape[:2])
    return max(1, round(longest / 800))


def _draw_plate(canvas: Image, text: str, at_xy: tuple[int, int], letters: float) -> None:
    """Write on a dark plate, so that it can be read on any picture. `at_xy` is where the letters' feet begin."""
    import cv2

    thick = max(1, round(2 * letters))
    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, letters, thick)
    x, y = at_xy
    cv2.rectangle(canvas, (x - 2, y - height - 2), (x + width + 2, y + below), (24, 24, 24), -1)
    cv2.putText(canvas, text, at_xy, cv2.FONT_HERSHEY_SIMPLEX, letters, PLACE_COLOUR, thick, cv2.LINE_AA)


def _draw_dashed(canvas: Image, box: tuple[int, int, int, int], colour: tuple[int, int, int], thick: int) -> None:
    """Draw a box with dashes, each five times as long as the line is thick."""
    import cv2

    x0, y0, x1, y1 = box
    dash = 5 * thick
    for x in range(x0, x1, 2 * dash):
        for y in (y0, y1):
            cv2.line(canvas, (x, y), (min(x + dash, x1), y), colour, thick)
    for y in range(y0, y1, 2 * dash):
        for x in (x0, x1):
            cv2.line(canvas, (x, y), (x, min(y + dash, y1)), colour, thick)


def extend_trails(trails: Trails, result: Result) -> Trails:
    """The trails with the centres of this frame. A track without a detection in TRAIL_FRAMES frames is dropped."""
    extended = {track: [*trail, trail[-1]][-TRAIL_FRAMES:] for track, trail in trails.items()}
    extended = {track: trail for track, trail in extended.items() if len(set(trail)) > 1 or len(trail) < TRAIL_FRAMES}
    for box, track in zip(result.boxes_xyxy_px, result.track_ids.tolist(), strict=True):
        if track >= 0:
            centre = (round(float(box[0] + box[2]) / 2), round(float(box[1] + box[3]) / 2))
            extended[track] = [*extended.get(track, [centre])[:-1], centre] if track in trails else [centre]
    return extended
