"""The rotations under which the mesh of a part is unchanged, as in BOP's models_info.json.

The axis of a part is z in its frame (simgen.assets.parts.model), so rotations about z and half turns about axes across
it are tried. A mesh that repeats every 15 degrees or less is a body of revolution with facets.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float64

from simgen.assets.parts.model import Turns

TOLERANCE = 1e-5  # of the part's radius, between a rotated corner and the nearest corner
ROUND_FOLDS = (144, 120, 96, 72, 64, 60, 48, 36, 32, 30, 24)
FOLDS = (12, 10, 8, 6, 5, 4, 3, 2)

Rotation = Float64[np.ndarray, "3 3"]


def symmetries(vertices: Float64[np.ndarray, "v 3"]) -> dict[str, list[Any]]:
    """`symmetries_continuous` and `symmetries_discrete` (4 x 4 matrices, row by row, without the identity)."""
    from scipy.spatial import cKDTree

    corners = np.unique(np.round(vertices, 9), axis=0)
    tree, limit = cKDTree(corners), TOLERANCE * float(np.linalg.norm(corners, axis=1).max())

    def same(rotation: Rotation) -> bool:
        return bool(tree.query(corners @ rotation.T)[0].max() <= limit)

    if any(same(_about_z(2 * np.pi / n)) for n in ROUND_FOLDS):
        about_axis = {"symmetries_continuous": [{"axis": [0, 0, 1], "offset": [0, 0, 0]}]}
        return {**about_axis, "symmetries_discrete": [_rigid(turn) for turn in _flips(1) if same(turn)]}
    fold = next((n for n in FOLDS if same(_about_z(2 * np.pi / n))), 1)
    turns = [_about_z(2 * np.pi * k / fold) for k in range(1, fold)]
    turns += [turn for turn in _flips(fold) if same(turn)]
    return {"symmetries_discrete": [_rigid(turn) for turn in turns]} if turns else {}


def stated(known: Turns) -> dict[str, list[Any]]:
    """The symmetries of an imported part, as its file states them. A ball has three axes."""
    axes = [{"axis": list(axis), "offset": [0, 0, 0]} for axis in known.axes]
    turns = [_rigid(rotation) for rotation in known.rotations]
    about_axes = {"symmetries_continuous": axes} if axes else {}
    return {**about_axes, **({"symmetries_discrete": turns} if turns or axes else {})}


def _about_z(angle_rad: float) -> Rotation:
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def _flips(fold: int) -> Iterator[Rotation]:
    """Half turns about `fold` axes across z, the first of which is x."""
    return (_about_z(2 * np.pi * k / fold) @ np.diag([1.0, -1.0, -1.0]) for k in range(fold))


def _rigid(rotation: Rotation) -> list[float]:
    whole = np.eye(4)
    whole[:3, :3] = rotation
    return [float(v) for v in (whole.round(12) + 0.0).ravel()]
