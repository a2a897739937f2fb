"""The tile of a surface, from the textures or the materials: by key, so that surfaces and scenes share tiles."""

from __future__ import annotations

import numpy as np

from simgen.assets.materials import material_tile, tile_variant
from simgen.renderers.textures import VARIANTS, tile
from simgen.spec.scene import MaterialSpec

TileKey = tuple[str, str, int]  # "texture" or "matter", its row, its variant


def tile_key(spec: MaterialSpec) -> TileKey:
    """The tile that a material has."""
    if spec.matter:
        return "matter", spec.matter.name, tile_variant(spec.matter)
    return "texture", spec.texture, spec.texture_seed % VARIANTS


def tile_values(key: TileKey) -> np.ndarray:
    """The tile's values, (h, w) of a texture and (h, w, 4) of a material.

    Raises:
        KeyError: no such row exists.
    """
    kind, name, variant = key
    return material_tile(name, variant) if kind == "matter" else tile(name, variant)
