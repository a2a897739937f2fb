"""Training in order: the CNN first, then the parts that join it; other frame rates; runs and files of other configs."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from hybrid.core.errors import DataError, RunError
from hybrid.data.clips import ClipSource
from hybrid.data.coco import read_coco
from hybrid.losses.criterion import Criterion
from hybrid.model.network import Network
from hybrid.training.config import AugmentConfig, TrainConfig
from hybrid.training.device import training_device
from hybrid.training.loop import train
from hybrid.training.run.folder import CONFIG
from hybrid.training.samples.batch import Batches
from hybrid.training.samples.sampler import Sampler, WeightedSource
from hybrid.training.schedule import JOINING, rate
from hybrid.training.step import Training
from hybrid.weights.checkpoint import load, read_header, read_tensors, save_detector
from pipelines.common.runs import changed, start
from tests.hybrid.photos import CATEGORIES, write_video
from tests.hybrid.variants import SMALL

MODEL = replace(SMALL, categories=CATEGORIES, tracks=4, belt_order="x", attention="back_and_forth")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> ClipSource:
    return read_coco(write_video(tmp_path_factory.mktemp("video"), 7), CATEGORIES)


def config(**changes: object) -> TrainConfig:
    small = {"steps": 4, "batch_clips": 1, "clip_length": 3, "tile_px": 32, "warmup_steps": 1, "log_every": 2}
    return TrainConfig(**(small | {"workers": 0, "checkpoint_every_s": 0.0, "device": "cpu"} | changes))


def detector(seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return Network(MODEL)


def test_the_other_parts_stay_as_they_are_until_they_join(source: ClipSource) -> None:
    training = Training(detector(), config(cnn_steps=2), Criterion(), training_device("cpu"))
    batches = Batches([WeightedSource(source)], training.config)
    training.detector.train()
    start = {name: tensor.clone() for name, tensor in training.detector.state_dict().items()}
    joining = [name for name in start if name.startswith(JOINING)]
    assert len(joining) > 20
    for step in range(4):
        training.step(batches[step])
        now = training.detector.state_dict()
        moved = {name for name in now if not torch.equal(now[name], start[name])}
        assert "backbone.coarse.1.first.weight" in moved
        assert bool(moved & set(joining)) == (step >= 2), step


def test_what_joins_is_warmed_up_from_there() -> None:
    plan = config(steps=100, warmup_steps=9, cnn_steps=40, schedule="constant")
    assert [rate(plan, step, 40) for step in (0, 39)] == [0.0, 0.0]
    assert [rate(plan, step, 40) for step in (40, 44, 49, 60)] == pytest.approx([0.1, 0.5, 1.0, 1.0])
    assert rate(plan, 60) == 1.0
    with pytest.raises(ValueError, match="cnn_steps: needs fewer than steps = 100, got 100"):
        config(steps=100, cnn_steps=100)


class Killed(Exception):
    pass


@pytest.mark.slow
def test_a_run_that_is_killed_as_the_parts_join_ends_with_the_same_weights(source: ClipSource, tmp_path: Path) -> None:
    plan = config(cnn_steps=2, longest_step=3)

    def kill(done: int, total: int, values: object) -> None:
        if done == 2:
            raise Killed

    whole = train(detector(), [WeightedSource(source)], plan, tmp_path / "whole")
    with pytest.raises(Killed):
        train(detector(), [WeightedSource(source)], plan, tmp_path / "parts", progress=kill)
    parts = train(detector(5), [WeightedSource(source)], plan, tmp_path / "parts", resume=True)
    names = ("raw.safetensors", "ema.safetensors")
    assert all((whole.folder / name).read_bytes() == (parts.folder / name).read_bytes() for name in names)
    _forget_new_keys(parts.folder / CONFIG)
    again = train(detector(), [WeightedSource(source)], plan, tmp_path / "parts", resume=True)
    assert again.run == parts.run
    with pytest.raises(RunError, match=r"model\.tracks was 4 and is 0"):
        train(Network(replace(MODEL, tracks=0)), [WeightedSource(source)], plan, tmp_path / "parts", resume=True)


def _forget_new_keys(path: Path) -> None:
    """As an earlier version wrote it: without the keys that stand at their defaults, and with `parts`."""
    stated = json.loads(path.read_text())
    for name, value in (("norm", "auto"), ("encoder_levels", 1), ("memory_tokens", 0)):
        assert stated["model"].pop(name) == value
    for name, value in (("frozen_stages", 0), ("stage_decay", 1.0)):
        assert stated["train"].pop(name) == value
    stated["model"]["parts"] = stated["model"].pop("branches")
    path.write_text(json.dumps(stated))


def test_frames_left_out_are_reported_as_time(source: ClipSource) -> None:
    calm = AugmentConfig(strength=0.0, scale=(1.0, 1.0), horizontal_flip=0.0, vertical_flip=0.0, object_share=0.0)
    plan = config(longest_step=3, tile_px=96, batch_clips=12, augment=calm, blank_probability=0.0)
    sampler = Sampler([WeightedSource(source)], plan)
    batch = Batches([WeightedSource(source)], plan)[0]
    assert batch.elapsed is not None
    assert sorted(set(batch.elapsed[:, 1].tolist())) == [1.0, 2.0, 3.0]
    assert batch.elapsed[:, 0].tolist() == [1.0] * 12
    for k, row in enumerate(batch.elapsed[:, 1].tolist()):
        lefts = [boxes[0, 0] for boxes, _ in sampler.sample(k).truth]
        assert lefts[1] - lefts[0] == lefts[2] - lefts[1] == 2 * row  # the bolt moves two pixels a frame
    assert Batches([WeightedSource(source)], config())[0].elapsed is None
    too_long = Sampler([WeightedSource(source)], plan.model_copy(update={"clip_length": 5, "longest_step": 9}))
    assert {too_long.sample(k).step for k in range(8)} == {1}


def test_blank_frames_are_as_many_as_asked_for_and_never_the_first(source: ClipSource) -> None:
    sampler = Sampler([WeightedSource(source)], config(blank_probability=0.3, clip_length=7))
    blank = torch.tensor([[bool((image == 114).all()) for image in sampler.sample(k).images] for k in range(40)])
    assert not blank[:, 0].any()
    assert 0.2 < blank[:, 1:].float().mean() < 0.4


# --- files and options that do not fit ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 32}, r" is \(.*its config needs \("),
        ({"decoder_layers": 3}, r"decoder\..* is missing, its config needs it"),
        ({"tracks": 0}, r"decoder\.objects\..* is not part of its config"),
        ({"width": 10**9}, "width: needs a multiple of|width: needs 4096 or less, got 1000000000"),
        ({"decoder_layers": 10**9}, "decoder_layers: needs 64 or less"),
        ({"width": "64"}, "this version cannot build the model"),
        ({"backbone": "vgg"}, r"backbone: there is no 'vgg'; choose from \["),
        ({"colour": 1}, "unexpected keyword argument 'colour'"),
    ],
)
def test_a_checkpoint_of_another_config_is_reported(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    save_detector(file, detector())
    tensors, _ = read_tensors(file)
    file.write_bytes(save(tensors, {"model": json.dumps(asdict(MODEL) | changes)}))
    with pytest.raises(RunError, match=message) as caught:
        load(file)
    assert str(file) in str(caught.value)


def test_scores_that_were_only_taught_are_left_out_of_an_earlier_checkpoint(tmp_path: Path) -> None:
    file, own = tmp_path / "x.safetensors", detector()
    extra = {
        f"decoder.propose.dense_score.{kind}": torch.randn_like(own.state_dict()[f"decoder.propose.score.{kind}"])
        for kind in ("weight", "bias")
    }
    save_detector(file, own, own.state_dict() | extra)
    assert all(torch.equal(x, own.state_dict()[name]) for name, x in load(file).state_dict().items())


def test_spoiled_files_are_reported(tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    save_detector(file, detector())
    whole = file.read_bytes()
    for spoiled in (whole[: len(whole) // 2], whole[:4], b"", b"\xff" * 100):
        file.write_bytes(spoiled)
        with pytest.raises(RunError, match="cannot be read"):
            load(file)
    file.write_bytes(save(read_tensors_of(whole, tmp_path), {"model": "{"}))
    with pytest.raises(RunError, match="this version cannot build the model"):
        load(file)
    with pytest.raises(RunError, match="its header has no step"):
        Training(detector(), config(), Criterion(), training_device("cpu")).restore(file)


def test_a_run_that_goes_on_in_another_number_of_processes_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "checkpoint.safetensors"
    alone = Training(detector(), config(), Criterion(), training_device("cpu"))
    whole = alone.to_bytes()
    for processes, words in (("1", ""), ("two", ""), ("2", "note: processes: 2 until step 0, 1 from here on")):
        file.write_bytes(save(read_tensors_of(whole, tmp_path), {"step": "0", "processes": processes}))
        alone.restore(file)
        note = capsys.readouterr().err
        assert note.startswith(words)
        assert bool(note) == bool(words)
    file.write_bytes(whole)
    assert read_header(file)["processes"] == "1"


def read_tensors_of(content: bytes, folder: Path) -> dict[str, torch.Tensor]:
    (folder / "whole.safetensors").write_bytes(content)
    return read_tensors(folder / "whole.safetensors")[0]


def test_the_models_options_are_read_by_their_kind() -> None:
    config = changed(SMALL, ["tracks=12", "gate=0.25", "temporal=conv_lstm"])
    assert config == replace(SMALL, tracks=12, gate=0.25, temporal="conv_lstm")
    for wrong, message in (
        ("tracks", "needs KEY=VALUE"),
        ("nosuch=1", r"one of the keys \['branches'"),
        ("tracks=many", "tracks: .*integer"),
        ("tracks=-1", "tracks: needs 0 or more, got -1"),
        ("fusion", "needs KEY=VALUE"),
    ):
        with pytest.raises(DataError, match=message):
            changed(SMALL, [wrong])


def test_a_cnn_that_was_trained_alone_is_the_start_of_a_detector_with_more_parts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    cnn = Network(replace(SMALL, categories=CATEGORIES, branches="cnn"))
    (tmp_path / "cnn").mkdir()
    save_detector(tmp_path / "cnn" / "ema.safetensors", cnn)
    begun = start(tmp_path / "cnn", CATEGORIES, "tiny", "cnn", 0, ["branches=cnn+rnn+transformer", "tracks=5"]).detector
    assert (begun.config.branches, begun.config.tracks) == ("cnn+rnn+transformer", 5)
    own = begun.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in cnn.state_dict().items())
    assert "tensors, which start at random: context." in capsys.readouterr().err
