"""How far a conveyor belt has moved."""

from __future__ import annotations

from simgen.spec.frames import Trajectory
from simgen.spec.scene import SceneSpec


def belt_shift_m(spec: SceneSpec, trajectory: Trajectory, moment: int) -> float:
    """Metres along x that the belt has moved since the first frame, at a moment of the trajectory."""
    if trajectory.times_s is None:
        return spec.stage.belt_speed_m_s * spec.frame_interval_s * moment
    return spec.stage.belt_speed_m_s * float(trajectory.times_s[moment])
