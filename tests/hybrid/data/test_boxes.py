"""Boxes as stated: clipped to the image, and each one that is left out is counted under its reason."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid.core.errors import DataError
from hybrid.data.boxes import LEAST_SIDE_PX, StatedBox, box_arrays, make_source, usable_boxes
from hybrid.data.clips import Clip, Skips

numbers = st.one_of(st.floats(-200, 300), st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 100.0, 60.0]))


@given(st.lists(st.tuples(numbers, numbers, numbers, numbers), max_size=12))
def test_every_box_is_usable_or_counted_once(rows: list[tuple[float, float, float, float]]) -> None:
    skips, boxes = Skips(), [StatedBox(f"box {k}", k, row) for k, row in enumerate(rows)]
    usable = usable_boxes(boxes, 100, 60, skips)
    clipped = "box reached outside its image: clipped"
    dropped = [item for reason, items in skips.done().items() if reason != clipped for item in items]
    assert sorted([*dropped, *(box.name for box in usable)]) == sorted(box.name for box in boxes)
    xyxy, labels = box_arrays(usable, 100, 60)
    assert labels.tolist() == [box.label for box in usable]
    assert ((xyxy >= 0) & (xyxy <= [100, 60, 100, 60])).all()
    assert ((xyxy[:, 2:] - xyxy[:, :2]) >= LEAST_SIDE_PX).all()


@pytest.mark.parametrize(
    ("xyxy", "reason"),
    [
        ((97.0, 10, 100, 20), None),
        ((97.01, 10, 100, 20), "box with a side under 3 px"),
        ((97.5, 10, 120, 20), "box with a side under 3 px"),
        ((100.0, 10, 120, 20), "box outside its image"),
        ((-0.9, 10, 20, 20), None),
        ((-1.1, 10, 20, 20), "box reached outside its image: clipped"),
        ((20.0, 10, 20, 20), "box without an area"),
        ((20.0, 20, 30, 10), "box without an area"),
    ],
)
def test_the_limits_are_the_documented_ones(xyxy: tuple[float, ...], reason: str | None) -> None:
    skips = Skips()
    usable = usable_boxes([StatedBox("b", 0, tuple(map(float, xyxy)))], 100, 60, skips)
    assert list(skips.done()) == ([] if reason is None else [reason])
    assert len(usable) == (reason is None or "clipped" in reason)


def test_a_source_without_frames_lists_the_reasons() -> None:
    skips = Skips()
    for name in ("a.png", "b.png"):
        skips.add("image file missing", name)
    with pytest.raises(DataError, match=r"photos: no usable image. image file missing: 2 \(such as a.png\)"):
        make_source("photos", ("bolt",), [Clip("a", ())], skips)
    with pytest.raises(DataError, match="The data set lists no image"):
        make_source("photos", ("bolt",), [], Skips())
    assert np.concatenate([*box_arrays([], 4, 4)[:1]]).shape == (0, 4)
