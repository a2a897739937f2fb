"""Irradiance of lamps on a level card, and flicker, against closed forms."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simgen.assets.light import card, flicker_gain, form_factor, on_level_card, softbox_radiance
from simgen.spec.scene import FlickerSpec, LampSpec
from tests.simgen.scenes import scene

ABOVE = LampSpec(
    kind="softbox", position_m=(0.0, 0.0, 1.0), toward=(0.0, 0.0, -1.0), up=(0.0, 1.0, 0.0), size_m=(0.4, 0.2),
    half_angle_rad=math.radians(30), rgb=(2.0, 1.0, 0.5),
)  # fmt: skip
DOWN = np.array([0.0, 0.0, -1.0])


def tilted(kind, elevation_deg, distance_m=1.0):
    """A lamp that is aimed at the origin."""
    up = math.radians(elevation_deg)
    away = np.array([math.cos(up), 0.0, math.sin(up)])
    return replace(ABOVE, kind=kind, position_m=tuple(distance_m * away), toward=tuple(-away), size_m=(0.02, 0.02))


@pytest.mark.parametrize("kind", ["directional", "spot", "softbox"])
def test_every_lamp_straight_above_at_a_metre_gives_a_card_its_rgb(kind):
    np.testing.assert_allclose(on_level_card(replace(ABOVE, kind=kind)), ABOVE.rgb, rtol=1e-9)


@pytest.mark.parametrize("kind", ["directional", "spot", "softbox"])
def test_a_low_lamp_gives_the_cosine_of_its_angle(kind):
    lamp = tilted(kind, 40)
    np.testing.assert_allclose(on_level_card(lamp), math.sin(math.radians(40)) * np.array(lamp.rgb), rtol=1e-3)


@pytest.mark.parametrize(("kind", "factor"), [("directional", 1.0), ("spot", 0.25), ("softbox", 0.25)])
def test_twice_as_far_is_a_quarter_but_for_parallel_rays(kind, factor):
    near, far = (on_level_card(tilted(kind, 60, distance)) for distance in (1.0, 2.0))
    np.testing.assert_allclose(far, factor * near, rtol=1e-3)


@pytest.mark.parametrize("kind", ["directional", "spot", "softbox"])
def test_a_lamp_below_the_table_gives_it_nothing(kind):
    np.testing.assert_array_equal(on_level_card(tilted(kind, -50)), 0)


@pytest.mark.parametrize("kind", ["spot", "softbox"])
def test_a_lamp_that_looks_away_gives_nothing(kind):
    np.testing.assert_array_equal(on_level_card(replace(ABOVE, kind=kind, toward=(0.0, 0.0, 1.0))), 0)


def test_a_spot_lights_nothing_outside_its_cone_and_fades_at_its_edge():
    def aimed(angle_deg):
        turn = math.radians(angle_deg)
        return float(on_level_card(replace(ABOVE, kind="spot", toward=(math.sin(turn), 0.0, -math.cos(turn))))[0])

    assert aimed(31) == 0
    assert 0 < aimed(29) < 0.5 * aimed(20)
    assert aimed(0) == aimed(5) == ABOVE.rgb[0]


@given(st.floats(0.01, 5), st.floats(0.01, 5), st.floats(0.05, 10))
def test_a_form_factor_is_a_share_and_a_small_one_is_area_over_pi_r2(width, height, distance):
    factor = form_factor(width, height, distance)
    assert 0 < factor < 1
    assert form_factor(height, width, distance) == pytest.approx(factor)
    small = form_factor(width * 1e-4, height * 1e-4, distance)
    assert small == pytest.approx(4e-8 * width * height / (math.pi * distance**2), rel=1e-3)


def test_a_softbox_is_brighter_when_it_is_smaller():
    small, large = (softbox_radiance(replace(ABOVE, size_m=(side, side)))[0] for side in (0.1, 0.2))
    assert small / large == pytest.approx(4, rel=0.05)


def test_a_card_adds_the_key_light_by_its_cosine_the_ambient_and_the_lamps():
    light = replace(scene([]).light, direction=(0.6, 0.0, 0.8), key_rgb=(1.0, 2.0, 3.0), ambient_rgb=(0.1, 0.2, 0.3))
    np.testing.assert_allclose(card(light), [0.9, 1.8, 2.7])
    np.testing.assert_allclose(
        card(replace(light, lamps=(ABOVE, ABOVE))), np.array([0.9, 1.8, 2.7]) + 2 * np.array(ABOVE.rgb)
    )


MAINS = FlickerSpec(mains_hz=50.0, depth=0.4, exposure_s=0.001, phase_rad=0.3)


def test_flicker_repeats_with_half_the_mains_period_and_averages_to_one():
    moments = np.arange(200) / 200 * 0.02
    gains = np.array([flicker_gain(MAINS, moment, 1e-6) for moment in moments])
    assert gains.mean() == pytest.approx(1)
    assert np.ptp(gains) == pytest.approx(2 * 0.4, rel=1e-2)
    np.testing.assert_allclose(gains[:100], gains[100:], atol=1e-9)


@given(st.floats(0, 1), st.floats(0.0005, 0.03))
def test_flicker_of_an_exposure_is_the_mean_of_its_moments(middle_s, exposure_s):
    moments = middle_s + (np.arange(400) + 0.5) / 400 * exposure_s - exposure_s / 2
    mean = np.mean([flicker_gain(MAINS, float(moment), 0.0) for moment in moments])
    assert flicker_gain(MAINS, middle_s, exposure_s) == pytest.approx(mean, abs=1e-3)


def test_an_exposure_of_a_whole_half_period_does_not_flicker():
    assert flicker_gain(MAINS, 0.123, 0.01) == pytest.approx(1, abs=1e-12)
