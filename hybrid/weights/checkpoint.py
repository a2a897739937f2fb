"""A run's files: a detector as safetensors with its config in the header, written whole or not, read without pickle."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from hybrid.core.config import EARLIER_KEYS, ModelConfig
from hybrid.core.errors import RunError
from hybrid.model.network import Network
from simgen.dataset.store.files import write_atomically

RUN = "run.json"  # what a finished run says of itself
WEIGHTS = ("ema", "raw")
RETIRED = frozenset({"decoder.propose.dense_score.weight", "decoder.propose.dense_score.bias"})  # taught, never asked


def save_detector(path: Path, detector: Network, weights: Mapping[str, Tensor] | None = None) -> None:
    """The detector as one safetensors file with its config in the header; `weights` take the place of its own."""
    given = detector.state_dict() if weights is None else weights
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in given.items()}
    write_atomically(path, save(plain, {"model": json.dumps(portable(detector.config))}))


def portable(config: ModelConfig) -> dict[str, Any]:
    """The config without the path of the backbone's first weights, which the file's weights have replaced."""
    return asdict(config if config.weights == "none" else replace(config, weights="default"))


def load(path: Path, weights: str = "ema", device: str = "cpu") -> Network:
    """The detector of a finished run's folder, or of a file that `save_detector` wrote, ready for use.

    Raises:
        RunError: there is no such file, or it holds no detector.
    """
    file = _file(path, weights)
    every, header = read_tensors(file)
    tensors = {name: tensor for name, tensor in every.items() if name not in RETIRED}
    config = _config_in(header, file)
    with _building(file), torch.device("meta"):  # of the header's sizes, before any memory is taken for them
        shapes = {name: tensor.shape for name, tensor in Network(config, pretrained=False).state_dict().items()}
    check_fit({name: tensor.shape for name, tensor in tensors.items()}, shapes, file)
    detector = Network(config, pretrained=False)
    detector.load_state_dict(tensors)
    return detector.to(device).to(memory_format=torch.channels_last).eval()


def load_config(path: Path) -> ModelConfig:
    """What the detector that `load` would answer is made of; of the weights nothing is read.

    Raises:
        RunError: there is no such file, or it holds no detector.
    """
    file = _file(path, "ema")
    return _config_in(read_header(file), file)


def _file(path: Path, weights: str) -> Path:
    if weights not in WEIGHTS:
        raise RunError(f"weights: there are {list(WEIGHTS)}, not {weights!r}")
    return path / f"{weights}.safetensors" if path.is_dir() else path


def _config_in(header: Mapping[str, str], file: Path) -> ModelConfig:
    if "model" not in header:
        raise RunError(f"{file}: holds no detector: its header has no model")
    with _building(file):
        return config_of(json.loads(header["model"]))


@contextmanager
def _building(file: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, KeyError) as error:
        raise RunError(f"{file}: its header's model is none that this version can build: {error}") from error


def config_of(plain: Mapping[str, Any]) -> ModelConfig:
    """A config from JSON. Keys of earlier versions get today's names; keys that are missing get their defaults.

    Raises:
        ValueError, TypeError: a key or a value is not known, or a key came under both of its names.
    """
    both = [key for key, now in EARLIER_KEYS.items() if key in plain and now in plain]
    if both:
        raise ValueError(f"{both[0]}: is the earlier name of {EARLIER_KEYS[both[0]]!r}, which came too")
    values: dict[str, Any] = {EARLIER_KEYS.get(key, key): x for key, x in plain.items()}
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    return ModelConfig(**values)


def fill(detector: nn.Module, tensors: Mapping[str, Tensor], file: Path) -> None:
    """Load all of a detector's tensors.

    Raises:
        RunError: they are another config's.
    """
    own = {name: tensor.shape for name, tensor in detector.state_dict().items()}
    check_fit({name: tensor.shape for name, tensor in tensors.items()}, own, file)
    detector.load_state_dict(dict(tensors))


def check_fit(came: Mapping[str, torch.Size], needed: Mapping[str, torch.Size], file: Path) -> None:
    """Raise RunError, which names both sides, unless names and shapes are the same."""
    told = [
        f"{name} came as {tuple(came[name])}, its config needs {tuple(needed[name])}"
        for name in sorted(needed.keys() & came.keys())
        if came[name] != needed[name]
    ]
    told += [f"its config needs {name}, which did not come" for name in sorted(needed.keys() - came.keys())]
    told += [f"{name} came, which its config does not have" for name in sorted(came.keys() - needed.keys())]
    if told:
        raise RunError(f"{file}: {len(came)} tensors came, of which or beside which {len(told)} do not fit: {told[0]}")


def read_tensors(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a safetensors file, and the words in its header.

    Raises:
        RunError: there is no such file, or it is no safetensors.
    """
    with _opened(file) as opened:
        return {name: opened.get_tensor(name) for name in opened.keys()}, opened.metadata() or {}  # noqa: SIM118


def read_header(file: Path) -> dict[str, str]:
    """The words in the header of a safetensors file.

    Raises:
        RunError: there is no such file, or it is no safetensors.
    """
    with _opened(file) as opened:
        return opened.metadata() or {}


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    try:
        with safe_open(file, "pt") as opened:
            yield opened
    except FileNotFoundError:
        raise RunError(f"{file}: there is no such file; a run writes it when it has finished") from None
    except Exception as error:  # safetensors' own error class is no public name
        raise RunError(f"{file}: cannot be read: {error}") from error
