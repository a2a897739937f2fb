"""How a part comes to rest on a table: by the faces of its convex hull, confirmed by drops.

The hull's faces tell where the part can stand, and how often it would get there without any speed (Wiegley et al.
1996). Drops in a simulator know of speed and of rolling. Both go into the probability: the analysis
counts as much as `ANALYSIS_DROPS` drops.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from scipy.spatial import ConvexHull

from simgen.assets.cad.facts import MAX_POSES
from simgen.assets.cad.packed import RestingPose, Symmetries
from simgen.spec.geometry import quaternion, rotation_matrix

ANALYSIS_DROPS = 50
ONE_POSE_COS = float(np.cos(np.radians(5.0)))  # standing faces that differ by less are one, such as those of a round
FOUND_COS = float(np.cos(np.radians(10.0)))  # between where a drop ended and the pose that it counts for
ROLL_COS = float(np.cos(np.radians(20.0)))  # poses that differ by less are one where the part rolls between them:
ROLL_M = 0.01  # where it then lies as high, to this share of its largest distance from the centre of mass
LEAST = 0.002  # probability of a pose that is kept


@dataclass(frozen=True)
class _Pose:
    up: Float64[np.ndarray, " 3"]  # the table's normal in the part's frame
    share: float


def poses_by_hull(vertices_m: Float64[np.ndarray, "v 3"], symmetries: Symmetries) -> tuple[RestingPose, ...]:
    """The poses in which a body with these vertices can stand, its centre of mass at the origin. Nothing is dropped.

    A body that falls in a direction drawn evenly lands on a face of its hull with the share of the solid angle that the
    face has, seen from the centre. If the centre is not above that face, it tips over the edge beyond which the centre
    lies furthest, until it stands (Wiegley et al. 1996).
    """
    hull = ConvexHull(vertices_m)
    normals = hull.equations[:, :3]
    corners = hull.points[hull.simplices]
    feet = -hull.equations[:, 3:] * normals  # the centre, moved straight onto each face's plane
    ends = _tips_to(corners, normals, feet, hull.neighbors)
    shares = np.bincount(ends, _solid_angles(corners) / (4 * np.pi), minlength=len(normals))
    found = [_Pose(-normals[k], float(shares[k])) for k in np.flatnonzero(shares > 0)]
    return _as_poses(_merged(found, _Likeness(hull.points[hull.vertices], symmetries, ONE_POSE_COS)), vertices_m, [])


def _tips_to(
    corners: Float64[np.ndarray, "t 3 3"],
    normals: Float64[np.ndarray, "t 3"],
    feet: Float64[np.ndarray, "t 3"],
    beside: Any,
) -> Int64[np.ndarray, " t"]:
    """The face on which the body stands in the end, from each face on which it may land.

    Args:
        beside: (t, 3), the face across the edge that lies opposite to each corner.
    """
    other = [np.roll(corners, -shift, axis=1) for shift in (1, 2)]  # the ends of the edge opposite to each corner
    along, to_foot = other[1] - other[0], feet[:, None] - other[0]
    outward = np.cross(along, normals[:, None])
    outward *= np.sign(np.sum(outward * (other[0] - corners), axis=2, keepdims=True))
    beyond = np.sum(outward * to_foot, axis=2) / np.maximum(np.linalg.norm(outward, axis=2), 1e-300)
    worst = beyond.argmax(axis=1)
    rows = np.arange(len(corners))
    size = float(np.abs(corners).max())
    after = np.where(beyond[rows, worst] > 1e-9 * size, np.asarray(beside)[rows, worst], rows).astype(np.int64)
    for _ in range(int(np.ceil(np.log2(len(rows)))) + 1):
        after = after[after]
    return after


def _solid_angles(corners: Float64[np.ndarray, "t 3 3"]) -> Float64[np.ndarray, " t"]:
    """Of triangles, seen from the origin (Van Oosterom and Strackee 1983)."""
    a, b, c = (corners / np.linalg.norm(corners, axis=2, keepdims=True)).transpose(1, 0, 2)
    volume = np.abs(np.sum(a * np.cross(b, c), axis=1))
    base = 1 + np.sum(a * b, axis=1) + np.sum(b * c, axis=1) + np.sum(c * a, axis=1)
    return np.asarray(2 * np.arctan2(volume, base))


def confirmed(
    poses: tuple[RestingPose, ...],
    drops_up: Float64[np.ndarray, "n 3"],
    vertices_m: Float64[np.ndarray, "v 3"],
    symmetries: Symmetries,
) -> tuple[RestingPose, ...]:
    """The poses with probabilities that count the drops too, and poses that only drops found, twice or more.

    Args:
        drops_up: the table's normal in the part's frame, at the end of each drop that came to rest.
    """
    known = [_Pose(rotation_matrix(pose.rotation_xyzw)[2], pose.probability) for pose in poses]
    counts = np.zeros(len(known))
    others = []
    alike = _Likeness(vertices_m, symmetries, FOUND_COS)
    for up in drops_up:
        best = alike.best(up, known)
        if best is None:
            others.append(_Pose(up, 1.0))
        else:
            counts[best] += 1
    new = [pose for pose in _merged(others, alike) if pose.share >= 2]
    counts = np.concatenate([counts, [pose.share for pose in new]])
    by_hull = np.array([pose.share for pose in known] + [0.0] * len(new))
    total = max(float(counts.sum()), 1.0)
    share = (counts + ANALYSIS_DROPS * by_hull) / (counts.sum() + ANALYSIS_DROPS)
    both = [replace(pose, share=float(p)) for pose, p in zip(known + new, share, strict=True)]
    return _as_poses(both, vertices_m, list(counts / total))


@dataclass(frozen=True)
class _Likeness:
    """Which of the table's normals in a part's frame are one pose."""

    vertices_m: Float64[np.ndarray, "v 3"]
    symmetries: Symmetries
    least_cos: float

    def best(self, up: Float64[np.ndarray, " 3"], poses: list[_Pose]) -> int | None:
        """The pose that this normal belongs to; None: it is another one."""
        cos = np.array([likeness(up, pose.up, self.symmetries) for pose in poses])
        for k in np.argsort(-cos, kind="stable").tolist():
            if cos[k] <= min(self.least_cos, ROLL_COS):
                return None
            if cos[k] > self.least_cos or self._rolls(up, poses[k].up):
                return int(k)
        return None

    def _rolls(self, a: Float64[np.ndarray, " 3"], b: Float64[np.ndarray, " 3"]) -> bool:
        """Whether the part lies as high in both, as a round one does."""
        heights_m = -(self.vertices_m @ np.stack([a, b], axis=1)).min(axis=0)
        return bool(np.ptp(heights_m) < ROLL_M * np.linalg.norm(self.vertices_m, axis=1).max())


def likeness(a: Float64[np.ndarray, " 3"], b: Float64[np.ndarray, " 3"], symmetries: Symmetries) -> float:
    """The largest cosine between one direction in a part and all that its symmetries make of another one."""
    turned = [b, *(rotation_matrix(rotation) @ b for rotation in symmetries.rotations_xyzw)]
    if len(symmetries.axes) > 1:
        return 1.0
    if not symmetries.axes:
        return float(np.max(np.array(turned) @ a))
    axis = np.array(symmetries.axes[0])
    angle = np.arccos(np.clip(axis @ a, -1, 1))
    return float(max(np.cos(angle - np.arccos(np.clip(axis @ other, -1, 1))) for other in turned))


def _merged(found: list[_Pose], alike: _Likeness) -> list[_Pose]:
    """The poses, likeliest first, with those that are one added to the likest of them."""
    merged: list[_Pose] = []
    for pose in sorted(found, key=lambda pose: (-round(pose.share, 9), *np.round(-pose.up, 6))):
        k = alike.best(pose.up, merged)
        if k is None:
            merged.append(pose)
        else:
            merged[k] = replace(merged[k], share=merged[k].share + pose.share)
    return merged


def _as_poses(
    found: list[_Pose], vertices_m: Float64[np.ndarray, "v 3"], dropped: list[float]
) -> tuple[RestingPose, ...]:
    """The likeliest poses, with probabilities that add up to 1."""
    shares = dropped or [0.0] * len(found)
    rows = sorted(zip(found, shares, strict=True), key=lambda row: (-round(row[0].share, 9), *np.round(row[0].up, 6)))
    rows = [row for k, row in enumerate(rows) if not k or row[0].share >= LEAST][:MAX_POSES]
    total = sum(pose.share for pose, _ in rows)
    return tuple(
        RestingPose(
            rotation_xyzw=quaternion(_upright(pose.up)),
            height_m=float(-(vertices_m @ pose.up).min()),
            probability=pose.share / total,
            drop_share=share,
        )
        for pose, share in rows
    )


def _upright(up: Float64[np.ndarray, " 3"]) -> Float64[np.ndarray, "3 3"]:
    """The smallest turn that makes a direction in the part the table's z."""
    up = up / np.linalg.norm(up)
    cos = float(up[2])
    if cos < -1 + 1e-9:
        return np.diag([1.0, -1.0, -1.0])
    x, y = up[0], up[1]
    cross = np.array([[0.0, 0.0, -x], [0.0, 0.0, -y], [x, y, 0.0]])
    return np.asarray(np.eye(3) + cross + cross @ cross / (1 + cos))
