"""Videos as they are: frames with their own times, damaged ones, an end that comes early, sizes that change."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from hybrid.core.errors import DataError
from hybrid.data.clips import Skips
from hybrid.predict.io.sources import open_source
from hybrid.predict.io.video import Source, SourceFrame, clips_by_size, name_of_address

TIMES_MS = [0, 40, 80, 200, 240, 600, 640, 1000]


def motion_jpeg(path: Path, frames: int = 8) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (64, 48))
    for k in range(frames):
        writer.write(np.random.default_rng(k).integers(0, 255, (48, 64, 3)).astype(np.uint8))
    writer.release()
    return path


def varying(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for k, time_ms in enumerate(TIMES_MS):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 30 * k, np.uint8), format="rgb24")
            frame.pts, frame.time_base = time_ms + 500, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def frames_of(source: Source) -> list[SourceFrame]:
    return [frame for clip in source.clips for frame in clip]


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_frames_keep_their_own_times_where_the_rate_varies(suffix: str, tmp_path: Path) -> None:
    source = open_source(varying(tmp_path / f"belt.{suffix}"))
    frames = frames_of(source)
    assert [frame.time_s for frame in frames] == pytest.approx([ms / 1000 for ms in TIMES_MS], abs=0.002)
    assert [frame.name for frame in frames] == [f"belt_{k:06d}" for k in range(8)]
    assert source.skips.done() == {}, "an estimated number of frames is no promise"


def test_a_damaged_frame_is_named_and_the_rest_is_answered_at_its_time(tmp_path: Path) -> None:
    path = motion_jpeg(tmp_path / "belt.avi")
    content = path.read_bytes()
    starts = [k for k in range(len(content)) if content[k : k + 3] == b"\xff\xd8\xff"]
    assert len(starts) == 8
    for start, after in ((starts[2], starts[3]), (starts[3], starts[4])):
        content = content[:start] + bytes(after - 8 - start) + content[after - 8 :]
    path.write_bytes(content)
    source = open_source(path)
    frames = frames_of(source)
    assert [frame.name[-1] for frame in frames] == list("014567")
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.1, 0.4, 0.5, 0.6, 0.7])
    assert source.skips.done() == {"video frame damaged": ("belt_000002", "belt_000003")}


@pytest.mark.parametrize("keep", [0.5, 0.9])
def test_a_video_that_ends_early_says_so(keep: float, tmp_path: Path) -> None:
    path = motion_jpeg(tmp_path / "belt.avi")
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    source = open_source(path)
    read = len(frames_of(source))
    assert 0 < read < 8
    assert source.skips.done() == {"video ends before its stated number of frames": (f"{read} of 8",)}


def test_a_whole_video_says_nothing(tmp_path: Path) -> None:
    source = open_source(motion_jpeg(tmp_path / "belt.avi"))
    assert len(frames_of(source)) == 8
    assert source.skips.done() == {}


def still(name: str, width: int) -> SourceFrame:
    return SourceFrame(name, np.zeros((4, width, 3), np.uint8))


def test_a_new_clip_begins_where_the_size_changes() -> None:
    skips = Skips()
    frames = [still("a", 6), still("b", 6), still("c", 8), still("d", 8), still("e", 6)]
    wanted = [["a", "b"], ["c", "d"], ["e"]]
    assert [[frame.name for frame in clip] for clip in clips_by_size(frames, skips)] == wanted
    assert skips.done() == {"image size changes: a new clip begins": ("c with 8x4", "e with 6x4")}
    clips = list(clips_by_size(frames, Skips()))
    assert [[frame.name for frame in clip] for clip in clips] == wanted, "in whatever order they are asked for"


def test_clips_are_read_as_they_are_asked_for() -> None:
    asked = []

    def camera():  # type: ignore[no-untyped-def]
        for k in range(4):
            asked.append(k)
            yield still(str(k), 6)

    clip = iter(next(clips_by_size(camera(), Skips())))
    assert asked == [0]
    next(clip)
    next(clip)
    assert asked == [0, 1]


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("http://user:secret@10.0.0.7:80/live/belt.mp4?token=secret", "10.0.0.7_80_live_belt.mp4"),
        ("rtsp://cam/user=admin&password=secret", "cam_user_admin_password"),
        ("rtsp://../../etc/x", "etc_x"),
        ("udp://@", "stream"),
        ("http://h/" + "a" * 300, "h_" + "a" * 78),
    ],
)
def test_an_address_becomes_a_file_name_without_its_secrets(address: str, name: str) -> None:
    assert name_of_address(address) == name


def test_a_stream_that_cannot_be_opened_tells_no_password(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DataError, match=r"http://\*\*\*@127.0.0.1:9/x.mp4: cannot be opened") as caught:
        open_source("http://user:secret@127.0.0.1:9/x.mp4")
    assert "secret" not in str(caught.value) + "".join(capfd.readouterr())


def test_a_number_is_a_camera_unless_something_has_that_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "000001").mkdir()
    cv2.imwrite("000001/a.png", np.zeros((4, 6, 3), np.uint8))
    motion_jpeg(tmp_path / "a.avi").rename("20260304")
    assert [frame.name for frame in frames_of(open_source("000001"))] == ["a.png"]
    assert open_source("20260304").skips.done() == {}
    for number in ("7000001", 99_999_999_999):
        with pytest.raises(DataError, match=f"camera {number}: cannot be opened"):
            open_source(number)
