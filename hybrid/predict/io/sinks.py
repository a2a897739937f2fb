"""Outputs of detection: a video or a folder of images with boxes, JSON lines, a window, a progress bar."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

import numpy as np
from jaxtyping import UInt8

from hybrid.core.errors import DataError
from hybrid.core.progress import bar
from hybrid.predict.io.sources import VIDEO_SUFFIXES, Source

if TYPE_CHECKING:
    import cv2

    from hybrid.predict.result import Result

Image = UInt8[np.ndarray, "h w 3"]
COLOURS = (
    (46, 160, 67),
    (31, 111, 235),
    (250, 166, 26),
    (191, 57, 137),
    (0, 171, 179),
    (218, 54, 51),
)  # RGB, repeating
CODECS = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".avi": "MJPG", ".mkv": "MJPG"}
TRAIL_FRAMES = 24  # length of the trail that is drawn behind a track
Trails = dict[int, list[tuple[int, int]]]  # the last centres of each track


def draw_result(image: Image, result: Result, trails: Trails | None = None) -> Image:
    """A copy of the image with a box, category and score for each detection.

    Objects that are hidden in this frame have dashed boxes. With `trails`, each track has a colour, its number and a
    trail.
    """
    import cv2

    canvas = image.copy()
    longest = max(image.shape[:2])
    thick, letters = max(1, round(longest / 800)), max(0.35, longest / 3000)
    tracks = result.track_ids.tolist()
    rows = zip(result.boxes_xyxy_px, result.scores, result.labels, tracks, result.names, result.hidden, strict=True)
    for box, score, label, track, name, hidden in rows:
        has_trail = trails is not None and track >= 0
        colour = COLOURS[(track if has_trail else int(label)) % len(COLOURS)]
        if trails is not None and has_trail:
            cv2.polylines(canvas, [np.array(trails[track], np.int32)], False, colour, thick, cv2.LINE_AA)
        x0, y0, x1, y1 = (int(v) for v in np.round(box))
        if hidden:
            _draw_dashed(canvas, (x0, y0, x1 - 1, y1 - 1), colour, thick)
        else:
            cv2.rectangle(canvas, (x0, y0), (x1 - 1, y1 - 1), colour, thick, cv2.LINE_AA)
        text_xy = (x0, y0 - 2 * thick if y0 > 12 * thick else y1 + 10 * thick)
        cv2.putText(
            canvas,
            f"{name} {track} {score:.2f}" if has_trail else f"{name} {score:.2f}",
            text_xy,
            cv2.FONT_HERSHEY_SIMPLEX,
            letters,
            colour,
            max(1, thick - 1),
            cv2.LINE_AA,
        )
    return canvas


def _draw_dashed(canvas: Image, box: tuple[int, int, int, int], colour: tuple[int, int, int], thick: int) -> None:
    """Draw a box with dashes, each five times as long as the line is thick."""
    import cv2

    x0, y0, x1, y1 = box
    dash = 5 * thick
    for x in range(x0, x1, 2 * dash):
        for y in (y0, y1):
            cv2.line(canvas, (x, y), (min(x + dash, x1), y), colour, thick)
    for y in range(y0, y1, 2 * dash):
        for x in (x0, x1):
            cv2.line(canvas, (x, y), (x, min(y + dash, y1)), colour, thick)


def extend_trails(trails: Trails, result: Result) -> Trails:
    """The trails with the centres of this frame. A track without a detection in TRAIL_FRAMES frames is dropped."""
    extended = {track: [*trail, trail[-1]][-TRAIL_FRAMES:] for track, trail in trails.items()}
    extended = {track: trail for track, trail in extended.items() if len(set(trail)) > 1 or len(trail) < TRAIL_FRAMES}
    for box, track in zip(result.boxes_xyxy_px, result.track_ids.tolist(), strict=True):
        if track >= 0:
            centre = (round(float(box[0] + box[2]) / 2), round(float(box[1] + box[3]) / 2))
            extended[track] = [*extended.get(track, [centre])[:-1], centre] if track in trails else [centre]
    return extended


class Sinks:
    """All outputs of a detection run. Use it in a `with`. `written` lists the files and folders."""

    def __init__(self, source: Source, out: Path | None, show: bool) -> None:
        """Check the outputs.

        Args:
            source: of the frames.
            out: a video file, or a folder for images; None: nothing is written.
            show: also show the frames in a window.

        Raises:
            DataError: `out` cannot be written, is a folder with files in it, or is a video while the source holds
                stills; or no window can be opened.
        """
        self._source, self._out, self._show = source, out, show
        self._is_video = out is not None and out.suffix.lower() in CODECS
        self._video: cv2.VideoWriter | None = None
        self._frames = 0
        self._trails: Trails | None = None if source.frames_per_s is None else {}  # still images have no tracks
        self._stack = ExitStack()
        self.written: list[Path] = []
        if out is not None and not self._is_video and (out.suffix.lower() in VIDEO_SUFFIXES or out.is_file()):
            raise DataError(f"--out: {out} must be a folder, or a video ending in {', '.join(CODECS)}")
        if self._is_video and source.frames_per_s is None:
            raise DataError(
                f"--out: {out} is a video, but {source.name} holds stills; give a folder, or say --sequence"
            )
        if out is not None and not self._is_video and out.is_dir() and any(out.iterdir()):
            raise DataError(f"--out: {out} is not empty")
        if show:
            _check_window()

    def __enter__(self) -> Sinks:
        self._progress = self._stack.enter_context(bar(self._source.name))
        self._lines: TextIO | None = None
        if self._out is not None:
            folder = self._out.parent if self._is_video else self._out
            folder.mkdir(parents=True, exist_ok=True)
            listing = self._out.with_suffix(".jsonl") if self._is_video else self._out / "detections.jsonl"
            self._lines = self._stack.enter_context(listing.open("w"))
            self.written = [self._out, listing]
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
        import cv2

        self._frames += 1
        figures: Mapping[str, float] = {"detections": float(len(result))}
        self._progress(self._frames, max(self._frames, self._source.total or 0), figures)
        if self._lines is not None:
            self._lines.write(json.dumps(result.to_plain()) + "\n")
            self._lines.flush()
        if self._out is None and not self._show:
            return True
        if self._trails is not None:
            self._trails = extend_trails(self._trails, result)
        picture = cv2.cvtColor(draw_result(image, result, self._trails), cv2.COLOR_RGB2BGR)
        if self._is_video:
            self._write_video(picture)
        elif self._out is not None:
            _write_image(self._out / f"{result.name.removesuffix('.jpg')}.jpg", picture)
        if self._show:
            cv2.imshow(self._source.name, picture)
            return cv2.waitKey(1) & 0xFF not in (ord("q"), 27)
        return True

    def _write_video(self, picture: Image) -> None:
        import cv2

        assert self._out is not None
        if self._video is None:
            codec = cv2.VideoWriter.fourcc(*CODECS[self._out.suffix.lower()])
            size = (picture.shape[1], picture.shape[0])
            self._video = cv2.VideoWriter(str(self._out), codec, self._source.frames_per_s or 25.0, size)
            if not self._video.isOpened():
                raise DataError(f"--out: {self._out}: this OpenCV cannot write such a video; try .avi, or a folder")
        self._video.write(picture)


def _write_image(path: Path, picture: Image) -> None:
    import cv2

    ok, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 92])
    assert ok
    path.write_bytes(encoded.tobytes())


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
