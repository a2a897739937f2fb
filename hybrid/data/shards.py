"""Clips from simulated shards. The only module of hybrid that imports simgen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from hybrid.core.config import BoxesOf
from hybrid.core.errors import DataError
from hybrid.data.boxes import Box, checked, finished, inside_image
from hybrid.data.clips import Clip, ClipSource, FrameRecord, Skips
from simgen.dataset.store.locations import Place


def from_shards(
    folder: Place,
    categories: Sequence[str] | None = None,
    least_visible: float = 0.2,
    boxes: BoxesOf = "visible",
) -> ClipSource:
    """The clips of a finished simgen data set. A part counts where `least_visible` of it or more can be seen.

    Boxes of whole parts, clipped to the frame, go on while a part is hidden: from when it has been seen in its clip
    until its box has left the frame (`FrameRecord.hidden`).

    Raises:
        DataError: the data set is damaged or unfinished, or holds no clip.
    """
    from simgen.dataset.format.reader import DataSet
    from simgen.spec.errors import ShardError

    skips = Skips()
    try:
        data_set = DataSet(folder)
        known = tuple(categories) if categories is not None else data_set.categories
        clips = []
        for stored in data_set:
            labels = stored.meta()["labels"]
            size = int(labels["width_px"]), int(labels["height_px"])
            frames, seen = [], set[int]()
            for number, frame in enumerate(labels["frames"]):
                name = f"{stored.index:06d}.f{number:03d}"
                member, depth = stored.members[f"f{number:03d}.jpg"], stored.members.get(f"f{number:03d}.depth.png")
                stated = _sim_boxes(
                    frame["parts"], f"scene {name}", known, least_visible, seen if boxes == "whole" else None, skips
                )
                kept = inside_image(stated, *size, skips)
                xyxy, found = checked(kept, *size, Skips())
                frames.append(
                    FrameRecord(
                        name=name,
                        path=stored.path,
                        offset=member.offset,
                        length=member.size,
                        width_px=size[0],
                        height_px=size[1],
                        boxes_xyxy_px=xyxy,
                        labels=found,
                        track_ids=np.array([box.track_id for box in kept], np.int64),
                        visible_share=np.array([box.visible_share for box in kept], np.float32),
                        hidden=np.array([box.hidden for box in kept], bool) if boxes == "whole" else None,
                        depth_at=None if depth is None else (depth.offset, depth.size),
                    )
                )
            clips.append(Clip(f"{stored.index:06d}", tuple(frames)))
    except ShardError as error:
        raise DataError(str(error)) from error
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder}: a clip's labels are not as simgen writes them: {error!r}") from error
    return finished(str(folder), known, clips, skips)


def _sim_boxes(
    parts: Iterable[Mapping[str, Any]],
    frame: str,
    known: Sequence[str],
    least_visible: float,
    seen: set[int] | None,
    skips: Skips,
) -> Iterable[Box]:
    """Visible boxes where `seen` is None; else whole ones, of parts `seen` in the clip so far, which is added to."""
    for part in parts:
        what, track_id, share = f"{frame} part {part['track_id']}", int(part["track_id"]), float(part["visible_share"])
        hidden = part["box_xyxy_px"] is None or share < least_visible
        if seen is not None and not hidden:
            seen.add(track_id)
        box = part["box_xyxy_px"] if seen is None else part["amodal_box_xyxy_px"]
        if part["category"] not in known:
            skips.add(f"category {part['category']!r} not known to the model", what)
        elif seen is None and hidden:
            skips.add(f"part of which less than {least_visible:g} can be seen", what)
        elif seen is not None and track_id not in seen:
            skips.add(f"part of which less than {least_visible:g} has been seen so far", what)
        elif box is None:
            skips.add("part outside the frame", what)
        else:
            yield Box(what, known.index(part["category"]), box, track_id, share, hidden)
