"""A data set for the viewer Rerun (rerun-sdk, an optional extra): pictures, labels, depth, camera and parts in space.

Below `world` lie the stage, the parts as meshes, and `camera` with the picture, its boxes, ids and depth. The timeline
`picture` counts all frames of all scenes, `scene` tells the scene. A scene clears the one before.

The camera is drawn as a pinhole: a lens' distortion is in the picture, not in the rays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from simgen.assets.parts import part_model
from simgen.dataset.contact_sheet import COLOURS
from simgen.dataset.format.archive import StoredClip
from simgen.spec.errors import ExportError
from simgen.spec.frames import FrameLabels, Labels
from simgen.spec.geometry import compose
from simgen.spec.install import install_hint
from simgen.spec.scene import SceneSpec
from simgen.spec.types import Pose

if TYPE_CHECKING:
    from rerun import RecordingStream

WORLD, CAMERA = "world", "world/camera"
GREY = (128, 132, 138)
FIRST_CLASS = 1  # of a category in the picture of ids; 0 is all that is no part


def rerun() -> Any:
    """The module of rerun-sdk.

    Raises:
        ExportError: it is not installed.
    """
    try:
        import rerun
    except ImportError:
        raise ExportError(f"simgen view needs rerun-sdk, which is not installed: {install_hint('view')}") from None
    return rerun


def log_clips(stream: RecordingStream, clips: Iterable[StoredClip], categories: Sequence[str]) -> Iterator[int]:
    """Log clips one after the other. Yields the index of each scene when it is logged.

    Raises:
        ShardError: a clip is damaged.
        MissingContent: the file of an imported part is not known here.
    """
    rr = rerun()
    classes = {name: FIRST_CLASS + i for i, name in enumerate(categories)}
    names = [(number, name, COLOURS[i % len(COLOURS)]) for i, (name, number) in enumerate(classes.items())]
    stream.log("/", rr.AnnotationContext([(0, "no part", (0, 0, 0, 0)), *names]), static=True)
    stream.log(WORLD, rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
    pictures = count()
    for clip in clips:
        labels, spec = clip.labels(), clip.spec()
        stream.set_time("scene", sequence=clip.index)
        for t, frame in enumerate(labels.frames[: clip.frames]):
            stream.set_time("picture", sequence=next(pictures))
            if t == 0:
                stream.log(WORLD, rr.Clear(recursive=True))
                _log_things(stream, spec, classes)
            _log_frame(stream, clip, labels, frame, t, classes)
        yield clip.index


def _log_things(stream: RecordingStream, spec: SceneSpec, classes: Mapping[str, int]) -> None:
    """What keeps its shape during a clip: the stage, and the parts' meshes."""
    rr, stage = rerun(), spec.stage
    half = (stage.size_m[0] / 2, stage.size_m[1] / 2, stage.thickness_m / 2)
    box = rr.Boxes3D(half_sizes=[half], centers=[(0.0, 0.0, -half[2])], colors=[GREY])
    stream.log(f"{WORLD}/stage", box)
    for i, part in enumerate(spec.parts):
        model = part_model(part.source)
        colour = COLOURS[(classes.get(part.category, FIRST_CLASS) - FIRST_CLASS) % len(COLOURS)]
        mesh = rr.Mesh3D(
            vertex_positions=model.vertices_m.astype(np.float32),
            triangle_indices=model.triangles,
            vertex_normals=model.normals.astype(np.float32),
            albedo_factor=colour,
        )
        stream.log(part_path(i), mesh)


def part_path(track_id: int) -> str:
    """Where a part stands in the recording."""
    return f"{WORLD}/parts/{track_id}"


def _log_frame(
    stream: RecordingStream, clip: StoredClip, labels: Labels, frame: FrameLabels, t: int, classes: Mapping[str, int]
) -> None:
    rr = rerun()
    pinhole = rr.Pinhole(
        resolution=(labels.width_px, labels.height_px),
        focal_length=labels.focal_px,
        principal_point=labels.centre_px,
        camera_xyz=rr.ViewCoordinates.RDF,
        image_plane_distance=0.2,
    )
    stream.log(CAMERA, pinhole, _transform(frame.world_from_camera))
    stream.log(f"{CAMERA}/picture", rr.EncodedImage(contents=clip.jpeg(t), media_type="image/jpeg"))
    stream.log(f"{CAMERA}/depth", rr.DepthImage(np.nan_to_num(clip.depth_m(t), posinf=0.0), meter=1.0))
    ids, of_part = clip.ids(t), np.zeros(len(frame.parts) + 1, np.uint8)
    for part in frame.parts:
        of_part[part.track_id + 1] = classes.get(part.category, 0)
        stream.log(part_path(part.track_id), _transform(compose(frame.world_from_camera, part.camera_from_part)))
    known = np.where((ids >= 0) & (ids < len(frame.parts)), ids + 1, 0)
    stream.log(f"{CAMERA}/areas", rr.SegmentationImage(of_part[known]))
    seen = [part for part in frame.parts if part.box_xyxy_px is not None]
    boxes = rr.Boxes2D(
        array=np.array([part.box_xyxy_px for part in seen], float).reshape(-1, 4),
        array_format=rr.Box2DFormat.XYXY,
        class_ids=[classes.get(part.category, 0) for part in seen],
        labels=[f"{part.track_id} {part.category} {part.visible_share:.0%}" for part in seen],
    )
    stream.log(f"{CAMERA}/boxes", boxes)


def _transform(pose: Pose) -> Any:
    rr = rerun()
    return rr.Transform3D(translation=pose.position_m, quaternion=rr.Quaternion(xyzw=pose.rotation_xyzw))
