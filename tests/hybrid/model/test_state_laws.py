"""State is passed, never kept; masks hide what they must; every fusion starts where its table says."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.core.types import State
from hybrid.model.attention import Attention, Encoder, tokens_per_frame
from hybrid.model.network import Network
from hybrid.model.objects.queries import denoising_logits, distinct
from hybrid.model.objects.tracks import empty_tracks
from hybrid.model.states import check_state
from hybrid.model.time.context import zero_init
from hybrid.model.time.fusion import FUSIONS
from hybrid.model.time.temporal import TEMPORALS, lstm_step, state_shape, update_share
from tests.hybrid.variants import SMALL, VARIANTS

STEPS = st.floats(0.05, 8.0)


@torch.no_grad()
@pytest.mark.parametrize("name", TEMPORALS)
def test_without_a_state_a_unit_starts_from_zeros_and_keeps_nothing(name: str) -> None:
    torch.manual_seed(0)
    unit, features = TEMPORALS[name](4), torch.randn(2, 3, 4, 2, 3)
    first, after = unit(features, None)
    zeros, _ = unit(features, torch.zeros(2, *state_shape(name, 4, 2, 3)))
    again, _ = unit(features, None)
    carried, _ = unit(features, after)
    torch.testing.assert_close(first, zeros)
    assert torch.equal(first, again)
    assert (carried - first).abs().max() > 1e-4


@torch.no_grad()
@pytest.mark.parametrize("name", ["all", "everything"])
def test_a_network_answers_a_new_clip_as_if_there_had_been_none_before(name: str) -> None:
    torch.manual_seed(0)
    network = Network(replace(SMALL, **VARIANTS[name], quiet_start=False)).eval()
    images = torch.rand(1, 2, 3, 32, 32)
    first, state = network(images)
    network(1 - images, state)
    again, _ = network(images)
    assert torch.equal(first.logits, again.logits)
    assert torch.equal(first.boxes_xyxy_px, again.boxes_xyxy_px)


@settings(deadline=None, max_examples=25)
@given(st.floats(0.01, 0.99), STEPS, STEPS)
def test_two_steps_replace_as_much_as_one_of_their_length(gate: float, a: float, b: float) -> None:
    g, one, two = torch.tensor(gate), torch.tensor(a), torch.tensor(b)
    kept = (1 - update_share(g, one)) * (1 - update_share(g, two))
    torch.testing.assert_close(1 - update_share(g, one + two), kept, rtol=1e-3, atol=1e-5)
    assert update_share(g, None) == g
    torch.testing.assert_close(update_share(g, torch.tensor(1.0)), g)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), STEPS, STEPS)
def test_the_lstms_cell_after_two_steps_is_that_after_one_of_their_length(seed: int, a: float, b: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    gates, cell = torch.randn(1, 8, generator=generator), torch.randn(1, 2, generator=generator)
    _, half = lstm_step(gates, cell, torch.tensor(a))
    _, twice = lstm_step(gates, half, torch.tensor(b))
    _, once = lstm_step(gates, cell, torch.tensor(a + b))
    torch.testing.assert_close(twice, once, rtol=1e-3, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("name", ["gated", "concat", "sum", "cross_attention"])
@pytest.mark.parametrize("branches", [1, 2])
def test_what_each_fusion_starts_as(name: str, branches: int) -> None:
    torch.manual_seed(0)
    assert len(FUSIONS) == 4
    fusion = FUSIONS[name](16, branches, 0.25)
    cnn, *others = (torch.randn(1, 16, 3, 4) for _ in range(1 + branches))
    if name == "cross_attention":
        zero_init(fusion.out)
    weight = {"gated": 0.25, "concat": 0.25, "sum": 1.0, "cross_attention": 0.0}[name]
    torch.testing.assert_close(fusion(cnn, others), cnn + weight * sum(others))


@torch.no_grad()
def test_memory_that_is_not_valid_is_as_if_it_were_not_there() -> None:
    torch.manual_seed(0)
    encoder = Encoder(16, 2, 1, 3).eval()
    levels, memory = [torch.randn(2, 1, 16, 3, 4)], torch.randn(2, 3, 4, 16)
    valid = torch.tensor([1, 3])
    [got], _ = encoder(levels, memory, valid)
    garbage = memory.clone()
    garbage[0, :2] = 1e3
    torch.testing.assert_close(encoder(levels, garbage, valid)[0][0], got)
    garbage[1, 0] = 1e3
    assert (encoder(levels, garbage, valid)[0][0][1] - got[1]).abs().max() > 1e-3
    torch.testing.assert_close(encoder(levels, memory, torch.tensor([3, 3]))[0][0], encoder(levels, memory)[0][0])


@torch.no_grad()
def test_a_key_that_is_masked_has_no_influence_and_a_mask_of_all_is_none() -> None:
    torch.manual_seed(0)
    attention, query, key = Attention(8, 2), torch.randn(1, 3, 8), torch.randn(1, 5, 8)
    allowed = torch.ones(3, 5, dtype=torch.bool)
    torch.testing.assert_close(attention(query, key, key, allowed), attention(query, key, key))
    allowed[1, 4] = False
    changed = key.clone()
    changed[:, 4] += 5
    difference = (attention(query, key, key, allowed) - attention(query, changed, changed, allowed)).abs().amax((0, 2))
    assert [bool(x > 1e-5) for x in difference] == [True, False, True]


@pytest.mark.parametrize(
    ("height", "width", "kept", "tokens"), [(3, 5, 0, 6), (4, 4, 0, 4), (3, 5, 4, 4), (1, 2, 9, 2)]
)
def test_the_memory_of_a_frame_has_the_size_that_is_stated(height: int, width: int, kept: int, tokens: int) -> None:
    assert tokens_per_frame(height, width, kept) == tokens
    _, memory = Encoder(16, 2, 1, 2, 1, kept)([torch.randn(1, 1, 16, height, width)], None)
    assert memory.shape == (1, 1, tokens, 16)


def test_suppression_keeps_the_best_and_what_lies_apart() -> None:
    row = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60], [2, 0, 12, 10]])
    assert distinct(row[None], 0.5).tolist() == [[True, False, True, False]]
    assert distinct(row[None], 0.95).all()
    assert distinct(row[None], 9 / 11 + 1e-4).tolist() == [[True, True, True, True]]


def test_a_denoising_query_starts_undecided_on_its_label_and_doubtful_of_others() -> None:
    scores = denoising_logits(torch.tensor([[0, 2]]), 3).sigmoid()
    torch.testing.assert_close(scores, torch.tensor([[[0.5, 0.01, 0.01], [0.01, 0.01, 0.5]]]))


def test_a_state_of_more_tracks_memory_or_clips_is_refused() -> None:
    config = replace(SMALL, tracks=3, memory_frames=2)
    maps = tuple(torch.zeros(1, 64, side, side) for side in (8, 4, 2))
    check_state(config, State(tracks=empty_tracks(1, 3, config.width, 2, torch.device("cpu"))), maps, 1)
    for state, message in (
        (
            State(tracks=empty_tracks(1, 4, config.width, 2, torch.device("cpu"))),
            r"tracks .* are \(1, 4, 16, 2\); needed",
        ),
        (State(tracks=empty_tracks(2, 3, config.width, 2, torch.device("cpu"))), r"tracks .* are \(2, 3, 16, 2\)"),
        (State(memory=torch.zeros(1, 3, 1, 16)), "memory is of 3 frames; this detector keeps 2"),
        (State(clip=torch.zeros(1, 16)), r"clip is \(1, 16\); this detector, of clip classes \[\]"),
        (State(hidden=(torch.zeros(1, 16, 4, 4),)), "holds 1 recurrent maps"),
    ):
        with pytest.raises(ValueError, match=message):
            check_state(config, state, maps, 1)
