"""Let the parts of a scene fall and lie, or ride on its belt. Where they are at each frame, and nothing else.

PyBullet knows no surface velocity, so a belt is simulated in its own frame (Galileo): there the belt rests, parts
that are let go at rest start with minus its velocity, and what rests on it rides without slipping or sinking.
"""

from __future__ import annotations

import math

import numpy as np
import pybullet as p
from jaxtyping import Float32, Float64

from simgen.bullet import SCALE, World, world
from simgen.types import SceneSpec, Trajectory

STEP_S = 1 / 240
CHECK_EVERY = 8  # steps between two looks at whether all parts rest
CHECKS_TO_REST = 4  # looks in a row at which they must
REST_M_S = 0.004
REST_RAD_S = 0.15


def simulate(spec: SceneSpec) -> Trajectory:
    """The parts' poses at each frame; the first frame is `settle_s` after they were let go.

    A belt runs from the moment they are let go. Occluders move from the first frame on.
    """
    count = len(spec.parts)
    positions = np.zeros((spec.frames, count, 3), np.float32)
    rotations = np.zeros((spec.frames, count, 4), np.float32)
    with world(spec, collide=True) as scene:
        for body in scene.parts:
            p.resetBaseVelocity(body, [-spec.stage.belt_speed_m_s * SCALE, 0, 0], physicsClientId=scene.client)
        rests = _advance(scene, spec.settle_s, rests=False)
        for frame in range(spec.frames):
            if frame:
                rests = _advance(scene, spec.frame_interval_s, rests)
            positions[frame], rotations[frame] = _poses(scene)
            since_release_s = spec.settle_s + frame * spec.frame_interval_s
            positions[frame, :, 0] += np.float32(spec.stage.belt_speed_m_s * since_release_s)
    return Trajectory(positions, rotations, _occluders(spec))


def _advance(scene: World, seconds: float, rests: bool) -> bool:
    """Step on, unless all parts rest already; whether they do at the end."""
    steps = math.ceil(seconds / STEP_S - 1e-9)
    if rests or not steps:
        return rests
    p.setTimeStep(seconds / steps, physicsClientId=scene.client)
    checks = 0
    for step in range(1, steps + 1):
        p.stepSimulation(physicsClientId=scene.client)
        if step % CHECK_EVERY == 0:
            checks = checks + 1 if _slow(scene) else 0
            if checks == CHECKS_TO_REST:
                return True
    return False


def _slow(scene: World) -> bool:
    for body in scene.parts:
        velocity, spin = p.getBaseVelocity(body, physicsClientId=scene.client)
        if math.hypot(*velocity) > REST_M_S * SCALE or math.hypot(*spin) > REST_RAD_S:
            return False
    return True


def _poses(scene: World) -> tuple[Float64[np.ndarray, "p 3"], Float64[np.ndarray, "p 4"]]:
    poses = [p.getBasePositionAndOrientation(body, physicsClientId=scene.client) for body in scene.parts]
    positions = np.array([position for position, _ in poses], float).reshape(-1, 3)
    return positions / SCALE, np.array([rotation for _, rotation in poses], float).reshape(-1, 4)


def _occluders(spec: SceneSpec) -> Float32[np.ndarray, "t o 3"]:
    start = np.array([body.world_from_body.position_m for body in spec.occluders], float).reshape(-1, 3)
    velocity = np.array([body.velocity_m_s for body in spec.occluders], float).reshape(-1, 3)
    times = np.arange(spec.frames) * spec.frame_interval_s
    path: Float64[np.ndarray, "t o 3"] = start + times[:, None, None] * velocity
    return path.astype(np.float32)
