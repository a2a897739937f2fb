"""Knobs of colours, textures and procedural materials.

Colours are hue in degrees, saturation and value in 0..1 of the sRGB, as in a colour dialog.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from simgen.scene.config.bounds import Group, Knob, plain, share, share_or_off, weight
from simgen.spec.knobs import Choice, LogUniform, Uniform


class ColourKnobs(Group):
    """A colour, as in a colour dialog."""

    hue_deg: Annotated[Uniform, Knob("deg", -720, 720, "Hue: 0 red, 120 green, 240 blue; it may run over 360.")]
    saturation: Annotated[Uniform, share_or_off("Saturation: 0 grey, 1 pure.")]
    value: Annotated[Uniform, share("Brightness of the colour: 0 black.")]


class SurfaceKnobs(Group):
    """A surface: its colour, its gloss, and the pattern on it."""

    colour: ColourKnobs
    metallic: Annotated[Uniform, share("How much of a metal it is: 0 paint, plastic or wood, 1 metal.")]
    roughness: Annotated[Uniform, share("0 a mirror, 1 dull.")]
    texture: Annotated[Choice, plain("The pattern, a row of simgen.renderers.textures.TEXTURES.")]
    texture_scale_m: Annotated[LogUniform, Knob("m", 1e-5, 10, "Size of the pattern's details.")]
    contrast: Annotated[Uniform, share("How much the pattern darkens the colour.")]


class FinishKnobs(SurfaceKnobs):
    """The look of parts."""

    weight: Annotated[float, weight("How often a part has this finish, where its kind does not say it.")]


class TextureKnobs(Group):
    """The look of the surfaces."""

    top: SurfaceKnobs
    sides: SurfaceKnobs
    floor: SurfaceKnobs
    clutter: SurfaceKnobs
    sheet_colour: ColourKnobs
    finishes: Annotated[dict[str, FinishKnobs], Field(min_length=1)]


class MatterSurfaceKnobs(Group):
    """Procedural materials for one kind of surface, in place of its plain colours and textures."""

    materials: Annotated[Choice, plain("The material, a row of simgen.assets.materials.MATERIALS.")]
    wear: dict[
        str,
        Annotated[Uniform, share_or_off("Amount of this wear, a row of simgen.assets.materials.WEAR.")],
    ] = Field(default_factory=dict)
    wear_size_m: Annotated[
        float, Knob("m", 0.001, 10, "Side of the wear's tile, after which the wear repeats itself.")
    ] = 0.1


class MatterKnobs(Group):
    """Which surfaces have procedural materials. The others are as the group `texture` says."""

    parts: MatterSurfaceKnobs | None = None
    top: MatterSurfaceKnobs | None = None
    sides: MatterSurfaceKnobs | None = None
    floor: MatterSurfaceKnobs | None = None
    clutter: MatterSurfaceKnobs | None = None
