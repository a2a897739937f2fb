"""Frame by frame is the same as the clip at once, and looks at nothing that has not come yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hybrid.core.config import BRANCHES, tiny
from hybrid.core.types import State
from hybrid.data.coco import read_coco
from hybrid.model.network import Network
from hybrid.predict.postprocess import Answer
from hybrid.predict.runtime.engine import TorchEngine
from hybrid.predict.stream import predict, predict_source, stream
from hybrid.predict.tiles import View
from tests.hybrid.photos import CATEGORIES, write_video

WHOLE = View(tile_px=None, scales=(1.0,), threshold=0.0, limit=20)


def detector(branches: str) -> Network:
    torch.manual_seed(1)
    return Network(
        replace(tiny(CATEGORIES), branches=branches, width=16, heads=2, queries=20, memory_frames=2, quiet_start=False)
    ).eval()


def frames(count: int = 5, size: tuple[int, int] = (64, 48)) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (size[1], size[0], 3)).astype(np.uint8) for _ in range(count)]


@pytest.mark.parametrize("branches", BRANCHES)
def test_the_stream_answers_as_the_whole_clip_does(branches: str) -> None:
    model, clip = detector(branches), frames()
    (at_once,) = predict(model, torch.from_numpy(np.stack(clip)).permute(0, 3, 1, 2)[None], limit=20)
    streamed = list(stream(model, clip, WHOLE))
    assert len(streamed) == len(at_once) == 5
    for one, other in zip(streamed, at_once, strict=True):
        torch.testing.assert_close(one.scores, other.scores, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(one.boxes_xyxy_px, other.boxes_xyxy_px, atol=2e-2, rtol=1e-3)
        assert one.labels.tolist() == other.labels.tolist()


def test_what_came_before_matters_to_a_detector_with_memory_and_to_no_other() -> None:
    clip = frames(3)
    for branches in BRANCHES:
        after_others = list(stream(detector(branches), clip, WHOLE))[-1]
        alone = next(stream(detector(branches), clip[-1:], WHOLE))
        assert torch.equal(after_others.scores, alone.scores) == (branches == "cnn")


class SureWhenCoarse(TorchEngine):
    """Sees one part: at half size with a score of 0.9 and 4 px off, at full size where it is, with a score of 0.5."""

    def __call__(
        self, images: torch.Tensor, state: State | None, elapsed: torch.Tensor | None, depth_m: torch.Tensor | None
    ) -> tuple[Answer, State]:
        _, after = super().__call__(images, state, elapsed, depth_m)
        at_half = images.shape[-1] == 32
        box = torch.tensor([12.0, 7.0, 27.0, 22.0] if at_half else [20.0, 10.0, 50.0, 40.0])
        scores = torch.tensor([0.9 if at_half else 0.5, 0.0])
        return Answer(scores.reshape(1, 1, 1, 2), box.reshape(1, 1, 1, 4), (images.shape[-2], images.shape[-1])), after


def test_a_part_is_where_the_finer_scale_sees_it_also_if_that_is_not_sure_enough_by_itself() -> None:
    engine = SureWhenCoarse(detector("cnn"))
    for threshold in (0.3, 0.7):
        (found,) = stream(engine, frames(1), replace(WHOLE, scales=(1.0, 0.5), threshold=threshold))
        assert found.boxes_xyxy_px.tolist() == [[20, 10, 50, 40]]
        assert found.scores.tolist() == pytest.approx([0.9])


def test_a_frame_is_answered_before_the_next_is_asked_for() -> None:
    asked = []

    def camera() -> Iterator[np.ndarray]:
        for i, frame in enumerate(frames()):
            asked.append(i)
            yield frame

    answers = stream(detector("cnn"), camera(), WHOLE)
    for i in range(5):
        next(answers)
        assert asked == list(range(i + 1))


def test_each_tile_carries_its_own_state() -> None:
    """Tiles of a clip streamed together answer as each streamed alone."""
    model, clip = detector("cnn+rnn+transformer"), frames(3, (128, 64))
    view = View(tile_px=64, overlap_px=0, scales=(1.0,), threshold=0.0, limit=40, nms_iou=1.0, batch=8)
    together = list(stream(model, clip, view))
    one_by_one = list(stream(model, clip, replace(view, batch=1)))
    for one, other in zip(together, one_by_one, strict=True):
        torch.testing.assert_close(one.scores, other.scores, atol=1e-4, rtol=1e-4)


def test_a_change_of_size_within_a_clip_is_an_error() -> None:
    with pytest.raises(ValueError, match="a frame of 32x32 in a clip of 64x48"):
        list(stream(detector("cnn"), iter([frames()[0], frames(1, (32, 32))[0]]), WHOLE))


def test_every_frame_of_a_source_is_answered_in_order_with_a_fresh_state_for_each_clip(tmp_path: Path) -> None:
    source = read_coco(write_video(tmp_path, 3), CATEGORIES)
    twice = replace(source, clips=source.clips * 2)
    told: list[int] = []
    detections = predict_source(
        detector("cnn+rnn"), twice, replace(WHOLE, limit=10), progress=lambda done, total, values: told.append(done)
    )
    assert told == [1, 2, 3, 4, 5, 6]
    assert len(detections) == len(twice.frames) == 6
    for first, second in zip(detections[:3], detections[3:], strict=True):
        assert torch.equal(first.scores, second.scores)
        assert torch.equal(first.boxes_xyxy_px, second.boxes_xyxy_px)
