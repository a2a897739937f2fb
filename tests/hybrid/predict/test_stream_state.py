"""Streams keep their states apart, and merged tiles keep the columns that belong to each box."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hybrid.core.errors import ConfigError, InputError
from hybrid.core.types import Detections
from hybrid.predict.linking import Linked, Linking, link
from hybrid.predict.stream import step
from hybrid.predict.tiles import View, layout, merge, tiled_view
from tests.hybrid.variants import build

WHOLE = View(tile_px=None, scales=(1.0,), threshold=0.0, limit=20)


def images(count: int, seed: int = 0, size: tuple[int, int] = (32, 48)) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 255, (*size, 3)).astype(np.uint8) for _ in range(count)]


@pytest.mark.parametrize("tile_px", [None, 32])
def test_streams_in_one_batch_do_not_mix_their_states(tile_px: int | None) -> None:
    network = build("everything")
    view = View(tile_px=tile_px, overlap_px=8, scales=(1.0,), threshold=0.0, limit=20)
    a, b = images(2, 1), images(2, 2)
    ((_, state_a),) = step(network, a[:1], [None], view)
    ((_, state_b),) = step(network, b[:1], [None], view)
    together = step(network, [b[1], a[1], a[1]], [state_b, state_a, None], view)
    alone = [
        step(network, [image], [state], view)[0] for image, state in ((b[1], state_b), (a[1], state_a), (a[1], None))
    ]
    for (one, _), (other, _) in zip(together, alone, strict=True):
        torch.testing.assert_close(one.scores, other.scores, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(one.boxes_xyxy_px, other.boxes_xyxy_px, atol=1e-2, rtol=1e-4)
    assert (
        len(together[1][0].scores) != len(together[2][0].scores)
        or (together[1][0].scores - together[2][0].scores).abs().max() > 1e-5
    ), "the state matters"


def test_a_step_leaves_the_state_it_was_given() -> None:
    network, (first, second) = build("all"), images(2)
    ((_, state),) = step(network, [first], [None], WHOLE)
    before = [tensor.clone() for one in state.states for tensor in one.hidden]
    once = step(network, [second], [state], WHOLE)[0][0]
    again = step(network, [second], [state], WHOLE)[0][0]
    assert torch.equal(once.scores, again.scores)
    assert all(torch.equal(x, y) for x, y in zip(before, [t for s in state.states for t in s.hidden], strict=True))


def test_time_that_passed_changes_the_answer_of_a_recurrent_network_alone() -> None:
    first, second = images(2)
    for name, changes in (("all", True), ("cnn", False)):
        network = build(name)
        ((_, state),) = step(network, [first], [None], WHOLE)
        usual, late = (step(network, [second], [state], WHOLE, elapsed=[t])[0][0] for t in (1.0, 6.0))
        same = usual.scores.shape == late.scores.shape and torch.allclose(usual.scores, late.scores, atol=1e-6)
        assert same != changes


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((32, 48), np.uint8), "RGB images are needed"),
        (np.zeros((32, 48, 4), np.uint8), "RGB images are needed"),
        (np.zeros((48, 32, 3), np.uint8), "a frame of 32x48 in a clip of 48x32"),
    ],
)
def test_a_frame_that_does_not_fit_its_stream_is_refused(image: np.ndarray, message: str) -> None:
    network = build("cnn")
    ((_, state),) = step(network, images(1), [None], WHOLE)
    with pytest.raises(InputError, match=message):
        step(network, [image], [state], WHOLE)


def test_merged_tiles_keep_each_boxs_embedding_and_make_ids_unique() -> None:
    view = View(scales=(1.0,), threshold=0.0)
    tiles = layout(448, 256, view)
    assert len(tiles) == 2
    of_tiles = [
        Detections(
            torch.tensor([[20.0, 20, 60, 60], [80.0, 80, 120, 120]]),
            torch.tensor([0.9 - 0.3 * k, 0.8 - 0.3 * k]),
            torch.tensor([0, 1]),
            torch.tensor([3, -1]),
            torch.eye(4)[2 * k : 2 * k + 2],
            torch.tensor([False, k == 1]),
            torch.tensor([1.0, 0.5 * k]),
        )
        for k in range(2)
    ]
    merged = merge(tiles, of_tiles, view)
    assert merged.scores.tolist() == pytest.approx([0.9, 0.8, 0.6, 0.5])
    assert merged.boxes_xyxy_px[:, 0].tolist() == [20, 80, 20 + tiles[1].left, 80 + tiles[1].left]
    assert torch.equal(merged.embeddings, torch.eye(4))
    assert merged.unseen.tolist() == [False, False, False, True]
    assert merged.visible.tolist() == [1.0, 0.0, 1.0, 0.5]
    assert merged.track_ids.tolist() == [6, -1, 7, -1]
    without = Detections(of_tiles[1].boxes_xyxy_px, of_tiles[1].scores, of_tiles[1].labels)
    assert merge(tiles, [of_tiles[0], without], view).track_ids is None


def test_a_view_has_tiles_that_overlap_by_a_quarter_and_refuses_what_cannot_be() -> None:
    assert tiled_view(192) == View(tile_px=192, overlap_px=48)
    for changes in ({"batch": 0}, {"limit": 0}, {"scales": (1.0, 0.0)}, {"overlap_px": -1}):
        with pytest.raises(ConfigError):
            View(**changes)  # type: ignore[arg-type]
    assert View(tile_px=None, overlap_px=999).tile_px is None


def test_a_track_without_detections_moves_on_and_its_id_is_never_given_again() -> None:
    def detection(x: float) -> Detections:
        box = torch.tensor([[x, 10.0, x + 16, 26]])
        return Detections(box, torch.tensor([0.9]), torch.tensor([0]))

    nothing = Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64))
    state: Linked | None = None
    for x in (0.0, 8.0):
        _, state = link(detection(x), state)
    for _ in range(13):
        _, state = link(nothing, state, Linking(patience=12))
    assert len(state.ids) == 0, "forgotten after 12 frames"
    tracked, state = link(detection(8.0), state)
    assert tracked.track_ids.tolist() == [1]
