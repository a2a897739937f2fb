"""Photon shot noise and read noise, in electrons (EMVA Standard 1288, release 4.0, section 2).

A pixel that is full holds `full_well_e` electrons; a signal of n electrons has shot noise of sqrt(n), to which the
read noise of the electronics adds in quadrature. Both are drawn as Gaussians, close above some ten electrons.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from simgen.camera.sensor.gaussian import standard_normal
from simgen.spec.scene import SensorSpec

Light = Float32[np.ndarray, "h w _"]


def noise(linear: Light, sensor: SensorSpec, rng: np.random.Generator) -> Light:
    """Noise on light in units of the full well.

    With a converter (`adc_bits`) the well fills with noisy charge and overflows without noise, and read noise comes on
    top, below the black as well. Without one both are drawn as one and clipped to 0..1, as in every camera before.
    """
    if sensor.adc_bits:
        deviation = np.sqrt(np.maximum(linear, 0) * np.float32(1 / sensor.full_well_e))
        charge = np.clip(linear + deviation * standard_normal(linear.shape, rng), 0, 1)
        read = np.float32(sensor.read_noise_e / sensor.full_well_e)
        return np.asarray(charge + read * standard_normal(linear.shape, rng), np.float32)
    signal = np.clip(linear, 0, 1)
    deviation = signal * np.float32(1 / sensor.full_well_e)
    deviation += np.float32((sensor.read_noise_e / sensor.full_well_e) ** 2)
    np.sqrt(deviation, out=deviation)
    deviation *= standard_normal(signal.shape, rng)
    signal += deviation
    return np.asarray(np.clip(signal, 0, 1, out=signal), np.float32)
