"""Windows, occluders, augmentation and batches: geometry is exact, draws are paired, nothing is mixed up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.core.errors import DataError
from hybrid.data.boxes import LEAST_SIDE_PX
from hybrid.data.clips import Clip, ClipSource, FrameRecord
from hybrid.predict.tiles import GREY
from hybrid.training.config import AugmentConfig, TrainConfig
from hybrid.training.samples.augment import photometric
from hybrid.training.samples.batch import Batches, stack
from hybrid.training.samples.occluders import MOST_OCCLUDERS, draw_occluders
from hybrid.training.samples.sampler import Sample, Sampler, WeightedSource
from hybrid.training.samples.window import Window, draw_windows

windows = st.builds(
    Window,
    left=st.integers(-40, 80),
    top=st.integers(-40, 60),
    side=st.integers(16, 120),
    flip_x=st.booleans(),
    flip_y=st.booleans(),
)


def record(width: int = 90, height: int = 60, boxes: list[list[float]] | None = None) -> FrameRecord:
    rows = np.array(boxes or [], np.float32).reshape(-1, 4)
    labels = np.zeros(len(rows), np.int64)
    return FrameRecord(name="f", path=Path("f"), width_px=width, height_px=height, boxes_xyxy_px=rows, labels=labels)


@given(windows)
@settings(deadline=None, max_examples=40)
def test_a_kept_box_lies_in_the_tile_and_back_in_the_image_where_it_was(window: Window) -> None:
    boxes = np.random.default_rng(0).uniform(0, 60, (20, 2)).astype(np.float32)
    boxes = np.concatenate([boxes, boxes + np.float32(12)], 1)
    placed, keep = window.boxes(boxes, 64, 1.0)
    assert ((placed >= 0) & (placed <= 64)).all()
    scale = 64 / window.side
    assert not keep.any() or 12 * scale >= LEAST_SIDE_PX - 1e-3
    for box, tile_box in zip(boxes[keep], placed[keep], strict=True):
        back = tile_box.copy()
        if window.flip_x:
            back[[0, 2]] = 64 - back[[2, 0]]
        if window.flip_y:
            back[[1, 3]] = 64 - back[[3, 1]]
        np.testing.assert_allclose(back / scale + np.array([window.left, window.top] * 2), box, atol=1e-2)


@given(windows)
@settings(deadline=None, max_examples=25)
def test_pixels_and_depth_show_the_same_part_of_the_image(window: Window) -> None:
    image = np.full((60, 90, 3), 200, np.uint8)
    pixels, depth_m = window.pixels(image, 32), window.depth(np.ones((60, 90), np.float32), 32)
    assert pixels.shape == (32, 32, 3)
    assert depth_m.shape == (32, 32)
    assert (pixels[depth_m == 0] != 200).all() or window.side != 32
    assert (abs(pixels.astype(int) - 200).max(-1) <= abs(200 - GREY)).all()
    assert depth_m.mean() == pytest.approx((pixels[..., 0].astype(float).mean() - GREY) / (200 - GREY), abs=0.1)


@given(seed=st.integers(0, 10_000))
@settings(deadline=None, max_examples=30)
def test_a_window_around_an_object_shows_some_of_it_and_stays_in_the_image_if_it_fits(seed: int) -> None:
    config = TrainConfig(tile_px=32, augment=AugmentConfig(scale=(0.6, 2.0), object_share=1.0))
    frame = record(boxes=[[70, 40, 88, 58]])
    (window,) = draw_windows([frame], config, np.random.default_rng(seed))
    x = (max(window.left, 70), min(window.left + window.side, 88))
    y = (max(window.top, 40), min(window.top + window.side, 58))
    assert x[0] < x[1]
    assert y[0] < y[1]
    if window.side <= 60:
        assert 0 <= window.left <= 90 - window.side
        assert 0 <= window.top <= 60 - window.side
    else:
        assert window.top <= 0 <= window.top + window.side - 60


def test_different_frames_share_a_window_and_a_repeated_still_drifts() -> None:
    config = TrainConfig(tile_px=32, augment=AugmentConfig(still_drift_px=5.0))
    one, other = record(), record()
    moving = draw_windows([one, other], config, np.random.default_rng(2))
    assert moving[0] == moving[1]
    still = draw_windows([one, one, one], config, np.random.default_rng(2))
    assert still[0] == moving[0]
    step = np.array([still[1].left - still[0].left, still[1].top - still[0].top])
    twice = np.array([still[2].left - still[0].left, still[2].top - still[0].top])
    assert (abs(twice - 2 * step) <= 1).all()
    assert 0 < abs(step).max() <= 5


def test_augmentation_is_one_draw_for_all_frames_and_strength_0_is_none() -> None:
    frames = np.repeat(np.random.default_rng(0).integers(0, 255, (1, 24, 24, 3)).astype(np.uint8), 3, 0)
    before = frames.copy()
    assert photometric(0.0)(frames, 5) is frames
    changed = 0
    for seed in range(12):
        made = photometric(1.0)(frames, seed)
        assert made.shape == frames.shape
        assert made.dtype == np.uint8
        assert (made == photometric(1.0)(frames, seed)).all(), "the seed fixes the draw"
        changed += int((made != frames).any())
    assert changed > 6
    assert (frames == before).all(), "the input stays as it is"


@given(seed=st.integers(0, 10_000), frames=st.integers(1, 4))
@settings(deadline=None, max_examples=25)
def test_occluders_change_exactly_the_covered_pixels(seed: int, frames: int) -> None:
    images = np.full((frames, 40, 48, 3), 255, np.uint8)
    made, covered = draw_occluders(images, np.random.default_rng(seed))
    assert (images == 255).all()
    assert (made[~covered] == 255).all()
    assert covered.shape == (frames, 40, 48)
    largest = MOST_OCCLUDERS * np.pi * (0.3 * 1.3 * 40) ** 2 / (40 * 48)
    assert covered.mean() <= largest


def sample(count: int, frames: int = 2, **changes: object) -> Sample:
    """A sample whose frame t has `count + t` boxes, numbered."""
    truth, tracks = [], []
    for t in range(frames):
        rows = count + t
        truth.append((np.full((rows, 4), 10 * count + t, np.float32), np.arange(rows)))
        tracks.append(np.arange(rows) + 100 * count)
    images = np.full((frames, 8, 8, 3), count, np.uint8)
    return Sample(images, tuple(truth), tuple(tracks), **changes)  # type: ignore[arg-type]


def test_a_batch_gives_every_frame_its_own_boxes() -> None:
    batch = stack([sample(2), sample(0), sample(1)])
    assert batch.images.shape == (3, 2, 3, 8, 8)
    assert batch.counts.tolist() == [[2, 3], [0, 1], [1, 2]]
    targets = batch.targets()
    for clip, count in zip(targets, (2, 0, 1), strict=True):
        for t, target in enumerate(clip):
            assert len(target.labels) == count + t
            assert (target.boxes_xyxy_px == 10 * count + t).all()
            assert target.track_ids.tolist() == list(range(100 * count, 100 * count + count + t))
    assert batch.elapsed is None
    assert batch.clip_labels is None
    assert batch.depth_m is None


def test_a_batch_carries_frame_steps_and_clip_labels_where_one_sample_has_them() -> None:
    batch = stack([sample(1, 3, step=2), sample(1, 3, clip_label=1)])
    assert batch.elapsed.tolist() == [[1, 2, 2], [1, 1, 1]]
    assert batch.clip_labels.tolist() == [-1, 1]
    moved = batch.to(torch.device("cpu"))
    assert torch.equal(moved.counts, batch.counts)
    assert torch.equal(moved.elapsed, batch.elapsed)


def test_sources_that_cannot_be_trained_on_together_are_refused() -> None:
    bolts, nuts = (ClipSource(name, (name,), (Clip("a", (record(),)),)) for name in ("bolt", "nut"))
    for sources, message in (
        ([], "one source or more"),
        ([WeightedSource(bolts, 0.0)], "weight above 0"),
        ([WeightedSource(bolts, -1.0), WeightedSource(bolts, 2.0)], "weight above 0"),
        ([WeightedSource(bolts), WeightedSource(nuts)], "differ in their categories"),
    ):
        with pytest.raises(DataError, match=message):
            Sampler(sources, TrainConfig())
    with pytest.raises(DataError, match="8 clips cannot be shared evenly by 3 devices"):
        Batches([WeightedSource(bolts)], TrainConfig(batch_clips=8), 0, 3)
