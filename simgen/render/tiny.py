"""The renderer that always works: PyBullet's TinyRenderer finds what is where, `simgen.render.shading` lights it.

TinyRenderer has one light, no reflections and no anti-aliasing, so its colours are not used. What is taken of it: the
body and the depth at each sample, and the cosine of the key light on a white surface. It samples column i at x = i and
row j at y = j + 1 of its viewport, not at the pixels' centres (measured on PyBullet 3.2.7, against projected boxes and
a slanted plane); the projection here makes up for that.

`supersample` s draws s by s samples a pixel. One of them lies at the pixel's centre and gives id and depth; colour is
the mean over the pixel (for even s, samples on its border count half).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version

import cv2
import numpy as np
import pybullet as p
from jaxtyping import Float32, Int32

from simgen.bullet import World, world
from simgen.geometry import rotation_matrix
from simgen.lighting import card
from simgen.render.light_map import SIDE_TEXELS, LightBox, LightMap
from simgen.render.shading import Shader
from simgen.render.surfaces import BODY, FLOOR, NOTHING, STAGE, Geometry, Moment
from simgen.render.view import View, belt_shift_m
from simgen.types import BACKGROUND, CLUTTER, Frame, Pose, SceneSpec, Trajectory, Vec3

NEAR_M, FAR_M = 0.05, 12.0


def render(spec: SceneSpec, trajectory: Trajectory) -> Iterator[Frame]:
    """Frames of linear light at the camera's resolution."""
    if not p.isNumpyEnabled():
        raise RuntimeError(
            "this PyBullet was built without numpy, and its images come as tuples: install another build"
        )
    spec = _without_lamps(spec)
    shader, box = Shader(spec), LightBox.of(spec)
    with world(spec, collide=False) as bodies:
        codes = _codes(bodies)
        for frame in range(spec.frames):
            moment = _moment(spec, trajectory, frame)
            place(bodies, trajectory, frame)
            geometry = _draw(spec, bodies.client, spec.camera.world_from_camera[frame], moment.view, codes)
            light_map = LightMap(box, _draw_light_map(spec, bodies.client, box, codes))
            yield _resolve(shader.shade(geometry, light_map, moment), geometry, spec.render.supersample)


def _without_lamps(spec: SceneSpec) -> SceneSpec:
    """Lamps as so much more light from everywhere: there is one light here."""
    if not spec.light.lamps:
        return spec
    light = spec.light
    lamps = card(light) - np.asarray(light.key_rgb) * light.direction[2]
    return replace(
        spec, light=replace(light, ambient_rgb=(float(lamps[0]), float(lamps[1]), float(lamps[2])), lamps=None)
    )


def describe() -> str:
    """The version of PyBullet, which holds TinyRenderer."""
    return f"PyBullet {version('pybullet')}"


def _codes(bodies: World) -> np.ndarray:
    """Body id to surface code; the last entry is hit by id -1, where there is nothing."""
    others = [*bodies.clutter, *bodies.occluders]
    codes = np.full(max([bodies.stage, *bodies.parts, *others]) + 2, NOTHING, np.int32)
    codes[bodies.stage] = STAGE
    codes[list(bodies.parts)] = np.arange(len(bodies.parts))
    codes[others] = BODY - np.arange(len(others))
    return codes


def _moment(spec: SceneSpec, trajectory: Trajectory, frame: int) -> Moment:
    rotations = [rotation_matrix(rotation) for rotation in trajectory.rotations_xyzw[frame]]
    return Moment(
        view=View.of(spec, spec.camera.world_from_camera[frame]),
        positions_m=trajectory.positions_m[frame],
        rotations=np.array(rotations, np.float32).reshape(-1, 3, 3),
        occluder_positions_m=trajectory.occluder_positions_m[frame],
        belt_shift_m=belt_shift_m(spec, trajectory, frame),
    )


def place(bodies: World, trajectory: Trajectory, frame: int) -> None:
    client = bodies.client
    poses = zip(bodies.parts, trajectory.positions_m[frame], trajectory.rotations_xyzw[frame], strict=True)
    for body, position, rotation in poses:
        p.resetBasePositionAndOrientation(body, position, rotation, physicsClientId=client)
    for body, position in zip(bodies.occluders, trajectory.occluder_positions_m[frame], strict=True):
        _, rotation = p.getBasePositionAndOrientation(body, physicsClientId=client)
        p.resetBasePositionAndOrientation(body, position, rotation, physicsClientId=client)


def _draw(spec: SceneSpec, client: int, camera: Pose, view: View, codes: np.ndarray) -> Geometry:
    shape = view.height, view.width
    matrices = view_matrix(camera), projection_matrix(view)
    _, _, rgba, buffer, bodies = p.getCameraImage(
        view.width, view.height, *matrices, **light(spec.light.direction), physicsClientId=client
    )
    depth = np.asarray(buffer, np.float32).reshape(shape)
    surface = codes[np.asarray(bodies, np.int32).reshape(shape)]
    depth = np.float32(FAR_M * NEAR_M) / (np.float32(FAR_M) - np.float32(FAR_M - NEAR_M) * depth)
    _add_floor(spec, view, depth, surface)
    lit = np.ascontiguousarray(np.asarray(rgba, np.uint8).reshape(*shape, 4)[..., 0])
    return Geometry(depth_m=depth, surface=surface, lit=lit)


def _add_floor(spec: SceneSpec, view: View, depth: np.ndarray, surface: np.ndarray) -> None:
    """Where nothing was drawn, the floor's plane, or nothing at an infinite depth."""
    empty = surface == NOTHING
    climb = view.climb()[empty]
    with np.errstate(divide="ignore"):
        distance = (-np.float32(spec.stage.floor_below_m) - view.eye[2]) / climb
    hit = (distance > NEAR_M) & (distance < FAR_M)
    depth[empty] = np.where(hit, distance, np.inf)
    surface[empty] = np.where(hit, FLOOR, NOTHING)


def _draw_light_map(spec: SceneSpec, client: int, box: LightBox, codes: np.ndarray) -> Int32[np.ndarray, "n n"]:
    view, projection = ([float(v) for v in m.T.ravel()] for m in (box.view, box.projection()))
    image = p.getCameraImage(
        SIDE_TEXELS, SIDE_TEXELS, view, projection, **light(spec.light.direction), physicsClientId=client,
    )  # fmt: skip
    return np.asarray(codes[np.asarray(image[4], np.int32).reshape(SIDE_TEXELS, SIDE_TEXELS)], np.int32)


def light(direction: Vec3) -> dict[str, object]:
    """Every light argument of getCameraImage, since an omitted one keeps the previous call's value."""
    return {
        "lightDirection": list(direction),
        "lightColor": [1.0, 1.0, 1.0],
        "lightDistance": 1.0,
        "shadow": 0,
        "lightAmbientCoeff": 0.0,
        "lightDiffuseCoeff": 1.0,
        "lightSpecularCoeff": 0.0,
        "renderer": p.ER_TINY_RENDERER,
    }


def view_matrix(world_from_camera: Pose) -> list[float]:
    """OpenGL's view matrix (y up, looking along -z), by columns."""
    rotation = rotation_matrix(world_from_camera.rotation_xyzw).T * np.array([[1.0], [-1.0], [-1.0]])
    view = np.eye(4)
    view[:3, :3] = rotation
    view[:3, 3] = -rotation @ np.asarray(world_from_camera.position_m)
    return [float(v) for v in view.T.ravel()]


def projection_matrix(view: View) -> list[float]:
    """OpenGL's projection of the pinhole camera at the samples' resolution, by columns."""
    cx, cy = view.centre[0] - view.offset, view.centre[1] + 1.0 - view.offset
    depth = FAR_M - NEAR_M
    rows = [
        [2 * view.focal / view.width, 0.0, 1 - 2 * cx / view.width, 0.0],
        [0.0, 2 * view.focal / view.height, 2 * cy / view.height - 1, 0.0],
        [0.0, 0.0, -(FAR_M + NEAR_M) / depth, -2 * FAR_M * NEAR_M / depth],
        [0.0, 0.0, -1.0, 0.0],
    ]
    return [float(v) for v in np.array(rows).T.ravel()]


def _resolve(linear: Float32[np.ndarray, "h w 3"], geometry: Geometry, s: int) -> Frame:
    """Samples to pixels."""
    if s > 1:
        weights = np.ones(s) if s % 2 else np.array([0.5, *np.ones(s - 1), 0.5])
        kernel = (weights / s).astype(np.float32)
        linear = cv2.sepFilter2D(linear, -1, kernel, kernel, borderType=cv2.BORDER_REPLICATE)
    centre = slice(s // 2, None, s)
    surface = geometry.surface[centre, centre]
    ids = np.where(surface >= 0, surface, np.where(surface <= BODY, CLUTTER, BACKGROUND)).astype(np.int32)
    return Frame(
        linear=np.ascontiguousarray(linear[centre, centre]),
        depth_m=np.ascontiguousarray(geometry.depth_m[centre, centre]),
        ids=ids,
    )
