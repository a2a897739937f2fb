"""Times of a file's frames grow, whatever it states, and what is strange is said with the frame."""

from __future__ import annotations

import math

import pytest

from hybrid.data.clips import Skips
from hybrid.predict.io.times import FileTimes


def stamped(stated_s: list[float], rate: float = 10.0) -> tuple[list[float], dict[str, tuple[str, ...]]]:
    skips = Skips()
    times = FileTimes(rate, skips)
    return [times.stamp(one, f"f{k}") for k, one in enumerate(stated_s)], skips.done()


def test_steady_and_missing_times_say_nothing() -> None:
    assert stamped([5.0, 5.1, 5.2, 5.4]) == (pytest.approx([0, 0.1, 0.2, 0.4]), {})
    assert stamped([0.0, 0.0, math.nan, 0.0]) == (pytest.approx([0, 0.1, 0.2, 0.3]), {})


def test_time_that_goes_back_a_little_is_one_frame_and_a_new_start_is_carried_on() -> None:
    told, noted = stamped([0.0, 0.1, 0.2, 0.1, 0.4, 0.5])
    assert told == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert noted == {"time goes backwards: the frame rate is used instead": ("f3, by 0.100 s",)}
    told, noted = stamped([8.0, 8.1, 8.2, 0.0, 0.2, 0.4])
    assert told == pytest.approx([0, 0.1, 0.2, 0.3, 0.5, 0.7])
    assert noted == {"time goes backwards: the frame rate is used instead": ("f3, by 8.200 s",)}


def test_a_rate_that_changes_is_said_once_with_its_first_frame() -> None:
    steady = [k / 10 for k in range(30)]
    told, noted = stamped([*steady, *(2.9 + k / 5 for k in range(1, 40))])
    assert told[-1] == pytest.approx(2.9 + 39 / 5)
    assert noted == {"frame rate changes": ("f30 from 10.0 to 5.0 frames/s",)}
    jitter = [k / 10 + 0.03 * (k % 2) for k in range(60)]
    jitter[20:] = [one + 4.0 for one in jitter[20:]]  # a pause
    assert stamped(jitter)[1] == {}
