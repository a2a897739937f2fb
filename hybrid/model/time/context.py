"""The branches over time, each behind its gate: maps that know earlier frames."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hybrid.core.config import ModelConfig
from hybrid.core.types import State
from hybrid.model.attention import Encoder
from hybrid.model.frame.backbone import STRIDES, Maps
from hybrid.model.time.fusion import FUSIONS
from hybrid.model.time.temporal import TEMPORALS, Elapsed

RECURRENT_LEVELS = (1, 2)  # places in STRIDES: 8 and 16


def silence(last: nn.Module) -> None:
    """A branch's last layer at nothing: unlike a gate at nothing it lets the branch learn from the first step on.

    As the zero convolutions of ControlNet (Zhang et al., ICCV 2023).
    """
    for parameter in last.parameters():
        nn.init.zeros_(parameter)


class Context(nn.Module):
    """The branches over time, each behind its gate: the same maps, having seen earlier frames. Any may be missing."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        join = FUSIONS[config.fusion]
        coarsest = len(STRIDES) - 1
        self.encoded = tuple(range(coarsest - config.encoder_levels + 1, coarsest + 1)) if config.transformer else ()
        branches = {k: int(config.recurrence) for k in RECURRENT_LEVELS}
        branches |= {k: branches[k] + 1 for k in self.encoded}
        self.recurrences = nn.ModuleDict()
        if config.recurrence:
            self.recurrences.update({str(k): TEMPORALS[config.temporal](config.width) for k in RECURRENT_LEVELS})
        self.encoder = None
        if config.transformer:
            self.encoder = Encoder(
                config.width, config.heads, config.encoder_layers, config.memory_frames, config.encoder_levels,
                config.memory_tokens,
            )  # fmt: skip
        self.fusions = nn.ModuleDict(
            {str(k): join(config.width, count, config.gate) for k, count in branches.items() if count}
        )
        self.heard = nn.ModuleDict()  # the encoder's answers, as they join
        if config.quiet_start:
            self.heard.update({str(k): nn.Conv2d(config.width, config.width, 1) for k in self.encoded})
            if config.fusion == "cross_attention":
                last = [one.get_submodule("out") for one in self.fusions.values()]
            else:
                last = [*self.heard.values(), *(one.get_submodule("out") for one in self.recurrences.values())]
            for one in last:
                silence(one)

    def forward(self, maps: Maps, clips: int, state: State, elapsed: Elapsed | None) -> tuple[Maps, State]:
        joined: dict[int, list[Tensor]] = {k: [] for k in range(len(maps))}
        hidden = []
        for slot, (name, recurrence) in enumerate(self.recurrences.items()):
            before = state.hidden[slot] if state.hidden else None
            answer, after = recurrence(torch.unflatten(maps[int(name)], 0, (clips, -1)), before, elapsed)
            joined[int(name)].append(answer.flatten(0, 1))
            hidden.append(after)
        memory = None
        if self.encoder is not None:
            levels = [torch.unflatten(maps[k], 0, (clips, -1)) for k in self.encoded]
            answers, memory = self.encoder(levels, state.memory, state.remembered)
            for k, answer in zip(self.encoded, answers, strict=True):
                flat = answer.flatten(0, 1)
                joined[k].append(self.heard[str(k)](flat) if self.heard else flat)
        fused = tuple(self.fusions[str(k)](x, joined[k]) if joined[k] else x for k, x in enumerate(maps))
        remembered = state.remembered
        if remembered is not None and self.encoder is not None:
            frames = maps[0].shape[0] // clips
            remembered = (remembered + frames).clamp(max=self.encoder.memory_frames)
        return fused, State(tuple(hidden), memory, remembered=remembered)
