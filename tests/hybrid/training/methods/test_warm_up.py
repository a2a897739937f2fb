"""The backbone learns to fill in pictures before the steps: it learns, reads no label, and can be stopped anywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from hybrid.core.errors import ConfigError, DataError, RunError
from hybrid.core.progress import silent
from hybrid.data.clips import ClipSource
from hybrid.data.coco import read_coco
from hybrid.model.network import Network
from hybrid.training.config import TrainConfig
from hybrid.training.device import training_device
from hybrid.training.loop import train
from hybrid.training.methods.method import Method, Underway
from hybrid.training.methods.warm_up import COVERED, WARM_UP, Filling, WarmUp, draw_covers, warm_up
from hybrid.training.samples.unlabelled import without_labels
from tests.hybrid.photos import CATEGORIES, coco_document, write_coco
from tests.hybrid.variants import SMALL

MODEL = replace(SMALL, branches="cnn", categories=CATEGORIES, decoder_layers=1)


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> ClipSource:
    return read_coco(write_coco(tmp_path_factory.mktemp("photos"), coco_document(2)))


def config(**changes: object) -> TrainConfig:
    small = {"steps": 2, "batch_clips": 1, "clip_length": 1, "tile_px": 64, "warmup_steps": 0, "workers": 0}
    return TrainConfig(**(small | {"device": "cpu", "checkpoint_every_s": 0.0} | changes))


def network() -> Network:
    torch.manual_seed(0)
    return Network(MODEL)


def warmed(
    photos: ClipSource, folder: Path, steps: int = 3, progress: Callable = silent, **changes: object
) -> tuple[dict[str, Tensor], dict]:
    net = network()
    folder.mkdir(exist_ok=True)
    how = WarmUp(lambda: photos, steps, progress)
    found = warm_up(net, how, config(**changes), training_device("cpu"), folder)
    return net.state_dict(), found


def killer(at_step: int) -> Callable[[int, int, Mapping[str, float]], None]:
    def kill(done: int, total: int, values: Mapping[str, float]) -> None:
        if done == at_step:
            raise Killed

    return kill


def moved(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> set[str]:
    return {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}


def test_it_learns_to_fill_in_what_is_covered(photos: ClipSource, tmp_path: Path) -> None:
    _, found = warmed(photos, tmp_path, 20, learning_rate=1e-2, batch_clips=2, checkpoint_every_s=1e9)
    assert found["last_loss"] < 0.6 * found["first_loss"]
    assert (found["frames"], found["steps"], found["name"]) == (2, 20, "masked-pictures")


def test_the_share_that_is_covered_is_the_papers_and_each_picture_has_its_own() -> None:
    covers = draw_covers(160, 4, first=0, seed=1)
    assert covers.shape == (4, 1, 160, 160)
    assert covers.float().mean((1, 2, 3)).tolist() == pytest.approx([COVERED] * 4)
    squares = covers[:, :, ::32, ::32]
    assert torch.equal(squares.repeat_interleave(32, 2).repeat_interleave(32, 3), covers)
    assert len({tuple(one.flatten().tolist()) for one in covers}) == 4
    assert torch.equal(draw_covers(160, 2, first=2, seed=1), covers[2:])  # several processes: the same pictures


def test_the_backbone_does_not_see_what_is_covered_and_the_loss_is_of_that_alone() -> None:
    filling, covered = Filling(network()), draw_covers(64, 2, 0, 0)
    images = torch.randn(2, 3, 64, 64)
    seen: list[Tensor] = []
    filling.backbone.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    filling(images, covered)
    assert not seen[0][covered.expand_as(images)].any()
    assert torch.equal(seen[0][~covered.expand_as(images)], images[~covered.expand_as(images)])
    with torch.no_grad():
        filling.guess.weight.zero_()
        filling.guess.bias.zero_()
        loss = float(filling(images, covered))
    assert loss == pytest.approx(float(images[covered.expand_as(images)].abs().mean()))


def test_labels_are_not_read_and_the_backbone_alone_changes(photos: ClipSource, tmp_path: Path) -> None:
    bare = replace(without_labels(photos), categories=("any",))
    (with_labels, _), (without, _) = warmed(photos, tmp_path / "a"), warmed(bare, tmp_path / "b")
    assert not moved(with_labels, without)
    changed = moved(network().state_dict(), without)
    assert changed == {name for name in without if name.startswith("backbone.")}


def test_rates_and_frozen_stages_hold(photos: ClipSource, tmp_path: Path) -> None:
    after, _ = warmed(photos, tmp_path / "a", frozen_stages=1)
    changed = moved(network().state_dict(), after)
    assert {name.split(".")[1] for name in changed} == {"middle", "coarse"}
    with pytest.raises(ConfigError, match="nothing to learn: the backbone is frozen"):
        warmed(photos, tmp_path / "b", backbone_rate=0.0)
    with pytest.raises(ConfigError, match="1 step or more, got 0"):
        WarmUp(lambda: photos, 0)


def test_a_loss_that_is_not_finite_stops_the_run_with_words(photos: ClipSource, tmp_path: Path) -> None:
    net = network()
    with torch.no_grad():
        next(net.backbone.parameters()).fill_(float("nan"))
    with pytest.raises(RunError, match=r"warm-up step 0: the loss or its gradient is not finite"):
        warm_up(net, WarmUp(lambda: photos, 2), config(), training_device("cpu"), tmp_path)
    assert not (tmp_path / WARM_UP).exists()


class Start(Method):
    """Notes the weights that a run's own steps begin with, and their moving average."""

    name = "start"

    def begin(self, training: Underway) -> None:
        nets = (training.detector, training.averaged)
        self.states = [{name: x.clone() for name, x in net.backbone.state_dict().items()} for net in nets]


def run_of(
    photos: ClipSource, folder: Path, warming: WarmUp | None, start: Start | None = None, **more: object
) -> dict:
    methods = [start or Start()]
    return dict(train(network(), photos, config(), folder, resume=True, warming=warming, methods=methods, **more).run)


@pytest.fixture(scope="module")
def whole(photos: ClipSource, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict, Start]:
    folder, start = tmp_path_factory.mktemp("whole"), Start()
    return folder, run_of(photos, folder, WarmUp(lambda: photos, 3), start), start


def test_the_detector_starts_from_its_weights(whole: tuple[Path, dict, Start]) -> None:
    folder, _, start = whole
    stored = {name: x for name, x in load_file(folder / WARM_UP).items() if name.startswith("net/backbone.")}
    assert moved(network().backbone.state_dict(), start.states[0])
    for state in start.states:
        assert state.keys() == {name.removeprefix("net/backbone.") for name in stored}
        assert not moved({name.removeprefix("net/backbone."): x for name, x in stored.items()}, state)


@pytest.mark.slow
@pytest.mark.parametrize("killed_in", ["the warm-up", "its own steps"])
def test_a_killed_run_ends_with_the_same_weights(
    photos: ClipSource, whole: tuple[Path, dict, Start], tmp_path: Path, killed_in: str
) -> None:
    early = killed_in == "the warm-up"
    how = WarmUp(lambda: photos, 3, killer(2 if early else 9))
    with pytest.raises(Killed):
        run_of(photos, tmp_path, how, progress=silent if early else killer(1))
    assert ("adam/guess.bias/exp_avg" in load_file(tmp_path / WARM_UP)) == early
    start = Start()
    run = run_of(photos, tmp_path, WarmUp((lambda: photos) if early else _gone, 3), start)
    assert not moved(whole[2].states[0], start.states[0])  # a method that goes back to the start finds it
    for name in ("raw", "ema"):
        file = f"{name}.safetensors"
        assert (tmp_path / file).read_bytes() == (whole[0] / file).read_bytes()
    assert run["warm_up"] == whole[1]["warm_up"]
    assert run["warm_up"]["steps"] == 3


def test_a_run_belongs_to_its_warm_up(photos: ClipSource, whole: tuple[Path, dict, Start]) -> None:
    with pytest.raises(RunError, match="warm_up"):
        run_of(photos, whole[0], WarmUp(lambda: photos, 4))
    with pytest.raises(RunError, match="warm_up"):
        run_of(photos, whole[0], None)


def test_a_file_of_another_stage_is_refused(photos: ClipSource, tmp_path: Path) -> None:
    how = WarmUp(lambda: photos, 3)
    with pytest.raises(Killed):
        run_of(photos, tmp_path, replace(how, progress=killer(1)))
    save_file({"losses": torch.zeros(2)}, tmp_path / WARM_UP, {"step": "2"})
    with pytest.raises(RunError, match=r"warm-up\.safetensors: is no checkpoint of a warm-up"):
        run_of(photos, tmp_path, how)
    save_file({"losses": torch.zeros(9)}, tmp_path / WARM_UP, {"step": "9"})
    with pytest.raises(RunError, match="has the step '9', needs 0 to 3"):
        run_of(photos, tmp_path, how)


def _gone() -> ClipSource:
    raise DataError("the pictures are gone: a warm-up that has ended does not need them")
