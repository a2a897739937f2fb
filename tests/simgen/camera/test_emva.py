"""The simulated sensor on the test bench of EMVA Standard 1288, release 4.0 (linear cameras): photon transfer.

Stacks of flat fields and darks go through `simgen.camera.sensor.raw`; from the codes alone the methods of the standard
must find what was put in, within 5 %. They know nothing of the model: what a mutation of it changes, they measure. The
variance's maximum lies two or three deviations below the full well, so the standard's saturation capacity reads low by
that much: 2 to 4 % for the wells here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from simgen.camera.sensor import EFFECTS, noise, raw
from simgen.spec.scene import SensorSpec
from tests.simgen.scenes import scene

SIDE = 96
FEW = 6  # frames of an exposure: its temporal variance is good to 0.7 %
STACK = 16  # frames that are averaged before the pixels are compared
LIGHTS = np.concatenate([np.linspace(0, 0.8, 17), np.linspace(0.9, 1.05, 16)])  # denser where the wells overflow
TOLERANCE = 0.05


def camera(**changed):
    """Everything before and after the sensor neutral."""
    plain = replace(
        scene([]).sensor, full_well_e=10000.0, read_noise_e=8.0, gamma=1.0, black_level=0.06, adc_bits=12, seed=11
    )
    return replace(plain, **changed)


CAMERAS = {
    "industrial": camera(),
    "small pixels, 10 bit": camera(full_well_e=6000.0, read_noise_e=5.0, adc_bits=10, seed=5),
    "Bayer filters": camera(demosaic="bilinear", full_well_e=15000.0, read_noise_e=20.0, prnu=0.01, dsnu_e=6.0),
    "patterned": camera(prnu=0.012, dsnu_e=12.0, seed=3),
    "warm": camera(dark_current_e=150.0, prnu=0.006, dsnu_e=20.0),
    "four times gain": camera(gain=4.0, read_noise_e=6.0, full_well_e=30000.0),
}


@dataclass(frozen=True)
class Measured:
    gain_dn_e: float
    dark_noise_e: float
    saturation_e: float
    dsnu_e: float
    prnu: float
    linearity_error: float  # largest deviation, share of the saturation


def stack(sensor: SensorSpec, light: float, frames: int, first: int):
    flat = np.full((SIDE, SIDE, 3), light, np.float32)
    return np.stack([raw(flat, sensor, first + i)[..., 0] for i in range(frames)]).astype(float)


def mean_and_variance(frames):
    """Mean and temporal variance of one exposure's frames, which share their pattern."""
    return frames.mean(), frames.var(axis=0, ddof=1).mean()


def spatial_variance(frames):
    """Of the pixels, without what is left of the temporal noise after averaging (section 8.1)."""
    return frames.mean(axis=0).var() - frames.var(axis=0, ddof=1).mean() / len(frames)


def characterise(sensor: SensorSpec, averaged: int = STACK) -> Measured:
    """Sections 6 to 8 of the standard. Light is known in units of what fills the converter."""
    lights = LIGHTS / sensor.gain
    points = [mean_and_variance(stack(sensor, light, FEW, FEW * i)) for i, light in enumerate(lights)]
    mean, variance = np.array(points).T
    darks = stack(sensor, 0.0, averaged, 1000)
    mean_dark, variance_dark = darks.mean(), darks.var(axis=0, ddof=1).mean()
    peak = int(np.argmax(variance))  # the variance falls where wells overflow: saturation, section 6.6
    low = mean - mean_dark < 0.7 * (mean[peak] - mean_dark)
    x, y = mean[low] - mean_dark, variance[low] - variance_dark
    gain = float((x * y).sum() / (x * x).sum())
    usable = (mean - mean_dark > 0.05 * (mean[peak] - mean_dark)) & (mean - mean_dark < 0.95 * (mean[peak] - mean_dark))
    line = np.polynomial.Polynomial.fit(lights[usable], mean[usable], 1)
    half = stack(sensor, 0.5 / sensor.gain, averaged, 2000)
    dsnu2, both2 = spatial_variance(darks), spatial_variance(half)
    return Measured(
        gain_dn_e=gain,
        dark_noise_e=float(np.sqrt(variance_dark - 1 / 12) / gain),
        saturation_e=float((mean[peak] - mean_dark) / gain),
        dsnu_e=float(np.sqrt(max(0.0, dsnu2)) / gain),
        prnu=float(np.sqrt(max(0.0, both2 - dsnu2)) / (half.mean() - mean_dark)),
        linearity_error=float(np.abs(line(lights[usable]) - mean[usable]).max() / (mean[peak] - mean_dark)),
    )


def put_in(sensor: SensorSpec) -> Measured:
    """The same quantities, by the spec's own numbers."""
    highest = 2**sensor.adc_bits - 1
    return Measured(
        gain_dn_e=sensor.gain * (highest - round(sensor.black_level * highest)) / sensor.full_well_e,
        dark_noise_e=float(np.hypot(sensor.read_noise_e, np.sqrt(sensor.dark_current_e))),
        saturation_e=sensor.full_well_e / sensor.gain - sensor.dark_current_e,
        dsnu_e=sensor.dsnu_e,
        prnu=sensor.prnu,
        linearity_error=0.0,
    )


def deviations(sensor: SensorSpec) -> dict[str, float]:
    """By how much each quantity that was put in is missed, as a share of it."""
    result, truth = characterise(sensor), put_in(sensor)
    names = ["gain_dn_e", "dark_noise_e", "saturation_e"]
    names += [name for name in ("dsnu_e", "prnu") if getattr(truth, name)]
    return {name: abs(getattr(result, name) / getattr(truth, name) - 1) for name in names}


@pytest.mark.parametrize("name", sorted(CAMERAS))
def test_photon_transfer_finds_what_was_put_in(name):
    missed = deviations(CAMERAS[name])
    assert max(missed.values()) < TOLERANCE, missed


@pytest.mark.parametrize("name", ["industrial", "warm"])
def test_the_response_is_a_straight_line_up_to_saturation(name):
    assert characterise(CAMERAS[name]).linearity_error < 0.002


def test_a_camera_without_a_pattern_shows_none():
    result = characterise(CAMERAS["industrial"], averaged=4 * STACK)  # of 16 frames one camera in five shows 0.3 e
    assert result.dsnu_e < 0.3
    assert result.prnu < 0.0005


def _no_shot_noise(linear, sensor, rng):
    return noise.noise(linear, replace(sensor, full_well_e=1e12, read_noise_e=sensor.read_noise_e * 1e8), rng)


def _shot_noise_of_another_well(linear, sensor, rng):
    read = sensor.read_noise_e * 1.15
    return noise.noise(linear, replace(sensor, full_well_e=sensor.full_well_e * 1.15, read_noise_e=read), rng)


def _more_read_noise(linear, sensor, rng):
    return noise.noise(linear, replace(sensor, read_noise_e=sensor.read_noise_e * 1.1), rng)


def _pattern_new_in_each_frame(effect):
    def mutant(linear, sensor, rng):
        return EFFECTS_BEFORE[effect](linear, replace(sensor, seed=int(rng.integers(2**32))), rng)

    return mutant


EFFECTS_BEFORE = dict(EFFECTS)
MUTANTS = {
    "no shot noise": ("noise", _no_shot_noise),
    "shot noise of a larger well": ("noise", _shot_noise_of_another_well),
    "a tenth more read noise": ("noise", _more_read_noise),
    "PRNU that changes from frame to frame": ("response", _pattern_new_in_each_frame("response")),
    "DSNU that changes from frame to frame": ("offsets", _pattern_new_in_each_frame("offsets")),
    "no PRNU": ("response", lambda linear, sensor, rng: linear),
    "a tenth less gain": (
        "convert",
        lambda linear, sensor, rng: EFFECTS_BEFORE["convert"](linear, replace(sensor, gain=0.9 * sensor.gain), rng),
    ),
}


@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_the_bench_sees_a_wrong_model(monkeypatch, name):
    effect, mutant = MUTANTS[name]
    monkeypatch.setitem(EFFECTS, effect, mutant)
    assert max(deviations(CAMERAS["patterned"]).values()) > TOLERANCE


def test_saturated_pixels_are_clean_and_equal():
    """A full well overflows: what is far over white has no shot noise, whatever the model did below."""
    codes = stack(CAMERAS["industrial"], 1.5, 2, 0)
    assert (codes == 4095).mean() > 0.45  # read noise alone, half of it above the converter's range
    assert codes.min() > 4095 - 6 * 8 * 0.4


@pytest.mark.parametrize("full_well_e", [6000.0, 20000.0])
def test_a_full_well_is_found_where_the_converter_is_not_full(full_well_e):
    """At a gain under one wells overflow below the highest code: their mean is the full well without a bias."""
    sensor = camera(gain=0.8, full_well_e=full_well_e)
    full, dark = stack(sensor, 2.0, 4, 0), stack(sensor, 0.0, 4, 10)
    assert full.max() < 4095
    gain = characterise(sensor).gain_dn_e
    assert (full.mean() - dark.mean()) / gain == pytest.approx(full_well_e, rel=0.02)


def test_row_noise_shows_in_the_means_of_rows_alone():
    sensor = camera(row_noise_e=10.0)
    (dark,) = stack(sensor, 0.0, 1, 0)
    gain = put_in(sensor).gain_dn_e
    expected = np.hypot(10.0, 8.0 / np.sqrt(SIDE))
    assert dark.mean(axis=1).std() / gain == pytest.approx(expected, rel=0.2)
    assert dark.mean(axis=0).std() / gain < 1.0


def test_hot_pixels_are_as_many_as_said_and_stay_where_they_are():
    sensor = camera(hot_pixels=0.002)
    first, second = stack(sensor, 0.0, 2, 0) > 0.06 * 4095 + 100  # dark noise is 3 codes
    share = np.exp(-100 / (0.2 * 0.94 * 4095))  # of the exponential distribution that lies above
    assert first.sum() == pytest.approx(0.002 * SIDE**2 * share, rel=0.4)
    assert (first & second).sum() > 0.9 * first.sum()


def test_the_pattern_is_the_cameras_own():
    """Two frames share it, two cameras do not."""
    sensor = camera(dsnu_e=40.0)
    a, b = stack(sensor, 0.0, 2, 0)
    (other,) = stack(replace(sensor, seed=12), 0.0, 1, 0)
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.9
    assert abs(np.corrcoef(a.ravel(), other.ravel())[0, 1]) < 0.05
