from dataclasses import MISSING, fields, replace

import cv2
import numpy as np
import pytest

from simgen.camera.sensor import EFFECTS, bayer, decode, develop, expose, raw
from simgen.presets.read import load_config
from simgen.scene.sampling.sample import sample
from simgen.spec.errors import ConfigError
from simgen.spec.scene import SensorSpec
from tests.simgen.scenes import scene

NEUTRAL = replace(scene([]).sensor, full_well_e=1e12, read_noise_e=1e-6, gamma=1.0)
RAMP = np.tile(np.linspace(0, 1, 64, dtype=np.float32)[None, :, None], (48, 1, 3)).copy()
CHANGED = {  # a setting that switches each effect on
    "exposure": {"exposure": 0.5},
    "vignetting": {"vignetting": 0.5},
    "chromatic_aberration": {"lateral_ca": (0.02, -0.02)},
    "motion_blur": {"motion_blur_px": 5.0},
    "blur": {"blur_sigma_px": 2.0},
    "glare": {"glare": 0.3},
    "crosstalk": {"crosstalk": 0.3},
    "mosaic": {"demosaic": "bilinear"},
    "response": {"prnu": 0.1},
    "dark_current": {"dark_current_e": 30.0, "full_well_e": 1000.0},
    "noise": {"full_well_e": 100.0},
    "offsets": {"dsnu_e": 30.0, "full_well_e": 1000.0},
    "convert": {"gain": 2.0},
    "demosaic": {"demosaic": "bilinear"},
    "white_balance": {"white_balance": (0.5, 1.0, 1.0)},
    "colour_matrix": {"crosstalk": 0.3},
    "denoise": {"denoise": 1.0},
    "saturation": {"saturation": 0.0},
    "tone": {"gamma": 2.2},
    "sharpen": {"sharpen": 1.0},
}
PHYSICAL = sorted(field.name for field in fields(SensorSpec) if field.default is not MISSING)
WHITE = np.ones((120, 160, 3), np.float32)
RNG = np.random.default_rng(0)


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
    given = image[..., 1:2] if name == "demosaic" else image
    changed = EFFECTS[name](given.copy(), replace(NEUTRAL, **CHANGED[name]), rng)
    assert changed.shape == image.shape[:2] + ((1,) if name == "mosaic" else (3,))
    assert changed.dtype == np.float32
    assert np.abs(changed - image[..., : changed.shape[2]]).max() > 0.02


@pytest.mark.parametrize("name", ["motion_blur", "blur", "denoise", "glare"])
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


# --- the physical chain; its noise is measured in test_emva.py --------------------------------------------------------


def test_every_physical_effect_hands_its_picture_on_untouched_when_it_is_off():
    """So that a preset without them makes the pictures that it made before there were any."""
    assert len(PHYSICAL) == 13
    off = scene([]).sensor
    names = set(EFFECTS) - {"exposure", "noise", "white_balance", "saturation", "tone"}
    assert len(names) == 15
    for name in names:
        image = picture()
        assert EFFECTS[name](image, off, np.random.default_rng(0)) is image


def test_presets_leave_the_physical_chain_off_and_a_knob_moves_its_own_number_alone():
    off = {"gain": 1.0, "demosaic": "none", "lateral_ca": (0.0, 0.0)}
    plain = sample(load_config("tiny"), 0, 0).sensor
    assert {name: getattr(plain, name) for name in PHYSICAL} == {name: off.get(name, 0) for name in PHYSICAL}
    moved = sample(load_config("tiny", ["sensor.glare.high=0.1", "sensor.prnu.high=0.1"]), 0, 0).sensor
    assert replace(moved, glare=0.0, prnu=0.0) == plain
    assert 0 < moved.glare < 0.1


def test_gain_changes_the_noise_and_not_the_brightness():
    low, high = (sample(load_config("tiny", [f"sensor.gain={{low: {g}, high: {g}}}"]), 0, 0).sensor for g in (1, 8))
    assert high.exposure == pytest.approx(low.exposure / 8)
    quiet = {"vignetting": 0.0, "blur_sigma_px": 0.0, "motion_blur_px": 0.0, "read_noise_e": 1e-6, "full_well_e": 1e4}
    flat = WHITE * np.float32(0.4 / low.exposure)
    signals = []
    for sensor in (low, high):
        image, rng = flat, np.random.default_rng(1)
        for name in list(EFFECTS)[: list(EFFECTS).index("convert") + 1]:
            image = EFFECTS[name](image, replace(sensor, **quiet), rng)
        signals.append(image)
    assert signals[1].mean() == pytest.approx(signals[0].mean(), rel=0.01)
    assert signals[1].var() / signals[0].var() == pytest.approx(8, rel=0.05)


def test_red_and_blue_are_drawn_larger_by_what_the_spec_says():
    image = np.zeros((201, 301, 3), np.float32)
    image[100, 270] = 1  # 120 px right of the middle
    drawn = EFFECTS["chromatic_aberration"](image, replace(NEUTRAL, lateral_ca=(0.01, -0.005)), RNG)
    x = np.arange(301)
    centres = [(drawn[100, :, c] * x).sum() / drawn[100, :, c].sum() for c in range(3)]
    assert centres == pytest.approx([270 + 1.2, 270, 270 - 0.6], abs=0.1)


def test_glare_lifts_a_black_patch_by_its_share_and_leaves_an_even_field():
    sensor = replace(NEUTRAL, glare=0.04)
    assert EFFECTS["glare"](WHITE, sensor, RNG) == pytest.approx(WHITE, abs=1e-5)
    patched = WHITE.copy()
    patched[56:64, 76:84] = 0
    assert EFFECTS["glare"](patched, sensor, RNG)[60, 80] == pytest.approx([0.04] * 3, rel=0.05)


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_the_colour_matrix_takes_crosstalk_out_and_pays_for_it_in_noise(share):
    sensor = replace(NEUTRAL, crosstalk=share)
    mixed = EFFECTS["crosstalk"](picture(), sensor, RNG)
    assert EFFECTS["crosstalk"](WHITE, sensor, RNG) == pytest.approx(WHITE)
    assert np.abs(mixed - picture()).max() > 0.05
    assert EFFECTS["colour_matrix"](mixed, sensor, RNG) == pytest.approx(picture(), abs=1e-5)
    noisy = np.random.default_rng(0).standard_normal((200, 200, 3)).astype(np.float32)
    assert EFFECTS["colour_matrix"](noisy, sensor, RNG).std() > (1 + share) * noisy.std()


@pytest.mark.parametrize("how", sorted(bayer.DEMOSAIC))
def test_bayer_filters_and_back_keep_colours_and_let_each_filter_through(how):
    sensor = replace(NEUTRAL, demosaic=how)
    colour = np.array([0.7, 0.4, 0.1], np.float32)
    image = EFFECTS["mosaic"](WHITE * colour, sensor, RNG)
    assert image[:2, :2, 0].tolist() == [
        [pytest.approx(0.7), pytest.approx(0.4)],
        [pytest.approx(0.4), pytest.approx(0.1)],
    ]
    assert EFFECTS["demosaic"](image, sensor, RNG) == pytest.approx(WHITE * colour, abs=1e-4)
    below = EFFECTS["demosaic"](np.full((8, 8, 1), -0.3, np.float32), sensor, RNG)  # noise under the black survives
    assert below.mean() == pytest.approx(-0.3, abs=1e-4)
    smooth = cv2.GaussianBlur(picture(), (0, 0), 3)
    again = EFFECTS["demosaic"](EFFECTS["mosaic"](smooth, sensor, RNG), sensor, RNG)
    assert np.abs(again - smooth)[2:-2, 2:-2].max() < 0.02


def test_a_demosaicing_that_there_is_not_is_named():
    with pytest.raises(KeyError, match="no demosaicing 'fancy'; there are none, bilinear, edge_aware"):
        develop(WHITE, replace(NEUTRAL, demosaic="fancy"), 0)
    with pytest.raises(ConfigError, match="no demosaicing 'fancy'; there are none, bilinear, edge_aware"):
        load_config("tiny", ["sensor.demosaic={weights: {fancy: 1}}"])


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("sensor.prnu.low=-1", "needs 0 to 0.5 share, got low=-1.0, high=0.0: a share"),
        ("sensor.gain.low=0.01", "needs 0.1 to 100, got low=0.01, high=1.0: a gain"),
        ("sensor.crosstalk.high=0.6", "needs 0 to 0.4 share"),
        ("sensor.adc_bits={low: 4, high: 8}", "a range in 8..16, got low=4, high=8"),
        ("sensor.adc_bits={low: 0, high: 8}", "a range in 8..16, got low=0, high=8"),
    ],
)
def test_a_sensor_that_cannot_be_is_refused(override, says):
    with pytest.raises(ConfigError, match=says):
        load_config("tiny", [override])


def test_codes_need_a_converter_and_a_picture_has_no_more_of_them_than_its_bits():
    with pytest.raises(ValueError, match="adc_bits is 0"):
        raw(RAMP, NEUTRAL, 0)
    gradient = np.tile(np.linspace(0, 1.2, 4000, dtype=np.float32)[None, :, None], (4, 1, 3)).copy()
    for bits in (8, 10):
        codes = raw(gradient, replace(NEUTRAL, adc_bits=bits, black_level=0.05), 0)
        black = round(0.05 * (2**bits - 1))
        assert np.array_equal(np.unique(codes), np.arange(black, 2**bits))


def test_the_whole_physical_chain_keeps_the_picture():
    """On average and up to its colours' blur at edges, a good physical camera shows what the plain one does."""
    base = replace(scene([]).sensor, full_well_e=2e4, exposure=0.8)
    real = replace(
        base, demosaic="bilinear", crosstalk=0.2, prnu=0.005, dsnu_e=2.0, dark_current_e=3.0, row_noise_e=1.0,
        black_level=0.06, adc_bits=12, lateral_ca=(3e-4, -3e-4), gain=1.0,
    )  # fmt: skip
    plain, physical = (develop(picture(), sensor, 0).astype(float) for sensor in (base, real))
    inside = np.s_[14:26, 24:36]  # of the red patch
    assert physical[inside].mean(axis=(0, 1)) == pytest.approx(plain[inside].mean(axis=(0, 1)), abs=3)
    assert np.abs(cv2.blur(physical - plain, (5, 5)))[34:, 4:-4].max() < 8  # the ramp, clear of edges
