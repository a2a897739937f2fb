"""Imported parts for tests: a coloured box, and a channel that is not convex."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from simgen.assets.cad.packed import CoarseMesh, PackedPart, RestingPose, Symmetries, write_packed
from simgen.assets.parts import part_model
from simgen.assets.parts.mesh import Mesh, circle, loft, mass_properties
from simgen.spec.contents import keep
from simgen.spec.scene import MeshFile, PartSpec
from simgen.spec.types import Pose
from tests.simgen.assets.cad.packed_parts import STEEL_KG_M3, packed_box
from tests.simgen.scenes import GREY

LENGTH_M, WIDTH_M, HEIGHT_M, THICK_M = 0.08, 0.05, 0.03, 0.006


def packed_channel(name="channel") -> PackedPart:
    """A U of three plates along x, open towards z: what lies in it must not float on its convex hull."""
    across = (WIDTH_M - THICK_M) / 2
    plates = [
        (np.array([LENGTH_M, WIDTH_M, THICK_M]), np.array([0.0, 0.0, THICK_M / 2])),
        *[
            (
                np.array([LENGTH_M, THICK_M, HEIGHT_M - THICK_M]),
                np.array([0.0, side * across, (HEIGHT_M + THICK_M) / 2]),
            )
            for side in (-1, 1)
        ],
    ]
    boxes = [packed_box(tuple(size)) for size, _ in plates]
    placed = [box.vertices_m.astype(float) + middle for box, (_, middle) in zip(boxes, plates, strict=True)]
    starts = np.cumsum([0, *[len(points) for points in placed[:-1]]])
    triangles = np.concatenate([box.triangles + start for box, start in zip(boxes, starts, strict=True)])
    volume_m3, centre_m, inertia = mass_properties(Mesh(np.concatenate(placed), triangles.astype(np.int32)))
    vertices_m = np.concatenate(placed) - centre_m
    low, high = -vertices_m[:, 2].min(), vertices_m[:, 2].max()
    root = float(np.sqrt(0.5))
    rests = [
        ((0.0, 0.0, 0.0, 1.0), low, 0.46),
        ((1.0, 0.0, 0.0, 0.0), high, 0.2),
        ((0.0, root, 0.0, root), LENGTH_M / 2, 0.02),
        ((0.0, -root, 0.0, root), LENGTH_M / 2, 0.02),
        ((root, 0.0, 0.0, root), WIDTH_M / 2, 0.15),
        ((-root, 0.0, 0.0, root), WIDTH_M / 2, 0.15),
    ]
    return replace(
        boxes[0],
        name=name,
        category="profile",
        volume_m3=volume_m3,
        inertia_m2=tuple(float(v) for v in np.diag(inertia)),
        vertices_m=vertices_m.astype(np.float32),
        normals=np.concatenate([box.normals for box in boxes]),
        triangles=triangles.astype(np.int32),
        hulls_m=tuple(np.unique(points - centre_m, axis=0) for points in placed),
        resting_poses=tuple(
            RestingPose(rotation_xyzw=turn, height_m=float(height), probability=share, drop_share=share)
            for turn, height, share in rests
        ),
        symmetries=Symmetries(rotations_xyzw=((0.0, 0.0, 1.0, 0.0),)),
    )


def packed_ball(radius_m=0.02, coarse_error_m: float | None = None, name="ball") -> PackedPart:
    """A ball of 2,400 triangles; with an error it has a coarse mesh of 400 too, which is said to be so far off."""

    def mesh(rings: int, segments: int) -> dict[str, Any]:
        angles = np.linspace(-np.pi / 2, np.pi / 2, rings + 2)[1:-1]
        ball = loft([circle(radius_m * float(np.cos(a)), radius_m * float(np.sin(a)), segments) for a in angles])
        normals = ball.vertices_m / np.linalg.norm(ball.vertices_m, axis=1, keepdims=True)
        floats = {"vertices_m": ball.vertices_m.astype(np.float32), "normals": normals.astype(np.float32)}
        return {**floats, "triangles": ball.triangles}

    return replace(
        packed_box((2 * radius_m,) * 3, name=name),
        **mesh(24, 50),
        hulls_m=(mesh(4, 12)["vertices_m"].astype(np.float64),),
        volume_m3=4 / 3 * np.pi * radius_m**3,
        inertia_m2=(0.4 * radius_m**2,) * 3,
        coarse=None if coarse_error_m is None else CoarseMesh(**mesh(8, 24), colours=None, error_m=coarse_error_m),
    )


def kept(part: PackedPart, **more) -> MeshFile:
    """The source of a packed part, whose content this process knows from now on."""
    return MeshFile(part.name, keep(write_packed(part)), **more)


def imported_part(source: MeshFile, position_m=(0.0, 0.0, 0.05), rotation_xyzw=(0.0, 0.0, 0.0, 1.0), friction=0.5):
    """A part at a pose, as `tests.simgen.scenes.part` makes one of a family."""
    return PartSpec(
        source=source,
        category=source.name,
        mass_kg=part_model(source).volume_m3 * STEEL_KG_M3,
        friction=friction,
        material=GREY,
        world_from_part=Pose(position_m=position_m, rotation_xyzw=rotation_xyzw),
    )
