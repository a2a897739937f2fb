"""Sources and sinks: what is opened as what, in which order, with which times; what is never written over."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from hybrid.core.errors import DataError
from hybrid.predict.io.sinks import Sinks
from hybrid.predict.io.sources import DepthFolder, open_source
from hybrid.predict.io.video import Source, SourceFrame
from hybrid.predict.result import Result


def images(folder: Path, names: tuple[str, ...]) -> Path:
    folder.mkdir()
    for k, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.full((24, 32, 3), 10 * k, np.uint8))
    return folder


def video(path: Path, frames: int = 6, rate: float = 10.0) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate, (32, 24))
    for k in range(frames):
        writer.write(np.full((24, 32, 3), 40 * k, np.uint8))
    writer.release()
    return path


def result(name: str) -> Result:
    return Result(
        name, None, np.array([[4, 4, 20, 20]], np.float32), np.array([0.9], np.float32), np.array([0]), ("bolt",),
        np.array([-1]),
    )  # fmt: skip


def names(source: Source) -> list[list[str]]:
    return [[frame.name for frame in clip] for clip in source.clips]


def test_a_folders_images_are_stills_in_natural_order_or_one_clip(tmp_path: Path) -> None:
    folder = images(tmp_path / "photos", ("frame_10.png", "frame_9.jpg", "frame_9b.png", "Frame_1.bmp"))
    (folder / "notes.txt").write_text("no image")
    order = ["Frame_1.bmp", "frame_9.jpg", "frame_9b.png", "frame_10.png"]
    stills = open_source(folder)
    assert (stills.total, stills.frames_per_s) == (4, None)
    assert names(stills) == [[name] for name in order]
    sequence = open_source(str(folder), sequence=True)
    assert names(sequence) == [order]
    assert sequence.frames_per_s == 10.0


def test_a_folder_named_as_a_number_is_a_folder_when_given_as_a_path(tmp_path: Path) -> None:
    assert names(open_source(images(tmp_path / "7", ("a.png",)))) == [["a.png"]]


def test_a_broken_image_is_skipped_by_name_and_the_others_are_used(tmp_path: Path) -> None:
    folder = images(tmp_path / "photos", ("a.png", "b.png"))
    (folder / "a.png").write_bytes(b"\x89PNG")
    source = open_source(folder)
    assert names(source) == [["b.png"]]
    assert source.skips.done() == {"image file cannot be decoded": ("a.png",)}


def test_depth_is_read_by_name_and_a_missing_one_leaves_the_image(tmp_path: Path) -> None:
    folder = images(tmp_path / "rgb", ("a.png", "b.png"))
    (tmp_path / "depth").mkdir()
    cv2.imwrite(str(tmp_path / "depth/a.png"), np.full((24, 32), 500, np.uint16))
    source = open_source(folder, depth=DepthFolder(tmp_path / "depth", 0.001))
    (one,), (other,) = source.clips
    assert one.depth_m is not None
    assert one.depth_m.max() == pytest.approx(0.5)
    assert other.depth_m is None
    assert source.skips.done() == {"image used without depth: depth file missing": ("b.png",)}


def test_a_video_is_one_clip_with_times_from_its_rate(tmp_path: Path) -> None:
    source = open_source(video(tmp_path / "belt.avi"))
    assert (source.total, source.frames_per_s) == (6, 10.0)
    (clip,) = source.clips
    frames = list(clip)
    assert [frame.time_s for frame in frames] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert [round(frame.image.mean() / 40) for frame in frames] == list(range(6))


def test_an_iterable_is_one_clip_and_its_frames_keep_their_names(tmp_path: Path) -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    assert names(open_source([image, SourceFrame("left", image, 0.5), image])) == [["frame 0", "left", "frame 2"]]


@pytest.mark.parametrize("wrong", ["nosuch", "nosuch.mp4", "text.mp4", "empty"])
def test_what_cannot_be_opened_is_refused_by_name(wrong: str, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=wrong):
        open_source(tmp_path / wrong)


def test_a_depth_folder_must_exist_and_have_a_plausible_unit(tmp_path: Path) -> None:
    for unit in (0.0, -0.001, 1.5):
        with pytest.raises(DataError, match="a depth unit of"):
            DepthFolder(tmp_path, unit)
    with pytest.raises(DataError, match="is no folder of depth pictures"):
        DepthFolder(tmp_path / "none")


def test_a_folder_sink_writes_images_and_one_json_line_a_frame(tmp_path: Path) -> None:
    source, image = Source("photos", []), np.full((24, 32, 3), 90, np.uint8)
    with Sinks(source, tmp_path / "out", show=False) as sinks:
        assert sinks.put(image, result("a.png"))
        assert sinks.put(image, result("b.jpg"))
    lines = (tmp_path / "out/detections.jsonl").read_text().splitlines()
    assert [json.loads(line)["frame"] for line in lines] == ["a.png", "b.jpg"]
    assert json.loads(lines[0])["detections"] == [{"box_xyxy_px": [4, 4, 20, 20], "score": 0.9, "category": "bolt"}]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.png.jpg", "b.jpg", "detections.jsonl"]
    assert sinks.written == [tmp_path / "out", tmp_path / "out/detections.jsonl"]
    assert (image == 90).all()
    with pytest.raises(DataError, match="is not empty"):
        Sinks(source, tmp_path / "out", show=False)


def test_a_video_sink_keeps_the_frame_rate_and_the_number_of_frames(tmp_path: Path) -> None:
    source = Source("belt", [], frames_per_s=20.0)
    with Sinks(source, tmp_path / "boxes.avi", show=False) as sinks:
        for k in range(5):
            sinks.put(np.full((24, 32, 3), 90, np.uint8), result(f"{k}"))
    made = open_source(tmp_path / "boxes.avi")
    assert (made.total, made.frames_per_s) == (5, 20.0)
    assert len((tmp_path / "boxes.jsonl").read_text().splitlines()) == 5


def test_outputs_that_cannot_be_are_refused_before_anything_is_detected(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for out, rate, message in (
        ("file", 25.0, "must be a folder, a picture, or a video ending in"),
        ("a.webm", 25.0, "must be a folder, a picture, or a video ending in"),
        ("a.mp4", None, "holds stills; give a folder, or say --sequence"),
    ):
        with pytest.raises(DataError, match=message):
            Sinks(Source("photos", [], frames_per_s=rate), tmp_path / out, show=False)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
