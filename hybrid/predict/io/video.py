"""Videos, cameras and streams as frames, by OpenCV. Each frame has its own time, also where the rate varies.

What comes live is grabbed by `hybrid.predict.io.live`; of a file every frame is read. A damaged frame is left out,
counted and named. A video that ends before its stated number of frames is said to, and so is a file that is cut off.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32, UInt8

from hybrid.core.errors import DataError
from hybrid.data.clips import Skips
from hybrid.predict.io.cut_off import cut_off
from hybrid.predict.io.live import JOIN_S, Feed, Reconnect
from hybrid.predict.io.times import FileTimes
from simgen.spec.text.printable import HIDDEN, redacted

if TYPE_CHECKING:
    import cv2

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".m4v", ".webm", ".mpg", ".mpeg", ".ts", ".wmv")
ESTIMATED = (
    ".mkv",
    ".webm",
    ".ts",
    ".mpg",
    ".mpeg",
    ".wmv",
)  # OpenCV estimates their number of frames from their length
MOST_RATE = 1000.0
USUAL_RATE = 25.0  # frames per second, where none is stated
MOST_NAMED = 1000  # frames of one kind of trouble that are named; the others are counted
MOST_DAMAGED = 1000  # frames in a row; more is the end
TRIES = 10  # at what may be the end of a file that states no number of frames
LONGEST_NAME = 80
STREAM_TIMEOUT_S = 10  # without an answer or a frame
MOST_CAMERAS = 1000  # OpenCV reads larger numbers as the choice of a driver


@dataclass(frozen=True)
class SourceFrame:
    """One RGB image of a source. `time_s` counts from the source's first frame; None: a still image or unknown.

    `depth_m` is the depth along the optical axis in metres, aligned with the image; 0 or infinite where unknown.
    """

    name: str
    image: UInt8[np.ndarray, "h w 3"]
    time_s: float | None = None
    depth_m: Float32[np.ndarray, "_ _"] | None = None
    still: bool = False  # a picture of its own: its objects get no track ids


@dataclass(frozen=True)
class Source:
    """Clips of frames, which can be iterated once. `skips` collects unusable files on the way.

    `live`: what grabs the frames of a camera or a stream; it counts those that were dropped.
    """

    name: str
    clips: Iterable[Iterable[SourceFrame]]
    total: int | None = None  # number of frames, if known
    frames_per_s: float | None = None  # None: still images
    skips: Skips = field(default_factory=Skips)
    live: Feed | None = None


def open_video(address: str, name: str, live: bool = False, reconnect: Reconnect | None = None) -> Source:
    """A video file, or the stream at an address. `name` is that of its frames, with their numbers.

    A stream without a length is live: of a slow detector it drops frames, and it is opened again when it is lost. One
    of http(s) is only where `reconnect` never gives up, since a stored one would begin anew.

    Raises:
        DataError: it cannot be opened.
    """
    import cv2

    capture = _open_stream(address) if live else cv2.VideoCapture(address)
    if not capture.isOpened():
        capture.release()
        raise DataError(
            f"{redacted(address)}: cannot be opened as a video: broken, or of a kind that OpenCV does not read"
        )
    total, rate = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), float(capture.get(cv2.CAP_PROP_FPS))
    counted = not address.lower().partition("?")[0].endswith(ESTIMATED)
    rate = rate if 0 < rate <= MOST_RATE else USUAL_RATE
    title = redacted(address) if live else Path(address).name
    if live and not 0 < total < 10**9:
        reconnect = reconnect or Reconnect()
        again = not address.lower().startswith("http") or reconnect.give_up_s is None
        feed = Feed(name, capture, (lambda: _open_stream(address)) if again else None, reconnect)
        return _live_source(title, name, feed, rate)
    file = None if live else Path(address)
    return _source(title, _Video(capture, name, total if 0 < total < 10**9 else None, rate, counted, file))


def open_camera(number: int, reconnect: Reconnect | None = None) -> Source:
    """A camera of this machine. It drops the frames for which the detector is too slow, and is opened again when lost.

    Raises:
        DataError: it cannot be opened.
    """
    import cv2

    def opens() -> cv2.VideoCapture:
        camera = cv2.VideoCapture(number) if 0 <= number < MOST_CAMERAS else cv2.VideoCapture()
        camera.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # no old frames, where the driver can
        return camera

    capture = opens()
    if not capture.isOpened():
        capture.release()
        raise DataError(f"camera {number}: cannot be opened; is it plugged in, free, and this user allowed to use it?")
    feed = Feed(f"camera{number}", capture, opens, reconnect or Reconnect())
    return _live_source(f"camera {number}", f"camera{number}", feed, USUAL_RATE)


def name_of_address(address: str) -> str:
    """The host and path of a stream's address, for the names of its frames: without signs that a file name lacks."""
    place = redacted(address).partition("://")[2].partition("?")[0].replace(HIDDEN, "")
    return re.sub(r"[^\w.-]+", "_", place).strip("_.-")[:LONGEST_NAME] or "stream"


def clips_by_size(frames: Iterable[SourceFrame], skips: Skips) -> Iterator[Iterable[SourceFrame]]:
    """The frames as clips: a new one begins where the size changes, and is noted in `skips`."""
    for number, (size, group) in enumerate(groupby(frames, key=lambda frame: frame.image.shape[:2])):
        first = next(group)
        if number:
            skips.add("image size changes: a new clip begins", f"{first.name} with {size[1]}x{size[0]}")
        clip = _Clip(chain([first], group))
        yield clip
        clip.keep()


@dataclass
class _Clip:
    """The frames of a clip, which are read as they are asked for."""

    frames: Iterator[SourceFrame]

    def __iter__(self) -> Iterator[SourceFrame]:
        return self

    def __next__(self) -> SourceFrame:
        return next(self.frames)

    def keep(self) -> None:
        """Read the rest of the frames now, for a caller that asks for the next clip first."""
        self.frames = iter(list(self.frames))


# ------------------------------------------------------------------------------------------------ internals


@dataclass(frozen=True)
class _Video:
    capture: cv2.VideoCapture
    name: str
    total: int | None  # number of frames, as its header states it
    rate: float
    counted: bool = True  # `total` was counted when the file was written; False: estimated from its length
    file: Path | None = None


def _source(name: str, video: _Video) -> Source:
    skips = Skips(MOST_NAMED)
    return Source(name, clips_by_size(_frames(video, skips), skips), video.total, video.rate, skips)


def _open_stream(address: str) -> cv2.VideoCapture:
    """A stream whose silence is noticed after STREAM_TIMEOUT_S; OpenCV's own 30 s are long for a line that runs."""
    import cv2

    if cv2.CAP_FFMPEG not in cv2.videoio_registry.getStreamBackends():
        return cv2.VideoCapture(address)
    timeouts = (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, cv2.CAP_PROP_READ_TIMEOUT_MSEC)
    options = [number for key in timeouts for number in (key, 1000 * STREAM_TIMEOUT_S)]
    return cv2.VideoCapture(address, cv2.CAP_FFMPEG, options)


def _live_source(title: str, name: str, feed: Feed, rate: float) -> Source:
    skips = Skips(MOST_NAMED)
    return Source(title, clips_by_size(_live_frames(name, feed, skips), skips), None, rate, skips, feed)


def _live_frames(name: str, feed: Feed, skips: Skips) -> Iterator[SourceFrame]:
    """The newest frame, each time one is asked for. Times are those at which the frames were grabbed."""
    import cv2

    thread, first_s = feed.start(), None
    try:
        while (grabbed := feed.take()) is not None:
            first_s = grabbed.at_s if first_s is None else first_s
            pixels = np.asarray(cv2.cvtColor(grabbed.bgr, cv2.COLOR_BGR2RGB), np.uint8)
            frame = f"{name}_{grabbed.number:06d}"
            if grabbed.failed:
                skips.add("live frames that could not be read", f"{grabbed.failed} before {frame}")
            yield SourceFrame(frame, pixels, grabbed.at_s - first_s)
    finally:
        feed.stop()
        thread.join(JOIN_S)
    if first_s is None:
        raise DataError(f"{name}: not one frame could be read")


def _frames(video: _Video, skips: Skips) -> Iterator[SourceFrame]:
    import cv2

    position, missing = 0, 0
    times = FileTimes(video.rate, skips)
    try:
        while _may_go_on(video, position, missing):
            read, image = video.capture.read()
            if not read:
                missing += 1
                continue
            for number in range(position, position + missing):
                skips.add("video frame damaged", f"{video.name}_{number:06d}")
            position, missing = position + missing + 1, 0
            pixels = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
            name = f"{video.name}_{position - 1:06d}"
            yield SourceFrame(name, pixels, times.stamp(video.capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, name))
    finally:
        video.capture.release()
    if not position:
        raise DataError(f"{video.name}: not one frame could be read")
    if video.counted and video.total and _ends_early(video.total / video.rate, times, 1 / video.rate):
        skips.add("video ends before its stated number of frames", f"{position} of {video.total}")
    elif video.file is not None and (where := cut_off(video.file)):
        skips.add("video file is cut off: its last frames may be missing", f"{position} frames read; {where}")


def _ends_early(stated_s: float, times: FileTimes, interval_s: float) -> bool:
    """Whether more than a frame is missing at the end; where the rate varies, a frame may last as long as any other."""
    return stated_s - times.last_s > 1.5 * max(interval_s, times.longest_s)


def _may_go_on(video: _Video, position: int, missing: int) -> bool:
    """Whether frames may follow the `missing` ones that could not be read."""
    if not missing:
        return True
    if video.total is not None:
        return position + missing < video.total and missing < MOST_DAMAGED
    return missing < TRIES
