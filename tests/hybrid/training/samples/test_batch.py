"""Batches: what stacking and cutting may not lose, by drawing samples whose labels tell where they are from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.core.errors import DataError
from hybrid.data.clips import ClipSource
from hybrid.training.config import TrainConfig
from hybrid.training.samples.batch import Batches, TrainBatch, stack
from hybrid.training.samples.paste import MARGIN_PX, Cutout, _grown, _paste_one, _turning, bounds
from hybrid.training.samples.sampler import Sample, WeightedSource
from tests.hybrid.training.methods.test_clip_data import of_labels


def region(numbers: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Boxes and labels that both tell their number."""
    labels = np.array(numbers, np.int64)
    return np.repeat(labels[:, None], 4, 1).astype(np.float32), labels


def sample(clip: int, counts: list[int], ignored: list[int] | None = None, step: int = 1) -> Sample:
    """Frame t of clip c has the labels 100 c + 10 t, + 1, ...; regions to ignore have 5 more."""
    frames = [region([100 * clip + 10 * t + k for k in range(count)]) for t, count in enumerate(counts)]
    regions = [region([100 * clip + 10 * t + 5 + k for k in range(n)]) for t, n in enumerate(ignored or [])]
    return Sample(
        images=np.full((len(counts), 4, 4, 3), clip, np.uint8),
        truth=tuple(frames),
        track_ids=tuple(1000 + labels for _, labels in frames),
        step=step,
        clip_label=clip - 1,
        ignored=tuple(regions) if ignored else None,
        name=f"c{clip}",
    )


@st.composite
def counts_of_clips(draw: st.DrawFn) -> list[tuple[list[int], list[int] | None]]:
    """How many boxes and regions to ignore each frame of each clip has."""
    clips, frames = draw(st.sampled_from([1, 2, 4])), draw(st.integers(1, 4))
    counts = st.lists(st.integers(0, 3), min_size=frames, max_size=frames)
    return [(draw(counts), draw(st.none() | counts)) for _ in range(clips)]


def told(batch: TrainBatch) -> list[list[list[int]]]:
    return [[target.labels.tolist() for target in clip] for clip in batch.targets()]


@settings(max_examples=25)
@given(counts_of_clips(), st.sampled_from([1, 2, 4]), st.integers(0, 5))
def test_pieces_hold_every_frame_once_with_its_own_labels(
    counts: list[tuple[list[int], list[int] | None]], parts: int, most_frames: int
) -> None:
    samples = [sample(c, *both) for c, both in enumerate(counts)]
    batch, labels = stack(samples), [[own.tolist() for _, own in one.truth] for one in samples]
    assert told(batch) == labels
    clips, frames = len(labels), len(labels[0])
    if clips % parts:
        return
    again: list[list[list[int]]] = [[] for _ in labels]
    for part, piece in batch.pieces(parts, most_frames):
        assert piece.images.shape[1] <= (most_frames or frames)
        for k, clip in enumerate(told(piece)):
            number = part * (clips // parts) + k
            assert piece.names[k] == f"c{number}"
            assert (piece.images[k] == number).all()
            again[number] += clip
        for target in (one for clip in piece.targets() for one in clip):
            assert (target.boxes_xyxy_px == target.labels[:, None]).all()
            assert target.track_ids is not None
            assert (target.track_ids == 1000 + target.labels).all()
            if target.ignore_labels is not None and len(target.labels):  # of the same frame of the same clip
                assert set((target.ignore_labels // 10).tolist()) == set((target.labels // 10).tolist())
                assert (target.ignore_labels % 10 >= 5).all()
    assert again == labels


def test_columns_that_no_sample_fills_are_none_and_one_sample_fills_them_for_all() -> None:
    plain = stack([sample(0, [1, 0]), replace(sample(1, [0, 2]), clip_label=-1)])
    assert plain.elapsed is plain.clip_labels is plain.depth_m is plain.ignore_labels is None
    mixed = stack([sample(0, [1, 0]), sample(3, [0, 2], [2, 0], step=3)])
    assert mixed.elapsed is not None
    assert mixed.elapsed.tolist() == [[1, 1], [1, 3]]  # the first frame has none before it
    assert mixed.clip_labels is not None
    assert mixed.clip_labels.tolist() == [-1, 2]
    assert mixed.ignore_counts is not None
    assert mixed.ignore_counts.tolist() == [[0, 0], [2, 0]]
    assert [[one.ignore_labels is not None for one in clip] for clip in mixed.targets()] == [
        [False, False], [True, False],
    ]  # fmt: skip
    moved = mixed.to(torch.device("meta"))
    assert moved.images.is_meta
    assert not moved.counts.is_meta  # it is read on the CPU in each step
    assert moved.names == mixed.names


@pytest.mark.parametrize(
    ("clips", "devices", "accumulate", "words"),
    [(3, 2, 1, "batch_clips: 3 clips cannot be shared evenly by 2 devices$"), (4, 2, 4, "2 devices in 4 parts each$")],
)
def test_a_batch_that_cannot_be_shared_is_told(clips: int, devices: int, accumulate: int, words: str) -> None:
    source = WeightedSource(ClipSource("set", ("bolt",), (of_labels("a", [0]),)))
    with pytest.raises(DataError, match=words):
        Batches([source], TrainConfig(batch_clips=clips, accumulate=accumulate), world_size=devices)


# --- what is pasted -------------------------------------------------------------------------------------------------


@given(st.integers(-9, 14), st.integers(-9, 14), st.integers(1, 8), st.integers(1, 8))
def test_a_part_covers_just_its_own_pixels_wherever_it_lies(x: int, y: int, width: int, height: int) -> None:
    """Also beyond an edge, and wholly outside."""
    image = np.zeros((12, 10, 3), np.uint8)
    cutout = Cutout(np.full((height, width, 3), 200, np.float32), np.ones((height, width), np.float32), 0)
    solid = _paste_one(image, cutout, np.array([x, y], np.float32))
    rows, columns = np.mgrid[:12, :10]
    expected = (columns >= x) & (columns < x + width) & (rows >= y) & (rows < y + height)
    assert (solid == expected).all()
    assert ((image == 200).all(-1) == expected).all()
    if expected.any():
        low, high = np.argwhere(expected).min(0), np.argwhere(expected).max(0) + 1
        assert bounds(solid).tolist() == [low[1], low[0], high[1], high[0]]


def test_a_soft_edge_mixes_and_counts_as_the_part_from_half_on() -> None:
    image = np.full((1, 3, 3), 100, np.uint8)
    opacity = np.array([[0.25, 0.5, 0.75]], np.float32)
    solid = _paste_one(image, Cutout(np.full((1, 3, 3), 200, np.float32), opacity, 0), np.zeros(2, np.float32))
    assert image[0, :, 0].tolist() == [125, 150, 175]
    assert solid.tolist() == [[False, False, True]]


@given(st.integers(1, 30), st.integers(1, 30), st.floats(-180, 180))
def test_a_turned_picture_is_held_whole_about_its_centre(width: int, height: int, turn_deg: float) -> None:
    matrix, (wide, high) = _turning((width, height), turn_deg)
    corners = np.array([[x, y, 1] for x in (0, width - 1) for y in (0, height - 1)], np.float64) @ matrix.T
    assert corners.min() >= -1.01
    assert (corners <= np.array([wide, high]) + 0.01).all()
    centre = matrix @ np.array([(width - 1) / 2, (height - 1) / 2, 1])
    assert centre == pytest.approx(np.array([wide - 1, high - 1]) / 2, abs=1e-3)
    assert wide * high <= 2 * (width + 1) * (height + 1) + (width - height) ** 2  # and in no more than it needs


def test_the_margin_round_a_part_ends_at_the_edge_of_the_picture() -> None:
    (frame,) = of_labels("a", [0]).frames  # 9 x 9 pixels
    assert _grown(np.array([4.2, 4.8, 5.1, 5.0], np.float32), frame) == (4 - MARGIN_PX, 4 - MARGIN_PX, 9, 8)
    assert _grown(np.array([0, 0, 9, 9], np.float32), frame) == (0, 0, 9, 9)
