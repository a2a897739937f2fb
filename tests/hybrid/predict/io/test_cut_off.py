"""A file that is cut off says so in every container; a whole one says nothing, whatever its times and its sound."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.predict.io import cut_off as module
from hybrid.predict.io.cut_off import cut_off
from hybrid.predict.io.sources import open_source

CODECS = {
    ".mkv": "mpeg4", ".webm": "libvpx", ".ts": "mpeg2video", ".mov": "mpeg4", ".mp4": "mpeg4", ".wmv": "wmv2",
    ".avi": "mpeg4",
}  # fmt: skip
STARTS = {".mov": "movflags", ".mp4": "movflags"}  # their index must come first, or a cut file cannot be opened
NOTE = "video file is cut off: its last frames may be missing"
EARLY = "video ends before its stated number of frames"
FRAMES = 12


class Pipe:
    """A file in which nothing is written again, as a live recording is."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("wb")
        self.write, self.close = self.file.write, self.file.close


def video(
    path: Path, times_ms: list[int] | None = None, sound_s: float = 0.0, live: bool = False, flags: str = ""
) -> Path:
    into: Any = Pipe(path) if live else str(path)
    format = {".ts": "mpegts", ".mkv": "matroska"}.get(path.suffix) if live else None
    with av.open(into, "w", format=format, options={"movflags": flags} if flags else {}) as container:
        stream = container.add_stream(CODECS[path.suffix], rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        if times_ms is not None:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        sound = container.add_stream("libopus" if path.suffix == ".webm" else "mp3", rate=48000) if sound_s else None
        for k in range(FRAMES):
            pixels = np.random.default_rng(k).integers(0, 255, (48, 64, 3)).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = (k, Fraction(1, 25)) if times_ms is None else (times_ms[k], Fraction(1, 1000))
            container.mux(stream.encode(frame))
        if sound is not None:
            for k in range(int(50 * sound_s)):
                silence = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.int16), format="s16", layout="mono")
                silence.sample_rate, silence.pts, silence.time_base = 48000, 960 * k, Fraction(1, 48000)
                container.mux(sound.encode(silence))
            container.mux(sound.encode(None))
        container.mux(stream.encode(None))
    if live:
        into.close()
    return path


def cut(path: Path, keep: float) -> Path:
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size) | 1])
    return path


def notes(path: Path) -> tuple[int, dict[str, tuple[str, ...]]]:
    source = open_source(path)
    read = sum(1 for clip in source.clips for _ in clip)
    return read, source.skips.done()


@pytest.mark.parametrize("suffix", CODECS)
@pytest.mark.parametrize("keep", [0.5, 0.8])
def test_a_file_that_is_cut_off_says_so(suffix: str, keep: float, tmp_path: Path) -> None:
    path = video(tmp_path / f"belt{suffix}", flags="faststart" if suffix in STARTS else "")
    size = path.stat().st_size
    read, said = notes(cut(path, keep))
    assert 0 < read < FRAMES
    if suffix in (".mov", ".mp4", ".avi"):  # these state the number of frames
        assert said == {EARLY: (f"{read} of {FRAMES}",)}
        assert cut_off(path) is not None
    else:
        (words,) = said.pop(NOTE)
        assert words.startswith(f"{read} frames read; the file has {path.stat().st_size} of ")
        assert suffix == ".ts" or words.endswith(f" of {size} bytes")
        assert said == {}


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_a_recording_in_fragments_that_is_cut_off_says_so(suffix: str, tmp_path: Path) -> None:
    path = video(tmp_path / f"belt{suffix}", flags="frag_every_frame+empty_moov")
    assert notes(path) == (FRAMES, {})
    read, said = notes(cut(path, 0.6))
    assert 0 < read < FRAMES
    assert list(said) == [NOTE]


WHOLE: dict[str, dict[str, Any]] = {
    "as it is": {},
    "varying rate": {"times_ms": [0, 40, 80, 200, 240, 600, 640, 1000, 1900, 1940, 1980, 2020]},
    "begins late": {"times_ms": [3000 + 40 * k for k in range(FRAMES)]},
    "longer sound": {"sound_s": 2.0},
    "live": {"live": True},
}


PAIRS = [
    (suffix, kind)
    for suffix in CODECS
    for kind in WHOLE
    if (kind != "live" or suffix in (".mkv", ".ts"))
    and ("times_ms" not in WHOLE[kind] or suffix not in (".ts", ".wmv"))  # their codecs know no milliseconds
]


@pytest.mark.parametrize(("suffix", "kind"), PAIRS)
def test_a_whole_file_says_nothing(suffix: str, kind: str, tmp_path: Path) -> None:
    assert notes(video(tmp_path / f"belt{suffix}", **WHOLE[kind])) == (FRAMES, {})


def test_all_pairs_are_tried() -> None:
    assert len(PAIRS) == 7 * 4 - 2 * 2 + 2


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.9])
def test_a_live_recording_that_is_cut_off_inside_a_frame_says_so(keep: float, tmp_path: Path) -> None:
    read, said = notes(cut(video(tmp_path / "belt.mkv", live=True), keep))
    assert 0 < read < FRAMES
    assert list(said) == [NOTE]


def test_clusters_without_a_size_are_looked_into(tmp_path: Path) -> None:
    head = module.EBML + b"\x80" + module.SEGMENT + b"\x01" + b"\xff" * 7
    cluster = module.CLUSTER + b"\xff" + b"\xe7\x81\x00"  # a time
    path = tmp_path / "live.mkv"
    path.write_bytes(head + cluster + b"\xa3\x84abcd" + cluster + b"\xa3\x84abcd")
    assert cut_off(path) is None
    path.write_bytes(head + cluster + b"\xa3\x84abcd" + cluster + b"\xa3\x84ab")
    size = path.stat().st_size
    assert cut_off(path) == f"the file has {size} of {size + 2} bytes"


def test_packets_of_a_disc_have_four_more_bytes(tmp_path: Path) -> None:
    packet = b"\0\0\0\7\x47" + bytes(187)
    (tmp_path / "a.ts").write_bytes(8 * packet)
    assert cut_off(tmp_path / "a.ts") is None
    (tmp_path / "a.ts").write_bytes(8 * packet + packet[:100])
    assert cut_off(tmp_path / "a.ts") == f"the file has {8 * 192 + 100} of {9 * 192} bytes"


def test_what_a_camera_appends_to_its_boxes_is_no_cut(tmp_path: Path) -> None:
    boxes = (16).to_bytes(4) + b"ftypisom" + bytes(4) + (1).to_bytes(4) + b"mdat" + (20).to_bytes(8) + b"1234"
    path = tmp_path / "a.mp4"
    for end in (b"", b"\x7f\0\0\0GPS ", b"\0" * 40, (0).to_bytes(4) + b"mdat" + bytes(9)):
        path.write_bytes(boxes + end)
        assert cut_off(path) is None
    path.write_bytes(boxes[:-1])
    assert cut_off(path) == "the file has 35 of 36 bytes"


def test_openCV_writes_whole_files(tmp_path: Path) -> None:
    for suffix, codec in ((".avi", "MJPG"), (".mkv", "MJPG"), (".mp4", "mp4v"), (".mov", "mp4v")):
        path = tmp_path / f"a{suffix}"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 10.0, (64, 48))
        for _ in range(3):
            writer.write(np.zeros((48, 64, 3), np.uint8))
        writer.release()
        assert notes(path) == (3, {})


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(
        [module.EBML, module.EBML + b"\x80" + module.SEGMENT, module.ASF_HEADER, b"RIFF", b"\0\0\0\x08ftyp"]
    ),
    st.sampled_from([b"", module.ASF_FILE_PROPERTIES, b"\x01", b"\xff" * 9, b"\0\0\0\x01mdat"]),
    st.binary(max_size=30),
)
def test_any_bytes_have_an_answer(head: bytes, middle: bytes, rest: bytes) -> None:
    path = PATH / "any"
    path.write_bytes(head + middle + rest)
    answer = cut_off(path)
    assert answer is None or answer.startswith(f"the file has {len(head + middle + rest)} of ")


@pytest.fixture(autouse=True, scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    global PATH
    PATH = tmp_path_factory.mktemp("any")
