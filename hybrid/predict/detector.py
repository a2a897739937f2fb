"""A trained detector in use.

detector = Detector.load("out/sim10")
detector.predict(image)                          # one RGB image [h, w, 3], or a clip of them [t, h, w, 3]
for result in detector.stream("belt.mp4"): ...   # a video, a folder, a camera's number, an iterator of images
for results in detector.streams([0, 1]): ...     # several at once, independent of each other, in one batch
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from hybrid.core.config import LABEL_IOU, SCORE
from hybrid.core.errors import InputError
from hybrid.core.types import Detections
from hybrid.model.network import Network
from hybrid.predict.io.sources import Frame, Source, open_source
from hybrid.predict.linking import link
from hybrid.predict.result import Image, Live, Result
from hybrid.predict.stream import Carried, step
from hybrid.predict.suppression import one_label
from hybrid.predict.tiles import View, view_of
from hybrid.weights.checkpoint import RUN, load

Opened = str | int | Path | Source | Iterable[UInt8[np.ndarray, "_ _ 3"] | Frame]
TIMES, LEAST_TIMES = 16, 4  # frames whose times tell a stream's usual interval: at most, at least
JITTER = 0.3  # of an interval: what frames come early or late without any lost
SHORTEST, LONGEST = 0.25, 16.0  # intervals that are told apart


class Detector:
    """A network with the way in which it looks at images."""

    def __init__(
        self, network: Network, view: View | None = None, score: float = SCORE, label_iou: float = LABEL_IOU
    ) -> None:
        self.network, self.categories, self.label_iou = network, network.config.categories, label_iou
        self.view = replace(view or View(), threshold=score)

    @classmethod
    def load(
        cls,
        run: str | Path,
        *,
        device: str = "auto",
        score: float | None = None,
        view: View | None = None,
        label_iou: float = LABEL_IOU,
    ) -> Detector:
        """The detector of a finished run, or of a `.safetensors` file of one.

        Args:
            run: the run's folder, as the training scripts leave it, or the file.
            device: auto (cuda where there is one), cpu, cuda, cuda:1, ...
            score: detections below it are left out; by default what the run found best, see `operating_point`.
            view: how images are cut up; by default in tiles such as the run was trained on.
            label_iou: of two boxes of different categories that overlap by more the worse one is left out, so that a
                thing has one label; 1: it may have several.

        Raises:
            RunError: there is no such file, or it holds no detector.
        """
        import torch

        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if score is None:
            score, _ = operating_point(Path(run))
        return cls(load(Path(run), device=device), view or trained_view(Path(run)), score, label_iou)

    def predict(
        self, images: Image | UInt8[np.ndarray, "t h w 3"], depth_m: Float32[np.ndarray, "..."] | None = None
    ) -> Result | list[Result]:
        """Detections of one image, or of every frame of a clip.

        Args:
            images: RGB.
            depth_m: for a detector whose inputs have depth: along the optical axis, pixel upon pixel with the images;
                0 or infinite where it is not known. Without it such a detector looks at the image alone.

        Raises:
            InputError: depth came for a detector that takes none, or is of another size than the images.
        """
        single = images.ndim == 3
        pictures = images[None] if single else images
        depths = [None] * len(pictures) if depth_m is None else list(depth_m[None] if single else depth_m)
        if len(depths) != len(pictures):
            raise InputError(f"depth of {len(depths)} frames came with {len(pictures)} images")
        rows = zip(pictures, depths, strict=True)
        results = list(self.stream(Frame(f"frame {i}", image, None, depth) for i, (image, depth) in enumerate(rows)))
        return results[0] if single else results

    def stream(self, source: Opened, state: Live | None = None) -> Iterator[Result]:
        """Detections of each frame as it comes; the state is carried within a clip.

        Args:
            source: where the frames come from.
            state: of the last result of the stream that this goes on with; of frames of the same size.

        Raises:
            DataError: there is no such source, or it cannot be read.
            InputError: a frame of another size than the clip's first.
        """
        for _, result in self.watch(source, state):
            yield result

    def watch(self, source: Opened, state: Live | None = None) -> Iterator[tuple[Image, Result]]:
        """As `stream`, with the frames."""
        opened = source if isinstance(source, Source) else open_source(source)
        for clip in opened.clips:
            live = state
            for frame in clip:
                (result,) = self._step([frame], [live])
                yield frame.image, result
                live = result.state
            state = None

    def streams(self, sources: Sequence[Opened]) -> Iterator[list[Result | None]]:
        """The next frame of every source, and again, until all have ended; None for those that have.

        Sources of one frame size go through the detector as one batch. Each is answered as it would be alone.

        Raises:
            DataError, InputError: as `stream`.
        """
        opened = [one if isinstance(one, Source) else open_source(one) for one in sources]
        waiting = [_frames(one) for one in opened]
        lives: list[Live | None] = [None] * len(waiting)
        while True:
            came = [next(frames, None) for frames in waiting]
            there = [k for k, one in enumerate(came) if one is not None]
            if not there:
                return
            begun = [(k, one[0], None if one[1] else lives[k]) for k in there if (one := came[k]) is not None]
            results = dict(
                zip(there, self._step([frame for _, frame, _ in begun], [live for *_, live in begun]), strict=True)
            )
            lives = [results[k].state if k in results else None for k in range(len(waiting))]
            yield [results.get(k) for k in range(len(waiting))]

    def _step(self, frames: Sequence[Frame], lives: Sequence[Live | None]) -> list[Result]:
        carried = [None if live is None else live.carried for live in lives]
        images, depths_m = [frame.image for frame in frames], [frame.depth_m for frame in frames]
        passed = [elapsed(frame.time_s, live) for frame, live in zip(frames, lives, strict=True)]
        stepped = step(self.network, images, carried, self.view, depths_m, passed)
        return [
            self._result(frame, found, after, live)
            for frame, (found, after), live in zip(frames, stepped, lives, strict=True)
        ]

    def _result(self, frame: Frame, found: Detections, carried: Carried, live: Live | None) -> Result:
        linked, found = None, one_label(found, self.label_iou)
        if found.track_ids is None:
            found, linked = link(found, None if live is None else live.linked)
        assert found.track_ids is not None
        columns = (found.boxes_xyxy_px.numpy(), found.scores.numpy(), found.labels.numpy())
        ids = _once(found.track_ids.numpy())
        times_s = () if live is None else live.times_s
        times_s = () if frame.time_s is None else (*times_s, frame.time_s)[-TIMES:]
        unseen = None if found.unseen is None else found.unseen.numpy()
        return Result(frame.name, frame.time_s, *columns, self.categories, ids, Live(carried, linked, times_s), unseen)


def elapsed(time_s: float | None, live: Live | None) -> float:
    """The time since the stream's last frame in its usual intervals: 1, unless frames were lost or came in a burst."""
    if time_s is None or live is None or len(live.times_s) < LEAST_TIMES:
        return 1.0
    usual = float(np.median(np.diff(live.times_s)))
    passed = (time_s - live.times_s[-1]) / usual if usual > 0 else 1.0
    return 1.0 if abs(passed - 1) < JITTER else min(max(passed, SHORTEST), LONGEST)


def _once(track_ids: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """Each id at its first place, which is its surest; -1 where it comes again, as with two labels for one object."""
    first = np.full(len(track_ids), -1, np.int64)
    _, places = np.unique(track_ids, return_index=True)
    first[places] = track_ids[places]
    return first


def _frames(source: Source) -> Iterator[tuple[Frame, bool]]:
    """All frames of a source, and whether a clip begins with them."""
    for clip in source.clips:
        for place, frame in enumerate(clip):
            yield frame, place == 0


def _told(run: Path) -> dict[str, Any]:
    """What a run says of itself; a file alone says nothing."""
    file = run / RUN
    return json.loads(file.read_text()) if file.is_file() else {}


def trained_view(run: Path) -> View:
    """Tiles as large as those that a run was trained on; a file alone does not say, and gets the default."""
    told = _told(run)
    return view_of(int(told["train"]["tile_px"])) if told else View()


def operating_point(run: Path) -> tuple[float, str]:
    """The score that detections of this run are best taken from (the best F1 at an IoU of 0.5), and how it is known."""
    known = _told(run).get("operating_point")
    if known is None or known["score"] is None:
        return SCORE, "by default"
    return float(known["score"]), f"best F1 on {known['frames']} frames {known['on']}"
