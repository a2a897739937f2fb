"""Meshes for the path tracer: three corners per triangle, with texture coordinates in metres.

A texture is projected on the coordinate plane that a triangle faces most (`gl/shaders/shade.frag` blends all three), or
wrapped around the axis of a turned part. Coordinates are (across, along): the second runs along the grooves of a
brushed surface; the first is the tangent along which Mitsuba's anisotropic highlights are wide.

The parts' meshes have no threads: they are added here, as a helical ridge around the pitch diameter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32, Float64, Int

from simgen.assets.parts import part_model
from simgen.assets.parts.model import PartModel, Thread
from simgen.renderers.primitives import primitive
from simgen.spec.scene import PartSource

TURN_STEPS, PITCH_STEPS = 36, 6  # of a thread's mesh: around the axis, and along one pitch
MAX_TURNS = 80.0  # a thread with more turns is left out
Corners = Float64[np.ndarray, "n 3"]


@dataclass(frozen=True)
class Solid:
    """Triangles, three corners each, in the body's own frame."""

    points_m: Corners
    normals: Corners
    across_along_m: Float64[np.ndarray, "n 2"]  # on turned parts: (height or radius, share of a turn)
    colours: Float32[np.ndarray, "n 3"] | None = None  # linear RGB, of a part whose CAD file has colours


def part(source: PartSource, lathe: bool) -> Solid:
    """A part's mesh, with its thread.

    Raises:
        KeyError: the part is unknown.
    """
    model = part_model(source)
    points, normals, triangles = model.vertices_m, model.normals, model.triangles
    if model.thread and _turns(model.thread) <= MAX_TURNS:
        others = triangles[~_threaded(model, model.thread)]
        if len(others) < len(triangles):
            more, their_normals, faces = thread_mesh(model.thread)
            triangles = np.concatenate([others, faces + len(points)])
            points, normals = np.concatenate([points, more]), np.concatenate([normals, their_normals])
    solid = _textured(points[triangles.ravel()], normals[triangles.ravel()], lathe)
    return solid if model.colours is None else replace(solid, colours=model.colours[triangles.ravel()])


def body(name: str, size_m: tuple[float, ...], lathe: bool = False) -> Solid:
    """A box, cylinder, tray (a box without its top) or plane of full extents `size_m`.

    Raises:
        KeyError: the name is unknown.
    """
    points, normals, triangles = primitive(name)
    corners = triangles.ravel()
    return _textured(points[corners] * np.asarray(size_m), normals[corners], lathe)


def _textured(points_m: Corners, normals: Corners, lathe: bool) -> Solid:
    edges = points_m.reshape(-1, 3, 3)
    faces = np.cross(edges[:, 1] - edges[:, 0], edges[:, 2] - edges[:, 0])
    faces /= np.maximum(np.linalg.norm(faces, axis=1, keepdims=True), 1e-30)
    coordinates = _round_axis(edges, faces) if lathe else _on_planes(edges, faces)
    return Solid(points_m, normals, coordinates.reshape(-1, 2))


def _on_planes(edges: Float64[np.ndarray, "t 3 3"], faces: Float64[np.ndarray, "t 3"]) -> Float64[np.ndarray, "t 3 2"]:
    """Coordinates on the shader's planes (yz, xz, xy); the grooves run along the first axis of each."""
    facing = np.abs(faces).argmax(axis=1)
    across, along = np.array([2, 2, 1])[facing], np.array([1, 0, 0])[facing]
    row = np.arange(len(edges))[:, None]
    corner = np.arange(3)[None]
    return np.stack([edges[row, corner, across[:, None]], edges[row, corner, along[:, None]]], axis=-1)


def _round_axis(edges: Float64[np.ndarray, "t 3 3"], faces: Float64[np.ndarray, "t 3"]) -> Float64[np.ndarray, "t 3 2"]:
    """Height on a flank or radius on an end face, and the turn, without a jump within a triangle."""
    turn = np.arctan2(edges[..., 1], edges[..., 0]) / (2 * np.pi)
    turn -= np.rint(turn - turn[:, :1])
    flat = np.abs(faces[:, 2:]) > 0.67
    profile = np.where(flat, np.hypot(edges[..., 0], edges[..., 1]), edges[..., 2])
    return np.stack([profile, turn], axis=-1)


# ------------------------------------------------------------------------------------------------------------ threads


def _turns(thread: Thread) -> float:
    """How many turns a thread has."""
    return (thread.z_to_m - thread.z_from_m) / thread.pitch_m


def _threaded(model: PartModel, thread: Thread) -> np.ndarray:
    """Which triangles are the cylinder that represents the thread."""
    corners = model.vertices_m[model.triangles]
    off = np.abs(np.hypot(corners[..., 0], corners[..., 1]) - thread.radius_m)
    slack = 1e-3 * thread.pitch_m
    within = (corners[..., 2] > thread.z_from_m - slack) & (corners[..., 2] < thread.z_to_m + slack)
    return np.asarray(((off < 0.02 * thread.radius_m) & within).all(axis=1))


def thread_mesh(
    thread: Thread,
) -> tuple[Corners, Corners, Int[np.ndarray, "t 3"]]:
    """A thread's flanks: vertices, normals, triangles. At both ends it runs out into the shank."""
    rows = max(round(_turns(thread) * PITCH_STEPS), 2)
    z = np.linspace(thread.z_from_m, thread.z_to_m, rows + 1)[:, None]
    angle = np.linspace(0.0, 2 * np.pi, TURN_STEPS + 1)[None]
    outward = -1.0 if thread.internal else 1.0
    radius = thread.radius_m + _height(thread, z, angle)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.broadcast_to(z, radius.shape)], axis=-1)
    step = 1e-6
    by_z = (_height(thread, z + step, angle) - _height(thread, z - step, angle)) / (2 * step)
    by_angle = (_height(thread, z, angle + step) - _height(thread, z, angle - step)) / (2 * step)
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


def _height(thread: Thread, z: Float[np.ndarray, "n 1"], angle: Float[np.ndarray, "1 m"]) -> Float64[np.ndarray, "n m"]:
    """Height above the pitch diameter: a right-hand helix with rounded flanks, 0 at the thread's ends."""
    phase = z / thread.pitch_m - angle / (2 * np.pi)
    run_out = np.minimum(z - thread.z_from_m, thread.z_to_m - z) / (0.5 * thread.pitch_m)
    wave = np.clip(1.2 * (1 - 4 * np.abs(phase - np.floor(phase) - 0.5)), -1, 1)
    return np.asarray(0.5 * thread.depth_m * wave * np.clip(run_out, 0, 1), np.float64)
