"""The scripts as a person runs them, on the smallest data that still exercise everything."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from hybrid.core.progress import Progress, Together
from hybrid.data.shards import read_shards
from hybrid.weights.checkpoint import load
from pipelines.common.data import read
from pipelines.common.runs import start
from pipelines.gap.advice.advise import Advice
from pipelines.gap.advice.preset import rendered_with
from pipelines.gap.advice.trial_progress import Sizes, TrialProgress
from pipelines.gap.advice.trials import TrialWishes, try_out
from pipelines.gap.advice.widening import NOT_KNOWN, Change
from pipelines.gap.appearance import STATISTICS
from pipelines.gap.finished import open_run
from pipelines.gap.sections.pool import Pool
from pipelines.gap.stats.grouping import PhotoSessions
from simgen.cli import app as simgen_app
from tests.pipelines.scripts import SMALL, done, photographs, record, refused, script, yolo

ONE_EACH = PhotoSessions(np.arange(6), "photos", "one for each photo")


def test_a_run_says_what_it_was_trained_on(line: Path) -> None:
    sim, tuned, scratch = (record(line / name) for name in ("sim", "tuned", "scratch"))
    assert len(sim["trained_on"]) == 3
    assert len(sim["held_out"]) == 3
    assert not set(sim["trained_on"]) & set(sim["held_out"])
    assert len(tuned["trained_on"]) == 3
    assert tuned["trained_on"] == scratch["trained_on"]
    assert tuned["kind"] == "real"
    assert tuned["init"]["run"] == str(line / "sim")
    assert scratch["init"] is None


def test_shots_are_the_first_of_one_shuffle_whatever_the_seed(line: Path, tmp_path: Path) -> None:
    tune = ["--checkpoint", "none", "--data", line / "photos/photos.json", *SMALL]
    rates = ["--backbone-rate", 0.3, "--frozen-stages", 1, "--stage-decay", 0.5]
    done(script("finetune_real", *tune, *rates, "--shots", 2, "--seed", 5, "--out", tmp_path / "two"))
    trained = json.loads((tmp_path / "two/run.json").read_text())["train"]
    assert [trained[key] for key in ("backbone_rate", "frozen_stages", "stage_decay")] == [0.3, 1, 0.5]
    assert record(tmp_path / "two")["trained_on"] == record(line / "tuned")["trained_on"][:2]


def test_a_finished_run_is_left_as_it_is_and_another_is_refused(line: Path) -> None:
    before = (line / "scratch/ema.safetensors").stat().st_mtime_ns
    tune = ["--checkpoint", "none", "--data", line / "photos/photos.json", *SMALL, "--out", line / "scratch"]
    done(script("finetune_real", *tune, "--shots", 3))
    assert (line / "scratch/ema.safetensors").stat().st_mtime_ns == before
    assert "differs in shots" in refused(script("finetune_real", *tune, "--shots", 4))


def test_the_report_measures_every_run_on_both_and_a_second_call_measures_nothing(
    line: Path, tiny_data_set: Path, tmp_path: Path
) -> None:
    out = tmp_path / "report.html"
    runs = [line / name for name in ("scratch", "sim", "tuned")]
    words = ["--sim", tiny_data_set, "--real", line / "test-photos/photos.json", "--runs", *runs, "--out", out]
    assert str(out) in done(script("gap_report", *words))
    stored = json.loads(out.with_suffix(".json").read_text())
    assert (stored["schema"], stored["target"], stored["mode"]) == (5, "real", "full")
    assert [run["name"] for run in stored["runs"]] == ["scratch", "sim", "tuned"]
    assert stored["answer"]["looked_at"] == "sim: the first run that saw no photo"
    sim, test = stored["data"]
    assert (test["role"], test["images"], test["boxes"]) == ("test", 6, 18)
    assert (sim["role"], sim["images"]) == ("simulated", 2 * 3)  # two frames of each held-out scene
    for run in stored["runs"]:
        for data in ("simulated", "real"):
            assert 0.0 <= run[data]["ap"]["value"] <= run[data]["ap50"]["value"] <= 1.0
    arms = {row["name"]: (row["arm"], row["photos"]) for row in stored["performance"]}
    assert arms == {"scratch": ("photos", 3), "sim": ("simulation", 0), "tuned": ("simulation", 3)}
    assert {row["verdict"] for row in stored["why"]["coverage"]} == {"too_few"}  # nothing is said without --look
    assert len(stored["why"]["coverage"]) == len(STATISTICS)
    ledger = line / "test-photos/photos.json.reads.jsonl"
    assert len(ledger.read_text().splitlines()) == len(stored["trust"]["readings"])
    html = out.read_text()
    assert html.count("data:image/jpeg") > 4
    assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]+"', html)
    cached = {path: path.stat().st_mtime_ns for path in out.with_name("report-cache").iterdir()}
    assert len(cached) == 6
    assert "real: " in html
    pictures = tmp_path / "unlabelled"
    shutil.copytree(line / "photos", pictures, ignore=lambda *_: ["photos.json"])
    again = script("gap_report", *words, "--without-photos", "--look", pictures)
    done(again)
    of_pictures = json.loads(out.with_suffix(".json").read_text())
    assert [row["name"] for row in of_pictures["why"]["coverage"]] == [
        name for name, one in STATISTICS.items() if not one.of_parts
    ]
    assert of_pictures["answer"]["in_use"][0]["figure"]["status"] == "not_measured"
    assert 'alt="real: ' in html
    assert 'alt="simulated: ' in out.read_text()
    assert 'alt="real: ' not in out.read_text()
    assert "pictures looked at" not in again.stdout + again.stderr
    assert {path: path.stat().st_mtime_ns for path in out.with_name("report-cache").iterdir()} == cached
    now = json.loads(out.with_suffix(".json").read_text())
    assert (now["runs"], now["trust"]["readings"]) == (stored["runs"], stored["trust"]["readings"])


def test_a_simulated_set_in_the_place_of_photos_is_a_stand_in_everywhere(
    line: Path, tiny_data_set: Path, other_data_set: Path, tmp_path: Path
) -> None:
    tuned = script(
        "finetune_real", "--checkpoint", line / "sim", "--data", other_data_set, *SMALL, "--out", tmp_path / "tuned"
    )
    assert "stand-in" in done(tuned)
    assert record(tmp_path / "tuned")["kind"] == "stand-in"
    out = tmp_path / "report.html"
    done(script("gap_report", "--sim", tiny_data_set, "--real", other_data_set, "--runs", line / "sim",
                "--out", out))  # fmt: skip
    assert json.loads(out.with_suffix(".json").read_text())["target"] == "stand-in"
    words = re.sub(r"<(style|script|pre)\b[^>]*>.*?</\1>|<code>.*?</code>|<[^>]+>", " ", out.read_text(), flags=re.S)
    assert "The test data are simulated too." in words
    assert not re.search(r"\breal(ity)?\b", words)


def test_a_yolo_folder_trains_on_its_train_and_is_measured_on_its_test(
    line: Path, tiny_data_set: Path, tmp_path: Path
) -> None:
    photos, out = yolo(tmp_path / "photos", "test"), tmp_path / "report.html"
    tune = ["--checkpoint", line / "sim", "--data", photos, *SMALL, "--out", tmp_path / "tuned"]
    assert "real photos" in done(script("finetune_real", *tune))
    coco = record(line / "tuned")
    assert len(record(tmp_path / "tuned")["trained_on"]) >= len(coco["trained_on"])
    report = ["--sim", tiny_data_set, "--runs", line / "sim", tmp_path / "tuned", "--out", out]
    done(script("gap_report", *report, "--real", photos.parent))
    as_coco = tmp_path / "as-coco.html"
    done(script("gap_report", *report[:-1], as_coco, "--real", photos.parent / "test-coco/photos.json"))
    one, other = (json.loads(page.with_suffix(".json").read_text()) for page in (out, as_coco))
    assert one["target"] == "real"
    assert one["data"][1]["boxes"] == other["data"][1]["boxes"] > 0
    recalls = [[run["real"]["recall"]["value"] for run in report["runs"]] for report in (one, other)]
    assert recalls[0] == pytest.approx(recalls[1])
    leaky = yolo(tmp_path / "leaky", "train")  # its test is its train
    assert "trained on" in refused(script("gap_report", *report, "--real", leaky))


def test_whole_boxes_go_with_a_run_from_simulation_to_the_report(
    line: Path, tiny_data_set: Path, occluded_data_set: Path, tmp_path: Path
) -> None:
    whole, photos = tmp_path / "whole", photographs(tmp_path / "photos")
    line_words = ["--data", tiny_data_set, "--model", "boxes=whole", "--occluders", 0.5, *SMALL]
    done(script("train_sim", *line_words, "--out", whole))
    done(script("finetune_real", "--checkpoint", whole, "--data", photos, *SMALL, "--out", tmp_path / "tuned"))
    config = json.loads((tmp_path / "tuned" / "config.json").read_text())["model"]
    assert config["boxes"] == "whole"
    page = tmp_path / "report.html"
    report = ["--sim", occluded_data_set, "--real", occluded_data_set, "--sim-clips", 0, "--out", page]
    done(script("gap_report", *report, "--runs", whole))
    whole_boxes, visible_boxes = read_shards(occluded_data_set, boxes="whole"), read_shards(occluded_data_set)
    report_json = json.loads(page.with_suffix(".json").read_text())
    boxes = report_json["data"][1]["boxes"]
    assert boxes == sum(whole_boxes.counts().values())
    assert boxes > sum(visible_boxes.counts().values())
    assert "go round different things" in refused(script("gap_report", *report, "--runs", whole, line / "sim"))
    wrong = ["--data", tiny_data_set, "--occluders", 0.5, *SMALL, "--out", tmp_path / "wrong"]
    assert "needs --model boxes=whole" in refused(script("train_sim", *wrong))


@pytest.mark.slow
def test_a_video_preset_follows_objects_and_is_trained_to(occluded_data_set: Path, tmp_path: Path) -> None:
    few = ["--steps", 4, "--tile", 64, "--workers", 0, "--threads", 1, "--holdout", 0.25]
    done(script("train_sim", "--data", occluded_data_set, "--preset", "tiny-video", *few, "--out", tmp_path / "video"))
    done(script("train_sim", "--data", occluded_data_set, *few, "--batch", 2, "--out", tmp_path / "stills"))
    models, trained = [], []
    for name in ("video", "stills"):
        models.append(json.loads((tmp_path / name / "config.json").read_text())["model"])
        trained.append(json.loads((tmp_path / name / "run.json").read_text())["train"])
    assert [(one["branches"], one["tracks"], one["boxes"]) for one in models] == [
        ("cnn", 30, "whole"),
        ("cnn", 0, "visible"),
    ]
    assert (models[1]["backbone"], models[1]["weights"]) == ("timm:tf_efficientnet_lite0", "bundled"), "the default"
    keys = ("clip_length", "batch_clips", "blank_probability", "cnn_steps")
    assert [tuple(one[key] for key in keys) for one in trained] == [(5, 4, 0.3, 2), (1, 2, 0.1, 0)]
    assert [one["augment"]["occluders"] for one in trained] == [0.5, 0.0]


@pytest.mark.slow
def test_simulated_sets_are_read_at_a_url_as_in_a_folder(line: Path, tiny_data_set: Path, tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    url = f"memory://{tmp_path.name}/sim"
    fsspec.filesystem("memory").put(f"{tiny_data_set}/*", f"{url.removeprefix('memory:/')}/")
    tune = ["--checkpoint", line / "sim", "--data", line / "photos/photos.json", *SMALL, "--sim", url]
    done(script("finetune_real", *tune, "--out", tmp_path / "mixed"))
    assert record(tmp_path / "mixed")["mixed_in"] == url
    report = ["--runs", line / "sim", "--real", line / "test-photos/photos.json", "--out"]
    for sim, page in ((url, tmp_path / "url.html"), (tiny_data_set, tmp_path / "folder.html")):
        done(script("gap_report", *report, page, "--sim", sim))
    there, here = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("url", "folder"))
    assert there["runs"] == here["runs"]
    mixed = ["--runs", tmp_path / "mixed", *report[2:]]
    done(script("gap_report", *mixed, page, "--sim", tiny_data_set))  # the scenes that were held out are left
    assert json.loads(page.with_suffix(".json").read_text())["data"][0]["images"] == 2 * len(
        record(line / "sim")["held_out"]
    )


def test_photos_that_a_run_trained_on_are_not_measured_on_wherever_they_lie(
    line: Path, tiny_data_set: Path, tmp_path: Path
) -> None:
    shutil.copytree(line / "photos", tmp_path / "copied")
    for photos in (line / "photos", tmp_path / "copied"):
        error = refused(script("gap_report", "--sim", tiny_data_set, "--real", photos / "photos.json", "--runs",
                              line / "sim", line / "tuned", "--out", tmp_path / "report.html"))  # fmt: skip
        assert "tuned trained on 3 of its clips" in error


def test_categories_that_a_run_does_not_know_start_at_random_and_a_note_has_both_lists(
    line: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = start(line / "sim", ("cat", "bolt"), "tiny", None, 0)
    note = capsys.readouterr().err
    assert note.count("\n") == 1
    assert "['cat']" in note
    assert "['bolt', 'nut', 'washer']" in note
    assert begun.detector.config.categories == ("cat", "bolt")
    before, now = load(line / "sim").state_dict(), begun.detector.state_dict()
    kept = [name for name in now if now[name].shape == before[name].shape and torch.equal(now[name], before[name])]
    assert len(kept) > 0.9 * len(now)


def test_categories_that_no_run_knows_are_left_out_with_a_note_or_renamed(
    line: Path, tiny_data_set: Path, tmp_path: Path
) -> None:
    photos, out = photographs(tmp_path / "photos", ("Bolt", "nut")), tmp_path / "report.html"
    words = ["--sim", tiny_data_set, "--real", photos, "--runs", line / "sim", "--out", out]
    result = script("gap_report", *words)
    done(result)
    assert "boxes left out, since no run was trained on such: 6 of 'Bolt'" in result.stderr
    assert "--rename Bolt=bolt" in result.stderr
    assert json.loads(out.with_suffix(".json").read_text())["categories"] == ["nut"]
    done(script("gap_report", *words, "--rename", "Bolt=bolt"))
    assert json.loads(out.with_suffix(".json").read_text())["categories"] == ["bolt", "nut"]
    assert "has no such category" in refused(script("gap_report", *words, "--rename", "Screw=bolt"))
    none = photographs(tmp_path / "other", ("Bolt", "dog"))
    error = refused(script("gap_report", *words[:3], none, *words[4:]))
    assert "which no run was trained on" in error
    assert "--rename Bolt=bolt" in error


def test_the_report_lists_photos_that_are_not_labelled(line: Path, tiny_data_set: Path, tmp_path: Path) -> None:
    photographs(tmp_path / "more", seed=7)
    folder = tmp_path / "unlabelled"
    shutil.copytree(tmp_path / "more", folder, ignore=lambda *_: ["photos.json"])
    shutil.copy(line / "photos/0.png", folder / "labelled.png")
    out, config = tmp_path / "report.html", tmp_path / "next.yaml"
    words = ["--sim", tiny_data_set, "--real", line / "test-photos/photos.json", "--runs", line / "sim", "--quick"]
    more = ["--look", line / "photos/photos.json", "--unlabelled", folder, "--write-config", config]
    done(script("gap_report", *words, *more, "--out", out))
    report = json.loads(out.with_suffix(".json").read_text())
    rows = report["do_next"]["label"]
    assert sorted(row["photo"] for row in rows) == [f"{k}.png" for k in range(6)]
    uris = json.loads(out.with_name("report-pictures.json").read_text())["pictures"]
    assert all(uris[row["picture"]].startswith("data:image/jpeg") for row in rows)
    assert "not better than a random one" in report["do_next"]["label_note"]
    lines = out.with_name("report-label-next.txt").read_text().splitlines()
    assert lines == [str(folder / row["photo"]) for row in rows]
    assert [row["distance"]["status"] for row in report["why"]["features"]] == ["too_few"] * 3
    assert not config.exists()  # so few photos say nothing of any range
    page = out.read_text()
    assert "Label these photos next" in page


def test_photos_without_labels_give_what_can_be_given_and_say_what_is_left_out(
    line: Path, tiny_data_set: Path, tmp_path: Path
) -> None:
    folder, out = tmp_path / "photos", tmp_path / "report.html"
    shutil.copytree(line / "test-photos", folder, ignore=lambda *_: ["photos.json"])
    done(script("gap_report", "--sim", tiny_data_set, "--real", folder, "--runs", line / "sim", "--out", out))
    report = json.loads(out.with_suffix(".json").read_text())
    assert report["target"] == "real"
    assert report["answer"]["sentence"].startswith("The 6 photos have no labels")
    assert report["answer"]["gap"]["status"] == "not_measured"
    (row,) = report["performance"]
    assert {figure["status"] for figure in row["real"].values()} == {"too_few"}
    assert row["simulated"]["ap50"]["status"] == "measured"
    assert report["where"]["tables"] == report["where"]["false_alarms"] == report["where"]["errors"] == []
    looked_at = {one["name"] for one in report["why"]["coverage"]}
    assert looked_at == {name for name, one in STATISTICS.items() if not one.of_parts}
    assert any("AP, recall, kinds of errors" in text for text in report["trust"]["left_out"])
    assert report["trust"]["readings"] == []
    assert not folder.with_name("photos.reads.jsonl").exists()
    kinds = {one["kind"] for one in report["pictures"].values() if one["of"] == "real"}
    assert kinds == {"scene"}  # no detection is called a false alarm


@pytest.mark.slow
def test_a_change_is_tried_with_scenes_and_trainings_and_asked_of_the_pool(
    line: Path, tiny_data_set: Path, tmp_path: Path
) -> None:
    shutil.copytree(line / "photos", tmp_path / "pool")
    pool = Pool(read(tmp_path / "pool/photos.json"), tmp_path / "pool/photos.json", ONE_EACH)
    rendered = rendered_with(tiny_data_set)
    before = rendered.config.sensor.exposure
    ends, wider = (before.low, before.high), (0.5 * before.low, before.high)
    wide = Change("sensor.exposure", ends, wider, "coverage", "", NOT_KNOWN, "")
    shown: list[tuple[int, int]] = []
    show = Together(lambda done, total, values: shown.append((done, total)))
    progress = TrialProgress(show, Sizes(scenes=4, steps=2, pictures=6, seeds=3), 2)
    asked = TrialWishes(1, 4, 2, tmp_path / "trials", tmp_path / "cache", tmp_path, "now", progress)

    def command(words: Sequence[str | Path], counted: Progress) -> None:
        if words[0] == "-m":
            done(script("train_sim", *words[2:], "--batch", 2, "--threads", 1, "--workers", 0))
        else:
            result = CliRunner().invoke(simgen_app, list(map(str, words[2:])))
            assert result.exit_code == 0, result.output

    got = try_out(Advice((wide,), rendered), open_run(line / "sim"), pool, asked, command)
    (row,) = got.effects
    assert row.effect.status == "measured"
    assert row.effect.seeds == 3
    assert len(list((tmp_path / "trials").glob("with*/seed*/run.json"))) == 6
    assert len((tmp_path / "pool/photos.json.asks.jsonl").read_text().splitlines()) == 1
    assert {total for _, total in shown} == {2 * (4 + 3 * (2 + 6))}
    assert shown[-1] == (56, 56)
