"""The norm of the pyramid and the towers: whether a part looks the same in a tile and in a large picture."""

import pytest
import torch

from hybrid.core.config import NECK_NORMS
from hybrid.model.frame.backbone import Pyramid
from hybrid.model.frame.stages import NECK_NORMS as ROWS
from hybrid.model.objects.queries import Proposer

LEVELS, CHANNELS, WIDTH = (4, 8, 16), (8, 12, 20), 16


def dense(norm):
    """From backbone maps to the logits of the points at stride 4, as the network does it, as a map."""
    torch.manual_seed(3)
    pyramid = Pyramid(CHANNELS, WIDTH, norm)
    proposer = Proposer(WIDTH, 2, 5, 2, 1.0, "light", norm)
    layers = [pyramid, proposer]
    with torch.no_grad():
        for module in (m for layer in layers for m in layer.modules() if isinstance(m, torch.nn.BatchNorm2d)):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
        torch.nn.init.normal_(proposer.score.weight)
    for layer in layers:
        layer.eval()

    def logits(maps):
        finest = pyramid(pyramid.lateral(maps))[0]
        return proposer.score(proposer.score_tower(finest).permute(0, 2, 3, 1))[0]

    return logits


def maps_of(side):
    """Random maps of a square picture."""
    torch.manual_seed(1)
    return tuple(torch.randn(1, c, side // stride, side // stride) for c, stride in zip(CHANNELS, LEVELS, strict=True))


@torch.no_grad()
@pytest.mark.parametrize("norm", NECK_NORMS)
def test_what_stands_far_away_changes_a_score_with_group_norm_alone(norm):
    score, maps = dense(norm), maps_of(256)
    before = score(maps)
    for level, x in zip(LEVELS, maps, strict=True):
        x[:, :, : 64 // level] += 8 * torch.randn_like(x[:, :, : 64 // level])  # the upper quarter of the picture
    after = score(maps)
    far = slice(40, 64)  # rows of stride 4, from 96 px below it
    same = torch.allclose(before[far], after[far], atol=1e-5)
    assert same == (norm != "group")
    assert not torch.allclose(before[:16], after[:16], atol=0.1)


@torch.no_grad()
@pytest.mark.parametrize("norm", ["batch", "pixel"])
def test_a_tile_has_the_scores_of_the_picture_that_it_is_cut_from(norm):
    score, maps = dense(norm), maps_of(256)
    tile = tuple(x[:, :, 64 // s : 192 // s, 64 // s : 192 // s] for x, s in zip(maps, LEVELS, strict=True))
    inner = slice(12, 20)  # further from the tile's edge than the convolutions reach
    torch.testing.assert_close(score(tile)[inner, inner], score(maps)[16:48, 16:48][inner, inner], atol=1e-5, rtol=0)


def test_every_norm_that_the_config_allows_has_a_row():
    assert set(NECK_NORMS) == set(ROWS)


def test_pixel_norm_is_layer_norm_over_channels():
    x = torch.randn(2, 6, 3, 4)
    mean, spread = x.mean(1, keepdim=True), x.var(1, unbiased=False, keepdim=True)
    torch.testing.assert_close(ROWS["pixel"](6)(x), (x - mean) / (spread + 1e-5).sqrt())
