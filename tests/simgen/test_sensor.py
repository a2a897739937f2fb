from dataclasses import replace

import cv2
import numpy as np
import pytest
from scenes import scene

from simgen.sensor import EFFECTS, decode, develop, expose

NEUTRAL = replace(scene([]).sensor, full_well_e=1e12, read_noise_e=1e-6, gamma=1.0)
RAMP = np.tile(np.linspace(0, 1, 64, dtype=np.float32)[None, :, None], (48, 1, 3)).copy()
CHANGED = {  # a setting that switches each effect on
    "exposure": {"exposure": 0.5},
    "vignetting": {"vignetting": 0.5},
    "motion_blur": {"motion_blur_px": 5.0},
    "blur": {"blur_sigma_px": 2.0},
    "noise": {"full_well_e": 100.0},
    "white_balance": {"white_balance": (0.5, 1.0, 1.0)},
    "denoise": {"denoise": 1.0},
    "saturation": {"saturation": 0.0},
    "tone": {"gamma": 2.2},
    "sharpen": {"sharpen": 1.0},
}


def picture():
    image = RAMP.copy()
    image[10:30, 20:40] = (0.8, 0.2, 0.1)
    return image


def test_every_effect_has_a_setting_here():
    assert set(CHANGED) == set(EFFECTS)


@pytest.mark.parametrize("name", sorted(EFFECTS))
def test_each_effect_does_nothing_at_neutral_and_something_when_on(name):
    image, rng = picture(), np.random.default_rng(0)
    assert np.allclose(EFFECTS[name](image.copy(), NEUTRAL, rng), image, atol=1e-4)
    changed = EFFECTS[name](image.copy(), replace(NEUTRAL, **CHANGED[name]), rng)
    assert changed.shape == image.shape
    assert changed.dtype == np.float32
    assert np.abs(changed - image).max() > 0.02


@pytest.mark.parametrize("name", ["motion_blur", "blur", "denoise"])
def test_smoothing_keeps_the_mean_light(name):
    image = np.zeros((41, 41, 3), np.float32)
    image[20, 20] = 1
    smoothed = EFFECTS[name](image, replace(NEUTRAL, **CHANGED[name]), np.random.default_rng(0))
    assert smoothed.sum() == pytest.approx(3, rel=1e-4)


def test_motion_blur_runs_along_its_angle():
    image = np.zeros((41, 41, 3), np.float32)
    image[20, 20] = 1
    streak = EFFECTS["motion_blur"](image, replace(NEUTRAL, motion_blur_px=9.0), np.random.default_rng(0))[..., 0]
    ys, xs = np.nonzero(streak > 0.02)
    assert np.ptp(xs) >= 8
    assert np.ptp(ys) <= 2


@pytest.mark.parametrize("level", [0.1, 0.4, 0.8])
def test_noise_follows_the_photon_transfer_curve(level):
    """Variance in electrons is the signal plus the read noise squared (EMVA 1288)."""
    sensor = replace(NEUTRAL, full_well_e=2000.0, read_noise_e=12.0)
    flat = np.full((400, 400, 3), level, np.float32)
    electrons = EFFECTS["noise"](flat, sensor, np.random.default_rng(1)) * 2000
    assert electrons.mean() == pytest.approx(level * 2000, rel=0.01)
    assert electrons.var() == pytest.approx(level * 2000 + 12**2, rel=0.03)


def test_noise_differs_from_frame_to_frame_and_repeats_for_the_same_frame():
    sensor = replace(NEUTRAL, full_well_e=500.0)
    first, second, again = (develop(picture(), sensor, frame) for frame in (0, 1, 0))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)
    assert expose(picture(), sensor, 0) == expose(picture(), sensor, 0)


def test_channels_stay_red_green_blue_through_the_file():
    image = np.zeros((32, 32, 3), np.float32)
    image[..., 0] = 1
    back = decode(expose(image, replace(NEUTRAL, jpeg_quality=95), 0))
    assert back[..., 0].mean() > 240
    assert back[..., 2].mean() < 15


def test_a_lower_jpeg_quality_is_a_smaller_file():
    noisy = np.random.default_rng(0).uniform(0, 1, (64, 64, 3)).astype(np.float32)
    small, large = (len(expose(noisy, replace(NEUTRAL, jpeg_quality=q), 0)) for q in (30, 95))
    assert small < 0.6 * large


def test_bytes_that_are_no_image_are_named():
    with pytest.raises(ValueError, match="4 bytes that are no image"):
        decode(b"\x00abc")
    assert cv2.imdecode(np.frombuffer(expose(RAMP, NEUTRAL, 0), np.uint8), 1).shape == RAMP.shape
