"""BOP's scene-wise format for 6D pose, as docs/bop_datasets_format.md of bop_toolkit defines it. Millimetres.

    camera.json                            the first clip's camera; each picture's own is in scene_camera.json
    models/obj_000001.ply, models_info.json    where the mesh of the part is known
    objects.json                           the source and the category of each obj_id (not part of BOP)
    train/000041/rgb/000003.jpg            scene 41, frame 3; beside it:
    depth/000003.png                       times depth_scale = millimetres; 0 where it is unknown
    mask/000003_000000.png                 the whole silhouette of the first listed part, clipped to the image
    mask_visib/000003_000000.png           its visible pixels
    scene_camera.json scene_gt.json scene_gt_info.json

An object is one size of one kind of part, or one scale of an imported part. In BOP the centre of the first pixel is at
(0, 0), in simgen at (0.5, 0.5), so the principal point in cam_K is half a pixel less. Boxes are x, y of the first pixel
and the distance to the last, as bop_toolkit computes them. scene_gt has our `track_id` beside BOP's keys. Invisible
parts are not listed. Without a mesh there is no mask (but mask_visib) and no model.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float32, Int32

from simgen.assets.parts import PartModel, part_model
from simgen.camera.lens.brown_conrady import NONE
from simgen.dataset.contents import MESHES, load_contents
from simgen.dataset.export.common.records import Box, FrameRecord, LabelRecord, Mask, read_json, splits_in
from simgen.dataset.export.common.selection import PickedClip, Selection, VisiblePart
from simgen.dataset.export.common.symmetries import stated, symmetries
from simgen.dataset.format.png16 import DEPTH_UNIT_M
from simgen.labels.boxes import NEAR_M, silhouette_px
from simgen.spec.errors import ExportError
from simgen.spec.frames import Labels
from simgen.spec.geometry import invert, rotation_matrix, transform
from simgen.spec.scene import PartSource
from simgen.spec.text.stored import stored_fields
from simgen.spec.types import Pose

MAIN = "objects.json"
TOOL = "bop_toolkit"
MM = 1000.0
DEPTH_SCALE = DEPTH_UNIT_M * MM
FOLDERS = ("rgb", "depth", "mask", "mask_visib")
PLY_HEAD = """ply
format binary_little_endian 1.0
comment millimetres
element vertex {}
property float x
property float y
property float z
property float nx
property float ny
property float nz
element face {}
property list uchar int vertex_indices
end_header
"""


class _Objects:
    """The ids of parts by source and category, from 1 in the order of first use."""

    def __init__(self) -> None:
        self.ids: dict[tuple[PartSource, str], int] = {}
        self.models: dict[int, PartModel] = {}

    def id_of(self, source: PartSource, category: str) -> int:
        key = (source, category)
        if key not in self.ids:
            self.ids[key] = len(self.ids) + 1
            with suppress(KeyError):  # not a part of simgen: its mesh is unknown
                self.models[self.ids[key]] = part_model(source)
        return self.ids[key]

    def listing(self) -> dict[str, dict[str, str]]:
        return {str(i): {**stored_fields(source), "category": category} for (source, category), i in self.ids.items()}


def write(selection: Selection, folder: Path) -> dict[str, int]:
    """Write into `folder`, with one clip at a time in memory. Returns the number of each thing written.

    Raises:
        ExportError: a lens distorts. BOP has no distortion, so the poses would not fit the pixels.
        ShardError: the file of an imported part is missing or damaged.
    """
    counts: Counter[str] = Counter()
    objects = _Objects()
    load_contents(selection.data, (MESHES,))
    for split in selection.splits:
        (folder / split).mkdir()
    for clip in selection:
        _check_pinhole(clip)
        if not counts["scenes"]:
            _json(folder / "camera.json", _camera(clip.labels))
        counts["scenes"] += 1
        counts["images"] += len(clip.frames)
        counts["poses"] += _write_clip(clip, folder / clip.split / f"{clip.scene:06d}", objects)
    if objects.models:
        _write_models(folder / "models", objects.models)
    _json(folder / MAIN, objects.listing())
    return {**counts, "models": len(objects.models)}


def _check_pinhole(clip: PickedClip) -> None:
    if clip.labels.distortion != NONE:
        raise ExportError(
            f"bop: scene {clip.scene} has lens distortion {clip.labels.distortion}, which BOP does not support, so "
            "that its poses would miss their pixels: render with lens.k1 to lens.p2 at 0, or export parquet"
        )


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, allow_nan=False, indent=1) + "\n")


def _camera(labels: Labels) -> dict[str, float]:
    x, y = labels.centre_px
    focal = {"fx": labels.focal_px, "fy": labels.focal_px, "cx": x - 0.5, "cy": y - 0.5}
    return {**focal, "depth_scale": DEPTH_SCALE, "width": labels.width_px, "height": labels.height_px}


def _write_clip(clip: PickedClip, folder: Path, objects: _Objects) -> int:
    for name in FOLDERS:
        (folder / name).mkdir(parents=True)
    cameras: dict[str, Any] = {}
    truths: dict[str, list[dict[str, Any]]] = {}
    infos: dict[str, list[dict[str, Any]]] = {}
    parts = clip.stored.spec().parts
    for t, seen in enumerate(clip.frames):
        (folder / "rgb" / f"{t:06d}.jpg").write_bytes(clip.stored.jpeg(t))
        (folder / "depth" / f"{t:06d}.png").write_bytes(clip.stored.read(f"f{t:03d}.depth.png"))
        ids, depth_m = clip.stored.ids(t), clip.stored.depth_m(t)
        cameras[str(t)] = _frame_camera(clip, t)
        truths[str(t)], infos[str(t)] = [], []
        for place, part in enumerate(seen):
            spec = parts[part.track_id]
            obj_id = objects.id_of(spec.source, spec.category)
            rotation, position = _rigid(part.label.camera_from_part)
            truths[str(t)].append(
                {"cam_R_m2c": rotation, "cam_t_m2c": position, "obj_id": obj_id, "track_id": part.track_id}
            )
            name = f"{t:06d}_{place:06d}.png"
            visible = ids == part.track_id
            whole = _silhouette(part, objects.models.get(obj_id), clip.labels)
            _mask(folder / "mask_visib" / name, visible)
            if whole is not None:
                whole |= visible  # they may differ by a pixel at the edge
                _mask(folder / "mask" / name, whole)
            infos[str(t)].append(_info(part, visible if whole is None else whole, visible, depth_m))
    for file, value in (("scene_camera", cameras), ("scene_gt", truths), ("scene_gt_info", infos)):
        _json(folder / f"{file}.json", value)
    return sum(len(truth) for truth in truths.values())


def _frame_camera(clip: PickedClip, t: int) -> dict[str, Any]:
    camera = _camera(clip.labels)
    matrix = [camera["fx"], 0.0, camera["cx"], 0.0, camera["fy"], camera["cy"], 0.0, 0.0, 1.0]
    rotation, position = _rigid(invert(clip.labels.frames[t].world_from_camera))
    return {"cam_K": matrix, "cam_R_w2c": rotation, "cam_t_w2c": position, "depth_scale": DEPTH_SCALE}


def _rigid(pose: Pose) -> tuple[list[float], list[float]]:
    """A pose as the nine numbers of its rotation matrix, row by row, and its position in millimetres."""
    return rotation_matrix(pose.rotation_xyzw).ravel().tolist(), [MM * v for v in pose.position_m]


def _silhouette(part: VisiblePart, model: PartModel | None, labels: Labels) -> Mask | None:
    """The pixels of the whole part, as if nothing occluded it; None without a mesh, or if it reaches the camera."""
    if model is None:
        return None
    points = transform(part.label.camera_from_part, model.vertices_m)
    if points[:, 2].min() <= NEAR_M:
        return None
    pixels = labels.focal_px * points[:, :2] / points[:, 2:] + np.asarray(labels.centre_px)
    cover, (x, y) = silhouette_px(pixels, model.triangles, model.neighbours)
    whole = np.zeros((labels.height_px, labels.width_px), bool)
    x0, y0 = max(x, 0), max(y, 0)
    inside = cover[y0 - y : labels.height_px - y, x0 - x : labels.width_px - x] > 0
    whole[y0 : y0 + inside.shape[0], x0 : x0 + inside.shape[1]] = inside
    return whole


def _info(part: VisiblePart, whole: Mask, visible: Mask, depth_m: Float32[np.ndarray, "h w"]) -> dict[str, Any]:
    label = part.label
    return {
        "bbox_obj": _span(label.unclipped_box_xyxy_px or part.box_xyxy_px),
        "bbox_visib": _span(part.box_xyxy_px),
        "px_count_all": max(label.visible_px, round(label.visible_px / max(label.visible_share, 1e-9))),
        "px_count_valid": int(np.isfinite(depth_m[whole]).sum()),
        "px_count_visib": int(visible.sum()),
        "visib_fract": label.visible_share,
    }


def _span(box: Box) -> list[int]:
    """The box as x, y of the first pixel and the distance to the last one."""
    x0, y0 = int(np.floor(box[0])), int(np.floor(box[1]))
    return [x0, y0, int(np.ceil(box[2])) - 1 - x0, int(np.ceil(box[3])) - 1 - y0]


def _mask(path: Path, mask: Mask) -> None:
    ok, png = cv2.imencode(".png", mask.astype(np.uint8) * np.uint8(255))
    if not ok:
        raise RuntimeError(f"OpenCV could not encode a mask of shape {mask.shape} as PNG")
    path.write_bytes(png.tobytes())


def _write_models(folder: Path, models: dict[int, PartModel]) -> None:
    folder.mkdir()
    _json(folder / "models_info.json", {str(i): _model_info(model) for i, model in models.items()})
    for i, model in models.items():
        corners = np.concatenate([model.vertices_m * MM, model.normals], axis=1).astype("<f4")
        faces = np.empty(len(model.triangles), np.dtype([("count", "u1"), ("corners", "<i4", 3)]))
        faces["count"], faces["corners"] = 3, model.triangles
        head = PLY_HEAD.format(len(corners), len(faces)).encode()
        (folder / f"obj_{i:06d}.ply").write_bytes(head + corners.tobytes() + faces.tobytes())


def _model_info(model: PartModel) -> dict[str, Any]:
    from scipy.spatial import ConvexHull
    from scipy.spatial.distance import pdist

    vertices_mm = model.vertices_m * MM
    low, size = vertices_mm.min(axis=0), np.ptp(vertices_mm, axis=0)
    hull = vertices_mm[ConvexHull(vertices_mm).vertices]
    named = {f"min_{axis}": float(v) for axis, v in zip("xyz", low, strict=True)}
    return {
        "diameter": float(pdist(hull).max()),
        **named,
        **{f"size_{a}": float(v) for a, v in zip("xyz", size, strict=True)},
        **(symmetries(vertices_mm) if model.symmetries is None else stated(model.symmetries)),
    }


def read(folder: Path) -> Iterator[FrameRecord]:
    """Read an export. Boxes are those of the visible pixels.

    Raises:
        ExportError: it is damaged, or of another format.
    """
    try:
        names = {int(key): str(value["category"]) for key, value in read_json(folder / MAIN).items()}
        for split, scenes in splits_in(folder, "{}"):
            for scene in sorted(scenes.iterdir()):
                truths, infos = (read_json(scene / f"{name}.json") for name in ("scene_gt", "scene_gt_info"))
                for key, truth in truths.items():
                    yield _frame(scene, split, int(key), list(zip(truth, infos[key], strict=True)), names)
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise ExportError(f"{folder}: not as BOP has it: {error!r}") from error


def _frame(
    scene: Path, split: str, t: int, rows: list[tuple[dict[str, Any], dict[str, Any]]], names: dict[int, str]
) -> FrameRecord:
    height, width = _grey(scene / "depth" / f"{t:06d}.png").shape
    labels = []
    for place, (truth, info) in enumerate(rows):
        x, y, across, down = (float(v) for v in info["bbox_visib"])
        mask = _grey(scene / "mask_visib" / f"{t:06d}_{place:06d}.png") > 0
        if mask.shape != (height, width):
            raise ValueError(f"a mask of {mask.shape} in a picture of {(height, width)}")
        labels.append(
            LabelRecord(
                category=names[truth["obj_id"]],
                box_xyxy_px=(x, y, x + across + 1, y + down + 1),
                track_id=int(truth["track_id"]),
                mask=mask,
            )
        )
    return FrameRecord(
        split=split,
        scene=int(scene.name),
        frame=t,
        width_px=width,
        height_px=height,
        image=scene / "rgb" / f"{t:06d}.jpg",
        labels=tuple(labels),
    )


def _grey(path: Path) -> Int32[np.ndarray, "h w"]:
    try:
        image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    except (OSError, cv2.error) as error:
        raise ExportError(f"{path}: cannot be read: {error}") from error
    if image is None or image.ndim != 2:
        raise ExportError(f"{path}: not a grey picture")
    return np.asarray(image, np.int32)
