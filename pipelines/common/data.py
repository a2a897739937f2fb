"""Reading data of every kind that the pipelines accept.

Photos are a COCO JSON file, or a YOLO folder with its `data.yaml`. Simulated data are the folder or the URL of a data
set that `simgen render` wrote. A simulated data set may be given in the place of photos. It is then called a stand-in,
and every record and report says so.
A YOLO folder has named splits: training reads `train`; measuring reads `test`, or `val` where there is no `test`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeGuard

import numpy as np
from jaxtyping import Float32, Int64

from hybrid.core import console
from hybrid.core.config import BoxesOf
from hybrid.core.environment import is_first_process
from hybrid.core.errors import DataError
from hybrid.data.clips import Clip, ClipSource, FrameRecord, skipped_lines
from hybrid.data.coco import read_coco
from hybrid.data.folder import read_folder
from hybrid.data.shards import read_shards
from hybrid.data.shared import digests, shared_images
from hybrid.data.yolo import is_yolo_folder, measuring_split, read_yolo, yolo_layout
from pipelines.common.record import DataKind
from simgen.dataset.store.locations import Location

REAL: DataKind = "real"
STAND_IN: DataKind = "stand-in"
MANIFEST = "manifest.json"  # of a simulated data set
MOST_DECODED_PX = 10**9  # some ten seconds' work


def is_yolo(path: Location) -> TypeGuard[Path]:
    """Whether `path` is a YAML file, or a folder with one, or with the names of classes beside `images`."""
    return isinstance(path, Path) and (path.suffix in (".yaml", ".yml") or is_yolo_folder(path))


def is_data_set(path: Location) -> bool:
    """Whether `path` is a simulated data set: its folder, its manifest, or any URL, since photos are local files."""
    return not isinstance(path, Path) or path.name == MANIFEST or (path.is_dir() and not is_yolo(path))


def data_sets(path: Location) -> list[Location]:
    """The simulated data sets at `path`: itself, or those in it where it is a folder of data sets."""
    if isinstance(path, Path) and path.name == MANIFEST:
        path = path.parent
    if not isinstance(path, Path) or (path / MANIFEST).is_file():
        return [path]
    inside: list[Location] = sorted(listing.parent for listing in path.glob(f"*/{MANIFEST}"))
    return inside or [path]


def split_to_measure(path: Location) -> str:
    """The split of a YOLO folder that is measured on. Other data have no splits; the answer is ignored for them."""
    return measuring_split(path) if is_yolo(path) and path.exists() else "train"


def target_kind(path: Location) -> DataKind:
    """What data given as photos are: photos ("real"), or a simulated data set in their place ("stand-in")."""
    return STAND_IN if is_data_set(path) else REAL


def read(
    path: Location,
    categories: Sequence[str] | None = None,
    split: str = "train",
    boxes: BoxesOf = "visible",
    named_by: object = "--categories",
    own_only: bool = False,
) -> ClipSource:
    """The clips at `path`. Writes a note to the error stream for each reason why images or boxes were left out.

    `split` counts for a YOLO folder only. YOLO labels do not say whether a box is of the visible part or of the whole
    object; they are taken as they are, whatever `boxes` says. The other arguments are those of `selected`.

    Raises:
        DataError: there is nothing usable at `path`, or no box of one of `categories`.
    """
    return selected(read_all(path, split, boxes), path, categories, named_by, own_only)


def read_all(path: Location, split: str = "train", boxes: BoxesOf = "visible") -> ClipSource:
    """The clips at `path` with all their categories. Writes a note for each reason why images were left out.

    Raises:
        DataError: there is nothing usable at `path`.
    """
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder")
    if is_yolo(path):
        source = read_yolo(path, split)
    elif is_data_set(path):
        source = _simulated(path, boxes)
    else:
        assert isinstance(path, Path), "a URL is a data set"
        source = read_coco(path, boxes=boxes)
    for line in skipped_lines(source.skipped):
        note(f"{path}: {line}")
    return source


def selected(
    source: ClipSource, path: Location, categories: Sequence[str] | None, named_by: object, own_only: bool = False
) -> ClipSource:
    """`source`, which was read at `path`, with `categories` alone. A note counts and names the boxes left out.

    Args:
        source: with all its categories.
        path: where it is.
        categories: the ones to keep, in their order; None: those of the data.
        named_by: says in the note whose they are.
        own_only: a category that the data do not label is ignored in their images (see `onto`); otherwise it is
            background there.

    Raises:
        DataError: there is no box of one of `categories`.
    """
    counts = source.counts()
    kept = source.categories if categories is None else tuple(categories)
    if not sum(counts.get(name, 0) for name in kept):
        there = ", ".join(f"{count} of {name!r}" for name, count in counts.items() if count)
        raise DataError(f"{path}: no box of {list(kept)}; there are {there or 'none of any category'}")
    left_out = {name: count for name, count in counts.items() if count and name not in kept}
    if left_out:
        listed = ", ".join(f"{count} of {name!r}" for name, count in left_out.items())
        note(f"{path}: boxes left out, since {named_by} has {list(kept)} alone: {listed}")
    return onto(source, kept) if own_only else with_categories(source, kept)


def _simulated(path: Location, boxes: BoxesOf) -> ClipSource:
    """The clips of a simulated data set, or of all the data sets in a folder, with the categories of all of them.

    The clips of several sets are named after their set: table/000012.
    """
    sets = data_sets(path)
    if len(sets) == 1:
        return read_shards(sets[0], boxes=boxes)
    sources = [read_shards(one, boxes=boxes) for one in sets]
    categories = tuple(dict.fromkeys(name for source in sources for name in source.categories))
    clips = [
        replace(clip, name=f"{one.name}/{clip.name}")
        for one, source in zip(sets, sources, strict=True)
        for clip in with_categories(source, categories).clips
    ]
    skipped: dict[str, tuple[str, ...]] = {}
    for one, source in zip(sets, sources, strict=True):
        for reason, items in source.skipped.items():
            skipped[reason] = (*skipped.get(reason, ()), *(f"{one.name}: {item}" for item in items))
    return ClipSource(str(path), categories, tuple(clips), skipped)


def read_pictures(folder: Path, categories: Sequence[str]) -> ClipSource:
    """The pictures of a folder as clips without boxes, with a note for each reason why some were left out.

    Raises:
        DataError: none can be used.
    """
    source = read_folder(folder, categories)
    for line in skipped_lines(source.skipped):
        note(f"{folder}: {line}")
    return source


def note(text: str) -> None:
    """Write a note to the error stream, as one line."""
    if is_first_process():
        console.note(text)


def with_categories(source: ClipSource, categories: Sequence[str]) -> ClipSource:
    """`source` with its labels numbered as in `categories`, without the boxes of other categories."""
    if source.categories == tuple(categories):
        return source
    new_label = np.array([categories.index(c) if c in categories else -1 for c in source.categories], np.int64)
    clips = [replace(clip, frames=tuple(_relabelled(one, new_label) for one in clip.frames)) for clip in source.clips]
    return replace(source, categories=tuple(categories), clips=tuple(clips))


def onto(source: ClipSource, categories: Sequence[str]) -> ClipSource:
    """As `with_categories`; a category that `source` does not label is ignored in all of its images.

    So photos that label bolts alone do not teach that the nuts on them are background, and a detector is not blamed for
    finding these.
    """
    unlabelled = [k for k, name in enumerate(categories) if name not in source.categories]
    numbered = with_categories(source, categories)
    if not unlabelled:
        return numbered
    clips = [
        replace(clip, frames=tuple(_ignoring(frame, unlabelled) for frame in clip.frames)) for clip in numbered.clips
    ]
    return replace(numbered, clips=tuple(clips))


def together(known: Sequence[str], labelled: Sequence[str], chosen: Sequence[str] | None) -> tuple[str, ...]:
    """The categories of a fine-tuned detector: those that its checkpoint knew, then the new ones of the photos.

    `chosen` (`--categories`) are taken as they are. Notes say what is kept though the photos do not label it, and what
    is given up.

    Raises:
        DataError: the photos label nothing that the checkpoint knows, and the user did not choose.
    """
    if chosen:
        if given_up := [name for name in known if name not in chosen]:
            note(f"--categories {list(chosen)}: the detector gives up {given_up}, which its checkpoint knows")
        return tuple(chosen)
    if known and not set(known) & set(labelled):
        raise DataError(
            f"the photos label {list(labelled)}, the checkpoint knows {list(known)}: no name is in both. Names are "
            f"compared letter by letter. Rename them, or to teach new ones: --categories {' '.join(labelled)}"
        )
    if unlabelled := [name for name in known if name not in labelled]:
        note(f"the photos do not label {unlabelled}, which the checkpoint knows: kept, and not learned from the photos")
    return (*known, *(name for name in labelled if name not in known))


def _ignoring(frame: FrameRecord, labels: Sequence[int]) -> FrameRecord:
    """The frame as one region to ignore for each of these labels."""
    whole = np.array([[0, 0, frame.width_px, frame.height_px]] * len(labels), np.float32)
    return with_regions(frame, whole, np.array(labels, np.int64))


def with_regions(
    frame: FrameRecord, boxes_xyxy_px: Float32[np.ndarray, "n 4"], labels: Int64[np.ndarray, " n"]
) -> FrameRecord:
    """The frame with more regions to ignore; label -1: of every category."""
    return replace(
        frame,
        ignore_boxes_xyxy_px=np.concatenate([frame.ignore_boxes_xyxy_px, boxes_xyxy_px]),
        ignore_labels=np.concatenate([frame.ignore_labels, labels]),
    )


def _relabelled(frame: FrameRecord, new_label: Int64[np.ndarray, " c"]) -> FrameRecord:
    """The frame with new labels, without the boxes and the regions to ignore whose new label is -1."""
    labels = new_label[frame.labels]
    keep = labels >= 0
    per_box = {name: getattr(frame, name) for name in ("boxes_xyxy_px", "track_ids", "visible_share", "hidden")}
    cut = {name: values[keep] for name, values in per_box.items() if values is not None}
    outlines = frame.outlines and tuple(one for one, kept in zip(frame.outlines, keep, strict=True) if kept)
    of_all = frame.ignore_labels < 0  # regions to ignore of every category stay so
    regions = np.append(new_label, -1)[frame.ignore_labels]
    stay = of_all | (regions >= 0)
    return replace(
        frame,
        labels=labels[keep],
        ignore_boxes_xyxy_px=frame.ignore_boxes_xyxy_px[stay],
        ignore_labels=regions[stay],
        outlines=outlines,
        **cut,
    )


def take_photos(source: ClipSource, count: int, seed: int) -> ClipSource:
    """`count` photos: the first clips of one fixed shuffle, the last of them cut to the frames that are still needed.

    A frame of a video counts as a photo. Fewer photos are a part of more.

    Raises:
        DataError: the source has fewer.
    """
    if not 1 <= count <= len(source.frames):
        raise DataError(f"{source.name}: needs 1 to {len(source.frames)} photos to train on, got {count}")
    taken: list[Clip] = []
    left = count
    for clip in source.take(len(source), seed).clips:
        if left <= 0:
            break
        taken.append(replace(clip, frames=clip.frames[:left]))
        left -= len(clip.frames)
    return replace(source, clips=tuple(taken))


def without_copies_of(source: ClipSource, training: ClipSource) -> ClipSource | None:
    """The clips of `source` that show no photo of `training`, under whatever name. A note names the others.

    None: none is left.
    """
    pairs = dict(shared_images(source, training))
    if not pairs:
        return source
    name, copy = next(iter(pairs.items()))
    note(f"{source.name}: {len(pairs)} photos are trained on too, so not measured on, such as {name}, which is {copy}")
    rest = tuple(clip for clip in source.clips if not any(frame.name in pairs for frame in clip.frames))
    return replace(source, clips=rest) if rest else None


def photo_digests(source: ClipSource) -> tuple[str, ...]:
    """Hashes by which a report knows the photos again; of their files alone where there are too many to decode all."""
    pixels = sum(frame.width_px * frame.height_px for frame in source.frames) <= MOST_DECODED_PX
    return tuple(sorted({digest for frame in source.frames for digest in digests(frame, pixels)}))


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

    Of a COCO file: its bytes. Of a simulated data set: its manifest's bytes; of a folder of them: all their manifests'.
    Of a YOLO folder: the names and sizes of the images in `split`.
    """
    if is_yolo(path):
        digest = hashlib.sha256()
        for name, file in sorted(yolo_layout(path, split).pictures.items()):
            digest.update(f"{name} {file.stat().st_size}\n".encode())
        return digest.hexdigest()
    if is_data_set(path) and len(sets := data_sets(path)) > 1:
        return hashlib.sha256(" ".join(f"{one.name} {data_hash(one)}" for one in sets).encode()).hexdigest()
    listing = path if isinstance(path, Path) and path.is_file() else data_sets(path)[0] / MANIFEST
    return hashlib.sha256(listing.read_bytes()).hexdigest()
