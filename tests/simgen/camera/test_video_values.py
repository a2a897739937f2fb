"""H.264 at its limits: sizes, rate factors, groups, and what a frame's bytes depend on."""

from __future__ import annotations

import numpy as np
import pytest

from simgen.camera.sensor import video
from simgen.camera.sensor.video import through_h264

pytest.importorskip("av")


def clip(frames, height=32, width=48, seed=0):
    """Noise that moves to the right over a slope."""
    noise = np.random.default_rng(seed).uniform(0, 90, (height, width, 3))
    slope = np.linspace(20, 160, width)[None, :, None]
    return [np.rint(slope + np.roll(noise, 2 * t, axis=1)).astype(np.uint8) for t in range(frames)]


def test_no_frame_depends_on_those_after_it():
    """The encoder does not look ahead, as in a camera."""
    images = clip(6)
    for whole, part in zip(through_h264(images, 30), through_h264(images[:3], 30), strict=False):
        assert np.array_equal(whole, part)


def test_a_group_starts_with_a_frame_that_leans_on_none_before_it(monkeypatch):
    """The third frame changes where it starts a group, and the second does not."""
    images = clip(3)
    assert video.GROUP == 250
    together = through_h264(images, 30)
    monkeypatch.setattr(video, "GROUP", 2)
    grouped = through_h264(images, 30)
    assert [np.array_equal(a, b) for a, b in zip(grouped, together, strict=True)] == [True, True, False]


@pytest.mark.parametrize(("height", "width"), [(32, 47), (31, 48), (31, 47), (34, 46), (2, 2), (33, 64)])
def test_any_size_is_kept_and_the_last_row_and_column_are_no_darker(height, width):
    grey = [np.full((height, width, 3), 200, np.uint8)] * 2
    for image in through_h264(grey, 20):
        assert image.shape == (height, width, 3)
        assert image.dtype == np.uint8
        assert image.flags.c_contiguous
        assert np.abs(image.astype(int) - 200).max() <= 4


def test_the_finest_and_the_coarsest_rate_factor_are_taken_and_none_beyond():
    images = clip(2)
    error = {crf: np.abs(through_h264(images, crf)[1].astype(int) - images[1]).mean() for crf in (1, 30, 51)}
    assert error[1] < error[30] < error[51]
    for crf in (0, 52, -1):
        with pytest.raises(ValueError, match=f"H.264 has rate factors from 1 to 51, got {crf}$"):
            through_h264(images, crf)


def test_a_clip_of_no_frames_and_one_of_two_sizes():
    assert through_h264([], 20) == []
    with pytest.raises(ValueError, match=r"have one size, got \[\(32, 40, 3\), \(32, 48, 3\)\]"):
        through_h264([*clip(2), *clip(1, width=40)], 20)
    assert len(through_h264(clip(1), 20)) == 1


def test_frames_come_back_in_order_and_as_many():
    images = [np.full((16, 16, 3), value, np.uint8) for value in (20, 220, 60, 180, 100, 140, 30)]
    means = [image.mean() for image in through_h264(images, 10)]
    assert means == pytest.approx([20, 220, 60, 180, 100, 140, 30], abs=4)
