"""Pictures of surroundings by direction, and a room seen from inside, from which most of them are made.

Pictures are by azimuth (columns, from -pi) and polar angle (rows, from straight up), linear radiance. Below the horizon
they are black, since the scene itself is there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float32, Float64

from simgen.spec.types import Vec3

WIDTH, HEIGHT = 256, 128
FINER = 2  # a texel is the mean of FINER x FINER points

Picture = Float32[np.ndarray, "128 256 3"]
Canvas = Float64[np.ndarray, "256 512 3"]
Where = Bool[np.ndarray, "256 512"]


def directions(height: int = HEIGHT * FINER, width: int = WIDTH * FINER) -> Float64[np.ndarray, "h w 3"]:
    """Unit vectors to the middles of all texels."""
    polar = (np.arange(height) + 0.5) / height * np.pi
    azimuth = ((np.arange(width) + 0.5) / width - 0.5) * 2 * np.pi
    flat, turn = np.meshgrid(polar, azimuth, indexing="ij")
    return np.stack([np.sin(flat) * np.cos(turn), np.sin(flat) * np.sin(turn), np.cos(flat)], axis=-1)


def level_irradiance(picture: Float32[np.ndarray, "h w 3"]) -> Float64[np.ndarray, "3"]:
    """Irradiance of a level card, divided by pi."""
    height, width, _ = picture.shape
    polar = (np.arange(height) + 0.5) / height * np.pi
    weight = np.maximum(np.cos(polar), 0) * np.sin(polar) * (2 * np.pi**2 / (height * width)) / np.pi
    return np.asarray(np.einsum("h,hwc->c", weight, picture.astype(np.float64)))


def resolved(canvas: Canvas) -> Picture:
    """A canvas reduced to the picture's size, black below the horizon."""
    small = canvas.reshape(HEIGHT, FINER, WIDTH, FINER, 3).mean(axis=(1, 3)).astype(np.float32)
    small[HEIGHT // 2 :] = 0
    return np.asarray(small)


@dataclass(frozen=True)
class Room:
    """A room around the stage: half of its sides, its ceiling's height above the stage, the stage's position in it."""

    half_m: tuple[float, float]
    ceiling_m: float
    at_m: tuple[float, float] = (0.0, 0.0)
    wall: float = 0.5  # reflectances
    ceiling: float = 0.7
    canvas: Canvas = field(init=False, repr=False)
    _face: np.ndarray = field(init=False, repr=False)  # 0 ceiling, 1 and 2 x = -+, 3 and 4 y = -+
    _hit: np.ndarray = field(init=False, repr=False)  # (u, v) on the face in metres: (x, y), (y, z) or (x, z)

    def __post_init__(self) -> None:
        d = directions()
        reach = np.stack(
            [
                _along(d[..., 2], self.ceiling_m),
                *(
                    _along(sign * d[..., axis], self.half_m[axis] - sign * self.at_m[axis])
                    for axis in (0, 1)
                    for sign in (-1, 1)
                ),
            ]
        )
        face = reach.argmin(axis=0)
        point = d * reach.min(axis=0)[..., None] + np.array([*self.at_m, 0.0])
        first = np.where((face == 1) | (face == 2), point[..., 1], point[..., 0])
        second = np.where(face == 0, point[..., 1], point[..., 2])
        object.__setattr__(self, "_face", face)
        object.__setattr__(self, "_hit", np.stack([first, second], axis=-1))
        object.__setattr__(self, "canvas", np.zeros((*face.shape, 3)))

    def patch(self, face: int, middle: tuple[float, float], size: tuple[float, float]) -> Where:
        """The texels of a rectangle on a face, in metres on that face."""
        away = np.abs(self._hit - np.array(middle))
        return np.asarray((self._face == face) & (away[..., 0] < size[0] / 2) & (away[..., 1] < size[1] / 2))

    def light_walls(self, rgb: np.ndarray, rng: np.random.Generator, things: int, dark: float) -> None:
        """Paint walls and ceiling in the light `rgb`, and `things` on the walls, of reflectance `dark` to 0.6."""
        on_wall = self._face > 0
        height = np.clip(self._hit[..., 1] / self.ceiling_m, 0, 1)
        shade = np.where(on_wall, self.wall * (0.55 + 0.45 * height), self.ceiling)
        for _ in range(things):
            face = int(rng.integers(1, 5))
            half = self.half_m[1] if face < 3 else self.half_m[0]
            middle = (float(rng.uniform(-half, half)), 0.0)
            size = (float(rng.uniform(0.05, 0.25)) * 2 * half, float(rng.uniform(0.2, 1.1)) * self.ceiling_m)
            shade[self.patch(face, middle, size)] = rng.uniform(dark, 0.6)
        self.canvas[:] = shade[..., None] * rgb

    def shine(self, where: Where, radiance: np.ndarray | Vec3) -> None:
        self.canvas[where] = radiance


def _along(toward: np.ndarray, away_m: float) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.where(toward > 1e-9, away_m / np.maximum(toward, 1e-9), np.inf)
