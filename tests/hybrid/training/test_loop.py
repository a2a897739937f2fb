"""A run ends the same whether or not it was killed, and says what it is."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hybrid.core.config import ModelConfig, tiny
from hybrid.core.errors import RunError
from hybrid.core.progress import silent
from hybrid.data.clips import ClipSource
from hybrid.data.coco import read_coco
from hybrid.losses.criterion import Criterion
from hybrid.metrics.detection import evaluate, operating_score
from hybrid.model.network import Network
from hybrid.predict.tiles import View
from hybrid.training.config import AugmentConfig, TrainConfig
from hybrid.training.device import training_device
from hybrid.training.loop import train
from hybrid.training.run.folder import Summary
from hybrid.training.run.summary import OPERATING_FRAMES
from hybrid.training.samples.batch import Batches
from hybrid.training.samples.sampler import WeightedSource
from hybrid.training.schedule import ema_decay, rate
from hybrid.training.step import Training
from hybrid.weights.checkpoint import load, save_detector
from tests.hybrid.photos import CATEGORIES, coco_document, write_coco, write_video
from tests.hybrid.variants import full


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> ClipSource:
    return read_coco(write_video(tmp_path_factory.mktemp("video"), 4), CATEGORIES)


def model() -> ModelConfig:
    return full(
        CATEGORIES,
        width=16,
        heads=2,
        queries=10,
        decoder_layers=1,
        denoising_queries=10,
    )


def config(**changes: object) -> TrainConfig:
    small = {"steps": 5, "batch_clips": 2, "clip_length": 2, "tile_px": 32, "warmup_steps": 1, "log_every": 2}
    return TrainConfig(**(small | {"workers": 0, "checkpoint_every_s": 0.0, "device": "cpu"} | changes))


def detector(seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return Network(model())


def run(source: ClipSource, folder: Path, config: TrainConfig, progress: Callable = silent, seed: int = 0) -> Summary:
    return train(detector(seed), [WeightedSource(source)], config, folder, resume=True, progress=progress)


def killer(at_step: int) -> Callable[[int, int, Mapping[str, float]], None]:
    def kill(done: int, total: int, values: Mapping[str, float]) -> None:
        if done == at_step:
            raise Killed

    return kill


def _losses(folder: Path) -> list[dict[str, float]]:
    """The rows of the log without the times."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: x for name, x in row.items() if name not in ("seconds_per_step", "data_wait_share")} for row in rows]


def _bytes(folder: Path) -> list[bytes]:
    return [(folder / f"{name}.safetensors").read_bytes() for name in ("raw", "ema")]


@pytest.fixture(scope="module")
def whole(source: ClipSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run(source, folder, config())
    assert _bytes(folder)[0] != _bytes(folder)[1]
    return folder


@pytest.mark.parametrize("checkpoint_every_s", [0.0, 1e9], ids=["checkpoint each step", "checkpoint at the start only"])
@pytest.mark.parametrize("killed_at", [[1], [4], [2, 3]])
def test_a_killed_run_ends_with_the_same_weights(
    source: ClipSource, whole: Path, tmp_path: Path, killed_at: list[int], checkpoint_every_s: float
) -> None:
    parts = config(checkpoint_every_s=checkpoint_every_s)
    for start, step in enumerate(killed_at):
        with pytest.raises(Killed):
            run(source, tmp_path / "parts", parts, killer(step), seed=start)  # other first weights: the folder's count
    run(source, tmp_path / "parts", parts, seed=9)
    assert _bytes(tmp_path / "parts") == _bytes(whole)
    assert _losses(tmp_path / "parts") == _losses(whole)
    assert [row["step"] for row in _losses(tmp_path / "parts")] == [2, 4, 5]


@pytest.mark.slow
def test_five_kills_at_random_steps_between_random_checkpoints_change_nothing(
    source: ClipSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, rng = config(steps=12, log_every=5), random.Random(16)
    run(source, tmp_path / "whole", plan)
    clock = itertools.count()  # a checkpoint is due after about every second step
    monkeypatch.setattr("hybrid.training.loop.time.monotonic", lambda: next(clock) * rng.random())
    often = plan.model_copy(update={"checkpoint_every_s": 3.0, "pictures_every_s": 5.0})
    for start, step in enumerate(sorted(rng.sample(range(1, 12), 5))):
        with pytest.raises(Killed):
            run(source, tmp_path / "parts", often, killer(step), seed=start)
    run(source, tmp_path / "parts", often, seed=99)
    assert _bytes(tmp_path / "parts") == _bytes(tmp_path / "whole")
    assert _losses(tmp_path / "parts") == _losses(tmp_path / "whole")


def test_a_kill_while_the_checkpoint_is_written_leaves_the_last_one(
    source: ClipSource, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_file, calls = __import__("os").replace, []

    def fail(part: Path, path: Path) -> None:
        calls.append(path)
        if sum(Path(p).name == "checkpoint.safetensors" for p in calls) == 3:
            raise Killed
        replace_file(part, path)

    with monkeypatch.context() as patched:
        patched.setattr("os.replace", fail)
        with pytest.raises(Killed):
            run(source, tmp_path / "parts", config())
    run(source, tmp_path / "parts", config())
    assert _bytes(tmp_path / "parts") == _bytes(whole)


def test_a_finished_run_returns_at_once_and_another_config_is_refused(source: ClipSource, tmp_path: Path) -> None:
    first = run(source, tmp_path, config())
    before = {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    again = run(source, tmp_path, config(log_every=1), killer(0))
    assert again.run == json.loads(json.dumps(first.run))
    assert {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == before
    with pytest.raises(RunError, match=r"another config: train\.learning_rate was 0\.0005 and is 0\.1"):
        run(source, tmp_path, config(learning_rate=0.1))
    with pytest.raises(RunError, match="resume it, or choose another folder"):
        train(detector(), [WeightedSource(source)], config(), tmp_path)
    with pytest.raises(RunError, match="data"):
        run(replace(source, name="other"), tmp_path, config())


def test_a_run_says_what_it_was(source: ClipSource, tmp_path: Path) -> None:
    reports = []
    summary = train(
        detector(),
        [WeightedSource(source)],
        config(),
        tmp_path,
        validation=source,
        view=View(tile_px=64, overlap_px=16, scales=(1.0,)),
        progress=lambda done, total, values: reports.append((done, total)),
    )
    assert reports == [(k, 5) for k in range(1, 6)]
    stated = json.loads((tmp_path / "run.json").read_text())
    assert stated == json.loads(json.dumps(summary.run))
    assert stated["categories"] == list(CATEGORIES)
    assert stated["data"][0]["boxes"] == {"bolt": 4, "washer": 0}
    assert stated["parameters"] == sum(p.numel() for p in detector().parameters())
    assert 0 <= stated["this_process"]["data_wait_share"] <= 1
    assert stated["validation"].keys() == {"ema", "raw"}
    assert stated["operating_point"].keys() == {"score", "frames", "on"}
    assert stated["operating_point"]["on"] == "held out"
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "samples.jpg").read_bytes().startswith(b"\xff\xd8")
    assert (tmp_path / "metrics.csv").read_text().count("\n") == 1 + 3
    assert not [file for file in tmp_path.iterdir() if file.suffix == ".tmp"]
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4, 5]
    assert all(0 <= row["data_wait_share"] <= 1 and row["loss"] > 0 for row in rows)


def test_where_nothing_is_held_out_the_operating_point_is_found_on_some_of_what_was_learned(
    source: ClipSource, tmp_path: Path
) -> None:
    summary = run(source, tmp_path, config())
    few = source.take(len(source))
    detections = evaluate(summary.load(), few).detections
    assert len(source.frames) <= OPERATING_FRAMES
    assert summary.run["operating_point"] == {
        "score": operating_score(detections, few.frames),
        "frames": len(source.frames),
        "on": "trained on",
    }


def test_what_was_saved_loads_as_the_same_detector(source: ClipSource, tmp_path: Path) -> None:
    trained = detector()
    summary = train(trained, [WeightedSource(source)], config(), tmp_path)
    images = torch.rand(1, 2, 3, 64, 64)
    loaded = summary.load("raw")
    assert loaded.config == trained.config
    with torch.inference_mode():
        assert torch.equal(loaded(images)[0].logits, trained.eval()(images)[0].logits)
    save_detector(tmp_path / "x.safetensors", loaded)
    again = load(tmp_path / "x.safetensors").state_dict()
    assert all(torch.equal(again[name], tensor) for name, tensor in loaded.state_dict().items())
    with pytest.raises(RunError, match="no such file"):
        load(tmp_path / "nowhere.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"rubbish")
    with pytest.raises(RunError, match="cannot be read"):
        load(tmp_path / "bad.safetensors")
    with pytest.raises(RunError, match="holds no detector"):
        load(tmp_path / "checkpoint.safetensors")


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_a_loss_that_is_not_finite_stops_the_run_with_the_last_good_weights(
    source: ClipSource, tmp_path: Path, where: str
) -> None:
    class Broken(Criterion):
        calls = 0

        def __call__(self, *given):  # type: ignore[no-untyped-def]
            Broken.calls += 1
            losses = super().__call__(*given)
            if Broken.calls == 3:
                if where == "loss":
                    losses["total"] = losses["total"] * float("nan")
                else:
                    losses["total"].register_hook(lambda gradient: gradient * float("inf"))
            return losses

    with pytest.raises(RunError, match=r"step 2: the loss or its gradient is not finite.*checkpoint of step 2") as said:
        train(detector(), [WeightedSource(source)], config(), tmp_path, criterion=Broken())
    assert str(tmp_path / "stopped.png") in str(said.value)
    assert "lower learning rate than 0.0005" in str(said.value)
    training = Training(detector(1), config(), Criterion(), training_device("cpu"))
    training.restore(tmp_path / "checkpoint.safetensors")
    assert training.steps_done == 2
    assert all(tensor.isfinite().all() for tensor in training.detector.state_dict().values())


def test_the_rate_rises_then_falls_along_a_cosine() -> None:
    plan = config(steps=100, warmup_steps=10)
    rates = [rate(plan, step) for step in range(100)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[10] == 1.0 == max(rates)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[55] == pytest.approx(0.505, abs=0.01)
    assert rates[-1] == pytest.approx(0.01, abs=0.01)
    assert rate(config(schedule="constant"), 4) == 1.0


def test_the_moving_average_spans_a_ninth_of_the_steps_so_far() -> None:
    assert 1 / (1 - ema_decay(config(steps=900), 899)) == pytest.approx(100, rel=0.02)
    assert ema_decay(config(steps=10**6), 10**5) == 0.9995
    early = [ema_decay(config(steps=1000), step) for step in range(50)]
    assert early == sorted(early)
    assert early[0] == pytest.approx(0.1)


def test_without_a_gradient_weights_decay_and_biases_and_norms_stay() -> None:
    network = detector()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1.0)
    training = Training(network, config(learning_rate=0.1, weight_decay=0.5), Criterion(), training_device("cpu"))
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    training.optimizer.step()
    kept = {name for name, parameter in network.named_parameters() if bool((parameter == 1).all())}
    nn = torch.nn
    norms, weights = (
        {
            f"{name}.{own}"
            for name, module in network.named_modules()
            if isinstance(module, kinds)
            for own, _ in module.named_parameters(recurse=False)
        }
        for kinds in ((nn.LayerNorm, nn.GroupNorm, nn.BatchNorm2d), (nn.Linear, nn.Conv2d))
    )
    biases = {name for name in weights if name.endswith("bias")}
    assert min(map(len, (norms, biases, weights - biases))) > 5
    assert norms | biases <= kept
    assert not kept & (weights - biases)


@pytest.mark.parametrize("grad_clip", [1e-3, 1e6])
def test_the_optimizer_never_sees_a_gradient_longer_than_the_clip(source: ClipSource, grad_clip: float) -> None:
    plan = config(grad_clip=grad_clip)
    training = Training(detector(), plan, Criterion(), training_device("cpu"))
    stated_norm = float(training.step(Batches([WeightedSource(source)], plan)[0])["grad_norm"])
    gradients = [parameter.grad for parameter in training.detector.parameters() if parameter.grad is not None]
    length = float(torch.cat([gradient.flatten() for gradient in gradients]).norm())
    assert 1e-2 < stated_norm < 1e5
    assert length == pytest.approx(min(stated_norm, grad_clip), rel=1e-3)


def test_a_backbone_at_rate_zero_stays_as_it_is(source: ClipSource, tmp_path: Path) -> None:
    before = {name: tensor.clone() for name, tensor in detector().state_dict().items()}
    after = train(detector(), [WeightedSource(source)], config(backbone_rate=0.0), tmp_path).load("raw").state_dict()
    same = {name: torch.equal(before[name], after[name]) for name in before}
    assert all(same[name] for name in same if name.startswith("backbone."))
    assert not all(same[name] for name in same if not name.startswith("backbone."))


@pytest.mark.slow
def test_training_lowers_the_loss_and_finds_what_it_saw(tmp_path: Path) -> None:
    """A tiny detector learns two tiny pictures by heart, and evaluation through tiles finds them."""
    photos = read_coco(write_coco(tmp_path / "photos", coco_document(2, (64, 64), boxes=1)))
    calm = AugmentConfig(strength=0.0, scale=(1.0, 1.0), horizontal_flip=0.0, vertical_flip=0.0, object_share=0.0)
    plan = config(
        steps=60,
        clip_length=1,
        tile_px=64,
        batch_clips=2,
        learning_rate=5e-3,
        warmup_steps=10,
        log_every=10,
        checkpoint_every_s=1e9,
        augment=calm,
    )
    torch.manual_seed(0)
    start = Network(replace(tiny(CATEGORIES), width=16, heads=2, queries=10, denoising_queries=10))
    summary = train(start, [WeightedSource(photos)], plan, tmp_path / "run")
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["loss"] < 0.6 * rows[0]["loss"]  # most of the rest is the denoising loss, which stays hard
    overall = evaluate(summary.load(), photos, View(tile_px=64, overlap_px=16, scales=(1.0,))).metrics.overall
    assert overall.ap50 is not None
    assert overall.ap50 > 0.7
