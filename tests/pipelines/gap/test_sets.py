"""Laws of a report's data: no clip is both trained and measured on, and labels mean the same for every run."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hybrid.core.errors import DataError, RunError
from hybrid.core.types import Detections
from hybrid.data.clips import Clip, ClipSource, FrameRecord
from hybrid.predict.tiles import view_of
from pipelines.common.data import data_hash, photo_digests, read_all, selected
from pipelines.common.record import Experiment, StartingRun, write_experiment
from pipelines.gap.finished import FinishedRun, open_run
from pipelines.gap.sets import (
    ReportInputs,
    borne,
    not_blamed_for_others,
    read_sets,
    refuse_trained_on,
    trained_on,
    with_labels_of,
    without_photos_of,
    without_trained_on,
)
from pipelines.gap.stats.matches import matches
from tests.pipelines.scripts import photographs

NAMES = ("0", "1", "2", "3")


def clips(names: tuple[str, ...] = NAMES, labels: tuple[int, ...] = (0, 1)) -> ClipSource:
    frame = FrameRecord(
        name="f", path=Path("f.png"), width_px=64, height_px=64,
        boxes_xyxy_px=np.zeros((len(labels), 4), np.float32), labels=np.array(labels, np.int64),
    )  # fmt: skip
    return ClipSource("set", ("bolt", "nut"), tuple(Clip(name, (frame,)) for name in names))


def photos(path: Path, content: str = "photos") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def experiment(data: Path, trained: tuple[str, ...], **more: object) -> Experiment:
    plain = {"script": "finetune_real", "data": str(data), "data_sha256": data_hash(data), "kind": "real"}
    return Experiment(**{**plain, "trained_on": trained, **more})  # type: ignore[arg-type]


def finished(folder: Path, record: Experiment | None = None, categories: tuple[str, ...] = ("bolt", "nut")) -> Path:
    """A finished run's folder, but for its weights."""
    folder.mkdir(parents=True)
    summary = {"categories": categories, "steps": 3, "seconds": 61.5, "train": {"tile_px": 64}}
    (folder / "run.json").write_text(json.dumps(summary))
    if record is not None:
        write_experiment(folder, record)
    return folder


def test_a_run_is_opened_with_its_record(tmp_path: Path) -> None:
    record = experiment(photos(tmp_path / "a.json"), ("1",))
    run = open_run(finished(tmp_path / "run", record))
    assert run == FinishedRun(tmp_path / "run", ("bolt", "nut"), 3, 61.5, 64, record)
    assert run.view == view_of(64)


def test_a_run_without_the_duration_of_earlier_versions_opens(tmp_path: Path) -> None:
    folder = finished(tmp_path / "run")
    (folder / "run.json").write_text(json.dumps({"categories": [], "steps": 3, "train": {"tile_px": 64}}))
    assert open_run(folder).seconds == 0.0


def test_a_run_that_is_not_finished_is_reported_from_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no run"):
        open_run(tmp_path)
    write_experiment(tmp_path, experiment(photos(tmp_path / "a.json"), ("1",)))
    with pytest.raises(DataError, match="has not finished"):
        open_run(tmp_path)


@pytest.mark.parametrize(
    ("summary", "key"),
    [
        ("", "no JSON"),
        ("[]", "must hold a JSON object"),
        ("{}", "train"),
        ('{"train": {"tile_px": 64}, "steps": 1}', "categories"),
        ('{"train": {"tile_px": 64}, "categories": []}', "steps"),
        ('{"categories": [], "steps": "many", "train": {"tile_px": 64}}', "steps"),
        ('{"categories": 3}', "categories"),
        ('{"categories": [1], "steps": 1, "train": {"tile_px": 64}}', "categories.0"),
        ('{"categories": [], "steps": 1, "train": 4}', "train"),
        ('{"categories": [], "steps": 1, "train": {"tile_px": -64}}', "train.tile_px"),
        ('{"categories": [], "steps": 1, "train": {"tile_px": 64}, "seconds": NaN}', "seconds"),
        ('{"categories": [], "steps": 1, "train": {"tile_px": 64}, "operating_point": {"score": "x"}}', "score"),
        ("[" * 100_000, "nested too deep"),
    ],
)
def test_a_damaged_summary_is_named_with_the_key(tmp_path: Path, summary: str, key: str) -> None:
    (tmp_path / "run.json").write_text(summary)
    with pytest.raises(RunError) as refused:
        open_run(tmp_path)
    assert str(tmp_path / "run.json") in str(refused.value)
    assert key in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("point", "score"), [({"score": 0.44}, 0.44), ({"score": None}, 0.3), (None, 0.3)])
def test_the_score_of_what_is_shown_is_the_runs_operating_point(
    tmp_path: Path, point: dict[str, float | None] | None, score: float
) -> None:
    folder = finished(tmp_path / "run")
    plain = json.loads((folder / "run.json").read_text()) | {"operating_point": point}
    (folder / "run.json").write_text(json.dumps(plain))
    assert open_run(folder).score == score


def test_steps_on_the_target_are_those_that_are_not_on_simulation_alone(tmp_path: Path) -> None:
    a = photos(tmp_path / "a.json")
    sim = finished(tmp_path / "sim", experiment(a, ("0",), kind="simulated"))
    tuned = finished(tmp_path / "tuned", experiment(a, ("1",), init=StartingRun(run=str(sim), sha256="")))
    assert (open_run(sim).steps_on_target, open_run(sim).steps_in_all) == (0, 3)
    assert (open_run(tuned).steps_on_target, open_run(tuned).steps_in_all) == (3, 6)


def test_a_run_that_started_from_itself_is_refused(tmp_path: Path) -> None:
    a, folder = photos(tmp_path / "a.json"), tmp_path / "run"
    run = open_run(finished(folder, experiment(a, ("1",), init=StartingRun(run=str(folder), sha256=""))))
    with pytest.raises(RunError, match="started from this very run"):
        trained_on(run, clips(), a)


def test_a_category_that_no_box_bears_is_not_measured() -> None:
    source = replace(clips(labels=(1, 1)), categories=("parts", "nut"))
    assert borne(source).categories == ("nut",)
    assert borne(source).frames[0].labels.tolist() == [0, 0]


def test_where_a_part_of_a_category_that_is_not_compared_lies_a_detection_is_no_false_alarm() -> None:
    frame = FrameRecord(
        name="f", path=Path("f.png"), width_px=64, height_px=64, labels=np.array([0, 1], np.int64),
        boxes_xyxy_px=np.array([[0, 0, 10, 10], [30, 30, 50, 50]], np.float32),
    )  # fmt: skip
    rendered = ClipSource("set", ("bolt", "nut"), (Clip("0", (frame,)),))
    assert not_blamed_for_others(rendered, ("nut", "bolt")) is rendered
    left = selected(not_blamed_for_others(rendered, ["bolt"]), Path("set"), ["bolt"], "photos")
    run = FinishedRun(Path("run"), ("nut", "bolt"), 1, 1.0, 64, None)
    (kept,) = with_labels_of(left, run).frames
    assert kept.labels.tolist() == [1]
    boxes = torch.tensor([[0, 0, 10, 10], [30, 30, 50, 50], [31, 31, 50, 50], [0, 40, 10, 50]], dtype=torch.float32)
    found = Detections(boxes, torch.tensor([0.9, 0.8, 0.7, 0.6]), torch.tensor([1, 0, 1, 0]))  # bolt, nut, bolt, nut
    counted = matches([found], [kept])
    assert counted.boxes_xyxy_px.tolist() == [[0, 40, 10, 50], [0, 0, 10, 10]]
    assert counted.takes.tolist() == [-1, 0]


def test_the_reports_simulated_side_keeps_regions_for_what_the_photos_do_not_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.gap.sets._boxes", lambda runs: "visible")
    rendered = photographs(tmp_path / "sim", ("bolt", "nut"))
    taken = photographs(tmp_path / "real", ("bolt",), seed=1)
    run = FinishedRun(tmp_path / "run", ("bolt", "nut"), 1, 1.0, 64, None)
    sets = read_sets(ReportInputs(rendered, taken, None, 0), [run])
    nuts = selected(read_all(rendered), rendered, ["nut"], "")
    assert sum(map(len, (one.labels for one in nuts.frames))) > 0
    for frame, other in zip(sets.sim.frames, nuts.frames, strict=True):
        assert frame.ignore_boxes_xyxy_px.tolist() == other.boxes_xyxy_px.tolist()
        assert set(frame.ignore_labels.tolist()) <= {-1}
    assert not any(len(frame.ignore_labels) for frame in sets.target.frames)


def picture(folder: Path, name: str, seed: int, **how: object) -> Clip:
    image = Image.fromarray(np.random.default_rng(seed).integers(0, 255, (32, 48, 3)).astype(np.uint8))
    folder.mkdir(exist_ok=True)
    image.save(folder / name, **how)
    record = replace(clips().frames[0], name=name, path=folder / name, width_px=48, height_px=32)
    return Clip(name, (record,))


def test_photos_that_were_trained_on_are_left_out_under_any_name_also_where_they_are_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    training = replace(
        clips(), clips=(picture(tmp_path / "train", "1.png", 1), picture(tmp_path / "train", "2.png", 2))
    )
    record = experiment(photos(tmp_path / "a.json"), ("1.png", "2.png"), photo_digests=photo_digests(training))
    tuned = finished(tmp_path / "tuned", record)
    b = photos(tmp_path / "b.json", "b")
    later = finished(tmp_path / "later", experiment(b, (), init=StartingRun(run=str(tuned), sha256="")))
    shutil.rmtree(tmp_path / "train")
    test = (picture(tmp_path / "test", "new.png", 3), picture(tmp_path / "test", "copy.bmp", 2))
    rest, note = without_photos_of(replace(clips(), clips=test), b, [open_run(later)])
    assert [clip.name for clip in rest.clips] == ["new.png"]
    assert note == "1 of 2 were trained on under another name and are left out"
    assert "copy.bmp" in capsys.readouterr().err
    with pytest.raises(DataError, match="all of its 1 photos were trained on"):
        without_photos_of(replace(clips(), clips=test[1:]), b, [open_run(later)])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "2 photos"),
        ({"shots": 99}, "99 photos"),  # frames of two videos
        ({"kind": "stand-in"}, "2 stand-in clips"),
        ({"kind": "simulated"}, "2 simulated scenes"),
        ({"mixed_in": "data/sim"}, "2 photos, with sim mixed in"),
        ({"init": StartingRun(run="out/first", sha256="")}, "2 photos, from first"),
    ],
)
def test_the_words_for_training_data_say_what_how_much_and_from_where(
    tmp_path: Path, change: dict[str, object], words: str
) -> None:
    record = experiment(photos(tmp_path / "a.json"), ("0", "1"), **change)
    assert open_run(finished(tmp_path / "run", record)).training_data() == words


def test_a_run_without_a_record_has_unknown_training_data(tmp_path: Path) -> None:
    assert open_run(finished(tmp_path / "run")).training_data() == "unknown"


def test_photos_are_known_again_in_another_folder_but_not_after_a_change(tmp_path: Path) -> None:
    data, copy = photos(tmp_path / "a.json"), photos(tmp_path / "elsewhere/b.json")
    run = open_run(finished(tmp_path / "run", experiment(data, ("1", "3"))))
    assert trained_on(run, clips(), copy) == {"1", "3"}
    assert trained_on(run, clips(), photos(tmp_path / "a.json", "other photos")) == set()


def test_a_record_without_a_hash_knows_its_data_by_the_path(tmp_path: Path) -> None:
    data, copy = photos(tmp_path / "a.json"), photos(tmp_path / "b.json")
    run = open_run(finished(tmp_path / "run", experiment(data, ("1",), data_sha256=None)))
    assert trained_on(run, clips(), tmp_path / "x" / ".." / "a.json") == {"1"}
    assert trained_on(run, clips(), copy) == set()


def test_what_the_runs_before_trained_on_counts_too(tmp_path: Path) -> None:
    a, b = photos(tmp_path / "a.json", "a"), photos(tmp_path / "b.json", "b")
    first = finished(tmp_path / "first", experiment(a, ("0",)))
    second = finished(tmp_path / "second", experiment(b, ("1",), init=StartingRun(run=str(first), sha256="")))
    third = finished(tmp_path / "third", experiment(a, ("2",), init=StartingRun(run=str(second), sha256="")))
    assert trained_on(open_run(third), clips(), a) == {"0", "2"}
    assert trained_on(open_run(third), clips(), b) == {"1"}


def test_a_set_that_was_mixed_in_counts_as_a_whole(tmp_path: Path) -> None:
    a, sim = photos(tmp_path / "a.json", "a"), photos(tmp_path / "sim.json", "sim")
    run = open_run(finished(tmp_path / "run", experiment(a, ("1",), mixed_in=str(sim), mixed_in_sha256=data_hash(sim))))
    assert trained_on(run, clips(), sim) == set(NAMES)


def test_test_data_of_which_a_run_trained_on_one_clip_are_refused(tmp_path: Path) -> None:
    a, b = photos(tmp_path / "a.json", "a"), photos(tmp_path / "b.json", "b")
    clean = open_run(finished(tmp_path / "clean", experiment(b, ("0",))))
    leaky = open_run(finished(tmp_path / "leaky", experiment(a, ("0",))))
    refuse_trained_on(clips(), a, [clean])
    with pytest.raises(DataError, match="leaky trained on 1 of its clips"):
        refuse_trained_on(clips(), a, [clean, leaky])


def test_simulated_clips_that_any_run_trained_on_are_left_out(tmp_path: Path) -> None:
    a, b = photos(tmp_path / "a.json", "a"), photos(tmp_path / "b.json", "b")
    one = open_run(finished(tmp_path / "one", experiment(a, ("0",))))
    other = open_run(finished(tmp_path / "other", experiment(a, ("0", "2"))))
    free, note = without_trained_on(clips(), a, [one, other])
    assert [clip.name for clip in free.clips] == ["1", "3"]
    assert "2 of 4" in note
    everything, note = without_trained_on(clips(), b, [one, other])
    assert len(everything) == 4
    assert note == "no run trained on it"
    last = open_run(finished(tmp_path / "last", experiment(a, NAMES)))
    with pytest.raises(DataError, match="every clip of it was trained on"):
        without_trained_on(clips(), a, [one, last])


def test_labels_follow_the_names_of_categories_into_a_runs_numbering(tmp_path: Path) -> None:
    run = open_run(finished(tmp_path / "run", categories=("washer", "nut", "bolt")))
    source = clips(labels=(0, 1, 1, 0))
    renumbered = with_labels_of(source, run)
    assert renumbered.categories == run.categories
    assert [renumbered.categories[i] for i in renumbered.frames[0].labels] == ["bolt", "nut", "nut", "bolt"]
    assert {**renumbered.counts(), "washer": 0} == {**source.counts(), "washer": 0}
    assert source.frames[0].labels.tolist() == [0, 1, 1, 0]  # left as it was


def test_a_category_that_a_run_does_not_know_is_named(tmp_path: Path) -> None:
    run = open_run(finished(tmp_path / "run", categories=("bolt",)))
    with pytest.raises(DataError, match=r"labels \['nut'\], which .*run was not trained on .*--categories bolt"):
        with_labels_of(replace(clips(), name="photos"), run)


def test_clips_of_a_set_that_was_trained_on_in_a_folder_of_sets_are_known(tmp_path: Path) -> None:
    for name in ("a", "b"):
        photos(tmp_path / "sets" / name / "manifest.json", name)
    record = experiment(tmp_path / "sets", ("a/1", "b/2", "a/3"), kind="simulated")
    run = open_run(finished(tmp_path / "run", record))
    assert trained_on(run, clips(), tmp_path / "sets/a") == {"1", "3"}
    assert trained_on(run, clips(), tmp_path / "sets/b") == {"2"}
    assert trained_on(run, clips(), tmp_path / "sets") == {"a/1", "b/2", "a/3"}
    photos(tmp_path / "elsewhere/a/manifest.json", "other")
    assert trained_on(run, clips(), tmp_path / "elsewhere/a") == set()
