"""What each training method does to the weights and to the labels, worked out on small numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from hybrid.core.errors import ConfigError
from hybrid.core.types import Detections
from hybrid.data.clips import ClipSource
from hybrid.data.coco import read_coco
from hybrid.losses.criterion import Criterion
from hybrid.model.network import Network
from hybrid.model.transfer import category_tensors
from hybrid.training.config import TrainConfig
from hybrid.training.device import training_device
from hybrid.training.methods.batch_norm import BatchNorm, batch_norms
from hybrid.training.methods.mean_teacher import MeanTeacher, targets_of, weak
from hybrid.training.methods.method import Method
from hybrid.training.methods.table import METHODS, Materials, make_methods, method_names
from hybrid.training.methods.weights import L2SP, Fresh, FrozenFirst, WiseFT
from hybrid.training.samples.batch import Batches
from hybrid.training.samples.sampler import Sampler, WeightedSource
from hybrid.training.step import Training
from tests.hybrid.photos import CATEGORIES, coco_document, write_coco, write_video
from tests.hybrid.variants import SMALL

MODEL = replace(SMALL, branches="cnn", categories=CATEGORIES, decoder_layers=1)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> ClipSource:
    return read_coco(write_coco(tmp_path_factory.mktemp("photos"), coco_document(2)))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> ClipSource:
    return read_coco(write_video(tmp_path_factory.mktemp("video"), 5), CATEGORIES)


def config(**changes: object) -> TrainConfig:
    small = {"steps": 4, "batch_clips": 2, "tile_px": 32, "warmup_steps": 0, "workers": 0, "device": "cpu"}
    return TrainConfig(**(small | changes))


def training(*methods: Method, **changes: object) -> Training:
    torch.manual_seed(0)
    made = Training(Network(MODEL), config(**changes), Criterion(), training_device("cpu"), methods)
    made.detector.train()
    return made


def weights(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def test_the_backbone_waits_and_then_learns(photos: ClipSource) -> None:
    run = training(FrozenFirst(share=0.5), frozen_stages=1)
    batches, before = Batches([WeightedSource(photos)], run.config), weights(run.detector)
    for step in range(3):
        run.step(batches[step])
        moved = {name for name, tensor in weights(run.detector).items() if not torch.equal(tensor, before[name])}
        assert any(name.startswith("decoder.") for name in moved)
        assert any(name.startswith("backbone.coarse") for name in moved) == (step >= 2), step
        assert not any(name.startswith(("backbone.stem", "backbone.fine")) for name in moved)  # frozen for good
        assert run.detector.backbone.stages()[2].training == (step >= 2)
        assert not run.detector.backbone.stem.training


def test_the_penalty_pulls_to_the_start_and_what_is_new_to_zero() -> None:
    method = L2SP(Fresh(rows=(1,)), alpha=0.5, beta=0.25)
    run = training(method)
    assert {group["weight_decay"] for group in run.optimizer.param_groups} == {0.0}
    name = sorted(category_tensors(run.detector))[0]
    head, other = run.detector.get_parameter(name), run.detector.get_parameter("backbone.stem.0.weight")
    start, unused = (
        head.detach().clone(),
        next(p for p in run.detector.parameters() if p is not head and p is not other),
    )
    with torch.no_grad():
        head += 2.0
        other += 4.0
    head.grad, other.grad = torch.ones_like(head), torch.ones_like(other)
    method.after_backward(run)
    assert torch.allclose(other.grad, torch.full_like(other, 1 + 0.5 * 4))
    assert torch.allclose(head.grad[0], torch.full_like(head[0], 1 + 0.5 * 2))
    assert torch.allclose(head.grad[1], 1 + 0.25 * (start[1] + 2))
    assert unused.grad is None


def test_the_mix_is_of_before_and_after_and_keeps_most_of_what_is_as_good() -> None:
    scores = iter([0.70, 0.796, 0.80, 0.75])
    method = WiseFT(Fresh(rows=(0,)), lambda network: next(scores))
    run = training(method)
    before = weights(run.detector)
    after = {name: tensor + 1 if tensor.is_floating_point() else tensor for name, tensor in before.items()}
    mixed = method.end(run.detector, after)
    assert method.results()["alpha"] == 0.5  # 0.75 is better by less than `slack`
    assert method.results()["ap_by_alpha"] == {"0.25": 0.70, "0.5": 0.796, "0.75": 0.80, "1.0": 0.75}
    rows = category_tensors(run.detector)
    for name, tensor in mixed.items():
        if not tensor.is_floating_point():
            continue
        expected = before[name] + 0.5
        if name in rows:
            expected[0] = after[name][0]  # the category is new: its weights before the training mean nothing
        assert torch.allclose(tensor, expected), name
    blind = WiseFT(Fresh())
    training(blind)
    assert torch.allclose(
        blind.end(run.detector, after)["backbone.stem.0.weight"], before["backbone.stem.0.weight"] + 0.5
    )
    assert blind.results() == {"alpha": 0.5}


def found(scores: list[float], left: list[float], labels: list[int] | None = None) -> Detections:
    boxes = torch.tensor([[x, 10.0, x + 8, 18] for x in left]).reshape(-1, 4)
    return Detections(boxes, torch.tensor(scores), torch.tensor(labels or [0] * len(scores), dtype=torch.int64))


def test_on_photos_a_sure_detection_is_a_label_and_a_fair_one_is_ignored() -> None:
    (target,) = targets_of([found([0.9, 0.4, 0.3], [0, 20, 40], [1, 0, 1])], sure=0.4, video=False)
    assert target.labels.tolist() == [1, 0]
    assert target.boxes_xyxy_px[:, 0].tolist() == [0, 20]
    assert target.ignore_boxes_xyxy_px is not None
    assert target.ignore_labels is not None
    assert target.ignore_boxes_xyxy_px.tolist() == [[40, 10, 48, 18]]
    assert target.ignore_labels.tolist() == [1]
    (certain,) = targets_of([found([0.9], [0])], sure=0.4, video=False)
    assert certain.ignore_labels is None


def test_on_video_the_tracks_decide() -> None:
    """One object is in all four frames, once with a low score; another has a high score, but in two frames alone."""
    clip = [
        found([0.8, 0.9], [0, 60]),
        found([0.4], [2]),
        found([0.8, 0.9], [4, 62]),
        found([0.8], [6]),
    ]
    targets = targets_of(clip, sure=0.5, video=True)
    assert [target.boxes_xyxy_px[:, 0].tolist() for target in targets] == [[0], [2], [4], [6]]
    assert [None if t.ignore_boxes_xyxy_px is None else t.ignore_boxes_xyxy_px[:, 0].tolist() for t in targets] == [
        [60], None, [62], None,
    ]  # fmt: skip
    assert len({int(target.track_ids[0]) for target in targets if target.track_ids is not None}) == 1
    assert all(not len(t.labels) for t in targets_of([found([], [])] * 4, sure=0.5, video=True))


def test_teacher_and_student_see_the_same_window(video: ClipSource) -> None:
    """Without a change of colours the two would be the same picture: the draws of the window do not depend on it."""
    plan = config(clip_length=2)
    calm = weak(plan, video=True)
    assert (calm.clip_length, calm.augment.strength, calm.blank_probability) == (4, 0.0, 0.0)
    assert weak(plan, video=False).clip_length == 2
    assert calm.seed != plan.seed
    strong = calm.model_copy(update={"augment": plan.augment})
    one, other = (Sampler([WeightedSource(video)], c).sample(3) for c in (calm, strong))
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(one.truth, other.truth, strict=True))


def test_the_mean_teacher_teaches_what_it_finds_and_reads_no_label(video: ClipSource, photos: ClipSource) -> None:
    bare = replace(video, clips=tuple(replace(c, frames=tuple(_bare(f) for f in c.frames)) for c in video.clips))
    losses = []
    for source in (video, bare):
        method = MeanTeacher(lambda source=source: source, sure=0.01)
        run = training(method, augment={"strength": 0.0, "object_share": 0.0})
        with torch.no_grad():
            run.averaged.decoder.propose.score.bias += 3.0  # a teacher that finds things
        batch = Batches([WeightedSource(photos)], run.config)[0]
        losses.append(run.step(batch))
        assert run.averaged.training is False
        assert run.detector.training
    assert float(losses[0]["teacher/score"]) == float(losses[1]["teacher/score"]) > 0
    assert float(losses[0]["total"]) == pytest.approx(
        sum(float(value) for name, value in losses[0].items() if name not in ("total", "grad_norm")), rel=1e-5
    )
    silent = MeanTeacher(lambda: bare, sure=1.0)
    run = training(silent)
    with torch.no_grad():
        run.averaged.decoder.propose.score.bias -= 20.0
    (clip, _) = silent.pseudo_labels(run, torch.rand(2, 4, 3, 32, 32))
    assert all(not len(target.labels) for target in clip)


def _bare(frame):  # type: ignore[no-untyped-def]
    return replace(
        frame, boxes_xyxy_px=np.zeros((0, 4), np.float32), labels=np.zeros(0, np.int64), track_ids=None, hidden=None
    )


def test_statistics_of_batch_norms_become_those_of_the_new_pictures(photos: ClipSource) -> None:
    torch.manual_seed(0)
    network = Network(replace(MODEL, backbone="mobilenet_v3", norm="batch"))
    norms = batch_norms(network)
    first, momentum = norms[0], norms[0].momentum
    method = BatchNorm(lambda: photos, batches=2)
    training(method)  # tells the method the config
    before = weights(network)
    after = method.end(network, before)
    assert method.results() == {"norms": len(norms)}
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert changed
    assert all(name.endswith(("running_mean", "running_var", "num_batches_tracked")) for name in changed)
    assert (first.momentum, first.training) == (momentum, False)
    plain = Network(MODEL)
    without = BatchNorm(lambda: photos)
    training(without)
    kept = weights(plain)
    assert without.end(plain, kept) is kept


def test_methods_are_named_and_joined() -> None:
    assert method_names("l2-sp+wise-ft") == ("l2-sp", "wise-ft")
    made = make_methods(("plain", "frozen-first", "l2-sp"), Materials())
    assert [method.name for method in made] == ["frozen-first", "l2-sp"]
    for text in ("ema", "plain+plain", ""):
        with pytest.raises(ConfigError, match=r"choose from \['plain', 'frozen-first', 'l2-sp', 'wise-ft', 'mean"):
            method_names(text)
    with pytest.raises(ConfigError, match="give them: --unlabelled DIR"):
        make_methods(("mean-teacher",), Materials())
    given = Materials(photos=lambda: None, unlabelled=lambda: None)  # type: ignore[arg-type,return-value]
    for name in METHODS:
        assert [method.name for method in make_methods((name,), given)] == ([] if name == "plain" else [name])


def test_the_mean_teacher_s_labels_are_surer_than_the_operating_point() -> None:
    """On a new camera half of what is found at that score may be false."""
    for point, sure in ((0.3, 0.7), (0.8, 0.8)):
        (teacher,) = make_methods(("mean-teacher",), Materials(unlabelled=lambda: None, sure=point))  # type: ignore[arg-type,return-value]
        assert teacher.settings()["sure"] == sure


def test_what_is_fresh_is_known_by_name_and_by_row() -> None:
    torch.manual_seed(0)
    network = Network(MODEL)
    masks = Fresh(frozenset({"backbone.stem.0.weight"}), rows=(1,)).masks(network)
    assert set(masks) == {"backbone.stem.0.weight", *category_tensors(network)}
    assert bool(masks["backbone.stem.0.weight"].all())
    head = sorted(category_tensors(network))[0]
    assert masks[head].flatten().tolist() == [False, True]
    assert Fresh().masks(network) == {}
