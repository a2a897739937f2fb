"""A row of MATERIALS: ranges of two substances, a relief, a coat; and how a material is drawn from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from simgen.assets.materials.optics import f0
from simgen.assets.materials.relief import Relief
from simgen.spec.colour import LUMINANCE, linear_from_hsv
from simgen.spec.knobs import LogUniform, Uniform
from simgen.spec.scene import MaterialSpec, MatterSpec, SubstanceSpec, WearSpec, WornSpec
from simgen.spec.types import Metres, Vec3

NONE = Uniform(0.0, 0.0)
TINY_FEATURE = 8 / 256  # a texture's largest feature, in tile sides: FEATURE_PX / TILE_PX of simgen.renderers.textures


@dataclass(frozen=True, kw_only=True)
class Metal:
    """The colour of a metal, darkened by grime, oxide and roughness too fine to model."""

    name: str  # a row of simgen.assets.materials.optics.INDICES
    dimmed: Uniform = field(default=Uniform(0.85, 1.0))
    warmth: Uniform = field(default=NONE)  # tint of a thin oxide, from blue (below 0) to yellow

    def draw(self, rng: np.random.Generator) -> Vec3:
        rgb = np.array(f0(self.name)) * self.dimmed.draw(rng)
        warm = self.warmth.draw(rng)
        return _vec3(rgb * np.array([1 + 0.5 * warm, 1.0, 1 - warm]))


@dataclass(frozen=True, kw_only=True)
class Paint:
    """A colour in hue, saturation and value of sRGB, as in a colour dialog."""

    hue_deg: Uniform
    saturation: Uniform
    value: Uniform

    def draw(self, rng: np.random.Generator) -> Vec3:
        hue, saturation, value = self.hue_deg.draw(rng), self.saturation.draw(rng), self.value.draw(rng)
        return linear_from_hsv(hue, float(np.clip(saturation, 0, 1)), float(np.clip(value, 0, 1)))


@dataclass(frozen=True, kw_only=True)
class Albedo:
    """A measured diffuse colour in linear RGB, scaled to a luminance."""

    rgb: Vec3
    luminance: Uniform

    def draw(self, rng: np.random.Generator) -> Vec3:
        rgb = np.array(self.rgb)
        return _vec3(rgb * self.luminance.draw(rng) / (LUMINANCE @ rgb))


@dataclass(frozen=True, kw_only=True)
class Substance:
    colour: Metal | Paint | Albedo
    roughness: Uniform
    metallic: Uniform = field(default=NONE)

    def draw(self, rng: np.random.Generator) -> SubstanceSpec:
        rgb, metallic, roughness = self.colour.draw(rng), self.metallic.draw(rng), self.roughness.draw(rng)
        return SubstanceSpec(rgb=rgb, metallic=metallic, roughness=roughness)


METALLIC = Uniform(1.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Material:
    """A row of MATERIALS."""

    base: Substance
    relief: Callable[[np.random.Generator], Relief]  # makes a tile; the generator's seed chooses which
    tile_m: LogUniform  # side of the tile
    slope: Uniform  # of the relief, root mean square
    texture: str  # what tiny draws: a row of simgen.renderers.textures.TEXTURES
    source: str  # of the figures in this row
    second: Substance | None = None
    contrast: Uniform = field(default=NONE)
    gloss: Uniform = field(default=NONE)
    anisotropy: Uniform = field(default=NONE)
    coat: Uniform = field(default=NONE)  # below 0: none
    coat_roughness: Uniform = field(default=NONE)
    lathe: bool = False  # the tile's v runs along the part's profile and u round its axis


def draw_wear(ranges: Mapping[str, Uniform], side_m: float, rng: np.random.Generator) -> WornSpec:
    """The wear that all surfaces of one kind share. A layer whose amount is drawn at 0 or below is left out.

    Every amount is drawn, so that a change of one layer's range changes only that layer.
    """
    seed = int(rng.integers(2**31))
    amounts = {layer: min(ranges[layer].draw(rng), 1.0) for layer in sorted(ranges)}
    layers = tuple(WearSpec(name=layer, amount=amount) for layer, amount in amounts.items() if amount > 0)
    return WornSpec(layers=layers, side_m=Metres(side_m), seed=seed)


def draw(name: str, row: Material, covered: float, wear: WornSpec, rng: np.random.Generator) -> MaterialSpec:
    """One piece of a material.

    Args:
        name: of the row.
        row: of MATERIALS.
        covered: share of the tile that the second substance covers.
        wear: of the surface.
        rng: draws everything else.
    """
    base = row.base.draw(rng)
    second = row.second.draw(rng) if row.second else base
    tile_m, contrast = row.tile_m.draw(rng), row.contrast.draw(rng)
    gloss, slope, anisotropy = row.gloss.draw(rng), row.slope.draw(rng), row.anisotropy.draw(rng)
    coat, coat_roughness = max(row.coat.draw(rng), 0.0), row.coat_roughness.draw(rng)
    seed = int(rng.integers(2**31))
    mean = [(1 - covered) * a + covered * b for a, b in zip(base.rgb, second.rgb, strict=True)]
    return MaterialSpec(
        rgb=_vec3(np.clip(mean, 0, 1)),
        metallic=(1 - covered) * base.metallic + covered * second.metallic,
        roughness=(1 - covered) * base.roughness + covered * second.roughness,
        texture=row.texture,
        texture_scale_m=Metres(tile_m * TINY_FEATURE),
        contrast=min(contrast + 0.5 * min(covered, 1 - covered), 1.0),
        texture_seed=seed,
        matter=MatterSpec(
            name=name,
            base=base,
            second=second,
            contrast=contrast,
            gloss=gloss,
            relief=slope,
            anisotropy=anisotropy,
            coat=coat,
            coat_roughness=coat_roughness,
            tile_m=Metres(tile_m),
            wear=wear,
            seed=seed,
        ),
    )


def _vec3(rgb: np.ndarray) -> Vec3:
    red, green, blue = (float(c) for c in np.clip(rgb, 0.0, 1.0))
    return red, green, blue
