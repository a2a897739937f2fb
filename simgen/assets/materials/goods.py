"""Materials of tables, floors and boxes: wood, concrete, tiles, cardboard, paper."""

from __future__ import annotations

import cv2
import numpy as np

from simgen.assets.materials.model import Albedo, Material, Paint, Substance
from simgen.assets.materials.relief import TILE_PX, Relief, above, cloud, flat, grid, smooth, softened, spread, unit
from simgen.spec.knobs import LogUniform, Uniform

_PHYSICALLY_BASED = "spectrophotometer reading of the PhysicallyBased database (CC0)"


def _corrugated(rng: np.random.Generator) -> Relief:
    """Kraft liner: fibres, and the flutes under it showing through."""
    u, v = grid()
    flutes = np.sin(2 * np.pi * 24 * u) + 0 * v
    fibres = smooth(rng, 0.02, 0.003) + smooth(rng, 0.004, 0.012)
    return Relief(
        spread(0.6 * fibres + 0.25 * flutes + 0.5 * cloud(rng, 0.15)),
        0.5 * above(smooth(rng, 0.01, 0.002), 0.04, 0.5),
        unit(0.5 * flutes + 0.05 * fibres),
    )


def _wood(rng: np.random.Generator) -> Relief:
    """Wavy annual rings along u, with pores. The mask is the dark late wood."""
    _, v = grid()
    wave = 0.06 * smooth(rng, 0.3, 0.08)
    years = v + wave - wave.mean()
    ring = 0.5 + 0.5 * np.sin(2 * np.pi * (11 * years + 0.25 * np.sin(2 * np.pi * 3 * v)))
    pores = above(smooth(rng, 0.02, 0.0012), 0.03, 0.4)
    mask = np.clip(0.85 * ring**4 + 0.5 * pores + 0.08 * smooth(rng, 0.1, 0.004), 0, 1)
    return Relief(
        spread(smooth(rng, 0.15, 0.003) + cloud(rng, 0.3)), mask.astype(np.float32), unit(-pores - 0.2 * ring)
    )


def _concrete(rng: np.random.Generator) -> Relief:
    """Cement with clouds of laitance, sand, blow holes and a hairline crack or two."""
    sand = smooth(rng, 0.003, 0.003)
    holes = above(smooth(rng, 0.006, 0.006), 0.006, 0.2)
    cracks = np.clip(1 - np.abs(cloud(rng, 0.35, 5, 0.6)) * 60, 0, 1) * above(smooth(rng, 0.2, 0.2), 0.12, 0.5)
    mask = np.maximum(np.maximum(holes, 0.8 * cracks), 0.35 * above(cloud(rng, 0.3), 0.3, 2.0))
    return Relief(
        spread(cloud(rng, 0.25) + 0.5 * sand), mask.astype(np.float32), unit(0.15 * sand - 3 * holes - 2 * cracks)
    )


def _tiles(rng: np.random.Generator) -> Relief:
    """Four by four floor tiles, each of its own shade, with grout between."""
    u, v = grid()
    across = 4
    shade = rng.uniform(-1, 1, (across, across))
    column, row = (np.minimum((c * across).astype(int), across - 1) for c in (u, v))
    inside = np.minimum(0.5 - np.abs(u * across % 1 - 0.5), 0.5 - np.abs(v * across % 1 - 0.5))
    grout = np.clip((0.02 - inside) / 0.006 + 0.5, 0, 1)
    value = np.clip(0.35 * shade[row, column] + 0.25 * cloud(rng, 0.06), -1, 1)
    return Relief(value.astype(np.float32), grout.astype(np.float32), unit(softened(-grout, 1.5)))


def _print(rng: np.random.Generator) -> Relief:
    """A page: a heading, columns of lines of words, a picture, a bar code. The mask is ink."""
    page = np.zeros((TILE_PX, TILE_PX), np.float32)
    for top in range(20, TILE_PX - 20, 12):
        x = 16 + int(rng.integers(0, 12))
        while x < TILE_PX - 40 and not (150 < top < 300 and x > 250):
            wide = int(rng.integers(6, 34))
            for letter in range(x, x + wide, 4):
                low = top + int(rng.integers(0, 3))
                cv2.line(page, (letter, low), (letter + int(rng.integers(-1, 3)), top + 6), 1.0, 1)
            x += wide + 7
    cv2.rectangle(page, (270, 160), (490, 250), 0.55, -1)
    cv2.circle(page, (int(rng.integers(310, 450)), 205), 34, 0.15, -1)
    x = 280
    while x < 480:
        wide = int(rng.integers(1, 5))
        cv2.rectangle(page, (x, 262), (x + wide - 1, 292), 1.0, -1)
        x += wide + int(rng.integers(1, 5))
    fibres = smooth(rng, 0.006, 0.006)
    return Relief(spread(fibres), np.clip(softened(page, 0.5), 0, 1), unit(fibres))


def _laminate(rng: np.random.Generator) -> Relief:
    """A work top's fine dimples."""
    height = smooth(rng, 0.006, 0.006) + 0.5 * smooth(rng, 0.02, 0.02)
    return Relief(spread(cloud(rng, 0.02, 3)), flat(), unit(height))


GOODS: dict[str, Material] = {
    "cardboard": Material(
        base=Substance(
            colour=Albedo(rgb=(0.351, 0.208, 0.110), luminance=Uniform(0.17, 0.33)), roughness=Uniform(0.75, 0.95)
        ),
        second=Substance(
            colour=Albedo(rgb=(0.2, 0.11, 0.05), luminance=Uniform(0.08, 0.15)), roughness=Uniform(0.8, 0.95)
        ),
        relief=_corrugated,
        tile_m=LogUniform(0.12, 0.2),  # flutes of 5 to 8 mm
        slope=Uniform(0.01, 0.05),
        contrast=Uniform(0.1, 0.2),
        texture="grain",
        source=f"{_PHYSICALLY_BASED}, 0.351 0.208 0.110",
    ),
    "wood": Material(
        base=Substance(
            colour=Paint(hue_deg=Uniform(22.0, 40.0), saturation=Uniform(0.25, 0.5), value=Uniform(0.6, 0.85)),
            roughness=Uniform(0.45, 0.75),
        ),
        second=Substance(
            colour=Paint(hue_deg=Uniform(15.0, 32.0), saturation=Uniform(0.4, 0.65), value=Uniform(0.35, 0.55)),
            roughness=Uniform(0.5, 0.8),
        ),
        relief=_wood,
        tile_m=LogUniform(0.15, 0.4),
        slope=Uniform(0.02, 0.1),
        contrast=Uniform(0.05, 0.15),
        coat=Uniform(-1.0, 0.9),  # below 0: no varnish
        coat_roughness=Uniform(0.15, 0.45),
        texture="grain",
        source="colour by eye",
    ),
    "concrete": Material(
        base=Substance(
            colour=Paint(hue_deg=Uniform(25.0, 60.0), saturation=Uniform(0.0, 0.1), value=Uniform(0.5, 0.75)),
            roughness=Uniform(0.7, 0.95),
        ),
        second=Substance(
            colour=Paint(hue_deg=Uniform(20.0, 50.0), saturation=Uniform(0.0, 0.15), value=Uniform(0.25, 0.42)),
            roughness=Uniform(0.6, 0.9),
        ),
        relief=_concrete,
        tile_m=LogUniform(0.4, 1.2),
        slope=Uniform(0.05, 0.15),
        contrast=Uniform(0.08, 0.2),
        texture="noise",
        source="aged concrete reflects 0.2 to 0.35, new 0.4 to 0.55 (charts of albedo); hue by eye",
    ),
    "floor_tiles": Material(
        base=Substance(
            colour=Paint(hue_deg=Uniform(0.0, 360.0), saturation=Uniform(0.0, 0.3), value=Uniform(0.3, 0.88)),
            roughness=Uniform(0.15, 0.5),
        ),
        second=Substance(
            colour=Paint(hue_deg=Uniform(20.0, 60.0), saturation=Uniform(0.0, 0.15), value=Uniform(0.25, 0.7)),
            roughness=Uniform(0.8, 0.95),
        ),
        relief=_tiles,
        tile_m=LogUniform(0.8, 2.4),  # tiles of 20 to 60 cm
        slope=Uniform(0.02, 0.1),
        contrast=Uniform(0.1, 0.35),
        texture="terrazzo",
        source="glazed white porcelain reads 0.745 in the PhysicallyBased database (CC0), the brightest of the range",
    ),
    "printed_paper": Material(
        base=Substance(
            colour=Paint(hue_deg=Uniform(20.0, 240.0), saturation=Uniform(0.0, 0.08), value=Uniform(0.86, 0.95)),
            roughness=Uniform(0.7, 0.95),
        ),
        second=Substance(
            colour=Paint(hue_deg=Uniform(0.0, 360.0), saturation=Uniform(0.0, 0.5), value=Uniform(0.2, 0.35)),
            roughness=Uniform(0.5, 0.8),
        ),
        relief=_print,
        tile_m=LogUniform(0.15, 0.25),
        slope=Uniform(0.01, 0.03),
        contrast=Uniform(0.01, 0.03),
        texture="printed",
        source=f"black toner 0.05, office paper 0.77: {_PHYSICALLY_BASED}",
    ),
    "laminate": Material(
        base=Substance(
            colour=Paint(hue_deg=Uniform(0.0, 360.0), saturation=Uniform(0.0, 0.12), value=Uniform(0.6, 0.95)),
            roughness=Uniform(0.3, 0.6),
        ),
        relief=_laminate,
        tile_m=LogUniform(0.03, 0.08),
        slope=Uniform(0.01, 0.05),
        contrast=Uniform(0.0, 0.05),
        texture="noise",
        source="colour by eye",
    ),
}
