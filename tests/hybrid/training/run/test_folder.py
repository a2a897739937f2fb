"""A run's folder belongs to one run, in whatever version its config was written; its log drops what is done again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from hybrid.core.config import ModelConfig
from hybrid.core.errors import RunError
from hybrid.data.clips import Clip, ClipSource
from hybrid.model.network import Network
from hybrid.training.config import AugmentConfig, TrainConfig
from hybrid.training.run.folder import CONFIG, MetricsLog, claim_folder, record_of, run_identity
from hybrid.training.samples.sampler import WeightedSource
from hybrid.weights.record import RUN

MODEL = ModelConfig(categories=("bolt",), branches="cnn", width=16, queries=5)
SOURCES = [WeightedSource(ClipSource("photos", ("bolt",), (Clip("a", ()),)), 0.5)]


def identity(**changes: object) -> dict[str, object]:
    settings = {"steps": 10, "warmup_steps": 0} | changes
    return run_identity(Network(MODEL), SOURCES, TrainConfig(**settings))  # type: ignore[arg-type]


def test_a_new_folder_is_claimed_and_the_same_run_resumes(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "run"
    assert claim_folder(folder, identity(), resume=False) is False
    assert json.loads((folder / CONFIG).read_text()) == identity()
    assert claim_folder(folder, identity(workers=4, cache_mb=1, log_every=3), resume=True) is False
    with pytest.raises(RunError, match="holds a run of this config already; resume it"):
        claim_folder(folder, identity(), resume=False)


def test_a_finished_run_returns_its_record(tmp_path: Path) -> None:
    claim_folder(tmp_path, identity(), resume=True)
    (tmp_path / RUN).write_text('{"steps": 10}')
    assert claim_folder(tmp_path, identity(), resume=True) is True
    assert record_of(tmp_path) == {"steps": 10}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": 1e-3}, r"train\.learning_rate"),
        ({"augment": AugmentConfig(occluders=0.5)}, r"train\.augment\.occluders"),
        ({"seed": 3}, r"train\.seed"),
    ],
)
def test_a_run_of_other_settings_is_refused_by_name(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    claim_folder(tmp_path, identity(), resume=True)
    with pytest.raises(RunError, match=f"holds a run of another config: .*{message}.*Choose another folder"):
        claim_folder(tmp_path, identity(**changes), resume=True)


def test_other_data_are_another_run(tmp_path: Path) -> None:
    claim_folder(tmp_path, identity(), resume=True)
    more = [WeightedSource(SOURCES[0].source, 0.7)]
    with pytest.raises(RunError, match="data"):
        claim_folder(tmp_path, run_identity(Network(MODEL), more, TrainConfig(steps=10, warmup_steps=0)), resume=True)


def test_a_config_of_an_earlier_version_is_the_same_run(tmp_path: Path) -> None:
    now = identity(augment=AugmentConfig(occluders=0.25))
    claim_folder(tmp_path, now, resume=True)
    stored = json.loads((tmp_path / CONFIG).read_text())
    stored["train"]["augment"]["in_front"] = stored["train"]["augment"].pop("occluders")
    stored["model"]["parts"] = stored["model"].pop("branches")
    del stored["train"]["longest_step"], stored["model"]["memory_tokens"]
    (tmp_path / CONFIG).write_text(json.dumps(stored))
    assert claim_folder(tmp_path, now, resume=True) is False
    with pytest.raises(RunError, match=r"train\.augment\.occluders"):
        claim_folder(tmp_path, identity(), resume=True)


@pytest.mark.parametrize("damaged", ["[]", '{"model": 3}', '{"model": {}, "train": {"augment": []}}'])
def test_a_damaged_config_is_another_run_and_no_traceback(damaged: str, tmp_path: Path) -> None:
    (tmp_path / CONFIG).write_text(damaged)
    with pytest.raises(RunError, match="holds a run of another config"):
        claim_folder(tmp_path, identity(), resume=True)


def losses(total: float) -> dict[str, torch.Tensor]:
    return {"total": torch.tensor(total), "boxes": torch.tensor(total / 2), "grad_norm": torch.tensor(1.0)}


def test_the_log_has_means_over_its_steps_and_a_line_for_the_rest(tmp_path: Path) -> None:
    config = TrainConfig(steps=5, warmup_steps=0, log_every=2, schedule="constant", learning_rate=0.1)
    log = MetricsLog(tmp_path / "metrics.jsonl", config, 0)
    for step in range(1, 6):
        log.add(step, losses(float(step)), 0.0)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4, 5]
    assert [row["loss"] for row in rows] == [1.5, 3.5, 5.0]
    assert [row["boxes"] for row in rows] == [0.75, 1.75, 2.5]
    assert {row["learning_rate"] for row in rows} == {0.1}
    assert log.last["loss"] == 5.0


def test_lines_after_the_checkpoint_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 2}\n{"step": 4}\n{"step": 6}\n{"st')
    MetricsLog(path, TrainConfig(steps=10, warmup_steps=0), 4)
    assert path.read_text() == '{"step": 2}\n{"step": 4}\n'
