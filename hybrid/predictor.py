"""A trained detector in use.

predictor = Predictor.load("out/sim10")
predictor.predict(image)                          # one RGB image [h, w, 3], or a clip of them [t, h, w, 3]
for result in predictor.stream("belt.mp4"): ...   # a video, a folder, a camera's number, an iterator of images
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from hybrid.checkpoint import RUN, load
from hybrid.detector import Detector
from hybrid.sources import Frame, Source, open_source
from hybrid.stream import stream
from hybrid.tiles import View, view_of
from hybrid.types import Detections

if TYPE_CHECKING:
    import supervision  # type: ignore[import-not-found]

SCORE = 0.3  # detections below it are left out


@dataclass(frozen=True)
class Result:
    """What was found in one frame, best first. Boxes are pixels, (x_min, y_min, x_max, y_max), max exclusive."""

    name: str
    time_s: float | None
    boxes_xyxy_px: Float32[np.ndarray, "n 4"]
    scores: Float32[np.ndarray, " n"]
    labels: Int64[np.ndarray, " n"]
    categories: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def names(self) -> list[str]:
        """The category of each detection."""
        return [self.categories[label] for label in self.labels.tolist()]

    def to_plain(self) -> dict[str, Any]:
        """For JSON: coordinates to a hundredth of a pixel, scores to four places."""
        rows = zip(self.boxes_xyxy_px.tolist(), self.scores.tolist(), self.names, strict=True)
        found = [
            {"box_xyxy_px": [round(v, 2) for v in box], "score": round(score, 4), "category": name}
            for box, score, name in rows
        ]
        return {"frame": self.name, "time_s": self.time_s, "detections": found}

    def to_supervision(self) -> supervision.Detections:
        """As the `supervision` package has it, for its annotators, zones and trackers.

        Raises:
            ImportError: the package is not there (pip install supervision).
        """
        import supervision

        return supervision.Detections(
            xyxy=self.boxes_xyxy_px,
            confidence=self.scores,
            class_id=self.labels.astype(int),
            data={"class_name": np.array(self.names, dtype=str)},
        )


class Predictor:
    """A detector with the way in which it looks at images."""

    def __init__(self, detector: Detector, view: View | None = None, score: float = SCORE) -> None:
        self.detector, self.categories = detector, detector.config.categories
        self.view = replace(view or View(), threshold=score)

    @classmethod
    def load(
        cls, run: str | Path, *, device: str = "auto", score: float = SCORE, view: View | None = None
    ) -> Predictor:
        """The detector of a finished run, or of a `.safetensors` file of one.

        Args:
            run: the run's folder, as the training scripts leave it, or the file.
            device: auto (cuda where there is one), cpu, cuda, cuda:1, ...
            score: detections below it are left out.
            view: how images are cut up; by default in tiles such as the run was trained on.

        Raises:
            RunError: there is no such file, or it holds no detector.
        """
        import torch

        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        return cls(load(Path(run), device=device), view or trained_view(Path(run)), score)

    def predict(self, images: UInt8[np.ndarray, "h w 3"] | UInt8[np.ndarray, "t h w 3"]) -> Result | list[Result]:
        """Detections of one image, or of every frame of a clip."""
        if images.ndim == 3:
            return next(self.stream([images]))
        return list(self.stream(images))

    def stream(self, source: str | int | Path | Source | Iterable[UInt8[np.ndarray, "h w 3"]]) -> Iterator[Result]:
        """Detections of each frame as it comes; the state is carried within a clip.

        Raises:
            DataError: there is no such source, or it cannot be read.
            ValueError: a frame of another size than the clip's first.
        """
        for _, result in self.watch(source):
            yield result

    def watch(
        self, source: str | int | Path | Source | Iterable[UInt8[np.ndarray, "h w 3"]]
    ) -> Iterator[tuple[UInt8[np.ndarray, "h w 3"], Result]]:
        """As `stream`, with the frames."""
        opened = source if isinstance(source, Source) else open_source(source)
        for clip in opened.clips:
            seen = _Kept(clip)
            for found in stream(self.detector, seen, self.view):
                yield seen.last.image, self._result(seen.last.name, seen.last.time_s, found)

    def _result(self, name: str, time_s: float | None, found: Detections) -> Result:
        return Result(
            name, time_s, found.boxes_xyxy_px.numpy(), found.scores.numpy(), found.labels.numpy(), self.categories
        )


class _Kept:
    """The images of a clip; `last` is the frame that was asked for last."""

    last: Frame

    def __init__(self, clip: Iterable[Frame]) -> None:
        self._clip = clip

    def __iter__(self) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        for frame in self._clip:
            self.last = frame
            yield frame.image


def trained_view(run: Path) -> View:
    """Tiles as large as those that a run was trained on; a file alone does not say, and gets the default."""
    told = run / RUN
    if not told.is_file():
        return View()
    return view_of(int(json.loads(told.read_text())["train"]["tile_px"]))
