"""The branches over time, each behind its gate: maps with the context of earlier frames."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hybrid.core.config import ModelConfig
from hybrid.core.types import State
from hybrid.model.attention import Encoder
from hybrid.model.frame.stages import STRIDES, Maps
from hybrid.model.time.fusion import FUSIONS
from hybrid.model.time.temporal import TEMPORALS, Elapsed

RECURRENT_LEVELS = (1, 2)  # indices in STRIDES: 8 and 16


def zero_init(layer: nn.Module) -> None:
    """Set the last layer of a branch to zero: it adds nothing at first, but unlike a zero gate it learns from step one.

    As the zero convolutions of ControlNet (Zhang et al., ICCV 2023).
    """
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


class Context(nn.Module):
    """The recurrence over maps and the encoder over frames, fused with the CNN's maps. Each of them is optional."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        coarsest = len(STRIDES) - 1
        self.encoded = tuple(range(coarsest - config.encoder_levels + 1, coarsest + 1)) if config.transformer else ()
        branches = {k: int(config.recurrence) for k in RECURRENT_LEVELS}
        branches |= {k: branches[k] + 1 for k in self.encoded}
        self.recurrences = nn.ModuleDict()
        if config.recurrence:
            self.recurrences.update({str(k): TEMPORALS[config.temporal](config.width) for k in RECURRENT_LEVELS})
        self.encoder = _encoder(config) if config.transformer else None
        fusion = FUSIONS[config.fusion]
        self.fusions = nn.ModuleDict(
            {str(k): fusion(config.width, count, config.gate) for k, count in branches.items() if count}
        )
        self.heard = nn.ModuleDict()  # projections of the encoder's maps; the name is part of checkpoints
        if config.quiet_start:
            self.heard.update({str(k): nn.Conv2d(config.width, config.width, 1) for k in self.encoded})
            self._start_quietly(config.fusion)

    def _start_quietly(self, fusion: str) -> None:
        if fusion == "cross_attention":
            last = [one.get_submodule("out") for one in self.fusions.values()]
        else:
            last = [*self.heard.values(), *(one.get_submodule("out") for one in self.recurrences.values())]
        for layer in last:
            zero_init(layer)

    def forward(self, maps: Maps, clips: int, state: State, elapsed: Elapsed | None) -> tuple[Maps, State]:
        """The maps with context, [clips * frames, ...] each, and the state after the clips."""
        added: dict[int, list[Tensor]] = {k: [] for k in range(len(maps))}
        hidden = []
        for slot, (name, recurrence) in enumerate(self.recurrences.items()):
            before = state.hidden[slot] if state.hidden else None
            output, after = recurrence(torch.unflatten(maps[int(name)], 0, (clips, -1)), before, elapsed)
            added[int(name)].append(output.flatten(0, 1))
            hidden.append(after)
        encoded, memory = self._encode(maps, clips, state)
        for k, x in encoded.items():
            added[k].append(x)
        fused = tuple(self.fusions[str(k)](x, added[k]) if added[k] else x for k, x in enumerate(maps))
        return fused, State(tuple(hidden), memory, remembered=self._remembered(state, maps[0].shape[0] // clips))

    def _encode(self, maps: Maps, clips: int, state: State) -> tuple[dict[int, Tensor], Tensor | None]:
        """The encoder's maps by level, and its memory after the clips."""
        if self.encoder is None:
            return {}, None
        levels = [torch.unflatten(maps[k], 0, (clips, -1)) for k in self.encoded]
        outputs, memory = self.encoder(levels, state.memory, state.remembered)
        flat = {k: output.flatten(0, 1) for k, output in zip(self.encoded, outputs, strict=True)}
        return {k: self.heard[str(k)](x) if self.heard else x for k, x in flat.items()}, memory

    def _remembered(self, state: State, frames: int) -> Tensor | None:
        if state.remembered is None or self.encoder is None:
            return state.remembered
        return (state.remembered + frames).clamp(max=self.encoder.memory_frames)


def _encoder(config: ModelConfig) -> Encoder:
    return Encoder(
        config.width, config.heads, config.encoder_layers, config.memory_frames, config.encoder_levels,
        config.memory_tokens,
    )  # fmt: skip
