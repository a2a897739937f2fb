"""Global and rolling shutter: the sub-frames of each frame, and their weights in each row.

A frame's time is the middle of its middle row's exposure. Row r's exposure is centred (r + 1/2 - h/2) * `row_time_s`
later and lasts `exposure_s`, so the whole frame takes h * row_time_s + exposure_s. That time is divided into
`subframes` equal intervals. A moment is rendered in the middle of each. A row is the mean of the intervals that its
exposure overlaps, weighted by the overlap. Ids, depth and boxes are those in the middle of the row's own exposure;
poses in the labels are those at the frame's time.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64, Int64

from simgen.spec.frames import Trajectory
from simgen.spec.scene import SceneSpec
from simgen.spec.types import Pose


def is_open(spec: SceneSpec) -> bool:
    """Whether a frame takes time (exposure or read-out); else it is one moment."""
    return spec.shutter.exposure_s > 0 or spec.shutter.row_time_s > 0


def subframes(spec: SceneSpec) -> int:
    """How many moments are rendered for each frame.

    Raises:
        ValueError: the number is even, which has no middle, or below 1.
    """
    count = spec.shutter.subframes if is_open(spec) else 1
    if count < 1 or count % 2 == 0:
        raise ValueError(f"shutter.subframes: needs an odd number, of which one is the middle, got {count}")
    return count


def duration_s(spec: SceneSpec) -> float:
    """Time from the start of the first row's exposure to the end of the last row's."""
    return spec.shutter.row_time_s * spec.camera.height_px + spec.shutter.exposure_s


def offsets_s(spec: SceneSpec) -> Float64[np.ndarray, " k"]:
    """A frame's moments relative to the frame's time; the middle one is 0."""
    count = subframes(spec)
    return np.asarray((np.arange(count) - count // 2) * (duration_s(spec) / count), np.float64)


def moments_s(spec: SceneSpec) -> Float64[np.ndarray, " t"] | None:
    """The moments of all frames in order, relative to the first frame's time; None where each frame is one moment.

    Raises:
        ValueError: a frame takes longer than the interval between frames.
    """
    if not is_open(spec):
        return None
    frame_s = duration_s(spec)
    starts = np.asarray(spec.times_s)
    shortest_s = spec.frame_interval_s if spec.frame_times_s is None else float(np.diff(starts).min(initial=np.inf))
    if spec.frames > 1 and frame_s > shortest_s * (1 + 1e-9):
        raise ValueError(
            f"a frame's exposure and read-out take {frame_s:.4g} s ({spec.shutter.exposure_s:.4g} s, and "
            f"{spec.camera.height_px} rows of {spec.shutter.row_time_s:.4g} s), longer than the "
            f"{shortest_s:.4g} s to the next: shorten them, or raise timing.frame_interval_s or timing.frame_step_m"
        )
    return np.asarray((starts[:, None] + offsets_s(spec)).ravel(), np.float64)


def camera_poses(spec: SceneSpec) -> tuple[Pose, ...]:
    """`world_from_camera` at every moment."""
    if not is_open(spec):
        return spec.camera.world_from_camera
    velocity, offsets = spec.camera.velocity_m_s, offsets_s(spec)
    return tuple(moved(pose, velocity, float(s)) for pose in spec.camera.world_from_camera for s in offsets)


def moved(pose: Pose, velocity_m_s: tuple[float, float, float], seconds: float) -> Pose:
    """A pose after so many seconds at a constant velocity."""
    x, y, z = (p + v * seconds for p, v in zip(pose.position_m, velocity_m_s, strict=True))
    return Pose(position_m=(x, y, z), rotation_xyzw=pose.rotation_xyzw)


def row_offsets_s(spec: SceneSpec) -> Float64[np.ndarray, " h"]:
    """The middle of each row's exposure, relative to the frame's time."""
    height = spec.camera.height_px
    return np.asarray((np.arange(height) + 0.5 - height / 2) * spec.shutter.row_time_s, np.float64)


def row_subframes(spec: SceneSpec) -> Int64[np.ndarray, " h"]:
    """The sub-frame in the middle of each row's exposure."""
    count, cell_s = subframes(spec), duration_s(spec) / subframes(spec)
    if count == 1:
        return np.zeros(spec.camera.height_px, np.int64)
    nearest = np.rint(row_offsets_s(spec) / cell_s) + count // 2
    return np.asarray(np.clip(nearest, 0, count - 1), np.int64)


def row_shares(spec: SceneSpec) -> Float32[np.ndarray, "k h"]:
    """The weight of each sub-frame in each row's light; a column sums to one."""
    count, rows = subframes(spec), row_offsets_s(spec)
    exposure_s, cell_s = spec.shutter.exposure_s, duration_s(spec) / count
    if exposure_s <= 0 or count == 1:
        return np.asarray(np.arange(count)[:, None] == row_subframes(spec), np.float32)
    starts = offsets_s(spec)[:, None] - cell_s / 2
    opens, closes = rows - exposure_s / 2, rows + exposure_s / 2
    overlap_s = np.minimum(starts + cell_s, closes) - np.maximum(starts, opens)
    return np.asarray(np.maximum(overlap_s, 0) / exposure_s, np.float32)


def middle(spec: SceneSpec, trajectory: Trajectory, frame: int) -> int:
    """Index of the moment of a trajectory at a frame's own time."""
    each = len(trajectory.positions_m) // spec.frames
    return frame * each + each // 2
