"""What a detector runs its network with: one frame of each of several streams in, answers and states out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from hybrid.core.types import State
from hybrid.model.network import Network
from hybrid.predict.postprocess import Answer, answer_of

PRECISIONS = ("float32", "bf16")


@runtime_checkable
class Engine(Protocol):
    """Runs a network."""

    categories: tuple[str, ...]
    tracks: bool  # whether the network follows objects itself

    def __call__(
        self,
        images: UInt8[Tensor, "n 3 h w"],
        state: State | None,
        elapsed: Float32[Tensor, "n 1"] | None,
        depth_m: Float32[Tensor, "n 1 h w"] | None,
    ) -> tuple[Answer, State]:
        """The answer about the next frame of each stream, and the states after it.

        Args:
            images: RGB, one frame of each of n streams.
            state: of all the streams after the frame before; None: they begin here.
            elapsed: the time since the frame before, in frame intervals; None: 1 each.
            depth_m: along the optical axis in metres, 0 or infinite where unknown; None: no depth.
        """
        ...


def as_input(images: UInt8[Tensor, "*n"], device: torch.device) -> Tensor:
    """Bytes as the network's input in 0..1."""
    return images.to(device, non_blocking=True).float().div_(255)


def device_of(detector: Network) -> torch.device:
    return next(detector.parameters()).device


class TorchEngine:
    """A network in torch, on the device that its weights are on."""

    def __init__(self, network: Network, precision: str = "float32") -> None:
        """`precision`: one of PRECISIONS; bf16 rounds what the convolutions and matrix products compute with."""
        self.network, self.precision = network, precision
        self.categories, self.tracks = network.config.categories, bool(network.config.tracks)

    @torch.inference_mode()
    def __call__(
        self,
        images: UInt8[Tensor, "n 3 h w"],
        state: State | None,
        elapsed: Float32[Tensor, "n 1"] | None,
        depth_m: Float32[Tensor, "n 1 h w"] | None,
    ) -> tuple[Answer, State]:
        """See `Engine`."""
        self.network.eval()
        device = device_of(self.network)
        given = as_input(images, device)[:, None]
        elapsed, depth_m = (None if x is None else x.to(device) for x in (elapsed, depth_m))
        with self._precision(device):
            output, after = self.network(given, state, elapsed=elapsed, depth_m=depth_m)
        return answer_of(output), after

    @contextmanager
    def _precision(self, device: torch.device) -> Iterator[None]:
        with torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            yield


def engine_of(detector: Network | Engine) -> Engine:
    """The detector itself where it is an engine; a network runs in torch."""
    return TorchEngine(detector) if isinstance(detector, Network) else detector
