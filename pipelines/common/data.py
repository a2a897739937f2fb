"""Reading data of every kind that the pipelines accept.

Photos are a COCO JSON file, or a YOLO folder with its `data.yaml`. Simulated data are the folder or the URL of a data
set that `simgen render` wrote. A simulated data set may be given in the place of photos. It is then called a stand-in,
and every record and report says so.
A YOLO folder has named splits: training reads `train`; measuring reads `test`, or `val` where there is no `test`.
"""

from __future__ import annotations

import hashlib
import math
import sys
from pathlib import Path
from typing import TypeGuard

from hybrid.core.config import BoxesOf
from hybrid.core.errors import DataError
from hybrid.data.clips import ClipSource
from hybrid.data.coco import read_coco
from hybrid.data.shards import read_shards
from hybrid.data.yolo import is_yolo_folder, measuring_split, read_yolo, yolo_layout
from pipelines.common.record import DataKind
from simgen.dataset.store.locations import Location

REAL: DataKind = "real"
STAND_IN: DataKind = "stand-in"


def is_yolo(path: Location) -> TypeGuard[Path]:
    """Whether `path` is a YAML file, or a folder with one, or with the names of classes beside `images`."""
    return isinstance(path, Path) and (path.suffix in (".yaml", ".yml") or is_yolo_folder(path))


def is_data_set(path: Location) -> bool:
    """Whether `path` is a simulated data set: its folder, its manifest, or any URL, since photos are local files."""
    return not isinstance(path, Path) or path.name == "manifest.json" or (path.is_dir() and not is_yolo(path))


def split_to_measure(path: Location) -> str:
    """The split of a YOLO folder that is measured on. Other data have no splits; the answer is ignored for them."""
    return measuring_split(path) if is_yolo(path) and path.exists() else "train"


def target_kind(path: Location) -> DataKind:
    """What data given as photos are: photos ("real"), or a simulated data set in their place ("stand-in")."""
    return STAND_IN if is_data_set(path) else REAL


def read(
    path: Location, categories: tuple[str, ...] | None = None, split: str = "train", boxes: BoxesOf = "visible"
) -> ClipSource:
    """The clips at `path`. Writes a note to the error stream for each reason why images or boxes were left out.

    `split` counts for a YOLO folder only. YOLO labels do not say whether a box is of the visible part or of the whole
    object; they are taken as they are, whatever `boxes` says.

    Raises:
        DataError: there is nothing usable at `path`, or no box of one of `categories`.
    """
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder")
    if is_yolo(path):
        source = read_yolo(path, split, categories)
    elif is_data_set(path):
        source = read_shards(path.parent if path.name == "manifest.json" else path, categories, boxes=boxes)
    else:
        assert isinstance(path, Path), "a URL is a data set"
        source = read_coco(path, categories, boxes)
    for reason, names in source.skipped.items():
        sys.stderr.write(f"note: {path}: {reason}: {len(names)}, such as {names[0]}\n")
    if not sum(source.counts().values()):
        unknown = sorted({reason for reason in source.skipped if "not known" in reason})
        raise DataError(f"{path}: no box of {list(source.categories)}. {'; '.join(unknown)}")
    return source


def hold_out(source: ClipSource, share: float, seed: int) -> tuple[ClipSource, ClipSource | None]:
    """Split off `share` of the clips for validation: (clips to train on, clips to validate on or None).

    Whole clips are held out, the last ones of a shuffle by `seed`; so a simulated scene is never in both.

    Raises:
        DataError: `share` is outside [0, 1), or leaves nothing to train on.
    """
    if not 0.0 <= share < 1.0:
        raise DataError(f"holdout: needs 0 <= share < 1, got {share}")
    count = math.ceil(share * len(source))
    if count == len(source):
        raise DataError(f"{source.name}: {len(source)} clips cannot give a training and a held-out part")
    if not count:
        return source, None
    rest = len(source) - count
    return source.take(rest, seed), source.take(count, seed, rest)


def names(source: ClipSource | None) -> tuple[str, ...]:
    """The names of the clips; empty for None."""
    return () if source is None else tuple(clip.name for clip in source.clips)


def data_hash(path: Location, split: str = "train") -> str:
    """A sha256 by which the same data are known again in another folder.

    Of a COCO file: its bytes. Of a simulated data set: its manifest's bytes. Of a YOLO folder: the names and sizes of
    the images in `split`.
    """
    if is_yolo(path):
        digest = hashlib.sha256()
        for name, file in sorted(yolo_layout(path, split).pictures.items()):
            digest.update(f"{name} {file.stat().st_size}\n".encode())
        return digest.hexdigest()
    listing = path if isinstance(path, Path) and path.is_file() else path / "manifest.json"
    return hashlib.sha256(listing.read_bytes()).hexdigest()
