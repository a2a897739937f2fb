"""Export to other formats. A new format is a new file with a writer and a reader, and a row in `EXPORTERS`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from simgen.dataset.export import bop, coco, coco_vid, kitti, mot, parquet, yolo
from simgen.dataset.export.common.building import building
from simgen.dataset.export.common.records import FrameRecord, LabelRecord
from simgen.dataset.export.common.selection import Filters, Selection
from simgen.dataset.format.reader import DataSet
from simgen.spec.errors import ExportError

__all__ = ["EXPORTERS", "Exported", "Exporter", "Filters", "FrameRecord", "LabelRecord", "export"]

Step = Callable[[], None]  # called after each clip


@dataclass(frozen=True, kw_only=True)
class Exporter:
    """A format: how to write it into an empty folder and read it again, and what it can store."""

    write: Callable[[Selection, Path], dict[str, int]]
    read: Callable[[Path], Iterator[FrameRecord]]
    main: str  # the file or folder in it that a tool opens
    tool: str  # what reads the format
    tracks: bool
    masks: bool
    beside: tuple[str, ...] = ()  # folders beside the main file, where --out may name that file


EXPORTERS: dict[str, Exporter] = {
    "coco": Exporter(
        write=coco.write, read=coco.read, main=coco.MAIN, tool=coco.TOOL, tracks=True, masks=True, beside=(coco.IMAGES,)
    ),
    "coco-vid": Exporter(
        write=coco_vid.write, read=coco_vid.read, main=coco_vid.MAIN, tool=coco_vid.TOOL, tracks=True, masks=True
    ),
    "yolo-detect": Exporter(
        write=yolo.write_boxes, read=yolo.read_boxes, main=yolo.MAIN, tool=yolo.TOOL, tracks=False, masks=False
    ),
    "yolo-segment": Exporter(
        write=yolo.write_outlines, read=yolo.read_outlines, main=yolo.MAIN, tool=yolo.TOOL, tracks=False, masks=True
    ),
    "bop": Exporter(write=bop.write, read=bop.read, main=bop.MAIN, tool=bop.TOOL, tracks=True, masks=True),
    "mot": Exporter(write=mot.write, read=mot.read, main=mot.MAIN, tool=mot.TOOL, tracks=True, masks=False),
    "kitti": Exporter(write=kitti.write, read=kitti.read, main=kitti.MAIN, tool=kitti.TOOL, tracks=False, masks=False),
    "parquet": Exporter(
        write=parquet.write, read=parquet.read, main=parquet.MAIN, tool=parquet.TOOL, tracks=True, masks=True
    ),
}


@dataclass(frozen=True)
class Exported:
    """The result of an export."""

    path: Path  # the main file; the folder, if each split has its own
    counts: dict[str, int]
    dropped: dict[str, int]  # labels, by reason
    clips: dict[str, int]  # by split


def export(
    data: DataSet, format: str, out: Path | str, step: Step = lambda: None, filters: Filters | None = None
) -> Exported:
    """Write a data set in another format. `out` appears when it is complete, never before.

    Args:
        format: a key of `EXPORTERS`: coco, coco-vid, yolo-detect, yolo-segment, bop, mot, kitti or parquet.
        out: a folder, new or empty; for coco also a .json file, with the images in `images/` beside it.
        step: called after each clip.
        filters: which labels to leave out, and how to split the clips.

    Raises:
        ExportError: the format is unknown, `out` exists already, or the filters fit no clip of the data set.
        ShardError: the data set is damaged.

    >>> exported = export(DataSet("out/belt"), "coco", "out/belt_coco")
    >>> exported.path.name, exported.counts["images"]
    ('annotations.json', 12)
    """
    out = Path(out)
    if format not in EXPORTERS:
        raise ExportError(f"no format {format!r}; there are {', '.join(sorted(EXPORTERS))}")
    row = EXPORTERS[format]
    selection = Selection(data, filters or Filters(), step)
    one_file = out.suffix == ".json"
    if one_file and (not row.beside or selection.is_split):
        raise ExportError(f"{out}: {format}{' with --split' if selection.is_split else ''} needs a folder as --out")
    with building(out, row.beside if one_file else ()) as folder:
        counts = row.write(selection, folder)
        if one_file:
            (folder / row.main).rename(folder / out.name)
        main = out if one_file else out / row.main if (folder / row.main).exists() else out
    clips = {split: selection.clips[split] for split in selection.splits}
    return Exported(main, counts, dict(selection.dropped), clips)
