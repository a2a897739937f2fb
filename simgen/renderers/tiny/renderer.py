"""The renderer that always works: geometry from PyBullet's TinyRenderer, shading in `simgen.renderers.tiny.shading`.

TinyRenderer has one light, no reflections and no anti-aliasing, so its colours are not used. It gives the body and the
depth at each sample, and the cosine of the key light on a white surface. Its time is spent on the samples that it fills
(60 of 80 ms on a table, at 640 x 480), so `simgen.renderers.tiny.slab` draws stage and floor. It samples column i at
x = i and row j at y = j + 1 of its viewport, not at the pixels' centres (measured on PyBullet 3.2.7, with projected
boxes and a slanted plane); the projection here compensates for that.

`supersample` s draws s by s samples in each pixel. The one at the pixel's centre gives id and depth. Colour is the mean
over the pixel (for even s, samples on its border have half the weight).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version

import cv2
import numpy as np
import pybullet as p
from jaxtyping import Float32, Int32

from simgen.assets.light import card
from simgen.renderers.camera_view import CameraView
from simgen.renderers.surfaces import BODY, NOTHING, Geometry, Moment
from simgen.renderers.tiny import light_map
from simgen.renderers.tiny.light_map import LightBox, LightMap
from simgen.renderers.tiny.shading import Shader
from simgen.renderers.tiny.slab import floor_face, stage_faces
from simgen.scene.bullet import World, world
from simgen.spec.frames import Frame, Trajectory
from simgen.spec.geometry import rotation_matrix, vec3
from simgen.spec.scene import SceneSpec
from simgen.spec.types import BACKGROUND, CLUTTER, Pose, Vec3

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
        shadows: LightMap | None = None
        for frame in range(spec.frames):
            moment = _moment(spec, trajectory, frame)
            place(bodies, trajectory, frame)
            geometry = _draw(spec, bodies.client, spec.camera.world_from_camera[frame], moment.view, codes)
            if shadows is None or not _rests(trajectory, frame):
                shadows = LightMap(box, _draw_light_map(spec, bodies.client, box, codes))
            yield _resolve(spec, shader.shade(geometry, shadows, moment), geometry)


def _without_lamps(spec: SceneSpec) -> SceneSpec:
    """The spec with its lamps replaced by ambient light of the same irradiance: this renderer has one light."""
    if not spec.light.lamps:
        return spec
    light = spec.light
    lamps = card(light) - np.asarray(light.key_rgb) * light.direction[2]
    return replace(spec, light=replace(light, ambient_rgb=vec3(lamps), lamps=None))


def describe() -> str:
    """The version of PyBullet, which holds TinyRenderer."""
    return f"PyBullet {version('pybullet')}"


def _codes(bodies: World) -> np.ndarray:
    """Surface code by body id. The last entry is for id -1, where no body is."""
    others = [*bodies.fixtures, *bodies.occluders]
    codes = np.full(max([-1, *bodies.parts, *others]) + 2, NOTHING, np.int32)
    codes[list(bodies.parts)] = np.arange(len(bodies.parts))
    codes[others] = BODY - np.arange(len(others))
    return codes


def _moment(spec: SceneSpec, trajectory: Trajectory, frame: int) -> Moment:
    rotations = [rotation_matrix(rotation) for rotation in trajectory.rotations_xyzw[frame]]
    return Moment(
        view=CameraView.of(spec, spec.camera.world_from_camera[frame]),
        positions_m=trajectory.positions_m[frame],
        rotations=np.array(rotations, np.float32).reshape(-1, 3, 3),
        occluder_positions_m=trajectory.occluder_positions_m[frame],
        belt_shift_m=trajectory.surface_shift_m(frame),
    )


def _rests(trajectory: Trajectory, frame: int) -> bool:
    """Whether nothing has moved since the frame before."""
    paths = trajectory.positions_m, trajectory.rotations_xyzw, trajectory.occluder_positions_m
    return all(np.array_equal(path[frame - 1], path[frame]) for path in paths)


def place(bodies: World, trajectory: Trajectory, frame: int) -> None:
    """Move parts and occluders to their poses in a frame."""
    client = bodies.client
    poses = zip(bodies.parts, trajectory.positions_m[frame], trajectory.rotations_xyzw[frame], strict=True)
    for body, position, rotation in poses:
        p.resetBasePositionAndOrientation(body, position, rotation, physicsClientId=client)
    for body, position in zip(bodies.occluders, trajectory.occluder_positions_m[frame], strict=True):
        _, rotation = p.getBasePositionAndOrientation(body, physicsClientId=client)
        p.resetBasePositionAndOrientation(body, position, rotation, physicsClientId=client)


def _draw(spec: SceneSpec, client: int, camera: Pose, view: CameraView, codes: np.ndarray) -> Geometry:
    geometry = _bodies(spec, client, view, view_matrix(camera), projection_matrix(view), codes, (NEAR_M, FAR_M))
    for face in (*stage_faces(spec.stage), floor_face(spec.stage)):
        face.draw(geometry, view, spec.light.direction, NEAR_M, FAR_M)
    return geometry


def _draw_light_map(spec: SceneSpec, client: int, box: LightBox, codes: np.ndarray) -> Int32[np.ndarray, "n n"]:
    """Surface codes from the light. The stage's top hides from it what is below."""
    view, (near, far) = box.camera(), (light_map.NEAR_M, light_map.FAR_M)
    look, projection = ([float(v) for v in m.T.ravel()] for m in (box.view, box.projection()))
    geometry = _bodies(spec, client, view, look, projection, codes, (near, far))
    stage_faces(spec.stage)[0].draw(geometry, view, spec.light.direction, near, far)
    return geometry.surface


def _bodies(
    spec: SceneSpec, client: int, view: CameraView, look: list[float], projection: list[float], codes: np.ndarray,
    range_m: tuple[float, float],
) -> Geometry:  # fmt: skip
    """Parts, clutter and occluders."""
    shape, (near, far) = (view.height, view.width), range_m
    _, _, rgba, buffer, bodies = p.getCameraImage(
        view.width, view.height, look, projection, **light(spec.light.direction), physicsClientId=client
    )
    depth = np.asarray(buffer, np.float32).reshape(shape)
    depth = np.float32(far * near) / (np.float32(far) - np.float32(far - near) * depth)
    surface = codes[np.asarray(bodies, np.int32).reshape(shape)]
    depth[surface == NOTHING] = np.inf
    lit = np.ascontiguousarray(np.asarray(rgba, np.uint8).reshape(*shape, 4)[..., 0])
    return Geometry(depth_m=depth, surface=surface, lit=lit)


def light(direction: Vec3) -> dict[str, object]:
    """All light arguments of getCameraImage: an omitted one would keep its value of the previous call."""
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


def projection_matrix(view: CameraView) -> list[float]:
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


def _resolve(spec: SceneSpec, linear: Float32[np.ndarray, "h w c"], geometry: Geometry) -> Frame:
    """A frame from its samples."""
    s = spec.render.supersample
    if s > 1:
        weights = np.ones(s) if s % 2 else np.array([0.5, *np.ones(s - 1), 0.5])
        kernel = (weights / s).astype(np.float32)
        linear = cv2.sepFilter2D(linear, -1, kernel, kernel, borderType=cv2.BORDER_REPLICATE)
    centre = slice(s // 2, None, s)
    surface = geometry.surface[centre, centre]
    unlabelled = (surface <= BODY) | (surface >= len(spec.parts))
    ids = np.where(unlabelled, CLUTTER, np.where(surface >= 0, surface, BACKGROUND)).astype(np.int32)
    return Frame(
        linear=np.ascontiguousarray(linear[centre, centre]),
        depth_m=np.ascontiguousarray(geometry.depth_m[centre, centre]),
        ids=ids,
    )
