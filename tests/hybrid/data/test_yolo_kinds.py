"""YOLO data sets as CVAT, Roboflow, Ultralytics, Label Studio and FiftyOne write them; kinds of rows told apart."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hybrid.core.errors import DataError
from hybrid.data.yolo import is_yolo_folder, measuring_split, read_yolo
from hybrid.data.yolo_rows import NO_BOX, NO_CLASS, PREDICTED, TWICE, UNCLEAR, yolo_rows

BOX = "0 0.5 0.5 0.2 0.4"
NAMES = "names: [bolt, washer]\n"


def photo(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (50, 100, 3)).astype(np.uint8)
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())
    return path


def text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def labelled(folder: Path, images: str = "images/train", labels: str = "labels/train", rows: str = BOX) -> Path:
    """Two photos with the same label file."""
    for k, name in enumerate("ab"):
        photo(folder / images / f"{name}.jpg", k)
        text(folder / labels / f"{name}.txt", rows)
    return folder


def reasons(source: Any) -> dict[str, int]:
    return {reason: len(items) for reason, items in source.skipped.items() if "no annotation bears" not in reason}


LAYOUTS: dict[str, tuple[str, str, dict[str, str]]] = {  # (images, labels, files)
    "Ultralytics": ("images/train", "labels/train", {"data.yaml": "path: .\ntrain: images/train"}),
    "path": ("set/images/train", "set/labels/train", {"data.yaml": "path: set\ntrain: images/train"}),
    "path up and down": ("images/train", "labels/train", {"data.yaml": "path: ../parts\ntrain: images/train"}),
    "path of a server": ("images/train", "labels/train", {"data.yaml": "path: /content/x\ntrain: images/train"}),
    "moved": ("train/images", "train/labels", {"data.yaml": "train: /content/parts-1/train/images"}),
    "Roboflow": ("train/images", "train/labels", {"data.yaml": "train: ../train/images\nval: ../valid/images"}),
    "a list of folders": ("images/train", "labels/train", {"data.yaml": "train: [images/train, ./images/train/]"}),
    "CVAT": (
        "images/train", "labels/train",
        {"data.yaml": "path: ./\ntrain: train.txt", "train.txt": "images/train/a.jpg\nimages/train/b.jpg\n"}),
    "CVAT, tasks": (
        "images/train", "labels/train",
        {"data.yaml": "train: train.txt", "train.txt": "data/images/train/a.jpg\r\ndata/images/train/b.jpg"}),
    "a list elsewhere": (
        "images/train", "labels/train",
        {"data.yaml": "train: lists/t.txt", "lists/t.txt": "\ufeff./../images/train/a.jpg\n/x/y/images/train/b.jpg"}),
    "a list from path": (
        "s/images/train", "s/labels/train",
        {"data.yaml": "path: s\ntrain: train.txt", "s/train.txt": "./images/train/a.jpg\nimages/train/b.jpg"}),
    "FiftyOne": (
        "images/train", "labels/train", {"dataset.yaml": "path: .\ntrain: ./images/train/"}),
    "any YAML": ("images/train", "labels/train", {"parts.yml": "train: images/train"}),
    "Darknet": ("obj_train_data", "obj_train_data", {"obj.names": "bolt\nwasher\n"}),
    "Label Studio": ("images", "labels", {"classes.txt": "bolt\nwasher\n"}),
    "Label Studio, notes": (
        "images", "labels", {"notes.json": '{"categories": [{"id": 0, "name": "bolt"}, {"id": 1, "name": "washer"}]}'}),
    "labels beside": ("photos", "photos", {"data.yaml": "train: photos"}),
}  # fmt: skip


@pytest.mark.parametrize("tool", LAYOUTS)
def test_a_layout_is_read_as_the_tool_writes_it(tool: str, tmp_path: Path) -> None:
    images, labels, files = LAYOUTS[tool]
    folder = labelled(tmp_path / "parts", images, labels)
    for name, content in files.items():
        text(folder / name, content + ("\n" + NAMES if name.endswith(("yaml", "yml")) else ""))
    assert is_yolo_folder(folder)
    source = read_yolo(folder)
    assert source.counts() == {"bolt": 2}
    assert {Path(frame.name).name for frame in source.frames} == {"a.jpg", "b.jpg"}
    np.testing.assert_allclose(source.frames[0].boxes_xyxy_px, [[40, 15, 60, 35]], atol=1e-4)
    assert set(reasons(source)) <= {"image found in another folder, or spelled otherwise, than stated"}


def test_a_list_says_which_pictures_are_missing_and_where_it_looked(tmp_path: Path) -> None:
    folder = labelled(tmp_path)
    text(folder / "data.yaml", NAMES + "train: train.txt")
    text(folder / "train.txt", "images/train/a.jpg\nimages/train/gone.jpg\n../../etc/x.jpg\n")
    skipped = read_yolo(folder).skipped
    assert [item.split(" (looked in ")[0] for item in skipped["image file missing"]] == ["images/train/gone.jpg"]
    assert skipped["file name refused: it leaves the data set's folder"] == ("../../etc/x.jpg",)


@pytest.mark.parametrize(
    ("names", "classes"),
    [("[OK, NO, on]", ("OK", "NO", "on")), ("bolt", ("bolt",)), ("{0: a, 1: b}", ("a", "b")),
     ("{'1': b}", ("class 0", "b")), ("[01, 1.50, true]", ("01", "1.50", "true")), ("['7']", ("7",))],
)  # fmt: skip
def test_classes_are_called_as_written(names: str, classes: tuple[str, ...], tmp_path: Path) -> None:
    folder = labelled(tmp_path, rows="\n".join(f"{k} .5 .5 .2 .4" for k in range(len(classes))))
    text(folder / "data.yaml", f"train: images/train\nnames: {names}\n")
    assert read_yolo(folder).categories == classes


@pytest.mark.parametrize(
    "names",
    ["", "[]", "[a, ]\nnames: b", "bolt, nut", "data/obj.names", "[a, [b]]", "[a, null]", "{a: 0}", "*x", "!!x y"],
)
def test_names_that_are_none_are_an_error_in_words(names: str, tmp_path: Path) -> None:
    text(labelled(tmp_path) / "data.yaml", f"train: images/train\nnames: {names}\n")
    with pytest.raises(DataError, match=r"names|alias|not supported|given twice"):
        read_yolo(tmp_path)


def test_a_class_named_twice_is_one_and_a_class_that_nothing_bears_is_left_out(tmp_path: Path) -> None:
    folder = labelled(tmp_path, rows="0 .5 .5 .2 .4\n1 .2 .2 .2 .2\n")
    text(folder / "data.yaml", "train: images/train\nnames: [bolt, bolt, nut]\nnc: 5\n")
    source = read_yolo(folder)
    assert source.counts() == {"bolt": 4}
    assert source.skipped["category that no annotation bears"] == ("nut",)
    assert source.skipped["nc is not the number of names: the names are taken"] == ("nc 5, 3 names",)
    assert source.skipped["category name used twice: read as one category"] == ("bolt",)


@pytest.mark.parametrize("train", ["[]", "3", "{a: b}", "null", "[images/train, nowhere]", "../..", "/"])
def test_a_split_that_is_no_folder_is_an_error(train: str, tmp_path: Path) -> None:
    text(labelled(tmp_path / "set") / "data.yaml", NAMES + f"train: {train}\n")
    with pytest.raises(DataError, match=r"data.yaml: (needs 'train'|train: .* is no folder below|.*no usable image)"):
        read_yolo(tmp_path / "set")


def test_the_split_to_measure_on_is_one_that_has_pictures(tmp_path: Path) -> None:
    folder = labelled(tmp_path, "images/valid", "labels/valid")
    text(folder / "data.yaml", NAMES + "train: images/valid\nvalid: images/valid\ntest: ../test/images\n")
    assert measuring_split(folder) == "val"
    assert len(read_yolo(folder, "val")) == 2
    photo(folder / "test/images/c.jpg")
    assert measuring_split(folder) == "test"


def test_photos_without_a_label_file_are_background_with_a_note(tmp_path: Path) -> None:
    folder = labelled(tmp_path)
    text(folder / "data.yaml", NAMES + "train: images/train")
    photo(folder / "images/train/c.jpg", 3)
    photo(folder / "images/train/empty.jpg", 4)
    text(folder / "labels/train/empty.txt", "")
    text(folder / "labels/train/alone.txt", BOX)
    text(folder / "labels/train/classes.txt", "bolt\n")
    source = read_yolo(folder)
    assert len(source) == 4
    assert source.skipped["photo without a label file: taken as background"] == ("c.jpg",)
    assert source.skipped["label file without a photo"] == ("alone.txt",)
    for file in (folder / "labels/train").iterdir():
        file.unlink()
    with pytest.raises(DataError, match=r"none of the 4 photos has a label file; looked in .*labels/train"):
        read_yolo(folder)


def test_label_files_are_found_in_either_unicode_form_and_case(tmp_path: Path) -> None:
    text(tmp_path / "data.yaml", NAMES + "train: images")
    composed, other = (unicodedata.normalize(form, "Prüfling") for form in ("NFC", "NFD"))
    for image, label in ((composed + "1.JPG", other + "1.txt"), (other + "2.jpg", composed + "2.TXT")):
        photo(tmp_path / "images/x.jpg").rename(tmp_path / "images" / image)
        text(tmp_path / "labels" / label, BOX)
    source = read_yolo(tmp_path)
    assert source.counts() == {"bolt": 2}
    assert not reasons(source)


def test_linked_folders_are_followed_each_once(tmp_path: Path) -> None:
    disk = labelled(tmp_path / "disk")
    (tmp_path / "set/labels").mkdir(parents=True)
    (tmp_path / "set/images").mkdir()
    for kind in ("images", "labels"):
        (tmp_path / "set" / kind / "monday").symlink_to(disk / kind / "train", target_is_directory=True)
    (tmp_path / "set/images/loop").symlink_to(tmp_path / "set/images", target_is_directory=True)
    text(tmp_path / "set/data.yaml", NAMES + "train: images")
    source = read_yolo(tmp_path / "set")
    assert [frame.name for frame in source.frames] == ["monday/a.jpg", "monday/b.jpg"]
    assert source.counts() == {"bolt": 2}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_a_byte_order_mark_is_no_part_of_a_row(encoding: str, tmp_path: Path) -> None:
    folder = labelled(tmp_path)
    text(folder / "data.yaml", NAMES + "train: images/train")
    mark = b"\xff\xfe" if encoding == "utf-16-le" else b""
    (folder / "labels/train/a.txt").write_bytes(mark + f"{BOX}\n1 .2 .2 .1 .2\n".encode(encoding))
    source = read_yolo(folder)
    assert source.counts() == {"bolt": 2, "washer": 1}
    assert not source.skipped


KEYPOINTS_3, KEYPOINTS_2 = " .45 .5 2 .5 .5 1 0 0 0 .5 .6 2", " .45 .5 .5 .5 .5 .6 .55 .5"
SQUARE = (0.4, 0.3, 0.6, 0.7)
ROWS: dict[
    str, tuple[str, int | None, tuple[float, ...] | None, str]
] = {  # text, k d, box of the first row, what is said
    "box": (BOX, None, SQUARE, ""),
    "class 1.0": ("1.0 .5 .5 .2 .4", None, SQUARE, ""),
    "class 1.5": ("1.5 .5 .5 .2 .4", None, None, NO_CLASS),
    "class -1": ("-1 .5 .5 .2 .4", None, None, NO_CLASS),
    "a word": ("bolt .5 .5 .2 .4", None, None, NO_BOX),
    "nan": ("0 nan .5 .2 .4", None, None, NO_BOX),
    "too few": ("0 .5 .5 .2", None, None, NO_BOX),
    "score": (BOX + " 0.9", None, SQUARE, PREDICTED),
    "track": (BOX + " 12", None, SQUARE, PREDICTED),
    "score and track": (BOX + " 0.91 3", None, SQUARE, PREDICTED),
    "score and tracks 1 and 2": (f"{BOX} 0.91 1\n{BOX[:-1]}5 0.8 2", None, SQUARE, PREDICTED),
    "score and track 1, or a triangle": (BOX + " 0.91 1", None, None, UNCLEAR),
    "triangle": ("0 .4 .3 .6 .3 .6 .7", None, SQUARE, ""),
    "triangles, one at the edge": ("0 .4 .3 .6 .3 .6 .7\n0 .1 .2 .3 .4 .5 1", None, SQUARE, ""),
    "oriented box": ("0 .4 .5 .5 .3 .6 .5 .5 .7", None, SQUARE, ""),
    "oriented box with a score": ("0 .4 .5 .5 .3 .6 .5 .5 .7 .88", None, SQUARE, PREDICTED),
    "outline": ("0 .4 .5 .5 .3 .6 .5 .5 .7 .45 .6", None, SQUARE, ""),
    "outline in pixels": ("0 40 50 50 30 60 50 50 70", None, None, NO_BOX),
    "keypoints with flags": (BOX + KEYPOINTS_3, 12, SQUARE, ""),
    "keypoints with flags and a track": (BOX + KEYPOINTS_3 + " 7", 12, SQUARE, PREDICTED),
    "keypoints": (BOX + KEYPOINTS_2, 8, SQUARE, ""),
    "keypoints, not stated": (BOX + KEYPOINTS_3, None, SQUARE, ""),
    "keypoints of another number": (BOX + KEYPOINTS_3, 8, None, NO_BOX),
    "a box among keypoints": (BOX, 8, SQUARE, ""),
    "twice": (f"{BOX}\n{BOX} \n", None, SQUARE, TWICE),
}


@pytest.mark.parametrize("name", ROWS)
def test_rows_are_reported_apart(name: str) -> None:
    content, keypoints, box, said = ROWS[name]
    rows, notes = yolo_rows(content, keypoints)
    assert {reason for reason, _ in notes} == ({said} if said else set())
    assert len(rows) == (0 if box is None else 1 if said == TWICE else len(content.strip().splitlines()))
    if box is not None:
        assert rows[0].box == pytest.approx(box)


numbers = st.one_of(
    st.floats(0, 1), st.integers(0, 3), st.sampled_from([0.0, 1.0, 2.0, -1.0, 640.0, float("nan"), 1e308])
)


@given(st.lists(st.lists(numbers, min_size=3, max_size=14), max_size=4), st.sampled_from([None, 8, 12]))
def test_each_row_is_read_or_named_and_a_box_is_of_its_numbers(rows: list[list[float]], keypoints: int | None) -> None:
    read, notes = yolo_rows("\n".join(" ".join(f"{v:g}" for v in row) for row in rows), keypoints)
    lines = {row.line for row in read} | {line for _, line in notes}
    assert lines == set(range(1, len(rows) + 1))
    assert all(np.isfinite(row.box).all() and row.index >= 0 for row in read)


WORDS = st.sampled_from(
    ["names", "train", "val", "nc", "path", "kpt_shape", "images/train", "../images/train", "/etc", "train.txt",
     "[a, b]", "{0: a}", "[4, 3]", "null", "true", "*a", "&a", "- x", "!!python/x", "\u0000", "\ud83d\ude00", "1e400"]
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs=st.lists(st.tuples(WORDS, WORDS), max_size=6), more=st.one_of(st.just(b""), st.binary(max_size=20)))
def test_a_listing_of_any_kind_is_read_or_refused_in_words(
    pairs: list[tuple[str, str]], more: bytes, folder_of_photos: Path
) -> None:
    listing = NAMES + "train: images/train\n" if len(pairs) % 2 else ""
    listing += "".join(f"{key}: {value}\n" for key, value in pairs)
    (folder_of_photos / "data.yaml").write_bytes(listing.encode("utf-8", "surrogatepass") + more)
    refusal = ""
    try:
        assert len(read_yolo(folder_of_photos)) >= 1
    except DataError as error:
        refusal = str(error)
    assert "\n" not in refusal


@pytest.fixture(scope="module")
def folder_of_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = labelled(tmp_path_factory.mktemp("yolo"))
    text(folder / "train.txt", "images/train/a.jpg\n\0\n" + "x" * 3000 + "\n")
    return folder


def test_notes_of_label_studio_may_be_anything(tmp_path: Path) -> None:
    folder = labelled(tmp_path, "images", "labels")
    for notes in ([], {}, {"categories": 3}, {"categories": [3, {"name": 4}]}):
        text(folder / "notes.json", json.dumps(notes))
        with pytest.raises(DataError, match="classes"):
            read_yolo(folder)
