"""Progress where there is no terminal: a line every half minute, with the time that is left."""

from __future__ import annotations

import pytest

from hybrid.core import progress


def lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], first: int = 1) -> list[str]:
    """What is written of 100 steps of 2 s each, from step `first`."""
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    with progress.bars("train", "measuring") as (report, _):
        for done in range(first, 101):
            clock[0] += 2.0
            report(done, 100, {"loss": 1.234567})
    return capsys.readouterr().err.splitlines()


def test_a_line_comes_every_half_minute(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    written = lines(monkeypatch, capsys)
    assert len(written) == 6  # of 200 s
    assert written[0] == "train: 15 of 100, about 3 min left, loss 1.23"
    assert written[-1] == "train: 90 of 100, about 20 s left, loss 1.23"


def test_steps_that_were_done_before_a_stop_do_not_count_for_the_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lines(monkeypatch, capsys, first=61)[0] == "train: 75 of 100, about 50 s left, loss 1.23"


def test_a_short_task_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.bar("train") as report:
        report(1, 1, {})
    assert capsys.readouterr() == ("", "")


def test_pieces_of_work_are_shown_as_one_and_what_is_done_already_is_taken_out() -> None:
    seen: list[tuple[int, int]] = []
    whole = progress.Together(lambda done, total, values: seen.append((done, total)))
    for name in ("a", "b", "c"):
        whole.expect(name, 10)
    first = whole.piece("a", 10)
    first(1, 10, {})
    first(10, 10, {})
    whole.drop("b")
    whole.piece("c", 10)(4, 10, {})
    whole.drop("c")  # it has begun: it stays
    whole.piece("a", 10)(10, 10, {})
    assert seen == [(1, 30), (10, 30), (14, 20), (14, 20)]
