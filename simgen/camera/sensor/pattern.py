"""What differs from pixel to pixel and is the camera's own: the same in every frame of a clip.

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
HOT_SHARE = 0.2  # mean charge of a hot pixel in one frame, of the full well; its distribution is exponential


def _stream(seed: int, name: str) -> np.random.Generator:
    """Of the camera, not of a frame: a frame's generator has two words of seed, these have three."""
    return np.random.default_rng([seed, 0, zlib.crc32(name.encode())])


@lru_cache(maxsize=4)
def _gaussian(seed: int, name: str, shape: tuple[int, ...]) -> Light:
    """A pattern of unit variance, which must not be written to."""
    pattern = standard_normal(shape, _stream(seed, name))
    pattern.setflags(write=False)
    return pattern


def response(linear: Light, sensor: SensorSpec, rng: np.random.Generator) -> Light:
    """PRNU: some pixels make a little more of the same light than others, `prnu` being the standard deviation."""
    if sensor.prnu == 0:
        return linear
    return linear * (1 + np.float32(sensor.prnu) * _gaussian(sensor.seed, "prnu", linear.shape))


def dark_current(linear: Light, sensor: SensorSpec, rng: np.random.Generator) -> Light:
    """Charge that gathers without light, `dark_current_e` in each frame, and far more of it in hot pixels."""
    if sensor.dark_current_e == 0 and sensor.hot_pixels == 0:
        return linear
    charged = linear + np.float32(sensor.dark_current_e / sensor.full_well_e)
    stream = _stream(sensor.seed, "hot")
    hot = stream.integers(linear.size, size=stream.binomial(linear.size, sensor.hot_pixels))
    charged.reshape(-1)[hot] += stream.exponential(HOT_SHARE, hot.size).astype(np.float32)
    return charged


def offsets(signal: Light, sensor: SensorSpec, rng: np.random.Generator) -> Light:
    """DSNU, an offset of each pixel's electronics, and row noise, one of each row that is new in every frame."""
    if sensor.dsnu_e:
        scale = np.float32(sensor.dsnu_e / sensor.full_well_e)
        signal = signal + scale * _gaussian(sensor.seed, "dsnu", signal.shape)
    if sensor.row_noise_e:
        rows = standard_normal((signal.shape[0], 1, 1), rng)
        signal = signal + np.float32(sensor.row_noise_e / sensor.full_well_e) * rows
    return signal
