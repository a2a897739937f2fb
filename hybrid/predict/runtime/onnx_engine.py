"""An exported step as an engine. Its state is the network's own, so that torch can go on where it stopped."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from hybrid.core.types import State, joined
from hybrid.predict.onnx import OnnxDetector, flat, state_of
from hybrid.predict.postprocess import Answer


class OnnxEngine:
    """Runs an exported step; see `hybrid.predict.runtime.engine.Engine`. All frames count as one interval apart."""

    def __init__(self, step: OnnxDetector) -> None:
        self.step, self.categories, self.tracks = step, step.categories, step.tracks

    def __call__(
        self,
        images: UInt8[Tensor, "n 3 h w"],
        state: State | None,
        elapsed: Float32[Tensor, "n 1"] | None = None,
        depth_m: Float32[Tensor, "n 1 h w"] | None = None,
    ) -> tuple[Answer, State]:
        """Answers about frames of the file's size, one after the other: a batch is no faster on a CPU.

        Raises:
            InputError: the frames or the depth have another size than the file's, or the file takes no depth.
        """
        rows = []
        for k, image in enumerate(images):
            before = None if state is None else self._given(state.clips(slice(k, k + 1)))
            depth = None if depth_m is None else depth_m[k, 0].numpy()
            outputs, after = self.step.step(image.permute(1, 2, 0).contiguous().numpy(), before, depth)
            rows.append((outputs, state_of({name: torch.from_numpy(value) for name, value in after.items()})))
        columns: dict[str, Tensor] = {
            name: torch.stack([torch.from_numpy(outputs[name]) for outputs, _ in rows])[:, None] for name in rows[0][0]
        }
        names = ("scores", "boxes_xyxy_px", "track_ids", "unseen", "embeddings")
        own: dict[str, Any] = {name: columns[name] for name in names if name in columns}
        height, width = self.step.size_hw_px
        return Answer(size_hw_px=(height, width), **own), joined([after for _, after in rows])

    def _given(self, state: State) -> dict[str, np.ndarray]:
        """The state's tensors by name, in the fixed sizes of the file; zeros for what the state does not have yet."""
        given, values = self.step.start(), dict(flat(state))
        if "memory" in values and "remembered" in given:
            memory = values["memory"]
            known = torch.tensor([memory.shape[1]])  # the newest frames come last
            values["remembered"] = values.get("remembered", known)
            room = given["memory"].shape[1] - memory.shape[1]
            values["memory"] = torch.nn.functional.pad(memory, (0, 0, 0, 0, room, 0))
        return {
            name: values[name].numpy().astype(zeros.dtype, copy=False) if name in values else zeros
            for name, zeros in given.items()
        }
