"""What a line's folder holds: every way in which photos may lie there, and what cannot be used."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from hybrid.core.errors import DataError
from pipelines.line.contents import check_apart, labels_in, read_labels, read_line, unlabelled_in
from tests.pipelines.scripts import photographs, yolo

KNOWN = ("bolt", "nut", "washer")


def moved(photos: Path, name: str) -> Path:
    """The labels of `photographs` under another name."""
    return photos.rename(photos.with_name(name))


def test_labels_are_found_beside_the_pictures_and_in_folders_of_their_own(tmp_path: Path) -> None:
    assert labels_in(tmp_path / "photos") == (None, None)
    train = moved(photographs(tmp_path / "photos"), "train.json")
    assert labels_in(tmp_path / "photos") == (train, None)
    test = photographs(tmp_path / "photos/test", seed=1)
    assert labels_in(tmp_path / "photos") == (train, test)


def test_a_yolo_data_set_is_trained_on_and_measured_on_by_its_splits(tmp_path: Path) -> None:
    yolo(tmp_path / "photos", "test")
    assert labels_in(tmp_path / "photos") == (tmp_path / "photos",) * 2
    listing = tmp_path / "photos/data.yaml"
    listing.write_text(json.dumps({"names": list(KNOWN), "train": "train/images"}))
    assert labels_in(tmp_path / "photos") == (tmp_path / "photos", None)
    listing.write_text(json.dumps({"names": list(KNOWN), "val": "test/images"}))
    assert labels_in(tmp_path / "photos") == (None, tmp_path / "photos")
    listing.write_text(json.dumps({"names": list(KNOWN), "train": "gone"}))
    with pytest.raises(DataError, match="gone"):
        labels_in(tmp_path / "photos")


def test_labels_of_which_nobody_knows_what_they_are_for_are_refused(tmp_path: Path) -> None:
    photos = photographs(tmp_path / "photos")
    with pytest.raises(DataError, match=r"photos\.json: labels to train on, or to measure on\?.*train\.json or test"):
        labels_in(photos.parent)
    moved(photos, "train.json")
    photographs(tmp_path / "photos/train")
    with pytest.raises(DataError, match="which of them are the labels to train"):
        labels_in(photos.parent)


def test_labels_of_other_parts_are_answered_with_both_lists(tmp_path: Path) -> None:
    photos = photographs(tmp_path / "photos", ("cat", "dog"))
    with pytest.raises(DataError, match=r"labels \['cat', 'dog'\], but line.yaml renders \['bolt', 'nut', 'washer'\]"):
        read_labels(photos, "train", KNOWN)
    read, source = read_labels(photographs(tmp_path / "more", ("bolt", "dog")), "train", KNOWN)
    assert read is not None
    assert source is not None
    assert (read.names, read.photos) == (("bolt", "dog"), len(source.frames))


def test_photos_that_are_trained_on_are_not_measured_on_under_any_name(tmp_path: Path) -> None:
    train, other = photographs(tmp_path / "a"), photographs(tmp_path / "b", seed=1)
    both = [read_labels(path, role, KNOWN) for path, role in ((train, "train"), (other, "test"))]
    check_apart(both[0], both[1])
    shutil.copy(tmp_path / "a/3.png", tmp_path / "b/5.png")
    leaky = read_labels(other, "test", KNOWN)
    with pytest.raises(DataError, match=r"1 of its 6 photos are in .*a/photos\.json too, such as 5\.png"):
        check_apart(both[0], leaky)


def test_pictures_are_looked_at_where_nothing_is_labelled_or_where_they_lie_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = photographs(tmp_path / "photos").parent
    assert unlabelled_in(photos, has_labels=False) == photos
    assert unlabelled_in(photos, has_labels=True) is None
    photographs(photos / "unlabelled")
    assert unlabelled_in(photos, has_labels=True) == photos / "unlabelled"
    assert capsys.readouterr().err == ""
    (tmp_path / "empty").mkdir()
    assert unlabelled_in(tmp_path / "empty", has_labels=False) is None
    assert "empty: holds neither labels nor pictures" in capsys.readouterr().err


def test_a_line_is_read_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "line.yaml").write_text("base: tiny\n")
    moved(photographs(tmp_path / "photos"), "train.json")
    photographs(tmp_path / "photos/test", seed=1)
    photographs(tmp_path / "photos/unlabelled", seed=2)
    found = read_line(tmp_path)
    assert found.categories == KNOWN
    assert found.train is not None
    assert found.test is not None
    assert (found.train.photos, found.test.photos, len(found.pictures)) == (6, 6, 6)
    assert found.size_px == (found.preset["camera"]["width_px"], found.preset["camera"]["height_px"])
    (tmp_path / "photos").rename(tmp_path / "old")
    (tmp_path / "photos").write_text("")
    with pytest.raises(DataError, match="is a file; it must be a folder"):
        read_line(tmp_path)
