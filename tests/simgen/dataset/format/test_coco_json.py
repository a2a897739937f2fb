"""The reader of COCO JSON: what it accepts, and the message for each way in which a file can be wrong."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from simgen.dataset.format.coco_json import read_coco_json
from simgen.spec.errors import CocoError

NEEDED = {"images": ("id", "file_name"), "categories": ("id", "name")}
GOOD: dict[str, Any] = {
    "info": {"year": 2026},
    "images": [{"id": 1, "file_name": "a.jpg", "width": 4}],
    "categories": [{"id": "bolt", "name": "bolt"}],
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "labels.json"


def refusal(path: Path, **more: Any) -> CocoError:
    with pytest.raises(CocoError) as caught:
        read_coco_json(path, NEEDED, **more)
    return caught.value


def test_the_document_comes_whole_with_keys_that_nobody_asked_for(path: Path) -> None:
    path.write_text(json.dumps(GOOD))
    assert read_coco_json(path, NEEDED) == GOOD


def test_text_is_utf_8_on_every_machine(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes('{"images": [], "categories": [{"id": 1, "name": "Schraube grün"}]}'.encode())
    assert read_coco_json(path, NEEDED)["categories"][0]["name"] == "Schraube grün"
    path.write_bytes('{"name": "grün"}'.encode("latin-1"))
    assert "cannot be read as JSON" in str(refusal(path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": None}, "no COCO JSON: it needs a list under 'images'"),
        ({"categories": {"1": "bolt"}}, "no COCO JSON: it needs a list under 'categories'"),
        ({"images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2}]}, "images[1] has no 'file_name'"),
        ({"images": [[1, "a.jpg"]]}, "images[0] has no 'id'"),
        ({"images": [{"id": [1], "file_name": "a.jpg"}]}, "images[0]: 'id' is no id: [1]"),
        ({"videos": 3}, "no COCO JSON: it needs a list under 'videos'"),
        ({"videos": [{"name": "belt"}]}, "videos[0] has no 'id'"),
    ],
)
def test_a_document_of_another_kind_is_readable_but_refused(path: Path, change: dict[str, Any], message: str) -> None:
    path.write_text(json.dumps({**GOOD, **change}))
    error = refusal(path, optional={"videos": ("id",)})
    assert str(error) == message
    assert error.readable


@pytest.mark.parametrize("videos", [{}, {"videos": None}, {"videos": []}])
def test_an_optional_table_may_be_missing(path: Path, videos: dict[str, Any]) -> None:
    path.write_text(json.dumps({**GOOD, **videos}))
    assert read_coco_json(path, NEEDED, {"videos": ("id",)}) == {**GOOD, **videos}


@pytest.mark.parametrize("text", ["[1, 2]", "3", "null"])
def test_json_that_is_no_object_is_refused(path: Path, text: str) -> None:
    path.write_text(text)
    assert str(refusal(path)) == "no COCO JSON: it needs a list under 'images'"


@pytest.mark.parametrize("text", ["", "{", '{"images": [', "[" * 100_000, "9" * 5000, "{'images': []}"])
def test_text_that_is_no_json_is_unreadable(path: Path, text: str) -> None:
    """Also where it nests deeper than the parser goes, or holds a number longer than Python converts."""
    path.write_text(text)
    error = refusal(path)
    assert "cannot be read as JSON" in str(error)
    assert not error.readable
    assert len(str(error)) <= 300


def test_the_size_is_checked_before_the_file_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text(json.dumps(GOOD))
    size = path.stat().st_size
    assert read_coco_json(path, NEEDED, most_bytes=size) == GOOD
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: pytest.fail("was read"))
    assert str(refusal(path, most_bytes=size - 1)) == f"{size} bytes, more than the {size - 1} that are read"


def test_a_pipe_is_refused_and_not_waited_for(path: Path) -> None:
    os.mkfifo(path)
    assert str(refusal(path)) == "is no plain file"
    assert str(refusal(path.parent / "gone.json")) == "there is no such file"


def test_a_folder_in_the_place_of_a_json_names_those_in_it(path: Path) -> None:
    assert "give one of its JSON files; it holds none" in str(refusal(path.parent))
    (path.parent / "annotations").mkdir()
    for file in ("b.json", "annotations/a.json", "a.txt"):
        (path.parent / file).write_text("{}")
    assert str(refusal(path.parent)) == "is a folder; give one of its JSON files: b.json, annotations/a.json"


def test_a_byte_order_mark_is_no_part_of_the_json(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(GOOD).encode())
    assert read_coco_json(path, NEEDED) == GOOD
