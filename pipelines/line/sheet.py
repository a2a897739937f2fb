"""A contact sheet of what a detector finds on photos: `python -m pipelines.line.sheet RUN PHOTOS OUT SHEET.jpg`.

At most MOST_PHOTOS photos, spread over the folder. Each is written with its boxes too, and the results as JSON lines.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from hybrid.core.errors import DataError
from pipelines.common.options import one_line_errors
from simgen.spec.evenly import evenly

MOST_PHOTOS = 24
COLUMNS, CELL_PX, GAP_PX = 3, 480, 6
LISTING = "detections.jsonl"
Image = UInt8[np.ndarray, "_ _ 3"]


def look(run: Path, photos: Path, out: Path, sheet: Path) -> None:
    """Detect on the photos of a folder, and write the pictures with boxes, the listing and the sheet.

    Raises:
        DataError: no photo can be read.
        RunError: there is no such run.
    """
    from hybrid.core.progress import bar
    from hybrid.data.clips import pictures_in
    from hybrid.data.pixels import read_image
    from hybrid.predict.detector import Detector
    from hybrid.predict.io.drawing import draw_result
    from hybrid.predict.io.outputs import encoded
    from pipelines.common.data import note
    from simgen.dataset.store.files import write_atomically

    detector = Detector.load(run)
    files = pictures_in(photos)
    some = evenly(files, MOST_PHOTOS)
    if len(some) < len(files):
        note(f"{photos}: looked at {len(some)} of {len(files)} photos, spread over the folder")
    out.mkdir(parents=True, exist_ok=True)
    drawn, rows = list[Image](), list[str]()
    with bar("photos") as progress:
        for number, file in enumerate(some, 1):
            image = read_image(file)
            if isinstance(image, str):
                note(f"{file}: left out: {image}")
            else:
                result = detector.predict(image)
                assert not isinstance(result, list), "one picture has one result"
                picture = draw_result(image, result)
                write_atomically(out / f"{file.name}.jpg", encoded(picture, ".jpg"))
                rows.append(json.dumps({**result.to_plain(), "frame": file.name}))
                drawn.append(cell(picture))
            progress(number, len(some), {})
    if not drawn:
        raise DataError(f"{photos}: none of its {len(some)} photos can be read")
    write_atomically(out / LISTING, "".join(f"{row}\n" for row in rows).encode())
    write_atomically(sheet, encoded(arranged(drawn), ".jpg"))


def cell(picture: Image) -> Image:
    """The picture at the width of a column; one that is high is made narrower, with grey beside it."""
    import cv2

    height, width = picture.shape[:2]
    scale = min(CELL_PX / width, CELL_PX / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    scaled = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    canvas = np.full((size[1], CELL_PX, 3), 40, np.uint8)
    left = (CELL_PX - size[0]) // 2
    canvas[:, left : left + size[0]] = scaled
    return canvas


def arranged(cells: Sequence[Image]) -> Image:
    """The cells in rows; each row is as high as its highest cell."""
    columns = min(COLUMNS, len(cells))
    width = columns * CELL_PX + (columns - 1) * GAP_PX
    rows = []
    for first in range(0, len(cells), columns):
        some = cells[first : first + columns]
        row = np.full((max(one.shape[0] for one in some) + GAP_PX, width, 3), 40, np.uint8)
        for k, one in enumerate(some):
            left = k * (CELL_PX + GAP_PX)
            row[: one.shape[0], left : left + CELL_PX] = one
        rows.append(row)
    return np.concatenate(rows)[:-GAP_PX]


if __name__ == "__main__":
    with one_line_errors():
        look(*map(Path, sys.argv[1:5]))
