"""What can be wrong with parts that have fallen: such a scene is drawn again, never written.

The bounds lie beyond what sound scenes show: in 23 scenes of `tiny`, `conveyor` and `bolts_on_table` the deepest
contact was 0.8 mm and the fastest part had 0.19 m/s; `simgen.scene.simulate` tells of 1.9 mm in piles. In 20 scenes of
`bin` (1,930 parts) 17 are sound: 1.0 mm at the deepest, which is 46 % of the thinner part, at most 0.05 m/s, no part
nearer to a wall than 0.8 mm. In three a washer sticks in a nut, 3.7 to 5.5 mm deep: 1.5 to 1.8 times its thickness.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Float64

from simgen.assets.parts import part_model
from simgen.scene.bullet import Contact
from simgen.scene.kinds import scene_kind
from simgen.spec.scene import SceneSpec

DEEP_SHARE = 0.5  # of the thinner part's thickness: how deep two bodies may stick in each other
LEAST_DEEP_M = 0.003  # but this deep at least
FALLING_DEEP_M = 0.01  # while they may still fall: thin washers that hit each other show 3.5 mm for a moment
FAST_M_S = 0.5  # a part that is faster at the first frame has not come to rest
REST_S = 0.5  # with less time than this before the first frame none need to have come to rest
BELOW_M = 0.002  # how far a part's centre may lie below the work surface; thin washers sink in by nearly a millimetre
OUTSIDE_M = 0.01  # how far a part may reach out of a stage that has walls


def first_fault(
    spec: SceneSpec,
    contacts: Sequence[Contact],
    positions_m: Float64[np.ndarray, "p 3"],
    rotations_xyzw: Float32[np.ndarray, "p 4"],
    velocities_m_s: Float64[np.ndarray, "p 3"],
    *,
    come_to_rest: bool = True,
) -> str:
    """What is wrong with the parts at the first frame, in words; empty where nothing is.

    Where something pushes them all the time they need not have come to rest.
    """
    found = _outside(spec, positions_m, rotations_xyzw) or _stuck(spec, contacts)
    return found or (_restless(spec, velocities_m_s) if come_to_rest else "")


def _outside(
    spec: SceneSpec, positions_m: Float64[np.ndarray, "p 3"], rotations_xyzw: Float32[np.ndarray, "p 4"]
) -> str:
    """Parts through the work surface, or beyond the walls that keep them on it."""
    for i, (position_m, turn) in enumerate(zip(positions_m, rotations_xyzw, strict=True)):
        if (spec.solids[i].start_s or 0.0) > spec.settle_s:
            continue  # its feeder still holds it
        if not (np.isfinite(position_m).all() and np.isfinite(turn).all()):
            return f"{_name(spec, i)} is nowhere"
        if position_m[2] < -BELOW_M:
            return f"{_name(spec, i)} fell through the work surface, to {1000 * position_m[2]:.1f} mm"
        if scene_kind(spec.stage).surface_speed_m_s(spec.stage):
            continue  # a belt has open ends
        beyond_m = float((np.abs(position_m[:2]) - np.asarray(spec.stage.size_m) / 2).max())
        if beyond_m > OUTSIDE_M:
            return f"{_name(spec, i)} lies {1000 * beyond_m:.0f} mm beyond the edge of the stage"
    return ""


def _stuck(spec: SceneSpec, contacts: Sequence[Contact]) -> str:
    """Two parts, or a part and what is solid round it, that stick in each other."""
    for contact in sorted(contacts, key=lambda one: -one.depth_m):
        if contact.depth_m < (LEAST_DEEP_M if spec.settle_s >= REST_S else FALLING_DEEP_M):
            return ""
        pair = [contact.part] if contact.other is None else [contact.part, contact.other]
        thickness_m = min(float(np.ptp(part_model(spec.solids[i].source).corners_m, axis=0).min()) for i in pair)
        if contact.depth_m > DEEP_SHARE * thickness_m:
            names = " and ".join(_name(spec, i) for i in sorted(pair))
            what = "in each other" if len(pair) == 2 else "in the stage"
            return f"{names} stick {1000 * contact.depth_m:.1f} mm {what}"
    return ""


def _restless(spec: SceneSpec, velocities_m_s: Float64[np.ndarray, "p 3"]) -> str:
    if spec.settle_s < REST_S or not len(velocities_m_s):
        return ""
    speeds = np.linalg.norm(velocities_m_s, axis=1)
    i = int(speeds.argmax())
    return f"{_name(spec, i)} still moves at {speeds[i]:.2f} m/s" if speeds[i] > FAST_M_S else ""


def _name(spec: SceneSpec, i: int) -> str:
    return f"part {i} ({spec.solids[i].category})"
