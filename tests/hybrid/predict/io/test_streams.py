"""Real streams through OpenCV's ffmpeg: servers on this machine close, send damaged pictures, and change the size."""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import pytest

from hybrid.predict.io.live import Reconnect
from hybrid.predict.io.sources import open_source
from hybrid.predict.io.video import Source, SourceFrame
from tests.hybrid.predict.io.servers import jpeg, mjpeg, rtsp, server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        cv2.CAP_FFMPEG not in cv2.videoio_registry.getStreamBackends(), reason="this OpenCV has no ffmpeg"
    ),
]


def watched(
    address: str, frames: int, give_up_s: float | None, work: Callable[[], None] = lambda: None
) -> tuple[Source, list[SourceFrame], list[str]]:
    """So many frames of a stream, each worked on, and what was said."""
    said: list[str] = []
    source = open_source(address, reconnect=Reconnect(give_up_s=give_up_s, first_wait_s=0.1, say=said.append))
    taken: list[SourceFrame] = []
    for clip in source.clips:
        for frame in clip:
            taken.append(frame)
            work()
            if len(taken) == frames:
                return source, taken, said
    return source, taken, said


def numbers(frames: list[SourceFrame]) -> list[int]:
    return [int(frame.name[-6:]) for frame in frames]


def test_an_mjpeg_stream_goes_on_after_a_damaged_picture_a_closed_connection_and_another_size() -> None:
    first = [jpeg(20 * k) for k in range(1, 7)]
    first[2] = first[2][:40] + bytes(60)
    with server(mjpeg([first, [jpeg(200, 96, 80)] * 100], 0.03)) as port:
        source, frames, said = watched(f"http://127.0.0.1:{port}/belt", 12, None)
    assert source.live is not None
    assert source.live.lost == 1
    assert [one.split(": ")[1].split(" ")[0] for one in said] == ["lost", "back"]
    assert numbers(frames) == sorted(set(numbers(frames)))
    sizes = [frame.image.shape[:2] for frame in frames]
    assert set(sizes) == {(48, 64), (80, 96)}
    assert sizes == sorted(sizes)
    assert not any(50 < frame.image.mean() < 70 for frame in frames), "the damaged picture"
    noted = source.skips.done()
    assert len(noted["image size changes: a new clip begins"]) == 1
    assert len(noted["live frames that could not be read"]) == 1
    times_s = [frame.time_s or 0.0 for frame in frames]
    assert times_s == sorted(times_s)


def test_a_slow_reader_of_a_stream_gets_its_newest_frames() -> None:
    with server(mjpeg([[jpeg(200)] * 400], 0.01)) as port:
        source, frames, _ = watched(f"http://127.0.0.1:{port}/belt", 6, None, lambda: time.sleep(0.2))
    assert source.live is not None
    steps = [b - a for a, b in zip(numbers(frames), numbers(frames)[1:], strict=False)]
    assert min(steps) > 1
    assert source.live.dropped >= sum(steps) - len(steps)
    assert source.live.lost == 0


def test_an_rtsp_stream_is_opened_again_when_the_server_closes_it() -> None:
    with server(rtsp([20 * k for k in range(1, 11)], 0.04)) as port:
        source, frames, said = watched(f"rtsp://127.0.0.1:{port}/belt", 12, 60.0)
    assert source.live is not None
    assert source.live.lost >= 1
    assert "lost after frame " in said[0]
    assert "back after " in said[1]
    values = [round(float(frame.image.mean())) for frame in frames]
    assert all(min(abs(value - 20 * k) for k in range(1, 11)) <= 2 for value in values)
    assert numbers(frames) == sorted(set(numbers(frames)))
