"""The tracks after a frame, and the detections of a frame, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64

from hybrid.core.boxes import to_centre
from hybrid.core.types import Detections
from hybrid.predict.linking.motion.pixels import Picture
from hybrid.predict.linking.places import CELLS, Places

SEEN, COVERED, GONE = 0, 1, 2  # the columns of a belief


def _zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape)


@dataclass(frozen=True)
class Linked:
    """The k tracks after a frame. Axes: k tracks, c categories so far, e numbers of an embedding."""

    boxes_cxcywh_px: Float[np.ndarray, "k 4"]  # of the whole part, where it is or is expected
    speed_px: Float[np.ndarray, "k 2"]  # per usual interval
    variance_px: Float[np.ndarray, "k 3"]  # of the position; of position with speed; of the speed
    votes: Float[np.ndarray, "k c"]  # the scores of its detections by category
    belief: Float[np.ndarray, "k 3"]  # probabilities that it is seen, covered, gone
    evidence: Float[np.ndarray, " k"]  # mean of its detections' scores above `Linking.sure`, as log-odds
    ids: Int64[np.ndarray, " k"]
    hits: Int64[np.ndarray, " k"]  # detections
    age: Float[np.ndarray, " k"]  # usual intervals since the first detection
    unseen: Float[np.ndarray, " k"]  # usual intervals since the last detection
    covered: Bool[np.ndarray, "k _"]  # the cells of the picture that it has crossed since
    last_cell: Int64[np.ndarray, " k"]  # the cell of the last detection
    embeddings: Float[np.ndarray, "k e"] | None = None
    memory: Float32[np.ndarray, "k _"] | None = None  # of the track network; None: there is none
    next_id: int = 0
    places: Places = field(default_factory=Places.none)
    picture: Picture | None = None  # None: no image came

    @staticmethod
    def none() -> Linked:
        """No track, as before the first frame of a clip."""
        number = np.zeros(0, np.int64)
        rows = (_zeros(0, 4), _zeros(0, 2), _zeros(0, 3), _zeros(0, 0), _zeros(0, 3), _zeros(0))
        return Linked(*rows, number, number, _zeros(0), _zeros(0), np.zeros((0, CELLS), bool), number)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def labels(self) -> Int64[np.ndarray, " k"]:
        """The category of most of a track's detections, by their scores."""
        return self.votes.argmax(1) if self.votes.size else np.zeros(len(self), np.int64)

    @property
    def side_px(self) -> Float[np.ndarray, " k"]:
        return np.sqrt(self.boxes_cxcywh_px[:, 2:].prod(1)).clip(1.0)  # type: ignore[no-any-return]

    @property
    def existence(self) -> Float[np.ndarray, " k"]:
        """The probability that the part is there, seen or not."""
        return 1.0 - self.belief[:, GONE]

    def take(self, which: np.ndarray) -> Linked:
        """These tracks: indices or a mask."""
        return replace(self, **{name: column[which] for name, column in _columns(self).items()})

    def with_categories(self, count: int) -> Linked:
        """With votes for at least `count` categories."""
        more = max(0, count - self.votes.shape[1])
        return replace(self, votes=np.pad(self.votes, ((0, 0), (0, more)))) if more else self

    def joined(self, new: Linked) -> Linked:
        """These tracks, then new ones. What belongs to no single track stays as here."""
        rows, theirs = _columns(self), _columns(new)
        if len(self) and "embeddings" not in rows:
            theirs.pop("embeddings", None)
        if "memory" in rows:
            theirs["memory"] = np.zeros((len(new), rows["memory"].shape[1]), np.float32)
        columns: dict[str, Any] = {k: np.concatenate([rows[k], new]) if k in rows else new for k, new in theirs.items()}
        return replace(self, **columns)


def _columns(linked: Linked) -> dict[str, np.ndarray]:
    """What has a row for each track."""
    values = {one.name: getattr(linked, one.name) for one in fields(linked)}
    return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}


@dataclass(frozen=True)
class Seen:
    """The n detections of a frame."""

    boxes_cxcywh_px: Float[np.ndarray, "n 4"]
    scores: Float[np.ndarray, " n"]
    labels: Int64[np.ndarray, " n"]
    embeddings: Float[np.ndarray, "n e"] | None

    @staticmethod
    def of(detections: Detections) -> Seen:
        vectors = detections.embeddings
        return Seen(
            to_centre(detections.boxes_xyxy_px).numpy().astype(np.float64),
            detections.scores.numpy().astype(np.float64),
            detections.labels.numpy(),
            None if vectors is None else vectors.float().numpy().astype(np.float64),
        )

    @property
    def side_px(self) -> Float[np.ndarray, " n"]:
        return np.sqrt(self.boxes_cxcywh_px[:, 2:].prod(1)).clip(1.0)  # type: ignore[no-any-return]
