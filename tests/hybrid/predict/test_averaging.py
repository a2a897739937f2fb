"""Averaging of the last frames of a video, moved as the picture moved."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from hybrid.cli import app
from hybrid.core.errors import ConfigError
from hybrid.model.network import Network
from hybrid.predict.averaging import Average, after, averaged
from hybrid.predict.io.sources import open_source
from hybrid.predict.io.video import Source, SourceFrame
from hybrid.weights.checkpoint import save_detector
from hybrid.weights.record import RUN
from tests.hybrid.photos import CATEGORIES
from tests.hybrid.variants import full

HEIGHT, WIDTH, FRAMES = 96, 128, 6
NOISE = 40.0  # grey levels


def _belt(seed: int = 0) -> np.ndarray:
    """A long grey belt with bright discs, [h, w, 3] float."""
    rng = np.random.default_rng(seed)
    belt = np.full((HEIGHT, 4 * WIDTH, 3), 90, np.uint8)
    for _ in range(60):
        centre = (int(rng.integers(4 * WIDTH)), int(rng.integers(HEIGHT)))
        cv2.circle(belt, centre, int(rng.integers(4, 10)), rng.integers(120, 200, 3).tolist(), -1)
    return belt.astype(np.float32)


def _views(belt: np.ndarray, shift: tuple[float, float], count: int = FRAMES) -> list[np.ndarray]:
    """What a fixed camera sees of a belt that moves by `shift` (x, y) px a frame."""
    start = np.array([-1.5 * WIDTH, 0.0])
    moves = [start + k * np.array(shift) for k in range(count)]
    return [
        cv2.warpAffine(belt, np.array([[1, 0, x], [0, 1, y]]), (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
        for x, y in moves
    ]


def _noisy(views: list[np.ndarray], seed: int = 1) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [(view + rng.normal(0, NOISE, view.shape)).clip(0, 255).astype(np.uint8) for view in views]


def _all(images: list[np.ndarray], frames: int) -> list[Average]:
    averages: list[Average] = []
    for image in images:
        averages.append(after(averages[-1] if averages else None, image, frames))
    return averages


def _clip(images: list[np.ndarray], still: bool = False) -> list[SourceFrame]:
    return [SourceFrame(str(k), image, k / 10, still=still) for k, image in enumerate(images)]


@pytest.mark.parametrize("shift", [(7.0, 0.0), (-11.0, 0.0), (5.5, 1.25), (0.0, 0.0)])
def test_the_way_of_a_belt_is_told_under_strong_noise(shift: tuple[float, float]) -> None:
    last = _all(_noisy(_views(_belt(), shift)), 4)[-1]
    assert len(last.ways_px) == 4
    for age, way in enumerate(last.ways_px):
        assert way == pytest.approx(age * np.array(shift), abs=0.25 * age + 1e-9), age


@pytest.mark.parametrize("shift", [(7.0, 0.0), (-6.0, 2.0), (0.0, 0.0)])
def test_four_frames_halve_the_noise_of_a_belt_that_moves(shift: tuple[float, float]) -> None:
    views = [view.clip(0, 255) for view in _views(_belt(), shift)]
    noisy = _noisy(views)
    mean = _all(noisy, 4)[-1].image()
    inner = np.s_[24:-24, 24:-24]  # what four frames have seen
    error = (mean - views[-1])[inner].std() / (noisy[-1] - views[-1])[inner].std()
    assert error < 0.62, error  # 0.5, and what is smeared


def test_what_came_in_is_the_newest_frame_alone() -> None:
    images = [view.astype(np.uint8) for view in _views(_belt(), (8.0, 0.0))]
    last = _all(images, 4)[-1]
    np.testing.assert_array_equal(last.image()[:, :7], images[-1][:, :7])


def test_a_cut_begins_anew() -> None:
    before = [view.astype(np.uint8) for view in _views(_belt(), (6.0, 0.0))]
    rng = np.random.default_rng(5)
    other = rng.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    agreed = _all([*before, other, other], 4)
    assert len(agreed[len(before) - 1].images) == 4
    noise = _all([rng.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8) for _ in range(5)], 4)
    assert [len(one.images) for one in noise] == [1] * 5
    np.testing.assert_array_equal(noise[-1].image(), noise[-1].images[0])


def test_an_even_picture_and_another_size_begin_anew() -> None:
    even = np.full((HEIGHT, WIDTH, 3), 70, np.uint8)
    assert [len(one.images) for one in _all([even] * 3, 4)] == [1, 1, 1]
    small = _noisy(_views(_belt(), (3.0, 0.0)))
    large = [cv2.resize(image, (2 * WIDTH, 2 * HEIGHT)) for image in small]
    sizes = [len(one.images) for one in _all([*small, *large], 4)]
    assert sizes == [1, 2, 3, 4, 4, 4] * 2


def test_memory_is_bounded_and_later_frames_change_nothing() -> None:
    images = _noisy(_views(_belt(), (2.0, 0.0), 20))
    long, short = _all(images, 3), _all(images[:9], 3)
    assert max(len(one.images) for one in long) == 3
    for one, other in zip(long, short, strict=False):
        np.testing.assert_array_equal(one.image(), other.image())


def test_each_clip_begins_anew_and_all_else_of_a_frame_stays() -> None:
    images = _noisy(_views(_belt(), (4.0, 0.0)))
    source = Source("belt", [_clip(images), _clip(images)], total=12, frames_per_s=10.0)
    after_it = averaged(source, 4)
    assert (after_it.total, after_it.frames_per_s) == (12, 10.0)
    first, second = ([*clip] for clip in after_it.clips)
    assert [frame.name for frame in first] == [frame.name for frame in second] == [str(k) for k in range(6)]
    assert [frame.time_s for frame in first] == [k / 10 for k in range(6)]
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
    np.testing.assert_array_equal(first[0].image, images[0])
    assert (first[3].image != images[3]).any()


def test_stills_stay_as_they_are() -> None:
    images = _noisy(_views(_belt(), (0.0, 0.0)))
    (clip,) = averaged(Source("photos", [_clip(images, still=True)]), 4).clips
    for frame, image in zip(clip, images, strict=True):
        np.testing.assert_array_equal(frame.image, image)


def test_one_frame_is_no_average_and_other_numbers_are_refused() -> None:
    source = open_source(iter(_noisy(_views(_belt(), (1.0, 0.0)))))
    assert averaged(source, 1) is source
    for frames in (0, 33):
        with pytest.raises(ConfigError, match=f"average: needs 1 to 32 frames, got {frames}"):
            averaged(source, frames)


def test_the_command_averages_the_frames_of_a_video_and_draws_them(tmp_path: Path) -> None:
    run, belt = tmp_path / "run", tmp_path / "belt.avi"
    run.mkdir()
    torch.manual_seed(1)
    save_detector(run / "ema.safetensors", Network(full(CATEGORIES, width=16, heads=2, queries=5, memory_frames=2)))
    (run / RUN).write_text(json.dumps({"train": {"tile_px": 96}}))
    video = cv2.VideoWriter(str(belt), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (WIDTH, HEIGHT))
    for image in _noisy(_views(_belt(), (4.0, 0.0))):
        video.write(image)
    video.release()
    rough = {}
    for frames in (1, 4):
        out = tmp_path / f"{frames}.avi"
        line = ["predict", "--whole", "--runtime", "torch", "--score", "1", "--checkpoint", str(run)]
        done = CliRunner().invoke(app, [*line, "--source", str(belt), "--average", str(frames), "--out", str(out)])
        assert done.exit_code == 0, done.stderr
        shown = [frame.image.astype(float) for clip in open_source(str(out)).clips for frame in clip]
        assert len(shown) == FRAMES
        rough[frames] = np.abs(np.diff(shown[-1], axis=0)).mean()
    assert rough[4] < 0.7 * rough[1], rough
    done = CliRunner().invoke(app, ["predict", "--source", str(belt), "--average", "0"])
    assert (done.exit_code, "--average" in done.stderr) == (2, True)
