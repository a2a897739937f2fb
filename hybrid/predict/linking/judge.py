"""The track network in use: arrays of one frame in, arrays out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32

from hybrid.model.objects.track_net import TrackNetwork
from hybrid.predict.linking.evidence import NAMES
from hybrid.weights.follower import load_follower, read_follower
from hybrid.weights.released import DEFAULT_FOLLOWER


@dataclass(frozen=True)
class Opinion:
    """Of k tracks."""

    exists: Float32[np.ndarray, " k"]  # the probability that the part is in the picture, seen or hidden
    scores: Float32[np.ndarray, " k"]  # the probability that it is there and `boxes_cxcywh_px` fits it (IoU of 0.5)
    visible: Float32[np.ndarray, " k"]  # the share of the part that can be seen
    boxes_cxcywh_px: Float32[np.ndarray, "k 4"]  # of the whole part


class Judge:
    """Judges the tracks of a frame with a network. Tracks from `score` on are worth reporting."""

    def __init__(self, network: TrackNetwork | Callable[[], TrackNetwork], score: float = 0.5) -> None:
        """`network`: the network, or what reads it when the first track is judged."""
        self._network, self.score = network, score

    @cached_property
    def network(self) -> TrackNetwork:
        return (self._network if isinstance(self._network, TrackNetwork) else self._network()).eval()

    @classmethod
    def load(cls, name: str | Path = DEFAULT_FOLLOWER, score: float | None = None) -> Judge:
        """A track network that comes with the package, or a file of one. `score`: in place of the one in the file.

        The weights are read when the first track is judged: a detector of still pictures never needs them.

        Raises:
            RunError: there is no such file, or it holds something else.
        """
        _, kept = read_follower(name, NAMES)
        return cls(lambda: load_follower(name, NAMES)[0], kept.score if score is None else score)

    @torch.inference_mode()
    def judge(
        self,
        numbers: Float32[np.ndarray, "k f"],
        boxes_cxcywh_px: Float[np.ndarray, "k 4"],
        memory: Float32[np.ndarray, "k c"] | None,
    ) -> tuple[Opinion, Float32[np.ndarray, "k c"]]:
        """What is said of k tracks, and their memory after the frame.

        Args:
            numbers: of `hybrid.predict.linking.evidence`.
            boxes_cxcywh_px: of the tracks.
            memory: after the frame before, 0 for new tracks; None: there is none yet.
        """
        count, width = len(numbers), self.network.config.width
        memory = np.zeros((count, width), np.float32) if memory is None else memory
        boxes = torch.from_numpy(boxes_cxcywh_px.astype(np.float32))[None, None]
        alive = torch.ones(1, 1, count, dtype=torch.bool)
        said, after = self.network(torch.from_numpy(numbers)[None, None], boxes, alive, torch.from_numpy(memory)[None])
        exists, fits, visible = (x[0, 0].sigmoid().numpy() for x in (said.exists, said.fits, said.visible))
        return Opinion(exists, fits, visible, said.boxes_cxcywh_px[0, 0].numpy()), after[0].numpy()
