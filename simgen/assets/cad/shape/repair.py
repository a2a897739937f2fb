"""Make a closed solid of the triangles of a CAD file, or say why that cannot be done.

STEP files come in faces that do not share corners, STL files in single triangles. Corners in one place are joined,
triangles without an area or given twice are dropped, small holes are filled, triangles are made to look outward, and
overlapping bodies are joined by a boolean union (manifold3d). What was done is said in notes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import trimesh
from jaxtyping import Float32, Float64, Int64

from simgen.assets.cad.shape.solid import Solid
from simgen.spec.errors import PartFileError

JOIN = 1e-6  # corners that are nearer to each other than this share of the size are one
MOST_FILLED = 0.02  # of the surface may be new triangles over holes
MOST_CROSSED = 0.02  # of the volume may be enclosed twice or inside out
SAID_CROSSED = 0.002
COLUMNS = 160  # along each side of the grid on which the enclosed volume is counted


@dataclass(frozen=True)
class Body:
    """One body of a file: triangles as the file has them, in metres."""

    name: str
    vertices_m: Float64[np.ndarray, "v 3"]
    triangles: Int64[np.ndarray, "t 3"]
    colours: Float32[np.ndarray, "t 3"] | None = None  # linear RGB of each triangle

    @property
    def size_m(self) -> Float64[np.ndarray, " 3"]:
        used = self.vertices_m[np.unique(self.triangles)]
        size: Float64[np.ndarray, " 3"] = used.max(axis=0) - used.min(axis=0)
        return size


def split_bodies(bodies: list[Body]) -> list[Body]:
    """The bodies apart: a piece of a file that hangs together is one. The largest one first.

    A piece that lies inside another and faces inward is a cavity of that one.
    """
    pieces = [piece for body in bodies for piece in _pieces(body)]
    return sorted(pieces, key=lambda body: (-float(np.prod(body.size_m)), body.name))


def _pieces(body: Body) -> list[Body]:
    mesh = _joined(body)
    groups = trimesh.graph.connected_components(mesh.face_adjacency, nodes=np.arange(len(mesh.faces)), min_len=1)
    if len(groups) < 2:
        return [body]
    outer: list[Body] = []
    inner: list[Body] = []
    for group in groups:
        part = Body(body.name, np.asarray(mesh.vertices), np.asarray(mesh.faces)[group], _of(mesh, group))
        (inner if _signed_volume(part) < 0 else outer).append(part)
    for cavity in inner:
        around = [k for k, part in enumerate(outer) if _inside(cavity, part)]
        if around:
            k = min(around, key=lambda k: float(np.prod(outer[k].size_m)))
            outer[k] = together([outer[k], cavity], body.name)
        else:
            outer.append(cavity)
    return outer


def _signed_volume(body: Body) -> float:
    corners = body.vertices_m[body.triangles]
    return float(np.linalg.det(corners - corners.reshape(-1, 3).mean(axis=0)).sum() / 6)


def _inside(inner: Body, outer: Body) -> bool:
    """Whether the box of one body lies in the box of another."""
    small, large = inner.vertices_m[inner.triangles], outer.vertices_m[outer.triangles]
    return bool((small.min(axis=(0, 1)) >= large.min(axis=(0, 1))).all()) and bool(
        (small.max(axis=(0, 1)) <= large.max(axis=(0, 1))).all()
    )


def together(bodies: list[Body], name: str) -> Body:
    """The triangles of some bodies as one, with grey where one of them has no colours and others have."""
    first = np.cumsum([0, *[len(body.vertices_m) for body in bodies]])
    triangles = [body.triangles + start for body, start in zip(bodies, first[:-1], strict=True)]
    colours = None
    if any(body.colours is not None for body in bodies):
        colours = np.concatenate([grey(body) for body in bodies])
    return Body(name, np.concatenate([body.vertices_m for body in bodies]), np.concatenate(triangles), colours)


def grey(body: Body) -> Float32[np.ndarray, "t 3"]:
    """The colours of a body's triangles; grey where it has none."""
    return np.full((len(body.triangles), 3), 0.4, np.float32) if body.colours is None else body.colours


def _of(mesh: Any, group: Int64[np.ndarray, " n"]) -> Float32[np.ndarray, "n 3"] | None:
    colours = mesh.face_attributes.get("colour")
    return None if colours is None else np.asarray(colours, np.float32)[group]


def _joined(body: Body) -> Any:
    """The body as a mesh of trimesh, corners in one place joined, without triangles that have no area."""
    middle = body.vertices_m[body.triangles].reshape(-1, 3).mean(axis=0)
    step = JOIN * float(body.size_m.max())
    rounded = np.round((body.vertices_m - middle) / step).astype(np.int64)
    _, first, index = np.unique(rounded, axis=0, return_index=True, return_inverse=True)
    faces = index.ravel()[body.triangles]
    kept = (faces != np.roll(faces, 1, axis=1)).all(axis=1)
    kept[kept] &= _first_of_each(faces[kept])
    attributes = {} if body.colours is None else {"colour": body.colours[kept]}
    return trimesh.Trimesh(body.vertices_m[first], faces[kept], process=False, face_attributes=attributes)


def _first_of_each(faces: Int64[np.ndarray, "t 3"]) -> np.ndarray:
    """Which triangles are not given a second time."""
    _, first = np.unique(np.sort(faces, axis=1), axis=0, return_index=True)
    kept = np.zeros(len(faces), bool)
    kept[first] = True
    return kept


def closed(body: Body, file: str, notes: list[str]) -> Solid:
    """The body as a closed solid that looks outward. Says in `notes` what was repaired.

    Raises:
        PartFileError: it cannot be closed. Says how many edges stay open, or what else is wrong.
    """
    mesh = _joined(body)
    where = f"{file}: body {body.name!r}" if body.name else file
    if len(mesh.faces) < 4:
        raise PartFileError(f"{where}: has {len(mesh.faces)} triangles with an area; a solid has at least 4")
    dropped = len(body.triangles) - len(mesh.faces)
    if dropped:
        notes.append(f"dropped {dropped} triangles without an area, or given twice")
    _fill(mesh, where, notes)
    before = np.asarray(mesh.faces).copy()
    trimesh.repair.fix_winding(mesh)  # type: ignore[no-untyped-call]
    trimesh.repair.fix_inversion(mesh, multibody=False)
    turned = int((before != np.asarray(mesh.faces)).any(axis=1).sum())
    if turned:
        notes.append(f"turned {turned} of {len(before)} triangles to look outward")
    if not mesh.is_winding_consistent:
        raise PartFileError(f"{where}: its surface has only one side, as a Moebius strip; give a solid")
    return Solid(np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64))


def _fill(mesh: Any, where: str, notes: list[str]) -> None:
    """Close small holes in place."""
    if mesh.is_watertight:
        return
    count, area = len(mesh.faces), float(mesh.area)
    open_before = _open_edges(mesh)
    trimesh.repair.fill_holes(mesh)
    left = _open_edges(mesh)
    if left:
        raise PartFileError(
            f"{where}: is not watertight: {left} of {len(mesh.edges_unique)} edges belong to one triangle, or to more "
            f"than two; export a solid (in CAD: sew or knit the surfaces), or repair the mesh in MeshLab or Blender"
        )
    new = float(mesh.area) - area
    if new > MOST_FILLED * area:
        raise PartFileError(
            f"{where}: is open: closing its holes takes {100 * new / area:.0f} % new surface, more than "
            f"{100 * MOST_FILLED:.0f} %; close it in CAD, or export a solid instead of a surface"
        )
    notes.append(f"filled holes with {len(mesh.faces) - count} triangles ({open_before} open edges)")


def _open_edges(mesh: Any) -> int:
    """Edges that do not belong to exactly two triangles."""
    _, counts = np.unique(mesh.edges_sorted, axis=0, return_counts=True)
    return int((counts != 2).sum())


def enclosed(solid: Solid) -> tuple[float, float]:
    """The volume that a closed surface encloses, and the part of it that is enclosed twice or inside out.

    Counted along the columns of a grid across z: going up, the winding number grows by one where the surface is
    entered and falls where it is left. A clean solid has 1 inside and 0 outside.
    """
    low, high = solid.vertices_m.min(axis=0), solid.vertices_m.max(axis=0)
    step = (high - low)[:2] / COLUMNS * (1 + 1e-9)
    column, height, sign = _crossings(solid, low[:2] + 0.4371 * step, step)
    order = np.lexsort((height, column))
    column, height, sign = column[order], height[order], sign[order]
    total = np.bincount(column, sign, minlength=COLUMNS**2)
    kept = total[column] == 0  # a line that meets an edge misses a triangle: its column is left out
    column, height, winding = column[kept], height[kept], np.cumsum(sign[kept])
    inside = winding[:-1] * (column[1:] == column[:-1])
    gap = np.diff(height) * step.prod()
    return float(gap[inside != 0].sum()), float(gap[(inside != 0) & (inside != 1)].sum())


def _crossings(
    solid: Solid, first: Float64[np.ndarray, " 2"], step: Float64[np.ndarray, " 2"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where vertical lines through a grid's cells cross the surface: column, height, +1 going in and -1 going out."""
    corners = solid.corners_m
    flat = (corners[..., :2] - first) / step
    low = np.clip(np.ceil(flat.min(axis=1)), 0, COLUMNS).astype(np.int64)
    high = np.clip(np.floor(flat.max(axis=1)), -1, COLUMNS - 1).astype(np.int64)
    wide = np.maximum(high - low + 1, 0)
    count = wide.prod(axis=1)
    triangle = np.repeat(np.arange(len(count)), count)
    cell = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    point = low[triangle] + np.stack([cell % wide[triangle, 0], cell // wide[triangle, 0]], axis=1)
    a, b, c = flat[triangle].transpose(1, 0, 2)
    weights = np.stack([_area(point, b, c), _area(point, c, a), _area(point, a, b)], axis=1)
    whole = weights.sum(axis=1)
    hit = ((weights > 0).all(axis=1) | (weights < 0).all(axis=1)) & (np.abs(whole) > 1e-12)
    height = (weights[hit] * corners[triangle[hit], :, 2]).sum(axis=1) / whole[hit]
    return point[hit] @ np.array([1, COLUMNS]), height, np.where(whole[hit] > 0, -1, 1)


def _area(p: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray((a[:, 0] - p[:, 0]) * (b[:, 1] - p[:, 1]) - (a[:, 1] - p[:, 1]) * (b[:, 0] - p[:, 0]))


def union(solids: list[Solid], file: str) -> Solid:
    """Some solids as one, by a boolean union: where they overlap or touch, the inner surfaces go.

    Raises:
        PartFileError: manifold3d cannot join them.
    """
    import manifold3d

    joined = manifold3d.Manifold.batch_boolean([_manifold(solid, file) for solid in solids], manifold3d.OpType.Add)
    mesh = joined.to_mesh64()
    if joined.status() != manifold3d.Error.NoError or not len(mesh.tri_verts):
        raise PartFileError(f"{file}: its bodies cannot be joined; choose one with --body N, or join them in CAD")
    return Solid(np.asarray(mesh.vert_properties, np.float64)[:, :3], np.asarray(mesh.tri_verts, np.int64))


def _manifold(solid: Solid, file: str) -> Any:
    import manifold3d

    mesh = manifold3d.Mesh64(solid.vertices_m, solid.triangles.astype(np.uint64))
    made = manifold3d.Manifold(mesh)
    if made.status() != manifold3d.Error.NoError:
        raise PartFileError(f"{file}: a body of it is no closed solid ({made.status()}); repair it in CAD or MeshLab")
    return made
