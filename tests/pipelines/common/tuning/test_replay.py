"""Fine-tuning goes on with what its checkpoint learned from, and no source teaches what it does not label."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hybrid.core.errors import DataError
from hybrid.data.clips import Clip, ClipSource, FrameRecord
from hybrid.data.shards import read_shards
from hybrid.weights.released import RUNS, released
from pipelines.common.data import data_hash, onto, together
from pipelines.common.record import Experiment, StartingRun, read_experiment, write_experiment
from pipelines.common.tuning.begun import begun_in
from pipelines.common.tuning.replay import KEPT_FRAMES, learned_from, mixture, share_of
from pipelines.gap.finished import open_run
from tests.pipelines.scripts import SMALL, done, photographs, record, refused, script

NAMES = ("bolt", "nut", "washer")


def frame(labels: list[int], ignored: list[int] = []) -> FrameRecord:  # noqa: B006
    corners = np.arange(len(labels), dtype=np.float32)[:, None] + np.array([0, 0, 2, 2], np.float32)
    regions = np.arange(len(ignored), dtype=np.float32)[:, None] + np.array([5, 5, 9, 9], np.float32)
    return FrameRecord(
        name="f", path=Path("f.png"), width_px=30, height_px=20, boxes_xyxy_px=corners,
        labels=np.array(labels, np.int64), ignore_boxes_xyxy_px=regions, ignore_labels=np.array(ignored, np.int64),
    )  # fmt: skip


def of(categories: tuple[str, ...], *frames: FrameRecord) -> ClipSource:
    return ClipSource("set", categories, (Clip("c", frames),))


def test_what_a_source_does_not_label_is_ignored_in_all_of_its_images() -> None:
    photos = onto(of(("washer", "bolt"), frame([1, 0], ignored=[0, -1]), frame([])), ("bolt", "nut", "washer"))
    first, second = photos.frames
    assert first.labels.tolist() == [0, 2]
    assert first.ignore_labels.tolist() == [2, -1, 1]  # a region's own category is numbered anew; -1 is every category
    assert first.ignore_boxes_xyxy_px[:2].tolist() == [[5, 5, 9, 9], [6, 6, 10, 10]]
    assert first.ignore_boxes_xyxy_px[2].tolist() == second.ignore_boxes_xyxy_px[0].tolist() == [0, 0, 30, 20]
    assert second.ignore_labels.tolist() == [1]
    same = of(("bolt",), frame([0]))
    assert onto(same, ("bolt",)) is same


def test_regions_to_ignore_of_a_category_that_is_left_out_go_with_it() -> None:
    (only,) = onto(of(("nut", "bolt"), frame([0, 1], ignored=[0, 1])), ("bolt",)).frames
    assert only.ignore_labels.tolist() == [0]
    assert only.ignore_boxes_xyxy_px.tolist() == [[6, 6, 10, 10]]


def test_a_detector_keeps_what_it_knew_and_learns_what_is_new(capsys: pytest.CaptureFixture[str]) -> None:
    assert together(NAMES, ("pin", "bolt"), None) == ("bolt", "nut", "washer", "pin")
    assert "['nut', 'washer'], which the checkpoint knows: kept" in capsys.readouterr().err
    assert together((), ("pin", "bolt"), None) == ("pin", "bolt")
    assert capsys.readouterr().err == ""
    assert together(NAMES, ("bolt",), ["bolt"]) == ("bolt",)
    assert "gives up ['nut', 'washer']" in capsys.readouterr().err
    with pytest.raises(
        DataError, match=r"\['Bolt'\], the checkpoint knows \['bolt', 'nut', 'washer'\].*--categories Bo"
    ):
        together(NAMES, ("Bolt",), None)


def simulated(run: Path, folder: Path, **changes: object) -> Experiment:
    run.mkdir()
    names = [clip.name for clip in read_shards(folder).clips]
    one = Experiment(
        script="train_sim", data=str(folder), data_sha256=data_hash(folder), kind="simulated",
        trained_on=tuple(names[:4]), held_out=tuple(names[4:]),
    )  # fmt: skip
    write_experiment(run, replace(one, **changes))
    return one


def test_a_run_of_photos_leads_to_the_data_of_the_run_before_it(tiny_data_set: Path, tmp_path: Path) -> None:
    first = simulated(tmp_path / "sim", tiny_data_set)
    init = StartingRun(run=str(tmp_path / "sim"), sha256="00")
    (tmp_path / "tuned").mkdir()
    write_experiment(tmp_path / "tuned", replace(first, kind="real", data="photos.json", trained_on=("p",), init=init))
    for run in ("sim", "tuned"):
        found, why = learned_from(tmp_path / run)
        assert found is not None, why
        assert (str(found.at), found.trained_on, found.held_out) == (
            str(tiny_data_set),
            first.trained_on,
            first.held_out,
        )
    mixed = mixture(None, tmp_path / "tuned", None, ("pin", "nut", "bolt"), "visible")
    assert mixed.source is not None
    assert mixed.kept is not None
    assert {clip.name for clip in mixed.source.clips} == set(first.trained_on)
    assert {clip.name for clip in mixed.kept.clips} <= set(first.held_out)
    assert 1 <= len(mixed.kept.frames) <= KEPT_FRAMES
    assert all(one.ignore_labels.tolist() == [0] for one in mixed.source.frames)  # pins: not simulated, not background
    assert mixed.source.counts()["bolt"] == read_shards(tiny_data_set).only(first.trained_on).counts()["bolt"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data": "gone/sim"}, "learned from gone/sim, which is not there any more"),
        ({"data_sha256": "00" * 32}, "which has changed since"),
        ({"kind": "real"}, "no record says what simulated data"),
    ],
)
def test_data_that_cannot_be_replayed_are_told_with_what_to_pass(
    tiny_data_set: Path, tmp_path: Path, changes: dict[str, str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    simulated(tmp_path / "sim", tiny_data_set, **changes)
    assert mixture(None, tmp_path / "sim", None, NAMES, "visible").source is None
    told = capsys.readouterr().err
    assert words in told
    assert "Pass --sim DIR" in told
    assert told.count("\n") == 1
    given = mixture(str(tiny_data_set), tmp_path / "sim", None, NAMES, "visible")
    assert given.source is not None
    assert len(given.source) == len(read_shards(tiny_data_set))
    assert mixture("none", tmp_path / "sim", None, NAMES, "visible").source is None


def test_without_replay_what_is_kept_is_measured_all_the_same(tiny_data_set: Path, tmp_path: Path) -> None:
    first = simulated(tmp_path / "sim", tiny_data_set)
    off = mixture("none", tmp_path / "sim", None, NAMES, "visible")
    assert off.source is off.data is None
    assert off.kept is not None
    assert {clip.name for clip in off.kept.clips} == set(first.held_out)
    other = tmp_path / "copy"
    shutil.copytree(tiny_data_set, other)
    moved = mixture(str(other), tmp_path / "sim", None, NAMES, "visible")  # the same set in another place
    assert moved.data is not None
    assert (moved.data.trained_on, str(moved.data.at)) == (first.trained_on, str(other))


def test_of_scenes_that_the_checkpoint_did_not_learn_from_some_are_held_out(
    tiny_data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Released weights come without their data. The gap report needs scenes that no run trained on."""
    monkeypatch.setattr("pipelines.common.tuning.replay.FEWEST_SCENES", 2)
    simulated(tmp_path / "sim", tiny_data_set, data="gone/sim")
    given = mixture(str(tiny_data_set), tmp_path / "sim", None, NAMES, "visible")
    assert given.data is not None
    assert given.source is not None
    assert given.kept is not None
    drawn, kept = {clip.name for clip in given.source.clips}, {clip.name for clip in given.kept.clips}
    assert drawn == set(given.data.trained_on or ())
    assert kept == set(given.data.held_out)
    assert kept
    assert not drawn & kept
    assert drawn | kept == {clip.name for clip in read_shards(tiny_data_set).clips}

    out = tmp_path / "run"
    out.mkdir()
    first = Experiment(script="finetune_real", data="photos.json", kind="real", trained_on=(), shuffle_seed=0)
    set_there = dict(mixed_in=str(tiny_data_set), mixed_in_sha256=given.data.sha256)
    for trained_on in (given.data.trained_on, None):  # as this version began it, and as earlier ones did
        write_experiment(out, replace(first, **set_there, mixed_in_trained_on=trained_on))
        again = mixture(None, tmp_path / "sim", begun_in(out), NAMES, "visible")
        assert again.data is not None
        assert again.data.trained_on == trained_on


@pytest.mark.parametrize("name", released())
def test_released_weights_are_known_to_have_seen_no_photo_and_to_come_without_their_data(name: str) -> None:
    """A report of a run that started from them counts that run's photos alone."""
    assert open_run(RUNS / name).photos == 0
    assert open_run(RUNS / name).arm == "simulation"
    data, why = learned_from(RUNS / name)
    assert data is None
    assert why.endswith("which is not there any more")


def test_fine_tuning_replays_by_default_and_says_what_it_keeps(line: Path, tmp_path: Path) -> None:
    before, tuned = record(line / "sim"), record(line / "tuned")
    assert tuned["mixed_in"] == before["data"]
    assert tuned["mixed_in_trained_on"] == before["trained_on"]
    run = json.loads((line / "tuned/run.json").read_text())
    assert [one["weight"] for one in run["data"]] == [0.5, 0.5]
    assert run["kept"]["scenes"] == len(before["held_out"])
    assert all(0 <= run["kept"][when]["ap"] <= run["kept"][when]["ap50"] <= 1 for when in ("before", "after"))
    assert record(line / "scratch")["mixed_in"] is None
    photos = photographs(tmp_path / "photos", ("bolt", "pin"))
    words = ["--checkpoint", line / "sim", "--data", photos, "--shots", 3, *SMALL, "--out", tmp_path / "run"]
    result = script("finetune_real", *words)
    assert re_line(done(result))
    assert "the data label ['pin']" in result.stderr
    assert json.loads((tmp_path / "run/run.json").read_text())["categories"] == [*NAMES, "pin"]
    again = script("finetune_real", *words)
    assert done(again) == result.stdout
    assert "differs in mixed_in" in refused(script("finetune_real", *words, "--sim", "none"))


def re_line(text: str) -> bool:
    lines = [line for line in text.splitlines() if line.startswith("on simulated scenes: AP50 ")]
    return len(lines) == 1 and " before, " in lines[0] and " after (" in lines[0]


def test_a_run_that_was_begun_goes_on_as_it_was_begun(tiny_data_set: Path, tmp_path: Path) -> None:
    """As an earlier version began it: without replay, for the photos' categories; or with a share of its own."""
    first = simulated(tmp_path / "sim", tiny_data_set)
    out = tmp_path / "run"
    out.mkdir()
    assert begun_in(out) is None
    assert share_of(None, None) == 0.5
    write_experiment(out, replace(first, kind="real", data="photos.json"))
    begun = begun_in(out)
    assert begun is not None
    assert begun.categories is None
    assert mixture(None, tmp_path / "sim", begun, NAMES, "visible").source is None
    write_experiment(out, replace(first, kind="real", mixed_in=str(tiny_data_set), mixed_in_sha256="00"))
    config = {"model": {"categories": ["nut"]}, "data": [{"weight": 0.7}, {"weight": 0.3}]}
    (out / "config.json").write_text(json.dumps(config))
    begun = begun_in(out)
    assert begun is not None
    assert begun.categories == ("nut",)
    assert share_of(None, begun) == 0.3
    assert share_of(0.1, begun) == 0.1
    mixed = mixture(None, tmp_path / "sim", begun, NAMES, "visible")
    assert mixed.source is not None
    assert len(mixed.source) == len(read_shards(tiny_data_set))  # it draws from all scenes,
    assert mixed.kept is None  # so none is left to measure on
    assert read_experiment(out) is not None
