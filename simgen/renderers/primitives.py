"""Meshes of the simple bodies in a scene: box, tray, plane and cylinder."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int32

ROUND = 64  # sides of a cylinder
Arrays = tuple[Float[np.ndarray, "v 3"], Float[np.ndarray, "v 3"], Int32[np.ndarray, "t 3"]]


def primitive(name: str) -> Arrays:
    """Vertices, normals and triangles of a body of extent 1 around the origin.

    `box`, `cylinder` (along z), `plane` (z = 0, facing up) and `tray` (a box without its top).

    Raises:
        KeyError: the name is unknown.
    """
    if name == "cylinder":
        return _cylinder()
    faces = {"box": _FACES, "tray": _FACES[:5], "plane": [(_FACES[5][0], 0.0)]}
    if name not in faces:
        raise KeyError(f"no shape {name!r}; there are {sorted([*faces, 'cylinder'])}")
    points, normals, triangles = [], [], []
    for i, (normal, distance) in enumerate(faces[name]):
        n = np.array(normal)
        u = np.roll(np.abs(n), 1)
        v = np.cross(n, u)
        points.append(n * distance + np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2 @ np.stack([u, v]))
        normals.append(np.tile(n, (4, 1)))
        triangles.append(np.array([[0, 1, 2], [0, 2, 3]]) + 4 * i)
    return np.concatenate(points), np.concatenate(normals), np.concatenate(triangles).astype(np.int32)


_FACES = [
    ((-1.0, 0.0, 0.0), 0.5),
    ((1.0, 0.0, 0.0), 0.5),
    ((0.0, -1.0, 0.0), 0.5),
    ((0.0, 1.0, 0.0), 0.5),
    ((0.0, 0.0, -1.0), 0.5),
    ((0.0, 0.0, 1.0), 0.5),
]


def _cylinder() -> Arrays:
    """A cylinder of diameter and length 1 along z."""
    angle = 2 * np.pi * np.arange(ROUND) / ROUND
    rim = np.stack([np.cos(angle), np.sin(angle), np.zeros(ROUND)], axis=1)
    half = np.array([0.0, 0.0, 0.5])
    points = np.concatenate([rim / 2 - half, rim / 2 + half, rim / 2 - half, rim / 2 + half])
    up = np.tile([0.0, 0.0, 1.0], (ROUND, 1))
    i, j = np.arange(ROUND), np.roll(np.arange(ROUND), -1)
    sides = [np.stack([i, j, j + ROUND], axis=1), np.stack([i, j + ROUND, i + ROUND], axis=1)]
    fan = np.stack([np.zeros(ROUND - 2, int), np.arange(1, ROUND - 1), np.arange(2, ROUND)], axis=1)
    triangles = np.concatenate([*sides, fan[:, ::-1] + 2 * ROUND, fan + 3 * ROUND]).astype(np.int32)
    return points, np.concatenate([rim, rim, -up, up]), triangles
