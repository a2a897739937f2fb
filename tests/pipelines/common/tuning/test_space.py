"""The search space: what its entries mean, and mistakes in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from hybrid.core.errors import DataError
from pipelines.common.tuning.space import Knob, knobs


class Drawn:
    """Records what is asked for."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> tuple:
        return ("float", name, low, high, log)

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> tuple:
        return ("int", name, low, high, log)

    def suggest_categorical(self, name: str, choices: object) -> tuple:
        return ("one of", name, choices)


def test_ranges_and_lists_are_drawn_as_they_stand() -> None:
    drawn = [
        one.draw(Drawn()) for one in knobs(["lr=1e-4..2e-3", "steps=200,400", "batch=4..8", "method=plain,l2-sp"], None)
    ]
    assert drawn == [
        ("float", "lr", 1e-4, 2e-3, True),
        ("one of", "steps", (200, 400)),
        ("int", "batch", 4, 8, False),
        ("one of", "method", ("plain", "l2-sp")),
    ]
    assert [one.name for one in knobs([], None)] == ["lr", "backbone-rate", "sim-share", "method"]
    assert Knob("lr", 1.0, 2.0).holds(1.5)
    assert not Knob("lr", 1.0, 2.0).holds(3.0)
    assert not Knob("method", choices=("plain",)).holds("l2-sp")


def test_a_file_gives_the_space_and_the_command_line_comes_first(tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text("lr: 1e-4..1e-3\nsim-share: [0.2, 0.5]\n")
    first, second = knobs(["lr=2e-4..3e-4"], file)
    assert (first.low, first.high) == (2e-4, 3e-4)
    assert second == Knob("sim-share", choices=(0.2, 0.5)) or second.choices == (0.2, 0.5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("colour=1..2", "'colour' cannot be searched; choose from"),
        ("lr=2e-3..1e-3", "needs lr=LOW..HIGH with LOW below HIGH"),
        ("lr=a..b", "needs lr=LOW..HIGH"),
        ("steps=1.5,2", "needs steps=LOW..HIGH"),
        ("lr=", "needs lr=LOW..HIGH"),
        ("lr=1e-4..inf", "needs lr=LOW..HIGH"),
        ("method=plain..l2-sp", "needs method=LOW..HIGH"),
    ],
)
def test_a_mistake_is_told(text: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        knobs([text], None)
