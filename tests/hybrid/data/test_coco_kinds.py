"""COCO JSON files of any kind: training reads what `simgen check` passes, and leaves out what it names."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hybrid.core.errors import DataError
from hybrid.data.coco import read_coco
from hybrid.data.shards import read_shards
from simgen.dataset.check import check
from simgen.spec.errors import ShardError
from tests.hybrid.photos import coco_document, write_coco


def _write(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document))
    return path


def test_boxes_of_annotations_that_all_have_the_id_0_are_all_read(tmp_path: Path) -> None:
    document = coco_document()
    for one in document["annotations"]:
        one["id"] = 0
    source = read_coco(write_coco(tmp_path, document))
    assert sum(source.counts().values()) == 12
    assert {reason: len(items) for reason, items in source.skipped.items()} == {
        "annotation id used before: it is read all the same": 11
    }


def test_a_category_that_nothing_bears_takes_no_output(tmp_path: Path) -> None:
    document = coco_document()
    path = write_coco(tmp_path, document)
    document["categories"].insert(0, {"id": 0, "name": "parts", "supercategory": "none"})
    _write(path, document)
    source = read_coco(path)
    assert source.categories == ("bolt", "washer")
    assert source.skipped == {"category that no annotation bears": ("parts",)}
    chosen = read_coco(path, ("parts", "bolt", "washer"))
    assert chosen.counts() == {"parts": 0, "bolt": 6, "washer": 6}
    assert not chosen.skipped


def test_annotations_beside_images_as_cvat_writes_them(tmp_path: Path) -> None:
    document = coco_document()
    write_coco(tmp_path, document)
    (tmp_path / "images").rename(tmp_path / "default")
    (tmp_path / "images").mkdir()
    (tmp_path / "default").rename(tmp_path / "images/default")
    (tmp_path / "annotations").mkdir()
    for image in document["images"]:
        image["file_name"] = Path(image["file_name"]).name
    source = read_coco(_write(tmp_path / "annotations/instances_default.json", document))
    assert sum(source.counts().values()) == 12
    assert not source.skipped


def test_where_missing_images_were_looked_for_is_said(tmp_path: Path) -> None:
    path = write_coco(tmp_path, coco_document())
    (tmp_path / "images/0.png").unlink()
    (item,) = read_coco(path).skipped["image file missing"]
    assert item == f"images/0.png (looked in {tmp_path}, images)"


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b""])
def test_a_byte_order_mark_changes_nothing(mark: bytes, tmp_path: Path) -> None:
    path = write_coco(tmp_path, coco_document())
    path.write_bytes(mark + path.read_bytes())
    assert sum(read_coco(path).counts().values()) == 12
    assert not check(path).errors


def test_a_file_name_in_the_other_unicode_form_is_found(tmp_path: Path) -> None:
    document = coco_document()
    path = write_coco(tmp_path, document)
    (tmp_path / "images/0.png").rename(tmp_path / "images" / unicodedata.normalize("NFD", "Prüfling.png"))
    document["images"][0]["file_name"] = unicodedata.normalize("NFC", "images/Prüfling.png")
    _write(path, document)
    assert not read_coco(path).skipped


def test_crowds_and_small_boxes_are_ignored_and_no_background(tmp_path: Path) -> None:
    document = coco_document(images=1, boxes=4)
    changes = {"iscrowd": 1}, {"bbox": [5.0, 6.0, 2.0, 9.0]}, {"category_id": 99}
    for row, change in zip(document["annotations"], changes, strict=False):
        row |= change
    write_coco(tmp_path, document)
    (frame,) = read_coco(tmp_path / "annotations.json").frames
    assert len(frame.labels) == 1
    assert frame.ignore_labels.tolist() == [0, 1, -1]
    assert frame.ignore_boxes_xyxy_px[1].tolist() == [5, 6, 7, 15]


def test_a_folder_in_the_place_of_the_json_names_it(tmp_path: Path) -> None:
    write_coco(tmp_path, coco_document())
    with pytest.raises(DataError, match=r"is a folder; give one of its JSON files: annotations\.json$"):
        read_coco(tmp_path)
    for reading, error in ((read_shards, DataError), (check, ShardError)):
        with pytest.raises(error, match=r"no manifest.*for labelled photos give their JSON file: annotations\.json$"):
            reading(tmp_path)


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 15), st.floats(), st.text(max_size=3), st.just(10**400),
    st.sampled_from(["1", "7", "\ud800", "images/1.png", "../images/1.png", "/", "", "\0", [], {}, [1], [[]], 1e308]),
    st.lists(st.one_of(st.floats(-20, 140), st.integers(-5, 140), st.none()), max_size=5),
    st.builds(dict, size=st.just([30, 40]), counts=st.one_of(st.text(max_size=4), st.lists(st.integers()))),
    st.just([[1, 2, 30, 4, 5, 60]]),
)  # fmt: skip
KEYS = (
    "id", "image_id", "category_id", "bbox", "iscrowd", "file_name", "width", "height", "name", "video_id",
    "frame_index", "segmentation", "area", "track_id", "visible_share", "amodal_bbox",
)  # fmt: skip
TABLES = st.sampled_from(["images", "annotations", "categories", "videos"])
CHANGES = st.lists(st.tuples(TABLES, st.integers(0, 5), st.sampled_from(KEYS), ODD), max_size=6)
OTHERWISE = ("not known to the model", "sequence cut")  # of this training, not of the file


def judged_alike(path: Path) -> None:
    """Training leaves out what the check names, as often, for the same reason; and neither has a traceback."""
    report = check(path)
    json.loads(report.to_json())
    said = Counter[str]()
    for problem in report.problems:
        said[problem.text] += 1
    try:
        left_out = read_coco(path).skipped
    except DataError:
        assert report.errors
        return
    for reason, items in left_out.items():
        if not any(other in reason for other in OTHERWISE):
            result = sum(count for text, count in said.items() if text.startswith(reason))
            assert result >= len(items), (reason, items, report.lines)  # of images that are left out it says more
    if not report.errors and not report.warnings:
        assert not [reason for reason in left_out if "sequence cut" not in reason]


@pytest.fixture(scope="module")
def plain_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_coco(tmp_path_factory.mktemp("plain"), coco_document(3, (40, 30), 2))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES, row=ODD)
def test_training_leaves_out_what_the_check_names(changes: list[tuple[Any, ...]], row: Any, plain_set: Path) -> None:
    document = json.loads(plain_set.read_text())
    document["videos"] = [{"id": 1, "name": "belt"}]
    for table, place, key, value in changes:
        rows = document[table]
        rows[place % len(rows)][key] = value
    if changes and changes[0][1] == 0:
        document[changes[0][0]].append(row)
    judged_alike(_write(plain_set.parent / "changed.json", document))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=TABLES, value=ODD)
def test_a_table_of_any_kind_has_no_traceback(table: str, value: Any, plain_set: Path) -> None:
    judged_alike(_write(plain_set.parent / "table.json", {**json.loads(plain_set.read_text()), table: value}))
