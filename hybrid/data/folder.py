"""A folder of pictures without labels: of the empty place, or of the real place whose look is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hybrid.core.errors import DataError
from hybrid.data.boxes import make_source
from hybrid.data.clips import IMAGE_SUFFIXES, Clip, ClipSource, FrameRecord, Skips, pictures_in
from hybrid.data.pixels import ImageInfo, inspect_image


def read_folder(folder: Path, categories: Sequence[str]) -> ClipSource:
    """The pictures of a folder, each a clip of one frame without a box. Folders below it are not looked into.

    `categories` are those of the sources that it is mixed with. Pictures that cannot be read are in `skipped`.

    Raises:
        DataError: there is no such folder, or no picture of it can be read.

    >>> source = read_folder(Path("photos/images"), ("bolt", "washer"))
    >>> len(source), source.counts()
    (4, {'bolt': 0, 'washer': 0})
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: is no folder of pictures")
    skips, clips = Skips(), []
    for file in pictures_in(folder):
        info = inspect_image(file)
        if not isinstance(info, ImageInfo):
            skips.add(info, file.name)
            continue
        for note in info.notes:
            skips.add(note, file.name)
        clips.append(Clip(file.name, (_without_boxes(file, info),)))
    if not clips and not skips.done():
        raise DataError(f"{folder}: holds no picture ({', '.join(IMAGE_SUFFIXES)})")
    return make_source(str(folder), categories, clips, skips)


def _without_boxes(file: Path, info: ImageInfo) -> FrameRecord:
    width_px, height_px = info.upright_size
    return FrameRecord(
        name=file.name,
        path=file,
        width_px=width_px,
        height_px=height_px,
        upright=True,
        boxes_xyxy_px=np.zeros((0, 4), np.float32),
        labels=np.zeros(0, np.int64),
    )
