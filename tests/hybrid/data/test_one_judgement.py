"""`simgen check` and training judge a picture alike: check names what training leaves out or reads in its own way."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from hybrid.core.errors import DataError
from hybrid.data.coco import read_coco
from simgen.dataset.check.coco import check_coco
from simgen.dataset.check.report import Report
from tests.hybrid.data.test_picture import MONO12, SMOOTH, UNIT, file_of, opencv_file, png

LARGE = cv2.resize(SMOOTH, (320, 240))
TURNED = Pillow.Exif()
TURNED[0x0112] = 6
JPEG = file_of(LARGE, "JPEG")
KINDS: dict[str, tuple[bytes, tuple[int, int]]] = {  # the file, and the size that is stated
    "a JPEG": (file_of(SMOOTH, "JPEG"), (48, 32)),
    "CMYK": (file_of(Pillow.fromarray(SMOOTH).convert("CMYK"), "JPEG"), (48, 32)),
    "a palette": (file_of(Pillow.fromarray(SMOOTH).quantize(8), "PNG", transparency=bytes(range(8))), (48, 32)),
    "see-through": (file_of(Pillow.fromarray(np.dstack([SMOOTH, SMOOTH[..., 0]])), "PNG"), (48, 32)),
    "12 bits": (opencv_file(MONO12, ".png"), (48, 32)),
    "16 bits": (opencv_file(MONO12 * 16, ".tiff"), (48, 32)),
    "floats": (file_of(UNIT, "TIFF"), (48, 32)),
    "floats without a meaning": (file_of(UNIT * 4000, "TIFF"), (48, 32)),
    "CIELAB": (file_of(Pillow.new("LAB", (48, 32)), "TIFF"), (48, 32)),
    "floats of colour": (opencv_file(np.dstack([UNIT] * 3), ".tiff"), (48, 32)),
    "PostScript": (file_of(SMOOTH, "EPS"), (48, 32)),
    "HEIC": (b"\0\0\0\x18ftypheic" + bytes(40), (48, 32)),
    "turned, its size upright": (file_of(SMOOTH, "JPEG", exif=TURNED), (32, 48)),
    "turned, its size as stored": (file_of(SMOOTH, "JPEG", exif=TURNED), (48, 32)),
    "a TIFF that is turned": (file_of(SMOOTH, "TIFF", exif=TURNED), (32, 48)),
    "not turned, its sides exchanged": (file_of(SMOOTH, "JPEG"), (32, 48)),
    "another size": (file_of(SMOOTH, "JPEG"), (48, 33)),
    "without its last bytes": (JPEG[:-2], (320, 240)),
    "half a file": (JPEG[: len(JPEG) // 2], (320, 240)),
    "nothing": (b"", (48, 32)),
    "a bomb": (png(32_000, 32_000), (32_000, 32_000)),
}
LEFT_OUT = {
    "floats without a meaning", "CIELAB", "floats of colour", "PostScript", "HEIC",
    "not turned, its sides exchanged", "another size", "half a file", "nothing", "a bomb",
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_check_and_training_judge_a_picture_alike(kind: str, tmp_path: Path) -> None:
    encoded, (width, height) = KINDS[kind]
    (tmp_path / "a.png").write_bytes(encoded)
    plain = {
        "images": [{"id": 1, "file_name": "a.png", "width": width, "height": height}],
        "categories": [{"id": 1, "name": "bolt"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [4, 4, 9, 9], "area": 81}],
    }
    listing = tmp_path / "a.json"
    listing.write_text(json.dumps(plain))
    report = Report(listing, "coco")
    check_coco(listing, report)
    try:
        source = read_coco(listing)
    except DataError:
        assert kind in LEFT_OUT
        assert report.counts["picture"] == 1, "check names what training leaves out"
    else:
        assert kind not in LEFT_OUT
        assert report.errors == 0, report.lines
        assert {p.text for p in report.problems if p.kind == "reading"} == set(source.skipped), "and how it is read"
