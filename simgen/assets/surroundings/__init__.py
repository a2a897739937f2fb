"""Surroundings as HDR pictures: rooms and lamps made by code, or a user's own files. A new one is a row.

The colours of lamps are those of black bodies. A picture is scaled to a given luminance of a level white card under it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from simgen.assets.surroundings import rooms
from simgen.assets.surroundings.files import digest, folder_files, read
from simgen.assets.surroundings.model import WIDTH, Picture, level_irradiance
from simgen.spec.colour import LUMINANCE
from simgen.spec.errors import BadEnvironment
from simgen.spec.scene import EnvironmentSpec
from simgen.spec.types import Vec3

__all__ = ["ENVIRONMENTS", "FILE", "ambient", "digest", "folder_files", "picture"]

FILE = "file"
ENVIRONMENTS: dict[str, Callable[[EnvironmentSpec, np.random.Generator], Picture]] = {
    "bar_lights": rooms.bar_lights,
    "daylight_hall": rooms.daylight_hall,
    "fluorescent_rows": rooms.fluorescent_rows,
    "light_tent": rooms.light_tent,
    "mixed": rooms.mixed,
    "office": rooms.office,
    "ring_light": rooms.ring_light,
    "workshop": rooms.workshop,
}


@lru_cache(maxsize=16)
def picture(spec: EnvironmentSpec) -> Picture:
    """Radiance of the surroundings by direction.

    Raises:
        KeyError: there is no such row.
        BadEnvironment: its file cannot be used.
    """
    if spec.name == FILE:
        unscaled = read(spec.file, spec.sha256)
    elif spec.name in ENVIRONMENTS:
        unscaled = ENVIRONMENTS[spec.name](spec, np.random.default_rng(spec.seed))
    else:
        raise KeyError(f"no environment {spec.name!r}; there are {sorted([*ENVIRONMENTS, FILE])}")
    turned = np.roll(unscaled, round(spec.rotation_rad / (2 * np.pi) * WIDTH), axis=1)
    card = float(LUMINANCE @ level_irradiance(turned))
    if card <= 0:
        raise BadEnvironment(f"{spec.file}: no light comes from above its horizon")
    return np.asarray(turned * (spec.intensity / card), np.float32)


def ambient(spec: EnvironmentSpec) -> Vec3:
    """Radiance of a level white card under the surroundings.

    Raises:
        KeyError: there is no such row.
        BadEnvironment: its file cannot be used.
    """
    red, green, blue = (float(c) for c in level_irradiance(picture(spec)))
    return red, green, blue
