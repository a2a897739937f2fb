"""Two Parquet tables, of labels and of frames, for pandas, DuckDB, Polars, Spark. Needs pyarrow.

    labels.parquet   split, scene, frame, track_id, category, x0 y0 x1 y1 (pixels, max exclusive), the whole part's box,
                     visible_share, visible_px, mask (COCO's compressed run lengths), pose in the camera's frame
    frames.parquet   split, scene, frame, time, size, and the location of its JPEG: shard, offset, bytes

Images stay in the shards: read `image_bytes` bytes of a shard from `image_offset` on for the JPEG of a frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int32

from simgen.dataset.export.common.masks import from_rle, rle
from simgen.dataset.export.common.records import FrameRecord, LabelRecord
from simgen.dataset.export.common.selection import PickedClip, Selection, VisiblePart
from simgen.spec.errors import ExportError
from simgen.spec.frames import FrameLabels
from simgen.spec.install import install_hint

MAIN = "labels.parquet"
FRAMES = "frames.parquet"
TOOL = "pyarrow, pandas"
GROUP_ROWS = 10_000  # of a row group, and about as many in memory
SIDES = ("x0", "y0", "x1", "y1")


def write(selection: Selection, folder: Path) -> dict[str, int]:
    """Write into `folder`, with a few row groups at a time in memory. Returns the number of rows.

    Raises:
        ExportError: pyarrow is not installed.
    """
    pa = _pyarrow()
    head = {"preset": selection.data.manifest.request.preset, "categories": ",".join(selection.categories)}
    with ExitStack() as stack:
        tables = {
            name: stack.enter_context(_Table(folder / name, schema.with_metadata(head)))
            for name, schema in ((MAIN, _labels_schema(pa)), (FRAMES, _frames_schema(pa)))
        }
        for clip in selection:
            for t, parts in enumerate(clip.frames):
                key = {"split": clip.split, "scene": clip.scene, "frame": t}
                tables[FRAMES].add({**key, **_frame_row(clip, t, clip.labels.frames[t])})
                ids = clip.stored.ids(t)
                for part in parts:
                    tables[MAIN].add({**key, **_label_row(part, ids)})
    return {"labels": tables[MAIN].count, "frames": tables[FRAMES].count}


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ExportError(f"parquet needs pyarrow: {install_hint('parquet')}") from None
    return pyarrow


class _Table:
    """A Parquet file, written one row group at a time."""

    def __init__(self, path: Path, schema: Any) -> None:
        self._pa, self._schema = _pyarrow(), schema
        self._writer = self._pa.parquet.ParquetWriter(path, schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []
        self.count = 0

    def add(self, row: dict[str, Any]) -> None:
        self._rows.append(row)
        self.count += 1
        if len(self._rows) >= GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(self._pa.Table.from_pylist(self._rows, schema=self._schema))
            self._rows.clear()

    def __enter__(self) -> _Table:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            self._writer.close()


def _key(pa: Any) -> list[tuple[str, Any]]:
    return [("split", pa.dictionary(pa.int8(), pa.string())), ("scene", pa.int64()), ("frame", pa.int32())]


def _labels_schema(pa: Any) -> Any:
    return pa.schema(
        [
            *_key(pa),
            ("track_id", pa.int32()),
            ("category", pa.dictionary(pa.int16(), pa.string())),
            *((side, pa.float64()) for side in SIDES),
            *((f"amodal_{side}", pa.float64()) for side in SIDES),
            ("visible_share", pa.float64()),
            ("visible_px", pa.int32()),
            ("mask", pa.string()),
            ("camera_from_part_position_m", pa.list_(pa.float64(), 3)),
            ("camera_from_part_rotation_xyzw", pa.list_(pa.float64(), 4)),
        ]
    )


def _frames_schema(pa: Any) -> Any:
    size = [("width_px", pa.int32()), ("height_px", pa.int32()), ("focal_px", pa.float64()), ("time_s", pa.float64())]
    size += [("distortion", pa.list_(pa.float64(), 5))]  # k1, k2, p1, p2, k3, as OpenCV has them
    place = [("image_offset", pa.int64()), ("image_bytes", pa.int64())]
    return pa.schema([*_key(pa), *size, ("shard", pa.dictionary(pa.int32(), pa.string())), *place])


def _label_row(part: VisiblePart, ids: Int32[np.ndarray, "h w"]) -> dict[str, Any]:
    label = part.label
    whole = label.amodal_box_xyxy_px or (None,) * 4
    return {
        "track_id": part.track_id,
        "category": label.category,
        **dict(zip(SIDES, part.box_xyxy_px, strict=True)),
        **{f"amodal_{side}": value for side, value in zip(SIDES, whole, strict=True)},
        "visible_share": label.visible_share,
        "visible_px": label.visible_px,
        "mask": rle(ids == part.track_id)["counts"],
        "camera_from_part_position_m": list(label.camera_from_part.position_m),
        "camera_from_part_rotation_xyzw": list(label.camera_from_part.rotation_xyzw),
    }


def _frame_row(clip: PickedClip, t: int, frame: FrameLabels) -> dict[str, Any]:
    member = clip.stored.members[f"f{t:03d}.jpg"]
    return {
        "width_px": clip.labels.width_px,
        "height_px": clip.labels.height_px,
        "focal_px": clip.labels.focal_px,
        "time_s": frame.time_s,
        "distortion": list(clip.labels.distortion),
        "shard": clip.stored.path.name,
        "image_offset": member.offset,
        "image_bytes": member.size,
    }


def read(folder: Path) -> Iterator[FrameRecord]:
    """Read an export. Both tables are sorted by scene and frame, and read in parallel, in batches.

    Raises:
        ExportError: it is damaged, of another kind, or pyarrow is not installed.
    """
    pa = _pyarrow()
    try:
        labels = _rows(pa, folder / MAIN)
        waiting = next(labels, None)
        for frame in _rows(pa, folder / FRAMES):
            place = frame["scene"], frame["frame"]
            records = []
            while waiting is not None and (waiting["scene"], waiting["frame"]) == place:
                records.append(_label(waiting, frame))
                waiting = next(labels, None)
            yield FrameRecord(
                split=frame["split"],
                scene=place[0],
                frame=place[1],
                width_px=frame["width_px"],
                height_px=frame["height_px"],
                image=None,
                labels=tuple(records),
            )
        if waiting is not None:
            place = waiting["scene"], waiting["frame"]
            raise ExportError(f"{folder}: labels of scene and frame {place}, which has no row in {FRAMES}")
    except (KeyError, OSError, OverflowError, TypeError, ValueError, pa.ArrowException) as error:
        raise ExportError(f"{folder}: not the tables that simgen writes: {error!r:.300}") from error


def _rows(pa: Any, path: Path) -> Iterator[dict[str, Any]]:
    with pa.parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=1024):
            yield from batch.to_pylist()


def _label(row: dict[str, Any], frame: dict[str, Any]) -> LabelRecord:
    return LabelRecord(
        category=row["category"],
        box_xyxy_px=(row["x0"], row["y0"], row["x1"], row["y1"]),
        track_id=row["track_id"],
        mask=from_rle(row["mask"], frame["height_px"], frame["width_px"]),
    )
