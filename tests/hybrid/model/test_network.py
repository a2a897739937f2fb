"""The detector as a whole: shapes, state, causality, gradients, sizes, and what checkpoints carry over."""

from dataclasses import replace

import pytest
import torch

from hybrid.core.config import BRANCHES, PRESETS, ModelConfig, tiny
from hybrid.core.types import Output, Proposals, State, Target
from hybrid.losses.criterion import Criterion
from hybrid.model.frame.backbone import BACKBONES
from hybrid.model.frame.stages import STRIDES
from hybrid.model.network import Network
from hybrid.model.time.fusion import FUSIONS
from hybrid.predict.postprocess import postprocess
from tests.hybrid.variants import full

SMALL = full(
    ("bolt", "nut"),
    width=16,
    queries=10,
    decoder_layers=2,
    denoising_queries=8,
    memory_frames=2,
    quiet_start=False,
)
TARGET = Target(torch.tensor([[10.0, 12, 30, 28], [40, 8, 60, 44]]), torch.tensor([0, 1]))


def build(branches="cnn+rnn+transformer", **changes):
    """As after some training: corrections that start at zero would hide what the decoder lets through."""
    torch.manual_seed(0)
    detector = Network(replace(SMALL, branches=branches, **changes)).eval()
    with torch.no_grad():
        for p in detector.decoder.parameters():
            p += 0.1 * torch.randn_like(p)
    return detector


def clip(frames, height=48, width=64, clips=1, seed=0):
    return torch.rand(clips, frames, 3, height, width, generator=torch.Generator().manual_seed(seed))


def test_tables_and_presets_are_what_the_tests_below_run_over():
    assert len(BRANCHES) == 4
    assert sorted(PRESETS) == ["base", "base-video", "lite", "lite-video", "tiny", "tiny-video"]
    assert sorted(BACKBONES) == ["mobilenet_v3", "resnet18", "resnet34", "resnet50", "tiny"]
    assert sorted(FUSIONS) == ["concat", "cross_attention", "gated", "sum"]


@pytest.mark.parametrize("branches", BRANCHES)
@pytest.mark.parametrize("frames", [1, 3])
def test_shapes_and_state(branches, frames):
    output, state = build(branches)(clip(frames, clips=2))
    points = sum((48 // s) * (64 // s) for s in STRIDES)
    assert output.logits.shape == (2, frames, 10, 2)
    assert output.boxes_xyxy_px.shape == (2, frames, 10, 4)
    assert output.proposals.logits.shape == (2, frames, points, 2)
    assert len(output.auxiliary) == 1
    assert output.denoising is None
    assert [tuple(h.shape) for h in state.hidden] == ([(2, 16, 6, 8), (2, 16, 3, 4)] if "rnn" in branches else [])
    assert (state.memory is not None) == ("transformer" in branches)
    if state.memory is not None:
        assert state.memory.shape == (2, min(frames, 2), 2 * 2, 16)


@torch.no_grad()
@pytest.mark.parametrize("branches", BRANCHES)
@pytest.mark.parametrize("pieces", [(1, 1, 1, 1, 1), (2, 3), (4, 1)])
def test_frame_by_frame_is_the_whole_clip(branches, pieces):
    detector, images = build(branches), clip(5, 32, 48, clips=2)
    whole, last = detector(images)
    state, outputs = None, []
    for piece in images.split(list(pieces), 1):
        output, state = detector(piece, state)
        outputs.append(output)
    torch.testing.assert_close(torch.cat([o.logits for o in outputs], 1), whole.logits, rtol=0, atol=1e-5)
    boxes = torch.cat([o.boxes_xyxy_px for o in outputs], 1)
    torch.testing.assert_close(boxes, whole.boxes_xyxy_px, rtol=1e-5, atol=1e-3)
    for ours, theirs in zip(state.hidden, last.hidden, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    if last.memory is not None:
        torch.testing.assert_close(state.memory, last.memory, rtol=0, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("branches", BRANCHES)
def test_the_future_changes_nothing_earlier_and_the_past_something_later(branches):
    detector, images = build(branches), clip(4)
    before, _ = detector(images)
    images[:, 2] = 1 - images[:, 2]
    after, _ = detector(images)
    changed = (before.logits - after.logits).abs().amax((0, 2, 3)) > 1e-6
    assert changed.tolist() == [False, False, True, branches != "cnn"]


@torch.no_grad()
def test_clips_of_a_batch_do_not_see_each_other():
    detector = build()
    images = clip(3, clips=2)
    both, _ = detector(images)
    alone, _ = detector(images[1:])
    torch.testing.assert_close(both.logits[1:], alone.logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("branches", "fusion"),
    [(branches, "gated") for branches in BRANCHES] + [(BRANCHES[-1], fusion) for fusion in ("concat", "sum")],
)
def test_gradient_reaches_every_parameter(branches, fusion):
    detector = build(branches, fusion=fusion).train()
    targets = [[TARGET] * 2]
    for _ in range(3):  # zero-initialised layers stand behind each other: gradient passes one more at each step
        output, _ = detector(clip(2), None, targets, torch.Generator().manual_seed(0))
        detector.zero_grad()
        Criterion()(output, targets)["total"].backward()
        with torch.no_grad():
            for p in detector.parameters():
                p -= 1e-2 * p.grad.clamp(-1, 1)
    still = [name for name, p in detector.named_parameters() if not p.grad.abs().sum() > 0]
    assert still == []


def test_parts_switched_off_have_no_parameters():
    names = {branches: set(build(branches).state_dict()) for branches in BRANCHES}
    assert not [name for name in names["cnn"] if name.startswith("context.")]
    for branches in BRANCHES:
        assert any("recurrences" in name for name in names[branches]) == ("rnn" in branches)
        assert any("encoder" in name for name in names[branches]) == ("transformer" in branches)
        assert names["cnn"] <= names[branches] <= names["cnn+rnn+transformer"]


def test_tiny_is_of_the_promised_size():
    assert 1e6 < sum(p.numel() for p in Network(tiny(("a", "b"))).parameters()) < 3e6


@torch.no_grad()
@pytest.mark.parametrize(("height", "width"), [(48, 64), (50, 33), (17, 90), (1, 1), (16, 256)])
def test_any_size_goes_in_and_boxes_stay_inside(height, width):
    detector = build()
    output, state = detector(clip(2, height, width))
    detector(clip(1, height, width), state)
    assert output.size_hw_px == (height, width)
    for detections in postprocess(output)[0]:
        assert (detections.boxes_xyxy_px >= 0).all()
        assert (detections.boxes_xyxy_px <= torch.tensor([width, height, width, height])).all()


@torch.no_grad()
def test_padding_below_and_right_is_not_seen_from_afar():
    """An image and the same one with its padding spelled out agree: sizes are the caller's, not the stride's."""
    detector = build("cnn")
    images = clip(1, 40, 56)
    padded = detector.mean.expand(3, 48, 64).clone()[None, None]
    padded[..., :40, :56] = images
    torch.testing.assert_close(detector(images)[0].logits, detector(padded)[0].logits, rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_part_is_seen_alike_wherever_it_lies():
    """Tiles are trained on and photographs predicted on: away from borders, a shift by whole cells shifts the answer.

    Group norm's statistics are of the whole map, which only wraps around here.
    """
    detector = build("cnn")
    images = torch.full((1, 1, 3, 256, 256), 0.4)
    images[..., 96:112, 96:120] = 0.9
    here = detector(images)[0].proposals
    there = detector(images.roll((32, 16), (-2, -1)))[0].proposals
    fine = here.logits[0, 0, : 64 * 64].unflatten(0, (64, 64))
    moved = there.logits[0, 0, : 64 * 64].unflatten(0, (64, 64))
    torch.testing.assert_close(moved[24:40, 24:40], fine[16:32, 20:36], rtol=0, atol=0.05)


def test_denoising_tells_the_queries_nothing():
    detector = build().train()
    generator = torch.Generator().manual_seed(0)
    images = clip(1)
    plain, _ = detector(images)
    for target in (TARGET, Target(TARGET.boxes_xyxy_px + 9, TARGET.labels.flip(0)), Target.empty()):
        output, _ = detector(images, None, [[target]], generator)
        torch.testing.assert_close(output.logits, plain.logits, rtol=0, atol=1e-5)
        torch.testing.assert_close(output.boxes_xyxy_px, plain.boxes_xyxy_px, rtol=0, atol=1e-4)
        assert output.denoising is not None
        assert len(output.denoising.layers) == 2


@torch.no_grad()
def test_a_blank_frame_still_hears_of_the_past_and_a_cnn_does_not():
    for branches in BRANCHES:
        detector, images = build(branches), clip(3, 32, 32)
        images[:, 2] = 0
        other = clip(3, 32, 32, seed=1)
        other[:, 2] = 0
        same = torch.equal(detector(images)[0].logits[:, 2], detector(other)[0].logits[:, 2])
        assert same == (branches == "cnn"), branches


def test_postprocess_answers_pixels_best_first():
    logits = torch.tensor([[[[2.0, -9], [-9, 3], [-1, -9]]]])
    boxes = torch.tensor([[[[10.0, 10, 20, 25], [-5, 30, 200, 300], [70, 70, 90, 90]]]])
    output = Output(logits, boxes, (50, 64), (), Proposals(logits, boxes, boxes[0, 0, :, :2], torch.full((3,), 4.0)))
    [[detections]] = postprocess(output, limit=3, threshold=0.01)
    assert detections.labels.tolist() == [1, 0]  # the third lies outside the image
    assert detections.boxes_xyxy_px.tolist() == [[0, 30, 64, 50], [10, 10, 20, 25]]
    torch.testing.assert_close(detections.scores, torch.tensor([3.0, 2.0]).sigmoid())
    assert len(postprocess(output, limit=1)[0][0].scores) == 1
    assert len(postprocess(output, threshold=0.9)[0][0].scores) == 1


def test_a_trained_cnn_carries_over_to_the_hybrid():
    torch.manual_seed(1)
    cnn, hybrid = Network(replace(SMALL, branches="cnn")), Network(SMALL)
    missing, unexpected = hybrid.load_compatible(cnn.state_dict())
    assert missing
    assert all(name.startswith("context.") for name in missing)
    assert unexpected == []
    own = hybrid.state_dict()
    assert all(torch.equal(own[name], weight) for name, weight in cnn.state_dict().items())
    missing, unexpected = cnn.load_compatible(hybrid.state_dict())
    assert missing == []
    assert all(name.startswith("context.") for name in unexpected)


def test_categories_carry_over_by_name():
    torch.manual_seed(1)
    old = Network(replace(SMALL, categories=("washer", "bolt", "screw")))
    new = Network(replace(SMALL, categories=("bolt", "gear")))
    start = {name: x.clone() for name, x in new.state_dict().items()}
    missing, unexpected = new.load_compatible(old.state_dict(), old.config.categories)
    assert missing == unexpected == []
    rows = [name for name, x in old.state_dict().items() if x.shape != start[name].shape]
    assert sorted(rows) == sorted(
        ["decoder.label.weight"]
        + [
            f"decoder.{head}.{kind}"
            for head in ("propose.score", "score.0.2", "score.1.2")
            for kind in ("bias", "weight")
        ]
    )
    for name in rows:
        assert torch.equal(new.state_dict()[name][0], old.state_dict()[name][1])
        assert torch.equal(new.state_dict()[name][1], start[name][1])
    with pytest.raises(ValueError, match=r"2 categories.*3 rows"):
        new.load_compatible(old.state_dict(), ("bolt", "gear"))


def test_a_foreign_checkpoint_is_reported():
    missing, unexpected = build().load_compatible({"conv1.weight": torch.zeros(3)})
    assert "pyramid.laterals.0.0.weight" in missing
    assert unexpected == ["conv1.weight"]


@torch.no_grad()
def test_wrong_state_is_reported_with_both_sides():
    detector = build()
    _, state = detector(clip(1))
    with pytest.raises(ValueError, match=r"\(1, 16, 6, 8\).*\(2, 16, 6, 8\)"):
        detector(clip(1, clips=2), state)
    with pytest.raises(ValueError, match=r"\(1, 16, 6, 8\).*\(1, 16, 12, 8\)"):
        detector(clip(1, height=96), state)
    with pytest.raises(ValueError, match=r"memory.*\(1, 4, 16\).*\(1, 9, 16\)"):
        detector(clip(1, height=96, width=80), State(memory=state.memory))
    with pytest.raises(ValueError, match=r"2 recurrent maps.*'cnn'"):
        build("cnn")(clip(1), state)
    with pytest.raises(ValueError, match=r"memory.*'cnn\+rnn'"):
        build("cnn+rnn")(clip(1), State(memory=state.memory))


def test_a_detached_state_lets_no_gradient_back():
    detector = build().train()
    _, state = detector(clip(2))
    assert state.hidden[0].requires_grad
    detached = state.detach()
    assert not any(x.requires_grad for x in (*detached.hidden, detached.memory))


@torch.no_grad()
def test_bfloat16_is_near_float32():
    detector, images = build(), clip(2)
    exact, _ = detector(images)
    with torch.autocast("cpu", torch.bfloat16):
        rough, state = detector(images)
        detector(images, state)
    assert rough.boxes_xyxy_px.dtype == torch.float32
    torch.testing.assert_close(rough.proposals.logits.float(), exact.proposals.logits, rtol=0, atol=0.2)


@pytest.mark.parametrize("weights", ["none", "file"])
def test_base_starts_from_torchvisions_weights(weights, tmp_path):
    from torchvision.models import resnet18

    net = resnet18(weights=None)
    if weights == "file":
        weights = str(tmp_path / "resnet18.pth")
        torch.save(net.state_dict(), weights)
    config = replace(PRESETS["base"](("bolt",)), width=32, queries=10, weights=weights)
    detector = Network(config)
    if weights != "none":
        assert torch.equal(detector.backbone.stem[0].weight, net.conv1.weight)
        assert torch.equal(detector.backbone.layer3[1].bn2.running_var, net.layer3[1].bn2.running_var)
        assert not torch.equal(Network(config, pretrained=False).backbone.stem[0].weight, net.conv1.weight)
        net.eval()
        x = torch.rand(1, 3, 64, 64)
        wanted = net.layer3(net.layer2(net.layer1(net.maxpool(net.relu(net.bn1(net.conv1(x)))))))
        torch.testing.assert_close(detector.backbone(x)[2], wanted, rtol=1e-4, atol=1e-4)
    output, _ = detector.eval()(clip(1, 50, 70))
    assert output.logits.shape == (1, 1, 10, 1)


def test_a_file_that_holds_another_network_is_reported(tmp_path):
    file = tmp_path / "other.pth"
    torch.save({"conv1.weight": torch.zeros(2, 2)}, file)
    with pytest.raises(ValueError, match=r"other\.pth holds no ResNet-18"):
        Network(replace(PRESETS["base"](("bolt",)), weights=str(file)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"branches": "rnn"}, r"branches: there is no 'rnn'.*cnn\+rnn"),
        ({"categories": ()}, "categories: needs"),
        ({"categories": ("a", "a")}, "categories: needs"),
        ({"weights": "imagenet"}, r"weights: 'imagenet'.*default"),
        ({"width": 60, "heads": 8}, "width: needs a multiple of"),
        ({"queries": 0}, "queries: needs 1 or more, got 0"),
        ({"memory_frames": -1}, "memory_frames: needs 0 or more"),
    ],
)
def test_a_config_that_cannot_be_is_reported(changes, message):
    with pytest.raises(ValueError, match=message):
        ModelConfig(**({"categories": ("a",)} | changes))


@pytest.mark.parametrize(("key", "table"), [("backbone", BACKBONES), ("fusion", FUSIONS)])
def test_an_unknown_row_is_reported_with_the_known_ones(key, table):
    with pytest.raises(ValueError, match=f"{key}: there is no 'nosuch'.*{sorted(table)[0]}"):
        Network(replace(SMALL, **{key: "nosuch"}))


def test_tiny_has_no_ready_weights():
    with pytest.raises(ValueError, match="'tiny' starts from none"):
        Network(replace(SMALL, weights="default"))
