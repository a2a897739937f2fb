"""Lines and regions in a user's words, and the one line that says what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hybrid.predict.counting import CountLine, Region
from hybrid.predict.counting.given import given_places
from simgen.spec.errors import ConfigError as FileConfigError

FILE = """
lines:
  exit: 0.7
  entry: {x: 0.2, direction: forward}
  lane: {points: [[0.1, 0.2], [0.9, 0.8]], direction: backward}
  low: y:400
regions:
  tray: [0.2, 0.3, 0.6, 0.9]
  table: {points: [[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]]}
"""


def test_the_options_and_a_file(tmp_path: Path) -> None:
    (tmp_path / "places.yaml").write_text(FILE)
    assert given_places(["0.7", "y:0.5:forward", "10,0.2,90,0.8"], ["0.1,0.2,0.5,0.9", "0,0,1,0,1,1"]) == [
        CountLine.vertical(0.7), CountLine.horizontal(0.5, "line 2", "forward"),
        CountLine((10, 0.2), (90, 0.8), "line 3"), Region.rectangle(0.1, 0.2, 0.5, 0.9),
        Region(((0, 0), (1, 0), (1, 1)), "region 2"),
    ]  # fmt: skip
    assert given_places(["0.6", str(tmp_path / "places.yaml")]) == [
        CountLine.vertical(0.6), CountLine.vertical(0.7, "exit"), CountLine.vertical(0.2, "entry", "forward"),
        CountLine((0.1, 0.2), (0.9, 0.8), "lane", "backward"), CountLine.horizontal(400, "low"),
        Region.rectangle(0.2, 0.3, 0.6, 0.9, "tray"), Region(((0.1, 0.1), (0.9, 0.1), (0.5, 0.9)), "table"),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "a", "z:0.5", "0.1,0.2", "0.7:up", "1e9", "nan", "0.1,,0.2", "x:0.1,0.2"])
def test_what_is_no_line_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=f"^--count-line {text}: is no line; it needs a number such as 0.7"):
        given_places([text])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("lines:\n  a: 0.7\n  b: {x: 0.1, z: 3}", r"p\.yaml:3: no key 'z'; there are direction, points, x, y"),
        ("lines:\n  a: {x: 0.1, y: 0.1}", r"p\.yaml:2: a line has one of x, y and points"),
        ("lines:\n  a: {x: 0.1, direction: [1]}", r"p\.yaml:2: no direction \[1\]"),
        ("lines:\n  a: 1.5", r"p\.yaml:2: a: 1\.5 is no coordinate"),
        ("lines:\n  a: .nan", r"p\.yaml:2: is no line"),
        ("lines: [0.7]", r"p\.yaml:1: lines needs a name for each"),
        ("regions:\n  a: [0.1, 0.2]", r"p\.yaml:2: is no region"),
        ("regions:\n  a: {points: [0, 0, 1, true, 1, 1]}", r"p\.yaml:2: is no region"),
        ("line: 0.7", r"p\.yaml: needs 'lines:' or 'regions:' with a name for each, got line"),
        ("", r"p\.yaml: needs 'lines:' or 'regions:'"),
        ("lines:\n" + "\n".join(f"  a{k}: 0.5" for k in range(101)), "101 lines and regions; at most 100"),
        ("lines:\n  " + "a" * 61 + ": 0.7", "a name has 1 to 60 letters, got 61"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_its_line(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises((ValueError, FileConfigError), match=says):
        given_places([str(tmp_path / "p.yaml")])
