"""Sources of frames for detection: an image, a folder of images, a video file, a camera, an iterator of arrays.

A source is a sequence of clips. A video or a camera is one clip. Each image of a folder is a clip of its own, unless
the images are declared to be consecutive frames.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from hybrid.core.errors import DataError, InputError
from hybrid.data.clips import IMAGE_SUFFIXES, Skips, pictures_in
from hybrid.data.pixels import read_depth, read_picture
from hybrid.predict.io.live import Reconnect
from hybrid.predict.io.video import (
    MOST_NAMED,
    VIDEO_SUFFIXES,
    Source,
    SourceFrame,
    clips_by_size,
    name_of_address,
    open_camera,
    open_video,
)
from simgen.spec.text.printable import redacted

STREAM = re.compile(r"(?i)(rtsps?|rtmps?|https?|udp|tcp|srt)://")


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
    reconnect: Reconnect | None = None,
) -> Source:
    """Open a source.

    Args:
        what: a file, a folder, a camera's number, a stream's URL, or an iterable of RGB images of one size or of
            `SourceFrame`s, which may have depth.
        sequence: the images of a folder are consecutive frames, in the natural order of their names (9 before 10).
        depth: of an image or of a folder's images.
        reconnect: how a camera or a stream is opened again when it is lost; by default for a minute.

    Raises:
        DataError: there is no such source, it cannot be opened, or it cannot have depth.
    """
    path = path_of(what)
    if path is not None and path.is_dir():
        return _folder(path, sequence, depth)
    if path is not None and not path.is_file():
        raise DataError(
            f"{redacted(str(what))}: is no file, no folder, no camera's number (0, 1, ...) and no stream's address"
        )
    if path is not None and path.suffix.lower() not in VIDEO_SUFFIXES:
        return _stills(path.name, [path], sequence, depth)
    if depth is not None:
        raise DataError(f"{depth.path}: depth pictures go with pictures; the source is a video, a camera or frames")
    if path is not None:
        return open_video(str(path), path.stem)
    if isinstance(what, str) and STREAM.match(what):
        return open_video(what, name_of_address(what), live=True, reconnect=reconnect)
    if isinstance(what, int | str):
        return open_camera(int(what), reconnect)
    if isinstance(what, Path) or not isinstance(what, Iterable):
        raise DataError(f"{type(what).__name__} is no source: give a path, a camera's number, an address or images")
    skips = Skips(MOST_NAMED)
    return Source("frames", [_given_frames(what, skips)], skips=skips)


def _given_frames(given: Iterable[object], skips: Skips) -> Iterator[SourceFrame]:
    last_s: float | None = None
    for place, one in enumerate(given):
        if isinstance(one, SourceFrame):
            if one.time_s is not None and last_s is not None and one.time_s < last_s:
                skips.add("time goes backwards", f"{one.name}, by {last_s - one.time_s:.3f} s")
            last_s = one.time_s
            yield one
        elif isinstance(one, np.ndarray) and one.dtype == np.uint8 and one.ndim == 3 and one.shape[2] == 3:
            yield SourceFrame(f"frame {place}", one)
        else:
            came = f"{one.dtype} {one.shape}" if isinstance(one, np.ndarray) else type(one).__name__
            raise InputError(f"frame {place}: {came} came; needed is RGB, uint8 [h, w, 3]; Detector.predict takes more")


def path_of(what: object) -> Path | None:
    """The path of a file or a folder; None for a camera's number, a stream's URL and an iterable of frames.

    A number of which a file or a folder has the name is meant as this.
    """
    if isinstance(what, str) and (STREAM.match(what) or (what.isdecimal() and not Path(what).exists())):
        return None
    return Path(what) if isinstance(what, str | Path) else None


def _folder(folder: Path, sequence: bool, depth: DepthFolder | None) -> Source:
    files = sorted(pictures_in(folder), key=lambda file: _natural(file.name))
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
            picture = read_picture(file)
            if isinstance(picture, str):
                skips.add(picture, file.name)
                continue
            for note in picture.notes:
                skips.add(note, file.name)
            yield SourceFrame(file.name, picture.pixels, None, depth_of(file), still=not sequence)

    clips = clips_by_size(frames(), skips) if sequence else ([frame] for frame in frames())
    return Source(name, clips, len(files), frames_per_s=10.0 if sequence else None, skips=skips)
