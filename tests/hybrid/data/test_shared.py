"""Photos that stand in two data sets are found under any name."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from hybrid.data.clips import ClipSource
from hybrid.data.coco import read_coco
from hybrid.data.shared import shared_images
from tests.hybrid.photos import coco_document, write_coco


@pytest.fixture
def training(tmp_path: Path) -> ClipSource:
    return read_coco(write_coco(tmp_path / "train", coco_document(3), seed=1))


@pytest.fixture
def test(tmp_path: Path) -> Path:
    return write_coco(tmp_path / "test", coco_document(3), seed=2)


def _with_exif(source: Path, to: Path) -> None:
    exif = Pillow.Exif()
    exif[0x010F] = "a camera"
    Pillow.open(source).save(to, exif=exif, compress_level=1)


def _turned(source: Path, to: Path) -> None:
    image = cv2.imread(str(source))
    cv2.imwrite(str(to), cv2.flip(cv2.rotate(cv2.rotate(image, 0), 0), 1))


def test_other_photos_of_the_same_scene_are_no_copies(training: ClipSource, test: Path) -> None:
    assert shared_images(training, read_coco(test)) == ()


@pytest.mark.parametrize("copied", [shutil.copy, _with_exif, _turned])
def test_a_copy_is_found_under_another_name(copied, training: ClipSource, test: Path) -> None:
    copied(training.frames[1].path, test.parent / "images/2.png")
    assert shared_images(training, read_coco(test)) == (("images/1.png", "images/2.png"),)


def test_one_changed_pixel_makes_another_photo(training: ClipSource, test: Path) -> None:
    pixels = cv2.imread(str(training.frames[1].path))
    pixels[0, 0, 1] ^= 1
    cv2.imwrite(str(test.parent / "images/2.png"), pixels)
    assert shared_images(training, read_coco(test)) == ()


def test_each_frame_is_named_once_and_in_order(training: ClipSource) -> None:
    assert shared_images(training, training) == tuple((f.name, f.name) for f in training.frames)
    twice = replace(training, clips=training.clips * 2)
    assert len(shared_images(training, twice)) == 3


def test_a_file_that_is_gone_since_is_no_match(training: ClipSource, test: Path) -> None:
    source = read_coco(test)
    for frame in (*source.frames[:2], *training.frames[:2]):
        assert isinstance(frame.path, Path)
        frame.path.unlink()
    assert shared_images(training, source) == ()


def test_frames_inside_one_file_are_reported_apart(tiny_data_set: Path) -> None:
    from hybrid.data.shards import read_shards

    source = read_shards(tiny_data_set)
    half = replace(source, clips=source.clips[:3])
    assert np.array_equal([pair[0] for pair in shared_images(source, half)], [frame.name for frame in half.frames])
