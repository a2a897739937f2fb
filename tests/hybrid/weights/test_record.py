"""A run's record and weights as they may come: of other types, cut, not finite. One line each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from safetensors.torch import save

from hybrid.core.errors import RunError
from hybrid.model.network import Network
from hybrid.predict.detector import operating_point, trained_view
from hybrid.predict.tiles import view_of
from hybrid.training.config import TrainConfig
from hybrid.weights.checkpoint import load, read_header, save_detector
from hybrid.weights.record import LARGEST_TILE_PX, LEAST_TILE_PX, RUN, read_record, weights_file
from pipelines.gap.finished import open_run
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


TRAIN = {"tile_px": 64}


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ([1], r"run.json: must hold a JSON object, but holds \[1\]"),
        ({}, "run.json: train: Field required"),
        ({"train": 7}, "run.json: train: "),
        ({"train": {"tile_px": "96"}}, "train.tile_px: .*integer, but is '96'"),
        ({"train": {"tile_px": True}}, "train.tile_px: .*integer, but is True"),
        ({"train": {"tile_px": 31}}, "train.tile_px: .*32, but is 31"),
        ({"train": {"tile_px": 16_385}}, "train.tile_px: .*16384, but is 16385"),
        ({"train": TRAIN, "operating_point": 3}, "operating_point: .*, but is 3"),
        ({"train": TRAIN, "operating_point": {"score": "high"}}, "operating_point.score: .*number, but is 'high'"),
        ({"train": TRAIN, "operating_point": {"score": 1.5}}, "operating_point.score: .*, but is 1.5"),
        ({"train": TRAIN, "operating_point": {"score": True}}, "operating_point.score: .*, but is True"),
    ],
)
def test_a_record_of_other_types_is_one_line_that_names_the_key(folder: Path, record: Any, says: str) -> None:
    """A detector and the report refuse the same."""
    (folder / RUN).write_text(json.dumps(record))
    for read in (read_record, operating_point, trained_view, open_run):
        with pytest.raises(RunError, match=says):
            read(folder)


@pytest.mark.parametrize("tile_px", [LEAST_TILE_PX, 96, LARGEST_TILE_PX])
def test_what_can_be_trained_can_be_read(folder: Path, tile_px: int) -> None:
    plain = {"categories": ["bolt"], "steps": 3, "train": TrainConfig(tile_px=tile_px).model_dump(mode="json")}
    (folder / RUN).write_text(json.dumps(plain))
    assert trained_view(folder) == open_run(folder).view == view_of(tile_px)
    for wrong in (LEAST_TILE_PX - 32, LARGEST_TILE_PX + 32):
        with pytest.raises(ValidationError):
            TrainConfig(tile_px=wrong)


@given(record=RECORD)
def test_any_record_is_read_or_refused(folder: Path, record: Any) -> None:
    (folder / RUN).write_text(json.dumps(record))
    told = RUN
    try:
        read_record(folder)
    except RunError as error:
        told = str(error)
    assert RUN in told
    assert len(told) < 1000


def test_without_a_record_nothing_is_stated_and_missing_weights_are_named(tmp_path: Path) -> None:
    assert (read_record(tmp_path), trained_view(tmp_path)) == (None, view_of(256))
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
