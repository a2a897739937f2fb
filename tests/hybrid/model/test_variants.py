"""Laws that every choice of every table keeps: streaming, causality, gradients, finite numbers, what costs nothing."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from hybrid.core.config import ATTENTION, BELT_ORDER, BRANCHES, NECK_NORMS, TOWERS
from hybrid.core.types import State, Target
from hybrid.losses.criterion import Criterion
from hybrid.model.frame.backbone import BACKBONES
from hybrid.model.network import Network
from hybrid.model.time.fusion import FUSIONS
from hybrid.model.time.temporal import TEMPORALS
from hybrid.predict.postprocess import postprocess
from hybrid.training.schedule import JOINING
from hybrid.weights.checkpoint import RETIRED, config_of
from tests.hybrid.variants import SMALL, TARGET, VARIANTS, build, clip

EARLIER = Path(__file__).parents[1] / "golden" / "earlier.json"


def test_the_table_has_every_row_of_every_choice():
    tables = {
        "branches": BRANCHES, "backbone": BACKBONES, "fusion": FUSIONS, "temporal": TEMPORALS, "attention": ATTENTION,
        "belt_order": BELT_ORDER, "towers": TOWERS,
        "neck_norm": NECK_NORMS,
    }  # fmt: skip
    for key, rows in tables.items():
        assert {getattr(replace(SMALL, **changes), key) for changes in VARIANTS.values()} == set(rows), key


def test_a_shared_tower_halves_the_work_of_the_towers_and_a_light_one_is_far_below():
    def work(**changes):
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            Network(replace(SMALL, width=64, branches="cnn", **changes)).eval()(clip(1, 64, 64))
        return counter.get_total_flops()

    rest = work(head_convs=0)
    apart, shared, light = (work(towers=towers) - rest for towers in TOWERS)
    assert shared == apart / 2
    assert light == shared * (9 + 64) / (9 * 64)


@torch.no_grad()
@pytest.mark.parametrize("name", VARIANTS)
def test_frame_by_frame_is_the_whole_clip_and_no_frame_sees_a_later_one(name):
    detector, images = build(name), clip(4, clips=2)
    elapsed = torch.tensor([[1.0, 0.5, 2.0, 1.0], [1.0, 1.0, 3.0, 0.25]])
    whole, last = detector(images, elapsed=elapsed)
    state, outputs = None, []
    for piece, time in zip(images.split([1, 2, 1], 1), elapsed.split([1, 2, 1], 1), strict=True):
        earlier = state
        output, state = detector(piece, state, elapsed=time)
        outputs.append(output)
    torch.testing.assert_close(torch.cat([o.logits for o in outputs], 1), whole.logits, rtol=1e-5, atol=1e-5)
    boxes = torch.cat([o.boxes_xyxy_px for o in outputs], 1)
    # in shares of the frame's 48 px, 3e-5: sizes are exponentials, so that some are larger than the frame
    torch.testing.assert_close(boxes, whole.boxes_xyxy_px, rtol=1e-5, atol=48 * 1e-5)
    assert (whole.tracks is not None) == bool(detector.config.tracks)
    if whole.tracks is not None:
        assert torch.equal(torch.cat([o.tracks.ids for o in outputs], 1), whole.tracks.ids)
        assert whole.tracks.ids.max() >= 0
    for one, other in zip(tensors(state), tensors(last), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert [x.shape for x in tensors(earlier)] == [x.shape for x in tensors(last)]  # it does not grow with the frames

    images[:, 2] = 1 - images[:, 2]
    after, _ = detector(images, elapsed=elapsed)
    changed = (whole.logits - after.logits).abs().amax((0, 2, 3)) > 1e-6
    config = detector.config
    remembers = config.recurrence or (config.transformer and config.memory_frames > 0) or config.tracks > 0
    assert changed.tolist() == [False, False, True, remembers]


def tensors(state):
    tracks = [] if state.tracks is None else [getattr(state.tracks, name) for name in ("content", "strength", "ids")]
    return [*state.hidden, *([] if state.memory is None else [state.memory]), *tracks]


def crowd(count):
    corner = torch.rand(count, 2, generator=torch.Generator().manual_seed(0)) * 30
    return Target(torch.cat([corner, corner + 1], 1), torch.zeros(count, dtype=torch.int64), torch.arange(count))


@pytest.mark.parametrize("name", VARIANTS)
def test_a_finite_gradient_reaches_every_parameter(name):
    """With a crowd of 300 parts of one pixel, a black and empty frame, and an ordinary one twice, in bfloat16.

    Twice, so that on any CPU some target is matched by a query that is followed from the frame before.
    """
    detector = build(name).train()
    targets = [[crowd(300), Target.empty(), TARGET, TARGET]]
    images = clip(4)
    images[:, 1], images[:, 3] = 0, images[:, 2]
    with torch.autocast("cpu", torch.bfloat16):
        output, _ = detector(images, None, targets, torch.Generator().manual_seed(0))
        loss = Criterion()(output, targets)["total"]
    loss.backward()
    assert torch.isfinite(loss)
    assert output.boxes_xyxy_px.dtype == torch.float32
    unreached = [
        key for key, p in detector.named_parameters() if p.grad is None or (p.numel() and not p.grad.abs().sum() > 0)
    ]
    assert unreached == []
    assert all(p.grad.isfinite().all() for p in detector.parameters())


WITH_BRANCHES = (
    "cnn+rnn", "cnn+transformer", "all", "conv_lstm", "lstm", "concat", "sum", "cross_attention", "back_and_forth",
    "two levels", "best tokens",
)  # fmt: skip


@pytest.mark.parametrize("name", WITH_BRANCHES)
def test_a_quiet_start_is_the_cnn_and_learns_from_the_first_steps_on(name):
    torch.manual_seed(0)
    detector, images = Network(replace(SMALL, **VARIANTS[name])), clip(2)
    alone = detector(images, cnn_only=True)[0]
    torch.testing.assert_close(detector(images)[0].logits, alone.logits, rtol=0, atol=2e-6)
    loud = Network(replace(SMALL, quiet_start=False, **VARIANTS[name]))
    assert (loud(images)[0].logits - loud(images, cnn_only=True)[0].logits).abs().max() > 1e-5
    targets = [[TARGET] * 2]
    for _ in range(4):  # the corrections of the decoder start at nothing too
        detector.zero_grad()
        Criterion()(detector(images, None, targets, torch.Generator().manual_seed(0))[0], targets)["total"].backward()
        with torch.no_grad():
            for p in detector.parameters():
                p -= 1e-2 * p.grad.clamp(-1, 1)
    heard = detector(images)[0].logits - detector(images, cnn_only=True)[0].logits
    assert heard.abs().max() > 1e-5


@pytest.mark.parametrize("name", VARIANTS)
def test_what_is_switched_off_has_no_parameters(name):
    config = replace(SMALL, **VARIANTS[name])
    with torch.device("meta"):
        names = list(Network(config).state_dict())
    there = {
        "context.recurrences.": config.recurrence,
        "context.encoder.layers.": config.transformer,
        "context.encoder.worth.": config.transformer and config.memory_tokens > 0,
        "context.encoder.level": config.transformer and config.encoder_levels > 1,
        "context.fusions.": (config.recurrence or config.transformer) and config.fusion != "sum",
        "between.": config.transformer and config.attention == "back_and_forth",
        "decoder.objects.": config.tracks > 0,
        "decoder.belt.": config.belt_order != "off",
        "decoder.label.": config.denoising_queries > 0,
    }
    for prefix, wanted in there.items():
        assert any(name.startswith(prefix) for name in names) == wanted, prefix


@torch.no_grad()
@pytest.mark.parametrize("name", ["all", "everything"])
def test_the_cnn_alone_is_the_detector_without_the_other_parts(name):
    detector = build(name)
    cnn = Network(replace(detector.config, branches="cnn", tracks=0, belt_order="off")).eval()
    missing, unexpected = cnn.load_compatible(detector.state_dict())
    assert missing == []
    assert all(key.startswith(JOINING) for key in unexpected)
    alone, state = detector(clip(2), cnn_only=True)
    assert state == State()
    assert torch.equal(alone.logits, cnn(clip(2))[0].logits)


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cnn+rnn", r"2 recurrent maps; 'cnn' has 0"),
        ("cnn+transformer", "memory of tokens; a 'cnn' detector has none"),
        ("cnn with tracks", r"tracks .* are \(1, 6, 16, 2\); needed: \(1, 0, 16, 2\)"),
    ],
)
def test_a_state_of_another_model_or_batch_is_reported_with_both_sides(name, message):
    detector = build(name)
    _, state = detector(clip(1))
    with pytest.raises(ValueError, match=r"\(1, .*\(2, "):
        detector(clip(1, clips=2), state)
    with pytest.raises(ValueError, match=message):
        build("cnn")(clip(1), state)


@torch.no_grad()
@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        ("all", "conv_lstm", r"map is \(1, 16, 4, 6\); these clips need \(1, 32, 4, 6\)"),
        ("all", "lstm", r"map is \(1, 16, 4, 6\); these clips need \(1, 32, 1, 1\)"),
        ("all", "best tokens", r"memory .* is \(1, 2, 16\); these clips need \(1, 3, 16\)"),
        ("all", "no memory", "memory is of 1 frames; this detector keeps 0"),
    ],
)
def test_a_state_of_another_variant_is_reported_with_both_sides(one, other, message):
    _, state = build(one)(clip(1))
    with pytest.raises(ValueError, match=message):
        build(other)(clip(1), state)


@torch.no_grad()
def test_images_and_times_that_do_not_fit_are_reported_with_both_sides():
    detector = build("all")
    with pytest.raises(ValueError, match="4 channels; this detector takes 3"):
        detector(torch.rand(1, 2, 4, 32, 32))
    with pytest.raises(ValueError, match=r"elapsed is \(1, 3\); these clips and frames are \(1, 2\)"):
        detector(clip(2), elapsed=torch.ones(1, 3))
    with pytest.raises(ValueError, match="elapsed: needs times above 0, got -1"):
        detector(clip(2), elapsed=torch.tensor([[1.0, -1.0]]))


# --- detectors of earlier versions ---------------------------------------------------------------------------------


def filled(detector: Network) -> Network:
    """Weights by a formula of their names, so that no file need be kept."""
    for name, tensor in detector.state_dict().items():
        noise = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(tuple(tensor.shape))
        if tensor.ndim > 1:
            noise /= max(1, noise[0].size) ** 0.5
        else:
            noise = 0.1 * noise + float("norm" in name and name.endswith("weight"))
        tensor.copy_(torch.from_numpy(noise))
    return detector.eval()


@torch.no_grad()
@pytest.mark.parametrize("case", json.loads(EARLIER.read_text()), ids=lambda case: case["name"])
def test_a_detector_of_an_earlier_version_is_the_same_still(case):
    """Its config has no key that came later; its tensors' names and shapes, and what it answers, are as they were.

    But for what was taught and never asked.
    """
    detector = filled(Network(config_of(case["model"])))
    tensors = detector.state_dict()
    tensors |= {name: tensors[name.replace("dense_score", "score")] for name in RETIRED}
    listing = "".join(f"{name} {tuple(x.shape)}\n" for name, x in sorted(tensors.items()))
    assert zlib.crc32(listing.encode()) == case["tensors"]
    output, state = detector(clip(3, 48, 64, seed=3))
    torch.testing.assert_close(output.logits[0, -1].mean(0), torch.tensor(case["logits"]), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(output.boxes_xyxy_px[0, -1, 0], torch.tensor(case["box"]), rtol=1e-3, atol=1e-2)
    assert [tuple(h.shape) for h in state.hidden] == [tuple(shape) for shape in case["hidden"]]


def test_detections_carry_the_ids_of_their_queries():
    detector = build("tracks")
    with torch.no_grad():
        output, _ = detector(clip(3))
    detections = postprocess(output, limit=5)[0]
    for k, frame in enumerate(detections):
        assert frame.track_ids is not None
        for box, one in zip(frame.boxes_xyxy_px, frame.track_ids, strict=True):
            limit = torch.tensor([48.0, 32, 48, 32])
            at = (output.boxes_xyxy_px[0, k].clamp(min=0).minimum(limit) == box).all(-1)
            assert one in output.tracks.ids[0, k][at]
    with torch.no_grad():
        assert postprocess(build("all")(clip(1))[0])[0][0].track_ids is None
