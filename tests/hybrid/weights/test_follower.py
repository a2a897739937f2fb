"""Files of track networks: written, read back, and refused in words."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from hybrid import Detector
from hybrid.core.config import tiny
from hybrid.core.errors import RunError
from hybrid.model.network import Network
from hybrid.model.objects.track_net import TrackNetConfig, TrackNetwork
from hybrid.predict.linking import Judge
from hybrid.predict.linking.evidence import NAMES
from hybrid.weights.checkpoint import save_detector
from hybrid.weights.follower import KEY, load_follower, save_follower
from hybrid.weights.released import DEFAULT_FOLLOWER, FOLLOWERS, followers

SMALL = TrackNetConfig(inputs=2, width=8, layers=1, recurrent=False)


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    network = TrackNetwork(SMALL)
    torch.nn.init.normal_(network.last[-1].bias)
    save_follower(tmp_path / "own.safetensors", network, ("a", "b"), 0.4, "two clips")
    again, kept = load_follower(tmp_path / "own.safetensors", ("a", "b"))
    assert (kept.score, kept.made_from, again.config) == (0.4, "two clips", SMALL)
    assert not again.training
    for name, one in network.state_dict().items():
        assert torch.equal(one, again.state_dict()[name])


def test_the_released_ones_look_at_what_this_version_tells() -> None:
    assert DEFAULT_FOLLOWER in followers()
    for name in followers():
        _, kept = load_follower(name, NAMES)
        assert 0 < kept.score < 1
        assert (FOLLOWERS / f"{name}.md").is_file()
    assert Judge.load().network.config.inputs == len(NAMES)


def _kept(**changed: object) -> dict[str, object]:
    config = {"inputs": 2, "width": 8, "heads": 4, "layers": 1, "recurrent": False}
    return {"config": config, "inputs": ["a", "b"], "score": 0.4, "made_from": ""} | changed


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({}, "holds no track network"),
        ({KEY: "{"}, "cannot build"),
        ({KEY: json.dumps(_kept(inputs=["a", "c"]))}, "of another version"),
        ({KEY: json.dumps(_kept(score="x"))}, "cannot build"),
        ({KEY: json.dumps(_kept(config={"inputs": 2, "width": 10**9}))}, "width: needs"),
        ({KEY: json.dumps(_kept(config={"inputs": 2, "width": 16, "layers": 1, "recurrent": False}))}, "do not fit"),
    ],
)
def test_a_wrong_file_is_refused_in_words(tmp_path: Path, header: dict[str, str], said: str) -> None:
    file = tmp_path / "wrong.safetensors"
    save_file(TrackNetwork(SMALL).state_dict(), file, header)
    with pytest.raises(RunError, match=said):
        load_follower(file, ("a", "b"))


def test_damaged_and_missing_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "damaged.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0garbage!")
    with pytest.raises(RunError, match="cannot be read"):
        load_follower(tmp_path / "damaged.safetensors", NAMES)
    with pytest.raises(RunError, match=r"belts.*rules"):
        load_follower("bolts", NAMES)
    network = TrackNetwork(SMALL)
    network.mean[0] = torch.nan
    save_follower(tmp_path / "nan.safetensors", network, ("a", "b"), 0.4, "")
    with pytest.raises(RunError, match="not finite"):
        load_follower(tmp_path / "nan.safetensors", ("a", "b"))


def test_still_pictures_read_no_weights_of_the_track_network(tmp_path: Path) -> None:
    broken = TrackNetwork(TrackNetConfig(inputs=len(NAMES), width=8, layers=1))
    broken.mean[0] = torch.nan
    save_follower(tmp_path / "nan.safetensors", broken, NAMES, 0.4, "")
    save_detector(tmp_path / "ema.safetensors", Network(tiny(("bolt",))))
    detector = Detector.load(tmp_path / "ema.safetensors", follower=tmp_path / "nan.safetensors", score=0.0)
    image = np.zeros((48, 64, 3), np.uint8)
    assert len(detector.predict([image])) == 1
    with pytest.raises(RunError, match="not finite"):
        next(detector.stream([image]))
    with pytest.raises(RunError, match="there is no such file"):  # at once
        Detector.load(tmp_path / "ema.safetensors", follower=tmp_path / "none.safetensors")
