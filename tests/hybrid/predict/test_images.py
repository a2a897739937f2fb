"""What a user may give to `Detector.predict`: each kind is the same picture; what may mean two is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from hybrid import Detector
from hybrid.core.errors import DataError, InputError
from hybrid.model.network import Network
from hybrid.predict.images import given_images
from hybrid.predict.result import Result
from hybrid.predict.tiles import View
from tests.hybrid.variants import build, full

RGB = np.random.default_rng(0).integers(0, 255, (20, 30, 3)).astype(np.uint8)
GREY = RGB[..., 0]
CLIP = np.stack([RGB, 255 - RGB])


def tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.copy())


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (RGB, RGB),
        (RGB[:, ::-1], RGB[:, ::-1]),
        (GREY, np.dstack([GREY] * 3)),
        (GREY[..., None], np.dstack([GREY] * 3)),
        ((RGB / 255).astype(np.float32), RGB),
        (RGB / 255, RGB),
        (tensor(RGB), RGB),
        (tensor(RGB).permute(2, 0, 1), RGB),
        (tensor(RGB).permute(2, 0, 1).float() / 255, RGB),
        (tensor(RGB).permute(2, 0, 1).float().requires_grad_(True) / 255, RGB),
        (tensor(GREY), np.dstack([GREY] * 3)),
        (Pillow.fromarray(RGB), RGB),
        (Pillow.fromarray(GREY), np.dstack([GREY] * 3)),
        (Pillow.fromarray(np.dstack([RGB, GREY])), RGB),
        (Pillow.fromarray(GREY.astype(np.uint16) * 16 + 15), np.dstack([GREY] * 3)),
    ],
)
def test_every_kind_of_image_is_the_same_picture(given: Any, wanted: np.ndarray) -> None:
    detections = given_images(given)
    assert (detections.single, detections.clip, len(detections.images)) == (True, False, 1)
    assert detections.images[0].dtype == np.uint8
    assert detections.images[0].flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(detections.images[0], wanted)


def test_a_clip_is_an_array_and_a_list_holds_images_that_know_nothing_of_each_other(tmp_path: Path) -> None:
    for clip in (CLIP, tensor(CLIP).permute(0, 3, 1, 2), tensor(CLIP).permute(0, 3, 1, 2) / 255):
        detections = given_images(clip)
        assert (detections.single, detections.clip) == (False, True)
        np.testing.assert_array_equal(np.stack(list(detections.images)), CLIP)
    Pillow.fromarray(RGB).save(tmp_path / "a.png")
    several = given_images([RGB, tmp_path / "a.png", str(tmp_path / "a.png"), Pillow.open(tmp_path / "a.png"), GREY])
    assert (several.single, several.clip) == (False, False)
    assert several.names == ["image 0", "a.png", "a.png", "a.png", "image 4"]
    assert all((one == RGB).all() for one in several.images[:4])
    assert given_images([]).images == []


def test_a_path_and_an_image_of_pil_are_turned_as_their_exif_tag_says(tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6
    for suffix in ("png", "tiff"):
        path = tmp_path / f"a.{suffix}"
        Pillow.fromarray(RGB).save(path, exif=exif)
        for given in (path, str(path), Pillow.open(path)):
            np.testing.assert_array_equal(given_images(given).images[0], np.rot90(RGB, -1))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (None, "None came, as from a cv2.imread"),
        (RGB.astype(np.uint16), r"uint16 came: scale it to uint8, as \(image >> 8\)"),
        (RGB.astype(np.int64), "int64 came"),
        (RGB.astype(np.float32), "floats from 0 to 254 came: scale them to 0..1"),
        (RGB / 127 - 1, "floats from -1 to 1 came"),
        (np.full((4, 4, 3), np.nan), "floats from nan to nan came"),
        (RGB > 7, "an array of bool came"),
        (RGB.astype(object), "an array of object came"),
        (np.dstack([RGB, GREY]), r"drop its alpha channel with image\[..., :3\]"),
        (RGB.transpose(2, 0, 1), r"its channels stand first; give np.moveaxis\(image, 0, -1\)"),
        (RGB[..., :2], r"shape \(20, 30, 2\) came; needed is"),
        (RGB[0, :, 0], "needed is an RGB array"),
        (CLIP[None], "needed is an RGB array"),
        (CLIP[:0], "a clip without a frame"),
        (RGB[:0], "an image without a pixel"),
        ([RGB, None], "image 1 of the list: None came"),
        ([RGB, CLIP], "image 1 of the list is no single image"),
        ([[1, 2], [3, 4]], "image 0 of the list is no single image"),
        (7, "int came; needed is"),
        (iter([RGB]), "came; needed is"),
        ("nosuch.png", "nosuch.png: image file missing"),
    ],
)
def test_what_may_mean_two_things_or_is_no_image_is_refused(given: Any, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        given_images(given)
    assert isinstance(caught.value, ValueError)


@pytest.fixture(scope="module")
def detector() -> Detector:
    torch.manual_seed(1)
    network = Network(full(("bolt", "nut"), width=16, heads=2, queries=20, memory_frames=2, quiet_start=False))
    return Detector(network, View(tile_px=None, scales=(1.0,), limit=20), score=0.0)


def test_images_of_a_list_are_answered_as_each_alone_and_only_a_clip_has_tracks(detector: Detector) -> None:
    alone = [detector.predict(one) for one in CLIP]
    listed, clip = detector.predict(list(CLIP)), detector.predict(CLIP)
    assert isinstance(listed, list)
    assert isinstance(clip, list)
    for one, other in zip(alone, listed, strict=True):
        assert isinstance(one, Result)
        np.testing.assert_array_equal(one.scores, other.scores)
        assert len(one) > 0
        assert (one.track_ids == -1).all()
        assert (other.track_ids == -1).all()
    assert not np.array_equal(clip[1].scores, listed[1].scores)
    tracking = Detector(build("whole boxes", tracks=6), detector.view, score=0.0, label_iou=1.0)
    assert (tracking.predict(RGB).track_ids == -1).all()  # type: ignore[union-attr]
    assert (tracking.predict(CLIP)[1].track_ids >= 0).any()  # type: ignore[index]


def test_a_result_is_drawn_on_its_own_image_and_saved_but_over_nothing(detector: Detector, tmp_path: Path) -> None:
    result = detector.predict(RGB)
    assert isinstance(result, Result)
    drawn = result.plot()
    assert drawn.shape == RGB.shape
    assert (drawn != RGB).any()
    path = result.save(tmp_path / "new/found.png")
    np.testing.assert_array_equal(cv2.imread(str(path))[..., ::-1], drawn)
    with pytest.raises(DataError, match=r"found.png: exists; give another name, or overwrite=True"):
        result.save(path)
    result.save(path, overwrite=True)
    with pytest.raises(DataError, match=r"ends in .jpg"):
        result.save(tmp_path / "found")
    assert not (tmp_path / "found").exists()
    (streamed,) = detector.stream([RGB])
    with pytest.raises(InputError, match=r"a stream's result keeps no image; give it: result.plot\(image\)"):
        streamed.plot()
    assert (streamed.plot(RGB) != RGB).any()


def test_frames_of_a_stream_are_uint8_rgb(detector: Detector) -> None:
    for wrong, says in (
        (None, "NoneType came"),
        ("a.png", "str came"),
        (RGB.astype(np.uint16), r"uint16 \(20, 30, 3\) came"),
        (GREY, r"uint8 \(20, 30\) came"),
    ):
        with pytest.raises(InputError, match=says):
            list(detector.stream(iter([wrong])))  # type: ignore[arg-type]
