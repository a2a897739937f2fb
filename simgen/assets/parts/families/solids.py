"""Solids by booleans (manifold3d), in millimetres, and the models of parts that are made of them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any, TypeAlias

import manifold3d
import numpy as np
from jaxtyping import Float64

from simgen.assets.parts.mesh import Hull, Mesh, mass_properties, shaded
from simgen.assets.parts.model import PartModel, Rest, Turns
from simgen.spec.geometry import about_z, vec3

Solid: TypeAlias = Any  # a manifold3d.Manifold
Outline: TypeAlias = Any  # a manifold3d.CrossSection
SEGMENTS = 36  # round a circle: its area is 0.5 % too small
HOLE_SEGMENTS = 24
THROUGH_MM = 1.0  # how far a hole's tool reaches beyond the solid


def turned(profile_mm: list[tuple[float, float]]) -> Solid:
    """The solid of revolution about z of a polygon of (radius, z), counter-clockwise."""
    return manifold3d.Manifold.revolve(manifold3d.CrossSection([np.array(profile_mm, float)]), SEGMENTS)


def hexagonal_hole(flats_mm: float, z_mm: float, depth_mm: float) -> Solid:
    """The tool for a hexagonal socket from `z_mm` upwards, which also cuts all below."""
    corner = flats_mm / 3**0.5
    angle = np.arange(6) * np.pi / 3
    outline = manifold3d.CrossSection([corner * np.stack([np.cos(angle), np.sin(angle)], axis=1)])
    return outline.extrude(depth_mm + THROUGH_MM).translate((0, 0, z_mm - THROUGH_MM))


def polygon(points_mm: Float64[np.ndarray, "n 2"]) -> Outline:
    return manifold3d.CrossSection([points_mm])


def disc(diameter_mm: float, x_mm: float = 0.0, y_mm: float = 0.0, segments: int = HOLE_SEGMENTS) -> Outline:
    return manifold3d.CrossSection.circle(diameter_mm / 2, segments).translate((x_mm, y_mm))


def slot(length_mm: float, width_mm: float, x_mm: float = 0.0, y_mm: float = 0.0) -> Outline:
    """A slot along x with round ends; `length_mm` is over all."""
    reach = (length_mm - width_mm) / 2
    ends = [disc(width_mm, x_mm + side * reach, y_mm) for side in (-1, 1)]
    return manifold3d.CrossSection.batch_hull(ends)


def rod_hole(diameter_mm: float, length_mm: float) -> Solid:
    """A cylinder along z about the origin."""
    return manifold3d.Manifold.cylinder(length_mm, diameter_mm / 2, circular_segments=HOLE_SEGMENTS, center=True)


def mesh_of(solid: Solid) -> Mesh:
    """The mesh of a solid, in metres."""
    mesh = solid.to_mesh64()
    return Mesh(np.asarray(mesh.vert_properties[:, :3], float) / 1000, np.asarray(mesh.tri_verts, np.int32))


def box_hull(low_mm: tuple[float, float, float], high_mm: tuple[float, float, float]) -> Hull:
    """A box as a convex piece of a collision shape."""
    ends = list(zip(low_mm, high_mm, strict=True))
    return Hull(np.array(list(itertools.product(*ends)), float) / 1000)


def principal_part(
    mesh: Mesh, hulls: tuple[Hull, ...], symmetries: Turns | None = None, *, rests_by_hull: bool = False
) -> PartModel:
    """The model of any part: moved and turned so that its frame is that of its principal axes, as near as can be.

    Args:
        hulls: its convex pieces, in the frame of the mesh.
        symmetries: in the frame of the mesh, which must then be the principal one but for the origin.
        rests_by_hull: find its resting poses by its convex hull; else it rests as a fastener does.
    """
    volume_m3, centre_m, inertia_m2 = mass_properties(mesh)
    axes = _nearest_axes(np.linalg.eigh(inertia_m2)[1])
    moments = np.diag(axes.T @ inertia_m2 @ axes)
    vertices_m, normals, triangles = shaded(Mesh((mesh.vertices_m - centre_m) @ axes, mesh.triangles))
    model = PartModel(
        vertices_m=vertices_m,
        normals=normals,
        triangles=triangles,
        volume_m3=volume_m3,
        inertia_m2=vec3(moments),
        collision=tuple(Hull((piece.points_m - centre_m) @ axes) for piece in hulls),
        symmetries=symmetries,
    )
    return replace(model, rests=_rests(vertices_m)) if rests_by_hull else model


def _nearest_axes(axes: Float64[np.ndarray, "3 3"]) -> Float64[np.ndarray, "3 3"]:
    """The same axes, as columns, in the order and with the signs that turn the frame least."""
    orders = [axes[:, list(order)] for order in itertools.permutations(range(3))]
    signed = [order * np.where(np.diag(order) < 0, -1.0, 1.0) for order in orders]
    right = [turn if np.linalg.det(turn) > 0 else turn * [1.0, 1.0, -1.0] for turn in signed]
    return max(right, key=lambda turn: round(float(np.trace(turn)), 9))


def _rests(vertices_m: Float64[np.ndarray, "v 3"]) -> tuple[Rest, ...]:
    from simgen.assets.cad.packed import Symmetries
    from simgen.assets.cad.shape.resting import poses_by_hull
    from simgen.spec.geometry import rotation_matrix

    poses = poses_by_hull(vertices_m, Symmetries())
    return tuple(Rest(rotation_matrix(pose.rotation_xyzw), pose.probability) for pose in poses)


def turns_about_z(fold: int) -> Turns:
    """The symmetries of a part that repeats so often about z, and whose ends are alike."""
    step = 2 * np.pi / fold
    about = [about_z(k * step) for k in range(1, fold)]
    across = [about_z(k * step) @ np.diag([1.0, -1.0, -1.0]) for k in range(fold)]
    return Turns((*about, *across), ())
