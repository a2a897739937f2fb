"""Plastics, rubber and belts. A polymer's index is 1.5 to 1.6, which is F0 0.04 to 0.053; the shader takes 0.04."""

from __future__ import annotations

import numpy as np

from simgen.assets.materials.model import Albedo, Material, Paint, Substance
from simgen.assets.materials.relief import Relief, above, cloud, flat, grid, smooth, softened, spread, unit
from simgen.spec.knobs import LogUniform, Uniform

_BY_EYE = "colour by eye"


def _moulded(rng: np.random.Generator) -> Relief:
    """Flow lines and the polish of the mould, almost invisible."""
    height = smooth(rng, 0.1, 0.02) + 0.3 * smooth(rng, 0.01, 0.01)
    return Relief(spread(smooth(rng, 0.2, 0.05)), flat(), unit(height))


def _etched(rng: np.random.Generator) -> Relief:
    """A mould texture of pits, as on housings."""
    height = np.abs(cloud(rng, 0.012, 3, 0.7))
    return Relief(spread(height), flat(), unit(height))


def _speckled(rng: np.random.Generator) -> Relief:
    """Recycled or filled: grains of another shade in it."""
    height = smooth(rng, 0.02, 0.02)
    return Relief(spread(cloud(rng, 0.2)), above(smooth(rng, 0.004, 0.004), 0.05, 0.4), unit(height))


def _printed_layers(rng: np.random.Generator) -> Relief:
    """Layers of a filament printer along v."""
    u, v = grid()
    wobble = 0.15 * smooth(rng, 0.1, 0.01)
    height = np.sqrt(np.abs(np.cos(np.pi * (40 * v + wobble)))) + 0 * u
    return Relief(spread(height + 0.3 * smooth(rng, 0.2, 0.004)), flat(), unit(height))


def _rubbery(rng: np.random.Generator) -> Relief:
    """Dull and uneven, with a bloom of lighter dust."""
    height = cloud(rng, 0.02, 4, 0.8)
    return Relief(spread(cloud(rng, 0.1)), 0.6 * above(cloud(rng, 0.25), 0.3, 2.0), unit(height))


def _woven(rng: np.random.Generator) -> Relief:
    """Plain weave: warp and weft over and under, worn flat in places."""
    u, v = grid()
    warp = np.abs(np.sin(np.pi * 64 * u)) * (0.5 + 0.5 * np.sign(np.sin(np.pi * 64 * u) * np.sin(np.pi * 64 * v)))
    weft = np.abs(np.sin(np.pi * 64 * v)) * (0.5 - 0.5 * np.sign(np.sin(np.pi * 64 * u) * np.sin(np.pi * 64 * v)))
    threads = softened(warp + weft, 0.8)
    worn = above(cloud(rng, 0.3), 0.3, 2.0)
    height = unit(threads) * (1 - 0.6 * worn) + 0.3 * smooth(rng, 0.004, 0.004)
    return Relief(spread(unit(threads) + 0.5 * cloud(rng, 0.2)), 0.7 * worn, unit(height))


def _sheeted(rng: np.random.Generator) -> Relief:
    """PVC with the imprint of its fabric: fine bumps, polished along the run in tracks."""
    u, v = grid()
    bumps = np.sin(2 * np.pi * 56 * u) * np.sin(2 * np.pi * 56 * v)
    tracks = smooth(rng, 2.0, 0.02)
    height = bumps * (1 - 0.5 * above(tracks, 0.3, 1.0)) + 0.4 * smooth(rng, 0.01, 0.01)
    return Relief(spread(tracks + cloud(rng, 0.3)), 0.5 * above(tracks, 0.2, 1.5), unit(height))


_ANY_HUE = Uniform(0.0, 360.0)

POLYMERS: dict[str, Material] = {
    "plastic_glossy": Material(
        base=Substance(
            colour=Paint(hue_deg=_ANY_HUE, saturation=Uniform(0.0, 0.95), value=Uniform(0.1, 0.95)),
            roughness=Uniform(0.08, 0.25),
        ),
        relief=_moulded,
        tile_m=LogUniform(0.05, 0.1),
        slope=Uniform(0.005, 0.02),
        contrast=Uniform(0.0, 0.03),
        texture="plain",
        source=_BY_EYE,
    ),
    "plastic_matt": Material(
        base=Substance(
            colour=Paint(hue_deg=_ANY_HUE, saturation=Uniform(0.0, 0.8), value=Uniform(0.08, 0.9)),
            roughness=Uniform(0.45, 0.7),
        ),
        relief=_etched,
        tile_m=LogUniform(0.03, 0.06),
        slope=Uniform(0.1, 0.3),
        contrast=Uniform(0.02, 0.08),
        texture="noise",
        source=_BY_EYE,
    ),
    "plastic_white": Material(  # polyamide, acetal, polyethylene without pigment
        base=Substance(
            colour=Paint(hue_deg=Uniform(35.0, 60.0), saturation=Uniform(0.0, 0.14), value=Uniform(0.86, 0.97)),
            roughness=Uniform(0.3, 0.5),
        ),
        relief=_moulded,
        tile_m=LogUniform(0.03, 0.08),
        slope=Uniform(0.01, 0.05),
        contrast=Uniform(0.0, 0.03),
        texture="plain",
        source=_BY_EYE,
    ),
    "plastic_filled": Material(
        base=Substance(
            colour=Paint(hue_deg=_ANY_HUE, saturation=Uniform(0.0, 0.3), value=Uniform(0.1, 0.5)),
            roughness=Uniform(0.4, 0.6),
        ),
        second=Substance(
            colour=Paint(hue_deg=_ANY_HUE, saturation=Uniform(0.0, 0.2), value=Uniform(0.4, 0.8)),
            roughness=Uniform(0.4, 0.6),
        ),
        relief=_speckled,
        tile_m=LogUniform(0.03, 0.06),
        slope=Uniform(0.02, 0.06),
        contrast=Uniform(0.0, 0.06),
        texture="speckle",
        source=_BY_EYE,
    ),
    "plastic_printed": Material(
        base=Substance(
            colour=Paint(hue_deg=_ANY_HUE, saturation=Uniform(0.2, 0.95), value=Uniform(0.3, 0.95)),
            roughness=Uniform(0.35, 0.55),
        ),
        relief=_printed_layers,
        tile_m=LogUniform(0.006, 0.012),  # layers of 0.15 to 0.3 mm
        slope=Uniform(0.3, 0.6),
        contrast=Uniform(0.05, 0.15),
        anisotropy=Uniform(0.3, 0.6),
        texture="brushed",
        source=_BY_EYE,
    ),
    "rubber": Material(
        base=Substance(
            colour=Albedo(rgb=(0.023, 0.023, 0.023), luminance=Uniform(0.018, 0.035)), roughness=Uniform(0.55, 0.85)
        ),
        second=Substance(
            colour=Albedo(rgb=(0.05, 0.048, 0.045), luminance=Uniform(0.03, 0.08)), roughness=Uniform(0.8, 0.95)
        ),
        relief=_rubbery,
        tile_m=LogUniform(0.02, 0.06),
        slope=Uniform(0.08, 0.25),
        contrast=Uniform(0.1, 0.25),
        texture="noise",
        source="a tyre's albedo: spectrophotometer reading of the PhysicallyBased database (CC0), 0.023",
    ),
    "belt_fabric": Material(
        base=Substance(
            colour=Paint(hue_deg=Uniform(20.0, 220.0), saturation=Uniform(0.0, 0.3), value=Uniform(0.2, 0.65)),
            roughness=Uniform(0.75, 0.95),
        ),
        second=Substance(
            colour=Paint(hue_deg=Uniform(20.0, 60.0), saturation=Uniform(0.05, 0.25), value=Uniform(0.25, 0.5)),
            roughness=Uniform(0.55, 0.8),
        ),
        relief=_woven,
        tile_m=LogUniform(0.03, 0.08),
        slope=Uniform(0.3, 0.6),
        contrast=Uniform(0.15, 0.35),
        texture="weave",
        source=_BY_EYE,
    ),
    "belt_pvc": Material(
        base=Substance(
            colour=Paint(hue_deg=Uniform(90.0, 230.0), saturation=Uniform(0.0, 0.7), value=Uniform(0.12, 0.55)),
            roughness=Uniform(0.4, 0.6),
        ),
        second=Substance(
            colour=Paint(hue_deg=Uniform(60.0, 200.0), saturation=Uniform(0.0, 0.4), value=Uniform(0.15, 0.5)),
            roughness=Uniform(0.25, 0.4),
        ),
        relief=_sheeted,
        tile_m=LogUniform(0.06, 0.12),
        slope=Uniform(0.05, 0.2),
        contrast=Uniform(0.05, 0.15),
        texture="weave",
        source=_BY_EYE,
    ),
}
