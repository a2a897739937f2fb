"""A feeder over a moving belt: parts drop from its mouth, one after the other, and ride away."""

from __future__ import annotations

import numpy as np

from simgen.scene.config.stage import FeederKnobs, StageKnobs
from simgen.scene.kinds.drop import Fed
from simgen.scene.kinds.model import SceneKind, SolidBox, Stock, enclosure, runs
from simgen.scene.kinds.setting import Feed, Setting
from simgen.spec.scene import StageSpec

UNEVEN = 0.3  # of the time from a part to the next: how much earlier or later it may come


def _fits(knobs: StageKnobs) -> bool:
    return knobs.feeder is not None


def _solid(stage: StageSpec) -> tuple[SolidBox, ...]:
    return enclosure(stage, open_ends=True)


def furnish(stage: StageSpec, knobs: StageKnobs, parts: Stock, rng: np.random.Generator) -> Setting:
    """The feeder's mouth, with its time for each part; it is above the picture and not drawn."""
    own = knobs.feeder or FeederKnobs()
    every_s, x, z = own.every_s.draw(rng), own.at_m.draw(rng), own.height_m.draw(rng)
    width_m, out_m_s = own.width.draw(rng) * stage.size_m[1], own.speed_m_s.draw(rng)
    late = rng.uniform(0.0, UNEVEN, parts.most)
    starts_s = tuple(float(every_s * (k + late[k])) for k in range(parts.most))
    feed = Feed((x, 0.0, z), width_m / 2, (out_m_s, 0.0, 0.0), starts_s)
    return Setting(feed=feed)


FEEDER = SceneKind(fits=_fits, drop=Fed, furnish=furnish, solid=_solid, surface_speed_m_s=runs)
