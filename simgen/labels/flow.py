"""Optical flow from depth, ids and poses: where what is seen at each pixel's centre is in the next frame.

Exact, without anti-aliasing, and the same whatever drew the frames: a pixel's centre and its depth are a point of the
world, the point goes with what it is on (a part, an occluder, the belt's top, or the world), and the next frame's
camera has it somewhere. The lens distorts both ends, as it does ids and depth. With a rolling shutter each end is where
things are when its own row is read. A point that the next frame hides has a flow all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, Int64

from simgen.camera import shutter
from simgen.camera.lens import brown_conrady
from simgen.labels.boxes import NEAR_M, world_from_part
from simgen.spec.frames import Trajectory
from simgen.spec.geometry import IDENTITY, invert, transform, vec3
from simgen.spec.scene import CameraSpec, SceneSpec
from simgen.spec.types import CLUTTER, Pose

STILL, BELT = -1, -2  # what a point goes with, where it is no part (0 and up) and no occluder (behind the parts)
ON_TOP_M = 5e-4  # of the stage: as far as depth may be off
ON_BODY_M = 2e-3
READ_OUT_ROUNDS = 4  # in which a point finds the row that reads it

Points = Float64[np.ndarray, "n 3"]


def flow_px(
    spec: SceneSpec,
    trajectory: Trajectory,
    frame: int,
    ids: Int32[np.ndarray, "h w"],
    depth_m: Float32[np.ndarray, "h w"],
) -> Float32[np.ndarray, "h w 2"]:
    """Displacement in pixels (right, down) from a frame's pixel centres to the same points in the next frame.

    NaN where there is no next frame, where nothing is seen, and where a point comes to lie at or behind the camera's
    plane.

    Args:
        spec: the scene.
        trajectory: what `simulate(spec)` made of it.
        frame: whose pixels they are.
        ids: for each pixel the index of the part seen there, or BACKGROUND, or CLUTTER.
        depth_m: along the optical axis.
    """
    found = np.full((*ids.shape, 2), np.nan, np.float32)
    if frame + 1 >= spec.frames:
        return found
    moments = _Moments(spec, trajectory)
    rows, columns = np.nonzero(np.isfinite(depth_m))
    pixels = np.stack([columns, rows], axis=1) + 0.5
    then = moments.of_rows(frame, pixels[:, 1])
    points = _seen_at(spec.camera, moments, pixels, depth_m[rows, columns].astype(np.float64), then)
    on = _goes_with(spec, moments, ids[rows, columns], points, then)
    local = moments.moved(points, on, then, to_local=True)
    later = moments.of_rows(frame + 1, np.full(len(rows), spec.camera.height_px / 2))
    for _ in range(READ_OUT_ROUNDS if spec.shutter.row_time_s else 1):
        places = _pictured(spec.camera, moments, moments.moved(local, on, later, to_local=False), later)
        later = moments.of_rows(frame + 1, np.where(np.isfinite(places[:, 1]), places[:, 1], 0.0))
    found[rows, columns] = places - pixels
    return found


@dataclass(frozen=True)
class _Moments:
    """Where everything is at the moments of a trajectory."""

    spec: SceneSpec
    trajectory: Trajectory

    def of_rows(self, frame: int, rows_px: Float64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        """The moments at which rows of a frame are read."""
        last = self.spec.camera.height_px - 1
        row = np.clip(np.floor(rows_px), 0, last).astype(np.int64)
        return np.asarray(frame * shutter.subframes(self.spec) + shutter.row_subframes(self.spec)[row], np.int64)

    @cached_property
    def cameras(self) -> tuple[Pose, ...]:
        """World from camera."""
        return shutter.camera_poses(self.spec)

    def pose(self, on: int, moment: int) -> Pose:
        """World from what moves: a part, an occluder, the belt, or the world itself."""
        parts = len(self.spec.parts)
        if on == BELT:
            return Pose(
                position_m=(self.trajectory.surface_shift_m(moment), 0.0, 0.0),
                rotation_xyzw=IDENTITY.rotation_xyzw,
            )
        if 0 <= on < parts:
            return world_from_part(self.trajectory, moment, on)
        if on >= parts:
            at_m = vec3(self.trajectory.occluder_positions_m[moment, on - parts])
            turned = self.spec.occluders[on - parts].world_from_body.rotation_xyzw
            return Pose(position_m=at_m, rotation_xyzw=turned)
        return IDENTITY

    def moved(
        self, points_m: Points, on: Int64[np.ndarray, " n"], moments: Int64[np.ndarray, " n"], *, to_local: bool
    ) -> Points:
        """Points of the world in the frames of what they are on, or back."""
        moved = points_m.copy()
        for body, moment in np.unique(np.stack([on, moments], axis=1), axis=0).tolist():
            chosen = (on == body) & (moments == moment)
            pose = self.pose(body, moment)
            moved[chosen] = transform(invert(pose) if to_local else pose, points_m[chosen])
        return moved


def _seen_at(
    camera: CameraSpec,
    moments: _Moments,
    pixels: Float64[np.ndarray, "n 2"],
    depth_m: Float64[np.ndarray, " n"],
    then: Int64[np.ndarray, " n"],
) -> Points:
    """The world's points at places in the picture, by their depth."""
    ideal = brown_conrady.undistort((pixels - np.asarray(camera.centre_px)) / camera.focal_px, camera.distortion)
    points = np.concatenate([ideal * depth_m[:, None], depth_m[:, None]], axis=1)
    for moment in np.unique(then).tolist():
        chosen = then == moment
        points[chosen] = transform(moments.cameras[moment], points[chosen])
    return points


def _pictured(
    camera: CameraSpec, moments: _Moments, points_m: Points, then: Int64[np.ndarray, " n"]
) -> Float64[np.ndarray, "n 2"]:
    """Where the world's points are in the picture; NaN at and behind the camera's plane."""
    places = np.full((len(points_m), 2), np.nan)
    for moment in np.unique(then).tolist():
        chosen = np.flatnonzero(then == moment)
        seen = transform(invert(moments.cameras[moment]), points_m[chosen])
        ahead = seen[:, 2] > NEAR_M
        ideal = seen[ahead, :2] / seen[ahead, 2:]
        places[chosen[ahead]] = camera.focal_px * brown_conrady.distort(ideal, camera.distortion) + camera.centre_px
    return places


def _goes_with(
    spec: SceneSpec,
    moments: _Moments,
    ids: Int32[np.ndarray, " n"],
    points_m: Points,
    then: Int64[np.ndarray, " n"],
) -> Int64[np.ndarray, " n"]:
    on = np.where(ids >= 0, ids, STILL).astype(np.int64)
    if moments.trajectory.surface_shifts_m is not None:
        on[(ids < 0) & (ids != CLUTTER) & _on_top(spec, points_m)] = BELT
    for i, body in enumerate(spec.occluders):
        for moment in np.unique(then).tolist():
            near = (ids == CLUTTER) & (then == moment)
            pose = moments.pose(len(spec.parts) + i, moment)
            inside = np.abs(transform(invert(pose), points_m[near])) < np.asarray(body.size_m) / 2 + ON_BODY_M
            on[np.flatnonzero(near)[inside.all(axis=1)]] = len(spec.parts) + i
    return on


def _on_top(spec: SceneSpec, points_m: Points) -> Bool[np.ndarray, " n"]:
    half = np.asarray(spec.stage.size_m) / 2
    within = (np.abs(points_m[:, :2]) <= half + ON_TOP_M).all(axis=1)
    return np.asarray(within & (np.abs(points_m[:, 2]) <= ON_TOP_M), np.bool_)
