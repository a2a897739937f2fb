"""Pictures and videos whose labels are not read: to adapt to (`--unlabelled`), or to warm up on (`--warm-up`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hybrid.core.errors import DataError
from hybrid.data.clips import ClipSource, skipped_lines
from hybrid.predict.io.video import VIDEO_SUFFIXES
from hybrid.training.methods.warm_up import WarmUp
from hybrid.training.samples.unlabelled import read_unlabelled, unlabelled_files, without_labels
from pipelines.common.data import is_yolo, note, read_all


def unlabelled_clips(path: Path, categories: Sequence[str], frames: Path) -> ClipSource:
    """The clips at a path without their labels; `frames` is the folder for the frames of videos.

    Raises:
        DataError: there is nothing usable at `path`.
    """
    if is_labelled(path):
        return replace(without_labels(read_all(path)), categories=tuple(categories))
    return read_unlabelled(path, categories, frames)


def is_labelled(path: Path) -> bool:
    """Whether a path of pictures is a data set with labels, which are then not read."""
    return is_yolo(path) or path.suffix == ".json" or (path.is_dir() and (path / "manifest.json").is_file())


def warm_up_on(path: Path | None, steps: int, categories: Sequence[str], out: Path) -> WarmUp | None:
    """The warm-up of a run in the folder `out`; None: there is none.

    Pictures are looked at here, so that a mistake is told before anything is written. Videos are read when the warm-up
    begins: their frames are written into the run's folder. A note counts what cannot be used.

    Raises:
        DataError: there is nothing usable at `path`.
    """
    if path is None:
        return None

    def read() -> ClipSource:
        source = unlabelled_clips(path, categories, out / "warm-up")
        for line in [] if is_labelled(path) else skipped_lines(source.skipped):  # a reader of labels has told them
            note(f"--warm-up {path}: {line}")
        note(f"--warm-up {path}: the backbone learns from {len(source.frames)} pictures, whose labels are not read")
        return source

    try:
        if not is_labelled(path) and any(file.suffix.lower() in VIDEO_SUFFIXES for file in unlabelled_files(path)):
            return WarmUp(read, steps)
        source = read()
    except DataError as error:
        raise DataError(f"--warm-up: {error}") from None
    return WarmUp(lambda: source, steps)
