"""What a detector answers for one frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8

from hybrid.predict.linking import Linked
from hybrid.predict.stream import Carried

if TYPE_CHECKING:
    import supervision  # type: ignore[import-not-found]


Image = UInt8[np.ndarray, "h w 3"]


@dataclass(frozen=True)
class Live:
    """What a stream has been through: give it back to go on where it was left."""

    carried: Carried
    linked: Linked | None  # None: the detector follows objects itself
    times_s: tuple[float, ...] = ()  # of the last frames, where they are timed


@dataclass(frozen=True)
class Result:
    """What was found in one frame, best first. Boxes are pixels, (x_min, y_min, x_max, y_max), max exclusive.

    `track_ids` are of the clip: -1 belongs to no track. `state` is the stream's after this frame. `unseen`: which
    are not seen in this frame, but told from memory, as behind something or in a blank frame; None: the detector
    follows no objects.

    Raises:
        ValueError: the columns do not fit each other, or hold what no detection can be.
    """

    name: str
    time_s: float | None
    boxes_xyxy_px: Float32[np.ndarray, "_ 4"]
    scores: Float32[np.ndarray, " _"]
    labels: Int64[np.ndarray, " _"]
    categories: tuple[str, ...]
    track_ids: Int64[np.ndarray, " _"]
    state: Live | None = field(default=None, repr=False, compare=False)
    unseen: Bool[np.ndarray, " _"] | None = None

    def __post_init__(self) -> None:
        count = len(self.scores)
        wanted = {"boxes_xyxy_px": (count, 4), "scores": (count,), "labels": (count,), "track_ids": (count,)}
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{self.name}: {name} is {getattr(self, name).shape}; {count} scores need {shape}")
        if self.unseen is not None and self.unseen.shape != (count,):
            raise ValueError(f"{self.name}: unseen is {self.unseen.shape}; {count} scores need {(count,)}")
        box = self.boxes_xyxy_px
        if not (np.isfinite(box).all() and (box[:, 2:] > box[:, :2]).all()):
            raise ValueError(f"{self.name}: a box that is not finite or has no area")
        if not ((self.scores >= 0) & (self.scores <= 1)).all():
            raise ValueError(f"{self.name}: a score outside 0..1")
        if not ((self.labels >= 0) & (self.labels < len(self.categories))).all():
            raise ValueError(f"{self.name}: a label outside the {len(self.categories)} categories {self.categories}")
        known = self.track_ids[self.track_ids >= 0]
        if self.track_ids.min(initial=-1) < -1 or len(np.unique(known)) != len(known):
            raise ValueError(f"{self.name}: track ids below -1 or given twice: {self.track_ids.tolist()}")

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def names(self) -> list[str]:
        """The category of each detection."""
        return [self.categories[label] for label in self.labels.tolist()]

    @property
    def from_memory(self) -> list[bool]:
        """Of each detection, whether it is told from memory."""
        return [False] * len(self) if self.unseen is None else self.unseen.tolist()

    def to_plain(self) -> dict[str, Any]:
        """For JSON: coordinates to a hundredth of a pixel, scores to four places; no track where there is none.

        What is told from memory says `"unseen": true`.
        """
        boxes, scores, tracks = self.boxes_xyxy_px.tolist(), self.scores.tolist(), self.track_ids.tolist()
        found = [
            {"box_xyxy_px": [round(v, 2) for v in box], "score": round(score, 4), "category": name}
            | ({"track": track} if track >= 0 else {})
            | ({"unseen": True} if unseen else {})
            for box, score, name, track, unseen in zip(boxes, scores, self.names, tracks, self.from_memory, strict=True)
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
            tracker_id=self.track_ids.astype(int),
            data={"class_name": np.array(self.names, dtype=str)},
        )
