"""A PyBullet world that holds one scene.

Only this module, `simgen.scene.simulate` and `simgen.renderers.tiny.renderer` import pybullet.

There are two sorts of world. A world to draw has meshes in metres, and nothing collides in it. A world to simulate has
collision shapes only, `SCALE` times as large as the real ones: standing parts then rest 0.0005 mm from where they
should, in metres 0.011 mm. Piles jitter and penetrate about as much in both (measured, PyBullet 3.2.7).
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pybullet as p
from jaxtyping import Float64

from simgen.assets.parts import Drawn, Hull, PartModel, Primitive, drawn, part_model
from simgen.camera.detail import most_px_per_m
from simgen.scene.kinds import SolidBox, scene_kind
from simgen.scene.kinds.model import DEPTH_M
from simgen.spec.scene import BodySpec, PartSource, PartSpec, SceneSpec
from simgen.spec.types import Pose, Vec3

SCALE = 50.0  # units of Bullet's length in a metre, in a world to simulate
GRAVITY_M_S2 = 9.81
SOLVER_ITERATIONS = 20
HEAVY_KG = 1e5  # of a body that moves against the belt
PARTS_GROUP, STATIC_GROUP = 1, 2  # Bullet's default groups of what moves and of what does not
WHITE = (1.0, 1.0, 1.0, 1.0)
_Shapes = tuple[int, int]  # to collide, and to be drawn
_FREE: list[int] = []  # clients of this process that are connected and empty


@dataclass(frozen=True)
class World:
    """A client, and the ids of the bodies in it, in the order of the spec.

    A world to draw has no stage and no floor: a renderer draws these planes faster than TinyRenderer does.
    """

    client: int
    parts: tuple[int, ...]  # and decoys: the spec's `solids`
    fixtures: tuple[int, ...] = ()
    occluders: tuple[int, ...] = ()
    standing: tuple[int, ...] = ()  # in a world to simulate: what moves against the belt, the spec's `standing`


@contextmanager
def world(spec: SceneSpec, *, collide: bool) -> Iterator[World]:
    """The scene at its start, to simulate (`collide`) or to draw. It is removed on exit.

    After a scene without an error the client is emptied and used again, since a new client takes 7 ms.

    Raises:
        KeyError: a part's source or the scene's kind does not exist.
        ValueError: a body has a shape that does not exist.
    """
    client = _FREE.pop() if _FREE else p.connect(p.DIRECT)
    try:
        yield _solid(client, spec) if collide else _drawn(client, spec)
        p.resetSimulation(physicsClientId=client)
    except BaseException:
        p.disconnect(client)
        raise
    _FREE.append(client)


@dataclass(frozen=True)
class Contact:
    """Two bodies that touch, as indices of parts; None is what is solid around them."""

    part: int
    other: int | None
    depth_m: float  # how deep they stick in each other; below 0 there is a gap


def contacts(scene: World) -> list[Contact]:
    """All contacts of parts in a world to simulate."""
    index = {body: i for i, body in enumerate(scene.parts)}
    found = p.getContactPoints(physicsClientId=scene.client)
    rows = [(index.get(row[1]), index.get(row[2]), -row[8] / SCALE) for row in found]
    return [Contact(b, None, d) if a is None else Contact(a, b, d) for a, b, d in rows]  # type: ignore[arg-type]


def velocities_m_s(scene: World) -> Float64[np.ndarray, "p 3"]:
    """The velocities of the parts in a world to simulate."""
    found = [p.getBaseVelocity(body, physicsClientId=scene.client)[0] for body in scene.parts]
    return np.array(found, np.float64).reshape(-1, 3) / SCALE


def put(scene: World, body: int, pose: Pose, velocity_m_s: Vec3 = (0.0, 0.0, 0.0)) -> None:
    """Set a body of a world to simulate to a pose and a velocity; it does not turn."""
    at, velocity = [x * SCALE for x in pose.position_m], [v * SCALE for v in velocity_m_s]
    p.resetBasePositionAndOrientation(body, at, pose.rotation_xyzw, physicsClientId=scene.client)
    p.resetBaseVelocity(body, velocity, (0.0, 0.0, 0.0), physicsClientId=scene.client)


def lean(scene: World, along_m_s2: float) -> None:
    """Give all that falls an acceleration along x too, as in a frame that brakes."""
    p.setGravity(along_m_s2 * SCALE, 0, -GRAVITY_M_S2 * SCALE, physicsClientId=scene.client)


def _drawn(client: int, spec: SceneSpec) -> World:
    shapes: dict[Drawn, int] = {}
    parts, px_per_m = [], most_px_per_m(spec.camera)
    for part in spec.solids:
        mesh = drawn(part.source, px_per_m)
        if mesh not in shapes:
            shapes[mesh] = _mesh_shape(client, mesh)
        pose = part.world_from_part
        parts.append(_body(client, pose.position_m, pose.rotation_xyzw, shapes[mesh]))
    return World(
        client,
        tuple(parts),
        tuple(_drawn_body(client, body) for body in spec.fixtures),
        tuple(_drawn_body(client, body) for body in spec.occluders),
    )


def _mesh_shape(client: int, mesh: Drawn) -> int:
    size = {} if mesh.scale == 1.0 else {"meshScale": [mesh.scale] * 3}
    lists = _mesh_lists(replace(mesh, scale=1.0))
    return int(p.createVisualShape(p.GEOM_MESH, **lists, **size, rgbaColor=WHITE, physicsClientId=client))


@lru_cache(maxsize=256)
def _mesh_lists(mesh: Drawn) -> dict[str, list[Any]]:
    """A part's mesh as createVisualShape takes it, as large as in its file."""
    model = mesh.model
    return {
        "vertices": model.vertices_m.tolist(),
        "indices": model.triangles.ravel().tolist(),
        "normals": model.normals.tolist(),
    }


def _body(client: int, position: tuple[float, ...], rotation: tuple[float, ...], visual: int) -> int:
    return int(p.createMultiBody(0, -1, visual, position, rotation, physicsClientId=client))


def _box_shape(client: int, size: tuple[float, ...]) -> int:
    half = [extent / 2 for extent in size]
    return int(p.createVisualShape(p.GEOM_BOX, halfExtents=half, rgbaColor=WHITE, physicsClientId=client))


def _drawn_body(client: int, body: BodySpec) -> int:
    if body.shape == "box":
        shape = _box_shape(client, body.size_m)
    elif body.shape == "cylinder":
        radius, length = body.size_m[0] / 2, body.size_m[2]
        shape = p.createVisualShape(
            p.GEOM_CYLINDER, radius=radius, length=length, rgbaColor=WHITE, physicsClientId=client
        )
    else:
        raise ValueError(f"no body of shape {body.shape!r}; there are box and cylinder")
    return _body(client, body.world_from_body.position_m, body.world_from_body.rotation_xyzw, int(shape))


def set_physics(client: int) -> None:
    """Gravity and the solver of a world to simulate."""
    p.setGravity(0, 0, -GRAVITY_M_S2 * SCALE, physicsClientId=client)
    p.setPhysicsEngineParameter(
        deterministicOverlappingPairs=1,
        numSolverIterations=SOLVER_ITERATIONS,
        contactBreakingThreshold=0.01,  # 0.02 units by default: 0.4 mm, more than the thinnest washer
        contactERP=0.1,  # at 0.4 more parts in piles jittered, 41 of 240 for 25 (steps of 1/240 s)
        enableFileCaching=0,  # it goes by the file's name alone
        physicsClientId=client,
    )


def _solid(client: int, spec: SceneSpec) -> World:
    set_physics(client)
    for box in scene_kind(spec.stage).solid(spec.stage):
        _solid_box(client, box)
    moving = standing(spec)
    at_rest = [wall for wall in spec.walls or () if wall.friction is not None and wall not in moving]
    for body in [*at_rest, *_cleats(spec)]:
        _solid_body(client, body, mass_kg=0.0)
    hulls: dict[PartSource, _Shapes] = {}  # which parts of one source share
    parts = tuple(_solid_part(client, part, hulls) for part in spec.solids)
    return World(client, parts, standing=tuple(_heavy(client, wall) for wall in moving))


def standing(spec: SceneSpec) -> tuple[BodySpec, ...]:
    """The solid bodies that stand in the world while the work surface moves below them."""
    moves = scene_kind(spec.stage).surface_speed_m_s(spec.stage) != 0
    return tuple(wall for wall in spec.walls or () if wall.friction is not None and moves)


def _cleats(spec: SceneSpec) -> list[BodySpec]:
    """What is fixed to the belt, which comes again after each of its lengths: as far as parts may be."""
    length_m, found = spec.stage.size_m[0], []
    reach_m = length_m / 2 + DEPTH_M
    for body in spec.occluders:
        x, y, z = body.world_from_body.position_m
        rounds = range(math.ceil((-reach_m - x) / length_m), math.floor((reach_m - x) / length_m) + 1)
        if body.rides and body.friction is not None:
            ats = [(x + turn * length_m, y, z) for turn in rounds]
            found += [replace(body, world_from_body=replace(body.world_from_body, position_m=at)) for at in ats]
    return found


def _solid_box(client: int, box: SolidBox) -> None:
    half = [x * SCALE for x in box.half_m]
    shape = p.createCollisionShape(p.GEOM_BOX, halfExtents=half, physicsClientId=client)
    centre = [x * SCALE for x in box.centre_m]
    body = p.createMultiBody(0, shape, -1, centre, useMaximalCoordinates=True, physicsClientId=client)
    p.changeDynamics(body, -1, lateralFriction=box.friction, physicsClientId=client)


def _solid_body(client: int, body: BodySpec, mass_kg: float) -> int:
    """A box of the scene that parts collide with."""
    half, at = [x * SCALE / 2 for x in body.size_m], [x * SCALE for x in body.world_from_body.position_m]
    shape = p.createCollisionShape(p.GEOM_BOX, halfExtents=half, physicsClientId=client)
    turn = body.world_from_body.rotation_xyzw
    made = p.createMultiBody(mass_kg, shape, -1, at, turn, useMaximalCoordinates=True, physicsClientId=client)
    p.changeDynamics(made, -1, lateralFriction=body.friction, physicsClientId=client)
    return int(made)


def _heavy(client: int, body: BodySpec) -> int:
    """A body that parts cannot push, and that passes through all that stands still. Who moves it sets its pose."""
    made = _solid_body(client, body, mass_kg=HEAVY_KG)
    p.setCollisionFilterGroupMask(made, -1, STATIC_GROUP, PARTS_GROUP, physicsClientId=client)
    return made


def _solid_part(client: int, part: PartSpec, hulls: dict[PartSource, _Shapes]) -> int:
    model = part_model(part.source)
    collision, visual = _shapes(client, part.source, model, hulls)
    body = p.createMultiBody(
        part.mass_kg,
        collision,
        visual,
        [x * SCALE for x in part.world_from_part.position_m],
        part.world_from_part.rotation_xyzw,
        useMaximalCoordinates=True,
        physicsClientId=client,
    )
    p.changeDynamics(
        body,
        -1,
        mass=part.mass_kg,  # with maximal coordinates an inertia set without its mass makes the velocity nan
        localInertiaDiagonal=[part.mass_kg * moment * SCALE**2 for moment in model.inertia_m2],
        lateralFriction=part.friction,
        linearDamping=0.0,
        angularDamping=0.0,
        physicsClientId=client,
    )
    return int(body)


def _shapes(client: int, source: PartSource, model: PartModel, hulls: dict[PartSource, _Shapes]) -> _Shapes:
    """The collision shape of a part, and what it looks like in a world that is not drawn: nothing."""
    primitives = [piece for piece in model.collision if isinstance(piece, Primitive)]
    if primitives:
        return _compound(client, primitives), -1
    if source not in hulls:  # without a shape of its own to be drawn PyBullet would read the hulls' file once more
        shape = hulls_shape(client, [piece for piece in model.collision if isinstance(piece, Hull)])
        hulls[source] = shape, _box_shape(client, (1.0, 1.0, 1.0))
    return hulls[source]


def hulls_shape(client: int, hulls: list[Hull]) -> int:
    """A compound of convex hulls. PyBullet takes more than one from a file alone: each group of an OBJ file is one."""
    file, path = tempfile.mkstemp(suffix=".obj", prefix="simgen-")
    try:
        with os.fdopen(file, "w", encoding="ascii") as obj:
            obj.write(_obj(hulls))
        return int(p.createCollisionShape(p.GEOM_MESH, fileName=path, meshScale=[SCALE] * 3, physicsClientId=client))
    finally:
        os.unlink(path)


def _obj(hulls: list[Hull]) -> str:
    """Hulls as groups of an OBJ file. Bullet takes the points that faces name, and makes the hull itself."""
    lines, count = [], 0
    for number, hull in enumerate(hulls):
        points = hull.points_m
        lines.append(f"o {number}")
        lines += [f"v {x:.9g} {y:.9g} {z:.9g}" for x, y, z in points]
        lines += [f"f {count + i + 1} {count + i + 2} {count + i + 3}" for i in range(len(points) - 2)]
        count += len(points)
    return "\n".join(lines) + "\n"


def _compound(client: int, pieces: list[Primitive]) -> int:
    types = {"box": p.GEOM_BOX, "cylinder": p.GEOM_CYLINDER}
    half_turns = [piece.yaw_rad / 2 for piece in pieces]
    return int(
        p.createCollisionShapeArray(
            shapeTypes=[types[piece.shape] for piece in pieces],
            halfExtents=[[x * SCALE / 2 for x in piece.size_m] for piece in pieces],
            radii=[piece.size_m[0] * SCALE / 2 for piece in pieces],
            lengths=[piece.size_m[2] * SCALE for piece in pieces],
            collisionFramePositions=[[x * SCALE for x in piece.position_m] for piece in pieces],
            collisionFrameOrientations=[[0.0, 0.0, math.sin(half), math.cos(half)] for half in half_turns],
            physicsClientId=client,
        )
    )
