"""Bare metals after machining, rolling, casting or forging.

Colours are F0 from the tables of `simgen.assets.materials.optics`. Roughness has no table to be read from; it goes by
how sharply photographs of such surfaces show a lamp: ground and turned 0.15 to 0.4, blasted and cast 0.5 to 0.8.
"""

from __future__ import annotations

import numpy as np

from simgen.assets.materials.model import METALLIC, Material, Metal, Substance
from simgen.assets.materials.relief import Relief, above, cells, cloud, flat, grid, smooth, softened, spread, unit
from simgen.spec.knobs import LogUniform, Uniform


def _milled(rng: np.random.Generator) -> Relief:
    """Arcs that a face mill leaves: rings of one radius, a feed apart, on a torus."""
    u, v = grid()
    arcs = np.sin(2 * np.pi * (24 * u + 2.5 * np.sin(2 * np.pi * v) + 0.05 * smooth(rng, 0.1, 0.1)))
    back = np.sin(2 * np.pi * (17 * u - 2.5 * np.sin(2 * np.pi * v)))
    height = arcs + 0.35 * back * above(smooth(rng, 0.2, 0.2), 0.5, 1.0) + 0.4 * smooth(rng, 0.004, 0.004)
    return Relief(spread(0.5 * height + smooth(rng, 0.1, 0.03)), flat(), unit(height))


def _turned(rng: np.random.Generator) -> Relief:
    """Grooves round the axis, a feed apart, uneven from turn to turn."""
    _, v = grid()
    feed = np.sin(2 * np.pi * (48 * v + 0.15 * smooth(rng, 0.8, 0.03)))
    height = feed * (1 + 0.3 * smooth(rng, 0.6, 0.02)) + 0.5 * smooth(rng, 0.5, 0.0015)
    return Relief(spread(height + smooth(rng, 0.4, 0.01)), flat(), unit(height))


def _brushed(rng: np.random.Generator) -> Relief:
    """Fine scratches along u, with longer and deeper ones between."""
    height = smooth(rng, 0.08, 0.0012) + 0.6 * smooth(rng, 0.2, 0.002) - 1.5 * above(smooth(rng, 0.15, 0.0015), 0.01)
    return Relief(spread(height + 0.5 * smooth(rng, 0.3, 0.05)), flat(), unit(height))


def _cast(rng: np.random.Generator) -> Relief:
    """The skin that a sand mould leaves: grains, and pores in which dark scale stays."""
    grains = cloud(rng, 0.03, 4, 0.8)
    pores = above(smooth(rng, 0.012, 0.012), 0.03, 0.3)
    scale = above(cloud(rng, 0.1), 0.25, 0.8)
    return Relief(
        spread(grains + cloud(rng, 0.2)), np.maximum(pores, scale).astype(np.float32), unit(grains - 3 * pores)
    )


def _rolled(rng: np.random.Generator) -> Relief:
    """A cold-rolled sheet's dull finish: short valleys along the rolling."""
    height = smooth(rng, 0.02, 0.006) + 0.7 * smooth(rng, 0.008, 0.004) + 0.4 * smooth(rng, 0.1, 0.008)
    return Relief(spread(height), flat(), unit(height))


def _tarnished(rng: np.random.Generator) -> Relief:
    """Drawn metal, bright where it was handled, with a film of oxide in clouds."""
    height = smooth(rng, 0.1, 0.002) + 0.5 * smooth(rng, 0.004, 0.004)
    return Relief(spread(cloud(rng, 0.15)), above(cloud(rng, 0.2), 0.35, 1.5), unit(height))


def _pitted(rng: np.random.Generator) -> Relief:
    """A drop-forged or tumbled surface: shallow dents of all sizes."""
    tone, border = cells(rng, 220)
    dents = softened(np.minimum(border * 40, 1) * (0.4 + tone), 1.5)
    return Relief(spread(dents + cloud(rng, 0.1)), flat(), unit(dents + 0.3 * smooth(rng, 0.006, 0.006)))


_STEEL = Metal(name="iron", dimmed=Uniform(0.85, 1.05), warmth=Uniform(-0.02, 0.03))

METALS: dict[str, Material] = {
    "machined": Material(
        base=Substance(colour=_STEEL, roughness=Uniform(0.18, 0.38), metallic=METALLIC),
        relief=_milled,
        tile_m=LogUniform(0.012, 0.03),
        slope=Uniform(0.02, 0.08),
        contrast=Uniform(0.03, 0.1),
        gloss=Uniform(0.05, 0.2),
        anisotropy=Uniform(0.1, 0.5),
        texture="noise",
        source="F0 of iron: Johnson and Christy 1974",
    ),
    "turned": Material(
        base=Substance(colour=_STEEL, roughness=Uniform(0.15, 0.35), metallic=METALLIC),
        relief=_turned,
        tile_m=LogUniform(0.006, 0.015),  # feeds of 0.12 to 0.3 mm
        slope=Uniform(0.04, 0.15),
        contrast=Uniform(0.03, 0.1),
        gloss=Uniform(0.05, 0.2),
        anisotropy=Uniform(0.5, 0.9),
        lathe=True,
        texture="brushed",
        source="F0 of iron: Johnson and Christy 1974",
    ),
    "brushed": Material(
        base=Substance(
            colour=Metal(name="stainless", dimmed=Uniform(0.85, 1.0)), roughness=Uniform(0.22, 0.4), metallic=METALLIC
        ),
        relief=_brushed,
        tile_m=LogUniform(0.02, 0.05),
        slope=Uniform(0.03, 0.1),
        contrast=Uniform(0.05, 0.15),
        gloss=Uniform(0.1, 0.3),
        anisotropy=Uniform(0.6, 0.95),
        texture="brushed",
        source="F0 of austenitic steel: Karlsson and Ribbing 1982",
    ),
    "cast": Material(
        base=Substance(
            colour=Metal(name="iron", dimmed=Uniform(0.4, 0.65), warmth=Uniform(0.0, 0.06)),
            roughness=Uniform(0.5, 0.75),
            metallic=Uniform(0.7, 1.0),
        ),
        second=Substance(
            colour=Metal(name="iron", dimmed=Uniform(0.05, 0.15), warmth=Uniform(0.0, 0.1)), roughness=Uniform(0.7, 0.9)
        ),
        relief=_cast,
        tile_m=LogUniform(0.02, 0.05),
        slope=Uniform(0.2, 0.4),
        contrast=Uniform(0.1, 0.25),
        texture="noise",
        source="F0 of iron: Johnson and Christy 1974; scale as dark as the PhysicallyBased database reads cast iron",
    ),
    "stainless": Material(
        base=Substance(
            colour=Metal(name="stainless", dimmed=Uniform(0.9, 1.0)), roughness=Uniform(0.2, 0.42), metallic=METALLIC
        ),
        relief=_rolled,
        tile_m=LogUniform(0.006, 0.015),
        slope=Uniform(0.02, 0.07),
        contrast=Uniform(0.02, 0.06),
        gloss=Uniform(0.05, 0.15),
        anisotropy=Uniform(0.0, 0.3),
        texture="noise",
        source="F0 of austenitic steel: Karlsson and Ribbing 1982",
    ),
    "forged": Material(
        base=Substance(
            colour=Metal(name="iron", dimmed=Uniform(0.6, 0.85), warmth=Uniform(-0.04, 0.03)),
            roughness=Uniform(0.4, 0.6),
            metallic=METALLIC,
        ),
        relief=_pitted,
        tile_m=LogUniform(0.015, 0.04),
        slope=Uniform(0.08, 0.2),
        contrast=Uniform(0.1, 0.25),
        gloss=Uniform(0.1, 0.3),
        texture="noise",
        source="F0 of iron: Johnson and Christy 1974",
    ),
    "aluminium": Material(
        base=Substance(
            colour=Metal(name="aluminium", dimmed=Uniform(0.85, 0.98)), roughness=Uniform(0.2, 0.45), metallic=METALLIC
        ),
        relief=_milled,
        tile_m=LogUniform(0.012, 0.03),
        slope=Uniform(0.02, 0.08),
        contrast=Uniform(0.03, 0.1),
        gloss=Uniform(0.05, 0.2),
        anisotropy=Uniform(0.1, 0.5),
        texture="noise",
        source="F0: Rakic 1995",
    ),
    "brass": Material(
        base=Substance(
            colour=Metal(name="brass", dimmed=Uniform(0.85, 1.0)), roughness=Uniform(0.15, 0.35), metallic=METALLIC
        ),
        second=Substance(
            colour=Metal(name="brass", dimmed=Uniform(0.5, 0.75), warmth=Uniform(0.02, 0.12)),
            roughness=Uniform(0.3, 0.5),
            metallic=METALLIC,
        ),
        relief=_tarnished,
        tile_m=LogUniform(0.015, 0.04),
        slope=Uniform(0.02, 0.06),
        contrast=Uniform(0.03, 0.1),
        anisotropy=Uniform(0.0, 0.4),
        texture="noise",
        source="F0 of Cu70Zn30: Querry 1985",
    ),
    "copper": Material(
        base=Substance(
            colour=Metal(name="copper", dimmed=Uniform(0.85, 1.0)), roughness=Uniform(0.15, 0.35), metallic=METALLIC
        ),
        second=Substance(
            colour=Metal(name="copper", dimmed=Uniform(0.35, 0.6), warmth=Uniform(-0.05, 0.1)),
            roughness=Uniform(0.35, 0.55),
            metallic=METALLIC,
        ),
        relief=_tarnished,
        tile_m=LogUniform(0.015, 0.04),
        slope=Uniform(0.02, 0.06),
        contrast=Uniform(0.03, 0.1),
        anisotropy=Uniform(0.0, 0.4),
        texture="noise",
        source="F0: Johnson and Christy 1972",
    ),
}
