"""Coatings of metal: plating, conversion layers, paint, powder; and rust."""

from __future__ import annotations

import numpy as np

from simgen.assets.materials.model import METALLIC, Albedo, Material, Metal, Paint, Substance
from simgen.assets.materials.relief import Relief, above, cells, cloud, flat, smooth, softened, spread, unit
from simgen.spec.knobs import LogUniform, Uniform

_FULL = Uniform(1.0, 1.0)
_ANY_HUE = Uniform(0.0, 360.0)


def _plated(rng: np.random.Generator) -> Relief:
    """Barrel plating: fine nodules, small knocks, and clouds where the passivation is thicker."""
    height = smooth(rng, 0.004, 0.004) + 0.5 * smooth(rng, 0.02, 0.02) - 4 * above(smooth(rng, 0.006, 0.006), 0.004)
    return Relief(spread(cloud(rng, 0.1)), above(cloud(rng, 0.3, 3), 0.4, 3.0), unit(height))


def _oxide(rng: np.random.Generator) -> Relief:
    """Black oxide: matt and even, brown where the oil has left it."""
    height = cloud(rng, 0.01, 3)
    return Relief(spread(cloud(rng, 0.15)), above(cloud(rng, 0.2), 0.12, 1.0), unit(height))


def _anodic(rng: np.random.Generator) -> Relief:
    """Etched before it was anodized: a very fine satin."""
    height = smooth(rng, 0.004, 0.004) + 0.4 * smooth(rng, 0.06, 0.004)
    return Relief(spread(height), flat(), unit(height))


def _spangles(rng: np.random.Generator) -> Relief:
    """Zinc that froze in crystals: each reflects in its own way, feathered inside."""
    tone, border = cells(rng, 60)
    feathers = smooth(rng, 0.05, 0.004) * (tone > 0.5) + smooth(rng, 0.004, 0.05) * (tone <= 0.5)
    value = 1.6 * (tone - 0.5) + 0.25 * feathers
    edge = softened(np.clip(1 - border * 250, 0, 1), 1.0)
    return Relief(np.clip(value, -1, 1).astype(np.float32), 0.5 * edge, unit(3 * tone + feathers + edge))


def _rust(rng: np.random.Generator) -> Relief:
    """Patches that grow from spots, scabs that stand above the steel."""
    patches = cloud(rng, 0.12, 6, 0.65)
    mask = np.maximum(above(patches, 0.55, 0.5), above(smooth(rng, 0.008, 0.008), 0.06, 0.6))
    height = mask * (2 + cloud(rng, 0.02, 4, 0.8)) + 0.2 * smooth(rng, 0.004, 0.004)
    return Relief(spread(cloud(rng, 0.06) + 0.6 * patches), mask.astype(np.float32), unit(height))


def _peel(rng: np.random.Generator) -> Relief:
    """Orange peel, and a few chips down to the metal."""
    peel = smooth(rng, 0.015, 0.015) + 0.5 * smooth(rng, 0.03, 0.03)
    chips = above(cloud(rng, 0.05, 5, 0.7), 0.012, 0.05)
    return Relief(spread(cloud(rng, 0.3)), chips, unit(peel - 6 * softened(chips, 1.0)))


def _powder(rng: np.random.Generator) -> Relief:
    """Molten grains: a pimpled skin without chips."""
    height = np.abs(smooth(rng, 0.008, 0.008)) + 0.4 * smooth(rng, 0.02, 0.02)
    return Relief(spread(height), flat(), unit(height))


COATINGS: dict[str, Material] = {
    "zinc_plated": Material(
        base=Substance(
            colour=Metal(name="zinc", dimmed=Uniform(0.75, 0.95), warmth=Uniform(-0.06, 0.02)),
            roughness=Uniform(0.2, 0.42),
            metallic=METALLIC,
        ),
        second=Substance(  # the bluish passivation where it is thicker
            colour=Metal(name="zinc", dimmed=Uniform(0.65, 0.85), warmth=Uniform(-0.15, 0.0)),
            roughness=Uniform(0.25, 0.5),
            metallic=METALLIC,
        ),
        relief=_plated,
        tile_m=LogUniform(0.01, 0.025),
        slope=Uniform(0.02, 0.07),
        contrast=Uniform(0.03, 0.12),
        gloss=Uniform(0.05, 0.2),
        texture="noise",
        source="F0 of zinc: Werner, Glantschnig and Ambrosch-Draxl 2009",
    ),
    "yellow_chromate": Material(
        base=Substance(
            colour=Metal(name="zinc", dimmed=Uniform(0.6, 0.8), warmth=Uniform(0.3, 0.55)),
            roughness=Uniform(0.22, 0.42),
            metallic=METALLIC,
        ),
        second=Substance(
            colour=Metal(name="zinc", dimmed=Uniform(0.45, 0.65), warmth=Uniform(0.2, 0.6)),
            roughness=Uniform(0.25, 0.5),
            metallic=METALLIC,
        ),
        relief=_plated,
        tile_m=LogUniform(0.01, 0.025),
        slope=Uniform(0.02, 0.07),
        contrast=Uniform(0.05, 0.15),
        texture="noise",
        source="F0 of zinc: Werner et al. 2009, under a chromate whose tint is by eye",
    ),
    "black_oxide": Material(
        base=Substance(
            colour=Metal(name="iron", dimmed=Uniform(0.06, 0.14), warmth=Uniform(-0.08, 0.05)),
            roughness=Uniform(0.35, 0.55),
            metallic=Uniform(0.3, 0.7),
        ),
        second=Substance(
            colour=Metal(name="iron", dimmed=Uniform(0.08, 0.18), warmth=Uniform(0.1, 0.4)), roughness=Uniform(0.5, 0.7)
        ),
        relief=_oxide,
        tile_m=LogUniform(0.01, 0.03),
        slope=Uniform(0.04, 0.12),
        contrast=Uniform(0.1, 0.25),
        coat=Uniform(0.0, 0.7),  # the oil it is sold with
        coat_roughness=Uniform(0.15, 0.4),
        texture="noise",
        source="magnetite on steel, as dark as F0 0.03 to 0.08 by eye",
    ),
    "anodized": Material(
        base=Substance(
            colour=Paint(hue_deg=_ANY_HUE, saturation=Uniform(0.0, 0.85), value=Uniform(0.35, 0.95)),
            roughness=Uniform(0.25, 0.45),
            metallic=Uniform(0.85, 1.0),  # the dye colours the reflection of the aluminium below
        ),
        relief=_anodic,
        tile_m=LogUniform(0.008, 0.02),
        slope=Uniform(0.02, 0.06),
        contrast=Uniform(0.02, 0.06),
        anisotropy=Uniform(0.0, 0.3),
        coat=Uniform(0.5, 1.0),  # the clear oxide, n = 1.6 to 1.77
        coat_roughness=Uniform(0.25, 0.45),
        texture="brushed",
        source="dyes by eye, any hue",
    ),
    "galvanized": Material(
        base=Substance(
            colour=Metal(name="zinc", dimmed=Uniform(0.5, 0.75), warmth=Uniform(-0.05, 0.02)),
            roughness=Uniform(0.38, 0.6),
            metallic=Uniform(0.75, 1.0),
        ),
        second=Substance(
            colour=Metal(name="zinc", dimmed=Uniform(0.35, 0.6), warmth=Uniform(-0.05, 0.02)),
            roughness=Uniform(0.55, 0.75),
            metallic=Uniform(0.4, 0.8),
        ),
        relief=_spangles,
        tile_m=LogUniform(0.04, 0.12),
        slope=Uniform(0.03, 0.1),
        contrast=Uniform(0.15, 0.4),
        gloss=Uniform(0.1, 0.3),
        texture="speckle",
        source="F0 of zinc: Werner et al. 2009, dimmed by its white oxide",
    ),
    "rusty": Material(
        base=Substance(
            colour=Metal(name="iron", dimmed=Uniform(0.45, 0.75), warmth=Uniform(0.0, 0.15)),
            roughness=Uniform(0.4, 0.6),
            metallic=Uniform(0.8, 1.0),
        ),
        second=Substance(
            colour=Albedo(rgb=(0.181, 0.057, 0.017), luminance=Uniform(0.045, 0.12)), roughness=Uniform(0.8, 1.0)
        ),
        relief=_rust,
        tile_m=LogUniform(0.03, 0.08),
        slope=Uniform(0.15, 0.35),
        contrast=Uniform(0.15, 0.3),
        texture="speckle",
        source="rust's albedo: spectrophotometer reading of the PhysicallyBased database (CC0), 0.181 0.057 0.017",
    ),
    "painted": Material(
        base=Substance(
            colour=Paint(hue_deg=_ANY_HUE, saturation=Uniform(0.0, 0.95), value=Uniform(0.15, 0.95)),
            roughness=Uniform(0.4, 0.7),
        ),
        second=Substance(colour=Metal(name="iron"), roughness=Uniform(0.4, 0.6), metallic=METALLIC),
        relief=_peel,
        tile_m=LogUniform(0.06, 0.15),
        slope=Uniform(0.01, 0.04),
        contrast=Uniform(0.01, 0.04),
        coat=_FULL,
        coat_roughness=Uniform(0.05, 0.25),
        texture="plain",
        source="binder of index 1.5: F0 0.04; pigments by eye, any hue",
    ),
    "powder_coated": Material(
        base=Substance(
            colour=Paint(hue_deg=_ANY_HUE, saturation=Uniform(0.0, 0.9), value=Uniform(0.08, 0.95)),
            roughness=Uniform(0.45, 0.65),
        ),
        relief=_powder,
        tile_m=LogUniform(0.03, 0.06),
        slope=Uniform(0.12, 0.3),
        contrast=Uniform(0.02, 0.06),
        coat=Uniform(0.3, 0.8),
        coat_roughness=Uniform(0.3, 0.5),
        texture="noise",
        source="binder of index 1.5: F0 0.04; pigments by eye, any hue",
    ),
}
