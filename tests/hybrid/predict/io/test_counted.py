"""What counting leaves: events, counts, lines in the picture. What is wrong is said in a line with the frame."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from hybrid.core.errors import DataError
from hybrid.predict.counting import CountLine, Region
from hybrid.predict.io.drawing import PLACE_COLOUR
from hybrid.predict.io.outputs import check_out
from hybrid.predict.io.sinks import Sinks
from hybrid.predict.io.video import Source
from hybrid.predict.result import Result

CATEGORIES = ("bolt", "nut")
PLACES = (CountLine.vertical(0.5, "exit"), Region.rectangle(0.7, 0.1, 0.9, 0.9, "tray"))


def frame(number: int, x: float, unseen: bool = False) -> Result:
    box = np.array([[x - 4, 20, x + 4, 28]], np.float32)
    return Result(
        f"f{number}", number / 10, box, np.array([0.9], np.float32), np.array([1]), CATEGORIES, np.array([3]),
        unseen=np.array([unseen]),
    )  # fmt: skip


def belt() -> Source:
    return Source("belt", [], frames_per_s=10.0)


@pytest.mark.parametrize("out", ["boxes.avi", "boxes"])
def test_a_run_writes_events_and_counts_beside_its_output(out: str, tmp_path: Path) -> None:
    with Sinks(belt(), tmp_path / out, show=False, places=PLACES) as sinks:
        for number, x in enumerate((80, 96, 104, 150)):
            sinks.put(np.zeros((100, 200, 3), np.uint8), frame(number, x))
    prefix = "boxes_" if out.endswith("avi") else "boxes/"
    events = [json.loads(line) for line in (tmp_path / f"{prefix}events.jsonl").read_text().splitlines()]
    assert [(one["event"], one["frame"]) for one in events] == [
        ("enter", "f0"), ("count", "f2"), ("count", "f3"), ("end", "f3"),
    ]  # fmt: skip
    assert events[1] == {
        "event": "count", "time_s": 0.2, "frame": "f2", "track": 3, "category": "nut", "line": "exit",
        "direction": "forward",
    }  # fmt: skip
    assert events[2]["region"] == "tray"
    rows = list(csv.reader((tmp_path / f"{prefix}counts.csv").read_text().splitlines()))
    assert rows == [
        ["place", "kind", "category", "count", "unconfirmed"], ["exit", "line", "bolt", "0", "0"],
        ["exit", "line", "nut", "1", "0"], ["tray", "region", "bolt", "0", "0"], ["tray", "region", "nut", "1", "0"],
    ]  # fmt: skip
    assert sinks.counted.table() == [
        "counted at  bolt  nut  all  unconfirmed", "exit           0    1    1            0",
        "tray           0    1    1            0",
    ]  # fmt: skip
    assert {path.name for path in sinks.written} >= {
        f"{prefix}events.jsonl".split("/")[-1],
        f"{prefix}counts.csv".split("/")[-1],
    }


def test_the_line_and_what_was_counted_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[np.ndarray] = []
    monkeypatch.setattr("hybrid.predict.io.sinks._check_window", lambda: None)
    monkeypatch.setattr("cv2.imshow", lambda title, picture: shown.append(picture[..., ::-1].copy()), raising=False)
    monkeypatch.setattr("cv2.waitKey", lambda delay: ord("q") if len(shown) == 2 else -1)
    monkeypatch.setattr("cv2.destroyAllWindows", lambda: None)
    with Sinks(belt(), None, show=True, places=PLACES[:1]) as sinks:
        goes_on = [sinks.put(np.zeros((100, 200, 3), np.uint8), frame(number, x)) for number, x in enumerate((80, 120))]
    assert goes_on == [True, False], "q closes the window"
    assert (shown[0][60:90, 100] == PLACE_COLOUR).all()
    assert (shown[0][:20, :60] != shown[1][:20, :60]).any(), "the counter in the corner"
    assert sinks.written == []


def test_without_places_a_video_has_events_and_no_counts_and_stills_have_neither(tmp_path: Path) -> None:
    with Sinks(belt(), tmp_path / "a", show=False) as sinks:
        sinks.put(np.zeros((100, 200, 3), np.uint8), frame(0, 80))
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["detections.jsonl", "events.jsonl", "f0.jpg"]
    assert sinks.counted.table() == []
    with Sinks(Source("photos", [], 1), tmp_path / "b", show=False) as sinks:
        sinks.put(np.zeros((100, 200, 3), np.uint8), frame(0, 80))
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == ["detections.jsonl", "f0.jpg"]


def test_a_line_outside_the_picture_is_an_error_at_first_and_a_note_later(tmp_path: Path) -> None:
    line = (CountLine.vertical(150, "exit"),)
    says = r"outside the picture, where nothing crosses it: exit at \(150, 100\) \(150, 0\) px, in f0 of 120x100"
    with pytest.raises(DataError, match=says), Sinks(belt(), tmp_path / "a", show=False, places=line) as sinks:
        sinks.put(np.zeros((100, 120, 3), np.uint8), frame(0, 80))
    assert not (tmp_path / "a/counts.csv").exists()
    for at_the_edge in (CountLine.vertical(1), CountLine.horizontal(0), CountLine.vertical(120)):
        assert at_the_edge.is_outside((100, 120))
    assert not CountLine((0, 0), (1, 1)).is_outside((100, 120))
    source = belt()
    with Sinks(source, None, show=False, places=line) as sinks:
        for number, width in enumerate((200, 120, 120)):
            sinks.put(np.zeros((100, width, 3), np.uint8), frame(number, 80))
    assert source.skips.done() == {
        "count line or region outside the picture: nothing crosses it": (
            "exit at (150, 100) (150, 0) px, in f1 of 120x100",
        )
    }


def test_stills_have_no_tracks_to_count() -> None:
    with pytest.raises(DataError, match="a count line or region needs tracks, but photos holds stills; give a video"):
        Sinks(Source("photos", [], 3), None, show=False, places=PLACES)


@pytest.mark.parametrize("name", ["boxes_events.jsonl", "boxes_counts.csv"])
def test_files_beside_a_video_are_not_written_over(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(DataError, match=f"{name} exists; give another name, or say --overwrite"):
        check_out(tmp_path / "boxes.mp4", [])
