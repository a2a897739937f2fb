"""Simulate the parts of a scene: they fall, come to rest, and ride on a belt where there is one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pybullet as p
from jaxtyping import Float32, Float64

from simgen.camera.shutter import moments_s
from simgen.scene.bullet import SCALE, World, contacts, velocities_m_s, world
from simgen.scene.drive import NOWHERE_M, Drive
from simgen.scene.faults import first_fault
from simgen.spec.frames import Trajectory
from simgen.spec.scene import SceneSpec

# Deepest a part sank into the table: in 8 scenes of 282 parts 2.9 mm at 1/240 s, 4.3 at 1/360, 0.8 at 1/480;
# in 8 others, of 271 parts, 1.9 mm at 1/480. Few sink: 1 % by more than 0.3 mm.
STEP_S = 1 / 480
REST_CHECK_S = 0.125  # between two checks for rest: all parts rest if in that time
STILL_M = 0.0002  # none has moved further than this,
STILL_COS = math.cos(0.01)  # and none has turned by more than twice this angle: cosine of half the angle

_Poses = tuple[Float64[np.ndarray, "p 3"], Float64[np.ndarray, "p 4"]]  # positions in metres, quaternions xyzw


def simulate(spec: SceneSpec) -> Trajectory:
    """The parts' poses at each frame, or at each moment of the frames' exposures (`shutter.moments_s`).

    The first frame is `settle_s` after the parts start to fall. Parts on a belt ride from that start on, and the belt
    has no end. Once all parts rest, they rest for good, unless something moves against the belt (`simgen.scene.drive`).
    Occluders move at a constant velocity, and the spec has their poses of the first frame; what rides on the belt has
    its pose of the start, and comes again at the stage's other end.

    >>> spec = sample(load_config("tiny"), seed=7, index=41)
    >>> simulate(spec).positions_m.shape  # frames, parts, xyz
    (2, 4, 3)
    """
    return simulate_checked(spec)[0]


def simulate_checked(spec: SceneSpec) -> tuple[Trajectory, str]:
    """As `simulate`, and what is wrong with the parts at the first frame (`simgen.scene.faults`); empty: nothing."""
    fault, drive = "", Drive(spec)
    times_s = moments_s(spec)
    at_s = np.asarray(spec.times_s) if times_s is None else times_s
    count = len(spec.solids)
    positions = np.zeros((len(at_s), count, 3), np.float32)
    rotations = np.zeros((len(at_s), count, 4), np.float32)
    with world(spec, collide=True) as scene:
        last: _Check | None = _Check(_poses(scene), age_s=0.0)
        now_s = 0.0
        for i, seconds in enumerate(_between(spec, times_s)):
            if not drive.is_even:
                now_s = _drive_on(scene, drive, now_s, seconds)
            elif last:
                last = _advance(scene, seconds, last)
            positions_m, rotations[i] = _poses(scene)
            if i == 0:
                found = spec, contacts(scene), positions_m, rotations[i], velocities_m_s(scene)
                fault = first_fault(*found, come_to_rest=drive.is_even)
            since_s = spec.settle_s + float(at_s[i])
            positions[i] = positions_m + np.array([drive.travel_m(since_s), 0.0, 0.0])
            _hide_held(spec, since_s, positions[i])
    even = times_s is None and spec.frame_times_s is None and spec.stage.cycle is None
    shifts_m = _shifts(spec, drive.full_m_s) if even else drive.shifts_m(at_s)
    return Trajectory(positions, rotations, _occluders(spec, drive, at_s), times_s, shifts_m), fault


def _shifts(spec: SceneSpec, speed_m_s: float) -> Float64[np.ndarray, " t"] | None:
    """As `Drive.shifts_m`, with the last bits that scenes had from the start."""
    return np.asarray(speed_m_s * spec.frame_interval_s * np.arange(spec.frames)) if speed_m_s else None


def _hide_held(spec: SceneSpec, since_s: float, positions_m: Float32[np.ndarray, "p 3"]) -> None:
    """Put the parts that a feeder still holds where no camera sees them, and those of this moment at its mouth."""
    for number, part in enumerate(spec.solids):
        if part.start_s is not None and part.start_s > since_s:
            positions_m[number] = (0.0, 0.0, -spec.stage.floor_below_m - NOWHERE_M)
        elif part.start_s is not None and part.start_s > since_s - STEP_S:  # the step that lets go of it comes next
            positions_m[number] = part.world_from_part.position_m


def _between(spec: SceneSpec, times_s: Float64[np.ndarray, " t"] | None) -> list[float]:
    """Seconds from the start of the fall to the first moment, and from each moment to the next.

    A moment before the start counts as the start.
    """
    if times_s is None:
        if spec.frame_times_s is None:
            return [spec.settle_s, *[spec.frame_interval_s] * (spec.frames - 1)]
        times_s = np.asarray(spec.frame_times_s)
    since = np.maximum(times_s + spec.settle_s, 0.0)
    return [float(seconds) for seconds in np.diff(since, prepend=0.0)]


def _drive_on(scene: World, drive: Drive, now_s: float, seconds: float) -> float:
    """Simulate on with what moves by itself; nothing rests for good. Returns the time."""
    steps = math.ceil(seconds / STEP_S - 1e-9)
    step_s = seconds / steps if steps else 0.0
    if steps:
        p.setTimeStep(step_s, physicsClientId=scene.client)
    for _ in range(steps):
        drive.before_step(scene, now_s, step_s)
        p.stepSimulation(physicsClientId=scene.client)
        now_s += step_s
    return now_s


@dataclass(frozen=True)
class _Check:
    """The last check for rest: the poses then, and how long ago it was."""

    poses: _Poses
    age_s: float


def _advance(scene: World, seconds: float, last: _Check) -> _Check | None:
    """Simulate on. Returns the last check for rest, or None as soon as all parts rest."""
    steps = math.ceil(seconds / STEP_S - 1e-9)
    if steps:
        p.setTimeStep(seconds / steps, physicsClientId=scene.client)
    for _ in range(steps):
        p.stepSimulation(physicsClientId=scene.client)
        last = _Check(last.poses, last.age_s + seconds / steps)
        if last.age_s >= REST_CHECK_S:
            now = _poses(scene)
            if _still(last.poses, now):
                return None
            last = _Check(now, age_s=0.0)
    return last


def _still(before: _Poses, now: _Poses) -> bool:
    moved = np.linalg.norm(now[0] - before[0], axis=1)
    turned_cos = np.abs(np.sum(now[1] * before[1], axis=1))
    return bool((moved < STILL_M).all() and (turned_cos > STILL_COS).all())


def _poses(scene: World) -> _Poses:
    poses = [p.getBasePositionAndOrientation(body, physicsClientId=scene.client) for body in scene.parts]
    positions = np.array([position for position, _ in poses], float).reshape(-1, 3)
    return positions / SCALE, np.array([rotation for _, rotation in poses], float).reshape(-1, 4)


def _occluders(spec: SceneSpec, drive: Drive, times: Float64[np.ndarray, " t"]) -> Float32[np.ndarray, "t o 3"]:
    start = np.array([body.world_from_body.position_m for body in spec.occluders], float).reshape(-1, 3)
    velocity = np.array([body.velocity_m_s for body in spec.occluders], float).reshape(-1, 3)
    path: Float64[np.ndarray, "t o 3"] = start + times[:, None, None] * velocity
    riding = [bool(body.rides) for body in spec.occluders]
    if any(riding):
        half_m = spec.stage.size_m[0] / 2
        ridden_m = np.array([drive.travel_m(spec.settle_s + float(t)) for t in times])
        path[:, riding, 0] = (start[riding, 0] + ridden_m[:, None] + half_m) % (2 * half_m) - half_m
    return path.astype(np.float32)
