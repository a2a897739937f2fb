"""The detections of one frame, as a user gets them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8

from hybrid.core.errors import DataError, InputError
from hybrid.predict.linking import Linked
from hybrid.predict.stream import TileStates

if TYPE_CHECKING:
    import supervision  # type: ignore[import-not-found, unused-ignore]


Image = UInt8[np.ndarray, "h w 3"]


@dataclass(frozen=True)
class StreamState:
    """The state of a stream after a frame. Pass it to `Detector.stream` to continue the stream."""

    tiles: TileStates
    linked: Linked | None  # None: the network tracks objects itself
    times_s: tuple[float, ...] = ()  # of the last frames, where they have times


@dataclass
class Ids:
    """Keeps the track ids of a source's clips apart: each clip's own begin with 0."""

    offset: int = 0
    highest: int = -1

    def unique(self, result: Result) -> Result:
        """The result with ids that no earlier clip has had. Its state keeps the clip's own."""
        ids = np.where(result.track_ids < 0, -1, result.track_ids + self.offset)
        self.highest = max(self.highest, int(ids.max(initial=-1)))
        followed = None if result.followed is None else result.followed + self.offset
        return replace(result, track_ids=ids, followed=followed) if self.offset else result

    def next_clip(self) -> None:
        self.offset = self.highest + 1


@dataclass(frozen=True)
class Result:
    """The detections of one frame, best first. Boxes are (x_min, y_min, x_max, y_max) in pixels, max exclusive.

    `track_ids` identify objects within a clip; -1: no track, as in still images. `unseen` marks objects that are not
    visible in this frame and whose boxes are predicted from earlier frames, as behind an occluder or in a blank frame;
    None: the network does not track objects. `scores` of a followed object say that it is there, also while it is
    hidden; `visible` is the share of it that is believed to be visible, 0 to 1; None: not known. `state` is the
    stream's state after this frame. `followed` are the ids of all parts that are still followed, in this result or not;
    None: not known.

    Raises:
        ValueError: the columns do not fit each other, or a value is impossible.

    >>> image = np.zeros((48, 64, 3), np.uint8)
    >>> result = Detector.load("out/run", score=0.0).predict(image)
    >>> best = result.boxes_xyxy_px[0], result.scores[0], result.names[0]
    >>> result.names[0] in ("bolt", "washer")
    True
    >>> sorted(result.to_plain())
    ['detections', 'frame', 'time_s']
    """

    name: str
    time_s: float | None
    boxes_xyxy_px: Float32[np.ndarray, "_ 4"]
    scores: Float32[np.ndarray, " _"]
    labels: Int64[np.ndarray, " _"]
    categories: tuple[str, ...]
    track_ids: Int64[np.ndarray, " _"]
    state: StreamState | None = field(default=None, repr=False, compare=False)
    unseen: Bool[np.ndarray, " _"] | None = None
    visible: Float32[np.ndarray, " _"] | None = None
    image: Image | None = field(default=None, repr=False, compare=False)  # of `Detector.predict`; a stream keeps none
    followed: Int64[np.ndarray, " _"] | None = field(default=None, repr=False, compare=False)
    view: str = field(default="", compare=False)  # how the network looked at it, such as "640x480: whole at scale 1"

    def __post_init__(self) -> None:
        self._check_shapes()
        boxes = self.boxes_xyxy_px
        if not (np.isfinite(boxes).all() and (boxes[:, 2:] > boxes[:, :2]).all()):
            raise ValueError(f"{self.name}: a box that is not finite or has no area")
        if not ((self.scores >= 0) & (self.scores <= 1)).all():
            raise ValueError(f"{self.name}: a score outside 0..1")
        if not ((self.labels >= 0) & (self.labels < len(self.categories))).all():
            raise ValueError(f"{self.name}: a label outside the {len(self.categories)} categories {self.categories}")
        if self.visible is not None and not ((self.visible >= 0) & (self.visible <= 1)).all():
            raise ValueError(f"{self.name}: a visible share outside 0..1")
        ids = self.track_ids[self.track_ids >= 0]
        if self.track_ids.min(initial=-1) < -1 or len(np.unique(ids)) != len(ids):
            raise ValueError(f"{self.name}: track ids below -1 or given twice: {self.track_ids.tolist()}")

    def _check_shapes(self) -> None:
        count = len(self.scores)
        shapes = {"boxes_xyxy_px": (count, 4), "scores": (count,), "labels": (count,), "track_ids": (count,)}
        shapes |= {name: (count,) for name in ("unseen", "visible") if getattr(self, name) is not None}
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{self.name}: {name} is {getattr(self, name).shape}; {count} scores need {shape}")

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def names(self) -> list[str]:
        """The category of each detection."""
        return [self.categories[label] for label in self.labels.tolist()]

    @property
    def hidden(self) -> list[bool]:
        """Whether each detection is predicted while its object is hidden; all False without tracking."""
        return [False] * len(self) if self.unseen is None else self.unseen.tolist()

    def unfollowed(self) -> Result:
        """The same without tracks: no ids, and no objects that are hidden."""
        seen = ~np.array(self.hidden, bool)
        return replace(
            self,
            boxes_xyxy_px=self.boxes_xyxy_px[seen],
            scores=self.scores[seen],
            labels=self.labels[seen],
            track_ids=np.full(int(seen.sum()), -1),
            unseen=None,
            followed=None,
            visible=None if self.visible is None else self.visible[seen],
        )

    def plot(self, image: Image | None = None) -> Image:
        """The image with the boxes, categories and scores drawn on it: uint8 RGB [h, w, 3], a copy.

        Args:
            image: by default the image that `Detector.predict` got. A result of a stream needs it.

        Raises:
            InputError: there is no image.
        """
        from hybrid.predict.io.drawing import draw_result

        image = self.image if image is None else image
        if image is None:
            raise InputError(f"{self.name}: a stream's result keeps no image; give it: result.plot(image)")
        return draw_result(image, self)

    def save(self, path: str | Path, image: Image | None = None, overwrite: bool = False) -> Path:
        """Write what `plot` draws as a picture, in the format of the path's suffix.

        Raises:
            DataError: the file exists and `overwrite` is False, or its suffix is none of a picture.
            InputError: there is no image.
        """
        from hybrid.predict.io.outputs import encoded, replace_file

        path = Path(path)
        if not overwrite and os.path.lexists(path):
            raise DataError(f"{path}: exists; give another name, or overwrite=True")
        content = encoded(self.plot(image), path.suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)
        return path

    def to_plain(self) -> dict[str, Any]:
        """As JSON values: coordinates to a hundredth of a pixel, scores to four digits.

        A detection has the key `track` only if it has a track, `unseen` only if its object is hidden, and `visible`
        only where it is known.
        """
        boxes, scores, tracks = self.boxes_xyxy_px.tolist(), self.scores.tolist(), self.track_ids.tolist()
        detections = [
            {"box_xyxy_px": [round(v, 2) for v in box], "score": round(score, 4), "category": name}
            | ({"track": track} if track >= 0 else {})
            | ({"unseen": True} if hidden else {})
            for box, score, name, track, hidden in zip(boxes, scores, self.names, tracks, self.hidden, strict=True)
        ]
        for detection, share in zip(detections, [] if self.visible is None else self.visible.tolist(), strict=False):
            detection["visible"] = round(share, 3)
        return {"frame": self.name, "time_s": self.time_s, "detections": detections}

    def to_supervision(self) -> supervision.Detections:
        """As the `supervision` package has it, for its annotators, zones and trackers.

        `confidence` is the score: that the part is there, also while it is hidden. `data` has `class_name`, `hidden`,
        and `visible`: the visible share, 1 where it is not known and the part is seen.

        Raises:
            ImportError: the package is not installed (pip install supervision).
        """
        import supervision

        hidden = np.array(self.hidden, bool)
        visible = (~hidden).astype(np.float32) if self.visible is None else self.visible
        return supervision.Detections(
            xyxy=self.boxes_xyxy_px,
            confidence=self.scores,
            class_id=self.labels.astype(int),
            tracker_id=self.track_ids.astype(int),
            data={"class_name": np.array(self.names, dtype=str), "hidden": hidden, "visible": visible},
        )
