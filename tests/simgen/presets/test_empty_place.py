"""Pictures of the empty place: the median of a fixed camera's frames, and boxes filled in."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from simgen.cli import app
from simgen.presets.empty_place import box_mask, fill, median_of
from simgen.spec.errors import BadPhoto
from tests.simgen import photos

PLACE = photos.drawn(160, 120, seed=9)
MARKED = np.where(np.arange(160)[None, :, None] // 20 % 2, PLACE, PLACE // 2)  # stripes


def frames(folder, count=7, shift=0, place=PLACE):
    """A camera that stands still (or not), over whose view a dark part wanders."""
    rng = np.random.default_rng(0)
    for k in range(count):
        shown = np.roll(place, k * shift, axis=1).astype(int) + rng.integers(-2, 3, PLACE.shape)
        shown[40:70, 20 * k : 20 * k + 18] = 20
        photos.save(folder / f"{k}.png", np.clip(shown, 0, 255).astype(np.uint8))
    return folder


def labelled(folder):
    """A photo with a dark part, and its COCO JSON."""
    photo = PLACE.copy()
    photo[50:70, 60:100] = 15
    photos.save(folder / "a.png", photo)
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [60, 50, 40, 20], "area": 800, "iscrowd": 0}
    listing = {
        "images": [{"id": 1, "file_name": "a.png", "width": 160, "height": 120}],
        "annotations": [box],
        "categories": [{"id": 1, "name": "bolt"}],
    }
    (folder / "labels.json").write_text(json.dumps(listing))
    return folder / "labels.json", photo


def run(*words):
    return CliRunner().invoke(app, ["background", "from", *map(str, words)])


def read(path):
    return np.asarray(Image.open(path).convert("RGB"))


def test_the_median_of_a_fixed_camera_shows_the_ground_behind_every_part(tmp_path):
    result = run(frames(tmp_path / "f"), "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert np.abs(read(tmp_path / "out" / "empty.png").astype(int) - PLACE).max() <= 3
    assert (tmp_path / "out-sheet.jpg").is_file()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["empty.png"]


def test_a_camera_that_moves_is_refused(tmp_path):
    result = run(frames(tmp_path / "f", shift=13, place=MARKED), "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "the camera moved" in result.output
    assert not (tmp_path / "out").exists()


def test_too_few_frames_and_frames_of_another_size_are_named(tmp_path):
    folder = frames(tmp_path / "f", count=5)
    photos.save(folder / "9.png", photos.drawn(80, 60))
    left = []
    with pytest.raises(BadPhoto, match="a median needs 5 photos"):
        median_of(sorted(folder.iterdir())[1:], left.append)
    assert left == [f"{folder / '9.png'}: 80 x 60 pixels, the first photo has 160 x 120"]


def test_a_box_is_filled_and_the_rest_stays_byte_for_byte(tmp_path):
    listing, photo = labelled(tmp_path / "p")
    result = run(tmp_path / "p", "--boxes", listing, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    made, mask = read(tmp_path / "out" / "a.png"), box_mask([(60.0, 50.0, 40.0, 20.0)], (160, 120))
    assert mask[50:70, 60:100].all()
    assert mask.sum() < 2.5 * 800
    assert np.array_equal(made[~mask], photo[~mask])
    assert made[mask].min() > 40  # nothing of the part is left
    assert abs(made[mask].mean() - PLACE[mask].mean()) < 12


def test_what_is_filled_has_grain():
    mask = box_mask([(60.0, 50.0, 40.0, 20.0)], (160, 120))
    inside = fill(PLACE, mask)[52:68, 62:98, 1].astype(float)
    assert np.diff(inside, axis=1).std() > 0.4 * np.diff(PLACE[..., 1].astype(float), axis=1).std()


def test_an_annotation_that_cannot_be_used_is_named_since_its_part_stays(tmp_path):
    listing, _ = labelled(tmp_path / "p")
    document = json.loads(listing.read_text())
    document["annotations"].append({"id": 2, "image_id": 1, "category_id": 1, "bbox": "none"})
    document["images"].append({"id": 2, "file_name": "gone.png"})
    listing.write_text(json.dumps(document))
    result = run(tmp_path / "p", "--boxes", listing, "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert "its part may stay in the picture" in result.output
    assert "gone.png" in result.output


def test_a_wrong_file_of_boxes_and_a_used_folder_are_one_line(tmp_path):
    folder = frames(tmp_path / "f")
    (tmp_path / "no.json").write_text("[]")
    result = run(folder, "--boxes", tmp_path / "no.json", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "no COCO JSON" in result.output
    assert not (tmp_path / "out").exists()
    result = run(folder, "--out", folder)
    assert result.exit_code == 2
    assert "exists already" in result.output
