"""Detections become tracks: objects keep their id while they move, hide and pass each other."""

from __future__ import annotations

import pytest
import torch

from hybrid.core.types import Detections
from hybrid.predict.linking import Linked, Linking, link


def at(
    *centres: tuple[float, float], scores: list[float] | None = None, labels=None, embeddings=None, side_px=None
) -> Detections:
    centre = torch.tensor(centres, dtype=torch.float32).reshape(-1, 2)
    count = len(centre)
    half = torch.tensor(side_px or [16.0] * count).reshape(-1, 1) / 2
    return Detections(
        torch.cat([centre - half, centre + half], 1),
        torch.tensor(scores or [0.9] * count),
        torch.tensor(labels or [0] * count, dtype=torch.int64),
        embeddings=embeddings,
    )


def ids(frames: list[Detections], linking: Linking | None = None) -> list[list[int]]:
    state, told = None, []
    for one in frames:
        linked, state = link(one, state, linking)
        assert linked.track_ids is not None
        told.append(linked.track_ids.tolist())
    return told


def test_objects_that_pass_each_other_keep_their_ids() -> None:
    frames = [at((10 + 10 * t, 50), (110 - 10 * t, 54)) for t in range(11)]
    told = ids(frames)
    assert told == [[0, 1]] * 11
    swapped = [at((110 - 10 * t, 54), (10 + 10 * t, 50)) if t % 2 else one for t, one in enumerate(frames)]
    assert ids(swapped) == [[1, 0] if t % 2 else [0, 1] for t in range(11)]


def test_a_hidden_object_is_expected_where_it_was_going_and_forgotten_in_time() -> None:
    path = [at((20 + 12 * t, 40)) for t in range(12)]
    nothing = at()
    hidden = [one if t < 4 or t > 7 else nothing for t, one in enumerate(path)]
    assert ids(hidden) == [[0]] * 4 + [[]] * 4 + [[0]] * 4
    assert ids(hidden, Linking(patience=3))[8:] == [[1]] * 4


def test_unsure_detections_keep_a_track_and_begin_none() -> None:
    unsure = at((20, 20), scores=[0.15])
    assert ids([unsure, at((20, 20)), unsure, at((20, 20), scores=[0.05])]) == [[-1], [0], [0], [-1]]


def test_embeddings_decide_where_places_do_not() -> None:
    a, b = torch.eye(2)[:1], torch.eye(2)[1:]
    first = at((40, 40), (60, 40), embeddings=torch.cat([a, b]))
    meet = at((50, 38), (50, 42), embeddings=torch.cat([b, a]))
    assert ids([first, meet]) == [[0, 1], [1, 0]]


def test_categories_decide_where_places_do_not() -> None:
    first = at((40, 40), (60, 40), labels=[0, 1])
    assert ids([first, at((50, 38), (50, 42), labels=[0, 1])]) == [[0, 1], [0, 1]]
    assert ids([first, at((50, 38), (50, 42), labels=[1, 0])]) == [[0, 1], [1, 0]]


def test_sizes_decide_where_places_do_not() -> None:
    first = at((47, 40), (53, 40), side_px=[12.0, 24.0])
    assert ids([first, at((50, 39), (50, 41), side_px=[12.0, 24.0])]) == [[0, 1], [0, 1]]
    assert ids([first, at((50, 39), (50, 41), side_px=[24.0, 12.0])]) == [[0, 1], [1, 0]]


def test_far_away_is_another_object_and_state_is_not_changed() -> None:
    _, state = link(at((20, 20)), None)
    before = state.boxes_cxcywh_px.clone()
    linked, later = link(at((90, 90)), state)
    assert linked.track_ids.tolist() == [1]
    assert torch.equal(state.boxes_cxcywh_px, before)
    assert len(later.ids) == 2
    assert later.next_id == 2
    assert len(Linked.none().ids) == 0
    with pytest.raises(ValueError, match="needs 0 <= unsure <= sure"):
        Linking(unsure=0.5, sure=0.2)
