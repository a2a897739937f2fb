"""Outputs of detection: a video, a picture or a folder of images with boxes, JSON lines, a window, a progress bar."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from hybrid.core.errors import DataError
from hybrid.core.progress import bar
from hybrid.predict.counting.places import Place, Region
from hybrid.predict.io.counted import Counted
from hybrid.predict.io.drawing import AREA_COLOUR, Image, Trails, draw_counts, draw_edge, draw_result, extend_trails
from hybrid.predict.io.outputs import (
    CODECS,
    COUNTS,
    EVENTS,
    Kind,
    beside,
    check_out,
    encoded,
    kind_of,
    listing_of,
    replace_file,
)
from hybrid.predict.io.video import USUAL_RATE, Source

if TYPE_CHECKING:
    import cv2

    from hybrid.predict.result import Result


MOST_COPIES = 100  # of one frame in a video, while a live source is lost


class Sinks:
    """All outputs of a detection run. Use it in a `with`. `written` lists the files and folders."""

    def __init__(
        self,
        source: Source,
        out: Path | None,
        show: bool,
        overwrite: bool = False,
        places: Sequence[Place] = (),
        area: Region | None = None,
    ) -> None:
        """Check the outputs.

        Args:
            source: of the frames.
            out: a video file, a file for one picture, or a folder for images; None: nothing is written.
            show: also show the frames in a window.
            overwrite: `out` may exist.
            places: lines and regions at which the parts of a video or stream are counted.
            area: where parts are looked for; its edge is drawn.

        Raises:
            DataError: `out` cannot be written, exists, or does not fit the source, as a video or a line to count at
                does not fit stills; or no window can be opened.
            ConfigError: two places have one name.
        """
        self.source, self._out, self._show, self._area = source, out, show, area
        self._kind = None if out is None else kind_of(out)
        self._video: cv2.VideoWriter | None = None
        self._video_size, self._videos = (0, 0), 0
        self._frames = 0
        self._trails: Trails | None = None if source.frames_per_s is None else {}  # still images have no tracks
        self._stack = ExitStack()
        self.counted = Counted(places, None, source.skips)
        self._shown_s = 0.0  # of the video that is written
        self.written: list[Path] = []
        if out is not None:
            check_out(out, (), overwrite)
        if places and source.frames_per_s is None:
            raise DataError(
                f"a count line or region needs tracks, but {source.name} holds stills; give a video, or say --sequence"
            )
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
            if self._trails is not None:
                self._open_events(self._out)
        return self

    def _open_events(self, out: Path) -> None:
        """Of videos, streams and consecutive frames, whose parts have tracks."""
        events = beside(out, EVENTS)
        events.unlink(missing_ok=True)
        beside(out, COUNTS).unlink(missing_ok=True)
        lines = self._stack.enter_context(events.open("w"))
        self.counted = Counted(self.counted.counter.places, lines, self.source.skips)
        self.written.append(events)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._video is not None:
            self._video.release()
        counts = None if self._out is None or not self.counted.counter.frames else beside(self._out, COUNTS)
        self.counted.finish(counts)
        if counts is not None and self.counted.counter.places:
            self.written.append(counts)
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
        if self._trails is not None:
            self.counted.put(result, image.shape[:2])
        if self._out is None and not self._show:
            return True
        if self._trails is not None:
            self._trails = extend_trails(self._trails, result)
        picture = draw_result(image, result, self._trails)
        if self._area is not None:
            draw_edge(picture, self._area, AREA_COLOUR)
        draw_counts(picture, self.counted.counter)
        if self._out is not None:
            self._write(self._out, picture, result)
        return not self._show or self._is_wanted(picture)

    def _is_wanted(self, picture: Image) -> bool:
        """Show the picture. False: the user has pressed q or Esc."""
        import cv2

        cv2.imshow(self.source.name, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        return cv2.waitKey(1) & 0xFF not in (ord("q"), 27)

    def _write(self, out: Path, picture: Image, result: Result) -> None:
        if self._kind is Kind.VIDEO:
            self._write_video(out, picture, self._copies(result.time_s))
        elif self._kind is Kind.FOLDER:
            replace_file(out / f"{result.name.removesuffix('.jpg')}.jpg", encoded(picture, ".jpg"))
        else:
            replace_file(out, encoded(picture, out.suffix))
            self.written.insert(0, out)

    def _copies(self, time_s: float | None) -> int:
        """How often a frame is written, so that the video of a live source with dropped frames plays at its speed."""
        if self.source.live is None or time_s is None:
            return 1
        rate = self.source.frames_per_s or USUAL_RATE
        copies = max(0, round((time_s - self._shown_s) * rate)) if self._frames > 1 else 1
        self._shown_s = time_s if copies > MOST_COPIES else self._shown_s + copies / rate
        return min(copies, MOST_COPIES)

    def _write_video(self, out: Path, picture: Image, copies: int) -> None:
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
            self.written.insert(self._videos, out)
            self._videos += 1
        bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        for _ in range(copies):
            self._video.write(bgr)


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
