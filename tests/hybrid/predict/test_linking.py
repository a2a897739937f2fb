"""Detections become tracks: objects keep their id while they move, hide and pass each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hybrid.core.types import Detections
from hybrid.predict.linking import Linked, Linking, link
from hybrid.predict.linking.motion.filter import common_change

SIZE = (240, 320)  # height and width of the pictures


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


def followed(frames: list[Detections], linking: Linking | None = None, **options: object) -> list[Detections]:
    state, told = None, []
    for one in frames:
        linked, state = link(one, state, linking, **options)  # type: ignore[arg-type]
        told.append(linked)
    return told


def ids(frames: list[Detections], linking: Linking | None = None) -> list[list[int]]:
    """The ids of what is seen, from left to right."""
    rows = []
    for one in followed(frames, linking):
        order = one.boxes_xyxy_px[:, 0].argsort(stable=True)
        rows.append([int(one.track_ids[k]) for k in order if not one.unseen[k]])
    return rows


def test_objects_that_pass_each_other_keep_their_ids() -> None:
    frames = [at((11 + 10 * t, 50), (110 - 10 * t, 54)) for t in range(11)]
    assert ids(frames) == [[0, 1]] * 5 + [[1, 0]] * 6
    swapped = [at((110 - 10 * t, 54), (11 + 10 * t, 50)) if t % 2 else one for t, one in enumerate(frames)]
    assert ids(swapped) == ids(frames)


def test_a_hidden_object_is_told_where_it_is_expected_and_keeps_its_id_until_it_is_forgotten() -> None:
    path = [at((20 + 12 * t, 40)) for t in range(12)]
    hidden = [one if t < 4 or t > 7 else at() for t, one in enumerate(path)]
    told = followed(hidden)
    for t in range(4, 8):
        assert (told[t].track_ids.tolist(), told[t].unseen.tolist(), told[t].visible.tolist()) == ([0], [True], [0.0])
        assert told[t].boxes_xyxy_px[0].tolist() == pytest.approx(path[t].boxes_xyxy_px[0].tolist(), abs=2.0)
    assert ids(hidden) == [[0]] * 4 + [[]] * 4 + [[0]] * 4
    assert ids(hidden, Linking(patience=3))[8:] == [[1]] * 4
    silent = followed(hidden, Linking(hidden=False))
    assert [len(one.scores) for one in silent] == [1] * 4 + [0] * 4 + [1] * 4


def test_unsure_detections_keep_a_track_and_begin_none() -> None:
    unsure = at((20, 20), scores=[0.27])
    assert ids([unsure, at((20, 20)), unsure, at((20, 20), scores=[0.05])]) == [[-1], [0], [0], [-1]]


def test_embeddings_decide_where_places_do_not() -> None:
    a, b = torch.eye(2)[:1], torch.eye(2)[1:]
    first = at((40, 40), (60, 40), embeddings=torch.cat([a, b]))
    meet = at((50.5, 38), (49.5, 42), embeddings=torch.cat([a, b]))
    assert ids([first, meet]) == [[0, 1], [1, 0]]


@pytest.mark.parametrize("labels", [[0, 1], [1, 0]])
def test_categories_decide_where_places_do_not(labels: list[int]) -> None:
    first = at((40, 40), (60, 40), labels=[0, 1])
    assert ids([first, at((49.9, 38), (50.1, 42), labels=labels)]) == [[0, 1], labels]


@pytest.mark.parametrize("sides", [[12.0, 24.0], [24.0, 12.0]])
def test_sizes_decide_where_places_do_not(sides: list[float]) -> None:
    first = at((47, 40), (53, 40), side_px=[12.0, 24.0])
    (told,) = followed([first, at((50, 39), (50, 41), side_px=sides)])[1:]
    of_size = {round(float(box[2] - box[0])): int(k) for box, k in zip(told.boxes_xyxy_px, told.track_ids, strict=True)}
    assert of_size == {12: 0, 24: 1}


def test_far_away_is_another_object_and_state_is_not_changed() -> None:
    _, state = link(at((20, 20)), None)
    before = state.boxes_cxcywh_px.copy()
    linked, later = link(at((90, 90)), state)
    assert 1 in linked.track_ids.tolist()
    assert np.array_equal(state.boxes_cxcywh_px, before)
    assert len(later.ids) == 2
    assert later.next_id == 2
    assert len(Linked.none()) == 0
    for wrong in ({"unsure": 0.5, "sure": 0.2}, {"reported": 0.0}):
        with pytest.raises(ValueError, match="needs 0 <"):
            Linking(**wrong)


def belt(frames: int, hidden: slice, moves: list[float], missing: int = 0) -> list[Detections]:
    """Five parts on a belt; the part `missing` is not detected in the frames `hidden`."""
    places = [(30.0 + 45 * k, 40.0 + 35 * k) for k in range(5)]
    gone = set(range(frames)[hidden])
    shift, told = 0.0, []
    for t in range(frames):
        shift += moves[t]
        told.append(at(*((x + shift, y) for k, (x, y) in enumerate(places) if not (k == missing and t in gone))))
    return told


def place_of(told: Detections, track: int) -> float:
    (row,) = (told.track_ids == track).nonzero()[:, 0].tolist()
    return float(told.boxes_xyxy_px[row, [0, 2]].mean())


def test_a_hidden_part_stops_and_goes_with_the_belt() -> None:
    moves = [0.0] + [6.0] * 6 + [0.0] * 6 + [9.0] * 5
    told = followed(belt(18, slice(5, 16), moves), size_hw_px=SIZE)
    for t in range(5, 16):
        assert place_of(told[t], 0) == pytest.approx(30 + sum(moves[: t + 1]), abs=5)
    assert [0 in one.track_ids[~one.unseen].tolist() for one in told] == [t < 5 or t > 15 for t in range(18)]


@pytest.mark.parametrize("change", [(-3.0, 0.0), (2.0, 4.0)])
def test_a_small_change_that_the_seen_parts_have_in_common_is_the_hidden_ones_too(change: tuple[float, float]) -> None:
    state = None
    for one in belt(6, slice(6, 6), [0.0] + [4.0] * 5):
        _, state = link(one, state, size_hw_px=SIZE)
    assert state is not None
    places = state.boxes_cxcywh_px[:, :2] + state.speed_px
    told = common_change(state, places, places[1:] + change, np.arange(1, 5), 1.0)
    assert told[0].tolist() == pytest.approx(change, abs=0.6)
    alone = places[1:].copy()
    alone[0] += 9
    assert common_change(state, places, alone, np.arange(1, 5), 1.0)[0].tolist() == pytest.approx((0, 0), abs=0.6)


def test_a_hidden_part_shakes_with_the_camera() -> None:
    """One frame in which all parts seem to move by a sixth of a part's side, and back: no speed explains it."""
    moves = [0.0] + [4.0] * 5 + [1.5, 6.5, 4.0]
    told = followed(belt(9, slice(5, 9), moves), size_hw_px=SIZE)
    for t in (6, 7, 8):
        assert place_of(told[t], 0) == pytest.approx(30 + sum(moves[: t + 1]), abs=1.2)


def test_a_part_has_the_category_of_most_of_its_frames() -> None:
    told = followed([at((40 + 3 * t, 60), labels=[int(t in (0, 5))]) for t in range(7)], size_hw_px=SIZE)
    assert [one.labels.tolist() for one in told[2:]] == [[0]] * 5


def test_lost_frames_are_bridged_by_the_time_that_passed() -> None:
    moves = [0.0] + [8.0] * 5 + [32.0]
    frames, state = belt(7, slice(6, 7), moves), None
    frames[6] = at()
    for t, one in enumerate(frames):
        told, state = link(one, state, size_hw_px=SIZE, step=4.0 if t == 6 else 1.0)
    assert place_of(told, 0) == pytest.approx(30 + sum(moves), abs=4)
    assert sorted(told.track_ids.tolist()) == [0, 1, 2, 3, 4]


def test_a_blank_frame_is_less_evidence_against_a_part_than_a_clear_one() -> None:
    clear = belt(8, slice(6, 8), [0.0] + [6.0] * 7)
    blank = [*clear[:6], at(), at()]
    (of_clear,), (of_blank,) = (
        [float(one.scores[one.track_ids == 0]) for one in followed(frames, size_hw_px=SIZE)[-1:]]
        for frames in (clear, blank)
    )
    assert of_blank > of_clear + 0.03
    assert len(followed(blank, size_hw_px=SIZE)[-1].scores) == 5


def test_a_part_that_leaves_at_the_edge_is_not_told_beyond_it() -> None:
    frames = [at((280 + 10 * t, 100), (60, 200)) if t < 4 else at((60, 200)) for t in range(9)]
    told = followed(frames, size_hw_px=SIZE)
    assert [len(one.scores) for one in told[-3:]] == [1, 1, 1]
    edge = followed([at((287 + 10 * t, 100)) for t in range(4)] + [at()], size_hw_px=SIZE)
    assert len(edge[3].scores) == 1
    assert len(edge[4].scores) == 0, "a pixel of it is in the picture"
    state = None
    for one in frames:
        _, state = link(one, state, size_hw_px=SIZE)
    assert state is not None
    assert state.ids.tolist() == [1]
    assert len(followed(frames)[-1].scores) == 2, "without a size nothing leaves"


def test_a_piece_of_a_part_gives_the_whole_box_and_the_share_that_is_seen() -> None:
    def seen(low: float, high: float) -> Detections:
        return Detections(torch.tensor([[low, 80.0, high, 120.0]]), torch.tensor([0.9]), torch.tensor([0]))

    whole = [seen(20 + 8 * t, 60 + 8 * t) for t in range(8)]
    under = [seen(20 + 8 * t, min(60 + 8 * t, 124.0)) for t in range(8, 12)]  # a bridge begins at 124
    told = followed(whole + under, Linking(whole=True), size_hw_px=SIZE)
    assert told[7].visible.tolist() == pytest.approx([1.0], abs=0.05)
    for t in (10, 11):
        assert told[t].boxes_xyxy_px[0].tolist() == pytest.approx([20 + 8 * t, 80, 60 + 8 * t, 120], abs=4)
        assert told[t].visible.tolist() == pytest.approx([(104 - 8 * t) / 40], abs=0.12)
        assert told[t].track_ids.tolist() == [0]
    as_seen = followed(whole + under, size_hw_px=SIZE)
    assert torch.equal(as_seen[11].boxes_xyxy_px, under[3].boxes_xyxy_px)


def test_a_part_that_enters_the_picture_has_the_belts_speed_though_its_box_grows() -> None:
    def seen(t: int) -> Detections:
        high = 8.0 + 8 * t
        box = torch.tensor([[max(0.0, high - 60), 80.0, high, 120.0]])
        return Detections(box, torch.tensor([0.9]), torch.tensor([0]))

    state = None
    for t in range(7):
        _, state = link(seen(t), state, size_hw_px=SIZE)
    assert state is not None
    assert state.speed_px[0].tolist() == pytest.approx([8, 0], abs=1)


def test_what_stands_still_does_not_slow_the_hidden_and_the_new_parts_of_a_belt() -> None:
    frames = []
    for t in range(14):
        moving = [(20.0 + 9 * t, 60.0), (50.0 + 9 * t, 120.0), (80.0 + 9 * t, 180.0)]
        still = [(100.0, 20.0), (200.0, 20.0)]
        frames.append(at(*(moving[1:] if t > 5 else moving), *still))
    told = followed(frames, size_hw_px=SIZE)
    assert place_of(told[13], 0) == pytest.approx(20 + 9 * 13, abs=5)
    state = None
    for one in frames:
        _, state = link(one, state, size_hw_px=SIZE)
    assert state is not None
    _, state = link(at((176, 120), (206, 180), (100, 20), (200, 20), (140, 100)), state, size_hw_px=SIZE)
    new = state.ids == 5
    assert state.speed_px[new][0].tolist() == pytest.approx([9, 0], abs=1)


def test_the_score_of_a_followed_part_tells_that_it_is_there_not_how_well_it_is_seen() -> None:
    told = followed([at((50, 50), scores=[0.6])] * 4 + [at((50, 50), scores=[0.26])], size_hw_px=SIZE)
    scores = [float(one.scores[0]) for one in told]
    assert scores[0] == pytest.approx(0.6, abs=0.01)
    assert scores[3] > scores[0] + 0.1
    assert scores[4] > 0.6


def test_a_false_alarm_of_one_frame_is_not_told_on() -> None:
    told = followed([at((50, 50)), at((50, 50), (200, 200), scores=[0.9, 0.35]), at((50, 50))], size_hw_px=SIZE)
    assert [len(one.scores) for one in told] == [1, 2, 1]


def test_a_place_where_parts_are_found_again_keeps_the_next_ones_longer_than_one_where_they_end() -> None:
    def passage(state: Linked | None, reappears: bool) -> tuple[float, Linked]:
        for x in range(60, 230, 10):
            seen = x < 120 or (reappears and x > 170)
            told, state = link(at(*([(x, 100.0)] if seen else []), (30.0, 200.0)), state, size_hw_px=SIZE)
            if x == 160:
                existence = float(told.scores[told.unseen].max())
        assert state is not None
        return existence, state

    first, bridge = passage(None, reappears=True)
    for _ in range(2):
        later, bridge = passage(bridge, reappears=True)
    assert later > first + 0.05
    _, sink = passage(None, reappears=False)
    for _ in range(2):
        lost, sink = passage(sink, reappears=False)
    assert lost < later - 0.05


def test_a_part_that_comes_in_at_the_picture_s_edge_keeps_its_id_while_it_gets_wider() -> None:
    def seen(t: int) -> Detections:
        left = 316.0 - 14 * t
        corners = torch.tensor([[left, 100.0, min(left + 48, 320.0), 130.0]])
        return Detections(corners, torch.tensor([0.9]), torch.tensor([0]))

    told = followed([seen(t) for t in range(9)], size_hw_px=SIZE)
    assert [one.track_ids.tolist() for one in told] == [[0]] * 9
    assert told[-1].boxes_xyxy_px[0].tolist() == pytest.approx([204, 100, 252, 130])
    inside = followed([at((100, 100), side_px=[8.0]), at((100, 100), side_px=[40.0])], size_hw_px=SIZE)
    assert inside[1].track_ids.tolist()[0] == 1  # far from the edge that is another part


def test_a_belt_that_stops_stops_the_hidden_part_too_unless_each_is_by_itself() -> None:
    def place(t: int) -> float:
        return 40.0 + 8 * min(t, 7)  # the belt stops after frame 7

    rows = [at((place(t), 60), (place(t) + 60, 120), *([(place(t) + 30, 180)] if t < 6 else [])) for t in range(12)]
    for together, off in ((True, 0.0), (False, 32.0)):
        told = followed(rows, Linking(together=together), size_hw_px=SIZE)[-1]
        (box,) = told.boxes_xyxy_px[told.track_ids == 2]
        assert float(box[[0, 2]].mean()) == pytest.approx(place(11) + 30 + off, abs=4)


@pytest.mark.parametrize(("off_px", "same"), [(4, True), (9, False)])
def test_what_is_half_a_side_off_is_not_the_part_that_was_hidden(off_px: int, same: bool) -> None:
    """Parts on a belt follow each other closely: a hidden one must not take the next one's detection."""
    others = [[(60 + 8 * t, 20 + 40 * k) for k in range(2)] for t in range(12)]
    rows = [at(*others[t], *([(40 + 8 * t, 150)] if t < 6 else [])) for t in range(11)]
    told = followed([*rows, at(*others[11], (40 + 8 * 11 - off_px, 150))], size_hw_px=SIZE)
    seen = told[-1].track_ids[~told[-1].unseen].tolist()
    assert (2 in seen, len(seen)) == (same, 3)


def test_the_state_stays_small_however_many_tracks_there_were() -> None:
    rng, state = np.random.default_rng(0), None
    sizes = []
    for _ in range(100):
        centres = [tuple(rng.uniform(20, 220, 2).tolist()) for _ in range(4)]
        _, state = link(at(*centres), state, Linking(patience=5), size_hw_px=SIZE)
        sizes.append(sum(value.nbytes for value in vars(state).values() if isinstance(value, np.ndarray)))
    assert max(sizes[50:]) <= 1.5 * max(sizes[10:50])
    assert state.next_id > 100
    assert state.places.counts.max() <= 30
