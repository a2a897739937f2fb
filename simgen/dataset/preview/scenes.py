"""What the page holds of a scene: pictures, labels as numbers, and what every knob gave."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simgen.dataset.check.pictures import PictureError
from simgen.dataset.format.archive import StoredClip
from simgen.dataset.preview.outlines import outlines
from simgen.dataset.preview.pictures import Room, depth_ends, depth_picture, thumbnail
from simgen.dataset.statistics.draws import Draws, KnobValue, Source, Value, is_fixed, ranges_of
from simgen.dataset.statistics.knobs import range_text
from simgen.spec.errors import ShardError, SimgenError
from simgen.spec.evenly import evenly
from simgen.spec.frames import FrameLabels, Labels, PartLabel
from simgen.spec.knobs import Choice
from simgen.spec.scene import SceneSpec

MOST_VALUES = 6  # of one knob that are listed; of more their ends and their number are told
Plain = dict[str, Any]


def scene(clip: StoredClip, frames: int, room: Room, source: Source | None) -> Plain:
    """A scene for the page, as JSON.

    Args:
        frames: how many at most, spread over the clip.
        room: for each picture.
        source: of the data set; None: its knobs are not shown.

    Raises:
        ShardError: the clip is damaged.
    """
    labels, spec = clip.labels(), clip.spec()
    count = min(clip.frames, len(labels.frames))
    if not count:
        raise ShardError(f"{clip.path}: clip {clip.index} has no frame")
    picks = evenly(range(count), frames)
    ends = depth_ends(clip.depth_m(0))
    return {
        "index": clip.index,
        "id": spec.id,
        "size": [labels.width_px, labels.height_px],
        "frames_in_all": count,
        "depth_m": [round(end, 4) for end in ends],
        "thumbnail": _checked(clip, 0, lambda: thumbnail(clip.jpeg(0))),
        "notes": list(_notes(spec)),
        "frames": [_frame(clip, t, labels, room, ends) for t in picks],
        "knobs": _knobs(spec, source),
    }


def _checked(clip: StoredClip, t: int, make: Any) -> Any:
    try:
        return make()
    except PictureError as error:
        raise clip.damaged(f"f{t:03d}.jpg", error) from error


def _frame(clip: StoredClip, t: int, labels: Labels, room: Room, ends: tuple[float, float]) -> Plain:
    frame = labels.frames[t]
    picture, scale = _checked(clip, t, lambda: room.fitted(clip.jpeg(t)))
    lines = outlines(clip.ids(t), [part.track_id for part in frame.parts])
    return {
        "frame": t,
        "time_s": round(frame.time_s, 4),
        "picture": picture,
        "scale": round(scale, 3),
        "depth": depth_picture(clip, t, *ends),
        "parts": [_part(part, lines) for part in _listed(frame)],
    }


def _listed(frame: FrameLabels) -> Iterator[PartLabel]:
    """The parts that are in the frame, seen or hidden."""
    return (part for part in frame.parts if part.amodal_box_xyxy_px is not None or part.box_xyxy_px is not None)


def _part(part: PartLabel, lines: dict[int, str]) -> Plain:
    return {
        "id": part.track_id,
        "category": part.category,
        "box": _rounded(part.box_xyxy_px),
        "whole": _rounded(part.amodal_box_xyxy_px),
        "visible": round(part.visible_share, 3),
        "outline": lines.get(part.track_id, ""),
    }


def _rounded(box: tuple[float, float, float, float] | None) -> list[float] | None:
    return None if box is None else [round(v, 1) for v in box]


def _notes(spec: SceneSpec) -> Iterator[str]:
    if not spec.parts:
        yield "no parts"
    if spec.decoys:
        yield f"{len(spec.decoys)} decoys"
    if spec.attempt:
        yield f"drawn again {spec.attempt} times, since its parts fell wrongly"
    if spec.stage.photo:
        yield f"on the photo {spec.stage.photo.name}"
    yield f"drawn by {spec.render.renderer}"


def _knobs(spec: SceneSpec, source: Source | None) -> list[list[Any]]:
    """A row for each knob that varies and was drawn: its key, what it gave, its range, and where in it, 0 to 1."""
    if source is None:
        return []
    try:
        draws = source.draws(spec.index, spec.attempt)
    except (SimgenError, KeyError, ValueError):
        return []
    if draws.spec.to_json() != spec.to_json():
        return []
    return list(_rows(source, draws))


def _rows(source: Source, draws: Draws) -> Iterator[list[Any]]:
    for path, knob in ranges_of(source.config):
        if path in draws.values and not is_fixed(knob):
            values = draws.values[path]
            yield [path, _text(values), range_text(knob), [_place(knob, value) for value in values[:50]]]


def _place(knob: KnobValue, value: Value) -> float | None:
    if isinstance(knob, Choice) or isinstance(value, str):
        return None
    return round((value - knob.low) / (knob.high - knob.low), 3)


def _text(values: list[Value]) -> str:
    numbers = [value for value in values if not isinstance(value, str)]
    if len(numbers) > MOST_VALUES:
        return f"{min(numbers):.4g} to {max(numbers):.4g}, {len(numbers)} draws"
    names = [value if isinstance(value, str) else f"{value:.4g}" for value in values]
    listed = ", ".join(names[:MOST_VALUES])
    return listed if len(names) <= MOST_VALUES else f"{listed} and {len(names) - MOST_VALUES} more"
