"""Files of track networks: safetensors with the config in the header."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from pydantic import TypeAdapter
from safetensors.torch import save

from hybrid.core.errors import RunError
from hybrid.model.objects.track_net import TrackNetConfig, TrackNetwork
from hybrid.weights.checkpoint import building, check_finite, check_fit, read_header, read_tensors
from hybrid.weights.released import RULES, follower_file, followers
from simgen.dataset.store.files import write_atomically

KEY = "follower"


@dataclass(frozen=True, kw_only=True)
class Follower:
    """What a file of a track network holds beside its weights."""

    config: TrackNetConfig
    inputs: tuple[str, ...]  # the names of its numbers, in their order
    score: float  # tracks from this probability on are reported
    made_from: str = ""  # in words: the detector and the clips that it learned from


def save_follower(path: Path, network: TrackNetwork, inputs: tuple[str, ...], score: float, made_from: str) -> None:
    """Write a track network as one file, as a whole or not at all."""
    kept = Follower(config=network.config, inputs=inputs, score=score, made_from=made_from)
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    write_atomically(path, save(plain, {KEY: json.dumps(asdict(kept))}))


def read_follower(name: str | Path, inputs: tuple[str, ...]) -> tuple[Path, Follower]:
    """The file of a track network, and what its header says. The weights are not read.

    Args:
        name: of one that comes with the package, or a file of `save_follower`.
        inputs: the names of the numbers that this version gives it.

    Raises:
        RunError: there is no such file, it is damaged, holds something else, or needs other numbers.
    """
    file = follower_file(name)
    if not file.is_file() and not file.suffix:
        raise RunError(
            f"{name}: there is no such file or track network; released: {', '.join(followers())}; or {RULES}"
        )
    header = read_header(file)
    if KEY not in header:
        raise RunError(f"{file}: holds no track network: its header has no {KEY}; hybrid follow makes one")
    with building(file, "track network"):
        kept = TypeAdapter(Follower).validate_json(header[KEY])
    if kept.inputs != inputs or kept.config.inputs != len(inputs):
        raise RunError(f"{file}: is of another version, it looks at other numbers; train it again")
    return file, kept


def load_follower(name: str | Path, inputs: tuple[str, ...]) -> tuple[TrackNetwork, Follower]:
    """A track network and what is known of it. Arguments as of `read_follower`.

    Raises:
        RunError: as `read_follower`, or the weights do not fit or are not finite.
    """
    file, kept = read_follower(name, inputs)
    tensors, _ = read_tensors(file)
    with building(file, "track network"), torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in TrackNetwork(kept.config).state_dict().items()}
    check_fit({name: tensor.shape for name, tensor in tensors.items()}, shapes, file)
    check_finite(tensors, file)
    network = TrackNetwork(kept.config)
    network.load_state_dict(tensors)
    return network.eval(), kept
