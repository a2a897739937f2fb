"""Early stop keeps the best weights, ends when nothing gets better, and goes on where it was killed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hybrid.core.errors import ConfigError
from hybrid.data.clips import ClipSource
from hybrid.data.coco import read_coco
from hybrid.training.loop import train
from hybrid.training.run.folder import Summary
from hybrid.training.samples.sampler import WeightedSource
from hybrid.weights.checkpoint import read_tensors
from tests.hybrid.photos import CATEGORIES, write_video
from tests.hybrid.training.test_loop import Killed, config, detector, killer

SCORES = {2: 0.3, 4: 0.5, 6: 0.4, 8: 0.5, 10: 0.9}  # AP after each step that is measured
PLAN = config(steps=12, validate_every=2, patience=2, batch_clips=1, log_every=5)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> ClipSource:
    return read_coco(write_video(tmp_path_factory.mktemp("video"), 3), CATEGORIES)


@pytest.fixture(autouse=True)
def scores(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """The AP is that of SCORES. Returns the averaged weights of each measurement."""
    measured: list[dict[str, object]] = []

    def ap(network, validation, view):  # type: ignore[no-untyped-def]
        assert not network.training
        measured.append({name: x.clone() for name, x in network.state_dict().items()})
        return list(SCORES.values())[len(measured) - 1]

    monkeypatch.setattr("hybrid.training.loop._ap", ap)
    return measured


def run(source: ClipSource, folder: Path, **more: object) -> Summary:
    return train(detector(), [WeightedSource(source)], PLAN, folder, resume=True, validation=source, **more)  # type: ignore[arg-type]


def test_a_run_ends_when_nothing_gets_better_and_its_weights_are_the_best(
    source: ClipSource, tmp_path: Path, scores: list[dict[str, object]]
) -> None:
    stop = run(source, tmp_path / "run").run["early_stop"]
    assert stop == {"best_step": 4, "ap": 0.5, "steps_done": 8, "early": True}
    assert len(scores) == 4
    weights, raw = (read_tensors(tmp_path / f"run/{name}.safetensors")[0] for name in ("ema", "raw"))
    assert all(weights[name].equal(x) for name, x in scores[1].items())
    assert not all(raw[name].equal(x) for name, x in weights.items())
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [(row["step"], row.get("validation_ap")) for row in rows] == [
        (2, 0.3),
        (4, 0.5),
        (5, None),
        (6, 0.4),
        (8, 0.5),
    ]


def test_a_killed_run_remembers_how_long_nothing_got_better(source: ClipSource, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run(source, tmp_path / "run", progress=killer(7))
    assert run(source, tmp_path / "run").run["early_stop"]["steps_done"] == 8


def test_measuring_needs_something_to_measure_on(source: ClipSource, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="validate_every: 2 needs held-out clips"):
        train(detector(), [WeightedSource(source)], PLAN, tmp_path / "none")
    assert not (tmp_path / "none").exists()
    with pytest.raises(ValueError, match="patience: 3 measurements need validate_every"):
        config(patience=3)
