"""Following stored detections gives what the detector gives frame by frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hybrid.core.config import ModelConfig
from hybrid.core.types import Detections
from hybrid.model.network import Network
from hybrid.predict import detector as detector_module
from hybrid.predict.counting import Counter, CountLine
from hybrid.predict.detector import Detector
from hybrid.predict.following import elapsed, followed, is_late, linking_at
from hybrid.predict.io.sources import open_source
from hybrid.predict.io.video import Source, SourceFrame
from hybrid.predict.stream import TileStates, stream
from hybrid.predict.tiles import View
from tests.hybrid.variants import full

VIEW = View(tile_px=None, scales=(1.0,), limit=30)
CATEGORIES = ("bolt", "nut")


@pytest.mark.parametrize("tracks", [False, True], ids=["linked afterwards", "tracked by the network"])
def test_a_stored_clip_is_followed_as_the_detector_follows_it(tracks: bool) -> None:
    torch.manual_seed(3)
    plain = ModelConfig(categories=CATEGORIES, branches="cnn", width=16, heads=2, queries=20, quiet_start=False)
    config = full(CATEGORIES, width=16, heads=2, queries=20, quiet_start=False) if tracks else plain
    network = Network(config).eval()
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (64, 96, 3), np.uint8) for _ in range(5)]
    stored = list(stream(network, images, VIEW))
    score = float(np.median(np.concatenate([one.scores.numpy() for one in stored])))
    detector = Detector(network, VIEW, score, linking=linking_at(score), runtime="torch")
    frames = [SourceFrame(str(k), image, None, None, still=False) for k, image in enumerate(images)]
    live = [result for _, result in detector.watch(Source("clip", [frames]))]
    after = list(followed(stored, (64, 96), score, images=images))
    assert [len(one) for one in live] == [len(one.scores) for one in after]
    assert sum(len(one) for one in live) > 5
    for one, other in zip(live, after, strict=True):
        np.testing.assert_allclose(one.boxes_xyxy_px, other.boxes_xyxy_px.numpy(), atol=1e-3)
        assert other.track_ids is not None
        told = one.track_ids >= 0  # of a track's second row in a frame the live result has no id
        np.testing.assert_array_equal(one.track_ids[told], other.track_ids.numpy()[told])


def test_unsure_detections_go_on_with_a_track_and_begin_none() -> None:
    assert (linking_at(0.5).sure, linking_at(0.5).unsure) == (0.5, 0.25)
    assert (linking_at(0.1).sure, linking_at(0.1).unsure) == (0.1, 0.1)


def test_a_frame_that_comes_after_its_successor_is_named_and_changes_no_id_and_no_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order = [*range(8), 9, 8, *range(10, 16)]
    numbers = iter(order)

    def seen(*_: object) -> list[tuple[Detections, TileStates]]:
        x = 20 + 10 * next(numbers)  # the belt runs by 10 px a frame; three parts lie beside each other
        boxes = torch.tensor([[x - 8, y - 8, x + 8, y + 8] for y in (20, 50, 80)], dtype=torch.float32)
        return [(Detections(boxes, torch.full((3,), 0.9), torch.tensor([0, 0, 1])), TileStates((100, 200), ()))]

    monkeypatch.setattr(detector_module, "step", seen)
    torch.manual_seed(0)
    detector = Detector(Network(ModelConfig(categories=CATEGORIES, branches="cnn", width=16, heads=2)), VIEW, 0.5)
    image = np.zeros((100, 200, 3), np.uint8)
    source = open_source([SourceFrame(f"f{number}", image, number / 10) for number in order])
    counter, ids = Counter([CountLine.vertical(0.5)]), list[set[int]]()  # between frames 7 and 9
    for result in detector.stream(source):
        counter.update(result, (100, 200))
        ids.append(set(result.track_ids.tolist()))
    counter.finish()
    assert ids == [{0, 1, 2}] * 9 + [{-1}] + [{0, 1, 2}] * 6
    assert counter.counts == {"line": {"bolt": 2, "nut": 1}}
    assert source.skips.told() == ["time goes backwards: 1, such as f8, by 0.100 s"]


def test_a_frame_is_late_that_is_a_few_intervals_old_and_else_the_clock_began_anew() -> None:
    before_s = [7.0, 7.1, 7.2, 7.3, 7.4]
    assert not is_late(0.0, before_s)
    assert is_late(7.15, before_s)
    assert elapsed(7.7, before_s) == pytest.approx(3.0)
