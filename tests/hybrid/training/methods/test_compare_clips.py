"""What is held out is a share of every class, the same for every kind; and the table is of what was measured."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid.core.errors import DataError
from hybrid.training.methods import compare_clips
from hybrid.training.methods.classifier import VideoClassifier
from hybrid.training.methods.clip_data import ReadClips
from hybrid.training.methods.clip_net import KINDS
from hybrid.training.methods.compare_clips import TIMED, Result, split, table, trained


def clips(labels: str) -> ReadClips:
    """Clip k is grey of level k."""
    pixels = np.tile(np.arange(len(labels), dtype=np.uint8)[:, None, None, None, None], (1, 2, 4, 4, 3))
    return ReadClips(tuple(map(str, range(len(labels)))), pixels, tuple(labels))


def places(pixels: np.ndarray) -> list[int]:
    return pixels[:, 0, 0, 0, 0].tolist()


LABELS = st.lists(st.sampled_from("abc"), min_size=1, max_size=40).map("".join)


@given(LABELS, st.floats(0, 1), st.integers(0, 5))
def test_every_clip_is_on_one_side_with_its_own_class(labels: str, holdout: float, seed: int) -> None:
    counts = [labels.count(name) for name in sorted(set(labels))]
    if holdout and not all(0 < round(holdout * count) < count for count in counts):
        with pytest.raises(DataError, match=r"the class '[abc]' has \d+ clips: a share of .* leaves none"):
            split(clips(labels), holdout, seed)
        return
    data = split(clips(labels), holdout, seed)
    assert data.classes == tuple(sorted(set(labels)))
    assert sorted(places(data.clips) + places(data.held_out)) == list(range(len(labels)))
    for pixels, indices in ((data.clips, data.labels), (data.held_out, data.truth)):
        assert "".join(data.classes[k] for k in indices) == "".join(labels[k] for k in places(pixels))
    assert np.bincount(data.truth, minlength=len(counts)).tolist() == [round(holdout * count) for count in counts]


def test_the_seed_alone_decides_what_is_held_out() -> None:
    read = clips("ab" * 20)
    held_out = [tuple(places(split(read, 0.5, seed).held_out)) for seed in (0, 0, 1)]
    assert held_out[0] == held_out[1] != held_out[2]


def test_an_unknown_kind_is_told_before_anything_is_trained() -> None:
    with pytest.raises(DataError, match=r"--kind lstm: choose from cnn, cnn\+rnn, cnn\+transformer, transformer, cnn"):
        trained(split(clips("ab"), 0.0, 0), "lstm", 0, backbone="no such", weights="none")


class Known(VideoClassifier):
    """A classifier that has learned nothing."""

    def __init__(self) -> None:
        pass

    def predict_shares(self, pixels: np.ndarray) -> np.ndarray:
        return np.ones((len(pixels), 2)) / 2


def test_the_table_has_a_row_for_each_kind_with_mean_range_and_the_fastest_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[tuple[str, int]] = []

    def fake(data: object, kind: str, seed: int, **options: object) -> tuple[Known, Result]:
        assert options == {"steps": 2}
        done.append((kind, seed))
        return Known(), Result(4, 0.5 + 0.25 * seed, 0.25, 12345)

    def clock() -> Iterator[float]:
        """The first repetition takes 1 ms and does not count; of the others, the third one takes 7 ms."""
        now = 0.0
        for _ in KINDS:
            for took_ms in (1, 20, 30, 7, *[40] * (TIMED - 3)):
                yield now
                now += took_ms / 1000
                yield now

    ticks = clock()
    monkeypatch.setattr(compare_clips, "trained", fake)
    monkeypatch.setattr(compare_clips.time, "perf_counter", lambda: next(ticks))
    lines = list(table(split(clips("aabb"), 0.5, 0), 2, steps=2))
    assert done == [(kind, seed) for kind in KINDS for seed in (0, 1)]
    assert lines[0] == "2 clips to learn from, 2 to measure on; seeds 0 to 1"
    assert lines[3:] == [f"| {kind} | 0.625 (0.500 to 0.750) | 0.250 (0.250 to 0.250) | 7 | 12,345 |" for kind in KINDS]
    assert {line.count("|") for line in lines[1:]} == {6}
    assert compare_clips._mean_and_range([0.5]) == "0.500"
