"""Cut-out pictures of other things, for decoys: files with transparency, or polygons on photos.

They may come from anywhere: sizes, counts and every number are checked before they are used.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from simgen.assets.cad.packed import PackedPart, write_packed
from simgen.assets.parts.cards import card
from simgen.dataset.format.coco_json import read_coco_json
from simgen.dataset.format.coco_rows import CocoAnnotation, CocoImage, coco_content
from simgen.dataset.format.picture_files import PictureFiles
from simgen.dataset.store.files import check_plain
from simgen.presets.outlines import MAX_JSON_BYTES, NEEDED, polygons_of
from simgen.spec.contents import keep
from simgen.spec.errors import BadPhoto, CocoError
from simgen.spec.evenly import evenly
from simgen.spec.picture import Picture, decoded, read_bytes, stored, turned
from simgen.spec.text.printable import printable

ENDINGS = (".png", ".webp", ".tif", ".tiff")  # they may have transparency
FORMATS = ("PNG", "WEBP", "TIFF")
CATEGORY = "cutout"  # of a file with transparency
MOST = 100  # cards of a source: a data set holds a copy of each, up to half a megabyte
MAX_FILES = 10_000  # in a folder
MAX_BYTES = 64 * 2**20  # of a picture
POLYGONS = "a cut-out needs transparency, or a polygon in a COCO JSON"

Thing = tuple[UInt8[np.ndarray, "rows columns 3"], UInt8[np.ndarray, "rows columns"]]


def read_cutouts(path: Path) -> list[dict[str, str]]:
    """Name and sha256 of the card of each thing in a picture, in a folder of pictures, or in a COCO JSON.

    At most MOST are taken, spread over all that there are. The cards are kept for this process.

    Raises:
        BadPhoto: there is none, or a file of them cannot be used. Names the file and the remedy.
    """
    cards = _of_json(path) if path.suffix.lower() == ".json" else map(_of_file, _files(path))
    found = {keep(write_packed(one)): one.name for one in cards}
    return [{"name": name, "sha256": sha256} for sha256, name in found.items()]


def _files(path: Path) -> list[Path]:
    """The pictures in a folder, sorted; or the file itself."""
    if not path.is_dir():
        return [path]
    try:
        files = sorted(one for one in path.iterdir() if one.suffix.lower() in ENDINGS)
    except OSError as error:
        raise BadPhoto(f"{path}: cannot be read: {error.strerror}") from None
    if not files:
        raise BadPhoto(f"{path}: no picture with transparency in this folder ({', '.join(ENDINGS)})")
    if len(files) > MAX_FILES:
        raise BadPhoto(f"{path}: {len(files)} pictures, more than {MAX_FILES}")
    return evenly(files, MOST)


def _of_file(path: Path) -> PackedPart:
    """The card of a picture with transparency."""
    data = _data(path)
    picture = decoded(data)
    if isinstance(picture, str):
        raise BadPhoto(f"{path}: {picture}")
    made = card(picture.pixels, _alpha(data, picture, path), path.stem, CATEGORY, printable(path.name))
    if isinstance(made, str):
        raise BadPhoto(f"{path}: {made}")
    return made


def _data(path: Path) -> bytes:
    try:
        check_plain(path, MAX_BYTES)
    except OSError as error:
        raise BadPhoto(f"{path}: cannot be read: {error.strerror or error}") from None
    data = read_bytes(path)
    if isinstance(data, str):
        raise BadPhoto(f"{path}: {data}")
    return data


def _alpha(data: bytes, picture: Picture, path: Path) -> UInt8[np.ndarray, "h w"]:
    """The transparency of a picture that `decoded` has found sound: 0 where it is transparent."""
    from PIL import Image as Pillow

    try:
        with Pillow.open(io.BytesIO(data), formats=FORMATS) as image:
            alpha = np.array(image.convert("RGBA"))[..., 3:]
    except Exception as error:  # Pillow raises many classes
        raise BadPhoto(f"{path}: its transparency cannot be read: {printable(str(error))[:100]}") from None
    if alpha.min() == 255:
        raise BadPhoto(f"{path}: has no transparent pixel: {POLYGONS}")
    orientation = 1 if image.format == "TIFF" else picture.orientation  # Pillow turns a TIFF itself
    return np.ascontiguousarray(turned(np.repeat(alpha, 3, axis=2), orientation)[..., 0])


def _of_json(path: Path) -> Iterator[PackedPart]:
    """The cards of the things that a COCO JSON outlines by polygons."""
    try:
        content = coco_content(read_coco_json(path, NEEDED, most_bytes=MAX_JSON_BYTES))
    except CocoError as error:
        raise BadPhoto(f"{path}: {error}") from None
    outlined = [
        (image, one, polygons)
        for image in content.images
        for one in image.annotations
        if not one.crowd and (polygons := polygons_of(one.row.get("segmentation")))
    ]
    if not outlined:
        raise BadPhoto(f"{path}: no annotation with a polygon (segmentation: [[x, y, ...]]): {POLYGONS}")
    files = PictureFiles(path, [image.file_name for image in content.images])
    small = 0
    for _, rows in groupby(evenly(outlined, MOST), key=lambda row: row[0].file_name):
        first, *others = rows
        pixels = _pixels(files, first[0], path)
        for image, one, polygons in (first, *others):
            stem = Path(image.file_name).stem
            made = card(*_cut(pixels, polygons), f"{one.category}-{stem}", _category(one), image.name)
            if isinstance(made, str):
                small += 1
            else:
                yield made
    if small == min(len(outlined), MOST):
        raise BadPhoto(f"{path}: none of its {len(outlined)} polygons is large enough for a card")


def _category(one: CocoAnnotation) -> str:
    return (one.category or "").strip()[:64].strip() or CATEGORY


def _pixels(files: PictureFiles, image: CocoImage, path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """The picture of an image, as its annotations see it: upright, unless the file states the stored size."""
    found = files.find(image.file_name)
    if found.path is None:
        raise BadPhoto(f"{path}: {image.name}: {found.note}")
    picture = decoded(_data(found.path))
    if isinstance(picture, str):
        raise BadPhoto(f"{found.path}: {picture}")
    height, width = picture.pixels.shape[:2]
    is_stored = image.size_px == picture.stored_size and image.size_px != (width, height)
    return stored(picture) if is_stored else picture.pixels


def _cut(pixels: UInt8[np.ndarray, "h w 3"], polygons: list[np.ndarray]) -> Thing:
    """The part of a photo round polygons, and what is inside of them."""
    height, width = pixels.shape[:2]
    placed = [np.clip(np.round(one), 0, [width - 1, height - 1]).astype(np.int32) for one in polygons]
    (left, top), (right, bottom) = (getattr(np.concatenate(placed), end)(axis=0) for end in ("min", "max"))
    box = np.s_[top : bottom + 1, left : right + 1]
    mask = np.zeros((int(bottom - top + 1), int(right - left + 1)), np.uint8)
    for one in placed:
        cv2.fillPoly(mask, [one - [left, top]], 255)
    return np.ascontiguousarray(pixels[box]), mask
