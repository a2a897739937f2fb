"""Each effect of the sensor on pictures of a few pixels, by hand."""

from __future__ import annotations

import zlib
from dataclasses import replace
from statistics import NormalDist

import cv2
import numpy as np
import pytest

from simgen.camera.sensor import EFFECTS, converter, decode, develop, expose, expose_clip, gaussian, raw, spectral
from simgen.camera.sensor.pattern import HOT_SHARE
from tests.simgen.scenes import scene

NEUTRAL = replace(scene([]).sensor, full_well_e=1e12, read_noise_e=1e-6, gamma=1.0)
COLOUR = np.array([0.6, 0.3, 0.1], np.float32)


def apply(name, image, seed=0, **settings):
    return EFFECTS[name](np.asarray(image, np.float32), replace(NEUTRAL, **settings), np.random.default_rng(seed))


def even(value=1.0, height=12, width=16, channels=3):
    return np.ones((height, width, channels), np.float32) * np.float32(value)


def dot(height=41, width=41):
    image = np.zeros((height, width, 3), np.float32)
    image[height // 2, width // 2] = 1
    return image


def test_effects_stand_in_the_order_in_which_light_meets_them():
    """Exposure, lens, filters, well, amplifier, converter, then the camera's processor: changed only on purpose."""
    assert list(EFFECTS) == [
        "exposure", "vignetting", "chromatic_aberration", "motion_blur", "blur", "glare", "crosstalk", "mosaic",
        "response", "dark_current", "noise", "offsets", "convert", "demosaic", "white_balance", "colour_matrix",
        "denoise", "saturation", "tone", "sharpen",
    ]  # fmt: skip


def test_a_longer_exposure_gathers_more_light_without_a_limit():
    assert apply("exposure", even(0.6), exposure=2.5) == pytest.approx(even(1.5))
    assert apply("exposure", even(0.6), exposure=0.5) == pytest.approx(even(0.3))


# --- optics -----------------------------------------------------------------------------------------------------------


def test_vignetting_is_a_fourth_power_of_the_distance_from_the_middle():
    """1 - v (r^2 / 2)^2, where r counts half sides: v in the very corner, a quarter of it in the middle of a side."""
    shaded = apply("vignetting", even(2.0, 3, 5), vignetting=0.4)
    for row, column in np.ndindex(3, 5):
        y, x = (2 * row - 2) / 3, (2 * column - 4) / 5
        assert shaded[row, column] == pytest.approx([2 * (1 - 0.4 * ((x**2 + y**2) / 2) ** 2)] * 3)
    large = apply("vignetting", even(1.0, 401, 301), vignetting=0.4)
    assert (large[0, 0, 0], large[0, 150, 0], large[200, 150, 0]) == pytest.approx((0.6, 0.9, 1.0), abs=5e-3)


@pytest.mark.parametrize(
    ("angle_rad", "along"), [(0.0, (0, 1)), (np.pi / 2, (1, 0)), (np.pi / 4, (1, 1)), (-np.pi / 4, (1, -1))]
)
def test_motion_blur_is_an_even_line_of_its_length_about_the_pixel(angle_rad, along):
    """y is down: a positive angle leads right and down. A line of length L has the variance L^2 / 12 along itself."""
    streak = apply("motion_blur", dot(), motion_blur_px=9.0, motion_angle_rad=angle_rad)[..., 0].astype(float)
    y, x = np.indices(streak.shape) - 20.0
    direction = np.array(along) / np.linalg.norm(along)
    forward, aside = y * direction[0] + x * direction[1], y * direction[1] - x * direction[0]
    assert streak.sum() == pytest.approx(1, abs=1e-5)
    assert (streak * forward).sum() == pytest.approx(0, abs=0.02)
    assert (streak * forward**2).sum() == pytest.approx(9**2 / 12, rel=0.12)
    assert (streak * aside**2).sum() < 0.35
    assert streak[np.abs(forward) > 6.5].max() < 1e-9


@pytest.mark.parametrize(
    ("name", "setting", "least"),
    [
        ("motion_blur", "motion_blur_px", 0.3),
        ("blur", "blur_sigma_px", 0.2),
        ("denoise", "denoise", 0.05),
        ("sharpen", "sharpen", 0.05),
    ],
)
def test_what_is_too_little_to_see_is_left_out_and_the_least_of_it_is_not(name, setting, least):
    image = dot()
    under = EFFECTS[name](image, replace(NEUTRAL, **{setting: least * 0.999}), np.random.default_rng(0))
    assert under is image
    changed = apply(name, image, **{setting: least})
    assert not np.array_equal(changed, image)
    assert np.array_equal(image, dot())


def test_blur_is_a_gaussian_of_its_sigma_and_nothing_comes_in_over_the_edge():
    spread = apply("blur", dot(), blur_sigma_px=2.0)[..., 0].astype(float)
    x = np.arange(41) - 20.0
    assert (spread.sum(axis=0) * x**2).sum() == pytest.approx(4, rel=0.02)
    assert spread[20, 22] / spread[20, 20] == pytest.approx(np.exp(-0.5), rel=0.02)
    for name, settings in (
        ("blur", {"blur_sigma_px": 2.0}),
        ("motion_blur", {"motion_blur_px": 7.0}),
        ("denoise", {"denoise": 1.0}),
    ):
        assert apply(name, even(0.4), **settings) == pytest.approx(even(0.4), abs=1e-6), name


@pytest.mark.parametrize(
    ("name", "settings"), [("blur", {"blur_sigma_px": 2.0}), ("motion_blur", {"motion_blur_px": 7.0})]
)
def test_beyond_the_edge_the_outermost_pixels_go_on(name, settings):
    """A bright first column counts for all that would lie left of it: more than half of its own light."""
    image = np.zeros((9, 30, 3), np.float32)
    image[:, 0] = 1
    assert 0.5 < apply(name, image, **settings)[4, 0, 0] < 0.65


def test_glare_is_a_share_of_the_light_spread_over_a_quarter_of_the_diagonal():
    """Of a slit in a long picture: the veil at a distance is that of a Gaussian of 0.25 diagonals."""
    slit = np.zeros((24, 480, 3), np.float32)
    slit[:, 238:242] = 1
    veil = apply("glare", slit, glare=0.2)
    assert veil[12, 240, 0] == pytest.approx(0.8 + veil[12, 230, 0], abs=2e-3)
    sigma = 0.25 * np.hypot(24, 480)
    wanted = np.exp(-0.5 * (100 / sigma) ** 2)
    assert veil[12, 340, 0] / veil[12, 236, 0] == pytest.approx(wanted, rel=0.03)
    assert veil.sum() == pytest.approx(slit.sum(), rel=0.1)
    small = apply("glare", dot(3, 5), glare=0.5)  # smaller than the size that it is worked out at
    assert small.sum() == pytest.approx(3, rel=0.1)
    assert 0.5 < small[1, 2, 0] < 0.6


def test_lateral_colour_leaves_green_and_an_even_field_alone_and_no_light_is_below_zero():
    image = np.random.default_rng(0).uniform(0, 1, (30, 40, 3)).round().astype(np.float32)
    drawn = apply("chromatic_aberration", image, lateral_ca=(0.03, 0.0))
    assert np.array_equal(drawn[..., 1], image[..., 1])
    assert np.abs(drawn[..., 2] - image[..., 2]).max() < 1e-6
    assert np.abs(drawn[..., 0] - image[..., 0]).max() > 0.2
    assert drawn.min() >= 0
    assert apply("chromatic_aberration", even() * COLOUR, lateral_ca=(0.05, -0.05)) == pytest.approx(even() * COLOUR)
    for flip in (np.s_[::-1], np.s_[:, ::-1]):  # the middle is the picture's own
        mirrored = apply("chromatic_aberration", image[flip], lateral_ca=(0.4, -0.3))
        np.testing.assert_allclose(
            mirrored[flip], apply("chromatic_aberration", image, lateral_ca=(0.4, -0.3)), atol=1e-5
        )
    tall = np.zeros((201, 31, 3), np.float32)
    tall[170, 15] = 1  # 70 px below the middle
    moved = apply("chromatic_aberration", tall, lateral_ca=(0.0, 0.02))[:, 15]
    centre = [(moved[:, c] * np.arange(201)).sum() / moved[:, c].sum() for c in range(3)]
    assert centre == pytest.approx([170, 170, 171.4], abs=0.1)


# --- filters and wells ------------------------------------------------------------------------------------------------


def test_filters_overlap_with_their_neighbours_in_the_spectrum():
    """Red's only neighbour is green, green's are red and blue, half and half."""
    mixed = apply("crosstalk", even() * COLOUR, crosstalk=0.2)[0, 0]
    assert mixed == pytest.approx([0.8 * 0.6 + 0.2 * 0.3, 0.8 * 0.3 + 0.1 * (0.6 + 0.1), 0.8 * 0.1 + 0.2 * 0.3])
    assert spectral.sensor_from_light(0.3).sum(axis=1) == pytest.approx([1, 1, 1])


def test_bayer_filters_are_red_green_over_green_blue_to_the_last_row_and_column():
    image = apply("mosaic", even(1.0, 5, 7) * COLOUR, demosaic="bilinear")
    assert image.shape == (5, 7, 1)
    for row, column in np.ndindex(5, 7):
        wanted = COLOUR[{(0, 0): 0, (1, 1): 2}.get((row % 2, column % 2), 1)]
        assert image[row, column, 0] == wanted


def test_demosaicing_keeps_what_lies_under_the_black_and_clips_at_white():
    values = np.array([-0.7, -0.5, -0.25, 0.0, 0.3, 1.0, 1.4], np.float32)
    for value, wanted in zip(values, np.clip(values, -0.5, 1), strict=True):
        full = apply("demosaic", even(value, 8, 8, 1), demosaic="bilinear")
        assert full == pytest.approx(np.full((8, 8, 3), wanted), abs=1.5 / 65535), value


def test_dark_charge_is_a_share_of_the_well_and_hot_pixels_are_as_many_and_as_strong_as_said():
    dark = apply("dark_current", even(0.1, 30, 40), dark_current_e=50.0, full_well_e=1000.0)
    assert dark == pytest.approx(even(0.15, 30, 40))
    hot = apply("dark_current", even(0.0, 300, 400), hot_pixels=0.01)
    struck = hot[hot > 0]
    assert HOT_SHARE == 0.2
    assert struck.size == pytest.approx(0.01 * hot.size, rel=0.1)
    assert struck.mean() == pytest.approx(HOT_SHARE, rel=0.1)
    assert struck.std() == pytest.approx(HOT_SHARE, rel=0.1)  # exponential
    assert np.array_equal(hot, apply("dark_current", even(0.0, 300, 400), seed=7, hot_pixels=0.01))


def test_patterns_have_their_own_spread_and_their_own_stream():
    grey = even(0.5, 200, 200, 1)
    response = apply("response", grey, prnu=0.02) / 0.5 - 1
    offset = apply("offsets", grey, dsnu_e=30.0, full_well_e=1000.0) - 0.5
    assert response.std() == pytest.approx(0.02, rel=0.02)
    assert offset.std() == pytest.approx(0.03, rel=0.02)
    assert abs(np.corrcoef(response.ravel(), offset.ravel())[0, 1]) < 0.02
    stream = np.random.default_rng([NEUTRAL.seed, 0, zlib.crc32(b"prnu")])
    assert response == pytest.approx(0.02 * gaussian.standard_normal(grey.shape, stream), abs=1e-6)


def test_the_cameras_own_patterns_are_drawn_from_streams_by_their_names():
    """So that a data set can be made again to the byte, and one pattern does not move another."""
    dark = even(0.25, 40, 50, 1)
    stream = np.random.default_rng([NEUTRAL.seed, 0, zlib.crc32(b"dsnu")])
    offset = apply("offsets", dark, dsnu_e=30.0, full_well_e=1000.0)
    assert offset == pytest.approx(dark + 0.03 * gaussian.standard_normal(dark.shape, stream), abs=1e-6)
    stream = np.random.default_rng([NEUTRAL.seed, 0, zlib.crc32(b"hot")])
    struck = stream.integers(dark.size, size=stream.binomial(dark.size, 0.01))
    wanted = dark.copy()
    wanted.reshape(-1)[struck] += stream.exponential(HOT_SHARE, struck.size).astype(np.float32)
    assert apply("dark_current", dark, hot_pixels=0.01) == pytest.approx(wanted)  # on top of the light
    assert (wanted > dark).sum() > 5


def test_row_noise_is_one_number_a_row_and_new_in_every_frame():
    rows = apply("offsets", even(0.0, 400, 6), row_noise_e=20.0, full_well_e=1000.0)
    assert np.ptp(rows, axis=(1, 2)).max() == 0
    assert rows[:, 0, 0].std() == pytest.approx(0.02, rel=0.12)
    assert not np.array_equal(rows, apply("offsets", even(0.0, 400, 6), seed=1, row_noise_e=20.0, full_well_e=1000.0))


@pytest.mark.parametrize("bits", [0, 12])
def test_noise_adds_read_noise_and_shot_noise_in_quadrature(bits):
    settings = {"full_well_e": 1000.0, "read_noise_e": 15.0, "adc_bits": bits}
    grey = apply("noise", even(0.4, 300, 300), **settings)
    assert grey.mean() == pytest.approx(0.4, abs=1e-3)
    assert grey.std() == pytest.approx(np.sqrt(400 + 15**2) / 1000, rel=0.02)
    dark, white = apply("noise", even(0.0, 300, 300), **settings), apply("noise", even(1.5, 300, 300), **settings)
    assert dark.std() == pytest.approx(0.015 if bits else 0.015 * np.sqrt(0.5 - 0.5 / np.pi), rel=0.03)
    assert (dark.min() < 0) == bool(bits)
    assert (white.max() > 1) == bool(bits)
    if not bits:  # what is over full is clipped before the noise and after it
        assert white.mean() == pytest.approx(1 - np.hypot(np.sqrt(1000), 15) / 1000 / np.sqrt(2 * np.pi), abs=1e-3)
    else:
        assert white.mean() == pytest.approx(1, abs=2e-4)
        assert white.std() == pytest.approx(0.015, rel=0.02)  # a well that overflows has no shot noise


def test_gaussian_numbers_are_the_quantiles_of_their_sixteen_bits():
    levels = gaussian._quantiles()
    assert levels.shape == (2**16,)
    assert np.array_equal(levels, -levels[::-1])
    for k in (2**15, 40000, 2**16 - 1):
        assert levels[k] == pytest.approx(NormalDist().inv_cdf((k + 0.5) / 2**16), rel=1e-4)
    assert levels.astype(float).var() == pytest.approx(1, abs=1e-6)
    words = np.random.default_rng(5).integers(0, 2**64, 2, np.uint64)
    bits = [int(word) >> (16 * k) & 0xFFFF for word in words for k in range(4)][:7]
    assert np.array_equal(gaussian.standard_normal((7, 1), np.random.default_rng(5)).ravel(), levels[bits])


# --- converter --------------------------------------------------------------------------------------------------------


def test_black_is_a_whole_code_where_there_are_codes():
    assert converter.black_of(replace(NEUTRAL, black_level=0.06)) == 0.06
    assert converter.black_of(replace(NEUTRAL, black_level=0.06, adc_bits=8)) == pytest.approx(15 / 255)
    assert converter.black_of(replace(NEUTRAL, black_level=0.0625, adc_bits=12)) == pytest.approx(256 / 4095)


def test_the_converter_amplifies_clips_and_rounds_about_its_black():
    """8 bits over a black of 51 codes: 204 codes are left for the light, and noise may reach a quarter below black."""
    image = np.array([-1.0, -0.2, 0.0, 0.1, 0.501 / 2, 0.5, 0.9], np.float32).reshape(1, -1, 1)
    coded = apply("convert", image, gain=2.0, black_level=0.2, adc_bits=8).ravel()
    wanted = [-51, -51, 0, 41, 102, 204, 204]
    assert coded * 204 == pytest.approx(wanted, abs=1e-3)
    assert apply("convert", image, gain=2.0).ravel() == pytest.approx([0, 0, 0, 0.2, 0.501, 1, 1])
    assert apply("convert", image, black_level=0.2).ravel() == pytest.approx([-0.25, -0.2, 0, 0.1, 0.2505, 0.5, 0.9])
    codes = raw(np.repeat(image, 3, axis=2), replace(NEUTRAL, gain=2.0, black_level=0.2, adc_bits=8), 0)
    assert codes[0, 2:, 0].tolist() == [51, 92, 153, 255, 255]
    assert codes.dtype == np.uint16
    assert raw(even(), replace(NEUTRAL, adc_bits=8, demosaic="bilinear"), 0).shape == (12, 16, 1)


# --- the camera's processor -------------------------------------------------------------------------------------------


def test_white_balance_weighs_each_channel_and_saturation_goes_from_grey():
    assert apply("white_balance", even() * COLOUR, white_balance=(2.0, 1.0, 0.5))[3, 5] == pytest.approx(
        [1.2, 0.3, 0.05]
    )
    grey = 0.2126 * 0.6 + 0.7152 * 0.3 + 0.0722 * 0.1
    for amount in (0.0, 0.5, 1.5):
        wanted = grey + amount * (COLOUR - grey)
        assert apply("saturation", even() * COLOUR, saturation=amount)[0, 0] == pytest.approx(wanted, abs=1e-4)


def test_tone_is_a_power_of_what_is_clipped_to_one():
    image = np.array([-0.5, 0.0, 0.25, 1.0, 3.0], np.float32).reshape(1, -1, 1)
    assert apply("tone", image, gamma=2.0).ravel() == pytest.approx([0, 0, 0.5, 1, 1])


@pytest.mark.parametrize(
    ("name", "setting", "sigma", "sign"), [("denoise", "denoise", 0.9, 1), ("sharpen", "sharpen", 1.5, -1)]
)
def test_smoothing_and_sharpening_mix_in_a_gaussian(name, setting, sigma, sign):
    image = np.random.default_rng(0).uniform(0, 1, (20, 30, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    for amount in (0.3, 0.8):
        wanted = image + sign * amount * (smooth - image)
        assert apply(name, image, **{setting: amount}) == pytest.approx(wanted, abs=1e-5)


# --- files ------------------------------------------------------------------------------------------------------------


def test_light_becomes_eight_bits_by_rounding_and_red_comes_first():
    image = np.zeros((8, 8, 3), np.float32)
    image[:] = (0.2, 0.5, 1.7)
    assert develop(image, NEUTRAL, 0)[4, 4].tolist() == [51, 128, 255]
    back = decode(expose(image, replace(NEUTRAL, jpeg_quality=100), 0))
    assert back[4, 4] == pytest.approx([51, 128, 255], abs=3)
    assert back.flags.c_contiguous


def test_an_edge_that_sharpening_overshoots_stays_white_and_black():
    image = np.zeros((9, 20, 3), np.float32)
    image[:, 10:] = 1
    sharp = develop(image, replace(NEUTRAL, sharpen=1.6), 0)
    assert sharp[:, :10].max() == 0
    assert sharp[:, 10:].min() == 255


def test_each_frame_of_a_clip_has_its_own_number_and_another_camera_other_noise():
    noisy = replace(NEUTRAL, full_well_e=200.0)
    light = [even(0.5)] * 3
    files = expose_clip(light, noisy)
    assert files == tuple(expose(light[t], noisy, t) for t in range(3))
    assert len(set(files)) == 3
    assert not np.array_equal(develop(light[0], noisy, 0), develop(light[0], replace(noisy, seed=1), 0))
