"""Drop one part many times on a plate, to see how it comes to rest."""

from __future__ import annotations

import math

import numpy as np
import pybullet as p
from jaxtyping import Float64

from simgen.assets.cad.packed import PackedPart
from simgen.assets.parts.mesh import Hull
from simgen.scene.bullet import GRAVITY_M_S2, SCALE, hulls_shape, set_physics
from simgen.spec.geometry import rotation_matrix

DROPS = 200
FRICTION = 0.4  # steel on steel to rubber on steel: 0.15 to 0.8
DAMPING = 0.3  # of the turning, as share a second: a round part would roll for ever
STEP_S = 1 / 240
STILL_COS = math.cos(math.radians(1.0))  # between two looks LOOK_S apart
LOOK_S = 0.25
FALLS = 40  # times that a part takes to fall its own radius; after them a drop counts as not at rest


def drops_up(part: PackedPart, drops: int = DROPS, seed: int = 0) -> Float64[np.ndarray, "n 3"]:
    """The plate's normal in the part's frame, at the end of each drop that came to rest.

    Each drop starts in a direction that is drawn evenly (Shoemake 1992), with its lowest point one radius above the
    plate, without speed. The drops do not touch each other.
    """
    client = p.connect(p.DIRECT)
    try:
        bodies, radius_m = _start(client, part, drops, seed)
        most_s = 1.0 + FALLS * math.sqrt(2 * radius_m / GRAVITY_M_S2)
        before, age_s = _ups(client, bodies), 0.0
        while True:
            for _ in range(round(LOOK_S / STEP_S)):
                p.stepSimulation(physicsClientId=client)
            now, age_s = _ups(client, bodies), age_s + LOOK_S
            still = np.sum(before * now, axis=1) > STILL_COS
            if (still.all() and age_s > 4 * math.sqrt(2 * radius_m / GRAVITY_M_S2)) or age_s > most_s:
                return np.asarray(now[still])
            before = now
    finally:
        p.disconnect(client)


def _start(client: int, part: PackedPart, drops: int, seed: int) -> tuple[list[int], float]:
    """The plate, and the parts above it in a square of columns and rows."""
    set_physics(client)
    p.setTimeStep(STEP_S, physicsClientId=client)
    radius_m = float(np.linalg.norm(part.vertices_m, axis=1).max())
    across, apart_m = math.ceil(math.sqrt(drops)), 6 * radius_m
    half = [SCALE * across * apart_m, SCALE * across * apart_m, SCALE * radius_m]
    plate = p.createCollisionShape(p.GEOM_BOX, halfExtents=half, physicsClientId=client)
    plate = p.createMultiBody(0, plate, -1, [0, 0, -half[2]], useMaximalCoordinates=True, physicsClientId=client)
    p.changeDynamics(plate, -1, lateralFriction=FRICTION, physicsClientId=client)
    shape = hulls_shape(client, [Hull(points) for points in part.hulls_m])
    # without one Bullet looks for the file of the hulls, which is gone, and complains at each body
    unseen = p.createVisualShape(p.GEOM_BOX, halfExtents=[SCALE * radius_m / 100] * 3, physicsClientId=client)
    bodies = []
    for k, rotation in enumerate(_rotations(drops, seed)):
        lowest_m = float((part.vertices_m.astype(np.float64) @ rotation_matrix(rotation)[2]).min())
        place = np.array([k % across - across / 2, k // across - across / 2, 0.0]) * apart_m
        place[2] = radius_m - lowest_m
        bodies.append(_body(client, part, shape, unseen, place, rotation))
    return bodies, radius_m


def _body(
    client: int, part: PackedPart, shape: int, visual: int, place_m: Float64[np.ndarray, " 3"],
    rotation: Float64[np.ndarray, " 4"],
) -> int:  # fmt: skip
    body = p.createMultiBody(
        1.0,
        shape,
        visual,
        (place_m * SCALE).tolist(),
        rotation.tolist(),
        useMaximalCoordinates=True,
        physicsClientId=client,
    )
    p.changeDynamics(
        body,
        -1,
        mass=1.0,
        localInertiaDiagonal=[moment * SCALE**2 for moment in part.inertia_m2],
        lateralFriction=FRICTION,
        linearDamping=0.0,
        angularDamping=DAMPING,
        physicsClientId=client,
    )
    return int(body)


def _rotations(count: int, seed: int) -> Float64[np.ndarray, "n 4"]:
    """Quaternions xyzw, spread evenly over all rotations."""
    normal = np.random.default_rng(seed).normal(size=(count, 4))
    rotations: Float64[np.ndarray, "n 4"] = normal / np.linalg.norm(normal, axis=1, keepdims=True)
    return rotations


def _ups(client: int, bodies: list[int]) -> Float64[np.ndarray, "n 3"]:
    """The world's z in the frame of each body."""
    poses = [p.getBasePositionAndOrientation(body, physicsClientId=client)[1] for body in bodies]
    return np.array([rotation_matrix(rotation)[2] for rotation in poses])
