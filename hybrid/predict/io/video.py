"""Videos, cameras and streams as frames, by OpenCV. Each frame has its own time, also where the rate varies.

A damaged frame is left out, counted and named. A video that ends before its stated number of frames is said to, and so
is a file that is cut off.
"""

from __future__ import annotations

import math
import re
import time
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
MOST_DAMAGED = 1000  # frames in a row; more is the end
TRIES = 10  # at what may be the end of a file that states no number of frames
LONGEST_NAME = 80
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
    """Clips of frames, which can be iterated once. `skips` collects unusable files on the way."""

    name: str
    clips: Iterable[Iterable[SourceFrame]]
    total: int | None = None  # number of frames, if known
    frames_per_s: float | None = None  # None: still images
    skips: Skips = field(default_factory=Skips)


def open_video(address: str, name: str, live: bool = False) -> Source:
    """A video file, or the stream at an address. `name` is that of its frames, with their numbers.

    Raises:
        DataError: it cannot be opened.
    """
    import cv2

    capture = cv2.VideoCapture(address)
    if not capture.isOpened():
        capture.release()
        raise DataError(
            f"{redacted(address)}: cannot be opened as a video: broken, or of a kind that OpenCV does not read"
        )
    total, rate = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), float(capture.get(cv2.CAP_PROP_FPS))
    counted = not address.lower().partition("?")[0].endswith(ESTIMATED)
    rate = rate if 0 < rate <= MOST_RATE else USUAL_RATE
    file = None if live else Path(address)
    video = _Video(capture, name, total if 0 < total < 10**9 else None, rate, live, counted, file)
    return _source(redacted(address) if live else Path(address).name, video)


def open_camera(number: int) -> Source:
    """A camera of this machine.

    Raises:
        DataError: it cannot be opened.
    """
    import cv2

    capture = cv2.VideoCapture(number) if 0 <= number < MOST_CAMERAS else cv2.VideoCapture()
    if not capture.isOpened():
        capture.release()
        raise DataError(f"camera {number}: cannot be opened; is it plugged in, free, and this user allowed to use it?")
    return _source(f"camera {number}", _Video(capture, f"camera{number}", None, USUAL_RATE, live=True))


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
    live: bool
    counted: bool = True  # `total` was counted when the file was written; False: estimated from its length
    file: Path | None = None


def _source(name: str, video: _Video) -> Source:
    skips = Skips()
    return Source(name, clips_by_size(_frames(video, skips), skips), video.total, video.rate, skips)


def _frames(video: _Video, skips: Skips) -> Iterator[SourceFrame]:
    import cv2

    position, missing = 0, 0
    clock = _Clock() if video.live and video.total is None else _Times(video)
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
            yield SourceFrame(f"{video.name}_{position - 1:06d}", pixels, clock.stamp())
    finally:
        video.capture.release()
    if not position:
        raise DataError(f"{video.name}: not one frame could be read")
    if video.counted and video.total and _ends_early(video.total / video.rate, clock, 1 / video.rate):
        skips.add("video ends before its stated number of frames", f"{position} of {video.total}")
    elif video.file is not None and (where := cut_off(video.file)):
        skips.add("video file is cut off: its last frames may be missing", f"{position} frames read; {where}")


def _ends_early(stated_s: float, clock: _Clock, interval_s: float) -> bool:
    """Whether more than a frame is missing at the end; where the rate varies, a frame may last as long as any other."""
    return stated_s - clock.last_s > 1.5 * max(interval_s, clock.longest_s)


def _may_go_on(video: _Video, position: int, missing: int) -> bool:
    """Whether frames may follow the `missing` ones that could not be read."""
    if not missing:
        return True
    if video.total is not None:
        return position + missing < video.total and missing < MOST_DAMAGED
    return missing < TRIES and not video.live


class _Clock:
    """The time of the frame that was read last, by this machine's clock, for what comes live."""

    def __init__(self) -> None:
        self.first_s = self.last_s = math.nan
        self.longest_s = 0.0  # between two frames that were read

    def stamp(self) -> float:
        """Seconds since the first frame."""
        return self._at(time.monotonic())

    def _at(self, now_s: float) -> float:
        if math.isnan(self.first_s):
            self.first_s = now_s
        else:
            self.longest_s = max(self.longest_s, now_s - self.last_s)
        self.last_s = now_s
        return now_s - self.first_s


class _Times(_Clock):
    """The same as the file states it, or by its rate where it states none."""

    def __init__(self, video: _Video) -> None:
        super().__init__()
        self._video = video

    def stamp(self) -> float:
        import cv2

        stated = float(self._video.capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
        if math.isnan(self.first_s):
            return self._at(stated if math.isfinite(stated) else 0.0)
        is_later = math.isfinite(stated) and stated > self.last_s
        return self._at(stated if is_later else self.last_s + 1 / self._video.rate)
