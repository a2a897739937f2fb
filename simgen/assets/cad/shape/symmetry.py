"""The turns after which a part looks the same: found by comparing its surface with itself, turned.

Candidates come from the shape: half turns about the principal axes; where two moments are equal also turns about z by
1/n of a circle and half turns across z; where all three are equal, turns that map hull facets to hull facets. Each one
is then checked on the surface itself.
"""

from __future__ import annotations

import itertools

import numpy as np
from jaxtyping import Float32, Float64
from scipy.spatial import ConvexHull, cKDTree

from simgen.assets.cad.packed import Symmetries
from simgen.assets.cad.shape.solid import EQUAL, LIKE, Solid
from simgen.spec.geometry import about_z, quaternion

ALIKE = 0.01  # a surface is the same if no point of it is further away, as a share of half the part's mean extent
SAME_COLOUR = 0.1  # in linear RGB
SAMPLES, NEAR = 60_000, 6
# Which samples are turned, and how many must lie on the surface: most candidates fail at the first.
PROBED = ((slice(0, 40), 0.85), (slice(40, 400), 0.98), (slice(400, 4000), 0.998))
MOST_FOLD = 96  # of a gear's teeth
CIRCLE = 1440  # directions about z that are compared
CONTINUOUS = (1.0, 0.1, 2.399963)  # turns about an axis, radians, after which only a turned part looks the same
HALF_TURN = np.diag([1.0, -1.0, -1.0])


class Surface:
    """Points on a solid's surface with their normals, and how far a turned solid is away from it."""

    def __init__(self, solid: Solid, colours: Float32[np.ndarray, "t 3"] | None = None) -> None:
        corners = solid.corners_m
        cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        areas = np.linalg.norm(cross, axis=1)
        rng = np.random.default_rng(0)
        chosen = rng.choice(len(areas), SAMPLES, p=areas / areas.sum())
        u, v = rng.random((2, SAMPLES))
        over = u + v > 1
        u, v = np.where(over, 1 - u, u), np.where(over, 1 - v, v)
        a, b, c = corners[chosen].transpose(1, 0, 2)
        self.points_m = a + u[:, None] * (b - a) + v[:, None] * (c - a)
        self.normals = cross[chosen] / areas[chosen, None]
        self.colours = None if colours is None else colours[chosen]
        self._limit_m = ALIKE / 2 * float(np.prod(np.ptp(solid.vertices_m, axis=0))) ** (1 / 3)
        self._tree = cKDTree(self.points_m)
        self._reach_m = 4 * float(np.sqrt(areas.sum() / 2 / SAMPLES))

    def is_same(self, rotation: Float64[np.ndarray, "3 3"]) -> bool:
        """Whether the part looks the same after this turn about its origin."""
        return all(self._alike(rotation, part) > least for part, least in PROBED)

    def _alike(self, rotation: Float64[np.ndarray, "3 3"], part: slice) -> float:
        """The share of some samples that, turned, lie on the surface and look into its direction.

        The distance is that to the plane of a near sample: samples lie too far apart for that to themselves.
        """
        points, normals = self.points_m[part] @ rotation.T, self.normals[part] @ rotation.T
        distance, near = self._tree.query(points, k=NEAR)
        off = np.abs(np.einsum("nki,nki->nk", points[:, None] - self.points_m[near], self.normals[near]))
        apart = np.maximum(off, np.where(distance > self._reach_m, distance, 0.0))
        facing = np.einsum("ni,nki->nk", normals, self.normals[near]) > 0
        limit = self._limit_m
        alike = (apart < limit) & (facing | (off + distance < limit))
        if self.colours is not None:
            alike &= np.abs(self.colours[part][:, None] - self.colours[near]).max(axis=2) < SAME_COLOUR
        alike = alike.any(axis=1)
        return float(alike.mean())


def symmetries(
    solid: Solid, moments_m2: Float64[np.ndarray, " 3"], colours: Float32[np.ndarray, "t 3"] | None = None
) -> Symmetries:
    """The symmetries of a solid that stands in its part's frame.

    Args:
        moments_m2: its principal moments of inertia.
        colours: of its triangles, where a turned part has to show the same ones.
    """
    surface = Surface(solid, colours)
    a, b, c = moments_m2
    across_equal, all_equal = abs(a - b) < LIKE * max(a, b, c), np.ptp(moments_m2) < EQUAL * max(a, b, c)
    if all_equal and all(surface.is_same(turn) for turn in _arbitrary_turns()):
        return Symmetries(axes=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)))
    if across_equal and all(surface.is_same(about_z(angle)) for angle in CONTINUOUS):
        flip = (quaternion(HALF_TURN),) if surface.is_same(HALF_TURN) else ()
        return Symmetries(rotations_xyzw=flip, axes=((0.0, 0.0, 1.0),))
    if all_equal:
        candidates = _facet_turns(solid)
    elif across_equal:
        candidates = _turns_with_axis(surface)
    else:
        candidates = [np.diag(signs) for signs in ([1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0])]
    found = [quaternion(turn) for turn in candidates if surface.is_same(turn)]
    return Symmetries(rotations_xyzw=tuple(found))


def _arbitrary_turns() -> list[Float64[np.ndarray, "3 3"]]:
    rng = np.random.default_rng(1)
    turns = []
    for _ in range(4):
        turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        turns.append(turn * np.sign(np.linalg.det(turn)))
    return turns


def _turns_with_axis(surface: Surface) -> list[Float64[np.ndarray, "3 3"]]:
    """Turns about z by the largest n of which 1/n of a circle looks the same, and half turns across z."""
    fold = next((n for n in range(MOST_FOLD, 1, -1) if _is_fold(surface, n)), 1)
    turns = [about_z(2 * np.pi * k / fold) for k in range(1, fold)]
    flip = _flip(surface)
    if flip is not None:
        turns += [about_z(2 * np.pi * k / fold) @ flip for k in range(fold)]
    return turns[:127]


def _is_fold(surface: Surface, n: int) -> bool:
    """Whether turns by 1/n of a circle look the same: one of them, and half of them one after the other.

    One alone does not tell: on a gear of 36 teeth 1/37 of a circle is off by less than the tolerance, 18/37 by half a
    tooth.
    """
    return all(surface.is_same(about_z(2 * np.pi * k / n)) for k in (1, n // 2))


def _flip(surface: Surface) -> Float64[np.ndarray, "3 3"] | None:
    """A half turn about an axis across z after which the part looks the same, or None.

    Flipping by the axis at angle a turns the direction d into 2 a - d: the profiles of the upper and of the mirrored
    lower half are compared over all shifts at once.
    """
    profile, flipped = _profile(surface.points_m), _profile(surface.points_m @ HALF_TURN.T)
    spectrum = np.fft.rfft(profile, axis=1) * np.conj(np.fft.rfft(flipped, axis=1))
    likeness = np.fft.irfft(spectrum.sum(axis=0), CIRCLE)
    for shift in np.argsort(-likeness)[:8]:
        turn = about_z(2 * np.pi * shift / CIRCLE) @ HALF_TURN
        if surface.is_same(turn):
            return turn
    return None


def _profile(points_m: Float64[np.ndarray, "n 3"]) -> Float64[np.ndarray, "k c"]:
    """How much surface lies in each direction about z, in steps of height and distance."""
    angle = np.arctan2(points_m[:, 1], points_m[:, 0]) / (2 * np.pi) * CIRCLE
    distance = np.hypot(points_m[:, 0], points_m[:, 1])
    steps = [np.digitize(v, np.linspace(low, high, 9)[1:-1]) for v, low, high in (
        (points_m[:, 2], -np.abs(points_m[:, 2]).max(), np.abs(points_m[:, 2]).max()), (distance, 0, distance.max()),
    )]  # fmt: skip
    cell = (steps[0] * 8 + steps[1]) * CIRCLE + np.floor(angle).astype(int) % CIRCLE
    counts = np.bincount(cell, minlength=64 * CIRCLE).reshape(64, CIRCLE).astype(float)
    smooth = np.sum([np.roll(counts, k, axis=1) for k in range(-3, 4)], axis=0)
    return np.asarray(smooth - smooth.mean(axis=1, keepdims=True))


def _facet_turns(solid: Solid) -> list[Float64[np.ndarray, "3 3"]]:
    """Turns that map the largest facet of the hull, and one beside it, to facets of the same sizes: a cube's 23."""
    hull = ConvexHull(solid.vertices_m)
    corners = hull.points[hull.simplices]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    keys, index = np.unique(np.round(hull.equations[:, :3], 2), axis=0, return_inverse=True)
    area = np.bincount(index.ravel(), areas, minlength=len(keys))
    order = np.argsort(-area, kind="stable")[:24]
    normals, area = keys[order] / np.linalg.norm(keys[order], axis=1, keepdims=True), area[order]
    cos = normals @ normals.T
    beside = next((k for k in range(1, len(order)) if abs(cos[0, k]) < 0.9), None)
    if beside is None:
        return []
    first = _triad(normals[0], normals[beside])
    turns = []
    for i, j in itertools.permutations(range(len(order)), 2):
        alike = np.isclose(area[[i, j]], area[[0, beside]], rtol=0.05).all() and abs(cos[i, j] - cos[0, beside]) < 0.03
        turn = _triad(normals[i], normals[j]).T @ first if alike else np.eye(3)
        if np.trace(turn) < 2.99:
            turns.append(turn)
    return turns[:127]


def _triad(a: Float64[np.ndarray, " 3"], b: Float64[np.ndarray, " 3"]) -> Float64[np.ndarray, "3 3"]:
    across = np.cross(a, b)
    across /= np.linalg.norm(across)
    return np.stack([a, across, np.cross(a, across)])
