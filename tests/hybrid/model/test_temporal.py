"""Recurrence: against torch's own cells, laws of elapsed time, and something to remember over frames that lack."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hybrid.model.time.temporal import TEMPORALS, ConvGRU, ConvLSTM, PooledLSTM, state_shape


def test_the_table_is_what_the_tests_below_run_over():
    assert sorted(TEMPORALS) == ["conv_gru", "conv_lstm", "lstm"]


def _as_torch(lstm, weights_in, weights_hidden, bias):
    """Our gates are in, forget, out, content; torch's in, forget, content, out. Ours adds 1 to forget."""
    width = weights_in.shape[1]
    order = torch.cat([torch.arange(width) + width * k for k in (0, 1, 3, 2)])
    bias = bias + torch.eye(4)[1].repeat_interleave(width)
    with torch.no_grad():
        lstm.weight_ih_l0.copy_(weights_in[order])
        lstm.weight_hh_l0.copy_(weights_hidden[order])
        lstm.bias_ih_l0.copy_(bias[order])
        lstm.bias_hh_l0.zero_()
    return lstm


@torch.no_grad()
@pytest.mark.parametrize("kind", [ConvLSTM, PooledLSTM])
def test_both_lstms_are_torchs_own(kind):
    torch.manual_seed(0)
    ours, features = kind(6), torch.randn(2, 5, 6, 1, 1)  # of one cell, a 3x3 kernel has its middle alone
    weights = [
        layer.weight[..., 1, 1] if kind is ConvLSTM else layer.weight for layer in (ours.from_input, ours.from_hidden)
    ]
    theirs = _as_torch(nn.LSTM(6, 6, batch_first=True), *weights, ours.from_input.bias)
    wanted, (hidden, cell) = theirs(features[..., 0, 0])
    answer, state = ours(features, None)
    torch.testing.assert_close(answer, ours.out(wanted.flatten(0, 1)[..., None, None]).reshape(answer.shape)
                               if kind is ConvLSTM else ours.out(wanted)[..., None, None])  # fmt: skip
    torch.testing.assert_close(state[..., 0, 0], torch.cat([hidden[0], cell[0]], 1))


@torch.no_grad()
def test_the_gru_is_the_published_one():
    torch.manual_seed(0)
    ours, features = ConvGRU(4), torch.randn(1, 3, 4, 5, 6)
    _, state = ours(features, None)
    hidden = torch.zeros(1, 4, 5, 6)
    conv = nn.functional.conv2d
    for x in features[0]:
        z, r, n = conv(x[None], ours.from_input.weight, ours.from_input.bias, padding=1).split(4, 1)
        of_z, of_r = conv(hidden, ours.gates_from_hidden.weight, padding=1).split(4, 1)
        z, r = torch.sigmoid(z + of_z), torch.sigmoid(r + of_r)
        n = torch.tanh(n + conv(r * hidden, ours.content_from_hidden.weight, padding=1))
        hidden = (1 - z) * hidden + z * n
    torch.testing.assert_close(state, hidden)


def unit(name, seed=0):
    torch.manual_seed(seed)
    return TEMPORALS[name](8)


@torch.no_grad()
@pytest.mark.parametrize("name", TEMPORALS)
def test_time_that_passes_at_the_trained_rate_changes_nothing(name):
    features = torch.randn(2, 4, 8, 3, 5)
    plain, state = unit(name)(features, None)
    timed, same = unit(name)(features, None, torch.ones(2, 4))
    torch.testing.assert_close(plain, timed)
    torch.testing.assert_close(state, same)
    assert tuple(state.shape[1:]) == state_shape(name, 8, 3, 5)


@torch.no_grad()
@pytest.mark.parametrize("name", TEMPORALS)
@pytest.mark.parametrize("pieces", [[0.5, 0.5], [0.2, 0.3, 0.5], [1.5, 0.5, 2.0]])
def test_a_camera_of_another_rate_moves_the_state_by_the_time_that_passed(name, pieces):
    """As long as the gates do not change: here they hear the input alone, and that stands still."""
    module = unit(name)
    for key, p in module.named_parameters():
        if "from_hidden" in key:
            p.zero_()
    before = torch.rand(1, *state_shape(name, 8, 3, 5)) - 0.5
    still = torch.randn(1, 1, 8, 3, 5)
    _, once = module(still, before, torch.tensor([[sum(pieces)]]))
    _, often = module(still.expand(-1, len(pieces), -1, -1, -1), before, torch.tensor([pieces]))
    torch.testing.assert_close(often, once, rtol=1e-4, atol=1e-5)
    cell = slice(None) if name == "conv_gru" else slice(8, None)  # an LSTM's hidden is of its cell and the last gate
    _, hardly = module(still, before, torch.tensor([[1e-5]]))
    torch.testing.assert_close(hardly[:, cell], before[:, cell], rtol=0, atol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("name", TEMPORALS)
def test_a_long_run_stays_finite(name):
    module, state = unit(name), None
    for k in range(300):
        _, state = module(10 * torch.randn(1, 1, 8, 2, 2), state, torch.tensor([[1.0 + k % 7]]))
    assert state.isfinite().all()
    assert state.abs().max() < 1e4


def flashes(count, frames, generator):
    """In the first frame a flash, bright or dark; then noise. Which it was is to be told in the last frame."""
    sign = torch.randint(0, 2, (count,), generator=generator) * 2.0 - 1
    features = 0.5 * torch.randn(count, frames, 8, 2, 2, generator=generator)
    features[:, 0, 0] += 3 * sign[:, None, None]
    return features, (sign > 0).float()


@pytest.mark.parametrize("name", TEMPORALS)
def test_what_was_seen_is_known_after_frames_without_it_and_frames_that_lack(name):
    module, head = unit(name), nn.Linear(8, 1)
    optimizer = torch.optim.Adam([*module.parameters(), *head.parameters()], 2e-2)
    generator = torch.Generator().manual_seed(0)

    def answer(features, elapsed=None):
        return head(module(features, None, elapsed)[0][:, -1].mean((-2, -1)))[:, 0]

    for _ in range(60):
        features, truth = flashes(32, 5, generator)
        loss = nn.functional.binary_cross_entropy_with_logits(answer(features), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        features, truth = flashes(200, 5, generator)
        right = [
            (answer(features) > 0) == (truth > 0),
            (answer(features[:, [0, 1, 3, 4]], torch.tensor([[1.0, 1, 2, 1]]).expand(200, -1)) > 0) == (truth > 0),
            (answer(features[:, [0, 4]], torch.tensor([[1.0, 4]]).expand(200, -1)) > 0) == (truth > 0),
        ]
    assert min(x.float().mean() for x in right) > 0.95
    assert ((answer(features[:, 1:]) > 0) == (truth > 0)).float().mean() < 0.65  # nothing else tells it
