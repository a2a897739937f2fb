"""Clips and their classes: every row of a table comes back, and what cannot be read is named and left out."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.core.errors import DataError
from hybrid.data.clips import Clip, ClipSource, FrameRecord
from hybrid.training.methods import clip_data
from hybrid.training.methods.clip_data import ClipFile, ReadClips, find_clips, read_clips, read_table

WORDS = st.text("abcXYZ019_-./ ,\"'äß", min_size=1, max_size=12).filter(lambda text: text == text.strip())
ROWS = st.dictionaries(WORDS, WORDS, min_size=1, max_size=8)
SIZE_PX = 8


@settings(max_examples=20)
@given(ROWS, st.booleans())
def test_a_table_is_read_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, rows: dict[str, str], head: bool):
    path = tmp_path_factory.mktemp("t") / "t.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("Clip", "CLASS")] * head + list(rows.items()))
    assert read_table(path) == rows


def test_only_the_first_row_can_be_a_heading(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,ok\nclip,class\n")
    assert read_table(path) == {"a": "ok", "clip": "class"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a,ok\n,bad\n", r"t\.csv:2: needs two columns, clip and class, got \['', 'bad'\]"),
        (b"a,ok,1\n", r"t\.csv:1: needs two columns"),
        (b"\n\n", "holds no row `clip,class`"),
        (b"\xff\xfe\x00a", r"t\.csv: "),
    ],
)
def test_a_row_that_is_no_clip_and_class_is_told(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataError, match=words) as said:
        read_table(tmp_path / "t.csv")
    assert "\n" not in str(said.value)


def test_a_table_as_the_place_has_paths_beside_it(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/b.mp4").touch()
    (tmp_path / "a.mp4").touch()
    table = tmp_path / "t.csv"
    table.write_text("in/b.mp4,ok\na.mp4,bad\n")
    assert [(file.name, file.label) for file in find_clips(table)] == [("in/b.mp4", "ok"), ("a.mp4", "bad")]
    table.write_text("a.mp4,ok\nc.mp4,ok\n")
    with pytest.raises(DataError, match=r"c\.mp4: there is no such clip"):
        find_clips(table)


def test_a_folder_holds_clips_and_classes_and_other_files_are_no_clips(tmp_path: Path) -> None:
    """Of a class, only clips; a folder in a class that holds no picture is none."""
    for name in ("b.MP4", "notes.txt", "ok/2.avi", "ok/1.mp4", "ok/notes.txt", "ok/frames/0.png", "ok/none/x.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [(file.name, file.label) for file in find_clips(tmp_path)]
    assert found == [("b.MP4", ""), ("ok/1.mp4", "ok"), ("ok/2.avi", "ok"), ("ok/frames", "ok")]
    assert [file.name for file in find_clips(tmp_path / "ok/frames")] == ["frames"]  # one clip: a folder of frames


def of_labels(name: str, *labels: list[int]) -> Clip:
    frame = FrameRecord(
        name=name, path=Path("s.tar"), width_px=9, height_px=9, boxes_xyxy_px=np.zeros((0, 4), np.float32),
        labels=np.zeros(0, np.int64),
    )  # fmt: skip
    boxes = [np.tile(np.array([0, 0, 2, 2], np.float32), (len(one), 1)) for one in labels]
    pairs = zip(labels, boxes, strict=True)
    return Clip(name, tuple(replace(frame, boxes_xyxy_px=box, labels=np.array(one, np.int64)) for one, box in pairs))


def test_simulated_clips_are_sorted_by_what_any_of_their_frames_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = of_labels("a", [0], []), of_labels("b", [], [0, 1]), of_labels("c", [], [])
    source = ClipSource("set", ("bolt", "nut", "pin"), clips)
    (tmp_path / clip_data.MANIFEST).touch()
    monkeypatch.setattr(clip_data, "read_shards", lambda folder: source)
    monkeypatch.setattr(clip_data, "decode", lambda frame: np.full((9, 9, 3), ord(frame.name), np.uint8))
    found = find_clips(tmp_path, holds="nut")
    assert [(file.name, file.label) for file in found] == [("a", "no nut"), ("b", "nut"), ("c", "no nut")]
    assert {file.label for file in find_clips(tmp_path)} == {""}
    assert [{int(image.max()) for image in file.frames()} for file in found] == [{97}, {98}, {99}]  # each its own
    with pytest.raises(DataError, match=r"no clip holds 'pin'; there are \{'bolt': 2, 'nut': 1, 'pin': 0\}"):
        find_clips(tmp_path, holds="pin")


def grey(*levels: int, label: str = "ok") -> ClipFile:
    return ClipFile(f"{levels}", lambda: (np.full((6, 4, 3), level, np.uint8) for level in levels), label)


def broken() -> Iterable[np.ndarray]:
    yield np.zeros((6, 4, 3), np.uint8)
    raise DataError("cut off")


@given(st.integers(1, 40), st.integers(1, 40))
def test_chosen_frames_are_in_order_evenly_spread_and_have_both_ends(there: int, asked: int) -> None:
    levels = read_clips([grey(*range(there))], asked, SIZE_PX).clips[0, :, 0, 0, 0].astype(int)
    assert len(levels) == asked
    steps = np.diff(levels)
    assert levels[0] == 0
    assert asked == 1 or levels[-1] == there - 1
    assert not len(steps) or (steps.min() >= 0 and steps.max() - steps.min() <= 1)
    assert asked < there or set(levels.tolist()) == set(range(there))  # none is lost where there is room for all


def test_what_cannot_be_read_is_skipped_with_its_reason_and_the_rest_is_read() -> None:
    files = [grey(1), ClipFile("cut", broken, "bad"), ClipFile("empty", list, "bad"), grey(2, label="odd")]
    read = read_clips(files, 2, SIZE_PX)
    assert (read.names, read.labels, read.clips.shape) == (("(1,)", "(2,)"), ("ok", "odd"), (2, 2, 8, 8, 3))
    assert dict(read.skipped) == {
        "clip that cannot be read: cut off": ("cut",), "clip without a usable frame": ("empty",),
    }  # fmt: skip
    assert read.indices(("odd", "ok")).tolist() == [1, 0]
    with pytest.raises(DataError, match=r"no clip can be read\. clip that cannot be read: cut off: cut; clip without"):
        read_clips(files[1:3], 2, SIZE_PX)


def test_an_endless_clip_is_cut_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_data, "MOST_FRAMES", 5)
    read = read_clips([grey(*range(100)), grey(*range(5))], 2, SIZE_PX)
    assert read.clips[:, -1, 0, 0, 0].tolist() == [4, 4]
    assert dict(read.skipped) == {"clip of which 5 frames are used": (grey(*range(100)).name,)}


def test_a_class_that_is_not_asked_for_has_no_place() -> None:
    read = ReadClips(("a",), np.zeros((1, 1, 8, 8, 3), np.uint8), ("ok",))
    with pytest.raises(ValueError, match="not in tuple"):
        read.indices(("bad",))
