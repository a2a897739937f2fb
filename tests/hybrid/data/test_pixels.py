"""Pixels: what is refused before it is decoded, rotation by EXIF, depth units, the cache's bound; paths stay below."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from hybrid.core.errors import DataError
from hybrid.data import LARGEST_IMAGE_PX, read_image
from hybrid.data.clips import FrameRecord
from hybrid.data.pixels import DecodedImages, ImageInfo, decode, decode_depth_m, inspect_image, path_below, read_depth


def record(path: Path, width: int = 6, height: int = 4, **changes: object) -> FrameRecord:
    nothing = {"boxes_xyxy_px": np.zeros((0, 4), np.float32), "labels": np.zeros(0, np.int64)}
    return FrameRecord(name="f", path=path, width_px=width, height_px=height, **(nothing | changes))  # type: ignore[arg-type]


def write(path: Path, seed: int = 0, shape: tuple[int, ...] = (4, 6, 3)) -> np.ndarray:
    pixels = np.random.default_rng(seed).integers(0, 255, shape).astype(np.uint8)
    Pillow.fromarray(pixels).save(path)
    return pixels


@pytest.mark.parametrize("orientation", [1, 5, 6, 7, 8])
def test_an_image_is_turned_as_its_exif_tag_says(orientation: int, tmp_path: Path) -> None:
    from PIL import ImageOps

    pixels = np.zeros((32, 48, 3), np.uint8)
    pixels[:8, :8] = 255
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    Pillow.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif, quality=95)
    wanted = np.asarray(ImageOps.exif_transpose(Pillow.open(tmp_path / "a.jpg")))
    made = read_image(tmp_path / "a.jpg")
    assert isinstance(made, np.ndarray)
    assert made.shape == wanted.shape
    assert np.abs(made.astype(int) - wanted.astype(int)).max() < 10
    assert inspect_image(tmp_path / "a.jpg") == ImageInfo((48, 32), orientation >= 5)


def test_grey_and_transparent_images_are_read_as_rgb(tmp_path: Path) -> None:
    grey = write(tmp_path / "grey.png", shape=(4, 6))
    made = read_image(tmp_path / "grey.png")
    assert (made == np.repeat(grey[..., None], 3, 2)).all()
    rgba = write(tmp_path / "rgba.png", shape=(4, 6, 4))
    made = read_image(tmp_path / "rgba.png")
    assert (made == rgba[..., :3]).all()


def test_the_largest_image_is_a_limit_of_pixels_not_of_a_side(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert LARGEST_IMAGE_PX == 100_000_000
    write(tmp_path / "a.png")
    monkeypatch.setattr("hybrid.data.pixels.LARGEST_IMAGE_PX", 24)
    assert isinstance(read_image(tmp_path / "a.png"), np.ndarray)
    monkeypatch.setattr("hybrid.data.pixels.LARGEST_IMAGE_PX", 23)
    assert read_image(tmp_path / "a.png") == "image refused: more than 23 pixels"


def test_what_is_no_image_says_why(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    assert read_image(tmp_path / "text.png") == "image file cannot be decoded"
    assert read_image(tmp_path / "none.png") == read_image(tmp_path) == "image file missing"


def test_a_frame_is_read_from_its_own_bytes_of_a_larger_file(tmp_path: Path) -> None:
    pixels = [write(tmp_path / f"{k}.png", k) for k in range(2)]
    encoded = [(tmp_path / f"{k}.png").read_bytes() for k in range(2)]
    (tmp_path / "shard").write_bytes(b"head" + encoded[0] + encoded[1] + b"tail")
    spans = ((4, len(encoded[0])), (4 + len(encoded[0]), len(encoded[1])))
    for k, (offset, length) in enumerate(spans):
        assert (decode(record(tmp_path / "shard", offset=offset, length=length)) == pixels[k]).all()
    with pytest.raises(DataError, match="f cannot be decoded"):
        decode(record(tmp_path / "shard", offset=2, length=9))
    with pytest.raises(DataError, match="f is 6x4, not 5x4"):
        decode(record(tmp_path / "0.png", width=5))


def test_depth_is_metres_of_the_unit_and_zero_without_a_file(tmp_path: Path) -> None:
    steps = np.array([[0, 1], [1000, 65535]], np.uint16)
    cv2.imwrite(str(tmp_path / "d.png"), steps)
    np.testing.assert_allclose(read_depth(tmp_path / "d.png", 0.001), [[0, 0.001], [1, 65.535]], rtol=1e-6)
    np.testing.assert_allclose(read_depth(tmp_path / "d.png", 0.0001), steps * 1e-4, rtol=1e-6)
    assert read_depth(tmp_path / "none.png", 0.001) == "depth file missing"
    write(tmp_path / "rgb.png")
    assert read_depth(tmp_path / "rgb.png", 0.001) == "depth file is not of one channel of 16 bits"
    unknown = decode_depth_m(record(tmp_path / "rgb.png"))
    assert unknown.shape == (4, 6)
    assert not unknown.any()


def test_the_cache_drops_what_was_used_least_recently(tmp_path: Path) -> None:
    frames = []
    for k in range(3):
        write(tmp_path / f"{k}.png", k)
        frames.append(record(tmp_path / f"{k}.png"))
    cache = DecodedImages(2 * 4 * 6 * 3)
    first = cache.read(frames[0])
    cache.read(frames[1])
    assert cache.read(frames[0]) is first
    cache.read(frames[2])
    assert cache.read(frames[0]) is first, "used after 1, so 1 was dropped"
    none = DecodedImages(0)
    assert none.read(frames[0]) is not none.read(frames[0])


@given(st.text("ab/.\\: C", min_size=1, max_size=12))
def test_a_file_name_never_leads_out_of_its_folder(name: str) -> None:
    path = path_below(Path("/data/set"), name)
    if path is not None:
        assert ".." not in path.parts
        assert Path("/data/set") in (path, *path.parents)


@pytest.mark.parametrize("name", ["../a.png", "a/../../b.png", "/a.png", "C:/a.png", "c:a.png", "a\\..\\b", "a\0.png"])
def test_names_that_lead_out_of_the_folder_are_refused(name: str) -> None:
    assert path_below(Path("set"), name) is None
