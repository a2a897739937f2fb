"""Attention over pixels, frames and queries: against slow loops, and laws of what may be seen."""

import math

import pytest
import torch

from hybrid.core.types import Target
from hybrid.model.attention import Attention, DeformableAttention, Encoder, as_values, centres, deformable_sample, sine
from hybrid.model.objects.queries import attention_mask, denoising_queries


def bilinear(grid, x_px, y_px, stride):
    """One map [c, h, w] at a place in pixels, by the four cells around it; 0 outside."""
    _, height, width = grid.shape
    x, y = x_px / stride - 0.5, y_px / stride - 0.5
    total = torch.zeros(grid.shape[0])
    for column in (math.floor(x), math.floor(x) + 1):
        for row in (math.floor(y), math.floor(y) + 1):
            if 0 <= column < width and 0 <= row < height:
                total += grid[:, row, column] * (1 - abs(x - column)) * (1 - abs(y - row))
    return total


@pytest.mark.parametrize(("height", "width"), [(32, 96), (96, 32), (16, 16)])
def test_deformable_sampling_is_the_slow_loop_on_rectangles(height, width):
    generator = torch.Generator().manual_seed(0)
    frames, queries, heads, points, share = 2, 3, 2, 4, 3
    maps = tuple(torch.randn(frames, heads * share, height // s, width // s, generator=generator) for s in (4, 8, 16))
    at = torch.rand(frames, queries, heads, 3, points, 2, generator=generator)
    at = at * torch.tensor([width, height]) * 1.2 - 5  # some lie outside
    weights = torch.rand(frames, queries, heads, 3, points, generator=generator)
    got = deformable_sample(as_values(maps, heads), at, weights)
    assert got.shape == (frames, queries, heads * share)
    for n in range(frames):
        for q in range(queries):
            for head in range(heads):
                wanted = torch.zeros(share)
                for level, stride in enumerate((4, 8, 16)):
                    grid = maps[level][n, head * share : (head + 1) * share]
                    for p in range(points):
                        x, y = at[n, q, head, level, p].tolist()
                        wanted += weights[n, q, head, level, p] * bilinear(grid, x, y, stride)
                torch.testing.assert_close(got[n, q, head * share : (head + 1) * share], wanted, rtol=1e-4, atol=1e-4)


def test_a_query_reads_the_map_where_its_box_is():
    """A map that holds its own coordinates tells where it was read."""
    attention = DeformableAttention(8, 4, 4)
    torch.nn.init.eye_(attention.out.weight)
    torch.nn.init.zeros_(attention.out.bias)
    maps = []
    for stride in (4, 8, 16):
        xy = centres(256 // stride, 512 // stride, stride, torch.device("cpu"))
        maps.append(xy.unflatten(0, (256 // stride, -1)).permute(2, 0, 1).repeat(4, 1, 1)[None])
    with torch.no_grad():
        attention.offsets.bias.zero_()
    box = torch.tensor([[[400.0, 100, 30, 60]]])
    output = attention(torch.zeros(1, 1, 8), box, as_values(tuple(maps), 4))
    torch.testing.assert_close(output[0, 0].unflatten(0, (4, 2)), torch.tensor([[400.0, 100]]).expand(4, 2))


def test_attention_is_torchs_own():
    ours = Attention(16, 4)
    theirs = torch.nn.MultiheadAttention(16, 4, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key.weight, ours.value.weight]))
        theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key.bias, ours.value.bias]))
        theirs.out_proj.load_state_dict(ours.out.state_dict())
    query, key = torch.randn(2, 5, 16), torch.randn(2, 7, 16)
    allowed = torch.rand(5, 7) < 0.6
    allowed[:, 0] = True
    wanted, _ = theirs(query, key, key, attn_mask=~allowed, need_weights=False)
    torch.testing.assert_close(ours(query, key, key, allowed), wanted, rtol=1e-4, atol=1e-5)


def test_positions_tell_neighbouring_cells_apart_and_far_ones_too():
    code = sine(torch.arange(0.0, 2000.0, 4.0), 32, 2048.0)
    apart = torch.cdist(code, code) + torch.eye(len(code)) * 9
    assert apart.min() > 0.1
    assert code.abs().max() <= 1


@pytest.mark.parametrize("reach", [0, 1, 3])
def test_the_memory_holds_the_last_frames_and_no_more(reach):
    encoder = Encoder(16, 2, 1, reach).eval()
    features = torch.randn(1, 8, 16, 3, 5)
    [whole], memory = encoder([features], None)
    assert memory.shape == (1, reach, 2 * 3, 16)
    for gone in range(8):
        other = features.clone()
        other[:, gone] += 1
        changed = (encoder([other], None)[0][0] - whole).abs().amax((0, 2, 3, 4)) > 1e-6
        assert changed.tolist() == [gone <= k <= gone + reach for k in range(8)], gone


def test_the_order_of_past_frames_counts():
    encoder = Encoder(16, 2, 1, 3).eval()
    with torch.no_grad():
        encoder.age.normal_()
    features = torch.randn(1, 4, 16, 4, 4)
    swapped = features[:, [1, 0, 2, 3]]
    assert (encoder([features], None)[0][0][:, 3] - encoder([swapped], None)[0][0][:, 3]).abs().max() > 1e-4


def test_separation_lets_nobody_see_the_truth_of_others():
    group = torch.tensor([0, 0, 1, 1])
    allowed = attention_mask(3, group)
    assert allowed[:3].tolist() == [[True] * 3 + [False] * 4] * 3
    assert allowed[3].tolist() == [True] * 5 + [False] * 2
    assert allowed[6].tolist() == [True] * 3 + [False] * 2 + [True] * 2


def test_noised_boxes_stay_near_or_go_far_as_promised():
    truth = torch.tensor([[10.0, 10, 30, 50], [40, 40, 44, 90]])
    targets = [Target(truth, torch.tensor([0, 2])), Target(truth[:1], torch.tensor([1])), Target.empty()]
    noise = denoising_queries(targets, 40, 3, torch.Generator().manual_seed(0))
    assert noise.boxes_cxcywh.shape == (3, 40, 4)
    assert noise.group.bincount().tolist() == [4] * 10
    assert noise.real.sum(1).tolist() == [40, 20, 0]
    assert noise.positive.sum(1).tolist() == [20, 10, 0]
    assert (noise.truth[1][noise.real[1]] == 0).all()
    assert not (noise.positive & ~noise.real).any()
    box = noise.boxes_cxcywh[0]
    corners = torch.cat([box[:, :2] - box[:, 2:] / 2, box[:, :2] + box[:, 2:] / 2], 1)
    own = truth[noise.truth[0]]
    share = (corners - own).abs() / ((own[:, 2:] - own[:, :2]) / 2).repeat(1, 2)
    assert share[noise.positive[0]].max() <= 1
    assert share[~noise.positive[0]].min() >= 0
    assert share[~noise.positive[0]].median() > 1
    assert (box[:, 2:] >= 1).all()


def test_noise_is_the_generators_alone():
    target = [Target(torch.tensor([[10.0, 10, 30, 50]]), torch.tensor([0]))]
    one, same, other = (denoising_queries(target, 10, 3, torch.Generator().manual_seed(k)) for k in (1, 1, 2))
    assert torch.equal(one.boxes_cxcywh, same.boxes_cxcywh)
    assert torch.equal(one.labels, same.labels)
    assert not torch.equal(one.boxes_cxcywh, other.boxes_cxcywh)


def test_a_crowd_is_noised_within_the_limit():
    boxes = torch.tensor([[0.0, 0, 4, 4]]).repeat(300, 1)
    noise = denoising_queries([Target(boxes, torch.zeros(300, dtype=torch.int64))], 50, 1, None)
    assert noise.boxes_cxcywh.shape == (1, 50, 4)
    assert noise.real.all()
