"""Optical flow from depth, ids and poses: the displacement of each pixel's surface point to the next frame.

A pixel's centre and depth give a point in the world. The point moves with its body (a part, an occluder, the belt's
top, or the static world) and is projected with the next frame's camera. The flow is exact, without anti-aliasing, and
the same for every renderer. Lens distortion applies at both ends, as for ids and depth. With a rolling shutter each end
is at the time when its own row is read. A point that is occluded in the next frame has a flow too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, Int64

from simgen.assets.parts import part_model
from simgen.camera import shutter
from simgen.camera.lens import brown_conrady
from simgen.labels.boxes import NEAR_M, world_from_part
from simgen.spec.frames import Trajectory
from simgen.spec.geometry import IDENTITY, invert, transform, vec3
from simgen.spec.scene import CameraSpec, SceneSpec
from simgen.spec.types import CLUTTER, Pose

STILL, BELT = -1, -2  # body numbers beside the parts and decoys (from 0) and the occluders (after them)
ON_TOP_M = 5e-4  # tolerance of the depth for points on the stage's top
ON_BODY_M = 2e-3  # and for points on an occluder
READ_OUT_ROUNDS = 4  # iterations to find the row that reads a moving point

Points = Float64[np.ndarray, "n 3"]


def flow_px(
    spec: SceneSpec,
    trajectory: Trajectory,
    frame: int,
    ids: Int32[np.ndarray, "h w"],
    depth_m: Float32[np.ndarray, "h w"],
) -> Float32[np.ndarray, "h w 2"]:
    """Displacement in pixels (right, down) from a frame's pixel centres to the same points in the next frame.

    NaN in the last frame, where no surface is visible (infinite depth), and where a point moves to or behind the
    camera's plane.

    Args:
        spec: the scene.
        trajectory: the result of `simulate(spec)`.
        frame: number of the frame.
        ids: for each pixel the index of the visible part, or BACKGROUND, or CLUTTER.
        depth_m: along the optical axis.
    """
    flow = np.full((*ids.shape, 2), np.nan, np.float32)
    if frame + 1 >= spec.frames:
        return flow
    moments = _Moments(spec, trajectory)
    rows, columns = np.nonzero(np.isfinite(depth_m))
    pixels = np.stack([columns, rows], axis=1) + 0.5
    now = moments.of_rows(frame, pixels[:, 1])
    points = _back_projected(spec.camera, moments, pixels, depth_m[rows, columns].astype(np.float64), now)
    bodies = _bodies(spec, moments, ids[rows, columns], points, now)
    local = moments.transformed(points, bodies, now, to_local=True)
    later = moments.of_rows(frame + 1, np.full(len(rows), spec.camera.height_px / 2))
    for _ in range(READ_OUT_ROUNDS if spec.shutter.row_time_s else 1):
        world = moments.transformed(local, bodies, later, to_local=False)
        moved = _projected(spec.camera, moments, world, later)
        later = moments.of_rows(frame + 1, np.where(np.isfinite(moved[:, 1]), moved[:, 1], 0.0))
    flow[rows, columns] = moved - pixels
    return flow


@dataclass(frozen=True)
class _Moments:
    """Poses of camera and bodies at the moments of a trajectory."""

    spec: SceneSpec
    trajectory: Trajectory

    def of_rows(self, frame: int, rows_px: Float64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        """The moments at which a frame's rows are read."""
        last = self.spec.camera.height_px - 1
        row = np.clip(np.floor(rows_px), 0, last).astype(np.int64)
        return np.asarray(frame * shutter.subframes(self.spec) + shutter.row_subframes(self.spec)[row], np.int64)

    @cached_property
    def cameras(self) -> tuple[Pose, ...]:
        """`world_from_camera` at each moment."""
        return shutter.camera_poses(self.spec)

    def pose(self, body: int, moment: int) -> Pose:
        """`world_from_body` of a part, a decoy, an occluder, the belt, or the static world."""
        parts = len(self.spec.solids)
        if body == BELT:
            return Pose(
                position_m=(self.trajectory.surface_shift_m(moment), 0.0, 0.0),
                rotation_xyzw=IDENTITY.rotation_xyzw,
            )
        if 0 <= body < parts:
            return world_from_part(self.trajectory, moment, body)
        if body >= parts:
            position_m = vec3(self.trajectory.occluder_positions_m[moment, body - parts])
            rotation_xyzw = self.spec.occluders[body - parts].world_from_body.rotation_xyzw
            return Pose(position_m=position_m, rotation_xyzw=rotation_xyzw)
        return IDENTITY

    def transformed(
        self, points_m: Points, bodies: Int64[np.ndarray, " n"], moments: Int64[np.ndarray, " n"], *, to_local: bool
    ) -> Points:
        """Points from the world to their bodies' frames (`to_local`), or from there to the world."""
        result_m = points_m.copy()
        for body, moment in np.unique(np.stack([bodies, moments], axis=1), axis=0).tolist():
            chosen = (bodies == body) & (moments == moment)
            pose = self.pose(body, moment)
            result_m[chosen] = transform(invert(pose) if to_local else pose, points_m[chosen])
        return result_m


def _back_projected(
    camera: CameraSpec,
    moments: _Moments,
    pixels: Float64[np.ndarray, "n 2"],
    depth_m: Float64[np.ndarray, " n"],
    at_moment: Int64[np.ndarray, " n"],
) -> Points:
    """World points of image positions with a depth."""
    ideal = brown_conrady.undistort((pixels - np.asarray(camera.centre_px)) / camera.focal_px, camera.distortion)
    points = np.concatenate([ideal * depth_m[:, None], depth_m[:, None]], axis=1)
    for moment in np.unique(at_moment).tolist():
        chosen = at_moment == moment
        points[chosen] = transform(moments.cameras[moment], points[chosen])
    return points


def _projected(
    camera: CameraSpec, moments: _Moments, points_m: Points, at_moment: Int64[np.ndarray, " n"]
) -> Float64[np.ndarray, "n 2"]:
    """Image positions of world points; NaN at and behind the camera's plane."""
    pixels = np.full((len(points_m), 2), np.nan)
    for moment in np.unique(at_moment).tolist():
        chosen = np.flatnonzero(at_moment == moment)
        in_camera = transform(invert(moments.cameras[moment]), points_m[chosen])
        ahead = in_camera[:, 2] > NEAR_M
        ideal = in_camera[ahead, :2] / in_camera[ahead, 2:]
        pixels[chosen[ahead]] = camera.focal_px * brown_conrady.distort(ideal, camera.distortion) + camera.centre_px
    return pixels


def _bodies(
    spec: SceneSpec,
    moments: _Moments,
    ids: Int32[np.ndarray, " n"],
    points_m: Points,
    at_moment: Int64[np.ndarray, " n"],
) -> Int64[np.ndarray, " n"]:
    """The body that each point moves with: a part, a decoy, an occluder, BELT or STILL."""
    bodies = np.where(ids >= 0, ids, STILL).astype(np.int64)
    if moments.trajectory.surface_shifts_m is not None:
        bodies[(ids < 0) & (ids != CLUTTER) & _on_top(spec, points_m)] = BELT
    for number, (low_m, high_m) in _unlabelled(spec):
        for moment in np.unique(at_moment).tolist():
            chosen = (ids == CLUTTER) & (at_moment == moment)
            local_m = transform(invert(moments.pose(number, moment)), points_m[chosen])
            inside = (local_m > low_m - ON_BODY_M) & (local_m < high_m + ON_BODY_M)
            bodies[np.flatnonzero(chosen)[inside.all(axis=1)]] = number
    return bodies


def _unlabelled(spec: SceneSpec) -> Iterator[tuple[int, tuple[np.ndarray, np.ndarray]]]:
    """The numbers of the bodies that move and have no label, and their boxes in their own frames."""
    for number, decoy in enumerate(spec.decoys or (), start=len(spec.parts)):
        corners_m = part_model(decoy.source).corners_m
        yield number, (corners_m.min(axis=0), corners_m.max(axis=0))
    for number, occluder in enumerate(spec.occluders, start=len(spec.solids)):
        half_m = np.asarray(occluder.size_m) / 2
        yield number, (-half_m, half_m)


def _on_top(spec: SceneSpec, points_m: Points) -> Bool[np.ndarray, " n"]:
    """Whether each world point is on the stage's top."""
    half = np.asarray(spec.stage.size_m) / 2
    within = (np.abs(points_m[:, :2]) <= half + ON_TOP_M).all(axis=1)
    return np.asarray(within & (np.abs(points_m[:, 2]) <= ON_TOP_M), np.bool_)
