"""What moves by itself while parts fall: a belt, what stands over it, and a feeder that lets go of one part at a time.

PyBullet has no surface velocity. A belt is simulated in its own frame of reference, where it stands still, and what
rests on it rides exactly at its speed. In that frame what stands in the world (a gate) moves against the belt, as a
body so heavy that no part can push it. A belt that changes its speed gives every part the inertial force of its frame:
gravity leans by the belt's acceleration.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from simgen.scene.bullet import GRAVITY_M_S2, World, lean, put, standing
from simgen.scene.kinds import scene_kind
from simgen.scene.kinds.motion import speed_m_s, travel_m
from simgen.spec.scene import SceneSpec

HELD_M = 200.0  # where a part waits in the simulation until its feeder lets go of it, above all else
NOWHERE_M = 3.0  # and in the trajectory: below the floor


@dataclass(frozen=True)
class Drive:
    """Of one scene. Times are since the parts start to fall."""

    spec: SceneSpec

    @property
    def full_m_s(self) -> float:
        """The speed of the work surface when it runs."""
        return scene_kind(self.spec.stage).surface_speed_m_s(self.spec.stage)

    @property
    def is_even(self) -> bool:
        """Whether nothing moves against the work surface, and its speed is constant: then parts come to rest on it."""
        fed = any(part.start_s is not None for part in self.spec.solids)
        return self.spec.stage.cycle is None and not standing(self.spec) and not fed

    def travel_m(self, seconds: float) -> float:
        """How far the work surface has moved along +x."""
        return travel_m(self.full_m_s, self.spec.stage.cycle, seconds)

    def shifts_m(self, times_s: Float64[np.ndarray, " t"]) -> Float64[np.ndarray, " t"] | None:
        """How far it has moved since the first frame; None where it stands still."""
        if not self.full_m_s:
            return None
        if self.spec.stage.cycle is None:
            return np.asarray(self.full_m_s * times_s)
        start_m = self.travel_m(self.spec.settle_s)
        return np.array([self.travel_m(self.spec.settle_s + float(t)) - start_m for t in times_s])

    def before_step(self, scene: World, now_s: float, step_s: float) -> None:
        """Move what moves over the next step."""
        cycle = self.spec.stage.cycle
        before_m, after_m = self.travel_m(now_s), self.travel_m(now_s + step_s)
        lean_m_s2 = 0.0
        if cycle is not None:
            change_m_s = speed_m_s(self.full_m_s, cycle, now_s + step_s) - speed_m_s(self.full_m_s, cycle, now_s)
            lean_m_s2 = -change_m_s / step_s
            lean(scene, lean_m_s2)
        for body, wall in zip(scene.standing, standing(self.spec), strict=True):
            x, y, z = wall.world_from_body.position_m
            against = -(after_m - before_m) / step_s - lean_m_s2 * step_s  # less what gravity adds in the step
            pose = replace(wall.world_from_body, position_m=(x - before_m, y, z))
            put(scene, body, pose, (against, 0.0, GRAVITY_M_S2 * step_s))
        self._feed(scene, now_s, step_s)

    def _feed(self, scene: World, now_s: float, step_s: float) -> None:
        """Hold the parts whose time has not come, and let go of those whose time comes."""
        for number, (body, part) in enumerate(zip(scene.parts, self.spec.solids, strict=True)):
            if part.start_s is None or part.start_s < now_s - step_s / 2:
                continue
            x, y, z = part.world_from_part.position_m
            if part.start_s >= now_s + step_s / 2:
                put(scene, body, replace(part.world_from_part, position_m=(float(number), 0.0, HELD_M)))
                continue
            along, across, up = part.velocity_m_s or (0.0, 0.0, 0.0)
            along -= speed_m_s(self.full_m_s, self.spec.stage.cycle, now_s)
            start = replace(part.world_from_part, position_m=(x - self.travel_m(now_s), y, z))
            put(scene, body, start, (along, across, up))
