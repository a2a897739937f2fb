"""How far parts moved is told by their pixels, also where their places do not tell it."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch

from hybrid.core.types import Detections
from hybrid.predict.linking import Linked, Linking, link
from hybrid.predict.linking.motion.pixels import MOST_PATCHES, PART_PX, Movement, Picture, movement, picture_of

SIZE = (120, 200)  # height and width of the pictures
SIDE = 20


def texture(number: int) -> np.ndarray:
    coarse = np.random.default_rng(number).integers(40, 220, (5, 5, 3)).astype(np.uint8)
    return cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)


def picture(parts: dict[int, tuple[float, float]], size: tuple[int, int] = SIZE) -> np.ndarray:
    """Parts by their number, each with its own texture, with their corner at a whole pixel, on grey ground."""
    image = np.full((*size, 3), 90, np.uint8)
    for number, (x, y) in parts.items():
        left, top = round(x), round(y)
        rows, columns = slice(max(top, 0), max(top + SIDE, 0)), slice(max(left, 0), max(left + SIDE, 0))
        there = image[rows, columns]
        there[:] = texture(number)[max(-top, 0) :, max(-left, 0) :][: there.shape[0], : there.shape[1]]
    return image


def boxes_of(parts: dict[int, tuple[float, float]]) -> np.ndarray:
    return np.array([[x, y, x + SIDE, y + SIDE] for x, y in parts.values()], float).reshape(-1, 4)


def kept(parts: dict[int, tuple[float, float]], before: Picture | None = None) -> Picture:
    ids = np.array(list(parts), np.int64)
    return picture_of(picture(parts), boxes_of(parts), np.full(len(parts), 0.9), ids, before, None)


PARTS = {0: (20.0, 20.0), 1: (80.0, 30.0), 2: (60.0, 80.0)}


@pytest.mark.parametrize("step", [1.0, 2.0])
@pytest.mark.parametrize("way", [(0, 0), (13, 0), (-9, 6), (24, -4)])
def test_what_the_parts_have_in_common_is_measured_per_interval(way: tuple[int, int], step: float) -> None:
    moved = {who: (x + way[0], y + way[1]) for who, (x, y) in PARTS.items()}
    found = movement(kept(PARTS), picture(moved), step)
    assert found is not None
    np.testing.assert_allclose(found.way_px * step, way, atol=0.7)


def test_a_part_that_goes_its_own_way_is_told_from_those_that_go_with_the_others() -> None:
    moved = {0: (33.0, 20.0), 1: (93.0, 30.0), 2: (60.0, 80.0)}
    found = movement(kept(PARTS), picture(moved), 1.0)
    assert found is not None
    np.testing.assert_allclose(found.way_px, (13, 0), atol=0.7)
    stands, ids = np.zeros((4, 2)), np.array([0, 1, 2, 9])
    assert found.own(ids, stands).tolist() == [False, False, True, False], "2 stood; of 9 there is no patch"
    assert not found.own(ids, np.full((4, 2), (13.0, 0.0))).any(), "those are the common speed"


def test_a_bridges_edge_in_the_patches_does_not_hold_the_parts() -> None:
    edge = {20: (60.0, 10.0), 21: (60.0, 50.0), 22: (60.0, 90.0)}
    parts = {0: (46.0, 10.0), 1: (46.0, 50.0), 2: (46.0, 90.0)}
    moved = {who: (x + 6, y) for who, (x, y) in parts.items()}
    before = picture_of(picture(parts | edge), boxes_of(parts), np.full(3, 0.9), np.arange(3), None, None)
    found = movement(before, picture(moved | edge), 1.0)
    assert found is not None
    np.testing.assert_allclose(found.way_px, (6, 0), atol=1.2)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, picture(PARTS)),
        (PARTS, np.full((*SIZE, 3), 90, np.uint8)),
        (PARTS, np.random.default_rng(0).integers(0, 255, (*SIZE, 3)).astype(np.uint8)),
        (PARTS, picture(PARTS, (60, 80))),
    ],
    ids=["no part", "a blank frame", "noise", "another size"],
)
def test_pixels_that_tell_nothing_say_so(before: dict[int, tuple[float, float]], after: np.ndarray) -> None:
    assert movement(kept(before), after, 1.0) is None


def test_a_blank_frame_gives_no_patch_and_keeps_the_movement_before() -> None:
    blank, boxes = np.full((*SIZE, 3), 90, np.uint8), boxes_of(PARTS)
    grey = picture_of(blank, boxes, np.full(3, 0.9), np.arange(3), kept(PARTS), None).grey
    went = Movement(np.array([13.0, 0.0]), 1.0, 0.8, {}, grey)
    after = picture_of(blank, boxes, np.full(3, 0.9), np.arange(3), kept(PARTS), went)
    assert after.way_px is went.way_px
    assert movement(after, picture(PARTS), 1.0) is None
    assert kept(PARTS, after).way_px is went.way_px


def test_of_two_movements_that_fit_alike_the_one_before_counts() -> None:
    """Parts that all look alike, in a row: each may have become the next one on either side."""
    row = {k: (20.0 + 30 * k, 50.0) for k in range(5)}
    image = np.full((*SIZE, 3), 90, np.uint8)
    for x, y in row.values():
        image[int(y) : int(y) + SIDE, int(x) : int(x) + SIDE] = texture(7)
    grey = picture_of(image, boxes_of(row)[1:4], np.full(3, 0.9), np.arange(3), None, None).grey
    for way in (30.0, -30.0):
        went = Movement(np.array([way, 0.0]), 1.0, 0.8, {}, grey)
        before = picture_of(image, boxes_of(row)[1:4], np.full(3, 0.9), np.arange(3), None, went)
        found = movement(before, image, 1.0)
        assert found is not None
        np.testing.assert_allclose(found.way_px, (way, 0), atol=1.0)


def test_what_is_kept_is_small_and_does_not_grow() -> None:
    many = {k: (10.0 * (k % 18), 10.0 * (k // 18)) for k in range(60)}
    state = kept(many)
    assert len(state.patches_xyxy) == len(state.ids) == MOST_PATCHES
    large = np.zeros((960, 1280, 3), np.uint8)
    state = picture_of(large, np.array([[100.0, 100, 260, 260]]), np.ones(1), np.zeros(1, np.int64), state, None)
    assert state.scale == pytest.approx(PART_PX / 160)
    assert state.grey.shape == (96, 128)
    near = picture_of(large, np.array([[100.0, 100, 240, 240]]), np.ones(1), np.zeros(1, np.int64), state, None)
    assert near.scale == state.scale, "a small change of the parts' size keeps the scale"


def followed(count: int, linking: Linking, with_images: bool) -> tuple[list[Detections], Linked]:
    """Parts whose distance is what they move in an interval: each stands where another one was before."""
    state, told = None, []
    for t in range(count):
        parts = {k: (30.0 * (t - k) + 10, 50.0) for k in range(count + 6) if 0 <= 30 * (t - k) + 10 <= 170}
        parts |= {k: (30.0 * (t - k) + 10, 50.0) for k in range(-5, 0) if 30 * (t - k) + 10 <= 170}
        boxes = torch.from_numpy(boxes_of(parts).astype(np.float32))
        rows = Detections(boxes, torch.full((len(boxes),), 0.9), torch.zeros(len(boxes), dtype=torch.int64))
        image = picture({k % 97: place for k, place in parts.items()}) if with_images else None
        one, state = link(rows, state, linking, size_hw_px=SIZE, image=image)
        told.append(one)
    assert state is not None
    return told, state


def ids_by_place(one: Detections) -> dict[int, int]:
    rows = zip(one.boxes_xyxy_px.tolist(), one.track_ids.tolist(), one.unseen.tolist(), strict=True)
    return {round(box[0]): who for box, who, unseen in rows if not unseen}


def test_parts_that_stand_where_others_were_keep_their_ids_by_their_pixels_alone() -> None:
    told, state = followed(5, Linking(), True)
    for before, after in pairwise(told):
        old, new = ids_by_place(before), ids_by_place(after)
        assert {x + 30: who for x, who in old.items() if x + 30 <= 170} == {x: w for x, w in new.items() if x > 10}
        assert new[10] not in old.values()
    np.testing.assert_allclose(state.speed_px, np.tile((30.0, 0.0), (len(state), 1)), atol=1.0)
    for linking, with_images in ((Linking(), False), (Linking(pixels=False), True)):
        stands, without = followed(5, linking, with_images)
        assert ids_by_place(stands[0]) == ids_by_place(stands[-1]), "without pixels all seem to stand"
        assert without.picture is None


def test_a_stream_goes_on_from_a_state_without_a_picture() -> None:
    _, state = followed(3, Linking(pixels=False), True)
    rows = Detections(torch.tensor([[10.0, 50, 30, 70]]), torch.tensor([0.9]), torch.zeros(1, dtype=torch.int64))
    _, after = link(rows, state, Linking(), size_hw_px=SIZE, image=picture({0: (10.0, 50.0)}))
    assert after.picture is not None
    assert after.picture.way_px is None


@pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
def test_a_fast_part_that_comes_in_at_the_edge_keeps_its_id_from_its_first_sliver(side: str) -> None:
    """More of it is seen in each frame, up to the edge: first a sliver of 4 px, then 18 px, then all of it."""
    height, width = SIZE
    start, way = {
        "left": ((-16, 50), (14, 0)),
        "right": ((width - 4, 50), (-14, 0)),
        "top": ((50, -16), (0, 14)),
        "bottom": ((50, height - 4), (0, -14)),
    }[side]
    state = None
    for t in range(4):
        x, y = start[0] + t * way[0], start[1] + t * way[1]
        seen = torch.tensor([[max(x, 0), max(y, 0), min(x + SIDE, width), min(y + SIDE, height)]], dtype=torch.float32)
        rows = Detections(seen, torch.tensor([0.9]), torch.zeros(1, dtype=torch.int64))
        told, state = link(rows, state, Linking(), size_hw_px=SIZE, image=picture({0: (x, y)}))
        assert told.track_ids is not None
        assert told.track_ids.tolist() == [0]
        low, high = seen[0, :2].numpy(), seen[0, 2:].numpy()
        np.testing.assert_allclose(state.boxes_cxcywh_px[0], [*(low + high) / 2, *(high - low)], atol=1.5)
        assert state.picture is not None
        if t:
            assert state.picture.way_px is not None
            np.testing.assert_allclose(state.picture.way_px, way, atol=0.7)


def test_a_part_that_stands_at_the_edge_does_not_come_in() -> None:
    """Its box is 20 px wide, then a little less by the noise of the detector: the part keeps its size."""
    state = None
    for t, width in enumerate((20.0, 20.0, 17.5, 20.0, 17.5, 17.5)):
        rows = Detections(torch.tensor([[0.0, 50, width, 70]]), torch.tensor([0.9]), torch.zeros(1, dtype=torch.int64))
        _, state = link(rows, state, Linking(), size_hw_px=SIZE, image=picture({0: (0.0, 50.0)}))
        assert state.boxes_cxcywh_px[0, 2] > 19.5, t


def test_a_part_that_is_hidden_as_it_comes_in_does_not_get_wider_while_it_is_hidden() -> None:
    """What the picture's edge still cuts of it was seen last in the second frame; the others move on."""
    state, widths = None, []
    for t in range(6):
        parts = {0: (8.0 * t - 14, 20.0), 1: (60.0 + 8 * t, 50.0), 2: (90.0 + 8 * t, 80.0)}
        boxes = torch.from_numpy(boxes_of({k: at for k, at in parts.items() if k or t < 2}).astype(np.float32))
        boxes[:, 0] = boxes[:, 0].clamp(min=0)
        rows = Detections(boxes, torch.full((len(boxes),), 0.9), torch.zeros(len(boxes), dtype=torch.int64))
        _, state = link(rows, state, Linking(), size_hw_px=SIZE, image=picture(parts))
        widths.append(float(state.boxes_cxcywh_px[0, 2]))
    assert state is not None
    assert state.unseen[0] == 4
    assert widths[3:] == pytest.approx([widths[2]] * 3)
    assert state.boxes_cxcywh_px[0, 0] > 30, "it goes on with the others"


def test_a_hidden_part_goes_by_the_pixels_and_not_by_boxes_that_are_off_together() -> None:
    """From the fifth frame on one part gets no box, and the boxes of the others are all 5 px ahead of their pixels."""
    state = None
    for t in range(7):
        parts = {k: (10.0 + 40 * k + 8 * t, 20.0 + 25 * k) for k in range(3)}
        shown = {k: (x + 5 * (t >= 4), y) for k, (x, y) in parts.items() if k or t < 4}
        boxes = torch.from_numpy(boxes_of(shown).astype(np.float32))
        rows = Detections(boxes, torch.full((len(boxes),), 0.9), torch.zeros(len(boxes), dtype=torch.int64))
        _, state = link(rows, state, Linking(), size_hw_px=SIZE, image=picture(parts))
    assert state is not None
    assert state.unseen[0] == 3
    np.testing.assert_allclose(state.boxes_cxcywh_px[0, :2], (10 + 8 * 6 + SIDE / 2, 20 + SIDE / 2), atol=1.0)
