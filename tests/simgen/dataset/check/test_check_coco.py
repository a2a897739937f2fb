"""A sound COCO data set passes; each way to spoil it is named. It may come from anywhere."""

import json
import os
import shutil

import cv2
import numpy as np
import pytest

from simgen.dataset.check import check
from simgen.dataset.export import export
from simgen.dataset.format.reader import DataSet
from tests.simgen import clips
from tests.simgen.dataset.check.test_check_hostile import bomb
from tests.simgen.generation.test_generate import in_this_process, run


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    out = tmp_path_factory.mktemp("coco")
    run(out / "data", engine=in_this_process, scenes=3)
    export(DataSet(out / "data"), "coco", out / "coco")
    report = check(out / "coco" / "annotations.json")
    assert report.lines == ["warning: nut: category that no annotation bears"]
    assert (report.form, report.clips, report.frames, sum(report.labels.values())) == ("coco", 3, 6, 12)
    return out / "coco"


@pytest.fixture
def copied(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "copy")


def edit(change):
    """Spoil the JSON."""

    def spoil(folder):
        path = folder / "annotations.json"
        document = json.loads(path.read_text())
        change(document)
        path.write_text(json.dumps(document))

    return spoil


def annotation(**changes):
    return edit(lambda d: d["annotations"][0].update(changes))


def image(**changes):
    return edit(lambda d: d["images"][0].update(changes))


def picture(change):
    return lambda folder: change(folder / "images" / "000000_000.jpg")


def link(to):
    def change(path):
        path.unlink()
        path.symlink_to(to)

    return picture(change)


def grey(path):
    cv2.imwrite(str(path), np.full((clips.HEIGHT, clips.WIDTH, 3), 90, np.uint8))


WAYS = {
    "a picture is gone": (picture(os.unlink), "file", "000000_000.jpg: image file missing: looked in "),
    "a picture is cut": (picture(lambda p: os.truncate(p, 40)), "picture", "image file cannot be decoded"),
    "a picture is a bomb": (picture(lambda p: p.write_bytes(bomb(60000, 60000))), "picture", "refused: "),
    "a picture is a pipe": (picture(lambda p: (p.unlink(), os.mkfifo(p))), "file", "image file missing"),
    "a picture is blank": (picture(grey), "blank", "blank: its brightness and colour"),
    "a picture stands twice": (
        lambda f: shutil.copy(f / "images" / "000001_000.jpg", f / "images" / "000000_000.jpg"),
        "duplicate", "images/000001_000.jpg: the same picture as images/000000_000.jpg"),
    "a link leads out": (link("/etc/hostname"), "file", "image refused: a link to a file outside of"),
    "a name leads out": (image(file_name="../../x.jpg"), "file", "it leaves the data set's folder"),
    "a name is absolute": (image(file_name="/etc/passwd"), "file", "it leaves the data set's folder"),
    "a file is listed twice": (
        image(file_name="images/000001_001.jpg"), "annotation", "file listed twice: read once, with all annotations"),
    "a size is wrong": (image(width=64), "picture", "image of another size than stated: 48 x 36, not 64 x 36 pixels"),
    "a frame lacks": (image(frame_index=5), "track", "frames lack or stand twice"),
    "a box is empty": (annotation(bbox=[3, 3, 0, 5]), "box", "box without an area"),
    "a box lies outside": (
        annotation(bbox=[40, 3, 30, 5]),
        "box", "box reached outside its image: clipped: [40, 3, 30, 5] in 48 x 36 pixels"),
    "a box is no box": (annotation(bbox=[1, 2, "x", 4]), "schema", "box that is not four numbers"),
    "a box is endless": (annotation(bbox=[0, 0, 10**400, 1]), "schema", "box that is not four numbers"),
    "a box is not a number": (annotation(bbox=[0, 0, float("nan"), 1]), "schema", "box that is not four numbers"),
    "a box is not its mask's": (annotation(bbox=[1, 1, 30, 30]), "mask", "its bounds are"),
    "an area is wrong": (annotation(area=500), "mask", "it has 80 pixels, the annotation says 500"),
    "a mask is damaged": (annotation(segmentation={"size": [36, 48], "counts": "abc"}), "mask", "damaged: "),
    "a mask has another size": (annotation(segmentation={"size": [9, 9], "counts": "Q3"}), "mask", "of size [9, 9]"),
    "a mask is a bomb": (
        annotation(segmentation={"size": [36, 48], "counts": [10**12]}), "mask", "[1000000000000] are no run lengths"),
    "a polygon is none": (annotation(segmentation=[[1, 2, 3, 4]]), "mask", "needs three points"),
    "a category is not listed": (
        annotation(category_id=77), "category", "category 77: category that is not listed: neither part nor"),
    "a category's name stands twice": (
        edit(lambda d: d["categories"].append({"id": 9, "name": "bolt"})),
        "category", "bolt: category name used twice: read as one category"),
    "an image is not listed": (annotation(image_id=77), "annotation", "image 77: annotation without a usable image"),
    "an id stands twice": (
        annotation(id=2), "annotation", "annotations[1]: 2: annotation id used before: it is read all the same"),
    "an annotation stands twice": (
        edit(lambda d: d["annotations"].append({**d["annotations"][0], "id": 99, "track_id": 9})),
        "annotation", "annotation stated twice: read once"),
    "a track stands twice": (annotation(track_id=1), "track", "track 1 stands there 2 times"),
    "a track changes": (
        edit(lambda d: d["annotations"][0].update(category_id=1 + d["annotations"][0]["category_id"] % 3)),
        "track", "changes from category"),
    "a share is wrong": (annotation(visible_share=0), "visibility", "visible_share 0 with a box"),
    "a key lacks": (edit(lambda d: d["annotations"][0].pop("bbox")), "schema", "None: box that is not four numbers"),
    "a type is wrong": (image(video_id=[1]), "schema", "[1]: video_id that is no id: read as a still"),
    "a list lacks": (edit(lambda d: d.pop("images")), "schema", "needs a list under 'images'"),
    "the json is cut": (lambda f: os.truncate(f / "annotations.json", 300), "file", "cannot be read as JSON"),
    "the json is deep": (
        lambda f: (f / "annotations.json").write_text("[" * 500_000), "file", "cannot be read as JSON"),
}  # fmt: skip


def test_there_are_more_than_fifteen_ways():
    assert len(WAYS) == 36


@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_spoil_it_is_caught(copied, way):
    spoil, kind, text = WAYS[way]
    spoil(copied)
    report = check(copied / "annotations.json")
    problems = [str(problem) for problem in report.problems if problem.kind == kind]
    assert any(text in line for line in problems), report.lines
    assert report.errors


def test_a_json_that_is_too_large_is_refused_unread(copied, monkeypatch):
    monkeypatch.setattr("simgen.dataset.format.coco_json.MAX_COCO_BYTES", 100)
    (line,) = check(copied / "annotations.json").lines
    assert "more than the 100 that are read" in line


def test_photographs_with_polygons_pass(tmp_path):
    rng = np.random.default_rng(0)
    for name in "ab":
        cv2.imwrite(
            str(tmp_path / f"{name}.png"), cv2.resize(rng.integers(0, 255, (6, 8, 3)).astype(np.uint8), (80, 60))
        )
    document = {
        "images": [{"id": i, "file_name": f"{name}.png", "width": 80, "height": 60} for i, name in enumerate("ab")],
        "categories": [{"id": 3, "name": "bolt"}],
        "annotations": [
            {"id": 1, "image_id": 0, "category_id": 3, "bbox": [10, 10, 20, 20], "area": 200.0, "iscrowd": 0,
             "segmentation": [[10, 10, 30, 10, 30, 30]]},
            {"id": 2, "image_id": 1, "category_id": 3, "bbox": [0, 0, 80.5, 60]},
        ],
    }  # fmt: skip
    (tmp_path / "labels.json").write_text(json.dumps(document))
    report = check(tmp_path / "labels.json")
    assert report.lines == []
    assert (report.clips, report.frames, dict(report.labels)) == (2, 2, {"bolt": 2})
