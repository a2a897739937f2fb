"""Rows of a COCO JSON: each one is read, or counted and named."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from typing import Any

import pytest

from simgen.dataset.format.coco_rows import CocoContent, coco_content, whole_number

IDS = itertools.count(1)


def row(image: Any = 1, category: Any = 1, place: int = 0, **more: Any) -> dict[str, Any]:
    return {"id": next(IDS), "image_id": image, "category_id": category, "bbox": [place, 2, 3, 4], **more}


def read(annotations: list[Any] | None = None, **tables: Any) -> CocoContent:
    document = {
        "images": [{"id": k, "file_name": f"{k}.jpg", "width": 64, "height": 48} for k in (1, 2)],
        "annotations": [row()] if annotations is None else annotations,
        "categories": [{"id": 1, "name": "bolt"}, {"id": 2, "name": "nut"}],
    }
    return coco_content(json.loads(json.dumps({**document, **tables})))


def reasons(content: CocoContent) -> dict[str, int]:
    return dict(Counter(one.reason for one in content.findings if one.kind != "unused"))


@pytest.mark.parametrize("ids", [[0, 0, 0], [None, None, None], ["a", "a", "b"], [1, 1, 1.0], [[], {}, True]])
def test_annotations_need_no_id_of_their_own(ids: list[Any]) -> None:
    rows = [row(1, 1, 0), row(1, 1, 9), row(2, 1, 0)]
    content = read([{**one, "id": key} for one, key in zip(rows, ids, strict=True)])
    assert [len(image.annotations) for image in content.images] == [2, 1]
    assert sum(reasons(content).values()) >= 1
    assert all("it is read all the same" in reason for reason in reasons(content))


def test_annotations_that_say_the_same_are_read_once() -> None:
    content = read([row(), row(), row(image=2), row(category=2), row(place=3)])
    assert [len(image.annotations) for image in content.images] == [3, 1]
    assert reasons(content) == {"annotation stated twice: read once": 1}


@pytest.mark.parametrize("ids", [("1", 1), (1, "1"), ("1", "1"), (1.0, 1)])
def test_an_id_may_be_text_on_one_side(ids: tuple[Any, Any]) -> None:
    stated, meant = ids
    content = read(
        [row(meant, meant)], images=[{"id": stated, "file_name": "a"}], categories=[{"id": stated, "name": "bolt"}]
    )
    assert content.images[0].annotations[0].category == "bolt"
    assert not content.findings


def test_text_and_number_are_two_ids_where_both_are_listed() -> None:
    content = read(
        [row(category="1"), row(category=1)], categories=[{"id": 1, "name": "bolt"}, {"id": "1", "name": "nut"}]
    )
    assert [one.category for one in content.images[0].annotations] == ["nut", "bolt"]
    assert content.categories == ("bolt", "nut")


def test_categories_that_nothing_bears_are_left_out_and_named() -> None:
    content = read(categories=[{"id": 0, "name": "parts"}, {"id": 1, "name": "bolt"}, {"id": "x", "name": "nut"}])
    assert content.categories == ("bolt",)
    assert [(f.kind, f.item) for f in content.findings] == [("unused", "parts"), ("unused", "nut")]
    assert read([]).categories == ("bolt", "nut")  # nothing is labelled yet: all may be meant


ODD_ROWS: dict[str, tuple[dict[str, Any], str]] = {
    "category name twice": (
        {"categories": [{"id": 1, "name": "bolt"}, {"id": 2, "name": "bolt"}]},
        "category name used twice: read as one category"),
    "category id twice": (
        {"categories": [{"id": 1, "name": "bolt"}, {"id": 1, "name": "nut"}]},
        "category id used with two names: not read"),
    "category without name": ({"categories": [{"id": 1, "name": None}]}, "category without a usable id or name"),
    "category no object": ({"categories": [3, {"id": 1, "name": "b"}]}, "category without a usable id or name"),
    "category id true": ({"categories": [{"id": True, "name": "b"}]}, "category without a usable id or name"),
    "image no object": ({"images": [None, {"id": 1, "file_name": "a"}]}, "image without a file name"),
    "file name a number": ({"images": [{"id": 1, "file_name": 7}]}, "image without a file name"),
    "image id null": ({"images": [{"id": None, "file_name": "a"}]}, "image without a usable id"),
    "image id a list": ({"images": [{"id": [1], "file_name": "a"}]}, "image without a usable id"),
    "image id true": ({"images": [{"id": True, "file_name": "a"}]}, "image without a usable id"),
    "image id 1.5": ({"images": [{"id": 1.5, "file_name": "a"}]}, "image without a usable id"),
    "width as text": (
        {"images": [{"id": 1, "file_name": "a", "width": "wide", "height": 3}]},
        "image whose stated size is no size: the file's own is taken"),
    "width 0": (
        {"images": [{"id": 1, "file_name": "a", "width": 0, "height": 3}]},
        "image whose stated size is no size: the file's own is taken"),
    "videos no list": ({"videos": 3}, "videos that are no list: not read"),
    "a video no object": ({"videos": ["belt"]}, "video without a usable id"),
    "video_id a list": (
        {"images": [{"id": 1, "file_name": "a", "video_id": []}]}, "video_id that is no id: read as a still"),
    "annotation no object": ({"annotations": [[], row()]}, "annotation that is no object"),
    "image not listed": ({"annotations": [row(image=9)]}, "annotation without a usable image"),
    "image_id null": ({"annotations": [row(image=None)]}, "annotation without a usable image"),
    "image_id a list": ({"annotations": [row(image=[])]}, "annotation without a usable image"),
    "category not listed": (
        {"annotations": [row(category={})]}, "category that is not listed: neither part nor background"),
    "bbox null": ({"annotations": [row(bbox=None)]}, "box that is not four numbers"),
    "bbox of three": ({"annotations": [row(bbox=[1, 2, 3])]}, "box that is not four numbers"),
    "bbox of text": ({"annotations": [row(bbox=["1", 2, 3, 4])]}, "box that is not four numbers"),
    "bbox true": ({"annotations": [row(bbox=[True, 2, 3, 4])]}, "box that is not four numbers"),
    "bbox endless": ({"annotations": [row(bbox=[10**400, 2, 3, 4])]}, "box that is not four numbers"),
    "bbox NaN": ({"annotations": [row(bbox=[float("nan"), 2, 3, 4])]}, "box that is not four numbers"),
    "amodal box odd": ({"annotations": [row(amodal_bbox=7)]}, "box that is not four numbers"),
    "iscrowd odd": ({"annotations": [row(iscrowd="yes")]}, "iscrowd that is neither 0 nor 1: read as a crowd"),
    "crowd": ({"annotations": [row(iscrowd=1)]}, "crowd region"),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD_ROWS)
def test_an_odd_row_is_counted_and_named(name: str) -> None:
    tables, reason = ODD_ROWS[name]
    content = read(**tables)
    assert reasons(content).get(reason) == 1, content.findings
    assert all(finding.item for finding in content.findings)


def test_images_of_one_id_are_not_read_since_their_annotations_cannot_be_told_apart() -> None:
    images = [{"id": 0, "file_name": name} for name in ("a", "b", "c")] + [{"id": 1, "file_name": "d"}]
    content = read([row(0), row(1)], images=images)
    assert [image.name for image in content.images] == ["d"]
    assert reasons(content) == {
        "image id used for two files: neither is read": 3, "annotation without a usable image": 1
    }  # fmt: skip


def test_a_file_that_is_listed_twice_has_the_annotations_of_both() -> None:
    images = [{"id": 1, "file_name": "x/a"}, {"id": 2, "file_name": "x\\a"}, {"id": 1, "file_name": "./x/a"}]
    content = read([row(1), row(2), row(2, place=5)], images=images)
    (image,) = content.images
    assert [one.xywh_px[0] for one in image.annotations] == [0, 5]
    assert reasons(content) == {
        "file listed twice: read once, with all annotations": 2, "annotation stated twice: read once": 1
    }  # fmt: skip


def frames(*indices: Any) -> dict[str, Any]:
    rows = [{"id": k, "file_name": f"{k}", "video_id": 5, "frame_index": index} for k, index in enumerate(indices)]
    return {"images": [{k: v for k, v in one.items() if v != "none"} for one in rows]}


def test_frames_without_an_index_are_taken_as_they_are_listed() -> None:
    for tables in (frames(None, None, None), frames("none", "none", "none"), frames("x", [], True)):
        content = read([], **tables)
        assert [(image.video, image.frame_index) for image in content.images] == [(5, 0), (5, 1), (5, 2)]
        assert reasons(content) == {"video without frame_index: its frames are taken as they are listed": 1}


def test_a_frame_without_an_index_among_others_is_a_still() -> None:
    content = read([], **frames("3", None, 4.0))
    assert [(image.video, image.frame_index) for image in content.images] == [(5, 3), (None, None), (5, 4)]
    assert reasons(content) == {"frame without a usable frame_index: read as a still": 1}


def test_a_missing_table_of_videos_is_as_an_empty_one() -> None:
    assert not reasons(read(videos=None))
    assert read(videos=[{"id": "5", "name": "belt"}, {"id": 6}]).videos == {"5": "belt", 6: "video 6"}


def test_names_are_safe_to_print() -> None:
    image = {"id": 1, "file_name": "a\x1b[2J\ud800\u202egnp.jpg"}
    content = read(images=[image], categories=[{"id": 1, "name": "b\x07olt"}])
    assert content.images[0].name == "a\\x1b[2J\\ud800\\u202egnp.jpg"
    assert content.images[0].file_name == image["file_name"]
    assert content.categories == ("b\\x07olt",)


@pytest.mark.parametrize(
    ("value", "number"),
    [(3, 3), (3.0, 3), ("3", 3), (-2, -2), (3.5, None), ("3.0", None), (True, None), (None, None), ([], None),
     (float("nan"), None), (float("inf"), None), (1e300, None), ("9" * 30, None), ("\u0663", None)],
)  # fmt: skip
def test_whole_numbers(value: Any, number: int | None) -> None:
    assert whole_number(value) == number
