"""Check the optical flow of a clip against the poses in its labels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float64

from simgen.camera.lens import brown_conrady
from simgen.dataset.check.report import Problem
from simgen.dataset.format.archive import StoredClip
from simgen.spec.frames import Labels
from simgen.spec.geometry import compose, invert, transform
from simgen.spec.types import Pose

TOLERANCE_PX = 0.5  # depth is stored in steps of 0.1 mm, flow in steps of 1/64 px
MOST_PIXELS = 2000  # of a part that are checked


def wrong_flow(clip: StoredClip, labels: Labels, where: str) -> Iterator[Problem]:
    """The frames whose flow has another size, or does not lead from the parts to their positions in the next frame."""
    for t in range(len(labels.frames)):
        place, flow = f"{where}: frame {t}", clip.flow_px(t)
        if flow.shape[:2] != (labels.height_px, labels.width_px):
            yield Problem("flow", place, f"its flow is of {flow.shape[1]} x {flow.shape[0]} pixels")
        elif t + 1 == len(labels.frames):
            if np.isfinite(flow).any():
                yield Problem("flow", place, "the last frame has a flow, and nothing to flow to")
        else:
            yield from _parts(clip, t, labels, flow, place)


def _parts(clip: StoredClip, t: int, labels: Labels, flow: np.ndarray, place: str) -> Iterator[Problem]:
    ids, depth_m = clip.ids(t), clip.depth_m(t)
    for before, after in zip(labels.frames[t].parts, labels.frames[t + 1].parts, strict=False):
        rows, columns = np.nonzero((ids == before.track_id) & np.isfinite(depth_m) & np.isfinite(flow[..., 0]))
        some = slice(None, None, max(1, len(rows) // MOST_PIXELS))
        rows, columns = rows[some], columns[some]
        if len(rows) == 0:
            continue
        pixels = np.stack([columns, rows], axis=1) + 0.5
        try:
            expected_px = _due(labels, before.camera_from_part, after.camera_from_part, pixels, depth_m[rows, columns])
        except ValueError as error:  # an impossible lens or pose
            yield Problem("flow", f"{place}: part {before.track_id}", str(error))
            continue
        apart = float(np.nanmedian(np.linalg.norm(flow[rows, columns] - expected_px, axis=1)))
        if not apart <= TOLERANCE_PX:
            yield Problem("flow", f"{place}: part {before.track_id}", f"its flow is {apart:.2f} px off its poses'")


def _due(
    labels: Labels, before: Pose, after: Pose, pixels: Float64[np.ndarray, "n 2"], depth_m: np.ndarray
) -> Float64[np.ndarray, "n 2"]:
    """The flow of the pixels of a part, computed from its poses in two frames."""
    ideal = brown_conrady.undistort((pixels - np.asarray(labels.centre_px)) / labels.focal_px, labels.distortion)
    points = np.concatenate([ideal, np.ones((len(pixels), 1))], axis=1) * np.asarray(depth_m, np.float64)[:, None]
    points_after = transform(compose(after, invert(before)), points)
    points_after[points_after[:, 2] <= 0] = np.nan
    projected = brown_conrady.distort(points_after[:, :2] / points_after[:, 2:], labels.distortion)
    return np.asarray(labels.focal_px * projected + np.asarray(labels.centre_px) - pixels, np.float64)
