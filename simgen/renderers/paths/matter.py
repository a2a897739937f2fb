"""Materials as texture maps for a path tracer. Numpy alone.

A surface uses Disney's `principled` model (Burley 2012), with metals of GGX and Schlick as in `gl/shaders/shade.frag`.
Two corrections conserve energy. A rough metal loses the light that its facets would scatter twice; a factor restores it
(Turquin 2019, "Practical multiple scattering compensation for microfacet models", eq. 16). Light that a dielectric's
surface reflects does not reach its diffuse base; a factor makes a white dielectric reflect all incident light.

Baked to maps, per texel: pattern, second substance, metallic, roughness, coat, the relief as a height, and wear with
its colour, metallic and roughness, stretched to fit the material's tiles. Coat and anisotropy are constants: where a
second substance or wear covers them, the mean is used. Left out: the slopes of wear.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float32, Float64

from simgen.assets.materials import (
    WearKey,
    material,
    tile_facts,
    tile_origin,
    tile_variant,
    wear_key,
    wear_tile,
)
from simgen.assets.materials.relief import TILE_PX as MATTER_PX
from simgen.assets.materials.relief import rises
from simgen.renderers.textures import BRUSHED_ANISOTROPY, TILE_PX, placed_tile
from simgen.spec.scene import MaterialSpec, MatterSpec, SceneSpec

LEAST_ROUGHNESS = 0.045
INDEX = 1.5  # of refraction, of every dielectric and every coat
# By roughness: the factor on a diffuse colour with which a white dielectric reflects all light of a uniform
# environment; and the share that a coat takes. Measured on `principled` in a white furnace, Mitsuba 3.9.1, 1024 paths.
_DIFFUSE_AT = (0.045, 0.1, 0.2, 0.3, 0.6, 0.7, 0.8, 0.9, 1.0)
_DIFFUSE = (0.948, 0.943, 0.936, 0.934, 0.933, 0.932, 0.929, 0.926, 0.921)
COATED = 0.075
SHEET_ROUGHNESS = 0.775  # alpha 0.6, as in the shader
MAX_PX = 1024  # side of a map with wear
PART, BODY, TOP, FLOOR = "part", "body", "top", "floor"

Map = Float32[np.ndarray, "_ _ _"]


@dataclass(frozen=True)
class Placed:
    """From metres to a map's coordinates in its sides: (across, along) times `scale`, plus `offset`."""

    scale: tuple[float, float]
    offset: tuple[float, float]


@dataclass(frozen=True)
class Relief:
    """A height map."""

    height_m: Map
    placed: Placed


@dataclass(frozen=True)
class Layer:
    """The maps of a surface, of one or more texels. Columns are across the grooves, rows along them."""

    rgb: Map  # base colour of `principled`; above 1 where energy is restored
    roughness: Map
    metallic: Map
    placed: Placed
    anisotropy: float = 0.0
    coat: float = 0.0  # share of a coat's reflection
    coat_roughness: float = 0.0
    relief: Relief | None = None


@dataclass(frozen=True)
class Sheets:
    """The sheets on the stage: a layer, and its coverage."""

    cover: Map
    layer: Layer


def surface(spec: MaterialSpec, where: str) -> Layer:
    """A material's maps on a PART, a BODY, the TOP or the FLOOR.

    Raises:
        KeyError: a texture, a material or a wear is unknown.
    """
    return _matter(spec.matter) if spec.matter else _plain(spec, where)


def is_lathe(spec: MaterialSpec) -> bool:
    """Whether the material's tile runs around an axis, as on turned parts."""
    return material(spec.matter.name).lathe if spec.matter else False


def sheets(spec: SceneSpec, picture: Float32[np.ndarray, "h w 4"]) -> Sheets:
    """The sheets from a texture of the whole stage (`stage_sheets`), rows along y: RGB and coverage."""
    length, width = spec.stage.size_m
    roughness = SHEET_ROUGHNESS if spec.stage.top.matter else spec.stage.top.roughness
    cover, rgb = (np.ascontiguousarray(np.swapaxes(m, 0, 1)) for m in (picture[..., 3:], picture[..., :3]))
    one = np.ones((1, 1, 1), np.float32)
    return Sheets(cover, _layer(rgb, one * roughness, one * 0, Placed((1 / width, 1 / length), (0.0, 0.0))))


# ------------------------------------------------------------------------------------------------------------- layers


def _plain(spec: MaterialSpec, where: str) -> Layer:
    tile, (column, row), texel_m = placed_tile(spec)
    value = tile.T[..., None] if spec.contrast and spec.texture != "plain" else np.zeros((1, 1, 1), np.float32)
    rgb = np.clip(np.asarray(spec.rgb, np.float32) * np.maximum(1 + np.float32(spec.contrast) * value, 0), 0, 1)
    gloss = np.float32(0.5 * spec.contrast) if where == PART else np.float32(0)
    side_m = TILE_PX * texel_m
    placed = Placed((1 / side_m, 1 / side_m), ((row + 0.5) / TILE_PX, (column + 0.5) / TILE_PX))
    anisotropy = BRUSHED_ANISOTROPY * spec.metallic if spec.texture == "brushed" and where == PART else 0.0
    metallic = np.full((1, 1, 1), spec.metallic, np.float32)
    return _layer(rgb, spec.roughness * (1 - gloss * value), metallic, placed, anisotropy)


def _matter(matter: MatterSpec) -> Layer:
    row, variant = material(matter.name), tile_variant(matter)
    tile, height = _tile(matter.name, variant)
    value, mask = tile[..., :1], tile[..., 1:]
    base, second = matter.base, matter.second
    bright = np.clip(np.asarray(base.rgb, np.float32) * (1 + np.float32(matter.contrast) * value), 0, 1)
    rgb = bright * (1 - mask) + np.asarray(second.rgb, np.float32) * mask
    metallic = base.metallic * (1 - mask) + second.metallic * mask
    roughness = base.roughness * (1 - np.float32(matter.gloss) * value) * (1 - mask) + second.roughness * mask
    u, v = tile_origin(matter)
    placed = Placed((1 / matter.tile_m, 4.0 if row.lathe else 1 / matter.tile_m), (v, u))
    relief = None
    if matter.relief and height.any():
        relief = Relief(height * np.float32(matter.relief * matter.tile_m / MATTER_PX), placed)
    maps, shown = np.dstack([rgb, metallic, roughness]).astype(np.float32), 1 - tile_facts(matter.name, variant).covered
    coat = matter.coat * shown
    if (key := wear_key(matter.wear))[0]:
        tiles, wears = _repeats(matter.tile_m, matter.wear.side_m)
        start = (u - wears * v / tiles, v - u if row.lathe else v - wears * u / tiles)  # as in the shader
        maps, covered = _worn(maps, key, tiles, wears, row.lathe, start)
        along = placed.scale[1] if row.lathe else placed.scale[1] / tiles
        placed = Placed((placed.scale[0] / tiles, along), (v / tiles, u if row.lathe else u / tiles))
        coat *= 1 - covered
    return _layer(
        maps[..., :3], maps[..., 4:], maps[..., 3:4], placed, matter.anisotropy * shown, coat, matter.coat_roughness,
        relief,
    )  # fmt: skip


def _repeats(tile_m: float, wear_m: float) -> tuple[int, int]:
    """How many tiles of the material and of the wear a map holds along each side; at least one of them is 1."""
    return max(1, round(wear_m / tile_m)), max(1, round(tile_m / wear_m))


def _worn(
    maps: Map, key: WearKey, tiles: int, wears: int, lathe: bool, start: tuple[float, float]
) -> tuple[Map, float]:
    """Colour, metallic and roughness with wear, as in the shader; and the share that wear covers.

    The material's tile keeps its size and the wear is stretched to fit, so that both repeat without a seam. `start` is
    the offset of the wear's tile, across and along, in its sides.
    """
    repeats = max(tiles, wears)
    across = repeats * max(1, min(MATTER_PX, (MAX_PX if tiles > 1 else MATTER_PX) // repeats))
    size = (MATTER_PX if lathe else across, across)
    maps = _repeated(maps, (1 if lathe else tiles, tiles), size)
    colour, rest = (
        _repeated(_rolled(np.swapaxes(tile, 0, 1), start), (1 if lathe else wears, wears), size)
        for tile in wear_tile(key)
    )
    cover, rougher = colour[..., 3:], rest[..., 1:2]
    rgb, metallic, roughness = maps[..., :3], maps[..., 3:4], maps[..., 4:]
    rgb = rgb * (1 - cover) + colour[..., :3]
    metallic = metallic * (1 - cover) + rest[..., :1]
    roughness = roughness + rougher * np.where(rougher > 0, 1 - roughness, roughness)
    return np.clip(np.dstack([rgb, metallic, roughness]), 0, 1), float(cover.mean())


def _rolled(tile: Map, start: tuple[float, float]) -> Map:
    across, along = (-round(s % 1 * n) for s, n in zip(start, tile.shape[1::-1], strict=True))
    return np.roll(tile, (along, across), axis=(0, 1))


def _repeated(tile: Map, times: tuple[int, int], size: tuple[int, int]) -> Map:
    """A tile repeated `times` along rows and columns, resized to `size` (rows, columns), a multiple of `times`."""
    rows, columns = (n // t for n, t in zip(size, times, strict=True))
    groups = (tile[..., i : i + 4] for i in range(0, tile.shape[2], 4))  # OpenCV resizes up to four channels
    small = np.dstack([cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA) for part in groups])
    return np.tile(small, (*times, 1)).astype(np.float32)


def _layer(
    rgb: np.ndarray,
    roughness: np.ndarray,
    metallic: np.ndarray,
    placed: Placed,
    anisotropy: float = 0.0,
    coat: float = 0.0,
    coat_roughness: float = 0.0,
    relief: Relief | None = None,
) -> Layer:
    rough = np.clip(roughness, LEAST_ROUGHNESS, 1).astype(np.float32)
    energetic = _energetic(rgb, rough, metallic, coat)
    return Layer(
        np.ascontiguousarray(energetic, np.float32), rough, np.ascontiguousarray(metallic, np.float32), placed,
        anisotropy, coat, coat_roughness, relief,
    )  # fmt: skip


def _energetic(rgb: np.ndarray, rough: np.ndarray, metallic: np.ndarray, coat: float) -> np.ndarray:
    """The base colour with which `principled` gives back what the shader of pbr does."""
    gain = 1 + rgb * (1 / _albedo(rough) - 1)
    diffuse = np.interp(rough, _DIFFUSE_AT, _DIFFUSE)
    return np.asarray((1 - COATED * coat) * rgb * (metallic * gain + (1 - metallic) * diffuse))


def own_colours(layer: Layer, rgb: Float32[np.ndarray, "n 3"]) -> Float32[np.ndarray, "n 3"]:
    """Base colours of `principled` at the vertices of a part whose CAD file has colours: they replace the layer's."""
    rough, metallic = (m.mean(keepdims=True).reshape(1, 1) for m in (layer.roughness, layer.metallic))
    return np.asarray(_energetic(rgb, rough, metallic, layer.coat), np.float32)


@lru_cache(maxsize=8)
def _tile(name: str, variant: int) -> tuple[Map, Map]:
    """Value and mask, and the height in texels at a root mean square slope of 1; transposed to (across, along)."""
    relief = material(name).relief(np.random.default_rng(variant))
    _, _, slope = rises(relief.height)
    height = relief.height / slope if slope > 1e-9 else np.zeros_like(relief.height)
    tile = np.stack([relief.value.T, relief.mask.T], axis=-1)
    return np.ascontiguousarray(tile, np.float32), np.ascontiguousarray(height.T[..., None], np.float32)


# ------------------------------------------------------------------------------------------------------------- energy

_ROUGHNESSES = np.linspace(0.0, 1.0, 33)


@lru_cache(maxsize=1)
def _albedo_table() -> Float64[np.ndarray, "33"]:
    """Hemispherical albedo of a GGX mirror with Smith's separable masking, by roughness.

    It is the cosine-weighted mean of the directional albedo; facets are sampled by their distribution.
    """
    count = 64
    u, turn = (np.arange(count) + 0.5) / count, 2 * np.pi * (np.arange(count) + 0.5) / count
    nov = np.sqrt((np.arange(count) + 0.5) / count)[:, None, None]  # the cosine's own distribution
    albedo = []
    for roughness in _ROUGHNESSES:
        a2 = max(roughness, 0.03) ** 4
        cosine = np.sqrt((1 - u) / (1 + (a2 - 1) * u))[None, :, None]
        sine = np.sqrt(1 - cosine**2)
        voh = np.sqrt(1 - nov**2) * sine * np.cos(turn)[None, None] + nov * cosine
        nol = 2 * voh * cosine - nov
        reflected = (nol > 0) & (voh > 0)
        masked = np.ones_like(voh)
        for c in (np.broadcast_to(nov, voh.shape), np.maximum(nol, 1e-6)):
            masked = masked * 2 / (1 + np.sqrt(1 + a2 * (1 / c**2 - 1)))
        albedo.append(float(np.where(reflected, masked * voh / (cosine * nov), 0).mean()))
    return np.array(albedo)


def _albedo(roughness: Float32[np.ndarray, "*n"]) -> Float32[np.ndarray, "*n"]:
    """Hemispherical albedo of a GGX mirror."""
    return np.asarray(np.interp(roughness, _ROUGHNESSES, _albedo_table()), np.float32)
