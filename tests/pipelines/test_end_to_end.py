"""The scripts as a person runs them, on the smallest data that still exercise everything."""

from __future__ import annotations

import importlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from hybrid.data.shards import read_shards
from pipelines.gap.appearance import STATISTICS

ROOT = Path(__file__).parents[2]
SMALL = ["--steps", "3", "--batch", "2", "--tile", "64", "--clip-length", "2", "--workers", "0", "--threads", "1"]


@dataclass(frozen=True)
class Finished:
    returncode: int
    stdout: str
    stderr: str


def script(name: str, *arguments: object) -> Finished:
    """Run a script in this process: loading torch anew for each would take longer than all else."""
    module = importlib.import_module(f"pipelines.{name}")
    out, err = io.StringIO(), io.StringIO()
    line = [str(argument) for argument in arguments]
    with redirect_stdout(out), redirect_stderr(err):
        try:
            module.app(line)
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
    return Finished(code, out.getvalue(), err.getvalue())


def done(result: Finished) -> str:
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


def refused(result: Finished) -> str:
    """The one line that a mistake is answered with."""
    assert result.returncode == 2, result.stderr[-3000:]
    lines = [line for line in result.stderr.splitlines() if not line.startswith("note: ")]
    assert len(lines) == 1, result.stderr[-3000:]
    assert lines[0].startswith("error: ")
    return lines[0]


def photographs(
    folder: Path, categories: tuple[str, ...] = ("bolt", "nut", "washer"), count: int = 6, seed: int = 0
) -> Path:
    """A COCO set of grey rectangles on noise: what matters is its form."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    images, annotations = [], []
    for i in range(count):
        pixels = rng.normal(110, 12, (96, 128, 3)).clip(0, 255).astype(np.uint8)
        for label in range(len(categories)):
            x, y, side = int(rng.integers(100)), int(rng.integers(70)), 12 + 6 * label
            pixels[y : y + side, x : x + side] = 200 - 60 * label
            box = [x, y, min(side, 128 - x), min(side, 96 - y)]
            annotations.append({"id": len(annotations) + 1, "image_id": i, "category_id": label + 1, "bbox": box})
        cv2.imwrite(str(folder / f"{i}.png"), pixels)
        images.append({"id": i, "file_name": f"{i}.png", "width": 128, "height": 96})
    names = [{"id": k + 1, "name": name} for k, name in enumerate(categories)]
    path = folder / "photos.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": names}))
    return path


@pytest.fixture(scope="module")
def line(tiny_data_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three runs that a report compares, three steps each."""
    out = tmp_path_factory.mktemp("line")
    photos = photographs(out / "photos")
    photographs(out / "test-photos", seed=1)
    done(script("train_sim", "--data", tiny_data_set, "--out", out / "sim", "--holdout", 0.4, *SMALL))
    tune = ["--data", photos, "--shots", 3, *SMALL]
    done(script("finetune_real", "--checkpoint", out / "sim", *tune, "--out", out / "tuned"))
    done(script("finetune_real", "--checkpoint", "none", *tune, "--out", out / "scratch"))
    return out


def record(run: Path) -> dict[str, object]:
    return dict(json.loads((run / "run.json").read_text())["experiment"])


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
    done(script("finetune_real", *tune, "--shots", 2, "--seed", 5, "--out", tmp_path / "two"))
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
    ask = ["--sim", tiny_data_set, "--real", line / "test-photos/photos.json", "--runs", *runs, "--out", out]
    assert str(out) in done(script("gap_report", *ask))
    stored = json.loads(out.with_suffix(".json").read_text())
    assert stored["target"] == "real"
    assert [run["name"] for run in stored["runs"]] == ["scratch", "sim", "tuned"]
    assert stored["real"]["images"] == 6
    assert stored["real"]["boxes"] == 18
    assert stored["sim"]["images"] == 2 * 3  # two frames of each held-out scene
    for run in stored["runs"]:
        for data in ("sim", "target"):
            assert 0.0 <= run[data]["ap"] <= run[data]["ap50"] <= 1.0
            assert sorted(run[data]["ap_by_category"]) == ["bolt", "nut", "washer"]
    assert len(stored["differences"]) == len(STATISTICS)
    html = out.read_text()
    assert html.count("data:image/jpeg") > 4
    assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]+"', html)
    cached = {path: path.stat().st_mtime_ns for path in out.with_name("report-cache").iterdir()}
    assert len(cached) == 6
    assert "real: " in html
    again = script("gap_report", *ask, "--without-photos")
    done(again)
    assert 'alt="real: ' in html
    assert 'alt="simulated: ' in out.read_text()
    assert 'alt="real: ' not in out.read_text()
    assert "on simulated" not in again.stdout + again.stderr
    assert {path: path.stat().st_mtime_ns for path in out.with_name("report-cache").iterdir()} == cached
    assert json.loads(out.with_suffix(".json").read_text())["runs"] == stored["runs"]


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
    words = re.sub(r"<(style|pre)>.*?</\1>|<code>.*?</code>|<[^>]+>", " ", out.read_text(), flags=re.S)
    assert "Stand-in" in words
    assert not re.search(r"\breal(ity)?\b", words)


def yolo(folder: Path, test: str) -> Path:
    """The photographs of two folders as one YOLO folder's `train` and `test`."""
    for split, seed in (("train", 0), ("test", 1)):
        coco = json.loads(photographs(folder / f"{split}-coco", seed=seed).read_text())
        (folder / split / "labels").mkdir(parents=True)
        shutil.copytree(folder / f"{split}-coco", folder / split / "images", ignore=lambda *_: ["photos.json"])
        names = [category["name"] for category in coco["categories"]]
        place = {category["id"]: i for i, category in enumerate(coco["categories"])}
        for image in coco["images"]:
            wide, high = image["width"], image["height"]
            lines = [
                f"{place[a['category_id']]} {(x + w / 2) / wide} {(y + h / 2) / high} {w / wide} {h / high}"
                for a in coco["annotations"]
                if a["image_id"] == image["id"]
                for x, y, w, h in [a["bbox"]]
            ]
            label = folder / split / "labels" / Path(image["file_name"]).with_suffix(".txt")
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_text("\n".join(lines))
    listing = folder / "data.yaml"
    listing.write_text(json.dumps({"names": names, "train": "train/images", "test": f"{test}/images"}))
    return listing


def test_a_yolo_folder_trains_on_its_train_and_is_measured_on_its_test(
    line: Path, tiny_data_set: Path, tmp_path: Path
) -> None:
    photos, out = yolo(tmp_path / "photos", "test"), tmp_path / "report.html"
    tune = ["--checkpoint", line / "sim", "--data", photos, *SMALL, "--out", tmp_path / "tuned"]
    assert "real clips" in done(script("finetune_real", *tune))
    coco = record(line / "tuned")
    assert len(record(tmp_path / "tuned")["trained_on"]) >= len(coco["trained_on"])
    report = ["--sim", tiny_data_set, "--runs", line / "sim", tmp_path / "tuned", "--out", out]
    done(script("gap_report", *report, "--real", photos.parent))
    as_coco = tmp_path / "as-coco.html"
    done(script("gap_report", *report[:-1], as_coco, "--real", photos.parent / "test-coco/photos.json"))
    one, other = (json.loads(page.with_suffix(".json").read_text()) for page in (out, as_coco))
    assert one["target"] == "real"
    assert one["real"]["boxes"] == other["real"]["boxes"] > 0
    assert [run["target"]["ar"] for run in one["runs"]] == pytest.approx([run["target"]["ar"] for run in other["runs"]])
    leaky = yolo(tmp_path / "leaky", "train")  # its test is its train
    assert "trained on" in refused(script("gap_report", *report, "--real", leaky))


def test_whole_boxes_go_with_a_run_from_simulation_to_the_report(
    line: Path, tiny_data_set: Path, occluded_data_set: Path, tmp_path: Path
) -> None:
    whole, photos = tmp_path / "whole", photographs(tmp_path / "photos")
    asked = ["--data", tiny_data_set, "--model", "boxes=whole", "--occluders", 0.5, *SMALL]
    done(script("train_sim", *asked, "--out", whole))
    done(script("finetune_real", "--checkpoint", whole, "--data", photos, *SMALL, "--out", tmp_path / "tuned"))
    config = json.loads((tmp_path / "tuned" / "config.json").read_text())["model"]
    assert config["boxes"] == "whole"
    page = tmp_path / "report.html"
    report = ["--sim", occluded_data_set, "--real", occluded_data_set, "--sim-clips", 0, "--out", page]
    done(script("gap_report", *report, "--runs", whole))
    hidden, seen = read_shards(occluded_data_set, boxes="whole"), read_shards(occluded_data_set)
    report_json = json.loads(page.with_suffix(".json").read_text())
    assert {one["distance"] for one in report_json["differences"]} == {0.0}  # a set and itself: both where parts show
    told = report_json["real"]["boxes"]
    assert told == sum(hidden.counts().values())
    assert told > sum(seen.counts().values())
    assert "go round different things" in refused(script("gap_report", *report, "--runs", whole, line / "sim"))
    wrong = ["--data", tiny_data_set, "--occluders", 0.5, *SMALL, "--out", tmp_path / "wrong"]
    assert "needs --model boxes=whole" in refused(script("train_sim", *wrong))


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
    keys = ("clip_length", "batch_clips", "blank_probability", "cnn_steps")
    assert [tuple(one[key] for key in keys) for one in trained] == [(5, 4, 0.3, 2), (2, 2, 0.1, 0)]
    assert [one["augment"]["occluders"] for one in trained] == [0.5, 0.0]


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
    assert "every clip of it was trained on" in refused(script("gap_report", *mixed, page, "--sim", tiny_data_set))


def test_photos_that_a_run_trained_on_are_not_measured_on_wherever_they_lie(
    line: Path, tiny_data_set: Path, tmp_path: Path
) -> None:
    shutil.copytree(line / "photos", tmp_path / "copied")
    for photos in (line / "photos", tmp_path / "copied"):
        told = refused(script("gap_report", "--sim", tiny_data_set, "--real", photos / "photos.json", "--runs",
                              line / "sim", line / "tuned", "--out", tmp_path / "report.html"))  # fmt: skip
        assert "tuned trained on 3 of its clips" in told


@pytest.mark.parametrize("name", ["train_sim", "finetune_real", "gap_report", "demo"])
@pytest.mark.parametrize("how", ["module", "file"])
def test_help_comes_without_torch_both_ways(name: str, how: str) -> None:
    call = {
        "module": f"runpy.run_module('pipelines.{name}', run_name='__main__')",
        "file": f"runpy.run_path('pipelines/{name}.py', run_name='__main__')",
    }[how]
    code = f"import runpy, sys; sys.modules['torch'] = None; sys.argv = ['{name}', '--help']; {call}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr
    assert "--out" in result.stdout


def test_missing_data_are_named(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    assert "gone" in refused(script("train_sim", "--data", gone, "--out", tmp_path / "run"))
    (tmp_path / "empty").mkdir()
    told = refused(script("train_sim", "--data", tmp_path / "empty", "--out", tmp_path / "run"))
    assert "manifest.json" in told
    told = refused(script("finetune_real", "--checkpoint", "none", "--data", f"{gone}.json", "--out", tmp_path / "run"))
    assert "gone.json: there is no such file" in told
    assert not (tmp_path / "run").exists()


def test_photos_of_other_categories_are_refused_with_both_lists(line: Path, tmp_path: Path) -> None:
    photos = photographs(tmp_path / "photos", ("cat", "dog"))
    told = refused(script("finetune_real", "--checkpoint", line / "sim", "--data", photos, "--out", tmp_path / "run"))
    assert "cat" in told
    assert "bolt" in told


def test_a_report_of_a_category_that_a_run_does_not_know_is_refused(
    line: Path, tiny_data_set: Path, tmp_path: Path
) -> None:
    photos = photographs(tmp_path / "photos", ("bolt", "dog"))
    told = refused(script("gap_report", "--sim", tiny_data_set, "--real", photos, "--runs", line / "sim",
                          "--out", tmp_path / "report.html"))  # fmt: skip
    assert "dog" in told


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--shots", "99"], "--shots 99"),
        (["--shots", "-1"], "--shots"),
        (["--steps", "0"], "steps"),
        (["--tile", "50"], "tile_px"),
        (["--branches", "rnn"], "--branches"),
        (["--holdout", "1.0"], "holdout"),
    ],
)
def test_senseless_options_are_named(tmp_path: Path, options: list[str], word: str) -> None:
    photos = photographs(tmp_path / "photos")
    told = refused(
        script("finetune_real", "--checkpoint", "none", "--data", photos, "--out", tmp_path / "run", *options)
    )
    assert word in told


def test_a_missing_run_is_named(tmp_path: Path) -> None:
    photos = photographs(tmp_path / "photos")
    told = refused(
        script("finetune_real", "--checkpoint", tmp_path / "no", "--data", photos, "--out", tmp_path / "run")
    )
    assert str(tmp_path / "no") in told
