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
from hybrid.data.pixels import DecodedImages, decode, decode_depth_m, path_below, read_depth


def record(path: Path, width: int = 6, height: int = 4, **changes: object) -> FrameRecord:
    nothing = {"boxes_xyxy_px": np.zeros((0, 4), np.float32), "labels": np.zeros(0, np.int64)}
    return FrameRecord(name="f", path=path, width_px=width, height_px=height, **(nothing | changes))  # type: ignore[arg-type]


def write(path: Path, seed: int = 0, shape: tuple[int, ...] = (4, 6, 3)) -> np.ndarray:
    pixels = np.random.default_rng(seed).integers(0, 255, shape).astype(np.uint8)
    Pillow.fromarray(pixels).save(path)
    return pixels


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
    monkeypatch.setattr("simgen.spec.picture.LARGEST_IMAGE_PX", 24)
    assert isinstance(read_image(tmp_path / "a.png"), np.ndarray)
    monkeypatch.setattr("simgen.spec.picture.LARGEST_IMAGE_PX", 23)
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


def test_a_member_of_a_shard_is_decoded_only_where_its_header_has_the_stated_size(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for suffix in ("png", "jpg"):
        write(tmp_path / f"a.{suffix}")
        monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("was decoded"))
        length = (tmp_path / f"a.{suffix}").stat().st_size
        with pytest.raises(DataError, match="f is 6x4, not 6x5"):
            decode(record(tmp_path / f"a.{suffix}", height=5, length=length))
        monkeypatch.undo()
    cv2.imwrite(str(tmp_path / "d.png"), np.zeros((4, 6), np.uint16))
    monkeypatch.setattr("simgen.dataset.format.png16.decode_depth", lambda _: pytest.fail("was decoded"))
    with pytest.raises(DataError, match="the depth of f is 6x4, not 6x5"):
        decode_depth_m(record(tmp_path / "d.png", height=5, depth_at=(0, (tmp_path / "d.png").stat().st_size)))


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
