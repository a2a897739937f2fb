"""Packed parts for tests, made without a CAD library."""

from __future__ import annotations

import itertools

import numpy as np

from simgen.assets.cad.packed import Origin, PackedPart, RestingPose, Symmetries

STEEL_KG_M3 = 7850.0
HALF_TURNS = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0))


def packed_box(size_m=(0.03, 0.02, 0.01), name="box", colours=False) -> PackedPart:
    """A box with one hull, the six poses on its faces (by the share of the solid angle of each) and three half turns.

    Args:
        colours: whether each pair of faces has a colour of its own: red across x, green across y, blue across z.
    """
    half = np.array(size_m) / 2
    vertices, normals, triangles, tints, poses = [], [], [], [], []
    for axis, sign in itertools.product(range(3), (-1.0, 1.0)):
        normal = np.eye(3)[axis] * sign
        across = np.eye(3)[(axis + 1) % 3] * sign, np.eye(3)[(axis + 2) % 3]
        corners = [normal + a * across[0] + b * across[1] for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
        triangles += [
            [len(vertices), len(vertices) + 1, len(vertices) + 2],
            [len(vertices), len(vertices) + 2, len(vertices) + 3],
        ]
        vertices += [corner * half for corner in corners]
        normals += [normal] * 4
        tints += [np.eye(3)[axis]] * 4
        poses.append(_pose_on(axis, sign, half))
    poses.sort(key=lambda pose: -pose.probability)
    x, y, z = np.array(size_m) ** 2
    return PackedPart(
        name=name,
        category=name,
        origin=Origin(file=f"{name}.stl", unit="mm", sha256="0" * 64),
        material="steel",
        density_kg_m3=STEEL_KG_M3,
        volume_m3=float(np.prod(size_m)),
        inertia_m2=(float(y + z) / 12, float(x + z) / 12, float(x + y) / 12),
        vertices_m=np.array(vertices, np.float32),
        normals=np.array(normals, np.float32),
        triangles=np.array(triangles, np.int32),
        colours=np.array(tints, np.float32) if colours else None,
        hulls_m=(np.array(list(itertools.product(*zip(-half, half, strict=True)))),),
        resting_poses=tuple(poses),
        symmetries=Symmetries(rotations_xyzw=HALF_TURNS),
    )


def _pose_on(axis: int, sign: float, half: np.ndarray) -> RestingPose:
    """The pose in which the face across an axis lies on the table: a half or quarter turn about another axis."""
    a, b, c = half[axis], half[(axis + 1) % 3], half[(axis + 2) % 3]
    solid_angle = 4 * np.arctan(b * c / (a * np.sqrt(a * a + b * b + c * c)))  # of a rectangle, from above its middle
    root = float(np.sqrt(0.5))
    turn = {
        (0, -1.0): (0.0, -root, 0.0, root),  # the table's z is the part's +x
        (0, 1.0): (0.0, root, 0.0, root),
        (1, -1.0): (root, 0.0, 0.0, root),
        (1, 1.0): (-root, 0.0, 0.0, root),
        (2, -1.0): (0.0, 0.0, 0.0, 1.0),
        (2, 1.0): (1.0, 0.0, 0.0, 0.0),
    }[axis, sign]
    share = float(solid_angle / (4 * np.pi))
    return RestingPose(rotation_xyzw=turn, height_m=float(a), probability=share, drop_share=share)
