"""The count of readings of the test photos."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hybrid.core.errors import DataError
from pipelines.gap.ledger import Ledger, count_reading, ledger_of, read_ledger
from simgen.dataset.store.locations import location


def read(data: Path, run: str = "a", purpose: str = "look", time: str = "2026-11-29") -> Ledger:
    return count_reading(data, "data-sha", [("sim", run)], purpose, time)  # type: ignore[arg-type]


def test_each_reading_is_a_line_and_the_same_report_again_is_none(tmp_path: Path) -> None:
    data = tmp_path / "test.json"
    assert [len(read(data, *rest).lines) for rest in ((), (), ("b",), ("b", "final"), ("a", "look", "later"))] == [
        1, 1, 2, 3, 3,
    ]  # fmt: skip
    ledger = read_ledger(data)
    assert [one.purpose for one in ledger.readings] == ["look", "look", "final"]
    assert ledger.in_words() == "The test data were read 3 times, 1 of them as final."
    assert ledger.path == tmp_path / "test.json.reads.jsonl"


@pytest.mark.parametrize("how", ["first taken out", "middle taken out", "changed"])
def test_a_line_that_is_gone_or_changed_is_noticed_and_the_count_goes_on(tmp_path: Path, how: str) -> None:
    data = tmp_path / "test.json"
    for run in "abc":
        read(data, run)
    assert read_ledger(data).whole
    path = tmp_path / "test.json.reads.jsonl"
    lines = path.read_text().splitlines()
    if how == "changed":
        lines[1] = json.dumps(json.loads(lines[1]) | {"time": "never"})
    else:
        del lines[0 if how == "first taken out" else 1]
    path.write_text("\n".join(lines) + "\n")
    assert not read_ledger(data).whole
    again = read(data, "d")
    assert len(again.lines) == len(lines) + 1
    assert "was changed or taken out" in again.in_words()


@pytest.mark.parametrize("line", ["{", "[]", '{"time": 1}', "null"])
def test_a_damaged_ledger_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    data = tmp_path / "test.json"
    read(data)
    with (tmp_path / "test.json.reads.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DataError, match=r"test\.json\.reads\.jsonl:2: "):
        read(data, "b")


def test_a_folder_has_its_ledger_beside_it_and_a_url_has_none(tmp_path: Path) -> None:
    assert ledger_of(tmp_path / "data" / "manifest.json") == tmp_path / "data.reads.jsonl"
    assert ledger_of(tmp_path / "data") == tmp_path / "data.reads.jsonl"
    url = location("memory://bucket/data")
    assert ledger_of(url) is None
    assert "not known" in count_reading(url, "x", [], "final", "now").in_words()
