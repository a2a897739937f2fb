"""Rendered parts over a photograph: what stays the photo's own, and what parts get of the camera."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simgen.camera.over_photo import Backdrop, develop_over
from tests.simgen.photos import drawn
from tests.simgen.scenes import scene

PLAIN = replace(
    scene([]).sensor, exposure=1.0, white_balance=(1.0, 1.0, 1.0), vignetting=0.0, blur_sigma_px=0.0, full_well_e=1e9,
    read_noise_e=1e-3, denoise=0.0, sharpen=0.0, saturation=1.0, gamma=2.2, motion_blur_px=0.0,
)  # fmt: skip
WORST = replace(
    PLAIN, vignetting=0.4, blur_sigma_px=1.5, full_well_e=400.0, read_noise_e=20.0, denoise=0.8, sharpen=1.5,
    saturation=0.5, motion_blur_px=4.0, lateral_ca=(0.01, -0.01), glare=0.2, crosstalk=0.3, demosaic="bilinear",
    prnu=0.1, dsnu_e=30.0, dark_current_e=20.0, hot_pixels=0.05, row_noise_e=20.0, black_level=0.05, adc_bits=8,
    gain=2.0, white_balance=(0.7, 1.0, 1.4), exposure=3.0,
)  # fmt: skip
PHOTO = drawn(96, 72)


def over(layer, sensor, photo=PHOTO, covered=None, local=1.0):
    light = (photo / np.float32(255)) ** np.float32(sensor.gamma)
    is_covered = layer[..., 3] == 0 if covered is None else covered
    backdrop = Backdrop(light.astype(np.float32), np.full(photo.shape[:2], local, np.float32))
    return develop_over(backdrop, layer.astype(np.float32), is_covered, sensor, 0)


def bare():
    layer = np.zeros((72, 96, 4), np.float32)
    layer[..., 3] = 1
    return layer


def with_part(level=0.2):
    layer = bare()
    layer[24:48, 32:64] = (level, level, level, 0)
    return layer


def away(reach):
    """The pixels further than `reach` from the part."""
    far = np.ones((72, 96), bool)
    far[24 - reach : 48 + reach, 32 - reach : 64 + reach] = False
    return far


def test_without_parts_the_picture_is_the_photo_byte_for_byte_through_any_sensor():
    assert np.array_equal(over(bare(), WORST), PHOTO)


def test_far_from_a_part_the_picture_is_the_photo_byte_for_byte():
    picture = over(with_part(), WORST)
    assert np.array_equal(picture[away(14)], PHOTO[away(14)])
    assert not np.array_equal(picture, PHOTO)


def test_a_shadow_takes_the_same_share_of_the_light_from_every_ground():
    layer = bare()
    layer[..., 3] = 0.5
    picture = over(layer, PLAIN)
    assert np.abs(picture - 255 * ((PHOTO / 255) ** 2.2 * 0.5) ** (1 / 2.2)).max() <= 0.51


def test_a_part_hides_the_photo_and_shows_its_own_light():
    picture = over(with_part(0.2), PLAIN)
    assert (picture[25:47, 33:63] == round(255 * 0.2 ** (1 / 2.2))).all()


def test_the_noise_of_the_sensor_is_on_the_part_alone():
    noisy = replace(PLAIN, full_well_e=300.0, blur_sigma_px=0.5)
    picture = over(with_part(), noisy)
    assert picture[27:45, 35:61].std() > 5
    assert np.array_equal(picture[away(4)], PHOTO[away(4)])


@pytest.mark.parametrize("sigma_px", [0.6, 1.5])
def test_edges_of_parts_and_of_shadows_are_as_soft_as_the_lens(sigma_px):
    """The rise of a blurred step from 16 to 84 % is two standard deviations long."""
    flat = np.full((72, 96, 3), 200, np.uint8)
    layer = bare()
    layer[:, 48:, 3] = 0
    row = over(layer, replace(PLAIN, blur_sigma_px=sigma_px, gamma=1.0), flat, np.zeros((72, 96), bool))[36, :, 0] / 200
    places = np.arange(96)
    rise = np.interp(0.84, row[::-1], places[::-1]) - np.interp(0.16, row[::-1], places[::-1])
    assert abs(rise) == pytest.approx(2 * sigma_px, rel=0.12)


def test_sharpening_is_of_the_part_and_not_of_the_photo():
    """Beside a dark part the ground gets a halo; the photo's grain stays as it is away from it."""
    sharp = replace(PLAIN, sharpen=1.0)
    flat = np.full((72, 96, 3), 120, np.uint8)
    picture = over(with_part(0.0), sharp, flat)
    assert picture[36, 30, 0] > 121  # the halo
    assert np.array_equal(over(bare(), sharp), PHOTO)


def test_parts_are_as_bright_as_exposure_gain_balance_and_place_say():
    sensor = replace(PLAIN, exposure=0.5, gain=2.0, white_balance=(0.8, 1.0, 1.2), gamma=1.0)
    picture = over(with_part(0.5), sensor, local=0.6)
    assert picture[36, 48].tolist() == pytest.approx([255 * 0.5 * 0.6 * b for b in (0.8, 1.0, 1.2)], abs=1)


def test_a_grey_camera_shows_parts_in_grey():
    layer = with_part()
    layer[24:48, 32:64, 0] = 0.6
    picture = over(layer, replace(PLAIN, saturation=0.0))
    assert np.ptp(picture[30, 48].astype(int)) <= 1
