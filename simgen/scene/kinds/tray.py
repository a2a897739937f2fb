"""A fixture tray: a grid of nests between ribs, each with one part; some are empty, some hold the wrong part."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from simgen.assets.parts.model import PartModel
from simgen.scene.config.stage import StageKnobs, TrayKnobs
from simgen.scene.kinds.drop import Nested, lying_size_m
from simgen.scene.kinds.model import SceneKind, SolidBox, Stock, enclosure, stands_still
from simgen.scene.kinds.setting import Nest, Setting, bar
from simgen.spec.scene import BodySpec, SheetSpec, StageSpec
from simgen.spec.types import Radians

SMOOTH = 0.2  # friction of the ribs


@dataclass(frozen=True)
class _Grid:
    """Nests in columns and rows round the stage's middle."""

    columns: int
    rows: int
    inside_m: tuple[float, float]  # of a nest
    rib_m: float  # thickness
    height_m: float

    @property
    def pitch_m(self) -> tuple[float, float]:
        return self.inside_m[0] + self.rib_m, self.inside_m[1] + self.rib_m

    @property
    def size_m(self) -> tuple[float, float]:
        return self.columns * self.pitch_m[0] + self.rib_m, self.rows * self.pitch_m[1] + self.rib_m

    def middles_m(self) -> list[tuple[float, float]]:
        """Of all nests, row by row."""
        x_m, y_m = self.pitch_m
        return [
            ((column - (self.columns - 1) / 2) * x_m, (row - (self.rows - 1) / 2) * y_m)
            for row in range(self.rows)
            for column in range(self.columns)
        ]

    def ribs(self, stage: StageSpec) -> list[BodySpec]:
        (x_m, y_m), (across_m, along_m) = self.pitch_m, self.size_m
        ends = [((i - self.columns / 2) * x_m, 0.0) for i in range(self.columns + 1)]
        sides = [(0.0, (i - self.rows / 2) * y_m) for i in range(self.rows + 1)]
        return [
            *(bar(stage, (self.rib_m, along_m, self.height_m), at, friction=SMOOTH) for at in ends),
            *(bar(stage, (across_m, self.rib_m, self.height_m), at, friction=SMOOTH) for at in sides),
        ]


def _fits(knobs: StageKnobs) -> bool:
    return knobs.tray is not None


def _solid(stage: StageSpec) -> tuple[SolidBox, ...]:
    return enclosure(stage, open_ends=False)


def furnish(stage: StageSpec, knobs: StageKnobs, parts: Stock, rng: np.random.Generator) -> Setting:
    """A tray for one part that is drawn, and what lies in each of its nests.

    Raises:
        KeyError: a kind of part does not exist.
        MissingContent: the file of an imported part is not known here.
    """
    own = knobs.tray or TrayKnobs()
    kind, source, model = parts.draw(rng)
    grid = _draw_grid(stage, own, model, rng)
    empty, wrong = own.empty_share.draw(rng), own.wrong_share.draw(rng)
    contents, nests = [], []
    for middle_m in grid.middles_m():
        is_empty, is_wrong, other = rng.uniform() < empty, rng.uniform() < wrong, parts.draw(rng)
        tilt_rad = math.radians(own.tilt_deg.draw(rng)) * (-1.0 if rng.uniform() < 0.5 else 1.0)
        if not is_empty:
            contents.append((other[0], other[1]) if is_wrong else (kind, source))
            nests.append(Nest(middle_m, grid.inside_m, grid.height_m, tilt_rad))
    return Setting(
        walls=tuple(grid.ribs(stage)),
        sheets=(SheetSpec(centre_m=(0.0, 0.0), size_m=grid.size_m, yaw_rad=Radians(0.0), rgb=stage.sides.rgb),),
        contents=tuple(contents),
        nests=tuple(nests),
    )


def _draw_grid(stage: StageSpec, knobs: TrayKnobs, model: PartModel, rng: np.random.Generator) -> _Grid:
    """As many columns and rows as are drawn, and as the stage has room for; one at least."""
    long_m, wide_m, high_m = lying_size_m(model)
    columns, rows, clear_m = knobs.columns.draw(rng), knobs.rows.draw(rng), knobs.clearance_m.draw(rng)
    rib_m, height_m = knobs.rib_m.draw(rng), knobs.rib_height.draw(rng) * high_m
    inside_m = (long_m + clear_m, wide_m + clear_m)
    room = [math.floor((side - rib_m) / (nest + rib_m)) for side, nest in zip(stage.size_m, inside_m, strict=True)]
    return _Grid(max(1, min(columns, room[0])), max(1, min(rows, room[1])), inside_m, rib_m, height_m)


TRAY = SceneKind(fits=_fits, drop=Nested, furnish=furnish, solid=_solid, surface_speed_m_s=stands_still)
