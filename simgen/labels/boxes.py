"""Labels from id maps, meshes and poses: boxes, visible shares and 6D poses, in the geometry of the final image.

A pixel has the id of the surface at its centre, so silhouettes are sampled at the pixels' centres too. Image
coordinates are continuous: the centre of pixel (0, 0) is at (0.5, 0.5). Lens distortion moves the vertices of a mesh;
edges between them stay straight. With a rolling shutter each vertex is projected at the time its row is read.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64, Int32, Int64

from simgen.assets.parts import PartModel, drawn, part_model
from simgen.camera import shutter
from simgen.camera.detail import most_px_per_m
from simgen.camera.lens import brown_conrady
from simgen.spec.frames import FrameLabels, Labels, PartLabel, Trajectory
from simgen.spec.geometry import compose, invert, transform, vec3
from simgen.spec.scene import CameraSpec, PartSpec, SceneSpec
from simgen.spec.types import BACKGROUND, Pose

NEAR_M = 0.01  # a part with a vertex at a smaller depth than this has no box
SUNK_M = 0.0005  # a part that reaches further below the stage's top than this may be hidden by the stage

Box = tuple[float, float, float, float]


def annotate(spec: SceneSpec, trajectory: Trajectory, ids: Int32[np.ndarray, "t h w"]) -> Labels:
    """The labels of every part in every frame.

    Args:
        spec: the scene.
        trajectory: the result of `simulate(spec)`.
        ids: for each pixel the index of the visible part, or BACKGROUND, or CLUTTER.

    Raises:
        ValueError: the id maps do not fit the scene: wrong number of frames, wrong size, or an unknown part id.
    """
    camera = spec.camera
    if ids.shape != (spec.frames, camera.height_px, camera.width_px) or ids.max(initial=BACKGROUND) >= len(spec.parts):
        raise ValueError(
            f"id maps of shape {ids.shape} with ids up to {ids.max(initial=BACKGROUND)} are not of a scene of "
            f"{spec.frames} frames, {camera.height_px} by {camera.width_px} pixels, {len(spec.parts)} parts"
        )
    frames = tuple(
        FrameLabels(
            frame=frame,
            time_s=spec.times_s[frame],
            parts=_frame(spec, trajectory, ids[frame], frame),
            world_from_camera=camera.world_from_camera[frame],
        )
        for frame in range(spec.frames)
    )
    return Labels(camera.width_px, camera.height_px, camera.focal_px, camera.centre_px, frames, camera.distortion)


def project(
    points_world: Float[np.ndarray, "n 3"], camera: CameraSpec, frame: int
) -> tuple[Float64[np.ndarray, "n 2"], Float64[np.ndarray, " n"]]:
    """Image positions of world points in pixels, and their depth in metres, at the frame's own time.

    The position of a point at or behind the camera's plane (depth <= 0) is undefined.
    """
    return _pixels(transform(invert(camera.world_from_camera[frame]), points_world), camera)


def camera_from_part(spec: SceneSpec, trajectory: Trajectory, frame: int, part: int) -> Pose:
    """A part's 6D pose in the camera's frame, at the frame's own time."""
    own = shutter.middle(spec, trajectory, frame)
    return compose(invert(spec.camera.world_from_camera[frame]), world_from_part(trajectory, own, part))


def world_from_part(trajectory: Trajectory, moment: int, part: int) -> Pose:
    """A part's 6D pose in the world, at a moment of the trajectory."""
    i, j, k, w = (float(v) for v in trajectory.rotations_xyzw[moment, part])
    return Pose(position_m=vec3(trajectory.positions_m[moment, part]), rotation_xyzw=(i, j, k, w))


def silhouette_px(
    pixels: Float64[np.ndarray, "v 2"],
    triangles: Int32[np.ndarray, "t 3"],
    across: Int32[np.ndarray, "t 3"] | None = None,
) -> tuple[Int64[np.ndarray, "h w"], tuple[int, int]]:
    """The silhouette of a closed mesh: how many front faces cover each pixel's centre, and (x, y) of the first pixel.

    It is each pixel's winding number, summed along rows at the crossings of the front faces' edges. An edge shared by
    two front faces is computed in the same way for both, so that it cancels exactly and only the outline counts.

    Args:
        pixels: the mesh's vertices in image coordinates.
        triangles: the mesh, counter-clockwise from outside; all of it in front of the camera.
        across: the triangle on the other side of each edge, or -1 (`simgen.assets.parts.mesh.neighbours`). With it the
            edges between two front faces are left out, which is faster for large meshes.
    """
    corners = pixels[triangles]
    first, last = np.ceil(pixels.min(axis=0) - 0.5).astype(int), np.floor(pixels.max(axis=0) - 0.5).astype(int)
    width, height = (int(n) for n in np.maximum(last - first + 1, 0))
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    front = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0] < 0  # y is down, so that front faces run clockwise
    used = np.broadcast_to(front[:, None], triangles.shape)
    if across is not None:
        used = used & ~((across >= 0) & front[across])
    starts, ends = corners[used], np.roll(corners, -1, axis=1)[used]
    down = starts[:, 1] < ends[:, 1]
    top, bottom = np.where(down[:, None], starts, ends), np.where(down[:, None], ends, starts)
    from_row, to_row = (np.ceil(end[:, 1] - 0.5).astype(int) - first[1] for end in (top, bottom))
    rows_of = np.maximum(to_row - from_row, 0)
    edge = np.repeat(np.arange(len(rows_of)), rows_of)
    row = from_row[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(rows_of) - rows_of, rows_of)
    share = (row + first[1] + 0.5 - top[edge, 1]) / (bottom[edge, 1] - top[edge, 1])
    crossing = top[edge, 0] + share * (bottom[edge, 0] - top[edge, 0])
    column = np.ceil(crossing - 0.5).astype(int) - first[0]
    steps = np.zeros((height, width + 1), np.int64)
    np.add.at(steps, (row, np.clip(column, 0, width)), np.where(down[edge], 1, -1))
    return np.abs(np.cumsum(steps, axis=1)[:, :width]), (int(first[0]), int(first[1]))


def _pixels(
    points_camera: Float64[np.ndarray, "n 3"], camera: CameraSpec
) -> tuple[Float64[np.ndarray, "n 2"], Float64[np.ndarray, " n"]]:
    """Image positions and depths of points in the camera's frame."""
    depth = points_camera[:, 2]
    safe = np.where(depth > 0, depth, np.inf)
    if camera.distortion == brown_conrady.NONE:
        return camera.focal_px * points_camera[:, :2] / safe[:, None] + np.asarray(camera.centre_px), depth
    distorted = brown_conrady.distort(points_camera[:, :2] / safe[:, None], camera.distortion)
    return camera.focal_px * distorted + np.asarray(camera.centre_px), depth


def _read_out(
    spec: SceneSpec, trajectory: Trajectory, frame: int, part: int, pose: Pose, points_m: Float[np.ndarray, "n 3"]
) -> tuple[Float64[np.ndarray, "n 2"], Float64[np.ndarray, " n"]]:
    """Image positions of a part's points when their row is read, and their depth at the frame's time.

    A point moves through the image while rows are read from top to bottom. It is recorded in the row that is read at
    the moment when the point is there. `pose` is the part's pose for the camera at the frame's time.
    """
    pixels, depth = _pixels(transform(pose, points_m), spec.camera)
    if spec.shutter.row_time_s == 0:
        return pixels, depth
    offsets, own = shutter.offsets_s(spec), shutter.middle(spec, trajectory, frame)
    paths = []
    for k, offset in enumerate(offsets):
        eye = shutter.moved(spec.camera.world_from_camera[frame], spec.camera.velocity_m_s, float(offset))
        moved = world_from_part(trajectory, own - len(offsets) // 2 + k, part)
        paths.append(_pixels(transform(compose(invert(eye), moved), points_m), spec.camera)[0])
    path = np.stack(paths)
    rows_s = (path[..., 1] - spec.camera.height_px / 2) * spec.shutter.row_time_s
    late = offsets[:, None] - rows_s  # seconds since the point's row was read
    after = np.clip((late > 0).argmax(axis=0), 1, None)
    after[(late <= 0).all(axis=0)] = len(offsets) - 1
    point = np.arange(path.shape[1])
    from_s, to_s = late[after - 1, point], late[after, point]
    share = np.clip(-from_s / np.where(to_s > from_s, to_s - from_s, 1.0), 0, 1)[:, None]
    return path[after - 1, point] * (1 - share) + path[after, point] * share, depth


def _frame(spec: SceneSpec, trajectory: Trajectory, ids: Int32[np.ndarray, "h w"], frame: int) -> tuple[PartLabel, ...]:
    """The labels of one frame's parts."""
    boxes, counts = _visible(ids, len(spec.parts))
    labels = []
    for i, part in enumerate(spec.parts):
        model = part_model(part.source)
        camera_pose = camera_from_part(spec, trajectory, frame, i)
        straight = spec.camera.distortion == brown_conrady.NONE and spec.shutter.row_time_s == 0
        corners_m = model.corners_m if straight else _drawn_m(spec, i)  # a lens that bends may move any vertex outward
        pixels, depth = _read_out(spec, trajectory, frame, i, camera_pose, corners_m)
        whole = _bounds(pixels) if depth.min() > NEAR_M and is_there(spec, part, frame) else None
        visible = int(counts[i])
        share = 0.0
        if visible and whole is not None:
            on_stage = _lies_on_stage(model, trajectory, shutter.middle(spec, trajectory, frame), i)
            alone = on_stage and _alone(ids, i, whole)  # then no silhouette is needed
            whole_px = 1 if alone else max(1, _silhouette_area(spec, trajectory, frame, i, camera_pose))
            share = 1.0 if alone else min(1.0, visible / whole_px)
        labels.append(
            PartLabel(
                track_id=i,
                category=part.category,
                box_xyxy_px=_box(boxes[i]) if visible else None,
                amodal_box_xyxy_px=_clipped(whole, spec.camera),
                unclipped_box_xyxy_px=whole,
                visible_share=share,
                visible_px=visible,
                camera_from_part=camera_pose,
            )
        )
    return tuple(labels)


def is_there(spec: SceneSpec, part: PartSpec, frame: int) -> bool:
    """Whether a feeder has let go of a part by a frame's time; other parts are always there."""
    return part.start_s is None or part.start_s <= spec.settle_s + spec.times_s[frame]


def _drawn_m(spec: SceneSpec, part: int) -> Float64[np.ndarray, "v 3"]:
    """The vertices of a part's mesh as it is drawn."""
    mesh = drawn(spec.parts[part].source, most_px_per_m(spec.camera))
    return mesh.model.vertices_m if mesh.scale == 1.0 else mesh.model.vertices_m * mesh.scale


def _visible(ids: Int32[np.ndarray, "h w"], count: int) -> tuple[Int64[np.ndarray, "p 4"], Int64[np.ndarray, " p"]]:
    """The box of each part's visible pixels (undefined where it has none), and their number."""
    pixels = np.flatnonzero(ids >= 0)
    part = ids.ravel()[pixels]
    y, x = np.divmod(pixels, ids.shape[1])
    boxes = np.zeros((count, 4), np.int64)
    for axis, coordinate, length in ((0, x, ids.shape[1]), (1, y, ids.shape[0])):
        covered = np.zeros((count, length), np.bool_)  # columns, then rows, that each part covers
        covered[part, coordinate] = True
        boxes[:, axis] = covered.argmax(axis=1)
        boxes[:, axis + 2] = length - covered[:, ::-1].argmax(axis=1)
    return boxes, np.bincount(part, minlength=count).astype(np.int64)


def _silhouette_area(spec: SceneSpec, trajectory: Trajectory, frame: int, part: int, pose: Pose) -> int:
    """How many pixels the part would have with nothing in front and no frame edge."""
    model = drawn(spec.parts[part].source, most_px_per_m(spec.camera)).model
    pixels, _ = _read_out(spec, trajectory, frame, part, pose, _drawn_m(spec, part))
    cover, _ = silhouette_px(pixels, model.triangles, model.neighbours)
    return int(np.count_nonzero(cover))


def _alone(ids: Int32[np.ndarray, "h w"], part: int, box: Box) -> bool:
    """Whether the box is inside the frame and shows only this part and background."""
    height, width = ids.shape
    if box[0] < 0 or box[1] < 0 or box[2] > width or box[3] > height:
        return False
    window = ids[int(box[1]) : int(np.ceil(box[3])), int(box[0]) : int(np.ceil(box[2]))]
    return bool(((window == part) | (window == BACKGROUND)).all())


def _lies_on_stage(model: PartModel, trajectory: Trajectory, moment: int, part: int) -> bool:
    """Whether no part of the mesh is below the stage's top, where the stage would hide it."""
    heights_m = transform(world_from_part(trajectory, moment, part), model.corners_m)[:, 2]
    return bool(heights_m.min() > -SUNK_M)


def _bounds(pixels: Float64[np.ndarray, "v 2"]) -> Box:
    return _box(np.concatenate([pixels.min(axis=0), pixels.max(axis=0)]))


def _box(box: Float64[np.ndarray, "4"] | Int64[np.ndarray, "4"]) -> Box:
    x_min, y_min, x_max, y_max = (float(v) for v in box)
    return x_min, y_min, x_max, y_max


def _clipped(box: Box | None, camera: CameraSpec) -> Box | None:
    """The part of a box inside the frame, or None."""
    if box is None:
        return None
    x_min, y_min = max(box[0], 0.0), max(box[1], 0.0)
    x_max, y_max = min(box[2], float(camera.width_px)), min(box[3], float(camera.height_px))
    return (x_min, y_min, x_max, y_max) if x_min < x_max and y_min < y_max else None
