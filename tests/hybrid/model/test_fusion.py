"""Fusion: each solves a task that neither side can solve alone; cross-attention against a slow loop."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hybrid.model.time.fusion import FUSIONS, CrossAttention


def test_the_table_is_what_the_tests_below_run_over():
    assert sorted(FUSIONS) == ["concat", "cross_attention", "gated", "sum"]


class Toy(nn.Module):
    """Do two signs agree, of which the CNN sees one and the branch the other?"""

    def __init__(self, fusion: str) -> None:
        super().__init__()
        self.cnn, self.branch = nn.Conv2d(2, 16, 1), nn.Conv2d(2, 16, 1)
        self.fusion = FUSIONS[fusion](16, 1, 0.5)
        self.head = nn.Sequential(nn.Conv2d(16, 16, 1), nn.ReLU(), nn.Conv2d(16, 1, 1))

    def forward(self, cnn, branch):
        return self.head(self.fusion(self.cnn(cnn), [self.branch(branch)]))[:, 0]


def signs(shift, generator):
    one, other = (torch.randint(0, 2, (8, 2, 6, 6), generator=generator) * 2.0 - 1 for _ in range(2))
    one[:, 1], other[:, 1] = 1, 1
    agree = (one[:, 0] == other[:, 0]).float()
    return one, other.roll(shift, -1), agree


@pytest.mark.parametrize(
    ("fusion", "shift"), [*((name, 0) for name in sorted(FUSIONS)), ("cross_attention", 1), ("cross_attention", -1)]
)
def test_what_neither_side_knows_alone_is_learned(fusion, shift):
    """With a shift, what the branch knows of a place lies beside it: for attention alone to find."""
    torch.manual_seed(0)
    toy, generator = Toy(fusion), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(toy.parameters(), 2e-2)
    inner = slice(1, -1)  # a shift brings in the other edge
    for _ in range(150):
        one, other, agree = signs(shift, generator)
        loss = nn.functional.binary_cross_entropy_with_logits(toy(one, other)[..., inner], agree[..., inner])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    one, other, agree = signs(shift, generator)
    with torch.no_grad():
        both = ((toy(one, other) > 0) == (agree > 0))[..., inner].float().mean()
        alone = ((toy(one, torch.zeros_like(other)) > 0) == (agree > 0))[..., inner].float().mean()
    assert both > 0.97
    assert alone < 0.7


@torch.no_grad()
def test_cross_attention_is_the_slow_loop():
    torch.manual_seed(0)
    fusion = CrossAttention(16, 2, 0.7)
    for p in fusion.parameters():
        p.normal_(0, 0.5)
    cnn, *branches = (torch.randn(1, 16, 3, 4) for _ in range(3))
    query = fusion.query(cnn)
    keys, values = (
        [layer(x) for layer, x in zip(layers, branches, strict=True)] for layers in (fusion.key, fusion.value)
    )
    told = torch.zeros(1, 16, 3, 4)
    for y in range(3):
        for x in range(4):
            scores, seen = [fusion.nobody[0]], [torch.zeros(16)]
            for k in range(2):
                for place in range(9):
                    row, column = y + place // 3 - 1, x + place % 3 - 1
                    if 0 <= row < 3 and 0 <= column < 4:
                        score = query[0, :, y, x] @ keys[k][0, :, row, column] / 4
                        scores.append(score + fusion.beside[k, 0, place])
                        seen.append(values[k][0, :, row, column])
            told[0, :, y, x] = torch.stack(scores).softmax(0) @ torch.stack(seen)
    wanted = cnn + fusion.gate * fusion.out(told)
    torch.testing.assert_close(fusion(cnn, branches), wanted, rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("name", ["gated", "cross_attention"])
def test_at_a_gate_of_zero_the_cnn_is_as_it_was(name):
    cnn, branch = torch.randn(2, 16, 3, 4), torch.randn(2, 16, 3, 4)
    assert torch.equal(FUSIONS[name](16, 1, 0.0)(cnn, [branch]), cnn)


def test_each_branch_adds_parameters_of_its_own_or_none():
    counts = {
        name: [sum(p.numel() for p in FUSIONS[name](16, k, 0.5).parameters()) for k in (1, 2)] for name in FUSIONS
    }
    assert counts["sum"] == [0, 0]
    assert counts["gated"] == [16, 32]
    assert counts["concat"] == [512, 768]
    assert counts["cross_attention"][1] - counts["cross_attention"][0] == 2 * (16 * 16 + 16) + 9
