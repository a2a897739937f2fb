"""What a fine-tuned run keeps: measured on what both runs know, each with its own numbers of the categories."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hybrid.data.clips import ClipSource
from hybrid.predict.tiles import View
from pipelines.common import kept
from pipelines.common.kept import in_words, measure_kept
from tests.hybrid.training.methods.test_clip_data import of_labels

SCENES = ClipSource("sim", ("bolt", "nut", "pin"), (of_labels("a", [0, 1], [2]), of_labels("b", [1])))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ClipSource]]:
    """What was measured, and on what. The AP of a run is the number of boxes by 10."""
    done: list[tuple[str, ClipSource]] = []

    def evaluate(network: Any, source: ClipSource, view: View, progress: object) -> object:
        done.append((network.name, source))
        ap = sum(source.counts().values()) / 10
        return SimpleNamespace(metrics=SimpleNamespace(overall=SimpleNamespace(ap50=ap + 0.1, ap=ap)))

    monkeypatch.setattr(kept, "evaluate", evaluate)
    monkeypatch.setattr(kept, "_view", lambda run: View())
    return done


def runs(monkeypatch: pytest.MonkeyPatch, **categories: tuple[str, ...]) -> tuple[Path, Path]:
    def load(run: Path, device: str) -> object:
        return SimpleNamespace(name=run.name, config=SimpleNamespace(categories=categories[run.name]))

    monkeypatch.setattr(kept, "load", load)
    return Path("before"), Path("after")


def test_only_what_both_know_counts_and_each_has_its_own_numbers(
    measured: list[tuple[str, ClipSource]], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = runs(monkeypatch, before=("nut", "bolt", "pin"), after=("washer", "bolt", "nut"))
    result = measure_kept(before, after, SCENES)
    assert result == {
        "data": "sim", "scenes": 2, "frames": 3, "categories": ["bolt", "nut"],
        "before": {"ap50": 0.4, "ap": 0.3}, "after": {"ap50": 0.4, "ap": 0.3},
    }  # fmt: skip
    assert [name for name, _ in measured] == ["before", "after"]
    assert [source.categories for _, source in measured] == [("nut", "bolt", "pin"), ("washer", "bolt", "nut")]
    assert [[frame.labels.tolist() for frame in source.frames] for _, source in measured] == [
        [[1, 0], [], [0]], [[1, 2], [], [2]],
    ]  # fmt: skip


def test_nothing_is_measured_where_no_box_is_of_what_both_know(
    measured: list[tuple[str, ClipSource]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert measure_kept(*runs(monkeypatch, before=("bolt",), after=("nut",)), SCENES) is None
    empty = ClipSource("sim", ("bolt",), (of_labels("a", []),))
    assert measure_kept(*runs(monkeypatch, before=("bolt",), after=("bolt",)), empty) is None
    assert measured == []


def test_one_line_says_before_and_after() -> None:
    result = {"before": {"ap50": 0.987, "ap": 0.1}, "after": {"ap50": 0.5, "ap": 0.2}, "frames": 24}
    assert in_words(result) == "on simulated scenes: AP50 0.99 before, 0.50 after (24 frames held out)"
