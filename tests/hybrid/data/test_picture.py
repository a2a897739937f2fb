"""What a picture file says is what is read: its turn, bits and colours; what has no one right reading says so."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import ImageOps

from hybrid.data.clips import FrameRecord
from hybrid.data.pixels import ImageInfo, decode, inspect_image, read_image
from simgen.spec.picture import FORMATS, decoded, stored, stored_size

SMOOTH = cv2.resize(np.random.default_rng(0).integers(0, 255, (4, 6, 3)).astype(np.uint8), (48, 32))
MONO12 = np.linspace(0, 4095, 48 * 32).reshape(32, 48).astype(np.uint16)
UNIT = (MONO12 / 4095).astype(np.float32)


def file_of(pixels: np.ndarray | Pillow.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    (Pillow.fromarray(pixels) if isinstance(pixels, np.ndarray) else pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def opencv_file(pixels: np.ndarray, suffix: str) -> bytes:
    return cv2.imencode(suffix, pixels)[1].tobytes()


def read(encoded: bytes, *notes: str) -> np.ndarray:
    picture = decoded(encoded)
    assert not isinstance(picture, str), picture
    assert len(picture.notes) == len(notes), picture.notes
    assert all(part in note for part, note in zip(notes, picture.notes, strict=True)), picture.notes
    return picture.pixels


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_pillow_shows_it(kind: str, orientation: int, tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{kind.lower()}"
    path.write_bytes(file_of(SMOOTH, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {})))
    wanted = np.asarray(ImageOps.exif_transpose(Pillow.open(path)))
    made = read_image(path)
    assert isinstance(made, np.ndarray)
    assert (made == wanted).all()
    info = inspect_image(path)
    assert info == ImageInfo((48, 32), orientation)
    assert info.upright_size == (made.shape[1], made.shape[0])
    nothing = {"boxes_xyxy_px": np.zeros((0, 4), np.float32), "labels": np.zeros(0, np.int64)}
    frame = FrameRecord(name="f", path=path, width_px=48, height_px=32, **nothing)
    assert np.abs(decode(frame).astype(int) - SMOOTH).mean() < (9 if kind == "JPEG" else 1e-9), (
        "labelled before the turn"
    )


@pytest.mark.parametrize("orientation", [0, 9])
def test_an_orientation_that_does_not_exist_is_none(orientation: int) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    assert (read(file_of(SMOOTH, "PNG", exif=exif)) == SMOOTH).all()


def test_damaged_exif_and_warnings_of_pillow_refuse_no_picture() -> None:
    exif = Pillow.Exif()
    exif[0x010F] = "a maker whose name is longer than four bytes"
    encoded = file_of(SMOOTH, "JPEG", exif=exif)
    at = encoded.index(b"\x01\x0f\0\x02") if b"MM\0*" in encoded else encoded.index(b"\x0f\x01\x02\0")
    broken = encoded[: at + 8] + b"\xff\xff\x00\x00" + encoded[at + 12 :]  # the entry points outside the block
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert not dict(Pillow.open(io.BytesIO(broken)).getexif()), "this test must damage the EXIF"
    assert (read(broken) == read(encoded)).all()


def test_a_file_without_its_last_bytes_is_read_and_half_a_file_is_not() -> None:
    large = cv2.resize(SMOOTH, (320, 240))
    for kind in ("JPEG", "PNG", "TIFF", "BMP"):
        whole = file_of(large, kind)
        cut = decoded(whole[:-2])
        assert not isinstance(cut, str), kind
        assert (cut.pixels[20:220] == read(whole)[20:220]).all()
        half = decoded(whole[: len(whole) // 2])
        assert isinstance(half, str), kind
        assert half.startswith("image file cannot be decoded")
        assert decoded(whole[: len(whole) // 2], thumbnail=True) == half, "both decide alike"
    assert decoded(file_of(large, "JPEG")[:-2]).notes == decoded(file_of(large, "JPEG")[:-2], thumbnail=True).notes


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_a_camera_of_few_bits_in_a_file_of_16_is_as_bright_as_in_8(suffix: str, bits: int) -> None:
    values = (np.linspace(0, 1, 48 * 32).reshape(32, 48) * (2**bits - 1)).astype(np.uint16)
    notes = () if bits == 16 else (f"uses {bits} of its 16 bits",)
    made = read(opencv_file(values, suffix), *notes)
    assert (made == (values >> (bits - 8))[..., None]).all()
    colour = np.stack([values, values // 2, values // 4], -1)
    assert (read(opencv_file(colour, suffix), *notes) == (colour >> (bits - 8))[..., ::-1]).all()


def test_a_dark_picture_of_16_bits_stays_dark_and_black_stays_black() -> None:
    assert read(opencv_file(np.full((4, 6), 20_000, np.uint16), ".png")).max() == 20_000 >> 8
    assert not read(opencv_file(np.zeros((4, 6), np.uint16), ".png")).any()


def test_floats_are_read_by_their_range_or_refused() -> None:
    wanted = np.round(UNIT * 255).astype(np.uint8)[..., None]
    assert np.abs(read(file_of(UNIT, "TIFF"), "from 0 to 1").astype(int) - wanted).max() == 0
    assert np.abs(read(file_of(UNIT * 255, "TIFF"), "from 0 to 255").astype(int) - wanted).max() <= 1
    for strange in (UNIT - 0.5, UNIT * 4000, np.where(UNIT > 0.5, np.nan, UNIT), np.where(UNIT > 0.5, np.inf, UNIT)):
        assert "image refused: floats" in str(decoded(file_of(strange.astype(np.float32), "TIFF")))
    assert "numbers from -9" in str(decoded(file_of(MONO12.astype(np.int32) - 9, "TIFF")))
    assert (read(file_of(MONO12.astype(np.int32), "TIFF"), "12 of its 16") == (MONO12 >> 4)[..., None]).all()


def test_every_kind_of_colour_is_read_as_rgb_or_refused() -> None:
    picture, grey = Pillow.fromarray(SMOOTH), Pillow.fromarray(SMOOTH).convert("L")
    alpha = Pillow.new("L", picture.size, 7)
    for mode in ("1", "L", "P", "CMYK", "YCbCr"):
        as_mode = picture.convert(mode)
        assert (read(file_of(as_mode, "TIFF" if mode != "P" else "PNG")) == np.asarray(as_mode.convert("RGB"))).all()
    for colour, bands in ((picture, (*picture.split(), alpha)), (grey, (grey, alpha))):
        made = read(file_of(Pillow.merge("LA" if len(bands) == 2 else "RGBA", bands), "PNG"), "transparent")
        assert (made == np.asarray(colour.convert("RGB"))).all()
    assert (read(file_of(picture.convert("RGBA"), "PNG")) == SMOOTH).all(), "opaque: nothing to say"
    clear = file_of(picture.quantize(8), "PNG", transparency=bytes(range(8)))
    assert (read(clear) == np.asarray(picture.quantize(8).convert("RGB"))).all()
    cmyk = Pillow.new("CMYK", (16, 16), (0, 255, 255, 0))
    assert np.abs(read(file_of(cmyk, "JPEG")).astype(int) - (255, 0, 0)).max() < 9
    assert "CIELAB" in str(decoded(file_of(Pillow.new("LAB", (8, 8)), "TIFF")))
    inverse = read(file_of(MONO12, "TIFF", tiffinfo={262: 0}), "12 of its 16")
    assert (inverse == 255 - (MONO12 >> 4)[..., None]).all(), "white is zero"


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


def test_the_limit_of_the_size_is_our_own_and_is_checked_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simgen.spec.picture.LARGEST_IMAGE_PX", 95)
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 80)  # Pillow warns from here on, and refuses twice as many
    assert read(file_of(np.zeros((9, 10, 3), np.uint8), "PNG")).shape == (9, 10, 3)
    for side in (10, 1000, 32_000):
        monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda _: pytest.fail("was decoded"))
        assert decoded(png(side, side)) == "image refused: more than 95 pixels"
        assert stored_size(png(side, side)) in ((side, side), None)


def test_a_kind_that_is_not_read_says_what_would_do() -> None:
    assert "HEIC; save it as JPEG" in str(decoded(b"\0\0\0\x18ftypheic" + bytes(40)))
    floats = opencv_file(np.dstack([UNIT] * 3), ".tiff")
    assert "a TIFF of a rare kind; save it with 8 or 16 bits" in str(decoded(floats))
    assert str(decoded(file_of(SMOOTH, "EPS"))) == "image file cannot be decoded", "PostScript is a program"
    assert len(FORMATS) == 10


@pytest.mark.parametrize("progressive", [False, True])
def test_the_size_of_a_jpeg_is_read_from_its_own_header(progressive: bool) -> None:
    exif = Pillow.Exif()
    exif[0x010F] = "a maker"
    encoded = file_of(SMOOTH, "JPEG", progressive=progressive, exif=exif, comment=b"\xff\xc0 no header", dpi=(9, 9))
    assert stored_size(encoded) == (48, 32)
    assert stored_size(encoded[:30]) is None
    assert stored_size(b"") is stored_size(b"\xff\xd8\xff") is None


@pytest.mark.parametrize("size", [(1, 32), (32, 1), (7, 7), (1, 1)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_picture_of_few_pixels_is_inspected_as_it_is_read(size: tuple[int, int], kind: str) -> None:
    encoded = file_of(Pillow.new("RGB", size, (9, 9, 9)), kind)
    assert read(encoded).shape == (size[1], size[0], 3)
    thumbnail = decoded(encoded, thumbnail=True)
    assert not isinstance(thumbnail, str)
    assert thumbnail.stored_size == size


def test_a_png_whose_chunk_states_two_gigabytes_is_not_handed_to_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("would allocate what the chunk states"))
    whole = WIDE
    at = whole.index(b"IDAT")
    huge = whole[: at - 4] + b"\x7f\xff\xff\xf0" + whole[at:]
    decoded(huge)
    assert stored_size(huge) is None


WIDE = opencv_file(np.dstack([MONO12] * 3), ".png")
FILES = [
    WIDE, file_of(SMOOTH, "JPEG"), file_of(SMOOTH, "PNG"), file_of(SMOOTH, "TIFF", compression="tiff_lzw"),
    file_of(SMOOTH, "WEBP"), file_of(SMOOTH, "BMP"), opencv_file(MONO12, ".png"), file_of(UNIT, "TIFF"),
]  # fmt: skip


@given(st.sampled_from(FILES), st.lists(st.tuples(st.floats(0, 0.999), st.binary(min_size=1, max_size=4)), max_size=4))
def test_a_file_with_changed_bytes_is_read_or_refused_and_inspecting_it_decides_as_reading(
    encoded: bytes, changes: list[tuple[float, bytes]]
) -> None:
    broken = bytearray(encoded)
    for place, piece in changes:
        at = int(place * len(broken))
        broken[at : at + len(piece)] = piece
    whole, thumbnail = decoded(bytes(broken)), decoded(bytes(broken), thumbnail=True)
    if isinstance(whole, str):
        assert thumbnail == whole
    else:
        assert stored(whole).shape[1::-1] == whole.stored_size
        assert not isinstance(thumbnail, str)
        assert (thumbnail.stored_size, thumbnail.orientation) == (whole.stored_size, whole.orientation)
