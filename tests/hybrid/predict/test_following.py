"""Following stored detections gives what the detector gives frame by frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hybrid.core.config import ModelConfig
from hybrid.model.network import Network
from hybrid.predict.detector import Detector
from hybrid.predict.following import followed, linking_at
from hybrid.predict.io.video import Source, SourceFrame
from hybrid.predict.stream import stream
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
    after = list(followed(stored, (64, 96), score))
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
