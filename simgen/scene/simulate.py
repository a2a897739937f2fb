"""Let the parts of a scene fall and lie, or ride on its belt. Where they are at each frame, and nothing else.

PyBullet knows no surface velocity, so a belt is simulated in its own frame (Galileo), where it is a table: what rests
there rides on the belt without slipping or sinking, and to the last bit at the belt's speed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pybullet as p
from jaxtyping import Float32, Float64

from simgen.camera.shutter import moments_s
from simgen.scene.bullet import SCALE, World, world
from simgen.spec.frames import Trajectory
from simgen.spec.scene import SceneSpec

# Deepest a part sank into the table: in 8 scenes of 282 parts 2.9 mm at 1/240 s, 4.3 at 1/360, 0.8 at 1/480;
# in 8 others, of 271 parts, 1.9 mm at 1/480. Few sink: 1 % by more than 0.3 mm.
STEP_S = 1 / 480
LOOK_S = 0.125  # between two looks at the parts; they all rest when in that time
STILL_M = 0.0002  # none has moved further than this,
STILL_COS = math.cos(0.01)  # nor turned further than twice this angle: cosine of half the angle that each turned

_Poses = tuple[Float64[np.ndarray, "p 3"], Float64[np.ndarray, "p 4"]]  # positions in metres, quaternions xyzw


def simulate(spec: SceneSpec) -> Trajectory:
    """The parts' poses at each frame, or at each moment of the frames' exposures (`shutter.moments_s`).

    The first frame is `settle_s` after the parts were let go. Parts on a belt ride from then on; it has no end.
    Once all parts rest, they rest for good. Occluders move evenly, from where the spec has them in the first frame.
    """
    times_s = moments_s(spec)
    at_s = np.arange(spec.frames) * spec.frame_interval_s if times_s is None else times_s
    count = len(spec.parts)
    positions = np.zeros((len(at_s), count, 3), np.float32)
    rotations = np.zeros((len(at_s), count, 4), np.float32)
    with world(spec, collide=True) as scene:
        look: _Look | None = _Look(_poses(scene), age_s=0.0)
        for i, seconds in enumerate(_between(spec, times_s)):
            if look:
                look = _advance(scene, seconds, look)
            positions_m, rotations[i] = _poses(scene)
            ridden_m = spec.stage.belt_speed_m_s * (spec.settle_s + float(at_s[i]))
            positions[i] = positions_m + np.array([ridden_m, 0.0, 0.0])
    return Trajectory(positions, rotations, _occluders(spec, at_s), times_s)


def _between(spec: SceneSpec, times_s: Float64[np.ndarray, " t"] | None) -> list[float]:
    """From letting go to the first moment, and from each moment to the next; what is before letting go is then."""
    if times_s is None:
        return [spec.settle_s, *[spec.frame_interval_s] * (spec.frames - 1)]
    since = np.maximum(times_s + spec.settle_s, 0.0)
    return [float(seconds) for seconds in np.diff(since, prepend=0.0)]


@dataclass(frozen=True)
class _Look:
    poses: _Poses
    age_s: float


def _advance(scene: World, seconds: float, look: _Look) -> _Look | None:
    """Step on; the last look at the parts then, or None as soon as they all rest."""
    steps = math.ceil(seconds / STEP_S - 1e-9)
    if steps:
        p.setTimeStep(seconds / steps, physicsClientId=scene.client)
    for _ in range(steps):
        p.stepSimulation(physicsClientId=scene.client)
        look = _Look(look.poses, look.age_s + seconds / steps)
        if look.age_s >= LOOK_S:
            now = _poses(scene)
            if _still(look.poses, now):
                return None
            look = _Look(now, age_s=0.0)
    return look


def _still(before: _Poses, now: _Poses) -> bool:
    moved = np.linalg.norm(now[0] - before[0], axis=1)
    turned_cos = np.abs(np.sum(now[1] * before[1], axis=1))
    return bool((moved < STILL_M).all() and (turned_cos > STILL_COS).all())


def _poses(scene: World) -> _Poses:
    poses = [p.getBasePositionAndOrientation(body, physicsClientId=scene.client) for body in scene.parts]
    positions = np.array([position for position, _ in poses], float).reshape(-1, 3)
    return positions / SCALE, np.array([rotation for _, rotation in poses], float).reshape(-1, 4)


def _occluders(spec: SceneSpec, times: Float64[np.ndarray, " t"]) -> Float32[np.ndarray, "t o 3"]:
    start = np.array([body.world_from_body.position_m for body in spec.occluders], float).reshape(-1, 3)
    velocity = np.array([body.velocity_m_s for body in spec.occluders], float).reshape(-1, 3)
    path: Float64[np.ndarray, "t o 3"] = start + times[:, None, None] * velocity
    return path.astype(np.float32)
