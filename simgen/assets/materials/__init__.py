"""Procedural materials: made by code, seamless, without texture coordinates. A material is a row, a family is a file.

A row (`simgen.assets.materials.model.Material`) holds ranges of two substances (colour, metal, roughness), a relief
that says which of them is where and how high the surface is, and an optional clear coat. A preset names rows and their
weights. `draw_material` draws a `MaterialSpec` from a row. Its plain fields are the material's mean, which the renderer
`tiny` draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float32

from simgen.assets.materials.coatings import COATINGS
from simgen.assets.materials.goods import GOODS
from simgen.assets.materials.metals import METALS
from simgen.assets.materials.model import Material, draw, draw_wear
from simgen.assets.materials.polymers import POLYMERS
from simgen.assets.materials.relief import TILE_PX, slopes
from simgen.assets.materials.wear import STEPS, WEAR, worn
from simgen.spec.scene import MaterialSpec, MatterSpec, SubstanceSpec, WornSpec
from simgen.spec.types import Metres

__all__ = [
    "MATERIALS", "UNWORN", "WEAR", "Material", "TileFacts", "check_material", "draw_material", "draw_wear", "material",
    "material_tile",
    "tile_facts", "tile_origin", "tile_variant", "wear_key", "wear_tile",
]  # fmt: skip

UNWORN = WornSpec(layers=(), side_m=Metres(0.1), seed=0)
VARIANTS = 2  # tiles of each row, and of each wear
_LEVELS = 9  # of a tile's mipmaps whose slopes are looked at

MATERIALS: dict[str, Material] = {**METALS, **COATINGS, **POLYMERS, **GOODS}
WearKey = tuple[tuple[tuple[str, int], ...], int, int]  # layers with their steps, variant, side in millimetres


@dataclass(frozen=True)
class TileFacts:
    """Facts about a tile that shaders need."""

    covered: float  # share of the second substance
    quarter_lost: float  # mipmap level at which a quarter of the slopes' variance is averaged away
    most_lost: float  # and three quarters


def material(name: str) -> Material:
    """A row of MATERIALS.

    Raises:
        KeyError: there is no such row; the message lists the rows.
    """
    if name not in MATERIALS:
        raise KeyError(f"no material {name!r}; there are {sorted(MATERIALS)}")
    return MATERIALS[name]


def draw_material(name: str, rng: np.random.Generator, wear: WornSpec = UNWORN) -> MaterialSpec:
    """One piece of a material, drawn from its row's ranges, with the given wear.

    Raises:
        KeyError: there is no such material.
    """
    return draw(name, material(name), tile_facts(name, 0).covered, wear, rng)


@lru_cache(maxsize=4)
def material_tile(name: str, variant: int) -> Float32[np.ndarray, "512 512 4"]:
    """One of the tiles of a row: value, mask, and slopes along u and v of root mean square 1 (or flat).

    Raises:
        KeyError: there is no such row.
    """
    relief = material(name).relief(np.random.default_rng(variant))
    du, dv = slopes(relief.height)
    return np.stack([relief.value, relief.mask, du, dv], axis=-1).astype(np.float32)


@lru_cache(maxsize=256)
def tile_facts(name: str, variant: int) -> TileFacts:
    """The facts of a tile of `material_tile`.

    Raises:
        KeyError: there is no such row.
    """
    tile = material_tile(name, variant)
    return TileFacts(float(tile[..., 1].mean()), *_lost(tile[..., 2:]))


def _lost(slope: Float32[np.ndarray, "n n 2"]) -> tuple[float, float]:
    whole = float(np.mean(slope**2)) or 1.0
    shares, level = [], slope
    for _ in range(_LEVELS):
        shares.append(1 - float(np.mean(level**2)) / whole)
        level = level.reshape(level.shape[0] // 2, 2, level.shape[1] // 2, 2, 2).mean(axis=(1, 3))
    quarter, most = (float(np.interp(share, shares, np.arange(_LEVELS))) for share in (0.25, 0.75))
    return quarter, max(most, quarter + 0.1)


def tile_variant(matter: MatterSpec) -> int:
    """Which of its material's tiles a surface has."""
    return matter.seed % VARIANTS


def tile_origin(matter: MatterSpec) -> tuple[float, float]:
    """The point of the tile at the surface's own origin, (u, v) in sides of the tile."""
    rest = matter.seed // VARIANTS
    return rest % 512 / 512, rest // 512 % 512 / 512


def wear_key(wear: WornSpec) -> WearKey:
    """The key of a wear tile in caches. It has no layers if there is no wear."""
    layers = tuple((w.name, max(round(w.amount * STEPS), 1)) for w in wear.layers if w.amount > 0)
    return tuple(sorted(layers)), wear.seed % VARIANTS, round(wear.side_m * 1000)


def wear_tile(key: WearKey) -> tuple[Float32[np.ndarray, "512 512 4"], Float32[np.ndarray, "512 512 4"]]:
    """The tile of `wear_key`.

    Raises:
        KeyError: there is no such wear.
    """
    layers, variant, side_mm = key
    return worn(layers, variant, side_mm / 1000 / TILE_PX)


def check_material(name: str, spec: MaterialSpec) -> None:
    """Check a material's numbers and names.

    Raises:
        KeyError: the procedural material has an unknown name.
        ValueError: a number is out of its range.
    """
    shares = {"roughness": spec.roughness, "metallic": spec.metallic}
    if spec.matter:
        shares |= _shares(spec.matter)
    for what, value in shares.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name}.material: {what} is {value}; it goes from 0 to 1")
    if spec.matter and min(spec.matter.tile_m, spec.matter.wear.side_m) <= 0:
        raise ValueError(f"{name}.material: matter.tile_m and matter.wear.side_m must be above 0")
    if not (spec.texture_scale_m > 0 and all(0 <= c <= 1 for c in spec.rgb)):
        raise ValueError(
            f"{name}.material: needs rgb within 0..1 and texture_scale_m above 0, "
            f"got {spec.rgb} and {spec.texture_scale_m}"
        )


def _shares(matter: MatterSpec) -> dict[str, float]:
    """A procedural material's numbers that must be within 0..1, by name."""
    material(matter.name)

    def of(where: str, substance: SubstanceSpec) -> dict[str, float]:
        rgb = {f"matter.{where}.rgb[{i}]": value for i, value in enumerate(substance.rgb)}
        return rgb | {f"matter.{where}.{n}": getattr(substance, n) for n in ("metallic", "roughness")}

    own = ("contrast", "gloss", "relief", "coat", "coat_roughness", "anisotropy")
    return of("base", matter.base) | of("second", matter.second) | {f"matter.{n}": getattr(matter, n) for n in own}
