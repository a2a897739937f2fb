"""Clips with a class each, read for the video classifier: folders by class, a table (CSV), or a simulated data set."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from hybrid.core.errors import DataError
from hybrid.data.clips import Image, Skips, pictures_in
from hybrid.data.pixels import decode
from hybrid.data.shards import read_shards
from hybrid.predict.io.sources import open_source
from hybrid.predict.io.video import VIDEO_SUFFIXES
from simgen.dataset.format.manifest import MANIFEST
from simgen.spec.errors import TextFileError
from simgen.spec.text.json_text import read_text
from simgen.spec.text.printable import printable

MOST_FRAMES = 3000  # that are read of a video; they are scaled down as they come
MOST_TABLE_BYTES = 16 * 2**20

Frames = Callable[[], Iterable[Image]]


@dataclass(frozen=True)
class ClipFile:
    """A clip that is not read yet, and its class; "": unknown."""

    name: str
    frames: Frames
    label: str = ""


@dataclass(frozen=True)
class ReadClips:
    """Clips of one shape, in memory."""

    names: tuple[str, ...]
    clips: UInt8[np.ndarray, "n t h w 3"]
    labels: tuple[str, ...]
    skipped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def indices(self, classes: tuple[str, ...]) -> Int64[np.ndarray, " n"]:
        """The place of each clip's class in `classes`."""
        return np.array([classes.index(label) for label in self.labels], np.int64)


def find_clips(where: Path, table: Path | None = None, holds: str | None = None) -> list[ClipFile]:
    """The clips at a place, in order of their names.

    Args:
        where: a folder of clips: videos, or folders of frames; or of folders of these, one for each class. Or a CSV
            file of rows `clip,class` with paths relative to it. Or a simulated data set.
        table: a CSV file with the classes of the clips of `where`, by their names.
        holds: a category of a simulated data set: clips that show it are of this class, others of "no CATEGORY".

    Raises:
        DataError: there is no such place, it holds no clip, a row of a table is wrong, or no clip shows `holds`.
    """
    if holds is not None and not (where / MANIFEST).is_file():
        raise DataError(f"{where}: is no simulated data set, whose labels say which clips hold {holds!r}")
    if where.is_file() and where.suffix.lower() == ".csv":
        files = [_at(where.parent / name, name, label) for name, label in read_table(where).items()]
    elif (where / MANIFEST).is_file():
        files = list(_rendered(where, holds))
    elif where.is_dir() and not _is_clip(where):
        files = list(_in_folder(where))
    elif where.exists():
        files = [_at(where, where.name, "")]
    else:
        raise DataError(f"{where}: there is no such file or folder")
    if not files:
        raise DataError(
            f"{where}: holds no clip: no video ({', '.join(VIDEO_SUFFIXES[:4])}, ...), no folder of pictures"
        )
    return files if table is None else _labelled(files, read_table(table), table)


def read_table(path: Path) -> dict[str, str]:
    """The rows `clip,class` of a CSV file. A first row of just these two words is a heading.

    Raises:
        DataError: it cannot be read, or a row is no clip and class, or names a clip again.
    """
    try:
        text = read_text(path, MOST_TABLE_BYTES)
    except TextFileError as error:
        raise DataError(str(error)) from None
    rows: dict[str, str] = {}
    for number, row in enumerate(csv.reader(io.StringIO(text)), 1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (number == 1 and [cell.lower() for cell in cells] == ["clip", "class"]):
            continue
        if len(cells) != 2 or not all(cells):
            raise DataError(f"{path}:{number}: needs two columns, clip and class, got {printable(str(row))[:80]}")
        if cells[0] in rows:
            raise DataError(f"{path}:{number}: {printable(cells[0])[:80]!r} stands there twice")
        rows[cells[0]] = cells[1]
    if not rows:
        raise DataError(f"{path}: holds no row `clip,class`")
    return rows


def _labelled(files: list[ClipFile], rows: Mapping[str, str], table: Path) -> list[ClipFile]:
    names = {file.name for file in files}
    if missing := [name for name in rows if name not in names]:
        there = ", ".join(printable(name) for name in sorted(names)[:5])
        raise DataError(f"{table}: there is no clip {printable(missing[0])[:80]!r}; there are {there}")
    return [ClipFile(file.name, file.frames, rows[file.name]) for file in files if file.name in rows]


def _in_folder(folder: Path) -> Iterator[ClipFile]:
    """The clips of a folder; those of a folder in it that is no folder of frames have its name as their class."""
    for path in sorted(folder.iterdir()):
        if _is_clip(path):
            yield _at(path, path.name, "")
        elif path.is_dir():
            yield from (
                _at(one, f"{path.name}/{one.name}", path.name) for one in sorted(path.iterdir()) if _is_clip(one)
            )


def _is_clip(path: Path) -> bool:
    if path.is_file():
        return path.suffix.lower() in VIDEO_SUFFIXES
    return bool(pictures_in(path))


def _at(path: Path, name: str, label: str) -> ClipFile:
    if not path.exists():
        raise DataError(f"{path}: there is no such clip")
    return ClipFile(name, lambda: _frames(path), label)


def _frames(path: Path) -> Iterator[Image]:
    for clip in open_source(path, sequence=path.is_dir()).clips:
        yield from (frame.image for frame in clip)
        return  # the first clip: a folder whose pictures change their size is cut there


def _rendered(folder: Path, holds: str | None) -> Iterator[ClipFile]:
    source = read_shards(folder)
    if holds is not None and not source.counts().get(holds):
        raise DataError(f"{folder}: no clip holds {holds!r}; there are {source.counts()}")
    for clip in source.clips:
        label = ""
        if holds is not None:
            index = source.categories.index(holds)
            label = holds if any((frame.labels == index).any() for frame in clip.frames) else f"no {holds}"
        yield ClipFile(clip.name, lambda clip=clip: map(decode, clip.frames), label)  # type: ignore[misc]


def read_clips(files: Iterable[ClipFile], frames: int, size_px: int) -> ReadClips:
    """The clips, each of `frames` frames spread evenly over it, as squares of `size_px`.

    A clip that cannot be read, or has more than MOST_FRAMES frames, is in `skipped`: the latter is cut there.

    Raises:
        DataError: none can be read.
    """
    skips = Skips()
    names, clips, labels = [], [], []
    for file in files:
        try:
            small = _small(file, size_px, skips)
        except (DataError, OSError) as error:
            skips.add(f"clip that cannot be read: {error}", file.name)
            continue
        if not small:
            skips.add("clip without a usable frame", file.name)
            continue
        chosen = np.linspace(0, len(small) - 1, frames).round().astype(int)
        clips.append(np.stack([small[k] for k in chosen]))
        names.append(file.name)
        labels.append(file.label)
    if not clips:
        reasons = "; ".join(f"{reason}: {items[0]}" for reason, items in skips.done().items())
        raise DataError(f"no clip can be read. {reasons}")
    return ReadClips(tuple(names), np.stack(clips), tuple(labels), skips.done())


def _small(file: ClipFile, size_px: int, skips: Skips) -> list[Image]:
    import cv2

    small: list[Image] = []
    for image in file.frames():
        if len(small) == MOST_FRAMES:
            skips.add(f"clip of which {MOST_FRAMES} frames are used", file.name)
            break
        small.append(cv2.resize(image, (size_px, size_px), interpolation=cv2.INTER_AREA))
    return small
