"""Fixed pattern noise: what differs from pixel to pixel and is the same in every frame of a camera.

Terms of EMVA Standard 1288, release 4.0: PRNU is the spread of the pixels' response, DSNU that of their dark signal.
"""

from __future__ import annotations

import zlib
from functools import lru_cache

import numpy as np
from jaxtyping import Float32

from simgen.camera.sensor.gaussian import standard_normal
from simgen.spec.scene import SensorSpec

Light = Float32[np.ndarray, "h w _"]
HOT_SHARE = 0.2  # mean charge of a hot pixel in one frame, as a share of the full well; exponentially distributed


def _stream(seed: int, name: str) -> np.random.Generator:
    """The camera's generator for one pattern. Its seed has three words; a frame's generator has two."""
    return np.random.default_rng([seed, 0, zlib.crc32(name.encode())])


@lru_cache(maxsize=4)
def _gaussian(seed: int, name: str, shape: tuple[int, ...]) -> Light:
    """A pattern of unit variance, read-only since it is cached."""
    pattern = standard_normal(shape, _stream(seed, name))
    pattern.setflags(write=False)
    return pattern


def response(linear: Light, sensor: SensorSpec, rng: np.random.Generator) -> Light:
    """PRNU: pixels respond differently to the same light; `prnu` is the relative standard deviation."""
    if sensor.prnu == 0:
        return linear
    return linear * (1 + np.float32(sensor.prnu) * _gaussian(sensor.seed, "prnu", linear.shape))


def dark_current(linear: Light, sensor: SensorSpec, rng: np.random.Generator) -> Light:
    """Charge without light: `dark_current_e` electrons in each frame, and much more in hot pixels."""
    if sensor.dark_current_e == 0 and sensor.hot_pixels == 0:
        return linear
    charged = linear + np.float32(sensor.dark_current_e / sensor.full_well_e)
    stream = _stream(sensor.seed, "hot")
    hot = stream.integers(linear.size, size=stream.binomial(linear.size, sensor.hot_pixels))
    charged.reshape(-1)[hot] += stream.exponential(HOT_SHARE, hot.size).astype(np.float32)
    return charged


def offsets(signal: Light, sensor: SensorSpec, rng: np.random.Generator) -> Light:
    """DSNU (a fixed offset of each pixel) and row noise (an offset of each row, new in every frame)."""
    if sensor.dsnu_e:
        scale = np.float32(sensor.dsnu_e / sensor.full_well_e)
        signal = signal + scale * _gaussian(sensor.seed, "dsnu", signal.shape)
    if sensor.row_noise_e:
        rows = standard_normal((signal.shape[0], 1, 1), rng)
        signal = signal + np.float32(sensor.row_noise_e / sensor.full_well_e) * rows
    return signal
