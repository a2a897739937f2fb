"""Laws of single sensor effects: each grows with its own number, and keeps what it must not change."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simgen.camera.sensor import EFFECTS, converter, develop, spectral
from simgen.spec.colour import LUMINANCE
from tests.simgen.scenes import scene

NEUTRAL = replace(scene([]).sensor, full_well_e=1e12, read_noise_e=1e-6, gamma=1.0)
DETAIL = np.random.default_rng(5).uniform(0.1, 0.7, (40, 56, 3)).astype(np.float32)
FLAT = np.full((40, 56, 3), 0.4, np.float32)
GROWING = {  # an effect's settings from weak to strong
    "exposure": [{"exposure": e} for e in (0.8, 0.5, 0.2)],
    "vignetting": [{"vignetting": v} for v in (0.1, 0.4, 0.9)],
    "chromatic_aberration": [{"lateral_ca": (c, -c)} for c in (0.002, 0.01, 0.03)],
    "motion_blur": [{"motion_blur_px": p} for p in (1.0, 3.0, 9.0)],
    "blur": [{"blur_sigma_px": s} for s in (0.4, 1.0, 3.0)],
    "glare": [{"glare": g} for g in (0.02, 0.1, 0.5)],
    "crosstalk": [{"crosstalk": c} for c in (0.05, 0.2, 0.4)],
    "response": [{"prnu": p} for p in (0.005, 0.02, 0.1)],
    "dark_current": [{"dark_current_e": e, "full_well_e": 1000.0} for e in (2.0, 20.0, 100.0)],
    "noise": [{"full_well_e": e} for e in (1e5, 1e4, 1e3)],
    "offsets": [{"dsnu_e": e, "full_well_e": 1000.0} for e in (2.0, 10.0, 50.0)],
    "convert": [{"adc_bits": b} for b in (12, 8, 4)],
    "white_balance": [{"white_balance": (g, 1.0, 1.0)} for g in (0.9, 0.7, 0.4)],
    "denoise": [{"denoise": d} for d in (0.1, 0.4, 1.0)],
    "saturation": [{"saturation": s} for s in (0.9, 0.5, 0.0)],
    "tone": [{"gamma": g} for g in (1.2, 1.8, 2.4)],
    "sharpen": [{"sharpen": s} for s in (0.1, 0.5, 1.5)],
}


def applied(name, image, **changes):
    return EFFECTS[name](image.copy(), replace(NEUTRAL, **changes), np.random.default_rng(3))


@pytest.mark.parametrize("name", sorted(GROWING))
def test_a_stronger_setting_changes_the_image_more(name):
    changes = [float(np.abs(applied(name, DETAIL, **setting) - DETAIL).mean()) for setting in GROWING[name]]
    assert changes[0] > 0
    assert changes[1] > 1.05 * changes[0]
    assert changes[2] > 1.05 * changes[1]


def test_every_effect_but_the_two_of_the_bayer_filters_and_the_matrix_has_a_strength():
    assert set(EFFECTS) - set(GROWING) == {"mosaic", "demosaic", "colour_matrix"}


def test_effects_come_in_the_order_of_the_physics():
    order = list(EFFECTS)
    optics = ["vignetting", "chromatic_aberration", "blur", "glare"]
    pixels = ["crosstalk", "mosaic", "response", "dark_current", "noise", "offsets", "convert"]
    processor = ["demosaic", "white_balance", "colour_matrix", "denoise", "saturation", "tone", "sharpen"]
    expected = [*optics, *pixels, *processor]
    assert [name for name in order if name in expected] == expected
    assert order.index("exposure") == 0


@pytest.mark.parametrize(
    "name", ["exposure", "vignetting", "chromatic_aberration", "motion_blur", "blur", "glare", "crosstalk", "response"]
)
def test_effects_before_the_charge_are_linear_in_the_light(name):
    setting = GROWING[name][1]
    np.testing.assert_allclose(applied(name, 2 * DETAIL, **setting), 2 * applied(name, DETAIL, **setting), atol=2e-5)


@pytest.mark.parametrize(
    "name", ["chromatic_aberration", "motion_blur", "blur", "glare", "crosstalk", "denoise", "saturation", "sharpen"]
)
def test_a_uniform_grey_image_stays_as_it_is(name):
    for setting in GROWING[name]:
        np.testing.assert_allclose(applied(name, FLAT, **setting), FLAT, atol=1e-5)


@pytest.mark.parametrize("name", ["motion_blur", "blur", "glare", "denoise"])
def test_smoothing_never_leaves_the_range_of_the_image(name):
    for setting in GROWING[name]:
        smoothed = applied(name, DETAIL, **setting)
        assert smoothed.min() >= DETAIL.min() - 1e-5
        assert smoothed.max() <= DETAIL.max() + 1e-5


def test_vignetting_is_nothing_in_the_middle_all_in_the_corner_and_symmetric():
    white = np.ones((41, 61, 3), np.float32)
    left = applied("vignetting", white, vignetting=0.6)
    assert left[20, 30] == pytest.approx([1.0] * 3, abs=1e-4)
    assert left[0, 0] == pytest.approx([0.4] * 3, abs=0.05)
    np.testing.assert_allclose(left, left[::-1, ::-1], atol=1e-6)
    assert (np.diff(left[20, 30:, 0]) <= 0).all()
    assert left[20, -1, 0] == pytest.approx(1 - 0.6 / 4, abs=0.02)  # half of the corner's radius squared


@pytest.mark.parametrize("angle", [0.0, 0.7, np.pi / 2, 2.4])
def test_motion_blur_is_as_long_as_the_setting_says_and_turned_by_its_angle(angle):
    point = np.zeros((61, 61, 3), np.float32)
    point[30, 30] = 1
    streak = applied("motion_blur", point, motion_blur_px=20.0, motion_angle_rad=angle)[..., 0]
    y, x = np.mgrid[:61, :61] - 30
    along, across = x * np.cos(angle) + y * np.sin(angle), -x * np.sin(angle) + y * np.cos(angle)
    assert np.sqrt((streak * along**2).sum()) == pytest.approx(20 / np.sqrt(12), rel=0.05)  # of a uniform line
    assert np.sqrt((streak * across**2).sum()) < 0.6
    assert (streak * along).sum() == pytest.approx(0, abs=1e-4)  # the middle of the exposure stays


def test_blur_has_the_variance_that_it_says():
    point = np.zeros((61, 61, 3), np.float32)
    point[30, 30] = 1
    spread = applied("blur", point, blur_sigma_px=2.5)[..., 1]
    x = np.arange(61) - 30
    assert (spread.sum(axis=0) * x**2).sum() == pytest.approx(2.5**2, rel=0.03)


@settings(deadline=None, max_examples=30)
@given(st.floats(0.0, 0.4))
def test_crosstalk_keeps_grey_and_the_matrix_is_its_inverse(share):
    matrix = spectral.sensor_from_light(share)
    np.testing.assert_allclose(matrix.sum(axis=1), 1)
    assert (matrix >= 0).all()
    image = applied("crosstalk", DETAIL, crosstalk=share)
    np.testing.assert_allclose(applied("colour_matrix", image, crosstalk=share), DETAIL, atol=1e-4)


def test_saturation_keeps_the_luminance_and_at_zero_every_channel_is_it():
    luminance = DETAIL @ LUMINANCE
    for saturation in (0.0, 0.5, 1.6):
        np.testing.assert_allclose(
            applied("saturation", DETAIL, saturation=saturation) @ LUMINANCE, luminance, atol=1e-5
        )
    np.testing.assert_allclose(
        applied("saturation", DETAIL, saturation=0.0), np.repeat(luminance[..., None], 3, 2), atol=1e-5
    )


def test_white_balance_multiplies_each_channel_by_its_own_gain():
    balanced = applied("white_balance", DETAIL, white_balance=(0.5, 1.0, 2.0))
    np.testing.assert_allclose(balanced, DETAIL * np.array([0.5, 1.0, 2.0], np.float32), rtol=1e-6)


def test_tone_is_monotone_and_keeps_black_and_white():
    ramp = np.repeat(np.linspace(-0.2, 1.4, 161, dtype=np.float32)[None, :, None], 3, axis=2)
    shown = applied("tone", ramp, gamma=2.2)[0, :, 0]
    assert (np.diff(shown) >= 0).all()
    assert shown[20] == pytest.approx(0, abs=1e-3)  # light 0
    assert shown[120] == pytest.approx(1, abs=1e-3)  # light 1
    assert shown[:20].max() == 0
    assert shown[121:].min() == 1


def test_sharpening_overshoots_on_both_sides_of_an_edge():
    edge = np.full((21, 41, 3), 0.3, np.float32)
    edge[:, 20:] = 0.6
    sharp = applied("sharpen", edge, sharpen=1.0)[10, :, 0]
    assert sharp[18] < 0.29
    assert sharp[21] > 0.61
    assert sharp[[0, -1]] == pytest.approx([0.3, 0.6], abs=1e-3)


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("black_level", [0.0, 0.03, 0.25])
def test_the_converter_rounds_by_at_most_half_a_code_and_black_is_a_whole_code(bits, black_level):
    sensor = replace(NEUTRAL, adc_bits=bits, black_level=black_level)
    black, highest = converter.black_of(sensor), 2**bits - 1
    assert black * highest == pytest.approx(round(black * highest), abs=1e-6)
    assert abs(black - black_level) <= 0.5 / highest
    signal = np.linspace(0, 1, 1001, dtype=np.float32).reshape(1, -1, 1)
    coded = converter.convert(signal, sensor, np.random.default_rng(0))
    assert np.abs(coded - signal).max() <= 0.5 / highest / (1 - black) + 1e-6
    over = converter.convert(np.full((1, 1, 1), 7.0, np.float32), sensor, np.random.default_rng(0))
    assert over == pytest.approx(1, abs=1e-6)


def test_noise_below_black_survives_a_black_level_and_is_clipped_without_one():
    below = np.full((4, 4, 1), -0.02, np.float32)
    kept = converter.convert(below, replace(NEUTRAL, adc_bits=12, black_level=0.06), np.random.default_rng(0))
    clipped = converter.convert(below, replace(NEUTRAL, adc_bits=12, black_level=0.0), np.random.default_rng(0))
    assert kept == pytest.approx(-0.02, abs=1e-3)
    assert (clipped == 0).all()


def test_hot_pixels_and_fixed_patterns_are_the_same_in_every_frame_and_rows_are_not():
    sensor = replace(NEUTRAL, full_well_e=1000.0, hot_pixels=0.02, prnu=0.05, dsnu_e=10.0)
    for name in ("response", "dark_current", "offsets"):
        first, second = (EFFECTS[name](FLAT.copy(), sensor, np.random.default_rng(frame)) for frame in (0, 1))
        np.testing.assert_array_equal(first, second)
        assert (first != EFFECTS[name](FLAT.copy(), replace(sensor, seed=9), np.random.default_rng(0))).any()
    rows = replace(NEUTRAL, full_well_e=1000.0, row_noise_e=10.0)
    first, second = (EFFECTS["offsets"](FLAT.copy(), rows, np.random.default_rng(frame)) for frame in (0, 1))
    assert (first != second).any()
    assert np.ptp(first, axis=1).max() == 0  # one number for a row


def test_glare_spreads_further_than_blur():
    point = np.zeros((60, 80, 3), np.float32)
    point[30, 40] = 100
    far = applied("glare", point, glare=0.1)[2, 2].mean()
    assert far > 10 * applied("blur", point, blur_sigma_px=3.0)[2, 2].mean()


def test_an_image_brighter_than_white_is_white():
    assert (develop(FLAT * 10, NEUTRAL, 0) == 255).all()
    assert (develop(FLAT * 0, NEUTRAL, 0) == 0).all()
    assert develop(FLAT, replace(NEUTRAL, gamma=2.2), 0)[0, 0, 0] == round(255 * 0.4 ** (1 / 2.2))


def test_red_light_through_the_bayer_filters_hits_every_fourth_pixel():
    red = np.zeros((6, 8, 3), np.float32)
    red[..., 0] = 1
    raw = applied("mosaic", red, demosaic="bilinear")[..., 0]
    assert raw[0::2, 0::2].min() == 1
    assert raw.sum() == 12
    assert cv2.countNonZero(raw) == 12
