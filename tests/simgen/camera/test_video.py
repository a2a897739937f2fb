"""H.264: a clip comes back as a player shows it, coarser the higher the rate factor."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from simgen.camera.sensor import decode, expose, expose_clip
from simgen.camera.sensor.video import through_h264
from simgen.generation.plan import make_plan
from simgen.presets.read import load_config
from simgen.spec.errors import ConfigError, SimgenError, VideoUnavailable
from tests.simgen.scenes import scene

SENSOR = replace(scene([]).sensor, jpeg_quality=95)


def clip(height=48, width=64, frames=5, noise=6.0):
    """A square that moves over a slope, and noise that is new in every frame."""
    rng = np.random.default_rng(0)
    slope = np.tile(np.linspace(40, 200, width)[None, :, None], (height, 1, 3)) * (1.0, 0.8, 0.6)
    images = []
    for t in range(frames):
        image = slope + noise * rng.standard_normal(slope.shape)
        image[10:26, 8 + 3 * t : 24 + 3 * t] = (220, 60, 30)
        images.append(np.clip(np.rint(image), 0, 255).astype(np.uint8))
    return images


def error(images, others):
    return float(np.mean([np.square(a.astype(float) - b).mean() for a, b in zip(images, others, strict=True)]))


def test_a_higher_rate_factor_is_further_from_the_clip_and_order_and_colours_stay():
    pytest.importorskip("av")
    images = clip()
    fine, coarse = through_h264(images, 8), through_h264(images, 40)
    assert [image.shape for image in fine] == [(48, 64, 3)] * 5
    assert error(images, fine) < 0.5 * error(images, coarse)  # colour at half the resolution is in both
    square = [image[14:22, 12 + 3 * t : 20 + 3 * t].mean(axis=(0, 1)) for t, image in enumerate(fine)]
    assert np.array(square) == pytest.approx(np.array([(220, 60, 30)] * 5), abs=8)
    for _ in range(10):
        again = through_h264(images, 40)
        assert all(np.array_equal(a, b) for a, b in zip(coarse, again, strict=True))


def test_unlike_single_pictures_what_stands_still_loses_its_flicker():
    pytest.importorskip("av")
    images = clip(frames=8)
    still = np.s_[32:, :]
    before, after = (
        np.stack([image[still] for image in frames]).astype(float).std(axis=0).mean()
        for frames in (images, through_h264(images, 34))
    )
    assert after < 0.4 * before


def test_odd_sizes_are_kept():
    pytest.importorskip("av")
    images = clip(height=37, width=51, noise=0.0)
    back = through_h264(images, 5)
    assert back[0].shape == (37, 51, 3)
    assert np.abs(back[0].astype(float) - images[0])[28:].mean() < 4


def test_a_clip_is_compressed_where_the_spec_says_so_and_else_each_frame_alone():
    pytest.importorskip("av")
    light = [image.astype(np.float32) / 255 for image in clip(frames=3)]
    alone = tuple(expose(linear, SENSOR, t) for t, linear in enumerate(light))
    assert expose_clip(light, SENSOR) == alone
    video = expose_clip(light, replace(SENSOR, video_crf=38))
    assert len(video) == 3
    assert error([decode(a) for a in alone], [decode(v) for v in video]) > 4


def test_bad_requests_are_named(monkeypatch):
    with pytest.raises(ValueError, match="rate factors from 1 to 51, got 60"):
        through_h264(clip(), 60)
    with pytest.raises(ValueError, match="one size"):
        through_h264([clip()[0], clip(32)[0]], 20)
    with pytest.raises(ConfigError, match=r"sensor.video_crf: needs 0.*51"):
        load_config("tiny", ["sensor.video_crf={low: 20, high: 60}"])
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(VideoUnavailable, match=r"needs PyAV.*pip install .*\[video\]") as caught:
        through_h264(clip(), 20)
    assert isinstance(caught.value, SimgenError)
    with pytest.raises(VideoUnavailable):
        make_plan(load_config("tiny", ["sensor.video_crf={low: 20, high: 30}"]), scenes=8)
    assert make_plan(load_config("tiny"), scenes=8)[1] == ("bolt", "nut", "washer")
