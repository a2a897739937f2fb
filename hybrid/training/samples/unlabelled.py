"""Pictures and videos without labels, as clips to train on.

A picture is a clip of one frame. A video is cut into short clips of consecutive frames, spread evenly over it; these
frames are written as JPEG files into a folder, since training draws them in any order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from hybrid.core.errors import DataError
from hybrid.data.clips import IMAGE_SUFFIXES, Clip, ClipSource, FrameRecord, Skips
from hybrid.data.pixels import ImageInfo, inspect_image
from hybrid.predict.io.video import VIDEO_SUFFIXES, SourceFrame, open_video
from simgen.dataset.store.files import write_atomically
from simgen.dataset.store.locations import Location

MOST_FRAMES, CLIP_FRAMES = 240, 6  # of a video, and of each clip that is cut from it
QUALITY = 95  # of the JPEG files


def unlabelled_files(path: Path) -> list[Path]:
    """The pictures and videos at `path`: a file, or a folder with the folders in it, in the order of their names.

    Raises:
        DataError: there is none.
    """
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder")
    kinds = (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    known = [file for file in files if file.suffix.lower() in kinds]
    if not known:
        others = f"; it holds {len(files)} other files, such as {files[0].name}" if path.is_dir() and files else ""
        raise DataError(f"{path}: holds no picture and no video ({', '.join(kinds)}){others}")
    return known


def read_unlabelled(path: Path, categories: Sequence[str], frames: Path) -> ClipSource:
    """The pictures and videos at `path` as clips without boxes. `frames` is the folder for the frames of videos.

    Raises:
        DataError: none of the files can be used.
    """
    skips, clips = Skips(), list[Clip]()
    for file in unlabelled_files(path):
        name = file.name if path.is_file() else file.relative_to(path).as_posix()
        if file.suffix.lower() in VIDEO_SUFFIXES:
            clips += _clips_of(file, name, frames / f"{len(clips):05d}-{file.stem}", skips)
        elif (record := _record(file, name, skips)) is not None:
            clips.append(Clip(name, (record,)))
    if not clips:
        reason, (first, *_) = next(iter(skips.done().items()))
        raise DataError(f"{path}: none of its pictures and videos can be used: {reason}: {first}")
    return ClipSource(str(path), tuple(categories), tuple(clips), skips.done())


def without_labels(source: ClipSource) -> ClipSource:
    """Labelled clips as if nobody had labelled them."""
    clips = [replace(clip, frames=tuple(_bare(frame) for frame in clip.frames)) for clip in source.clips]
    return replace(source, clips=tuple(clips))


def _bare(frame: FrameRecord) -> FrameRecord:
    bare = _frame(frame.name, frame.path, (frame.width_px, frame.height_px), frame.upright)
    return replace(bare, offset=frame.offset, length=frame.length, depth_at=frame.depth_at)


def _frame(name: str, path: Location, size_px: tuple[int, int], upright: bool = False) -> FrameRecord:
    return FrameRecord(
        name=name, path=path, width_px=size_px[0], height_px=size_px[1], upright=upright,
        boxes_xyxy_px=np.zeros((0, 4), np.float32), labels=np.zeros(0, np.int64),
    )  # fmt: skip


def _record(file: Path, name: str, skips: Skips) -> FrameRecord | None:
    info = inspect_image(file)
    if not isinstance(info, ImageInfo):
        skips.add(info, name)
        return None
    return _frame(name, file, info.upright_size, upright=True)


def _clips_of(video: Path, name: str, folder: Path, skips: Skips) -> Iterator[Clip]:
    """Clips of CLIP_FRAMES frames each, at most MOST_FRAMES frames together, over the whole video."""
    try:
        opened = open_video(str(video), video.stem)
        every = max(1, -(-(opened.total or MOST_FRAMES) // MOST_FRAMES))  # one clip in so many is taken
        for piece, frames in enumerate(opened.clips):
            stream = iter(frames)
            for number in range(MOST_FRAMES * every // CLIP_FRAMES + 1):
                group = list(islice(stream, CLIP_FRAMES))
                if not group:
                    break
                if number % every == 0:
                    yield _written(group, f"{name} {piece}.{number}", folder)
    except DataError as error:
        skips.add(str(error), name)


def _written(group: Sequence[SourceFrame], name: str, folder: Path) -> Clip:
    """The frames as files in `folder`, and as a clip."""
    import cv2

    folder.mkdir(parents=True, exist_ok=True)
    records: list[FrameRecord] = []
    for frame in group:
        file = folder / f"{frame.name}.jpg"
        height, width = frame.image.shape[:2]
        if not file.is_file():
            bgr = cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR)
            _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
            write_atomically(file, encoded.tobytes())
        records.append(_frame(frame.name, file, (width, height)))
    return Clip(name, tuple(records))
