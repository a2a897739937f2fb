"""Networks from clips to classes: what the mean head forgets, what attention may see, and what a kind is made of."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hybrid.core.config import ModelConfig, tiny
from hybrid.model.frame.stages import STRIDES
from hybrid.model.objects.heads import ClipHead
from hybrid.training.methods.clip_net import KINDS, PATCH_PX, ClipNet, MeanHead, PatchNet, _waves, make_clip_net

CONFIG = replace(tiny(("object",)), width=16, heads=2, clip_classes=("bad", "ok", "odd"))


def maps_of(frames: int, clips: int = 1, seed: int = 0) -> tuple[Tensor, ...]:
    rng = torch.Generator().manual_seed(seed)
    return tuple(torch.rand(clips * frames, 4, 8 // 2**k, 8 // 2**k, generator=rng) for k in range(len(STRIDES)))


@pytest.fixture(scope="module")
def head() -> MeanHead:
    torch.manual_seed(0)
    return MeanHead(4, 3).eval()


@settings(max_examples=12)
@given(st.integers(1, 7), st.integers(1, 3), st.data())
@torch.inference_mode()
def test_a_clip_in_two_pieces_has_the_logits_of_the_whole(
    head: MeanHead, frames: int, clips: int, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(1, frames))
    maps = maps_of(frames, clips)
    whole, total = head(maps, clips, None)
    pieces, state = [], None
    for part in (slice(0, cut), slice(cut, frames)):
        own = tuple(x.unflatten(0, (clips, frames))[:, part].flatten(0, 1) for x in maps)
        if len(own[0]):
            logits, state = head(own, clips, state)
            pieces.append(logits)
    assert state is not None
    torch.testing.assert_close(torch.cat(pieces, 1), whole)
    torch.testing.assert_close(state, total)
    assert total[:, -1].tolist() == [frames] * clips  # it counts the frames


@given(st.permutations(range(6)))
@torch.inference_mode()
def test_the_mean_knows_no_order_but_which_frames_there_were(head: MeanHead, order: list[int]) -> None:
    maps = maps_of(6)
    (logits, _), (shuffled, _) = head(maps, 1, None), head(tuple(x[order] for x in maps), 1, None)
    torch.testing.assert_close(shuffled[:, -1], logits[:, -1])
    repeated, _ = head(tuple(x[[0, 0, 0]] for x in maps), 1, None)
    torch.testing.assert_close(repeated, logits[:, :1].expand(-1, 3, -1))  # the same frame again says nothing new


@pytest.fixture(scope="module")
def attention() -> PatchNet:
    torch.manual_seed(0)
    return PatchNet(CONFIG).eval()


def clip(frames: int, height: int = 32, width: int = 48, clips: int = 1) -> Tensor:
    return torch.rand(clips, frames, 3, height, width, generator=torch.Generator().manual_seed(0))


@given(st.integers(0, 3))
@torch.inference_mode()
def test_attention_over_frames_sees_all_earlier_ones_and_no_later_one(attention: PatchNet, changed: int) -> None:
    images = clip(4)
    other = images.clone()
    other[:, changed] = 1 - other[:, changed]
    moved = (attention(images)[0] - attention(other)[0]).abs().amax((0, 2)) > 1e-6
    assert moved.tolist() == [k >= changed for k in range(4)]


@torch.inference_mode()
def test_attention_tells_places_and_times_apart(attention: PatchNet) -> None:
    """Two patches, or two frames, that change places are another clip; clips of a batch do not see each other."""
    images = clip(3)
    mirrored = torch.cat([images[..., PATCH_PX:], images[..., :PATCH_PX]], -1)  # whole patches move
    last = attention(images)[0][:, -1]
    assert not torch.allclose(attention(mirrored)[0][:, -1], last, atol=1e-5)
    assert not torch.allclose(attention(images[:, [1, 0, 2]])[0][:, -1], last, atol=1e-5)
    both = torch.cat([images, 1 - images])
    torch.testing.assert_close(attention(both)[0][:1, -1], last)


def test_waves_are_sines_and_cosines_of_each_coordinate() -> None:
    places = torch.tensor([[0.0, 0.0], [1.0, 2.0]])
    slow = 100.0**-0.5  # the second of two frequencies
    angles = torch.tensor([1.0, slow, 2.0, 2 * slow])
    waves = _waves(places, 10)
    assert waves[0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 0, 0]  # two columns are left over
    torch.testing.assert_close(waves[1], torch.cat([angles.sin(), angles.cos(), torch.zeros(2)]))


@given(st.integers(1, 40), st.integers(1, 2))
def test_waves_have_any_width_and_each_place_its_own(width: int, coordinates: int) -> None:
    places = torch.cartesian_prod(*[torch.arange(4)] * coordinates).float().reshape(-1, coordinates)
    waves = _waves(places, width)
    assert waves.shape == (4**coordinates, width)
    assert waves.abs().max() <= 1
    if width >= 2 * coordinates:
        assert torch.cdist(waves, waves).fill_diagonal_(9).min() > 0.01


def test_every_kind_has_the_head_that_its_name_says() -> None:
    assert len(KINDS) == 5
    for kind in (*KINDS, None):
        branches = "cnn" if kind in (None, "transformer") else kind
        net = make_clip_net(replace(CONFIG, branches=branches), kind, pretrained=False)  # type: ignore[arg-type]
        if kind == "transformer":
            assert isinstance(net, PatchNet)
            continue
        assert isinstance(net, ClipNet)
        assert isinstance(net.clip_head, ClipHead if kind is None or "rnn" in kind else MeanHead), kind
        assert net.clip_head.out.out_features == len(CONFIG.clip_classes)


@torch.inference_mode()
def test_a_clip_net_goes_on_from_its_state() -> None:
    config: ModelConfig = replace(CONFIG, branches="cnn")
    torch.manual_seed(0)
    net = make_clip_net(config, "cnn", pretrained=False).eval()
    images = clip(4)
    whole, after = net(images)
    first, state = net(images[:, :1])
    rest, state = net(images[:, 1:], state)
    torch.testing.assert_close(torch.cat([first, rest], 1), whole, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(state.clip, after.clip, atol=1e-5, rtol=1e-4)
