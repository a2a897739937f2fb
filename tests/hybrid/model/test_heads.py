"""Embeddings, clip classes and depth: what they answer, carry and learn, and what a detector without them has not."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from hybrid.core.config import INPUTS, ModelConfig
from hybrid.core.types import State, Target
from hybrid.losses.criterion import Criterion
from hybrid.losses.heads import clip_loss, embedding_loss
from hybrid.model.frame.depth import readable
from hybrid.model.network import Network
from hybrid.predict.postprocess import postprocess
from tests.hybrid.variants import full

SMALL = full(
    ("bolt", "nut"),
    width=16,
    heads=2,
    queries=8,
    decoder_layers=2,
    denoising_queries=8,
)
ALL = {"embedding": 6, "clip_classes": ("ok", "defective"), "inputs": ("rgb", "depth"), "memory_frames": 2}


def build(**changes):
    torch.manual_seed(0)
    detector = Network(replace(SMALL, **(ALL | changes))).eval()
    with torch.no_grad():
        for p in detector.decoder.parameters():
            p += 0.1 * torch.randn_like(p)
    return detector


def clip(frames, clips=1, height=32, width=48, seed=0):
    return torch.rand(clips, frames, 3, height, width, generator=torch.Generator().manual_seed(seed))


def targets(clips=1, frames=3, ids=(4, 9)):
    boxes = torch.tensor([[4.0, 4, 16, 18], [24, 8, 40, 28]])
    return [[Target(boxes + k, torch.tensor([0, 1]), torch.tensor(ids)) for k in range(frames)] for _ in range(clips)]


@torch.no_grad()
@pytest.mark.parametrize("tracks", [0, 4])
def test_heads_answer_frame_by_frame_what_they_answer_for_the_whole_clip(tracks):
    detector, images = build(tracks=tracks), clip(4, clips=2)
    depth = 0.4 + 0.05 * torch.rand(2, 4, 32, 48)
    whole, _ = detector(images, depth_m=depth)
    assert whole.embeddings.shape == (2, 4, whole.logits.shape[2], 6)
    torch.testing.assert_close(whole.embeddings.norm(dim=-1), torch.ones(whole.embeddings.shape[:-1]))
    assert whole.clip_logits.shape == (2, 4, 2)
    state, outputs = None, []
    for k in range(4):
        output, state = detector(images[:, k : k + 1], state, depth_m=depth[:, k : k + 1])
        outputs.append(output)
    torch.testing.assert_close(torch.cat([o.clip_logits for o in outputs], 1), whole.clip_logits, rtol=0, atol=1e-5)
    torch.testing.assert_close(torch.cat([o.embeddings for o in outputs], 1), whole.embeddings, rtol=0, atol=1e-3)
    detections = postprocess(whole, limit=5)[1][2]
    assert detections.embeddings.shape == (len(detections.scores), 6)


@torch.no_grad()
def test_no_depth_is_depth_left_out_and_so_is_unknown_depth():
    detector, images = build(), clip(1)
    without = detector(images)[0].logits
    plain = build(inputs=("rgb",))
    plain.load_compatible(detector.state_dict())
    torch.testing.assert_close(plain(images)[0].logits, without)
    near = torch.full((1, 1, 32, 48), 0.4)
    near[..., 8:20, 10:30] = 0.38
    assert (detector(images, depth_m=near)[0].logits - without).abs().max() > 1e-3
    torch.testing.assert_close(detector(images, depth_m=torch.full((1, 1, 32, 48), torch.inf))[0].logits, without)


def test_depth_is_read_as_height_distance_and_where_it_is_known():
    depth = torch.full((1, 64, 64), 0.5)
    depth[:, 28:36, 28:36] = 0.49  # 1 cm above the rest
    depth[:, :, :8] = torch.inf
    depth[:, :4] = 0.0
    relief, distance, known = readable(depth)[0]
    assert relief[32, 32] == pytest.approx(1.0, abs=0.07)
    assert relief[50, 50].abs() < 0.07
    assert distance[32, 32] == pytest.approx(-0.02, abs=1e-3)
    assert known[:, :8].sum() == 0
    assert known[:4].sum() == 0
    assert known[10:, 10:].all()
    assert (relief[known == 0] == 0).all()


def test_depth_is_dropped_for_whole_clips_in_training():
    detector = build(depth_dropout=0.5).train()
    images, depth = clip(1, clips=1).expand(32, -1, -1, -1, -1), torch.full((32, 1, 32, 48), 0.4)
    output, _ = detector(images, generator=torch.Generator().manual_seed(0), depth_m=depth)
    like_the_first = (output.logits - output.logits[:1]).abs().amax((1, 2, 3)) < 1e-4
    assert 5 < int(like_the_first.sum()) < 27
    always = build(depth_dropout=1.0).train()
    torch.testing.assert_close(always(images[:2], depth_m=depth[:2])[0].logits, always(images[:2])[0].logits)


def test_gradient_reaches_every_parameter_of_every_head():
    detector = build(depth_dropout=0.0).train()
    depth = 0.4 + 0.02 * torch.rand(2, 3, 32, 48)
    for _ in range(3):
        output, _ = detector(clip(3, 2), None, targets(2), torch.Generator().manual_seed(0), depth_m=depth)
        detector.zero_grad()
        losses = Criterion()(output, targets(2), torch.tensor([0, 1]))
        assert losses["embedding"] > 0
        assert losses["clip"] > 0
        losses["total"].backward()
        with torch.no_grad():
            for p in detector.parameters():
                p -= 1e-2 * p.grad.clamp(-1, 1)
    still = [name for name, p in detector.named_parameters() if not p.grad.abs().sum() > 0]
    assert still == []


def test_the_embeddings_loss_is_least_where_objects_are_reported_apart():
    picks = [(torch.tensor([0, 1]), torch.tensor([0, 1]))] * 3
    (row,) = targets()
    apart = torch.eye(2).expand(1, 3, 2, 2)
    mixed = torch.stack([torch.eye(2), torch.eye(2).flip(0), torch.eye(2)])[None]
    alike = torch.tensor([1.0, 0.0]).expand(1, 3, 2, 2)
    good, bad, none = (float(embedding_loss(x, picks, row)) for x in (apart, mixed, alike))
    # by hand: two alike among five others, at 1 / temperature = 10
    assert good == pytest.approx(-torch.tensor([10.0, 10, 0, 0, 0]).log_softmax(0)[0].item(), rel=1e-5)
    assert none == pytest.approx(torch.tensor(5.0).log().item(), rel=1e-5)
    assert good < none < bad
    (strangers,) = targets(ids=(-1, -1))
    assert float(embedding_loss(mixed, picks, strangers)) == 0
    assert float(embedding_loss(mixed[:, :1], picks[:1], row[:1])) == 0


def test_the_clips_loss_is_of_known_labels_and_of_later_frames_more():
    logits = torch.zeros(2, 2, 2)
    logits[0, 0, 1], logits[0, 1, 0] = 4.0, 4.0
    early_wrong, late_wrong = clip_loss(logits, torch.tensor([0, -1])), clip_loss(logits, torch.tensor([1, -1]))
    assert early_wrong < late_wrong
    wrong, right = torch.tensor([0.0, 4.0]).log_softmax(0)[0], torch.tensor([4.0, 0.0]).log_softmax(0)[0]
    assert float(early_wrong) == pytest.approx(float(-(wrong + 2 * right) / 3), rel=1e-5)
    assert float(clip_loss(logits, torch.tensor([-1, -1]))) == 0


@torch.no_grad()
def test_heads_that_are_off_add_nothing():
    plain = set(Network(SMALL).state_dict())
    more = set(build().state_dict())
    assert plain < more
    assert all(name.startswith(("clip_head.", "depth.", "decoder.embed.")) for name in more - plain)
    output, state = Network(SMALL).eval()(clip(1))
    assert output.embeddings is output.clip_logits is state.clip is None


def test_what_cannot_be_is_reported_with_both_sides():
    assert INPUTS == (("rgb",), ("rgb", "depth"))
    detector = build()
    with pytest.raises(ValueError, match=r"depth .* is \(1, 1, 8, 8\); the images \(1, 1, 32, 48\)"):
        detector(clip(1), depth_m=torch.ones(1, 1, 8, 8))
    with pytest.raises(ValueError, match=r"depth is given; this detector's inputs are \['rgb'\]"):
        Network(SMALL)(clip(1), depth_m=torch.ones(1, 1, 32, 48))
    with pytest.raises(ValueError, match=r"clip is \(1, 16\).*\[\].*\(1, 16\)"):
        Network(SMALL)(clip(1), State(clip=torch.zeros(1, 16)))
    for change, told in (
        ({"inputs": ("depth",)}, "inputs: there is no"),
        ({"embedding": -1}, "embedding: needs"),
        ({"clip_classes": ("ok",)}, "clip_classes: needs none, or two"),
        ({"depth_dropout": 1.5}, "depth_dropout: needs"),
    ):
        with pytest.raises(ValueError, match=told):
            ModelConfig(**({"categories": ("a",)} | change))
