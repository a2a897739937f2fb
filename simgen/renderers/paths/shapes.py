"""Meshes as the path tracer takes them: corner by corner, with texture coordinates in metres.

A texture lies on the plane that a triangle faces most, as `gl/shaders/shade.frag` blends three of them, or round the
axis of what was turned on a lathe. Coordinates are (across, along): along the grooves of a brushed surface runs the
second, and the first is the tangent along which Mitsuba's anisotropic highlights are wide.

The meshes leave threads out: here they are cut, as a helical ridge about the pitch diameter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int

from simgen.assets.parts import part_model
from simgen.assets.parts.model import PartModel, Thread
from simgen.renderers.primitives import primitive
from simgen.spec.scene import PartSource

TURN_STEPS, PITCH_STEPS = 36, 6  # of a thread's mesh: round the axis, and in one pitch
MOST_TURNS = 80.0  # with more of them a thread is left out, as in the mesh
Corners = Float64[np.ndarray, "n 3"]


@dataclass(frozen=True)
class Solid:
    """Triangles, three corners each, in the body's own frame."""

    points_m: Corners
    normals: Corners
    across_along_m: Float64[np.ndarray, "n 2"]  # round a lathe's axis: (height or radius, share of a turn)


def part(source: PartSource, lathe: bool) -> Solid:
    """A part's mesh, with its thread.

    Raises:
        KeyError: there is no such part.
    """
    model = part_model(source)
    points, normals, triangles = model.vertices_m, model.normals, model.triangles
    if model.thread and _turns(model.thread) <= MOST_TURNS:
        kept = triangles[~_threaded(model, model.thread)]
        if len(kept) < len(triangles):
            more, their_normals, faces = thread(model.thread)
            triangles = np.concatenate([kept, faces + len(points)])
            points, normals = np.concatenate([points, more]), np.concatenate([normals, their_normals])
    return _laid(points[triangles.ravel()], normals[triangles.ravel()], lathe)


def body(name: str, size_m: tuple[float, ...], lathe: bool = False) -> Solid:
    """A box, cylinder, tray (a box without its top) or plane of full extents `size_m`.

    Raises:
        KeyError: there is no such shape.
    """
    points, normals, triangles = primitive(name)
    corners = triangles.ravel()
    return _laid(points[corners] * np.asarray(size_m), normals[corners], lathe)


def _laid(points_m: Corners, normals: Corners, lathe: bool) -> Solid:
    edges = points_m.reshape(-1, 3, 3)
    faces = np.cross(edges[:, 1] - edges[:, 0], edges[:, 2] - edges[:, 0])
    faces /= np.maximum(np.linalg.norm(faces, axis=1, keepdims=True), 1e-30)
    laid = _round_axis(edges, faces) if lathe else _on_planes(edges, faces)
    return Solid(points_m, normals, laid.reshape(-1, 2))


def _on_planes(edges: Float64[np.ndarray, "t 3 3"], faces: Float64[np.ndarray, "t 3"]) -> Float64[np.ndarray, "t 3 2"]:
    """The shader's planes: y and z, x and z, x and y; the grooves run along the first of each."""
    facing = np.abs(faces).argmax(axis=1)
    across, along = np.array([2, 2, 1])[facing], np.array([1, 0, 0])[facing]
    row = np.arange(len(edges))[:, None]
    corner = np.arange(3)[None]
    return np.stack([edges[row, corner, across[:, None]], edges[row, corner, along[:, None]]], axis=-1)


def _round_axis(edges: Float64[np.ndarray, "t 3 3"], faces: Float64[np.ndarray, "t 3"]) -> Float64[np.ndarray, "t 3 2"]:
    """Height on a flank, radius on a face; and the turn, without a jump within a triangle."""
    turn = np.arctan2(edges[..., 1], edges[..., 0]) / (2 * np.pi)
    turn -= np.rint(turn - turn[:, :1])
    flat = np.abs(faces[:, 2:]) > 0.67
    profile = np.where(flat, np.hypot(edges[..., 0], edges[..., 1]), edges[..., 2])
    return np.stack([profile, turn], axis=-1)


# ------------------------------------------------------------------------------------------------------------ threads


def _turns(thread: Thread) -> float:
    return (thread.z_to_m - thread.z_from_m) / thread.pitch_m


def _threaded(model: PartModel, thread: Thread) -> np.ndarray:
    """The triangles of the cylinder that stands for the thread."""
    corners = model.vertices_m[model.triangles]
    off = np.abs(np.hypot(corners[..., 0], corners[..., 1]) - thread.radius_m)
    slack = 1e-3 * thread.pitch_m
    within = (corners[..., 2] > thread.z_from_m - slack) & (corners[..., 2] < thread.z_to_m + slack)
    return np.asarray(((off < 0.02 * thread.radius_m) & within).all(axis=1))


def thread(
    found: Thread,
) -> tuple[Corners, Corners, Int[np.ndarray, "t 3"]]:
    """A thread's flanks: vertices, normals, triangles. At both ends it runs out into the cylinder."""
    rows = max(round(_turns(found) * PITCH_STEPS), 2)
    z = np.linspace(found.z_from_m, found.z_to_m, rows + 1)[:, None]
    angle = np.linspace(0.0, 2 * np.pi, TURN_STEPS + 1)[None]
    outward = -1.0 if found.internal else 1.0
    radius = found.radius_m + _height(found, z, angle)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.broadcast_to(z, radius.shape)], axis=-1)
    step = 1e-6
    by_z = (_height(found, z + step, angle) - _height(found, z - step, angle)) / (2 * step)
    by_angle = (_height(found, z, angle + step) - _height(found, z, angle - step)) / (2 * step)
    flank = np.stack(
        [
            np.cos(angle) + by_angle / radius * np.sin(angle),
            np.sin(angle) - by_angle / radius * np.cos(angle),
            -by_z,
        ],
        axis=-1,
    )
    normals = outward * flank / np.linalg.norm(flank, axis=-1, keepdims=True)
    i, j = np.meshgrid(np.arange(rows), np.arange(TURN_STEPS), indexing="ij")
    a = (i * (TURN_STEPS + 1) + j).ravel()
    b, c, d = a + 1, a + TURN_STEPS + 2, a + TURN_STEPS + 1
    faces = np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])
    return points.reshape(-1, 3), normals.reshape(-1, 3), faces if outward > 0 else faces[:, ::-1]


def _height(found: Thread, z: Float[np.ndarray, "n 1"], angle: Float[np.ndarray, "1 m"]) -> Float64[np.ndarray, "n m"]:
    """Over the pitch diameter: a right-hand helix of rounded flanks, none at the thread's ends."""
    phase = z / found.pitch_m - angle / (2 * np.pi)
    run_out = np.minimum(z - found.z_from_m, found.z_to_m - z) / (0.5 * found.pitch_m)
    wave = np.clip(1.2 * (1 - 4 * np.abs(phase - np.floor(phase) - 0.5)), -1, 1)
    return np.asarray(0.5 * found.depth_m * wave * np.clip(run_out, 0, 1), np.float64)
