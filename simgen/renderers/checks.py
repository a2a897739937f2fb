"""Checks of a spec's lamps and materials, which renderers run before they draw."""

from __future__ import annotations

import math

import numpy as np

from simgen.assets.materials import material as material_row
from simgen.spec.scene import MAX_LAMPS, LampSpec, MaterialSpec, MatterSpec, SceneSpec, SubstanceSpec

LAMP_KINDS = ("directional", "spot", "softbox")


def checked_lamps(spec: SceneSpec) -> tuple[LampSpec, ...]:
    """The spec's lamps, all valid.

    Raises:
        ValueError: the spec has too many lamps, or an invalid one.
    """
    lamps = spec.light.lamps or ()
    if len(lamps) > MAX_LAMPS:
        raise ValueError(f"light.lamps: {len(lamps)} of them; the pbr renderer takes {MAX_LAMPS} beside the key light")
    for i, lamp in enumerate(lamps):
        if lamp.kind not in LAMP_KINDS:
            raise ValueError(f"light.lamps[{i}]: no kind {lamp.kind!r}; there are {sorted(LAMP_KINDS)}")
        axes = np.array([lamp.toward, lamp.up])
        if np.abs(axes @ axes.T - np.eye(2)).max() > 1e-3:
            raise ValueError(f"light.lamps[{i}]: toward and up must be unit vectors at a right angle")
        if min(lamp.size_m) <= 0 or min(lamp.rgb) < 0 or not 0 < lamp.half_angle_rad < math.pi / 2:
            raise ValueError(f"light.lamps[{i}]: needs a size above 0, no negative light, a cone of 0..pi/2")
    return lamps


def check_material(name: str, material: MaterialSpec) -> None:
    """Check a material's numbers and names.

    Raises:
        KeyError: the procedural material has an unknown name.
        ValueError: a number is out of its range.
    """
    shares = {"roughness": material.roughness, "metallic": material.metallic}
    if material.matter:
        shares |= _shares(material.matter)
    for what, value in shares.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name}.material: {what} is {value}; it goes from 0 to 1")
    if material.matter and min(material.matter.tile_m, material.matter.wear.side_m) <= 0:
        raise ValueError(f"{name}.material: matter.tile_m and matter.wear.side_m must be above 0")
    if not (material.texture_scale_m > 0 and all(0 <= c <= 1 for c in material.rgb)):
        raise ValueError(
            f"{name}.material: needs rgb within 0..1 and texture_scale_m above 0, "
            f"got {material.rgb} and {material.texture_scale_m}"
        )


def _shares(matter: MatterSpec) -> dict[str, float]:
    """A procedural material's numbers that must be within 0..1, by name."""
    material_row(matter.name)

    def of(where: str, substance: SubstanceSpec) -> dict[str, float]:
        rgb = {f"matter.{where}.rgb[{i}]": value for i, value in enumerate(substance.rgb)}
        return rgb | {f"matter.{where}.{n}": getattr(substance, n) for n in ("metallic", "roughness")}

    own = ("contrast", "gloss", "relief", "coat", "coat_roughness", "anisotropy")
    return of("base", matter.base) | of("second", matter.second) | {f"matter.{n}": getattr(matter, n) for n in own}
