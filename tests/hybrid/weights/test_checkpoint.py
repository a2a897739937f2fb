"""Detectors in files: what earlier versions wrote still loads, and what does not fit is refused in one line."""

from __future__ import annotations

import doctest
import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from hybrid.core.config import EARLIER_KEYS, lite, tiny
from hybrid.core.errors import RunError
from hybrid.model.network import Network
from hybrid.weights import checkpoint
from hybrid.weights.checkpoint import (
    config_of,
    fill,
    load,
    load_config,
    portable,
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
    with pytest.raises(ValueError, match="parts: is the earlier name of 'branches', which is given too"):
        config_of(asdict(CONFIG) | {"parts": "cnn"})


def test_what_is_written_today_has_todays_names(file: Path) -> None:
    model = json.loads(read_header(file)["model"])
    assert set(model) == set(asdict(CONFIG))
    assert not set(model) & set(EARLIER_KEYS)


# --- damaged and hostile files --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        "{", "", "null", "3", '"tiny"', "[]", '["branches"]', "[" * 100_000,
        '{"categories": ["a"], "width": 1e400}', '{"categories": ["a"], "queries": NaN}',
    ],
)  # fmt: skip
def test_a_header_that_is_no_config_is_refused_with_the_files_name(file: Path, header: str) -> None:
    with_header(file, header)
    for read in (load, load_config):
        with pytest.raises(RunError, match=r"x\.safetensors: this version cannot build the model of its header"):
            read(file)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 4096 * 4}, "width: needs 4096 or less"),
        ({"queries": -1}, "queries: needs 1 or more"),
        ({"categories": []}, "categories: needs"),
        ({"fusion": "nosuch"}, "fusion: there is no 'nosuch'"),
        ({"weights": "/no/such/file"}, "weights: '/no/such/file' is neither"),
        ({"__class__": "os"}, "__class__"),
    ],
)
def test_a_hostile_config_is_refused_before_a_network_is_built(
    file: Path, changes: dict[str, object], message: str
) -> None:
    with_header(file, asdict(CONFIG) | changes)
    with pytest.raises(RunError, match=message):
        load(file)


def test_the_largest_config_that_is_allowed_takes_no_memory_before_its_tensors_are_compared(file: Path) -> None:
    """Its network would have some 10^10 parameters."""
    with_header(file, asdict(CONFIG) | {"width": 4096, "decoder_layers": 32})
    with pytest.raises(RunError, match=r"its tensors do not fit its config, [0-9]+ are wrong: context"):
        load(file)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99, 0.9999])
def test_a_file_that_was_cut_off_is_refused(file: Path, share: float) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(RunError, match=r"x\.safetensors: cannot be read"):
        load(file)


def test_a_file_without_a_config_holds_no_detector(tmp_path: Path) -> None:
    (tmp_path / "bare.safetensors").write_bytes(save({"x": torch.zeros(1)}))
    with pytest.raises(RunError, match=r"bare\.safetensors: holds no detector: its header has no model"):
        load_config(tmp_path / "bare.safetensors")


def test_tensors_that_do_not_fit_are_refused_and_change_nothing(detector: Network, tmp_path: Path) -> None:
    network = Network(CONFIG)
    before = {name: x.clone() for name, x in network.state_dict().items()}
    tensors = detector.state_dict()
    name = "decoder.box.0.2.bias"
    for wrong, message in (
        (tensors | {name: torch.zeros(5)}, rf"{name} is \(5,\), its config needs \(4,\)"),
        ({key: x for key, x in tensors.items() if key != name}, f"1 are wrong: {name} is missing"),
        (tensors | {"zz": torch.zeros(1)}, "1 are wrong: zz is not part of its config"),
    ):
        with pytest.raises(RunError, match=message):
            fill(network, wrong, tmp_path / "x")
    assert all(torch.equal(x, before[key]) for key, x in network.state_dict().items())


# --- writing --------------------------------------------------------------------------------------------------------


def test_the_path_of_the_first_weights_is_not_passed_on(tmp_path: Path) -> None:
    first = tmp_path / "private" / "resnet18.pth"
    first.parent.mkdir()
    first.write_bytes(b"x")
    config = replace(CONFIG, backbone="resnet18", weights=str(first))
    assert portable(config)["weights"] == "default"
    assert "private" not in json.dumps(portable(config))
    assert portable(CONFIG)["weights"] == "none"


@pytest.mark.parametrize("weights", ["none", "default", "bundled"])
def test_where_the_first_weights_came_from_is_kept_with_the_network(weights: str, tmp_path: Path) -> None:
    """It decides how images are standardised: those that pip brings expect others than timm's own."""
    network = Network(replace(lite(("bolt",)), width=16, weights=weights), pretrained=False)
    save_detector(tmp_path / "x.safetensors", network)
    again = load(tmp_path / "x.safetensors")
    assert again.config.weights == weights
    assert torch.equal(again.mean, network.mean)
    assert torch.equal(again.spread, network.spread)


def test_a_run_holds_two_sets_of_weights(detector: Network, tmp_path: Path) -> None:
    other = {name: x + 1 if x.is_floating_point() else x for name, x in detector.state_dict().items()}
    save_detector(tmp_path / "ema.safetensors", detector)
    save_detector(tmp_path / "raw.safetensors", detector, other)
    name = "decoder.box.0.0.bias"
    assert torch.equal(load(tmp_path).state_dict()[name], detector.state_dict()[name])
    assert torch.equal(load(tmp_path, "raw").state_dict()[name], other[name])
    assert not load(tmp_path).training
    with pytest.raises(RunError, match=r"weights: there are \['ema', 'raw'\], not 'best'"):
        load(tmp_path, "best")
    os.remove(tmp_path / "raw.safetensors")
    with pytest.raises(RunError, match=r"raw\.safetensors: there is no such file"):
        load(tmp_path, "raw")


def test_the_example_runs() -> None:
    result = doctest.testmod(checkpoint)
    assert result.attempted >= 9
    assert result.failed == 0
