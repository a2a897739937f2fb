"""Flat cards from cut-out pictures, for decoys: a thin solid with the picture's outline, its colours on both sides.

The card is a packed part, so every renderer and every data set takes it as an imported part. Its colours are at the
corners of a grid: a card shows no more detail than that. Light and shadow of the photo stay in it.
"""

from __future__ import annotations

import hashlib
import re

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, UInt8

from simgen.assets.cad.packed import Origin, PackedPart, RestingPose, Symmetries
from simgen.assets.parts.mesh import Mesh, mass_properties
from simgen.spec.colour import linear_from_srgb
from simgen.spec.geometry import vec3

CARD_M = 0.1  # longest side of every card; a scene scales it
THICKNESS = 1 / 60  # of the longest side
DENSITY_KG_M3 = 800.0  # of cardboard
MOST_CELLS, LONGEST_CELLS = 3000, 90  # of the grid that lies over the picture
FEWEST_PX = 16  # longer side of what is cut out
WHITEST = 0.9  # albedo of paper: a photo's white is no brighter
HULL_CORNERS = 30  # of the outline that collides

Colours = UInt8[np.ndarray, "h w 3"]
Alpha = UInt8[np.ndarray, "h w"]


def card(pixels: Colours, alpha: Alpha, name: str, category: str, file: str) -> PackedPart | str:
    """The card of a picture, or the reason why there is none.

    Args:
        pixels: sRGB.
        alpha: 0 outside of the thing, 255 inside. The largest connected region is taken.
        name: of the thing; what a part's name may not have is left out.
        file: the name of the picture's file.
    """
    inside = _largest(alpha >= 128)
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not len(rows) or max(np.ptp(rows), np.ptp(columns)) + 1 < FEWEST_PX:
        return f"what it shows is under {FEWEST_PX} px long"
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    colours, cover = _grid(np.ascontiguousarray(pixels[box]), np.where(inside, alpha, np.uint8(0))[box])
    points, triangles, nearest = _filled(cover)
    if not len(triangles):
        return "what it shows is too thin"
    extent = np.ptp(points, axis=0)
    flat_m = points * [1.0, -1.0] * (CARD_M / extent.max())  # rows of a picture run down
    solid, normals, source = _extruded(flat_m, triangles[:, ::-1], THICKNESS * CARD_M)
    volume_m3, centre_m, inertia_m2 = mass_properties(solid)
    moments, axes = np.linalg.eigh(inertia_m2[:2, :2])
    turn = np.eye(3)
    turn[:2, :2] = axes.T * [[1.0], [np.linalg.det(axes)]]
    placed_m = (solid.vertices_m - centre_m) @ turn.T
    rgb = np.minimum(linear_from_srgb(colours.reshape(-1, 3)[nearest]), WHITEST)
    digest = hashlib.sha256(pixels.tobytes() + alpha.tobytes()).hexdigest()
    half_m = THICKNESS * CARD_M / 2
    return PackedPart(
        name=re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-._")[:64] or "cutout",
        category=category,
        origin=Origin(file=file[:200].strip(), unit="m", sha256=digest),
        material=None,
        density_kg_m3=DENSITY_KG_M3,
        volume_m3=volume_m3,
        inertia_m2=vec3(np.array([*moments, inertia_m2[2, 2]])),
        vertices_m=placed_m.astype(np.float32),
        normals=(normals @ turn.T).astype(np.float32),
        triangles=solid.triangles,
        colours=rgb[source].astype(np.float32),
        hulls_m=(_hull(placed_m, half_m),),
        resting_poses=tuple(
            RestingPose(rotation_xyzw=rotation, height_m=half_m, probability=0.5, drop_share=0.5)
            for rotation in ((0.0, 0.0, 0.0, 1.0), (1.0, 0.0, 0.0, 0.0))
        ),
        symmetries=Symmetries(),
    )


def _largest(inside: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """The largest connected region."""
    count, regions, facts, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8), connectivity=4)
    if count < 2:
        return inside
    return np.asarray(regions == 1 + int(np.argmax(facts[1:, cv2.CC_STAT_AREA])))


def _grid(pixels: Colours, alpha: Alpha) -> tuple[Float64[np.ndarray, "r c 3"], Float64[np.ndarray, "r c"]]:
    """Colours and cover (0 to 1) at the corners of a grid over the picture, with a border that is empty.

    A colour is the mean of what is inside of the thing, so the background does not bleed into its edge.
    """
    height, width = alpha.shape
    step = max(1.0, max(height, width) / LONGEST_CELLS, float(np.sqrt((alpha >= 128).sum() / MOST_CELLS)))
    size = (max(3, round(width / step)), max(3, round(height / step)))
    cover = (alpha / np.float32(255)).astype(np.float32)
    light = cv2.resize(pixels.astype(np.float32) / 255 * cover[..., None], size, interpolation=cv2.INTER_AREA)
    share = np.asarray(cv2.resize(cover, size, interpolation=cv2.INTER_AREA), np.float64)
    colours = np.clip(light / np.maximum(share, 1e-3)[..., None], 0, 1)
    border = ((1, 1), (1, 1))
    return np.pad(colours, (*border, (0, 0))), np.pad(share, border)


def _filled(
    cover: Float64[np.ndarray, "r c"],
) -> tuple[Float64[np.ndarray, "v 2"], Int64[np.ndarray, "t 3"], Int64[np.ndarray, " v"]]:
    """The region where the cover is over a half: points (x, y) in cells, triangles, and the grid corner of each point.

    Marching squares (Maple, "Geometric design and space planning using the marching squares and marching cube
    algorithms", 2003), where a cell's region is one polygon. Seen with y down, the triangles run clockwise.
    """
    inside = cover >= 0.5
    corner = np.arange(cover.size).reshape(cover.shape)
    points, nearest = [np.argwhere(inside)[:, ::-1].astype(np.float64)], [corner[inside]]
    number = np.full(cover.shape, -1)
    number[inside] = np.arange(inside.sum())
    sides = []  # the number of the point on each side of a cell that is crossed: across, then down
    start = int(inside.sum())
    for axis in (1, 0):
        first, last = _pairs(axis)
        crossed = inside[first] != inside[last]
        a, b = cover[first][crossed], cover[last][crossed]
        at = np.argwhere(crossed)[:, ::-1].astype(np.float64)
        at[:, 1 - axis] += np.clip((0.5 - a) / (b - a), 0.02, 0.98)
        points.append(at)
        nearest.append(np.where(a >= 0.5, corner[first][crossed], corner[last][crossed]))
        on_side = np.full(crossed.shape, -1)
        on_side[crossed] = start + np.arange(len(at))
        sides.append(on_side)
        start += len(at)
    across, down = sides
    slots = np.stack(  # the eight points round each cell, -1 where there is none
        [number[:-1, :-1], across[:-1], number[:-1, 1:], down[:, 1:], number[1:, 1:], across[1:], number[1:, :-1],
         down[:, :-1]], axis=-1,
    ).reshape(-1, 8)  # fmt: skip
    return np.concatenate(points), _fans(slots), np.concatenate(nearest)


def _pairs(axis: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """What selects the first and the last corner of each side of the grid along an axis."""
    whole, first, last = slice(None), slice(None, -1), slice(1, None)
    return ((whole, first), (whole, last)) if axis else ((first, whole), (last, whole))


def _fans(slots: Int64[np.ndarray, "n 8"]) -> Int64[np.ndarray, "t 3"]:
    """The triangles of the convex polygons in rows of points, of which -1 is none."""
    counts = (slots >= 0).sum(axis=1)
    fans = [np.zeros((0, 3), np.int64)]
    for count in range(3, 9):
        polygons = slots[counts == count]
        polygons = polygons[polygons >= 0].reshape(-1, count)
        fans += [polygons[:, [0, k, k + 1]] for k in range(1, count - 1)]
    return np.concatenate(fans)


def _extruded(
    points_m: Float64[np.ndarray, "v 2"], triangles: Int64[np.ndarray, "t 3"], thickness_m: float
) -> tuple[Mesh, Float64[np.ndarray, "n 3"], Int64[np.ndarray, " n"]]:
    """The solid over a flat mesh, its normals, and the point of the flat mesh below each of its vertices.

    Top, bottom and each stretch of the side have vertices of their own, for sharp edges.
    """
    count = len(points_m)
    starts, ends = triangles.ravel(), np.roll(triangles, -1, axis=1).ravel()
    is_rim = ~np.isin(starts * count + ends, ends * count + starts)
    a, b = starts[is_rim], ends[is_rim]
    along = points_m[b] - points_m[a]
    outward = np.stack([along[:, 1], -along[:, 0]], axis=1) / np.linalg.norm(along, axis=1, keepdims=True)
    source = np.concatenate([np.arange(count), np.arange(count), a, a, b, b])
    rim, half_m = np.full(len(a), thickness_m / 2), np.full(count, thickness_m / 2)
    heights = np.concatenate([half_m, -half_m, rim, -rim, rim, -rim])
    vertices_m = np.column_stack([points_m[source], heights])
    up = np.tile([0.0, 0.0, 1.0], (count, 1))
    side = np.column_stack([outward, np.zeros(len(a))])
    a_top, a_low, b_top, b_low = (2 * count + k * len(a) + np.arange(len(a)) for k in range(4))
    walls = [np.stack([a_top, a_low, b_low], axis=1), np.stack([a_top, b_low, b_top], axis=1)]
    faces = np.concatenate([triangles, triangles[:, ::-1] + count, *walls]).astype(np.int32)
    return Mesh(vertices_m, faces), np.concatenate([up, -up, *[side] * 4]), source


def _hull(vertices_m: Float64[np.ndarray, "v 3"], half_m: float) -> Float64[np.ndarray, "n 3"]:
    """The corners of the convex hull of the outline, as high as the card."""
    outline: Float32[np.ndarray, "n 2"] = cv2.convexHull(vertices_m[:, :2].astype(np.float32))[:, 0]
    some = outline[np.unique(np.linspace(0, len(outline), HULL_CORNERS, endpoint=False).astype(int))].astype(np.float64)
    return np.concatenate([np.column_stack([some, np.full(len(some), z)]) for z in (-half_m, half_m)])
