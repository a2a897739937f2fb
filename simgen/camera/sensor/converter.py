"""The amplifier and the analogue-to-digital converter (EMVA Standard 1288, release 4.0, section 2).

A code is black + K * electrons, with K = gain * (1 - black_level) * (2^bits - 1) / full_well_e codes for an electron.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from simgen.spec.scene import SensorSpec

Light = Float32[np.ndarray, "h w _"]


def black_of(sensor: SensorSpec) -> float:
    """The converter's black as a share of its range: a whole code where there are codes."""
    if not sensor.adc_bits:
        return sensor.black_level
    highest = (1 << sensor.adc_bits) - 1
    return round(sensor.black_level * highest) / highest


def convert(signal: Light, sensor: SensorSpec, rng: np.random.Generator) -> Light:
    """Amplified, clipped to the converter's range, rounded to its codes, and the black taken off again.

    With a black level over zero noise may swing below the black, as in a real raw file; without one it is clipped.
    """
    black = black_of(sensor)
    if sensor.gain == 1 and black == 0 and not sensor.adc_bits:
        return signal
    coded = np.clip(signal * np.float32(sensor.gain * (1 - black)) + np.float32(black), 0, 1)
    if sensor.adc_bits:
        highest = np.float32(2**sensor.adc_bits - 1)
        coded = np.rint(coded * highest) / highest
    return np.asarray((coded - np.float32(black)) / np.float32(1 - black), np.float32)
