"""Files of a run's folder may hold anything: each reader answers with its value or with one line, and in time.

FUZZ_EXAMPLES=100000 in the environment makes more of the same.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hybrid.core.errors import HybridError, RunError
from hybrid.training.run.folder import claim_folder, read_metrics
from hybrid.training.run.summary import plot_curves
from hybrid.weights.checkpoint import load_config, read_tensors
from pipelines.common.record import read_experiment
from pipelines.common.runs import seconds
from pipelines.gap.finished import open_run
from pipelines.gap.outcome import outcome, table
from pipelines.gap.schema.report import read_report
from tests.pipelines.gap.example_report import example_report

FEW = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "60")), deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
    | st.sampled_from([10**400, -1, 2**63, 1e308, "\x1b[31m", "a\ud800", "$\\q$", "<script>", "../..", "\0", ""])
)  # fmt: skip
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner))
RUN = {
    "categories": ["bolt", "nut"], "steps": 3, "seconds": 1.5, "train": {"tile_px": 64},
    "operating_point": {"score": 0.4, "frames": 3, "on": "held out"},
}  # fmt: skip
EXPERIMENT = {
    "version": 1, "script": "finetune_real", "data": "photos/train.json", "data_sha256": "ab", "kind": "real",
    "shots": 2, "shuffle_seed": 0, "trained_on": ["3"], "held_out": ["2"], "photo_digests": ["ab"],
    "init": {"run": "out/sim", "sha256": "ef"},
}  # fmt: skip
ROW = {"step": 20, "loss": 3.5, "learning_rate": 1e-4, "seconds_per_step": 0.5}
REPORT = json.loads(example_report().to_json())
REPORT |= {"performance": REPORT["performance"][:1], "knobs": [], "data": []}
REPORT |= {"where": REPORT["where"] | {"tables": []}, "why": REPORT["why"] | {"coverage": [], "features": []}}


def paths_of(plain: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = plain.items() if isinstance(plain, dict) else enumerate(plain) if isinstance(plain, list) else ()
    return [path, *(deeper for key, value in items for deeper in paths_of(value, (*path, key)))]


def replaced(plain: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = dict(plain) if isinstance(plain, dict) else list(plain)
    copy[path[0]] = replaced(copy[path[0]], path[1:], value)
    return copy


def texts(valid: Any) -> st.SearchStrategy[bytes]:
    """A valid file with one value exchanged, or cut, or with some bytes exchanged; or any bytes at all."""
    whole = json.dumps(valid).encode()
    exchanged = st.builds(replaced, st.just(valid), st.sampled_from(paths_of(valid)), JSON)
    spoiled = st.builds(
        lambda at, with_: whole[:at] + with_ + whole[at + len(with_) :],
        st.integers(0, len(whole)),
        st.binary(max_size=4),
    )
    cut = st.integers(0, len(whole)).map(lambda at: whole[:at])
    return st.one_of(exchanged.map(lambda plain: json.dumps(plain).encode()), spoiled, cut, st.binary(max_size=60))


def answered(read: Callable[[], object]) -> None:
    """Its value, or an error of one line."""
    message = "none"
    try:
        read()
    except HybridError as error:
        message = str(error)
    assert message.strip()
    assert "\n" not in message


@FEW
@given(texts(RUN))
def test_run_json(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run.json").write_bytes(content)
    answered(lambda: open_run(tmp_path))


@FEW
@given(texts(EXPERIMENT))
def test_experiment_json(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "experiment.json").write_bytes(content)
    answered(lambda: read_experiment(tmp_path))


@FEW
@given(texts({"model": {"categories": ["bolt"]}, "train": {"steps": 3, "augment": {"strength": 1.0}}, "data": []}))
@example(b'{"a\\nb": false}')
def test_config_json(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.json").write_bytes(content)
    answered(lambda: claim_folder(tmp_path, {"model": {}, "train": {}, "data": []}, resume=True))


@FEW
@given(st.lists(texts(ROW), max_size=3))
@example([b'{"step": 1e300}', b'{"step": NaN}'])
def test_metrics_jsonl(tmp_path: Path, lines: list[bytes]) -> None:
    (tmp_path / "metrics.jsonl").write_bytes(b"\n".join(lines))
    answered(lambda: read_metrics(tmp_path / "metrics.jsonl"))
    answered(lambda: seconds(tmp_path))


@pytest.mark.parametrize("line", ["", "{}", '{"step": 1}', '{"step": 1, "loss": 1e200}', '{"step": 1, "$\\\\q$": 2}'])
def test_curves_are_drawn_of_whatever_rows_there_are(tmp_path: Path, line: str) -> None:
    (tmp_path / "metrics.jsonl").write_text(line)
    plot_curves(tmp_path / "metrics.jsonl", tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


@FEW
@given(texts(REPORT))
def test_report_json(tmp_path: Path, content: bytes) -> None:
    def read() -> None:
        report = read_report(tmp_path / "report.json")
        table(report, {})
        outcome(report, "sim10", "sim")

    (tmp_path / "report.json").write_bytes(content)
    answered(read)


@FEW
@given(
    texts({"__metadata__": {"model": '{"categories": ["bolt"]}', "step": "3"},
           "x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}),
    st.binary(max_size=12),
)  # fmt: skip
def test_headers_of_weights(tmp_path: Path, header: bytes, data: bytes) -> None:
    file = tmp_path / "ema.safetensors"
    file.write_bytes(struct.pack("<Q", len(header)) + header + data)
    answered(lambda: read_tensors(file))
    answered(lambda: load_config(file))


def test_a_folder_in_the_place_of_a_file_is_one_line(tmp_path: Path) -> None:
    for name in ("metrics.jsonl", "config.json"):
        (tmp_path / name).mkdir()
    with pytest.raises(RunError, match="metrics"):
        read_metrics(tmp_path / "metrics.jsonl")
