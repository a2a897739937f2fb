"""A trained detector in use: every kind of source, what is written, and what is told when it cannot work."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from hybrid import Detector
from hybrid.cli import app
from hybrid.core.config import SCORE
from hybrid.core.errors import DataError
from hybrid.model.network import Network
from hybrid.predict.detector import operating_point, trained_view
from hybrid.predict.io.drawing import draw_result
from hybrid.predict.io.sources import open_source
from hybrid.predict.stream import stream
from hybrid.predict.tiles import View, view_of
from hybrid.weights.checkpoint import save_detector
from hybrid.weights.record import RUN
from tests.hybrid.photos import CATEGORIES
from tests.hybrid.variants import full

WHOLE = View(tile_px=None, scales=(1.0,), limit=20)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run, as far as use needs it."""
    folder = tmp_path_factory.mktemp("run")
    torch.manual_seed(1)
    network = Network(
        full(
            CATEGORIES,
            width=16,
            heads=2,
            queries=20,
            memory_frames=2,
            quiet_start=False,
        )
    )
    save_detector(folder / "ema.safetensors", network)
    (folder / RUN).write_text(json.dumps({"train": {"tile_px": 96}}))
    return folder


def images(count: int = 5, size: tuple[int, int] = (64, 48)) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [cv2.blur(rng.integers(0, 255, (size[1], size[0], 3)).astype(np.uint8), (5, 5)) for _ in range(count)]


def folder_of(path: Path, pictures: list[np.ndarray]) -> Path:
    path.mkdir(parents=True)
    for i, picture in enumerate(pictures):
        cv2.imwrite(str(path / f"part {i}.png"), picture[..., ::-1])
    return path


def video_of(path: Path, pictures: list[np.ndarray]) -> Path:
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (width, height))
    for picture in pictures:
        writer.write(np.ascontiguousarray(picture[..., ::-1]))
    writer.release()
    return path


def predict(*line: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["predict", *map(str, line)])
    return done.exit_code, done.stdout, done.stderr


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_results_are_those_of_the_stream_with_names(run: Path) -> None:
    detector = Detector.load(run, score=0.0, view=WHOLE, label_iou=1.0, nested_share=1.0)
    clip = images()
    expected = list(stream(detector.network, clip, detector.view))
    results = detector.predict(np.stack(clip))
    assert isinstance(results, list)
    for one, other in zip(results, expected, strict=True):
        np.testing.assert_array_equal(one.boxes_xyxy_px, other.boxes_xyxy_px.numpy())
        assert one.names == [CATEGORIES[label] for label in other.labels.tolist()]
        assert len(one) > 0
    first = detector.predict(clip[0])
    assert not isinstance(first, list)
    np.testing.assert_array_equal(first.scores, results[0].scores)
    assert max(first.scores) > min(first.scores)
    sure = Detector.load(run, score=float(np.median(first.scores)), view=WHOLE).predict(clip[0])
    assert 0 < len(sure) < len(first)


def test_the_view_and_its_tiles_are_those_of_the_training(run: Path) -> None:
    assert trained_view(run, tiled=True) == View(tile_px=96, overlap_px=24)
    assert trained_view(run) == view_of(96)
    assert trained_view(run / "ema.safetensors") == view_of(256)
    assert trained_view(run / "ema.safetensors", tiled=True) == View()


def test_what_a_run_says_is_best_is_where_its_detections_are_cut(run: Path, tmp_path: Path) -> None:
    image = images(1)[0]
    scores = Detector.load(run, score=0.0, view=WHOLE).predict(image).scores
    middle = float(np.median(scores))
    shutil.copytree(run, tmp_path / "run")
    told = {"train": {"tile_px": 96}, "operating_point": {"score": middle, "frames": 7, "on": "held out"}}
    (tmp_path / "run" / RUN).write_text(json.dumps(told))
    assert operating_point(tmp_path / "run") == (middle, "best F1 on 7 frames held out")
    np.testing.assert_array_equal(
        Detector.load(tmp_path / "run", view=WHOLE).predict(image).scores, scores[scores >= np.float32(middle)]
    )
    assert operating_point(run) == (SCORE, "by default")
    sure = Detector.load(tmp_path / "run", score=0.0, view=WHOLE, follower="rules")
    assert (sure.linking.sure, sure.linking.unsure) == (middle, min(middle, 0.1)), "what begins a track is the same"
    told["operating_point"]["score"] = None
    (tmp_path / "run" / RUN).write_text(json.dumps(told))
    assert operating_point(tmp_path / "run") == (SCORE, "by default")


def test_a_folders_stills_know_nothing_of_each_other_and_its_frames_do(run: Path, tmp_path: Path) -> None:
    pictures = images(3)
    folder = folder_of(tmp_path / "photos", pictures)
    detector = Detector.load(run, score=0.0, view=WHOLE)
    alone = [detector.predict(picture) for picture in pictures]
    stills = list(detector.stream(folder))
    frames = list(detector.stream(open_source(folder, sequence=True)))
    assert [one.name for one in stills] == ["part 0.png", "part 1.png", "part 2.png"]
    for still, own in zip(stills, alone, strict=True):
        np.testing.assert_array_equal(still.scores, own.scores)  # type: ignore[union-attr]
    assert not np.array_equal(frames[2].scores, stills[2].scores)
    carried = detector.predict(np.stack(pictures))
    np.testing.assert_array_equal(frames[2].scores, carried[2].scores)  # type: ignore[index]


def test_frames_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("f10.png", "f9.png", "f1.png"):
        cv2.imwrite(str(tmp_path / name), images(1)[0])
    (clip,) = open_source(tmp_path, sequence=True).clips
    assert [frame.name for frame in clip] == ["f1.png", "f9.png", "f10.png"]


def test_stills_may_differ_in_size_and_broken_ones_are_named(run: Path, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "photos", [images(1)[0], images(1, (80, 40))[0]])
    (folder / "broken.jpg").write_bytes(b"no image")
    code, told, noted = predict(
        "--checkpoint", run, "--source", folder, "--out", tmp_path / "out", "--score", 0, "--whole"
    )
    assert code == 0, noted
    assert "in 2 frames" in told
    assert "image file cannot be decoded: 1, such as broken.jpg" in noted
    detections = lines(tmp_path / "out/detections.jsonl")
    assert [one["frame"] for one in detections] == ["part 0.png", "part 1.png"]
    assert all(one["time_s"] is None and one["detections"] for one in detections)
    assert cv2.imread(str(tmp_path / "out/part 1.png.jpg")).shape == (40, 80, 3)


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_a_video_becomes_a_video_of_as_many_frames_and_a_line_for_each(run: Path, tmp_path: Path, suffix: str) -> None:
    belt = video_of(tmp_path / "belt.avi", images(6))
    out = tmp_path / f"found{suffix}"
    code, told, noted = predict("--checkpoint", run, "--source", belt, "--out", out, "--score", 0, "--whole")
    assert code == 0, noted
    assert "frames/s" in told
    assert str(out) in told
    detections = lines(out.with_suffix(".jsonl"))
    assert [one["time_s"] for one in detections] == pytest.approx([i / 10 for i in range(6)])
    (clip,) = open_source(out).clips
    filmed = list(clip)
    assert len(filmed) == 6
    assert filmed[0].image.shape == (48, 64, 3)
    streamed = [
        one.to_plain() for one in Detector.load(run, score=0.0, view=View(tile_px=None, scales=(1.0,))).stream(belt)
    ]
    assert detections == streamed


def test_boxes_are_drawn_where_they_are_and_nothing_else_changes(run: Path) -> None:
    image = np.full((60, 80, 3), 100, np.uint8)
    result = Detector.load(run, score=0.0, view=WHOLE).predict(image)
    assert not isinstance(result, list)
    one = replace(
        result,
        boxes_xyxy_px=np.array([[20, 20, 40, 50]], np.float32),
        scores=result.scores[:1],
        labels=result.labels[:1],
        track_ids=result.track_ids[:1],
    )
    canvas = draw_result(image, one)
    changed = (canvas != image).any(-1)
    assert changed[20, 20:40].all()
    assert changed[49, 20:40].all()
    assert changed[20:50, 39].all()
    assert not changed[22:48, 22:38].any()
    assert (image == 100).all()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (["--source", "nothing.mp4"], "is no file, no folder, no camera's number"),
        (["--source", "empty"], "holds no image"),
        (["--source", "noise.mp4"], "cannot be opened as a video"),
        (["--source", "987"], "camera 987: cannot be opened"),
        (["--source", "photos", "--out", "x.mp4"], "holds stills; give a folder, or say --sequence"),
        (["--source", "photos", "--out", "photos"], "photos is what is read; give another name"),
        (["--source", "photos", "--out", "x.wmv"], "must be a folder, a picture, or a video ending in"),
        (["--source", "sizes", "--out", "x.jpg"], "x.jpg is one picture, but sizes is not; give a folder"),
        (["--source", "photos", "--out", "noise.mp4"], "noise.mp4 exists; give another name, or say --overwrite"),
        (["--source", "photos", "--device", "nosuch"], "device 'nosuch': there are auto, cpu, cuda"),
        (["--source", "photos", "--device", "cuda:77"], "CUDA devices; use cpu or auto"),
        (["--source", "broken", "--out", "x"], "not one frame could be used"),
        (["--source", "photos", "--checkpoint", "nowhere"], "there is no such file"),
        (["--source", "photos", "--whole", "--tiles"], "--whole and --tiles exclude each other"),
    ],
)
def test_a_mistake_is_one_line(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: list[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENCV_LOG_LEVEL", "OFF")
    (tmp_path / "empty").mkdir()
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    folder_of(tmp_path / "photos", images(1))
    folder_of(tmp_path / "sizes", [images(1)[0], images(1, (32, 32))[0]])
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/a.png").write_bytes(b"PNG?")
    code, _, errors = predict(*(["--checkpoint", run] if "--checkpoint" not in line else []), *line)
    assert code == 2
    assert told in errors.splitlines()[-1]
    assert errors.splitlines()[-1].startswith("error: ")


def test_a_window_that_cannot_be_is_reported(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise cv2.error("not implemented")

    monkeypatch.setattr(cv2, "namedWindow", none)
    folder = folder_of(tmp_path / "photos", images(1))
    code, _, errors = predict("--checkpoint", run, "--source", folder, "--show")
    assert code == 2
    assert "headless" in errors


def test_frames_of_an_iterator_are_answered_one_by_one(run: Path) -> None:
    asked = []

    def camera():  # type: ignore[no-untyped-def]
        for i, image in enumerate(images()):
            asked.append(i)
            yield image

    results = Detector.load(run, view=WHOLE).stream(camera())
    next(results)
    next(results)
    assert asked == [0, 1]


def test_ctrl_c_keeps_what_was_found_and_needs_no_traceback(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, watch = folder_of(tmp_path / "photos", images(3)), Detector.watch

    def interrupted(self: Detector, source: object):  # type: ignore[no-untyped-def]
        for i, detections in enumerate(watch(self, source)):  # type: ignore[arg-type]
            if i == 2:
                raise KeyboardInterrupt
            yield detections

    monkeypatch.setattr(Detector, "watch", interrupted)
    code, told, noted = predict("--checkpoint", run, "--source", folder, "--out", tmp_path / "out", "--whole")
    assert (code, "stopped" in noted, "in 2 frames" in told) == (0, True, True)
    assert len(lines(tmp_path / "out/detections.jsonl")) == 2

    def while_loading(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Detector, "load", while_loading)
    done = CliRunner().invoke(app, ["predict", "--checkpoint", str(run), "--source", str(folder)])
    assert done.exit_code != 0
    assert isinstance(done.exception, SystemExit), done.exception


def test_an_empty_video_is_an_error(tmp_path: Path) -> None:
    belt = video_of(tmp_path / "belt.avi", images(2))
    belt.write_bytes(belt.read_bytes()[:200])
    with pytest.raises(DataError, match=r"cannot be opened as a video|not one frame"):
        list(next(iter(open_source(belt).clips)))


def test_help_and_wrong_paths_load_no_torch(tmp_path: Path) -> None:
    """Its import takes seconds."""
    (tmp_path / "a.safetensors").write_bytes(b"x")
    (tmp_path / "a.png").write_bytes(b"x")
    lines = [
        (["predict", "--help"], 0, "belt.mp4"),
        (["--version"], 0, "hybrid 0."),
        (["predict", "--checkpoint", "nosuch", "--source", "a.png"], 2, "nosuch: there is no such file"),
        (["predict", "--checkpoint", "a.safetensors", "--source", "b.png"], 2, "b.png: is no file"),
        (["predict", "--checkpoint", "a.safetensors", "--source", "a.png", "--out", "a.png"], 2, "is what is read"),
        (["export", "--checkpoint", "a.safetensors", "--out", "a.png", "--height", "9", "--width", "9"], 2, ".onnx"),
    ]
    code = "import sys; sys.modules['torch'] = None\nfrom typer.testing import CliRunner\nfrom hybrid.cli import app\n"
    code += f"for line, status, told in {lines!r}:\n    done = CliRunner().invoke(app, line)\n"
    code += "    assert (done.exit_code, told in done.output) == (status, True), (line, done.output, done.exception)\n"
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert done.returncode == 0, done.stderr


def test_control_codes_of_a_file_name_do_not_reach_the_terminal(run: Path, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "photos", images(1))
    (folder / "\x1b[31mred.png").write_bytes(b"no image")
    code, told, noted = predict("--checkpoint", run, "--source", folder, "--whole")
    assert code == 0
    assert r"such as \x1b[31mred.png" in noted
    code, _, errors = predict("--checkpoint", run, "--source", tmp_path / "\x1b[2Jnone")
    assert code == 2
    assert "\x1b" not in told + noted + errors


def test_a_sequence_of_two_sizes_is_answered_in_two_clips_with_a_note(run: Path, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "sizes", [*images(2), images(1, (32, 32))[0]])
    code, told, noted = predict(
        "--checkpoint", run, "--source", folder, "--sequence", "--whole", "--out", tmp_path / "boxes.avi"
    )
    assert code == 0, noted
    assert "in 3 frames" in told
    assert "image size changes: a new clip begins: 1, such as part 2.png with 32x32" in noted
    assert noted.count("whole at scale 1\n") == 2
    assert "note: images of 32x32: whole at scale 1" in noted
    names = ["boxes.avi", "boxes.jsonl", "boxes_2.avi", "boxes_events.jsonl"]
    assert sorted(path.name for path in tmp_path.glob("boxes*")) == names
