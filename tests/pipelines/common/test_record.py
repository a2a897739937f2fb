"""Laws of an experiment's record: it survives a round trip, files without a version load, a damaged file is refused."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import pytest

from hybrid.core.errors import RunError
from hybrid.weights.released import RUNS
from pipelines.common.record import (
    EXPERIMENT,
    VERSION,
    Experiment,
    StartingRun,
    changed_fields,
    read_experiment,
    weights_hash,
    write_experiment,
)
from pipelines.common.runs import claim

TUNED = Experiment(
    script="finetune_real",
    data="photos/train.json",
    data_sha256="ab" * 32,
    kind="real",
    trained_on=("3", "1"),
    held_out=("2",),
    shots=2,
    shuffle_seed=0,
    mixed_in="data/sim",
    mixed_in_sha256="cd" * 32,
    init=StartingRun(run="out/sim", sha256="ef" * 32),
)
# as `pipelines.finetune_real` and `pipelines.train_sim` wrote them before records had a version
EARLIER_TUNED = {
    "script": "finetune_real", "data": "photos/train.json", "data_sha256": "ab" * 32, "kind": "real", "shots": 2,
    "shuffle_seed": 0, "trained_on": ["3", "1"], "mixed_in": "data/sim", "mixed_in_sha256": "cd" * 32,
    "init": {"run": "out/sim", "sha256": "ef" * 32}, "held_out": ["2"],
}  # fmt: skip
EARLIER_SIM = {
    "script": "train_sim", "data": "data/sim", "data_sha256": "ab" * 32, "kind": "simulated", "trained_on": ["0", "1"],
    "init": None, "held_out": [],
}  # fmt: skip


def stored(run: Path, content: Any) -> Path:
    run.mkdir(exist_ok=True)
    (run / EXPERIMENT).write_text(content if isinstance(content, str) else json.dumps(content))
    return run


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_experiment(tmp_path, TUNED)
    assert read_experiment(tmp_path) == TUNED
    assert json.loads((tmp_path / EXPERIMENT).read_text())["version"] == VERSION


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        TUNED.shots = 9  # type: ignore[misc]


def test_records_from_before_there_was_a_version_still_load(tmp_path: Path) -> None:
    assert read_experiment(stored(tmp_path / "tuned", EARLIER_TUNED)) == TUNED
    sim = read_experiment(stored(tmp_path / "sim", EARLIER_SIM))
    assert sim == Experiment(
        script="train_sim", data="data/sim", data_sha256="ab" * 32, kind="simulated", trained_on=("0", "1")
    )


def test_the_first_records_had_no_hash_of_their_data(tmp_path: Path) -> None:
    without = {key: value for key, value in EARLIER_SIM.items() if key != "data_sha256"}
    experiment = read_experiment(stored(tmp_path, without))
    assert experiment is not None
    assert experiment.data_sha256 is None
    assert experiment.trained_on == ("0", "1")


def test_a_folder_without_a_record_has_none(tmp_path: Path) -> None:
    assert read_experiment(tmp_path) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"trained_on": "all"}, ["trained_on", "'all'"]),
        ({"trained_on": ["1", 2]}, ["trained_on.1", "2"]),
        ({"shots": "2"}, ["shots", "'2'"]),
        ({"kind": "photos"}, ["kind", "'photos'", "stand-in"]),
        ({"init": {"run": "out/sim"}}, ["init.sha256", "required"]),
        ({"colour": "red"}, ["colour", "'red'"]),
        ({"version": VERSION + 1}, [f"version {VERSION + 1}", f"1 to {VERSION}"]),
        ({"version": 0}, ["version 0"]),
        ({"version": "1"}, ["version", "'1'"]),
    ],
)
def test_a_wrong_value_is_refused_with_its_file_its_key_and_itself(
    tmp_path: Path, change: dict[str, Any], words: list[str]
) -> None:
    stored(tmp_path, EARLIER_TUNED | change)
    with pytest.raises(RunError) as refused:
        read_experiment(tmp_path)
    for word in (str(tmp_path / EXPERIMENT), *words):
        assert word in str(refused.value)


@pytest.mark.parametrize("key", ["script", "data", "kind", "trained_on"])
def test_a_record_without_what_a_report_needs_is_refused(tmp_path: Path, key: str) -> None:
    stored(tmp_path, {name: value for name, value in EARLIER_SIM.items() if name != key})
    with pytest.raises(RunError, match=f"{key}: Field required$"):
        read_experiment(tmp_path)


@pytest.mark.parametrize("content", ["", '{"script": ', "[1]", "null"])
def test_a_damaged_file_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(RunError, match=EXPERIMENT):
        read_experiment(stored(tmp_path, content))


def test_changed_fields_are_those_that_differ() -> None:
    assert changed_fields(TUNED, TUNED) == []
    assert changed_fields(TUNED, replace(TUNED, shots=3, init=None)) == ["shots", "init"]


def test_a_folder_belongs_to_the_first_experiment_in_it(tmp_path: Path) -> None:
    claim(tmp_path / "run", TUNED)
    claim(tmp_path / "run", TUNED)
    with pytest.raises(RunError, match="differs in shots, trained_on"):
        claim(tmp_path / "run", replace(TUNED, shots=1, trained_on=("3",)))
    assert read_experiment(tmp_path / "run") == TUNED


def test_a_run_from_before_there_was_a_version_can_be_resumed(tmp_path: Path) -> None:
    stored(tmp_path, EARLIER_TUNED)
    claim(tmp_path, TUNED)
    with pytest.raises(RunError, match="differs in data_sha256"):
        claim(tmp_path, replace(TUNED, data_sha256="00" * 32))


def test_a_folder_of_other_files_is_not_claimed(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(RunError, match="not empty"):
        claim(tmp_path, TUNED)
    assert not (tmp_path / EXPERIMENT).exists()


def test_the_hash_of_weights_is_of_the_averaged_ones(tmp_path: Path) -> None:
    (tmp_path / "ema.safetensors").write_bytes(b"")
    (tmp_path / "raw.safetensors").write_bytes(b"other")
    assert weights_hash(tmp_path) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_what_a_killed_process_left_is_removed_and_the_run_begins(tmp_path: Path) -> None:
    for name in (EXPERIMENT, "checkpoint.safetensors"):
        (tmp_path / f".{name}.12345.tmp").write_bytes(b"{")
    claim(tmp_path, TUNED)
    assert [path.name for path in tmp_path.iterdir()] == [EXPERIMENT]


@pytest.mark.parametrize("content", ["", '{"script": "finetune', "\0" * 512])
def test_a_record_that_a_full_disk_cut_is_written_again(tmp_path: Path, content: str) -> None:
    claim(stored(tmp_path, content), TUNED)
    assert read_experiment(tmp_path) == TUNED


def test_a_cut_record_beside_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.safetensors").touch()
    with pytest.raises(RunError, match=EXPERIMENT):
        claim(stored(tmp_path, '{"script'), TUNED)
    assert (tmp_path / EXPERIMENT).read_text() == '{"script'


def test_a_run_from_before_photos_were_hashed_can_be_resumed(tmp_path: Path) -> None:
    claim(tmp_path, TUNED)
    claim(tmp_path, replace(TUNED, photo_digests=("ab",)))
    claim(tmp_path / "new", replace(TUNED, photo_digests=("ab",)))
    with pytest.raises(RunError, match="differs in photo_digests"):
        claim(tmp_path / "new", replace(TUNED, photo_digests=("cd",)))


def test_released_weights_are_found_wherever_the_run_was_trained():
    released = StartingRun(run="/gone/hybrid/weights/runs/fasteners", sha256=weights_hash(RUNS / "fasteners"))
    assert released.folder == RUNS / "fasteners"
    others = replace(released, sha256="ef" * 32)
    assert others.folder == Path(others.run), "another run of the same name"
    here = replace(released, run=str(RUNS / "fasteners"))
    assert changed_fields(replace(TUNED, init=released), replace(TUNED, init=here)) == []
    assert changed_fields(replace(TUNED, init=released), replace(TUNED, init=others)) == ["init"]
