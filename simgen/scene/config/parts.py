"""Knobs of the parts, of what they lie on, and of what stands around them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from simgen.scene.config.bounds import Group, Knob, count, none_or_over, plain, share, share_or_off, weight
from simgen.scene.config.photo import PhotoKnobs
from simgen.spec.knobs import Choice, IntRange, LogUniform, Uniform


class KindKnobs(Group):
    """One kind of part."""

    weight: Annotated[float, weight("How often a part is of this kind; 0: never.")]
    diameter_mm: Annotated[Uniform, Knob("mm", 0.1, 1000, "Nominal diameters of the standard's sizes to take.")]
    length_mm: Annotated[
        Uniform, Knob("mm", 0, 5000, "Lengths of the standard's sizes to take; ignored by kinds without a length.")
    ]
    finishes: Annotated[
        Choice | None, plain("Finishes of this kind, rows of texture.finishes; without it all, by their own weights.")
    ] = None


class PartsKnobs(Group):
    """Which parts, how many, and how they are laid."""

    count: Annotated[IntRange, count("Parts in a scene.", 1000)]
    kinds: Annotated[dict[str, KindKnobs], Field(min_length=1)]
    only: Annotated[
        tuple[str, ...],
        plain("Names of kinds to take; all other kinds are left out, whatever their weights. Empty: all kinds."),
        Field(exclude=True),
    ] = ()
    density_kg_m3: Annotated[
        LogUniform, Knob("kg/m3", 1, 30000, "Density of the parts, which gives their mass.", "osmium has 22590")
    ]
    friction: Annotated[
        Uniform, Knob("", 0, 10, "Coefficient of friction, between parts and with the stage.", "steel on steel has 0.6")
    ]
    standing_share: Annotated[
        Uniform, share_or_off("Share of a scene's long parts that start upright, bolts on their head.")
    ]
    pile_share: Annotated[
        Uniform,
        share_or_off("Share of a scene's parts that fall onto an earlier one, so that they touch and overlap."),
    ]
    spread: Annotated[Uniform, share("Share of the stage's length and width that parts are laid on.")]

    @field_validator("only")
    @classmethod
    def _kinds_that_are_there(cls, only: tuple[str, ...], info: Any) -> tuple[str, ...]:
        kinds = info.data.get("kinds", {})
        for name in only:
            if kinds and name not in kinds:
                raise ValueError(f"no kind {name!r} in parts.kinds; there are {', '.join(sorted(kinds))}")
        return only

    @model_validator(mode="after")
    def _only_these(self) -> PartsKnobs:
        """Drop the kinds that `only` does not name. The config holds the rest, as if they had never been there."""
        if self.only:
            self.__dict__.update(kinds={name: self.kinds[name] for name in self.kinds if name in self.only}, only=())
        if not any(kind.weight > 0 for kind in self.kinds.values()):
            raise ValueError(f"kinds: all weights are 0 ({', '.join(self.kinds)}): give one of them a weight above 0")
        return self


class StageKnobs(Group):
    """What the parts lie on: a bin's floor where there are walls, a belt where there is a speed, else a table."""

    length_m: Annotated[Uniform, Knob("m", 0.01, 50, "Length of the stage, along x.")]
    width_m: Annotated[Uniform, Knob("m", 0.01, 50, "Width of the stage, along y.")]
    thickness_m: Annotated[Uniform, Knob("m", 0.0005, 5, "Thickness of the stage's plate.")]
    floor_below_m: Annotated[Uniform, Knob("m", 0, 50, "How far the floor lies below the stage's top.")]
    leg_m: Annotated[Uniform, Knob("m", 0, 1, "Thickness of the four legs; below 0.02 m there are none.")]
    wall_height_m: Annotated[
        Uniform, Knob("m", 0, 2, "Height of the walls; above 0 the stage is a bin."), none_or_over(0.001)
    ]
    wall_thickness_m: Annotated[Uniform, Knob("m", 0.0005, 0.5, "Thickness of a bin's walls.")]
    belt_speed_m_s: Annotated[
        Uniform, Knob("m/s", 0, 20, "Speed of the belt along +x; not 0 to 0: the stage is a belt.")
    ]
    sheets: Annotated[Choice, plain("Sheets of paper on the stage: none, scattered or covering.")]
    sheet_count: Annotated[IntRange, count("Sheets, where they are scattered.", 200)]
    sheet_size_m: Annotated[Uniform, Knob("m", 0.02, 5, "Longer side of a sheet.")]
    photo: PhotoKnobs | None = None

    @model_validator(mode="after")
    def _a_photo_has_its_own_walls(self) -> StageKnobs:
        if self.photo is not None and self.wall_height_m.high > 0:
            raise ValueError("photo: a bin's walls are drawn, and hide the photo's: set wall_height_m to 0")
        return self

    @model_validator(mode="after")
    def _a_bin_stands_still(self) -> StageKnobs:
        if self.wall_height_m.high > 0 and (self.belt_speed_m_s.low, self.belt_speed_m_s.high) != (0, 0):
            raise ValueError("a stage with walls stands still: set wall_height_m or belt_speed_m_s to 0 to 0")
        return self


class ClutterKnobs(Group):
    """Unlabelled bodies around the stage, and occluders between camera and parts."""

    count: Annotated[IntRange, count("Bodies that stand around the stage.", 500)]
    size_m: Annotated[LogUniform, Knob("m", 0.001, 10, "Each side of such a body.")]
    ring_m: Annotated[Uniform, Knob("m", 0, 50, "Distance of such a body from the stage's edge.")]
    bands: Annotated[IntRange, count("Bands of other colours around each such body, as on packaging.", 20)] = IntRange(
        low=0, high=0
    )
    occluders: Annotated[IntRange, count("Bodies above the stage, which may hide parts.", 100)]
    occluder_size_m: Annotated[LogUniform, Knob("m", 0.001, 5, "Width of an occluder.")]
    occluder_height_m: Annotated[Uniform, Knob("m", 0, 20, "Height of an occluder above the stage.")]
    occluder_speed_m_s: Annotated[Uniform, Knob("m/s", 0, 20, "Speed of an occluder, in any level direction.")]
