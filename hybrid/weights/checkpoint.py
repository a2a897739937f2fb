"""Checkpoint files: a network as safetensors with its config in the header. Written atomically, read without pickle."""

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

from hybrid.core.config import EARLIER_KEYS, WEIGHTS, ModelConfig
from hybrid.core.errors import RunError
from hybrid.model.network import Network
from hybrid.weights.record import weights_file
from simgen.dataset.store.files import write_atomically
from simgen.spec.text.json_text import parse_json

RETIRED = frozenset({"decoder.propose.dense_score.weight", "decoder.propose.dense_score.bias"})  # of an unused head


def save_detector(path: Path, detector: Network, weights: Mapping[str, Tensor] | None = None) -> None:
    """Write the network as one safetensors file with its config in the header; `weights` replace its own if given."""
    given = detector.state_dict() if weights is None else weights
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in given.items()}
    write_atomically(path, save(plain, {"model": json.dumps(portable(detector.config))}))


def portable(config: ModelConfig) -> dict[str, Any]:
    """The config as JSON values, without the local path of the backbone's initial weights."""
    return asdict(config if config.weights in WEIGHTS else replace(config, weights="default"))


def load(path: Path, weights: str = "ema", device: str = "cpu") -> Network:
    """Load a network for inference.

    Args:
        path: the folder of a finished run, or a file that `save_detector` wrote.
        weights: of a run's folder: `ema` (the moving average, better in general) or `raw`.
        device: such as `cpu` or `cuda`.

    Returns:
        The network in evaluation mode. It takes clips [b, t, 3, h, w] of RGB in 0..1; `hybrid.Detector` takes images.

    Raises:
        RunError: there is no such file, it is damaged, its tensors do not fit its config, or a weight is not finite.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import torch
        >>> from hybrid.core.config import ModelConfig
        >>> from hybrid.model.network import Network
        >>> from hybrid.weights.checkpoint import load, save_detector
        >>> config = ModelConfig(categories=("bolt", "nut"), branches="cnn", width=16, queries=5)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_detector(Path(folder) / "net.safetensors", Network(config))
        ...     network = load(Path(folder) / "net.safetensors")
        >>> output, state = network(torch.rand(1, 2, 3, 64, 96))
        >>> output.logits.shape, output.boxes_xyxy_px.shape
        (torch.Size([1, 2, 5, 2]), torch.Size([1, 2, 5, 4]))
    """
    file = weights_file(path, weights)
    stored, header = read_tensors(file)
    tensors = {name: tensor for name, tensor in stored.items() if name not in RETIRED}
    config = _config_in(header, file)
    with building(file, "model"), torch.device("meta"):  # checks the sizes in the header before any memory is allocated
        shapes = {name: tensor.shape for name, tensor in Network(config, pretrained=False).state_dict().items()}
    check_fit({name: tensor.shape for name, tensor in tensors.items()}, shapes, file)
    check_finite(tensors, file)
    detector = Network(config, pretrained=False)
    detector.load_state_dict(tensors)
    return detector.to(device).to(memory_format=torch.channels_last).eval()


def load_config(path: Path) -> ModelConfig:
    """The config of the network that `load` returns. Reads the header only.

    Raises:
        RunError: there is no such file, it is damaged, or it holds no network.
    """
    file = weights_file(path)
    return _config_in(read_header(file), file)


def _config_in(header: Mapping[str, str], file: Path) -> ModelConfig:
    if "model" not in header:
        raise RunError(f"{file}: holds no detector: its header has no model")
    with building(file, "model"):
        return config_of(parse_json(header["model"]))


@contextmanager
def building(file: Path, what: str) -> Iterator[None]:
    """What cannot be built from the header of a file is a RunError that names both."""
    try:
        yield
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise RunError(f"{file}: this version cannot build the {what} of its header: {error!s:.200}") from error


def config_of(plain: Mapping[str, Any]) -> ModelConfig:
    """A config from JSON values. Keys of earlier versions are renamed; missing keys get their defaults.

    Raises:
        ValueError, TypeError: a key or a value is unknown, or a key is given under its earlier and its present name.
    """
    if not isinstance(plain, Mapping):
        raise TypeError(f"a config is a JSON object, got {plain!r:.60}")
    both = [key for key, now in EARLIER_KEYS.items() if key in plain and now in plain]
    if both:
        raise ValueError(f"{both[0]}: is the earlier name of {EARLIER_KEYS[both[0]]!r}, which is given too")
    values: dict[str, Any] = {EARLIER_KEYS.get(key, key): x for key, x in plain.items()}
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    return ModelConfig(**values)


def fill(detector: nn.Module, tensors: Mapping[str, Tensor], file: Path) -> None:
    """Load all tensors of a network.

    Raises:
        RunError: the tensors do not fit the network's config.
    """
    own = {name: tensor.shape for name, tensor in detector.state_dict().items()}
    check_fit({name: tensor.shape for name, tensor in tensors.items()}, own, file)
    detector.load_state_dict(dict(tensors))


def check_fit(given: Mapping[str, torch.Size], needed: Mapping[str, torch.Size], file: Path) -> None:
    """Raise RunError with the first difference unless names and shapes are the same."""
    wrong = [
        f"{name} is {tuple(given[name])}, its config needs {tuple(needed[name])}"
        for name in sorted(needed.keys() & given.keys())
        if given[name] != needed[name]
    ]
    wrong += [f"{name} is missing, its config needs it" for name in sorted(needed.keys() - given.keys())]
    wrong += [f"{name} is not part of its config" for name in sorted(given.keys() - needed.keys())]
    if wrong:
        raise RunError(f"{file}: its tensors do not fit its config, {len(wrong)} are wrong: {wrong[0]}")


def check_finite(tensors: Mapping[str, Tensor], file: Path) -> None:
    """Raise RunError where a weight is NaN or infinite: such a network finds nothing, without a word."""
    wrong = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if wrong:
        raise RunError(
            f"{file}: {len(wrong)} of {len(tensors)} tensors are not finite, such as {wrong[0]}: "
            "the training diverged; train again with a lower learning rate"
        )


def read_tensors(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a safetensors file, and the metadata of its header.

    Raises:
        RunError: there is no such file, or it is not safetensors.
    """
    with _opened(file) as opened:
        return {name: opened.get_tensor(name) for name in opened.keys()}, opened.metadata() or {}  # noqa: SIM118


def read_header(file: Path) -> dict[str, str]:
    """The metadata in the header of a safetensors file.

    Raises:
        RunError: there is no such file, or it is not safetensors.
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
    except Exception as error:  # safetensors' own error class is not public
        raise RunError(f"{file}: cannot be read: {error}") from error
