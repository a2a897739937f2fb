"""Knobs of the parts, and of what stands around them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field, field_validator, model_serializer, model_validator

from simgen.scene.config.bounds import Group, Knob, count, plain, share, share_or_off, weight
from simgen.scene.config.passing import PassingKnobs
from simgen.spec.knobs import Choice, IntRange, LogUniform, MeshContent, Uniform

MOST_LETTERS = 100  # of a category
_OSMIUM = "osmium has 22590"


class KindKnobs(Group):
    """One kind of part: sizes of a standard, or `mesh`, a part that was imported from a CAD file."""

    weight: Annotated[float, weight("How often a part is of this kind; 0: never.")]
    diameter_mm: Annotated[
        Uniform | None, Knob("mm", 0.1, 1000, "Nominal diameters of the standard's sizes to take.")
    ] = None
    length_mm: Annotated[
        Uniform | None,
        Knob("mm", 0, 5000, "Lengths of the standard's sizes to take; ignored by kinds without a length."),
    ] = None
    finishes: Annotated[
        Choice | None, plain("Finishes of this kind, rows of texture.finishes; without it all, by their own weights.")
    ] = None
    mesh: Annotated[
        MeshContent | None,
        plain("An imported part (simgen parts add) in place of a standard's sizes: a .glb, relative to the preset."),
    ] = None
    category: Annotated[
        str | None, plain("Category of this kind in the labels; without it the one of the standard or of the file.")
    ] = None
    scale: Annotated[
        Uniform | None,
        Knob("", 0.1, 10, "How much larger than in its file an imported part is, in steps of 0.01.", "a size ratio"),
    ] = None
    density_kg_m3: Annotated[
        LogUniform | None,
        Knob("kg/m3", 1, 30000, "Density of this kind; without it the file's, or parts.density_kg_m3.", _OSMIUM),
    ] = None
    file_colours: Annotated[
        bool | None,
        plain("Whether the colours in an imported part's file, where there are any, replace those of the finish."),
    ] = None

    @field_validator("category")
    @classmethod
    def _a_name(cls, category: str | None) -> str | None:
        if category is not None and not (0 < len(category) <= MOST_LETTERS and category.isprintable()):
            raise ValueError(f"needs a name of 1 to {MOST_LETTERS} letters, got {category!r:.80}")
        return category

    @model_validator(mode="after")
    def _sizes_or_a_mesh(self) -> KindKnobs:
        sizes = [name for name in ("diameter_mm", "length_mm") if getattr(self, name) is not None]
        if self.mesh is None:
            if len(sizes) < 2:
                missing = " and ".join(name for name in ("diameter_mm", "length_mm") if name not in sizes)
                raise ValueError(f"missing {missing} of its standard's sizes, or mesh, the file of an imported part")
            for name in ("scale", "file_colours"):
                if getattr(self, name) is not None:
                    raise ValueError(f"{name} is of imported parts alone: give mesh, or take {name} away")
        elif sizes:
            raise ValueError(f"mesh and {sizes[0]}: a part is of a file or of a standard: take one of them away")
        return self

    @model_serializer(mode="wrap")
    def _as_before(self, write: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """Without what is not given, so that the config of a preset without imported parts is as it always was."""
        return {name: value for name, value in write(self).items() if value is not None or name == "finishes"}


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
        LogUniform, Knob("kg/m3", 1, 30000, "Density of the parts, which gives their mass.", _OSMIUM)
    ]
    friction: Annotated[
        Uniform, Knob("", 0, 10, "Coefficient of friction, between parts and with the stage.", "steel on steel has 0.6")
    ]
    standing_share: Annotated[
        Uniform, share_or_off("Share of a scene's long fasteners that start upright, bolts on their head.")
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
    passing: PassingKnobs | None = None

    @model_serializer(mode="wrap")
    def _as_before(self, write: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """Without what is not given, so that the config of a preset where nothing passes is as it always was."""
        return {name: value for name, value in write(self).items() if value is not None}
