"""Laws of pasted parts: which part goes where, and which pixels change."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from hybrid.data.clips import FrameRecord
from hybrid.data.pixels import DecodedImages
from pipelines.gap.effects.pasting import (
    NONE,
    Composer,
    Pictures,
    chosen,
    parts_of,
    paste,
    rims,
    soft_mask,
    widened,
)

SIDE = 200


def frame(name: str, boxes: list[tuple[float, float, float, float]], labels: list[int] | None = None) -> FrameRecord:
    return FrameRecord(
        name=name, path=Path(name), width_px=SIDE, height_px=SIDE,
        boxes_xyxy_px=np.array(boxes, np.float32).reshape(-1, 4),
        labels=np.array([0] * len(boxes) if labels is None else labels, np.int64),
    )  # fmt: skip


def scattered_boxes(seed: int, count: int = 12) -> list[tuple[float, float, float, float]]:
    rng = np.random.default_rng(seed)
    corners, sides = rng.uniform(10, SIDE - 60, (count, 2)), rng.uniform(6, 40, (count, 2))
    return [tuple(row) for row in np.concatenate([corners, corners + sides], 1)]


def test_a_part_is_of_the_category_and_of_another_session() -> None:
    frames = [frame(f"{k}", scattered_boxes(k), [0, 1, 2] * 4) for k in range(8)]
    photos = Pictures(frames, np.repeat(np.arange(4), 2))
    parts = parts_of(photos)
    rows = chosen(photos, parts, True, 0)
    assert len(parts.labels) == 96
    for k, row in enumerate(rows):
        assert parts.labels[row].tolist() == frames[k].labels.tolist()
        assert (parts.units[row] != photos.units[k]).all()
    used = np.concatenate(rows)
    assert parts.free[used].all()
    assert 10 < parts.free.sum() < 96
    assert [row.tolist() for row in chosen(photos, parts, True, 0)] == [row.tolist() for row in rows]
    assert [row.tolist() for row in chosen(photos, parts, True, 1)] != [row.tolist() for row in rows]


def test_one_of_the_six_parts_of_the_most_similar_sides_is_taken() -> None:
    sides = [(10.0 + k, 20.0) for k in range(12)]
    sources = [frame(f"{k}", [(50, 50, 50 + w, 50 + h)]) for k, (w, h) in enumerate(sides)]
    grounds = Pictures([frame(f"g{k}", [(20, 20, 30, 40)]) for k in range(60)], np.arange(60))
    parts = parts_of(Pictures(sources, np.arange(12)))
    taken = {int(row[0]) for row in chosen(grounds, parts, False, 0)}
    assert taken == {0, 1, 2, 3, 4, 5}


def test_a_part_between_others_is_taken_where_there_is_no_free_one_and_none_where_there_is_no_part() -> None:
    crowded = Pictures([frame("a", [(50, 50, 70, 70), (68, 50, 90, 70)], [0, 1])], np.array([0]))
    ground = Pictures([frame("b", [(20, 20, 40, 40), (80, 80, 90, 90)], [0, 2])], np.array([1]))
    parts = parts_of(crowded)
    assert parts.free.tolist() == [False, False]
    assert chosen(ground, parts, True, 0)[0].tolist() == [0, NONE]
    assert chosen(Pictures(ground.frames, np.array([0])), parts, True, 0)[0].tolist() == [NONE, NONE]
    assert chosen(Pictures(ground.frames, np.array([0])), parts, False, 0)[0].tolist() == [0, NONE]


def test_a_part_at_the_edge_is_not_free() -> None:
    edge, inside = (0.0, 50.0, 20.0, 70.0), (3.0, 50.0, 23.0, 70.0)
    assert rims(np.array(edge)).tolist() == [3.0, 3.0]
    assert rims(np.array([0.0, 0.0, 100.0, 40.0])).tolist() == [15.0, 6.0]
    assert rims(np.array([0.0, 0.0, 10.0, 4.0])).tolist() == [3.0, 3.0]
    assert widened(np.array(inside)).tolist() == [0.0, 47.0, 26.0, 73.0]
    assert parts_of(Pictures([frame("a", [edge, (60, 60, 80, 80)])], np.array([0]))).free.tolist() == [False, True]
    assert parts_of(Pictures([frame("a", [inside])], np.array([0]))).free.tolist() == [True]


def test_the_mask_is_one_in_the_box_and_falls_over_the_rim() -> None:
    box = np.array([20.0, 30.0, 60.0, 50.0])
    mask = soft_mask(box, np.array([0, 0]), (100, 80))[..., 0]
    assert mask.shape == (80, 100)
    assert (mask[30:50, 20:60] == 1).all()
    assert mask[40, 60:67].tolist() == sorted(mask[40, 60:67].tolist(), reverse=True)
    assert 0 < mask[40, 62] < 1
    assert mask[40, 66:].max() == 0
    assert mask[53:].max() == 0
    assert mask[:, ::-1][40, 20:50].tolist() == mask[40, ::-1][20:50].tolist()


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_what_lies_in_the_box_comes_to_lie_in_the_new_box(scale: float) -> None:
    source = np.full((SIDE, SIDE, 3), 90, np.uint8)
    source[60:100, 40:80] = (200, 120, 40)  # a part of 40 x 40 px, upper left quarter dark
    source[60:80, 40:60] = 10
    image = np.full((SIDE, SIDE, 3), 90, np.uint8)
    low, high = 100, round(100 + 40 * scale)
    middle = (low + high) // 2
    paste(image, np.array([low, low, high, high], float), source, np.array([40.0, 60.0, 80.0, 100.0]))
    assert image[low + 2, low + 2].tolist() == [10, 10, 10]
    assert image[middle + 3, middle + 3].tolist() == [200, 120, 40]
    assert image[low + 2, high - 3].tolist() == [200, 120, 40]
    outside = np.ones((SIDE, SIDE), bool)
    outside[low - 8 : high + 8, low - 8 : high + 8] = False
    assert (image[outside] == 90).all()


def test_a_part_over_the_edge_of_the_picture_changes_what_is_in_it() -> None:
    source, image = np.full((SIDE, SIDE, 3), 250, np.uint8), np.zeros((SIDE, SIDE, 3), np.uint8)
    source[80:120, 80:120] = 40
    paste(image, np.array([0.0, 190.0, 30.0, 200.0]), source, np.array([80.0, 80.0, 120.0, 120.0]))
    assert image[:180].max() == 0
    paste(image, np.array([0.0, 0.0, 200.0, 200.0]), source, np.array([0.0, 0.0, 200.0, 200.0]))
    assert image[100, 100].tolist() == [40, 40, 40]
    assert image[0, 0].tolist() == [250, 250, 250]


def test_small_parts_stay_on_large_ones(tmp_path: Path) -> None:
    picture = np.full((SIDE, SIDE, 3), 128, np.uint8)
    picture[20:30, 20:30], picture[100:160, 100:160] = (255, 0, 0), (100, 100, 160)
    path = tmp_path / "parts.png"
    cv2.imwrite(str(path), picture[..., ::-1])
    own = FrameRecord(
        name="p", path=path, width_px=SIDE, height_px=SIDE, labels=np.array([0, 1], np.int64),
        boxes_xyxy_px=np.array([[20, 20, 30, 30], [100, 100, 160, 160]], np.float32),
    )  # fmt: skip
    plain = tmp_path / "plain.png"
    cv2.imwrite(str(plain), np.full((SIDE, SIDE, 3), 128, np.uint8))
    ground = FrameRecord(
        name="g", path=plain, width_px=SIDE, height_px=SIDE, labels=np.array([0, 1], np.int64),
        boxes_xyxy_px=np.array([[60, 60, 70, 70], [40, 40, 100, 100]], np.float32),
    )  # fmt: skip
    grounds, sources = Pictures([ground], np.array([0])), Pictures([own], np.array([1]))
    parts = parts_of(sources)
    composer = Composer(grounds, sources, parts, chosen(grounds, parts, True, 0), DecodedImages(2**24))
    made = composer.picture(0, ground)
    assert made[65, 65, 0] > 190
    assert made[65, 65, 1:].tolist() == [0, 0]
    assert made[90, 90].tolist() == [100, 100, 160]
    assert (composer.picture(0, ground) == made).all()
    assert DecodedImages(2**24).read(ground)[65, 65].tolist() == [128, 128, 128]
    assert composer.decoded.read(ground)[65, 65].tolist() == [128, 128, 128]


def test_a_part_of_a_darker_picture_is_made_as_bright_as_the_ground_and_keeps_its_colour() -> None:
    source = np.full((SIDE, SIDE, 3), 52, np.uint8)
    source[80:100, 80:100] = (40, 20, 10)
    image = np.full((SIDE, SIDE, 3), (100, 112, 124), np.uint8)
    paste(image, np.array([20.0, 20.0, 40.0, 40.0]), source, np.array([80.0, 80.0, 100.0, 100.0]))
    assert image[30, 30].tolist() == [80, 40, 20]  # twice: (112 + 8) / (52 + 8)
    black = np.zeros((SIDE, SIDE, 3), np.uint8)
    black[80:100, 80:100] = 10
    paste(image, np.array([120.0, 120.0, 140.0, 140.0]), black, np.array([80.0, 80.0, 100.0, 100.0]))
    assert image[130, 130].tolist() == [150, 150, 150]
