"""States and detections: what is cut apart and joined again is the same; what is numpy agrees with what is torch."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.core.boxes import area, pairwise_iou, to_centre, to_corners
from hybrid.core.overlap import iou
from hybrid.core.types import Detections, State, Target, TrackedQueries, joined
from hybrid.model.objects.tracks import empty_tracks

CORNERS = st.lists(
    st.tuples(*[st.integers(-20, 60)] * 2, *[st.integers(0, 40)] * 2), min_size=1, max_size=6
)  # x, y, width, height: also boxes without area


def xyxy(rows: list[tuple[int, int, int, int]]) -> np.ndarray:
    return np.array([[x, y, x + w, y + h] for x, y, w, h in rows], np.float32)


def state(clips: int) -> State:
    generator = torch.Generator().manual_seed(clips)
    hidden = tuple(torch.randn(clips, 4, side, side, generator=generator) for side in (4, 2))
    tracks = empty_tracks(clips, 3, 4, 2, torch.device("cpu"))
    return State(hidden, torch.randn(clips, 2, 3, 4, generator=generator), tracks, remembered=torch.arange(clips))


@settings(deadline=None, max_examples=25)
@given(CORNERS, CORNERS)
def test_both_overlaps_are_the_same_and_symmetric(a: list, b: list) -> None:
    one, other = xyxy(a), xyxy(b)
    got = iou(one, other)
    assert got.shape == (len(a), len(b))
    np.testing.assert_allclose(got, pairwise_iou(torch.tensor(one), torch.tensor(other)).numpy(), atol=1e-5)
    np.testing.assert_allclose(got, iou(other, one).T)
    assert (got[(one[:, 2:] - one[:, :2]).prod(1) == 0] == 0).all()


@settings(deadline=None, max_examples=25)
@given(CORNERS)
def test_both_forms_of_a_box_are_the_same_box(rows: list) -> None:
    corners = torch.tensor(xyxy(rows))
    centre = to_centre(corners)
    assert torch.equal(to_corners(centre), corners)
    torch.testing.assert_close(area(corners), centre[:, 2] * centre[:, 3])


def test_a_box_turned_inside_out_has_no_area() -> None:
    assert area(torch.tensor([[10.0, 10, 5, 20], [10, 10, 5, 5]])).tolist() == [0, 0]


def test_a_state_that_was_taken_apart_is_joined_again() -> None:
    whole = state(5)
    again = joined([whole.clips(slice(0, 2)), whole.clips(slice(2, 3)), whole.clips(slice(3, 5))])
    assert torch.equal(again.remembered, whole.remembered)
    assert torch.equal(again.memory, whole.memory)
    assert torch.equal(again.tracks.ids, whole.tracks.ids)
    assert all(torch.equal(a, b) for a, b in zip(again.hidden, whole.hidden, strict=True))
    assert again.clip is None


def test_a_states_form_is_all_but_its_number_of_clips() -> None:
    assert state(2).form() == state(5).form()
    others = [State(), State(state(2).hidden), State(state(2).hidden[::-1], state(2).memory, state(2).tracks)]
    assert all(other.form() != state(2).form() for other in others)


def test_detections_are_taken_by_index_or_mask_in_every_column_that_there_is() -> None:
    every = Detections(torch.rand(4, 4), torch.rand(4), torch.arange(4), torch.arange(4) + 7, None, torch.zeros(4) > 0)
    by_mask, by_index = every.take(torch.tensor([True, False, True, False])), every.take(torch.tensor([0, 2]))
    for one in (by_mask, by_index):
        assert one.labels.tolist() == [0, 2]
        assert one.track_ids.tolist() == [7, 9]
        assert (one.embeddings, len(one.unseen), len(one.boxes_xyxy_px)) == (None, 2, 2)


def test_an_empty_target_has_no_box_and_moves() -> None:
    target = Target.empty().to("cpu")
    assert (tuple(target.boxes_xyxy_px.shape), tuple(target.labels.shape), target.track_ids) == ((0, 4), (0,), None)


def test_only_slots_can_be_hidden() -> None:
    redetected = torch.tensor([[[True, False]]])
    tracked = TrackedQueries(torch.zeros(1, 1, 5, dtype=torch.int64), redetected.long(), redetected, redetected)
    assert tracked.unseen.tolist() == [[[False, True, False, False, False]]]
