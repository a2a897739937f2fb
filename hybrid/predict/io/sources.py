"""Sources of frames for detection: an image, a folder of images, a video file, a camera, an iterator of arrays.

A source is a sequence of clips. A video or a camera is one clip. Each image of a folder is a clip of its own, unless
the images are declared to be consecutive frames.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from hybrid.core.errors import DataError
from hybrid.data.clips import IMAGE_SUFFIXES, Skips
from hybrid.data.pixels import read_depth, read_image

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".m4v", ".webm", ".mpg", ".mpeg", ".ts", ".wmv")
STREAM = re.compile(r"(rtsp|rtmp|http|https|udp|tcp)://")


@dataclass(frozen=True)
class SourceFrame:
    """One RGB image of a source. `time_s` counts from the clip's first frame; None: a still image.

    `depth_m` is the depth along the optical axis in metres, aligned with the image; 0 or infinite where unknown.
    """

    name: str
    image: UInt8[np.ndarray, "h w 3"]
    time_s: float | None = None
    depth_m: Float32[np.ndarray, "_ _"] | None = None


@dataclass(frozen=True)
class Source:
    """Clips of frames, which can be iterated once. `skips` collects unusable files on the way."""

    name: str
    clips: Iterable[Iterable[SourceFrame]]
    total: int | None = None  # number of frames, if known
    frames_per_s: float | None = None  # None: still images
    skips: Skips = field(default_factory=Skips)


@dataclass(frozen=True)
class DepthFolder:
    """A folder with the depth of images: a .png file of 16 bits with the name of each image."""

    path: Path
    unit_m: float = 0.001  # of one step; most depth cameras use millimetres

    def __post_init__(self) -> None:
        if not self.path.is_dir():
            raise DataError(f"{self.path}: is no folder of depth pictures")
        if not 0 < self.unit_m <= 1:
            raise DataError(f"a depth unit of {self.unit_m} m; needs above 0, at most 1, such as 0.001 for millimetres")

    def of(self, image: Path) -> Float32[np.ndarray, "h w"] | str:
        return read_depth(self.path / f"{image.stem}.png", self.unit_m)


def open_source(
    what: str | int | Path | Iterable[UInt8[np.ndarray, "h w 3"] | SourceFrame],
    sequence: bool = False,
    depth: DepthFolder | None = None,
) -> Source:
    """Open a source.

    Args:
        what: a file, a folder, a camera's number, a stream's URL, or an iterable of RGB images of one size or of
            `SourceFrame`s, which may have depth.
        sequence: the images of a folder are consecutive frames, in the natural order of their names (9 before 10).
        depth: of an image or of a folder's images.

    Raises:
        DataError: there is no such source, it cannot be opened, or it cannot have depth.
    """
    path = _path_of(what)
    if path is not None and path.is_dir():
        return _folder(path, sequence, depth)
    if path is not None and not path.is_file():
        raise DataError(f"{what}: is no file, no folder, no camera's number (0, 1, ...) and no stream's address")
    if path is not None and path.suffix.lower() not in VIDEO_SUFFIXES:
        return _stills(path.name, [path], sequence, depth)
    if depth is not None:
        raise DataError(f"{depth.path}: depth pictures go with pictures; the source is a video, a camera or frames")
    if path is not None:
        return _video(str(path), path.name)
    if isinstance(what, str) and STREAM.match(what):
        return _video(what, what)
    if isinstance(what, int | str):
        return _camera(int(what))
    assert not isinstance(what, Path)
    frames = (one if isinstance(one, SourceFrame) else SourceFrame(f"frame {i}", one) for i, one in enumerate(what))
    return Source("frames", [frames])


def _path_of(what: object) -> Path | None:
    """The path of a file or a folder; None for a camera's number, a stream's URL and an iterable of frames."""
    if isinstance(what, Path) or (isinstance(what, str) and not what.isdecimal() and not STREAM.match(what)):
        return Path(what)
    return None


def _folder(folder: Path, sequence: bool, depth: DepthFolder | None) -> Source:
    files = sorted((f for f in folder.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES), key=lambda f: _natural(f.name))
    if not files:
        raise DataError(f"{folder}: holds no image ({', '.join(IMAGE_SUFFIXES)})")
    return _stills(folder.name, files, sequence, depth)


def _natural(name: str) -> list[tuple[int, str]]:
    """A sort key that puts frame_10 after frame_9."""
    return [(int(piece), "") if piece.isdecimal() else (-1, piece) for piece in re.split(r"(\d+)", name)]


def _stills(name: str, files: list[Path], sequence: bool, depth: DepthFolder | None) -> Source:
    skips = Skips()

    def depth_of(file: Path) -> Float32[np.ndarray, "h w"] | None:
        depth_m = None if depth is None else depth.of(file)
        if isinstance(depth_m, str):
            skips.add(f"image used without depth: {depth_m}", file.name)
            return None
        return depth_m

    def frames() -> Iterator[SourceFrame]:
        for file in files:
            image = read_image(file)
            if isinstance(image, str):
                skips.add(image, file.name)
            else:
                yield SourceFrame(file.name, image, None, depth_of(file))

    clips = [frames()] if sequence else ([frame] for frame in frames())
    return Source(name, clips, len(files), frames_per_s=10.0 if sequence else None, skips=skips)


def _video(address: str, name: str) -> Source:
    import cv2

    capture = cv2.VideoCapture(address)
    if not capture.isOpened():
        capture.release()
        raise DataError(f"{address}: cannot be opened as a video: broken, or of a kind that OpenCV does not read")
    total, rate = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), float(capture.get(cv2.CAP_PROP_FPS))
    rate = rate if 0 < rate < 1000 else 25.0
    return Source(name, [_captured(capture, name, rate)], total if total > 0 else None, rate)


def _camera(number: int) -> Source:
    import cv2

    capture = cv2.VideoCapture(number)
    if not capture.isOpened():
        capture.release()
        raise DataError(f"camera {number}: cannot be opened; is it plugged in, free, and this user allowed to use it?")
    return Source(f"camera {number}", [_captured(capture, f"camera {number}", None)], None, 25.0)


def _captured(capture: object, name: str, rate: float | None) -> Iterator[SourceFrame]:
    """The frames of a capture until it ends. `rate` times the frames of a file; None: the clock times a camera's."""
    import cv2

    assert isinstance(capture, cv2.VideoCapture)
    began, count = time.monotonic(), 0
    try:
        while True:
            read, image = capture.read()
            if not read:
                break
            time_s = count / rate if rate else time.monotonic() - began
            yield SourceFrame(f"{name} {count}", np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8), time_s)
            count += 1
    finally:
        capture.release()
    if not count:
        raise DataError(f"{name}: not one frame could be read")
