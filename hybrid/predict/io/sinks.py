"""Outputs of detection: a video, a picture or a folder of images with boxes, JSON lines, a window, a progress bar."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from hybrid.core.errors import DataError
from hybrid.core.progress import bar
from hybrid.predict.io.drawing import Image, Trails, draw_result, extend_trails
from hybrid.predict.io.outputs import CODECS, Kind, check_out, encoded, kind_of, listing_of, replace_file
from hybrid.predict.io.video import USUAL_RATE, Source

if TYPE_CHECKING:
    import cv2

    from hybrid.predict.result import Result


class Sinks:
    """All outputs of a detection run. Use it in a `with`. `written` lists the files and folders."""

    def __init__(self, source: Source, out: Path | None, show: bool, overwrite: bool = False) -> None:
        """Check the outputs.

        Args:
            source: of the frames.
            out: a video file, a file for one picture, or a folder for images; None: nothing is written.
            show: also show the frames in a window.
            overwrite: `out` may exist.

        Raises:
            DataError: `out` cannot be written, exists, or does not fit the source, as a video does not fit stills; or
                no window can be opened.
        """
        self.source, self._out, self._show = source, out, show
        self._kind = None if out is None else kind_of(out)
        self._video: cv2.VideoWriter | None = None
        self._video_size = (0, 0)
        self._frames = 0
        self._trails: Trails | None = None if source.frames_per_s is None else {}  # still images have no tracks
        self._stack = ExitStack()
        self.written: list[Path] = []
        if out is not None:
            check_out(out, (), overwrite)
        if self._kind is Kind.VIDEO and source.frames_per_s is None:
            raise DataError(
                f"--out: {out} is a video, but {source.name} holds stills; give a folder, or say --sequence"
            )
        if self._kind is Kind.PICTURE and (source.frames_per_s is not None or source.total != 1):
            raise DataError(f"--out: {out} is one picture, but {source.name} is not; give a folder")
        if show:
            _check_window()

    def __enter__(self) -> Sinks:
        self._progress = self._stack.enter_context(bar(self.source.name))
        self._lines: TextIO | None = None
        if self._out is not None:
            listing = listing_of(self._out)
            listing.parent.mkdir(parents=True, exist_ok=True)
            if self._kind is Kind.FOLDER:
                self.written = [self._out]
            listing.unlink(missing_ok=True)
            self._lines = self._stack.enter_context(listing.open("w"))
            self.written.append(listing)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._video is not None:
            self._video.release()
        if self._show:
            import cv2

            cv2.destroyAllWindows()
        self._stack.close()

    def put(self, image: Image, result: Result) -> bool:
        """Write and show one frame. False: the user has closed the window."""
        self._frames += 1
        figures: Mapping[str, float] = {"detections": float(len(result))}
        self._progress(self._frames, max(self._frames, self.source.total or 0), figures)
        if self._lines is not None:
            self._lines.write(json.dumps(result.to_plain()) + "\n")
            self._lines.flush()
        if self._out is None and not self._show:
            return True
        if self._trails is not None:
            self._trails = extend_trails(self._trails, result)
        picture = draw_result(image, result, self._trails)
        if self._out is not None:
            self._write(self._out, picture, result.name)
        return not self._show or self._is_wanted(picture)

    def _is_wanted(self, picture: Image) -> bool:
        """Show the picture. False: the user has pressed q or Esc."""
        import cv2

        cv2.imshow(self.source.name, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        return cv2.waitKey(1) & 0xFF not in (ord("q"), 27)

    def _write(self, out: Path, picture: Image, name: str) -> None:
        if self._kind is Kind.VIDEO:
            self._write_video(out, picture)
        elif self._kind is Kind.FOLDER:
            replace_file(out / f"{name.removesuffix('.jpg')}.jpg", encoded(picture, ".jpg"))
        else:
            replace_file(out, encoded(picture, out.suffix))
            self.written.insert(0, out)

    def _write_video(self, out: Path, picture: Image) -> None:
        """Add a frame. A frame of another size begins a file of its own: a video has one size."""
        import cv2

        size = (picture.shape[1], picture.shape[0])
        if self._video is None or size != self._video_size:
            if self._video is not None:
                self._video.release()
                out = _free_name(out)
                self.source.skips.add("image size changes: a new video file begins", out.name)
            out.unlink(missing_ok=True)  # a link is replaced; the file that it points to keeps its bytes
            codec = cv2.VideoWriter.fourcc(*CODECS[out.suffix.lower()])
            self._video = cv2.VideoWriter(str(out), codec, self.source.frames_per_s or USUAL_RATE, size)
            self._video_size = size
            if not self._video.isOpened():
                raise DataError(f"--out: {out}: this OpenCV cannot write such a video; try .avi, or a folder")
            self.written.insert(len(self.written) - 1, out)
        self._video.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


def _free_name(path: Path) -> Path:
    """path_2, path_3, ...: the first that does not exist."""
    names = (path.with_name(f"{path.stem}_{number}{path.suffix}") for number in count(2))
    return next(name for name in names if not os.path.lexists(name))


def _check_window() -> None:
    """Raise DataError where no window can be opened."""
    import cv2

    try:
        cv2.namedWindow("hybrid")
        cv2.destroyWindow("hybrid")
    except cv2.error:
        raise DataError(
            "--show: this OpenCV has no windows: it is the headless build, or there is no display. Use --out, or in "
            "an environment of its own install opencv-python in place of opencv-python-headless"
        ) from None
