"""Pictures are found where the tools of others put them, and nowhere outside of the data set."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from simgen.dataset.format.picture_files import CLIMBS, ELSEWHERE, LINKED, MISSING, PictureFiles

NFC, NFD = (unicodedata.normalize(form, "Prüfling.jpg") for form in ("NFC", "NFD"))
PLACES = {  # as which tool: (the JSON, the picture, its name in the JSON)
    "beside": ("labels.json", "a.jpg", "a.jpg"),
    "Roboflow": ("train/_annotations.coco.json", "train/a.jpg", "a.jpg"),
    "CVAT": ("annotations/instances_default.json", "images/default/a.jpg", "a.jpg"),
    "CVAT, one subset": ("annotations/instances_default.json", "images/a.jpg", "a.jpg"),
    "CVAT, with folders": ("annotations/instances_default.json", "images/default/x/a.jpg", "x/a.jpg"),
    "CVAT, name from the root": ("annotations/instances_default.json", "images/default/a.jpg", "images/default/a.jpg"),
    "COCO": ("annotations/instances_train2017.json", "train2017/a.jpg", "a.jpg"),
    "COCO keypoints": ("annotations/person_keypoints_val2017.json", "val2017/a.jpg", "a.jpg"),
    "Datumaro": ("annotations/instances_train.json", "images/train/a.jpg", "a.jpg"),
    "FiftyOne": ("labels.json", "data/a.jpg", "a.jpg"),
    "Label Studio": ("result.json", "images/a.jpg", "images/a.jpg"),
    "Label Studio, Windows": ("result.json", "images/a.jpg", "images\\a.jpg"),
    "Label Studio, encoded": ("result.json", "images/a b.jpg", "images/a%20b.jpg"),
    "really a percent sign": ("result.json", "images/a%20b.jpg", "images/a%20b.jpg"),
    "up and down": ("annotations/a.json", "images/a.jpg", "../images/a.jpg"),
    "in a folder of annotations": ("annotations/v2/a.json", "images/a.jpg", "a.jpg"),
    "composed on disk": ("a.json", NFC, NFD),
    "decomposed on disk": ("a.json", NFD, NFC),
}


def _touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


@pytest.mark.parametrize("tool", PLACES)
def test_a_picture_is_found_where_the_tool_puts_it(tool: str, tmp_path: Path) -> None:
    listing, picture, name = PLACES[tool]
    file = _touch(tmp_path / "set" / picture)
    result = PictureFiles(_touch(tmp_path / "set" / listing), [name]).find(name)
    assert result.path is not None
    assert result.path.samefile(file)
    assert not result.note


def test_of_two_the_one_beside_the_json_or_of_its_subset_is_taken(tmp_path: Path) -> None:
    for folder in ("images", "images/val", "images/train"):
        _touch(tmp_path / folder / "a.jpg")
    result = PictureFiles(tmp_path / "annotations/instances_val.json", ["a.jpg"]).find("a.jpg")
    assert result.path == tmp_path / "images/val/a.jpg"
    beside = _touch(tmp_path / "annotations/a.jpg")
    assert PictureFiles(tmp_path / "annotations/instances_val.json", ["a.jpg"]).find("a.jpg").path == beside


@pytest.mark.parametrize(
    "name", ["deep/down/a.jpg", "/home/somebody/set/a.jpg", "C:\\set\\a.jpg", "A.JPG", "../x/a.jpg"]
)
def test_a_moved_picture_is_found_by_its_base_name_with_a_note(name: str, tmp_path: Path) -> None:
    file = _touch(tmp_path / "photos/monday/a.jpg")
    result = PictureFiles(tmp_path / "labels.json", [name, "b.jpg"]).find(name)
    assert (result.path, result.note, result.where) == (file, ELSEWHERE, "photos/monday/a.jpg")


def test_a_base_name_of_two_files_or_of_two_names_is_not_taken(tmp_path: Path) -> None:
    _touch(tmp_path / "monday/a.jpg")
    assert PictureFiles(tmp_path / "l.json", ["x/a.jpg", "y/A.jpg"]).find("x/a.jpg").note == MISSING
    _touch(tmp_path / "friday/a.jpg")
    assert PictureFiles(tmp_path / "l.json", ["x/a.jpg"]).find("x/a.jpg").note == MISSING


@pytest.mark.parametrize(
    ("listing", "name"), [("annotations/instances_train.json", "a.jpg"), ("labels.json", "images/train/a.jpg")]
)
def test_a_picture_of_another_split_is_not_taken(listing: str, name: str, tmp_path: Path) -> None:
    _touch(tmp_path / "images/val/a.jpg")
    result = PictureFiles(tmp_path / listing, [name]).find(name)
    assert (result.path, result.note) == (None, MISSING)
    assert result.where.startswith("looked in ")
    assert "images" in result.where


@pytest.mark.parametrize(
    "name", ["../a.jpg", "/etc/passwd", "x/../../a.jpg", "C:\\a.jpg", "%2e%2e/a.jpg", "a\0.jpg", ""]
)
def test_nothing_outside_of_the_data_set_is_taken(name: str, tmp_path: Path) -> None:
    _touch(tmp_path / "a.jpg")
    (tmp_path / "set").mkdir()
    assert PictureFiles(tmp_path / "set/labels.json", [name]).find(name).path is None
    if "%" not in name and name:
        assert PictureFiles(tmp_path / "set/labels.json", [name]).find(name).note == CLIMBS


def test_a_linked_folder_is_followed_and_a_linked_file_is_not(tmp_path: Path) -> None:
    disk = _touch(tmp_path / "disk/a.jpg")
    (tmp_path / "set/images").mkdir(parents=True)
    (tmp_path / "set/train").symlink_to(disk.parent, target_is_directory=True)
    (tmp_path / "set/images/b.jpg").symlink_to(disk)
    (tmp_path / "set/images/c.jpg").symlink_to("d.jpg")
    _touch(tmp_path / "set/images/d.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "set", target_is_directory=True)
    for root in ("set", "link"):
        files = PictureFiles(tmp_path / root / "labels.json", [])
        assert files.find("train/a.jpg").path == tmp_path / root / "train/a.jpg"
        assert files.find("images/b.jpg").note == LINKED
        assert files.find("c.jpg").path == tmp_path / root / "images/c.jpg"


def test_what_is_no_file_is_missing(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").mkdir()
    (tmp_path / "b.jpg").symlink_to("b.jpg")
    files = PictureFiles(tmp_path / "labels.json", [])
    for name in ("a.jpg", "b.jpg", "x" * 5000, "\ud800.jpg", "a.jpg/b.jpg"):
        assert files.find(name).note == MISSING


def test_of_several_the_one_whose_folders_end_as_stated_is_taken(tmp_path: Path) -> None:
    for split in ("train", "val"):
        _touch(tmp_path / "images" / split / "a.jpg")
    names = [f"data/images/{split}/a.jpg" for split in ("train", "val")]
    files = PictureFiles(tmp_path / "labels.json", names)
    assert [files.find(name).path for name in names] == [tmp_path / name.removeprefix("data/") for name in names]
