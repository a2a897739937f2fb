"""Photon shot noise and read noise, in electrons (EMVA Standard 1288, release 4.0, section 2).

A full pixel holds `full_well_e` electrons. A signal of n electrons has shot noise of sqrt(n); the read noise of the
electronics adds in quadrature. Both are drawn as Gaussians, which is accurate above some ten electrons.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from simgen.camera.sensor.gaussian import standard_normal
from simgen.spec.scene import SensorSpec

Light = Float32[np.ndarray, "h w _"]


def noise(linear: Light, sensor: SensorSpec, rng: np.random.Generator) -> Light:
    """Add shot noise and read noise to light in units of the full well.

    With a converter (`adc_bits`) the noisy charge is clipped to the well, so that a full well has no shot noise; read
    noise is added after that and may go below 0. Without a converter both are drawn as one Gaussian, and the sum is
    clipped to 0..1.
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
