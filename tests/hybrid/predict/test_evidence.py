"""What the track network is told of each track, and what becomes of its answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hybrid.core.types import Detections
from hybrid.model.objects.track_net import TrackNetConfig, TrackNetwork
from hybrid.predict.linking import Judge, Linked, Linking, link
from hybrid.predict.linking.evidence import NAMES
from hybrid.predict.linking.follow import Frame, followed
from hybrid.predict.linking.judge import Opinion

SIZE = (240, 320)


def at(*boxes: tuple[float, float, float, float], scores: list[float] | None = None) -> Detections:
    rows = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    half = rows[:, 2:] / 2
    corners = torch.cat([rows[:, :2] - half, rows[:, :2] + half], 1)
    return Detections(corners, torch.tensor(scores or [0.8] * len(rows)), torch.zeros(len(rows), dtype=torch.int64))


def clip(times: float = 1.0) -> list[Detections]:
    """Two parts that move right; the second one is lost after four frames, and something unsure lies on it."""
    rows = []
    for t in range(7):
        boxes = [(40 + 6 * t, 60, 20, 16), (120 + 6 * t, 150, 24, 24)]
        shown = boxes if t < 4 else [boxes[0], (120 + 6 * t, 150, 26, 22)]
        scores = [0.8, 0.7] if t < 4 else [0.8, 0.12]
        rows.append(at(*[tuple(times * x for x in box) for box in shown], scores=scores))
    return rows


def last_frame(frames: list[Detections], size: tuple[int, int] = SIZE) -> Frame:
    tracks: Linked | None = None
    for one in frames:
        frame = followed(one, tracks, Linking(sure=0.5, unsure=0.3), size, 1.0)
        tracks = frame.tracks
    return frame


def named(frame: Frame, name: str) -> list[float]:
    return [float(x) for x in frame.evidence[:, NAMES.index(name)]]


def test_numbers_do_not_depend_on_the_size_of_the_picture() -> None:
    small, large = last_frame(clip()), last_frame(clip(3.0), (3 * SIZE[0], 3 * SIZE[1]))
    assert np.isfinite(small.evidence).all()
    assert small.evidence.shape == (2, len(NAMES))
    same = [k for k, name in enumerate(NAMES) if name != "side"]
    np.testing.assert_allclose(small.evidence[:, same], large.evidence[:, same], atol=2e-2)
    assert named(large, "side")[0] == pytest.approx(named(small, "side")[0] + np.log(3), abs=1e-3)


def test_a_track_that_is_not_found_is_told_apart_and_its_unsure_detection_is_told() -> None:
    frame = last_frame(clip())
    assert named(frame, "found") == [1.0, 0.0]
    assert named(frame, "weak_free")[1] > named(frame, "weak_free")[0]
    assert named(frame, "unseen") == pytest.approx([0.0, np.log1p(3)])
    assert named(frame, "score")[0] == pytest.approx(np.log(0.8 / 0.2) / 3, abs=1e-3)
    assert named(frame, "right")[0] == pytest.approx(4.0)  # far from the edge


def test_what_covers_a_track_and_how_far_the_edge_is_are_told() -> None:
    frames = [at((100, 100, 20, 20), (14, 200, 20, 20)), at((100, 100, 20, 20), (14, 200, 20, 20))]
    crowd = last_frame([*frames, at((100, 100, 20, 20), (14, 200, 20, 20), (111, 100, 20, 20))])
    assert named(crowd, "below_seen") == pytest.approx([9 / 31, 0.0, 9 / 31], abs=0.02)
    assert named(crowd, "below_hidden") == [0.0] * 3
    assert named(last_frame(frames), "left")[1] == pytest.approx(4 / 20, abs=0.02)


class Says(Judge):
    """A judge with a fixed opinion, which notes the memory that it is given."""

    def __init__(self, scores: dict[int, float]) -> None:
        super().__init__(TrackNetwork(TrackNetConfig(inputs=len(NAMES), width=8)))
        self.by_order, self.given = scores, []

    def judge(self, numbers, boxes_cxcywh_px, memory):
        count = len(numbers)
        self.given.append(None if memory is None else memory[:, 0].tolist())
        scores = np.array([self.by_order.get(k, 0.9) for k in range(count)], np.float32)
        after = np.arange(10 * len(self.given), 10 * len(self.given) + count, dtype=np.float32)
        opinion = Opinion(scores, scores, np.full(count, 0.25, np.float32), boxes_cxcywh_px.astype(np.float32) + 1)
        return opinion, np.repeat(after[:, None], 8, 1)


def test_rows_are_those_of_the_network_and_its_memory_stays_with_its_track() -> None:
    judge, state = Says({1: 0.01}), None
    three = [(40 + 60 * k, 60, 20, 20) for k in range(3)]
    told, state = link(at(*three), state, Linking(sure=0.5), size_hw_px=SIZE, judge=judge)
    assert told.scores.tolist() == pytest.approx([0.9, 0.9, 0.01])
    assert told.visible is not None
    assert told.visible.tolist() == pytest.approx([0.25] * 3)
    assert state.ids.tolist() == [0, 2]  # the network says that the second is not there
    told, state = link(at(three[0], three[2], (250, 200, 20, 20)), state, Linking(sure=0.5), judge=Says({}))
    assert state.ids.tolist() == [0, 2, 3]
    first = told.boxes_xyxy_px[told.track_ids == 0][0]
    assert first.tolist() == pytest.approx([30.5, 50.5, 51.5, 71.5], abs=0.6)  # centre and size one px more
    later = Says({})
    link(at(three[0], three[2], (250, 200, 20, 20)), state, Linking(sure=0.5), judge=later)
    assert later.given == [[10.0, 11.0, 12.0]]
    second = Says({})
    link(at(three[0], (250, 200, 20, 20)), state.take(np.array([0, 2])), Linking(sure=0.5), judge=second)
    assert second.given == [[10.0, 12.0]]


def test_an_untrained_network_runs_on_an_empty_frame_and_a_stream() -> None:
    judge, state = Judge(TrackNetwork(TrackNetConfig(inputs=len(NAMES), width=8))), None
    for one in [at(), *clip(), at()]:
        told, state = link(one, state, Linking(sure=0.5, unsure=0.1, reported=0.01), size_hw_px=SIZE, judge=judge)
    assert told.track_ids is not None
    assert sorted(told.track_ids.tolist()) == [0, 1]
    assert state.memory is not None
    assert state.memory.shape == (2, 8)
    assert np.abs(state.memory).sum() > 0
