"""Knobs of what the parts lie on: a table, a belt, a bin, a tray, and how parts come onto it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import model_serializer, model_validator

from simgen.scene.config.bounds import Group, Knob, count, none_or_over, plain, share
from simgen.scene.config.bounds import count as how_many  # a knob here is named count
from simgen.scene.config.photo import PhotoKnobs
from simgen.spec.knobs import Choice, IntRange, Uniform


class BridgeKnobs(Group):
    """Bridges over a belt, or arms that reach over it from one side. Parts pass below; none touches them."""

    count: Annotated[IntRange, how_many("Bridges over the belt.", 20)] = IntRange(1, 2)
    at_m: Annotated[Uniform, Knob("m", -50, 50, "Where a bridge stands along x; the stage's middle is 0.")] = Uniform(
        -0.1, 0.1
    )
    run_m: Annotated[Uniform, Knob("m", 0.005, 5, "How far it covers the belt along x.")] = Uniform(0.03, 0.12)
    clear_m: Annotated[Uniform, Knob("m", 0.01, 2, "Its height above the belt.")] = Uniform(0.05, 0.09)
    reach: Annotated[
        Uniform,
        Knob("", 0.1, 10, "Share of the belt's width that it reaches over from one side; from 1 on all.",
             "a share of a whole"),
    ] = Uniform(1.0, 1.0)  # fmt: skip


class BeltKnobs(Group):
    """What stands over a moving belt or is fixed to it, and whether it stops. Every share is 0 unless it is given."""

    guide_share: Annotated[float, share("Share of the scenes with a guide along each side of the belt.")] = 0.0
    guide_inset_m: Annotated[Uniform, Knob("m", 0, 5, "How far a guide stands in from the belt's edge.")] = Uniform(
        0.0, 0.03
    )
    bar_height_m: Annotated[Uniform, Knob("m", 0.002, 1, "Height of guides, gate and diverter.")] = Uniform(0.02, 0.05)
    gate_share: Annotated[float, share("Share of the scenes with a gate across the belt, which stops the parts.")] = 0.0
    gate_at_m: Annotated[Uniform, Knob("m", -50, 50, "Where the gate stands along x; the stage's middle is 0.")] = (
        Uniform(0.0, 0.15)
    )
    diverter_share: Annotated[
        float, share("Share of the scenes with a diverter: a slanting plate that pushes parts to one side.")
    ] = 0.0
    diverter_at_m: Annotated[
        Uniform, Knob("m", -50, 50, "Where the diverter begins along x; the stage's middle is 0.")
    ] = Uniform(-0.1, 0.05)
    diverter_deg: Annotated[Uniform, Knob("deg", 10, 80, "Angle between the diverter and the belt's run.")] = Uniform(
        25.0, 45.0
    )
    diverter_reach: Annotated[Uniform, share("Share of the belt's width that the diverter closes.", 0.9)] = Uniform(
        0.45, 0.65
    )
    cleat_share: Annotated[
        float, share("Share of the scenes with cleats: bars across the belt that ride on it. These have no gate.")
    ] = 0.0
    cleat_pitch_m: Annotated[Uniform, Knob("m", 0.02, 5, "From a cleat to the next.")] = Uniform(0.12, 0.3)
    cleat_height_m: Annotated[Uniform, Knob("m", 0.001, 0.5, "Height of the cleats.")] = Uniform(0.008, 0.025)
    stop_share: Annotated[float, share("Share of the scenes whose belt stops and goes.")] = 0.0
    run_s: Annotated[Uniform, Knob("s", 0.05, 600, "How long such a belt moves, with both ramps.")] = Uniform(0.4, 1.2)
    stop_s: Annotated[Uniform, Knob("s", 0.01, 600, "How long it then stands.")] = Uniform(0.2, 0.6)
    ramp_s: Annotated[
        Uniform, Knob("s", 0.001, 60, "How long it takes to reach its speed, and to stop; at most half of run_s.")
    ] = Uniform(0.05, 0.2)
    bridges: BridgeKnobs | None = None

    @model_serializer(mode="wrap")
    def _as_before(self, write: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """Without bridges where there are none, so that the config of such a preset is as it always was."""
        return {name: value for name, value in write(self).items() if value is not None}


class TrayKnobs(Group):
    """A fixture tray: a grid of nests, made for one part that is drawn. parts.count does not count here."""

    columns: Annotated[IntRange, Knob("", 1, 40, "Nests along x, as far as the stage has room.", "a tray")] = IntRange(
        3, 6
    )
    rows: Annotated[IntRange, Knob("", 1, 40, "Nests along y, as far as the stage has room.", "a tray")] = IntRange(
        2, 4
    )
    clearance_m: Annotated[Uniform, Knob("m", 0.0005, 0.5, "How much longer and wider a nest is than its part.")] = (
        Uniform(0.003, 0.01)
    )
    rib_m: Annotated[Uniform, Knob("m", 0.001, 0.2, "Thickness of the ribs between nests.")] = Uniform(0.003, 0.008)
    rib_height: Annotated[
        Uniform, Knob("", 0.05, 3, "Height of the ribs, relative to the lying part's height.", "a size ratio")
    ] = Uniform(0.4, 0.9)
    empty_share: Annotated[Uniform, share("Share of a tray's nests without a part.")] = Uniform(0.0, 0.3)
    wrong_share: Annotated[
        Uniform, share("Share of the other nests with a part of any kind; it is labelled as what it is.")
    ] = Uniform(0.0, 0.15)
    tilt_deg: Annotated[Uniform, Knob("deg", 0, 45, "How far a part is turned in its nest, to either side.")] = Uniform(
        0.0, 4.0
    )


class FeederKnobs(Group):
    """A feeder: parts drop from its mouth onto the moving belt, one after the other."""

    every_s: Annotated[Uniform, Knob("s", 0.005, 60, "From a part to the next.")] = Uniform(0.05, 0.2)
    at_m: Annotated[Uniform, Knob("m", -50, 50, "Where parts leave it along x; the stage's middle is 0.")] = Uniform(
        -0.15, -0.05
    )
    height_m: Annotated[Uniform, Knob("m", 0.01, 2, "How high above the belt parts leave it.")] = Uniform(0.05, 0.12)
    width: Annotated[Uniform, share("Width of its mouth, as a share of the belt's width.")] = Uniform(0.3, 0.7)
    speed_m_s: Annotated[Uniform, Knob("m/s", 0, 10, "Speed at which parts leave it, along x.")] = Uniform(0.0, 0.3)


class ScatterKnobs(Group):
    """Parts tipped out: they fall onto a few heaps and roll apart."""

    heaps: Annotated[IntRange, count("Heaps in a scene; 0 counts as 1.", 20)] = IntRange(1, 3)
    radius_m: Annotated[Uniform, Knob("m", 0.001, 5, "Standard deviation of where parts of a heap fall.")] = Uniform(
        0.015, 0.05
    )


class StageKnobs(Group):
    """What the parts lie on. Its kind is the drawn one of `kinds`; without it, it follows from what else is given:
    a bin's floor where there are walls, a tray, a feeder or heaps where there is such a group, a belt where there is a
    speed, else a table.
    """

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
    kinds: Annotated[
        Choice | None,
        plain("Kinds of scene with weights: table, belt, bin, tray, feeder, scatter; one is drawn for each scene."),
    ] = None
    belt: BeltKnobs | None = None
    tray: TrayKnobs | None = None
    feeder: FeederKnobs | None = None
    scatter: ScatterKnobs | None = None

    @property
    def has_speed(self) -> bool:
        """Whether a belt of these knobs may move."""
        return (self.belt_speed_m_s.low, self.belt_speed_m_s.high) != (0, 0)

    @model_serializer(mode="wrap")
    def _as_before(self, write: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """Without the groups of scene kinds that are not given, so that older presets' configs are as they were."""
        new = ("kinds", "belt", "tray", "feeder", "scatter")
        return {name: value for name, value in write(self).items() if value is not None or name not in new}

    @model_validator(mode="after")
    def _kinds_have_what_they_need(self) -> StageKnobs:
        drawn = {name for name, weight in self.kinds.weights.items() if weight > 0} if self.kinds else set()
        for name in sorted(drawn & {"belt", "feeder"}):
            if not self.has_speed:
                raise ValueError(f"kinds: {name} needs a belt that moves: give belt_speed_m_s")
        if "bin" in drawn and self.wall_height_m.high <= 0:
            raise ValueError("kinds: bin needs walls: give wall_height_m")
        if not self.has_speed:
            for name in ("belt", "feeder"):
                if getattr(self, name) is not None:
                    raise ValueError(f"{name} needs a belt that moves: give belt_speed_m_s")
        if not self.kinds and sum(one is not None for one in (self.tray, self.feeder, self.scatter)) > 1:
            raise ValueError(
                "a scene is of one kind: of tray, feeder and scatter give one, or weights for them in kinds"
            )
        return self

    @model_validator(mode="after")
    def _a_photo_has_its_own_walls(self) -> StageKnobs:
        if self.photo is not None and self.wall_height_m.high > 0 and not self.kinds:
            raise ValueError("photo: a bin's walls are drawn, and hide the photo's: set wall_height_m to 0")
        return self

    @model_validator(mode="after")
    def _a_bin_stands_still(self) -> StageKnobs:
        if self.wall_height_m.high > 0 and self.has_speed and not self.kinds:
            raise ValueError("a stage with walls stands still: set wall_height_m or belt_speed_m_s to 0 to 0")
        return self
