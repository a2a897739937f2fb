"""Checks that a state belongs to a network and to its clips. Each error names both sides."""

from __future__ import annotations

from hybrid.core.config import ModelConfig
from hybrid.core.types import State
from hybrid.model.attention import tokens_per_frame
from hybrid.model.frame.stages import Maps
from hybrid.model.time.context import RECURRENT_LEVELS
from hybrid.model.time.temporal import state_shape


def check_state(config: ModelConfig, state: State, maps: Maps, clips: int) -> None:
    """Check a state against the config, the lateral maps of the pyramid, and the number of clips.

    Raises:
        ValueError: the state is of another network, another frame size or another number of clips.
    """
    _check_hidden(config, state, maps, clips)
    _check_memory(config, state, maps, clips)
    _check_tracks(config, state, clips)
    needed = (clips, config.width)
    if state.clip is not None and (not config.clip_classes or state.clip.shape != needed):
        classes, given = list(config.clip_classes), tuple(state.clip.shape)
        raise ValueError(f"the state's clip is {given}; this detector, of clip classes {classes}, needs {needed}")


def _check_hidden(config: ModelConfig, state: State, maps: Maps, clips: int) -> None:
    levels = RECURRENT_LEVELS if config.recurrence else ()
    if state.hidden and len(state.hidden) != len(levels):
        count = len(state.hidden)
        raise ValueError(f"the state holds {count} recurrent maps; {config.branches!r} has {len(levels)}")
    for hidden, level in zip(state.hidden, levels, strict=False):
        needed = (clips, *state_shape(config.temporal, *maps[level].shape[1:]))
        if tuple(hidden.shape) != needed:
            raise ValueError(f"the state's map is {tuple(hidden.shape)}; these clips need {needed}")


def _check_memory(config: ModelConfig, state: State, maps: Maps, clips: int) -> None:
    if state.memory is None:
        return
    if not config.transformer:
        raise ValueError(f"the state holds a memory of tokens; a {config.branches!r} detector has none")
    tokens = tokens_per_frame(maps[-1].shape[-2], maps[-1].shape[-1], config.memory_tokens)
    given, needed = (state.memory.shape[0], *state.memory.shape[2:]), (clips, tokens, config.width)
    if given != needed:
        raise ValueError(f"the state's memory (clips, tokens, width) is {given}; these clips need {needed}")
    if state.memory.shape[1] > config.memory_frames:
        frames, most = state.memory.shape[1], config.memory_frames
        raise ValueError(f"the state's memory is of {frames} frames; this detector keeps {most}")


def _check_tracks(config: ModelConfig, state: State, clips: int) -> None:
    if state.tracks is None:
        return
    given = (*state.tracks.content.shape, state.tracks.logits.shape[-1])
    needed = (clips, config.tracks, config.width, len(config.categories))
    if given != needed:
        raise ValueError(f"the state's tracks (clips, slots, width, categories) are {given}; needed: {needed}")
