"""Photon shot noise and read noise, in electrons (EMVA Standard 1288, release 4.0, section 2).

A pixel that is full holds `full_well_e` electrons; a signal of n electrons has shot noise of sqrt(n), to which the
read noise of the electronics adds in quadrature. Both are drawn as one Gaussian, close above some ten electrons.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from simgen.types import SensorSpec

Light = Float32[np.ndarray, "h w 3"]


def noise(linear: Light, sensor: SensorSpec, rng: np.random.Generator) -> Light:
    """Noise on light in units of the full well, then clipped to what the well holds."""
    signal = np.clip(linear, 0, 1)
    deviation = np.sqrt(
        signal * np.float32(1 / sensor.full_well_e) + np.float32((sensor.read_noise_e / sensor.full_well_e) ** 2)
    )
    deviation *= rng.standard_normal(signal.shape, np.float32)
    signal += deviation
    return np.asarray(np.clip(signal, 0, 1), np.float32)
