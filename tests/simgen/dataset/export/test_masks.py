"""Run lengths and outlines are exact: what comes back is the mask."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from simgen.dataset.export.common import masks

anything = arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))
something = anything.filter(np.any)


@given(anything)
def test_masks_are_written_as_pycocotools_writes_them(mask):
    mask_tools = pytest.importorskip("pycocotools.mask")
    theirs = mask_tools.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert masks.rle(mask) == {"size": theirs["size"], "counts": theirs["counts"].decode()}


def test_long_runs_are_written_as_pycocotools_writes_them():
    mask_tools = pytest.importorskip("pycocotools.mask")
    mask = np.zeros((700, 900), np.uint8, order="F")
    mask[3:650, 10:20] = mask[100, ::7] = mask[5, 800:] = 1
    text = masks.rle(mask.astype(bool))["counts"]
    assert text == mask_tools.encode(mask)["counts"].decode()
    assert np.array_equal(masks.from_rle(text, 700, 900), mask)


@given(anything)
def test_a_mask_comes_back_from_its_run_lengths(mask):
    assert np.array_equal(masks.from_rle(masks.rle(mask)["counts"], *mask.shape), mask)
    off_on = [len(list(run)) for _, run in itertools.groupby([False, *mask.ravel(order="F").tolist()])]
    assert np.array_equal(masks.from_rle([off_on[0] - 1, *off_on[1:]], *mask.shape), mask)


# of 2 x 2 pixels: letters that are none, before, in the middle and behind; too few; too many; endless; of other types
DAMAGED = [
    "\x00", "1q3", "13\ud800", "13 ", "", "2", "12", "T9", "122", "o", 11 * "o", 10**5 * "o", 10**5 * "1", "O1oooooo3",
    [], [3], [3, 2], [3, -1, 2], [2**32 + 4], [2**64], [-(2**32), 4], [4.5], ["4"], [None], [[4]], None, 4, {}, b"13",
]  # fmt: skip


@pytest.mark.parametrize("counts", DAMAGED, ids=lambda counts: f"{counts!r:.20}")
def test_damaged_run_lengths_are_refused(counts):
    """Without its type checked: the counts are of a file."""
    with pytest.raises(ValueError, match="are no run lengths of 2 x 2 pixels"):
        getattr(masks.from_rle, "__wrapped__", masks.from_rle)(counts, 2, 2)


@given(st.text(st.characters(min_codepoint=46, max_codepoint=113), max_size=12))
def test_any_text_is_a_whole_mask_or_refused(text):
    try:
        mask = masks.from_rle(text, 3, 4)
    except ValueError:
        return
    again = masks.rle(mask)["counts"]
    assert np.array_equal(masks.from_rle(again, 3, 4), mask)


def test_a_claim_of_a_giant_mask_is_refused_before_it_is_made():
    for size in ((10**6, 10**6), (0, 3), (-2, -3)):
        with pytest.raises(ValueError, match="a mask of"):
            masks.from_rle([size[0] * size[1]], *size)
        with pytest.raises(ValueError, match="a mask of"):
            masks.filled(np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]), *size)


@given(something)
def test_a_mask_comes_back_from_one_joined_outline_and_its_bounds_are_the_box(mask):
    outline = masks.joined(masks.outlines(mask))
    assert np.array_equal(masks.filled(outline.astype(float), *mask.shape), mask)
    y, x = np.nonzero(mask)
    assert (*outline.min(axis=0), *outline.max(axis=0)) == (x.min(), y.min(), x.max() + 1, y.max() + 1)


@given(something)
def test_outlines_turn_at_every_corner_and_only_there(mask):
    for loop in masks.outlines(mask):
        steps = np.roll(loop, -1, axis=0) - loop
        assert ((steps == 0).sum(axis=1) == 1).all()  # along an axis
        assert ((steps != 0) != (np.roll(steps, -1, axis=0) != 0)).all()  # by turns


def test_a_ring_is_one_outline_that_opencv_fills_as_a_ring():
    """OpenCV draws the outline itself too, so its ring is as wide as the mask's or a pixel wider, and open inside."""
    import cv2

    y, x = np.mgrid[:60, :60] + 0.5
    radius = np.hypot(x - 30, y - 30)
    ring = (radius > 12) & (radius < 25)
    loops = masks.outlines(ring)
    assert len(loops) == 2
    drawn = cv2.fillPoly(np.zeros(ring.shape, np.uint8), [masks.joined(loops).astype(np.int32)], 1) > 0
    assert not (ring & ~drawn).any()
    assert not (drawn & ~cv2.dilate(ring.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)).any()
    assert not drawn[25:35, 25:35].any()


def test_an_outline_between_pixels_fills_the_pixels_whose_centres_it_holds():
    triangle = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    expected = np.add.outer(np.arange(4) + 0.5, np.arange(4) + 0.5) < 4
    assert np.array_equal(masks.filled(triangle, 4, 4), expected)
    assert masks.filled(triangle - 10, 4, 4).sum() == 0
