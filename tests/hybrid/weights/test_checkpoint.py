"""Detectors in files: what earlier versions wrote still loads, and what does not fit is refused in one line."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from hybrid.core.config import EARLIER_KEYS, tiny
from hybrid.model.network import Network
from hybrid.weights.checkpoint import (
    config_of,
    load,
    load_config,
    read_header,
    read_tensors,
    save_detector,
)

CONFIG = replace(
    tiny(("bolt", "nut")), branches="cnn+rnn", width=16, heads=2, queries=4, decoder_layers=1, denoising_queries=4
)


@pytest.fixture(scope="module")
def detector() -> Network:
    torch.manual_seed(0)
    return Network(CONFIG).eval()


@pytest.fixture
def file(detector: Network, tmp_path: Path) -> Path:
    path = tmp_path / "x.safetensors"
    save_detector(path, detector)
    return path


def with_header(file: Path, model: object) -> Path:
    """The same tensors under another header."""
    tensors, _ = read_tensors(file)
    file.write_bytes(save(tensors, {"model": model if isinstance(model, str) else json.dumps(model)}))
    return file


# --- earlier versions -----------------------------------------------------------------------------------------------


def test_a_header_that_says_parts_is_read_as_branches(file: Path, detector: Network) -> None:
    model = json.loads(read_header(file)["model"])
    earlier = {"parts" if key == "branches" else key: value for key, value in model.items()}
    assert "parts" in earlier
    with_header(file, earlier)
    assert load_config(file) == CONFIG
    loaded = load(file)
    assert loaded.config == CONFIG
    assert all(torch.equal(x, detector.state_dict()[name]) for name, x in loaded.state_dict().items())


def test_a_key_under_both_of_its_names_is_refused() -> None:
    assert EARLIER_KEYS == {"parts": "branches"}
    with pytest.raises(ValueError, match="parts: is the earlier name of 'branches', which came too"):
        config_of(asdict(CONFIG) | {"parts": "cnn"})


def test_what_is_written_today_has_todays_names(file: Path) -> None:
    model = json.loads(read_header(file)["model"])
    assert set(model) == set(asdict(CONFIG))
    assert not set(model) & set(EARLIER_KEYS)
