"""Nothing that a user owns is overwritten: not the source under any name, and nothing else unless told so."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from hybrid.core.errors import DataError
from hybrid.predict.io.outputs import Kind, check_file, check_out, encoded, kind_of
from hybrid.predict.io.sinks import Sinks
from hybrid.predict.io.sources import open_source
from hybrid.predict.io.video import Source
from hybrid.predict.result import Result

IMAGE = np.full((24, 32, 3), 90, np.uint8)


def result(name: str) -> Result:
    return Result(
        name, None, np.array([[4, 4, 20, 20]], np.float32), np.array([0.9], np.float32), np.array([0]), ("bolt",),
        np.array([-1]),
    )  # fmt: skip


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.jpg", "b.png"):
        cv2.imwrite(str(folder / name), IMAGE)
    return folder


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("link", [None, "symbolic", "hard", "of its folder"])
def test_the_source_is_refused_under_any_name(link: str | None, overwrite: bool, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    source = tmp_path / "in/belt.avi"
    source.write_bytes(b"precious")
    out = tmp_path / "out.avi" if link else source
    if link == "symbolic":
        out.symlink_to(source)
    elif link == "hard":
        os.link(source, out)
    elif link == "of its folder":
        (tmp_path / "other").symlink_to(tmp_path / "in")
        out = tmp_path / "other/belt.avi"
    with pytest.raises(DataError, match="is what is read; give another name"):
        check_out(out, [source], overwrite)


def test_a_folder_in_which_a_source_would_be_written_over_is_refused(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(photos)
    for out in (photos, tmp_path / "link", photos / "../photos"):
        with pytest.raises(DataError, match="is what is read"):
            check_out(out, [photos], overwrite=True)
        with pytest.raises(DataError, match=r"is the folder of a.jpg, which is read"):
            check_out(out, [photos / "a.jpg"], overwrite=True)
    with pytest.raises(DataError, match="which is read; give another name"):
        check_out(photos / "a.jpg", [photos], overwrite=True)
    check_out(photos / "found", [photos])


def test_what_exists_is_kept_unless_told_otherwise(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "boxes.jsonl").write_text("mine")
    (tmp_path / "nowhere.mp4").symlink_to(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    for out, says in (
        (photos, "photos is not empty; give another name, or say --overwrite"),
        (photos / "a.jpg", "a.jpg exists"),
        (tmp_path / "boxes.mp4", "boxes.jsonl exists"),
        (tmp_path / "nowhere.mp4", "nowhere.mp4 exists"),
    ):
        with pytest.raises(DataError, match=says):
            check_out(out, [])
        check_out(out, [], overwrite=True)
    check_out(tmp_path / "empty", [])
    check_out(tmp_path / "new/deep/boxes.mp4", [])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["boxes.jsonl", "empty", "nowhere.mp4", "photos"]


def test_a_place_that_cannot_be_written_is_refused_at_once(photos: Path) -> None:
    with pytest.raises(DataError, match=r"a.jpg is no folder"):
        check_out(photos / "a.jpg/below/out.mp4", [])
    with pytest.raises(DataError, match=r"must end in \.onnx"):
        check_file(photos / "net", ".onnx", [], overwrite=True)
    for overwrite, sources in ((False, []), (True, [photos / "net.onnx"])):
        (photos / "net.onnx").write_bytes(b"x")
        with pytest.raises(DataError, match="give another name"):
            check_file(photos / "net.onnx", ".onnx", sources, overwrite)
    check_file(photos / "net.onnx", ".onnx", [], overwrite=True)


def test_a_file_that_is_written_replaces_a_link_and_not_what_it_points_to(photos: Path, tmp_path: Path) -> None:
    before = (photos / "a.jpg").read_bytes()
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.jpg").symlink_to(photos / "a.jpg")
    os.link(photos / "a.jpg", out / "b.png.jpg")
    (out / "detections.jsonl").symlink_to(photos / "b.png")
    source = open_source(photos)
    with Sinks(source, out, show=False, overwrite=True) as sinks:
        for name in ("a.jpg", "b.png"):
            sinks.put(IMAGE, result(name))
    assert (photos / "a.jpg").read_bytes() == before
    assert cv2.imread(str(photos / "b.png")) is not None
    assert not (out / "a.jpg").is_symlink()
    belt = tmp_path / "belt.avi"
    belt.symlink_to(photos / "a.jpg")
    with Sinks(Source("belt", [], frames_per_s=10.0), belt, show=False, overwrite=True) as sinks:
        sinks.put(IMAGE, result("0"))
    assert (photos / "a.jpg").read_bytes() == before


def test_one_picture_becomes_one_file(photos: Path, tmp_path: Path) -> None:
    assert [kind_of(Path(name)) for name in ("x.jpg", "x.TIF", "x.mp4", "x", "x.d")] == [
        Kind.PICTURE, Kind.PICTURE, Kind.VIDEO, Kind.FOLDER, Kind.FOLDER,
    ]  # fmt: skip
    with Sinks(open_source(photos / "a.jpg"), tmp_path / "found.png", show=False) as sinks:
        sinks.put(IMAGE, result("a.jpg"))
    assert sinks.written == [tmp_path / "found.png", tmp_path / "found.jsonl"]
    assert cv2.imread(str(tmp_path / "found.png")).shape == IMAGE.shape
    assert json.loads((tmp_path / "found.jsonl").read_text())["frame"] == "a.jpg"
    with pytest.raises(DataError, match="is one picture, but photos is not; give a folder"):
        Sinks(open_source(photos), tmp_path / "other.jpg", show=False)
    (tmp_path / "folder.jpg").mkdir()
    assert kind_of(tmp_path / "folder.jpg") is Kind.FOLDER
    with pytest.raises(DataError, match=r"cannot be written as \.jpg"):
        encoded(np.zeros((1, 70_000, 3), np.uint8), ".jpg")


def test_a_video_begins_anew_where_the_size_changes_and_writes_over_nothing(tmp_path: Path) -> None:
    (tmp_path / "boxes_2.avi").write_bytes(b"mine")
    source = Source("belt", [], frames_per_s=10.0)
    with Sinks(source, tmp_path / "boxes.avi", show=False) as sinks:
        for shape in ((24, 32, 3), (24, 32, 3), (48, 64, 3)):
            sinks.put(np.zeros(shape, np.uint8), result("f"))
    names = ["boxes.avi", "boxes_3.avi", "boxes.jsonl", "boxes_events.jsonl"]
    assert sinks.written == [tmp_path / name for name in names]
    assert (tmp_path / "boxes_2.avi").read_bytes() == b"mine"
    sizes = [[frame.image.shape[1] for frame in next(iter(open_source(tmp_path / n).clips))] for n in names[:2]]
    assert sizes == [[32, 32], [64]]
    assert source.skips.done() == {"image size changes: a new video file begins": ("boxes_3.avi",)}
