"""The result of every format's reader, and shared functions of readers. Boxes are xyxy in pixels, max exclusive."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import Bool

from simgen.spec.errors import ExportError, TextFileError
from simgen.spec.text import json_text

MAX_TEXT_BYTES = 2**31  # a larger JSON or text file is refused before it is read
Box = tuple[float, float, float, float]
Mask = Bool[np.ndarray, "h w"]


@dataclass(frozen=True, kw_only=True)
class LabelRecord:
    """A part in an image. None where the format does not store a field."""

    category: str
    box_xyxy_px: Box
    track_id: int | None = None
    mask: Mask | None = None


@dataclass(frozen=True, kw_only=True)
class FrameRecord:
    """An image with its labels. The scene and frame are those of the exported data set."""

    split: str
    scene: int
    frame: int
    width_px: int
    height_px: int
    image: Path | None
    labels: tuple[LabelRecord, ...]


def xywh(box_xyxy_px: Box) -> list[float]:
    x0, y0, x1, y1 = box_xyxy_px
    return [x0, y0, x1 - x0, y1 - y0]


def xyxy(box_xywh: Iterable[Any], where: str) -> Box:
    """The box of four numbers x, y, width, height.

    Raises:
        ExportError: they are not four numbers.
    """
    try:
        x, y, width, height = (float(v) for v in box_xywh)
    except (OverflowError, TypeError, ValueError):
        raise ExportError(f"{where}: needs a box of four numbers, got {box_xywh!r:.80}") from None
    return x, y, x + width, y + height


def inside(folder: Path, name: str) -> Path:
    """The file `name` below `folder`.

    Raises:
        ExportError: the name leads out of the folder.
    """
    pure = PurePosixPath(name.replace("\\", "/"))
    if pure.is_absolute() or ".." in pure.parts or "\0" in name or ":" in name:
        raise ExportError(f"{folder}: {name!r} leads out of the folder")
    return folder / pure


def read_text(path: Path) -> str:
    """The text of a file of limited size.

    Raises:
        ExportError: it is missing, not text, or too large.
    """
    try:
        return json_text.read_text(path, MAX_TEXT_BYTES)
    except TextFileError as error:
        raise ExportError(str(error)) from None


def read_json(path: Path) -> Any:
    """The value of a JSON file.

    Raises:
        ExportError: as `read_text`, or it is no JSON.
    """
    try:
        return json_text.read_json(path, MAX_TEXT_BYTES)
    except TextFileError as error:
        raise ExportError(str(error)) from None


def splits_in(folder: Path, pattern: str) -> list[tuple[str, Path]]:
    """The splits of an export, with the file or folder of each: `pattern` with the name of the split.

    Raises:
        ExportError: none is.
    """
    from simgen.dataset.export.common.selection import SPLITS

    splits = [(split, folder / pattern.format(split)) for split in SPLITS if (folder / pattern.format(split)).exists()]
    if not splits:
        raise ExportError(f"{folder}: no {pattern.format('train')}, so not of this format")
    return splits
