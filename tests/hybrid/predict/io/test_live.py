"""Live sources: the newest frame wins, what is lost is opened again. The clock and the camera are made up."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import sleep

import cv2
import numpy as np
import pytest

from hybrid.cli.predict import _detect, _tell_stream
from hybrid.core.errors import DataError
from hybrid.data.clips import Skips
from hybrid.predict.io.latency import Latency
from hybrid.predict.io.live import Feed, Reconnect
from hybrid.predict.io.sinks import Sinks
from hybrid.predict.io.sources import open_source
from hybrid.predict.io.video import Source, _live_frames, clips_by_size
from hybrid.predict.result import Result


class Camera:
    """Gives grey frames with these values, or these frames; None: no frame can be read; an error is raised.

    `paced_by`: its next frame comes when the one before was taken.
    """

    def __init__(self, values: Sequence[int | np.ndarray | Exception | None], opened: bool = True) -> None:
        self.values, self.opened, self.released = list(values), opened, 0
        self.paced_by: Feed | None = None

    def isOpened(self) -> bool:
        return self.opened

    def read(self) -> tuple[bool, np.ndarray | None]:
        while self.paced_by and self.paced_by._newest and not self.paced_by._stop.is_set():
            sleep(0.001)
        value = self.values.pop(0) if self.values else None
        if isinstance(value, np.ndarray):
            return True, value
        if isinstance(value, Exception):
            raise value
        return (False, None) if value is None else (True, np.full((4, 6, 3), value, np.uint8))

    def release(self) -> None:
        self.released += 1


class Time:
    """A clock that stands still but for what is waited, and a camera that is opened again and again."""

    def __init__(self, cameras: Sequence[Camera]) -> None:
        self.now_s, self.waited, self.said, self.cameras = 100.0, [], [], list(cameras)
        self.waited: list[float]
        self.said: list[str]

    def wait(self, seconds: float) -> bool:
        self.waited.append(seconds)
        self.now_s += seconds
        return False

    def feed(self, opens: bool = True, give_up_s: float | None = 60.0) -> Feed:
        again: Callable[[], Camera] = lambda: self.cameras.pop(0) if self.cameras else Camera([], opened=False)  # noqa: E731
        settings = Reconnect(give_up_s=give_up_s, say=self.said.append)
        return Feed("cam", self.cameras.pop(0), again if opens else None, settings, lambda: self.now_s, self.wait)


def value(feed: Feed) -> tuple[int, int]:
    taken = feed.take()
    assert taken is not None
    return taken.number, int(taken.bgr[0, 0, 0])


def test_a_slow_reader_gets_the_newest_frame_and_what_was_dropped_is_counted() -> None:
    time = Time([Camera([10, 11, 12, 13])])
    feed = time.feed()
    feed.grab()
    assert value(feed) == (0, 10)
    for _ in range(3):
        assert feed.grab()
    time.now_s += 0.25
    assert value(feed) == (3, 13)
    assert feed.dropped == 2
    assert feed.age_s() == pytest.approx(0.25)


def test_a_lost_camera_is_opened_again_with_longer_and_longer_waits_and_said_once() -> None:
    lost = Camera([10, cv2.error("bad packet"), 11])
    cameras = [lost, Camera([], opened=False), Camera([]), Camera([20, 21])]
    time = Time(cameras)
    feed = time.feed()
    for _ in range(3):
        assert feed.grab()
    assert time.said == [], "one frame that cannot be read is no loss"
    feed.take()
    for _ in range(3):
        assert feed.grab()
    assert time.waited == [0.5, 1.0, 2.0]
    assert time.said == [
        "cam: lost after frame 1; it is opened again, tried for 60 s", "cam: back after 3.5 s, with frame 2",
    ]  # fmt: skip
    assert value(feed) == (2, 20)
    assert (feed.lost, lost.released, cameras[2].released) == (1, 1, 1)


def test_it_gives_up_after_a_minute_or_never() -> None:
    time = Time([Camera([10])])
    feed = time.feed()
    feed.run()
    assert value(feed) == (0, 10)
    assert feed.take() is None
    assert time.waited == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0]
    assert time.said[1] == "cam: no frame in 62 s; that is the end (--reconnect goes on)"
    patient = Time([Camera([10]), *[Camera([], opened=False) for _ in range(50)], Camera([30])])
    feed = patient.feed(give_up_s=None)
    for _ in range(4):
        assert feed.grab()
    assert len(patient.waited) == 51
    assert max(patient.waited) == 30.0
    assert "tried for ever" in patient.said[0]
    assert len(patient.said) == 2
    once = Time([Camera([10]), Camera([20])])
    feed = once.feed(opens=False)
    feed.run()
    assert once.said == once.waited == []


def test_the_frames_of_a_feed_have_their_numbers_and_times_and_its_end_is_told() -> None:
    time = Time([Camera([10, 11])])
    feed = time.feed(opens=False)
    frames = list(_live_frames("cam", feed, Skips()))
    assert [frame.name for frame in frames][-1] == "cam_000001"
    assert frames[0].time_s == 0.0
    assert len(frames) + feed.dropped == 2
    with pytest.raises(DataError, match="cam: not one frame could be read"):
        list(_live_frames("cam", Time([Camera([])]).feed(opens=False), Skips()))
    with pytest.raises(RuntimeError, match="driver"):
        list(_live_frames("cam", Time([Camera([RuntimeError("driver")])]).feed(opens=False), Skips()))


def test_what_goes_wrong_in_the_middle_is_named_with_its_frame_and_the_stream_goes_on() -> None:
    """Times that go back, a frame that cannot be decoded, another size, grey frames, a camera that comes back."""
    colour, large = np.full((4, 6, 3), 10, np.uint8), np.full((8, 12, 3), 20, np.uint8)
    grey, deep = np.full((8, 12), 30, np.uint8), np.full((8, 12, 3), 40, np.uint16)
    broken = cv2.error("bad packet")
    first = Camera([colour, broken, colour, large, grey, grey[..., None], deep, large])
    time = Time([first, Camera([colour])])
    clock = iter([100.0, 100.5, 100.25, *(101.0 + k for k in range(99))])
    feed = time.feed()
    feed._clock = lambda: next(clock)
    for camera in (first, *time.cameras):
        camera.paced_by = feed
    skips = Skips()
    clips = [list(clip) for clip in clips_by_size(_live_frames("cam", feed, skips), skips)]
    assert [[frame.name for frame in clip] for clip in clips] == [
        ["cam_000000", "cam_000001"], ["cam_000002", "cam_000003", "cam_000004", "cam_000005"], ["cam_000006"],
    ]  # fmt: skip
    assert [int(frame.image[0, 0, 2]) for clip in clips for frame in clip] == [10, 10, 20, 30, 30, 20, 10]
    times_s = [frame.time_s or 0.0 for clip in clips for frame in clip]
    assert times_s[:3] == [0.0, 0.5, 0.5], "a clock that goes back stands still"
    assert times_s == sorted(times_s)
    assert (feed.lost, feed.dropped) == (1, 0)
    assert skips.done() == {
        "image size changes: a new clip begins": ("cam_000002 with 12x8", "cam_000006 with 6x4"),
        "live frames that could not be read": ("1 before cam_000001", "1 before cam_000005"),
    }
    assert time.said[0].startswith("cam: lost after frame 5; ")


def test_a_camera_that_never_gave_a_frame_was_lost_before_its_first_one() -> None:
    time = Time([Camera([]), Camera([10])])
    feed = time.feed()
    for _ in range(3):
        assert feed.grab()
    assert time.said[0].startswith("cam: lost before its first frame; ")
    assert value(feed) == (0, 10)


def test_failed_reads_of_dropped_frames_count_for_the_next_one() -> None:
    feed = Time([Camera([10, None, 11, None, 12])]).feed()
    for _ in range(5):
        assert feed.grab()
    taken = feed.take()
    assert taken is not None
    assert (taken.number, taken.failed, feed.dropped) == (2, 2, 2)


def test_a_camera_and_a_stream_are_live_and_a_stored_http_video_does_not_begin_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Opened(Camera):
        def __init__(self, *_: object) -> None:
            super().__init__([1])

        def get(self, key: int) -> float:
            return 5.0 if key == cv2.CAP_PROP_FPS else -1.0

        def set(self, key: int, value: float) -> bool:
            return True

    monkeypatch.setattr(cv2, "VideoCapture", Opened)
    for address, again in (("0", True), ("rtsp://h/a", True), ("http://h/a", False)):
        source = open_source(address)
        assert source.live is not None
        assert (source.live._opens is not None) == again
        source.live.stop()
    forever = open_source("http://h/a", reconnect=Reconnect(give_up_s=None))
    assert forever.live is not None
    assert forever.live._opens is not None


def test_the_video_of_a_live_source_plays_at_its_speed(tmp_path: Path) -> None:
    feed = Time([Camera([])]).feed()
    empty = np.zeros((0, 4), np.float32)
    none = np.zeros(0, np.int64)
    with Sinks(Source("cam", [], frames_per_s=10.0, live=feed), tmp_path / "a.avi", show=False) as sinks:
        for time_s in (0.0, 0.1, 0.5, 0.52, 0.6, 500.0, 500.1):
            result = Result("f", time_s, empty, np.zeros(0, np.float32), none, ("bolt",), none)
            sinks.put(np.zeros((24, 32, 3), np.uint8), result)
    video = cv2.VideoCapture(str(tmp_path / "a.avi"))
    assert int(video.get(cv2.CAP_PROP_FRAME_COUNT)) == 6 + 100 + 1


class Slow:
    """A detector that takes a quarter of a second; six frames come while it looks at one."""

    def __init__(self, time: Time, feed: Feed) -> None:
        self.time, self.feed = time, feed

    def watch(self, source: Source) -> Iterator[tuple[np.ndarray, Result]]:
        empty, none = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
        for k in range(3):
            for _ in range(6 if k else 1):
                self.feed.grab()
            assert self.feed.take() is not None
            self.time.now_s += 0.25
            yield np.zeros((4, 6, 3), np.uint8), Result(f"f{k}", 0.3 * k, empty, empty[:, 0], none, ("bolt",), none)


def test_the_latency_from_the_camera_on_and_what_was_dropped_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    time = Time([Camera([10] * 13)])
    feed = time.feed()
    with Sinks(Source("cam", [], frames_per_s=10.0, live=feed), None, show=False) as sinks:
        ran = _detect(Slow(time, feed), sinks)  # type: ignore[arg-type]
    _tell_stream(sinks, ran)
    latency, dropped = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"latency from the camera to the answer: p50 (2[45]\d) ms, p95 \1 ms, p99 \1 ms", latency)
    assert dropped == "10 frames dropped (77%): they came faster than they were answered, newest first"


def test_of_one_kind_of_trouble_the_first_frames_are_named_and_all_are_counted() -> None:
    skips = Skips(most=2)
    for k in range(5):
        skips.add("video frame damaged", f"f{k}")
    skips.add("frame rate changes", "f3")
    assert skips.done() == {"frame rate changes": ("f3",), "video frame damaged": ("f0", "f1")}
    assert skips.told() == ["frame rate changes: 1, such as f3", "video frame damaged: 5, such as f0"]


def test_percentiles_are_right_to_two_per_cent_in_little_memory() -> None:
    durations = np.random.default_rng(0).lognormal(-4, 0.5, 3000)
    latency = Latency()
    assert latency.percentile_s(50) == 0
    for one in durations.tolist():
        latency.add(one)
    for percent in (50, 95, 99):
        assert latency.percentile_s(percent) == pytest.approx(np.percentile(durations, percent), rel=0.02)
    assert len(latency._bins) < 400
    latency.add(0.0)
    assert latency.told().startswith("p50 18 ms, p95 ")
