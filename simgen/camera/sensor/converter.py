"""The amplifier and the analogue-to-digital converter (EMVA Standard 1288, release 4.0, section 2).

A code is black + K * electrons, with K = gain * (1 - black_level) * (2^bits - 1) / full_well_e codes per electron.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from simgen.spec.scene import SensorSpec

Light = Float32[np.ndarray, "h w _"]


def black_of(sensor: SensorSpec) -> float:
    """The black level as a share of the converter's range, rounded to a whole code where the spec has a converter."""
    if not sensor.adc_bits:
        return sensor.black_level
    highest = (1 << sensor.adc_bits) - 1
    return round(sensor.black_level * highest) / highest


def convert(signal: Light, sensor: SensorSpec, rng: np.random.Generator) -> Light:
    """Amplify, add the black level, clip to the converter's range, round to codes, and subtract the black level.

    With a black level above 0, noise may go below black, as in a real raw file; without one it is clipped.
    """
    black = black_of(sensor)
    if sensor.gain == 1 and black == 0 and not sensor.adc_bits:
        return signal
    coded = np.clip(signal * np.float32(sensor.gain * (1 - black)) + np.float32(black), 0, 1)
    if sensor.adc_bits:
        highest = np.float32(2**sensor.adc_bits - 1)
        coded = np.rint(coded * highest) / highest
    return np.asarray((coded - np.float32(black)) / np.float32(1 - black), np.float32)
