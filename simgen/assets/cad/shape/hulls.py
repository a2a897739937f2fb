"""Convex pieces that stand for a part where things collide: one for a convex part, else by CoACD (Wei et al. 2022)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy.spatial import ConvexHull, QhullError

from simgen.assets.cad.facts import MAX_HULL_CORNERS, MAX_HULLS
from simgen.assets.cad.shape.budget import simplified
from simgen.assets.cad.shape.solid import Solid, is_closed

CONVEX = 0.985  # share of its hull's volume that a convex part fills; tessellated rounds fill a little less
CONCAVITY = 0.06  # of CoACD: how deep a hollow may be that a piece closes, as a share of the part's size
COACD_TRIANGLES = 800  # a T joint takes 12 s of one core, with 1500 23 s, with 3000 minutes, and no fewer pieces
COACD_SECONDS = 240
# CoACD ends its process on some meshes (a failed assertion), so it gets one of its own.
START = "import sys; sys.path[:] = sys.argv[2:]; from simgen.assets.cad.shape.hulls import main; main(sys.argv[1])"
POINTS = "points.npz"


def convex_pieces(solid: Solid, volume_m3: float) -> tuple[tuple[Float64[np.ndarray, "_ 3"], ...], str | None]:
    """The corners of at most 32 convex pieces, each with at most 64 corners, of a solid with this volume.

    The second value says why a hollow part has one piece all the same, if that is so.
    """
    if volume_m3 > CONVEX * float(ConvexHull(solid.vertices_m).volume):
        return (few_corners(solid.vertices_m),), None
    with TemporaryDirectory(prefix="simgen-hulls-") as folder:
        fewer = simplified(solid, COACD_TRIANGLES)
        mesh = fewer if is_closed(fewer) else solid
        np.savez(Path(folder) / POINTS, vertices=mesh.vertices_m, triangles=mesh.triangles)
        try:
            done = subprocess.run(
                [sys.executable, "-c", START, folder, *sys.path],
                timeout=COACD_SECONDS, capture_output=True, check=False,
            )  # fmt: skip
            failed = "" if done.returncode == 0 else "ended with an error"
        except subprocess.TimeoutExpired:
            failed = f"did not end within {COACD_SECONDS} s"
        pieces = [] if failed else _read(Path(folder) / POINTS)
    if pieces:
        return tuple(pieces), None
    why = f"CoACD {failed or 'found no pieces'}: one convex hull stands for the part where things collide"
    return (few_corners(solid.vertices_m),), why


def _read(path: Path) -> list[Float64[np.ndarray, "_ 3"]]:
    with np.load(path, allow_pickle=False) as stored:
        pieces = [_solid_piece(stored[name]) for name in sorted(stored.files)]
    return [piece for piece in pieces if piece is not None]


def main(folder: str) -> None:
    """The process of CoACD: reads a mesh, and writes the points of its pieces in a fixed order."""
    import coacd

    path = Path(folder) / POINTS
    with np.load(path, allow_pickle=False) as stored:
        vertices, triangles = stored["vertices"], stored["triangles"]
    coacd.set_log_level("error")
    scale = float(np.abs(vertices).max())
    parts = coacd.run_coacd(
        coacd.Mesh(vertices / scale, triangles.astype(np.int32)),
        threshold=CONCAVITY,
        max_convex_hull=MAX_HULLS,
        preprocess_mode="off",  # a remesh for surfaces that are not closed; its check aborts on some that are
        mcts_iterations=30,
        mcts_nodes=10,
        resolution=500,
        decimate=True,
        max_ch_vertex=MAX_HULL_CORNERS,
        seed=0,
    )
    pieces = sorted(
        (np.asarray(points) * scale for points, _ in parts), key=lambda p: tuple(np.round(p.mean(axis=0), 9))
    )
    named: dict[str, Any] = {f"{number:03}": points for number, points in enumerate(pieces[:MAX_HULLS])}
    np.savez(path, **named)


def _solid_piece(points_m: Float64[np.ndarray, "_ 3"]) -> Float64[np.ndarray, "_ 3"] | None:
    try:
        return few_corners(points_m)
    except QhullError:  # flat
        return None


def few_corners(points_m: Float64[np.ndarray, "_ 3"]) -> Float64[np.ndarray, "_ 3"]:
    """At most 64 of the corners of the points' convex hull: again and again the one that sticks out most.

    Raises:
        QhullError: the points lie in a plane.
    """
    corners = np.asarray(points_m[np.sort(ConvexHull(points_m).vertices)])
    if len(corners) <= MAX_HULL_CORNERS:
        return corners
    chosen = sorted({int(k) for k in (*corners.argmin(axis=0), *corners.argmax(axis=0))})
    chosen = _spanning(corners, chosen)
    while len(chosen) < MAX_HULL_CORNERS:
        planes = ConvexHull(corners[chosen]).equations
        out = (corners @ planes[:, :3].T + planes[:, 3]).max(axis=1)
        out[chosen] = -np.inf
        chosen.append(int(out.argmax()))
    return np.asarray(corners[sorted(chosen)])


def _spanning(corners: Float64[np.ndarray, "_ 3"], chosen: list[int]) -> list[int]:
    """Corners with a volume between them: adds those that lie furthest off the chosen ones' plane."""
    while len(chosen) < 4 or np.linalg.matrix_rank(corners[chosen] - corners[chosen[0]], tol=1e-9) < 3:
        base = corners[chosen] - corners[chosen[0]]
        _, values, axes = np.linalg.svd(base, full_matrices=True)
        rank = int((values > 1e-9).sum())
        off = np.linalg.norm((corners - corners[chosen[0]]) @ axes[rank:].T, axis=1)
        off[chosen] = -1
        chosen.append(int(off.argmax()))
    return chosen
