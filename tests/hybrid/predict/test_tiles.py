"""Tiles cover the image, and what was found in them joins to what is there."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.core.types import Detections
from hybrid.predict.tiles import (
    CUT_SCORE,
    GREY,
    WHOLE_PX,
    View,
    cut,
    finer_first,
    layout,
    merge,
    pieces,
    starts,
    told,
    view_of,
)
from hybrid.training.config import AugmentConfig


def detections(rows: list[tuple[list[float], float, int]]) -> Detections:
    return Detections(
        torch.tensor([box for box, _, _ in rows], dtype=torch.float32).reshape(-1, 4),
        torch.tensor([score for _, score, _ in rows], dtype=torch.float32),
        torch.tensor([label for _, _, label in rows], dtype=torch.int64),
    )


@given(length=st.integers(1, 3000), tile=st.integers(32, 512), share=st.floats(0, 0.9))
@settings(deadline=None)
def test_tiles_cover_every_pixel_and_overlap_enough(length: int, tile: int, share: float) -> None:
    overlap = int(share * tile)
    begin = starts(length, tile, overlap)
    assert begin[0] == 0
    assert begin[-1] + tile >= length
    assert len(begin) == 1 or begin[-1] + tile == length
    assert all(0 < b - a <= tile - overlap for a, b in pairwise(begin))


@pytest.mark.parametrize("size", [(1920, 1080), (640, 360), (100, 300), (256, 256), (37, 41)])
@pytest.mark.parametrize("tile_px", [256, None])
def test_tiles_show_the_image_s_own_pixels(size: tuple[int, int], tile_px: int | None) -> None:
    view = View(tile_px=tile_px, scales=(1.0,))
    image = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3)).astype(np.uint8)
    tiles = layout(*size, view)
    seen = np.zeros(size[::-1], bool)
    for tile, piece in zip(tiles, cut(image, tiles), strict=True):
        part = piece.permute(1, 2, 0).numpy()
        rows, columns = slice(tile.top, tile.top + tile.height), slice(tile.left, tile.left + tile.width)
        assert (part[: tile.height, : tile.width] == image[rows, columns]).all()
        assert (part[tile.height :] == GREY).all()
        assert (part[:, tile.width :] == GREY).all()
        seen[rows, columns] = True
    assert seen.all()
    assert tile_px is not None or len(tiles) == 1


@pytest.mark.parametrize("size", [(90, 70), (40, 30)])  # tiles inside the image; one that grey fills up
def test_a_mirrored_look_finds_each_part_where_it_is(size: tuple[int, int]) -> None:
    view = View(tile_px=48, overlap_px=16, scales=(1.0,), mirrored=True)
    image = np.zeros((size[1], size[0], 3), np.uint8)
    image[10:16, 5:12] = 255
    tiles = layout(*size, view)
    plain, mirrored = tiles[: len(tiles) // 2], tiles[len(tiles) // 2 :]
    for tile, piece, other in zip(plain, cut(image, plain), cut(image, mirrored), strict=True):
        assert torch.equal(piece.flip(2), other)
        ys, xs = (other[0] == 255).nonzero(as_tuple=True)
        if (tile.left, tile.top) == (0, 0):
            box = [float(xs.min()), float(ys.min()), float(xs.max()) + 1, float(ys.max()) + 1]
    found = [detections([(box, 0.9, 0)] if k == len(plain) else []) for k in range(len(tiles))]
    merged = merge(tiles, found, view)
    assert merged.boxes_xyxy_px.tolist() == [pytest.approx([5, 10, 12, 16])]
    assert merged.scores.tolist() == pytest.approx([0.45])  # the other look does not find it
    assert told(*size, view).endswith(", and mirrored")


def test_the_view_follows_from_the_size_of_the_image_and_is_reported() -> None:
    view = view_of(256)
    sizes = {(640, 480): [(640, 480)], (641, 480): [(641, 480), (320, 240)], (480, 641): [(480, 641), (240, 320)]}
    sizes |= {(1920, 1080): [(1920, 1080), (960, 540)], (1920, 1200): [(1920, 1200), (960, 600)]}
    for size, looks in sizes.items():
        tiles = layout(*size, view)
        assert [tile.filled_size for tile in tiles] == [(tile.width, tile.height) for tile in tiles] == looks
    assert told(640, 480, view) == "whole at scale 1"
    assert told(1920, 1080, view) == "whole at scale 1 and 0.5"
    assert told(3840, 2160, view) == "in 8 tiles of 1280 px at scale 1, whole at scale 0.5"
    assert told(1920, 1080, View(tile_px=None, scales=(1.0,))) == "whole at scale 1"
    assert told(640, 480, View()) == "in 9 tiles of 256 px at scale 1, in 2 tiles of 256 px at scale 0.5"


@given(width=st.integers(1, 9000), height=st.integers(1, 9000), trained=st.integers(32, 1024))
@settings(deadline=None, max_examples=60)
def test_no_look_is_larger_than_memory_allows_and_together_they_see_all(width: int, height: int, trained: int) -> None:
    tiles = [tile for tile in layout(width, height, view_of(trained)) if tile.scale_xy == (1.0, 1.0)]
    assert max(tile.filled_size[0] * tile.filled_size[1] for tile in tiles) <= WHOLE_PX
    for low, length, whole in (("left", "width", width), ("top", "height", height)):
        ends = sorted({(getattr(tile, low), getattr(tile, low) + getattr(tile, length)) for tile in tiles})
        assert (ends[0][0], ends[-1][1]) == (0, whole)
        assert all(b[0] < a[1] for a, b in pairwise(ends))


def test_pieces_of_an_object_that_is_longer_than_the_training_s_tiles_are_dropped_at_the_finer_scale() -> None:
    view = View(tile_px=None, scales=(1.0, 0.5), trained_px=64)
    long, piece, other, beside = [10, 10, 110, 60], [20, 12, 70, 58], [30, 20, 45, 35], [150, 20, 165, 35]
    fine = [(piece, 0.9, 0), (other, 0.9, 1), (beside, 0.9, 0)]  # a piece; of another category; elsewhere
    coarse = [([x / 2 for x in long], 0.6, 0)]
    tiles = layout(200, 100, view)

    def found(trained_px: int, score: float = 0.6) -> list[tuple[int, int]]:
        rows = [detections(fine), detections([(coarse[0][0], score, 0)])]
        merged = merge(tiles, rows, replace(view, trained_px=trained_px))
        return sorted((int(box[0]), int(label)) for box, label in zip(merged.boxes_xyxy_px, merged.labels, strict=True))

    assert found(64) == [(10, 0), (30, 1), (150, 0)]
    everything = [(10, 0), (20, 0), (30, 1), (150, 0)]
    assert found(67) == everything  # of 100 px: not 1.5 tiles long
    assert found(64, score=0.4) == everything  # it is too unsure
    assert found(0) == everything  # the training's tiles are not known
    elsewhere = detections([([75, 10, 82, 17], 0.9, 0)])
    assert len(merge(tiles, [detections([(long, 0.9, 0)]), elsewhere], view).scores) == 2  # no piece of itself


@pytest.mark.parametrize(("share", "dropped"), [(0.65, True), (0.55, False)])
def test_a_piece_has_six_tenths_of_its_area_in_the_long_object(share: float, dropped: bool) -> None:
    rows = detections([([0, 0, 100, 50], 0.9, 0), ([100 - 20 * share, 0, 120 - 20 * share, 50], 0.9, 0)])
    scales = torch.tensor([0.5, 1.0])
    got = pieces(rows.boxes_xyxy_px, rows.scores, rows.labels, scales, 64)
    assert got.tolist() == [False, dropped]


def test_how_long_an_object_is_counts_in_pixels_of_the_finer_scale() -> None:
    """100 px long: longer than 1.5 tiles of 64 px at scale 1, but not at scale 0.5."""
    rows = detections([([0, 0, 100, 50], 0.9, 0), ([10, 0, 60, 50], 0.9, 0), ([20, 0, 70, 50], 0.9, 0)])
    scales = torch.tensor([0.25, 0.5, 1.0])
    assert pieces(rows.boxes_xyxy_px, rows.scores, rows.labels, scales, 64).tolist() == [False, False, True]


def _ideal(boxes: list[list[float]], size: tuple[int, int], view: View) -> Detections:
    """What a perfect detector makes of each tile, merged: every box, as far as the tile shows it."""
    found = []
    for tile in layout(*size, view):
        rows = []
        for k, box in enumerate(boxes):
            scaled = np.array(box) * np.tile(tile.scale_xy, 2) - [tile.left, tile.top] * 2
            seen = scaled.clip(0, [tile.width, tile.height] * 2)
            if (seen[2:] - seen[:2]).min() >= 2:
                rows.append((seen.tolist(), 0.9 - 0.01 * k, 0))
        found.append(detections(rows))
    return merge(layout(*size, view), found, view)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_perfect_tiles_merge_to_each_object_once(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size, view = (900, 600), View(threshold=0.0)
    cells = rng.permutation(6)[:4]  # one object in each cell of a 3 x 2 grid of 300 px, so that none overlap
    boxes = []
    for cell in cells:
        extent = rng.uniform(12, 240, 2)
        corner = np.array([300 * (cell % 3), 300 * (cell // 3)]) + rng.uniform(5, 295 - extent)
        boxes.append([*corner, *(corner + extent)])
    merged = _ideal(boxes, size, view)
    sure = merged.scores > 0.6  # cut parts that nothing covers come at half the score
    assert int(sure.sum()) == len(boxes)
    order = merged.boxes_xyxy_px[sure].numpy()
    for box in boxes:
        assert np.abs(order - np.array(box, np.float32)).max(1).min() < 0.1


def test_without_the_coarser_scale_a_long_part_is_found_in_pieces_only() -> None:
    boxes = [[100.0, 100.0, 335.0, 120.0]]
    both = _ideal(boxes, (900, 600), View())
    fine = _ideal(boxes, (900, 600), View(scales=(1.0,)))
    assert np.abs(both.boxes_xyxy_px[0].numpy() - boxes[0]).max() < 0.1
    assert fine.scores.max() <= 0.9 * CUT_SCORE + 1e-6


def test_two_parts_of_different_categories_in_one_place_both_stay() -> None:
    view = View(scales=(1.0,))
    tiles = layout(448, 256, view)
    assert len(tiles) == 2
    left = detections([([210, 50, 240, 80], 0.9, 0), ([210, 50, 240, 80], 0.8, 1)])
    right = detections([([18, 50, 48, 80], 0.7, 0)])
    merged = merge(tiles, [left, right], view)
    assert merged.labels.tolist() == [0, 1]
    assert merged.boxes_xyxy_px.tolist() == [[210, 50, 240, 80]] * 2
    torch.testing.assert_close(merged.scores, torch.tensor([0.9, 0.8]))


SMALL, MIDDLE, LARGE = [100.0, 100.0, 130.0, 130.0], [100.0, 100.0, 156.0, 156.0], [100.0, 100.0, 190.0, 190.0]


@pytest.mark.parametrize(
    ("box", "fine", "label", "expected"),
    [
        (SMALL, 0.5, 0, [(0, 0.9)]),  # the finer scale's box, with the better score
        (MIDDLE, 0.5, 0, [(0, 0.9)]),  # 28 px at the coarser scale
        (SMALL, 0.2, 0, [(0, 0.9)]),
        (LARGE, 0.5, 0, [(4, 0.9)]),  # large enough at the coarser scale: its box stays
        (SMALL, 0.08, 0, [(4, 0.9)]),  # the finer scale is far from sure
        (SMALL, 0.5, 1, [(4, 0.9), (0, 0.5)]),  # another category
    ],
)
def test_a_small_part_has_the_box_of_the_finer_scale_and_the_better_score(
    box: list[float], fine: float, label: int, expected: list[tuple[float, float]]
) -> None:
    view = View(tile_px=None, scales=(1.0, 0.5))
    off = [(edge + 4) / 2 for edge in box]  # as the coarser scale sees it: 4 px of the image off
    found = [detections([(box, fine, label)]), detections([(off, 0.9, 0)])]
    merged = merge(layout(200, 200, view), found, view)
    assert merged.boxes_xyxy_px[:, 0].tolist() == [box[0] + shift for shift, _ in expected]
    torch.testing.assert_close(merged.scores, torch.tensor([score for _, score in expected]))
    sure = merge(layout(200, 200, view), found, replace(view, threshold=0.7))
    assert sure.boxes_xyxy_px[:, 0].tolist() == [box[0] + expected[0][0]]  # also where the finer scale is less sure


def test_boxes_of_two_scales_that_overlap_by_less_than_half_show_two_parts() -> None:
    beside = [edge + 8.0 for edge in SMALL]  # IoU 0.37
    scores, whole = torch.tensor([0.5, 0.9]), torch.zeros(2, dtype=torch.bool)
    scales, labels = torch.tensor([1.0, 0.5]), torch.zeros(2, dtype=torch.int64)
    assert torch.equal(finer_first(torch.tensor([SMALL, beside]), scores, labels, scales, whole), scores)


def test_the_finer_scale_s_own_score_stays_where_it_is_the_better_one() -> None:
    scores, whole = torch.tensor([0.9, 0.5]), torch.zeros(2, dtype=torch.bool)
    scales, labels = torch.tensor([1.0, 0.5]), torch.zeros(2, dtype=torch.int64)
    assert torch.equal(finer_first(torch.tensor([SMALL] * 2), scores, labels, scales, whole), scores)


@pytest.mark.parametrize("tile_px", [None, 256])  # one look, and two tiles
def test_where_there_is_one_scale_nothing_below_the_threshold_is_reported(tile_px: int | None) -> None:
    view = View(tile_px=tile_px, scales=(1.0,), threshold=0.5)
    tiles = layout(448, 256, view)
    found = [detections([(SMALL, 0.4, 0), ([10, 10, 40, 40], 0.6, 0)]), *[detections([]) for _ in tiles[1:]]]
    torch.testing.assert_close(merge(tiles, found, view).scores, torch.tensor([0.6]))


def test_of_several_boxes_of_the_finer_scale_the_one_that_fits_best_gets_the_score() -> None:
    near, far = [edge + 6.0 for edge in SMALL], [edge + 300.0 for edge in SMALL]
    boxes, scores = torch.tensor([near, SMALL, far, SMALL]), torch.tensor([0.4, 0.5, 0.3, 0.9])
    scales, whole = torch.tensor([1.0, 1.0, 1.0, 0.5]), torch.zeros(4, dtype=torch.bool)
    told = finer_first(boxes, scores, torch.zeros(4, dtype=torch.int64), scales, whole)
    assert told.tolist() == pytest.approx([0.4, 0.9, 0.3, 0.5])


def test_the_better_score_goes_to_the_finest_of_three_scales_but_not_to_a_cut_box() -> None:
    one = torch.tensor([SMALL] * 3)
    scores, labels, scales = (
        torch.tensor([0.4, 0.9, 0.6]),
        torch.zeros(3, dtype=torch.int64),
        torch.tensor([1, 0.25, 0.5]),
    )
    whole = torch.zeros(3, dtype=torch.bool)
    assert finer_first(one, scores, labels, scales, whole).argmax() == 0
    assert finer_first(one, scores, labels, scales, torch.tensor([True, False, False])).argmax() == 2


@pytest.mark.parametrize(("whole", "told"), [(0.6, [0.6]), (0.2, [0.9 * CUT_SCORE, 0.2])])
def test_a_sure_piece_goes_for_a_whole_box_round_it_only_if_that_is_sure_too(whole: float, told: list[float]) -> None:
    view = View(scales=(1.0,))
    piece = detections([([210, 50, 256, 80], 0.9, 0)])  # the left tile cuts it
    round_it = detections([([8, 10, 148, 150], whole, 0)])  # in the right one
    merged = merge(layout(448, 256, view), [piece, round_it], view)
    assert merged.scores.tolist() == pytest.approx(told)


def test_a_part_at_the_image_s_own_edge_is_no_cut_part() -> None:
    view = View(scales=(1.0,))
    tiles = layout(448, 256, view)
    merged = merge(tiles, [detections([([0, 0, 30, 30], 0.9, 0)]), detections([([226, 226, 256, 256], 0.9, 0)])], view)
    assert merged.scores.tolist() == pytest.approx([0.9, 0.9])


def test_nothing_found_merges_to_nothing() -> None:
    tiles = layout(448, 256, View())
    assert len(merge(tiles, [detections([]) for _ in tiles], View()).scores) == 0


def test_training_shows_parts_at_every_scale_that_images_are_looked_at_by() -> None:
    low, high = AugmentConfig().scale
    assert low <= min(View().scales)
    assert max(View().scales) <= high


def test_a_view_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="overlap_px: needs 0 <= overlap < tile_px = 64, got 64"):
        View(tile_px=64)
    with pytest.raises(ValueError, match="scales above 0"):
        View(scales=())
