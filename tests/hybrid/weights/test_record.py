"""A run's record and weights as they may come: of other types, cut, not finite. One line each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from hybrid.core.errors import RunError
from hybrid.model.network import Network
from hybrid.weights.checkpoint import load, read_header, save_detector
from hybrid.weights.record import RUN, run_record, stated_point, trained_tile_px, weights_file
from tests.hybrid.variants import full

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
POINT = st.dictionaries(st.sampled_from(["score", "frames", "on"]), JSON)
RECORD = JSON | st.fixed_dictionaries({}, optional={"train": JSON, "operating_point": JSON | POINT})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ([1], "run.json: it is no JSON object"),
        ({"train": 7}, "run.json: train is no JSON object"),
        ({"train": {"tile_px": "96"}}, "train.tile_px is '96'; needs a whole number above 0"),
        ({"train": {"tile_px": 0}}, "train.tile_px is 0"),
        ({"operating_point": 3}, "operating_point is no JSON object"),
        ({"operating_point": {"score": "high"}}, "operating_point.score is 'high'; needs a number from 0 to 1"),
        ({"operating_point": {"score": 1.5}}, "operating_point.score is 1.5"),
        ({"operating_point": {"score": True}}, "operating_point.score is True"),
    ],
)
def test_a_record_of_other_types_is_one_line_that_names_the_key(folder: Path, record: Any, says: str) -> None:
    (folder / RUN).write_text(json.dumps(record))
    with pytest.raises(RunError, match=says):
        (trained_tile_px if "train" in says or "it is" in says else stated_point)(folder)


@given(record=RECORD)
def test_any_record_is_read_or_refused(folder: Path, record: Any) -> None:
    (folder / RUN).write_text(json.dumps(record))
    for read in (stated_point, trained_tile_px, run_record):
        told = RUN
        try:
            read(folder)
        except RunError as error:
            told = str(error)
        assert RUN in told
        assert len(told) < 1000


def test_without_a_record_nothing_is_stated_and_missing_weights_are_named(tmp_path: Path) -> None:
    assert (stated_point(tmp_path), trained_tile_px(tmp_path)) == (None, None)
    for path in (tmp_path, tmp_path / "no.safetensors"):
        with pytest.raises(RunError, match=r"\.safetensors: there is no such file"):
            weights_file(path)


@pytest.fixture(scope="module")
def network() -> Network:
    return Network(full(("bolt",), width=16, heads=2, queries=8, decoder_layers=1, memory_frames=2))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(network: Network, value: float, tmp_path: Path) -> None:
    weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    name = next(name for name, tensor in weights.items() if tensor.is_floating_point() and tensor.numel() > 3)
    weights[name].view(-1)[2] = value
    save_detector(tmp_path / "a.safetensors", network, weights)
    with pytest.raises(RunError, match=rf"1 of \d+ tensors are not finite, such as {name}: the training diverged"):
        load(tmp_path / "a.safetensors")


@given(st.binary(max_size=300) | st.dictionaries(st.sampled_from(["model", "x"]), st.text(max_size=30) | JSON.map(str)))
def test_a_damaged_file_of_weights_is_one_line(folder: Path, content: bytes | dict[str, str]) -> None:
    file = folder / "w.safetensors"
    file.write_bytes(content if isinstance(content, bytes) else save({"a": torch.zeros(1)}, content))
    with pytest.raises(RunError, match=r"w\.safetensors"):
        load(file)
    if isinstance(content, dict):
        assert read_header(file) == content
