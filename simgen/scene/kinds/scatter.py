"""Parts tipped out onto a table: they fall in any orientation onto a few heaps, and roll apart."""

from __future__ import annotations

import numpy as np

from simgen.scene.config.stage import ScatterKnobs, StageKnobs
from simgen.scene.kinds.drop import Tipped
from simgen.scene.kinds.model import SceneKind, SolidBox, Stock, enclosure, stands_still
from simgen.scene.kinds.setting import Heap, Setting
from simgen.spec.scene import StageSpec

IN_VIEW = 0.25  # of the stage's sides: how far a heap's middle is from the stage's at most


def _fits(knobs: StageKnobs) -> bool:
    return knobs.scatter is not None


def _solid(stage: StageSpec) -> tuple[SolidBox, ...]:
    return enclosure(stage, open_ends=False)


def furnish(stage: StageSpec, knobs: StageKnobs, parts: Stock, rng: np.random.Generator) -> Setting:
    """Where the heaps are."""
    own = knobs.scatter or ScatterKnobs()
    heaps = []
    for _ in range(max(1, own.heaps.draw(rng))):
        x, y = (float(rng.uniform(-IN_VIEW, IN_VIEW)) * side * parts.spread for side in stage.size_m)
        heaps.append(Heap((x, y), own.radius_m.draw(rng)))
    return Setting(heaps=tuple(heaps))


SCATTER = SceneKind(fits=_fits, drop=Tipped, furnish=furnish, solid=_solid, surface_speed_m_s=stands_still)
