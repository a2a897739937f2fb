"""Sessions: how photos are sorted into them, and how they are drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hybrid.core.errors import DataError
from pipelines.gap.sessions import session_weights, sessions_by, sessions_of


def test_photos_of_a_session_share_all_of_the_name_but_the_last_number() -> None:
    names = ["0-7_c1.jpg", "0-7_c2.jpg", "0-7_g1.jpg", "a/0-7_c1.jpg", "0-7_c12.jpg"]
    assert sessions_of(names).tolist() == [0, 0, 1, 2, 0]
    assert sessions_of(["x-1.png", "y-2.png"], r"-(\d)").tolist() == [0, 1]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("(", "no regular expression"), ("a", "a group"), ("(b)", "does not fit 1 of 2 names, such as a1")],
)
def test_a_pattern_that_does_not_fit_is_named(pattern: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        sessions_of(["a1", "b2"], pattern)


def test_sessions_can_be_stated_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "sessions.csv"
    file.write_text("a.jpg,monday\nb.jpg, tuesday\n\nc.jpg,monday\n")
    numbers, made = sessions_by(["c.jpg", "b.jpg", "a.jpg"], str(file))
    assert (numbers.tolist(), made) == ([0, 1, 0], "plan")
    for given in (r"^(.)", None):
        numbers, made = sessions_by(["a1.jpg", "b1.jpg", "a2.jpg"], given)
        assert (numbers.tolist(), made) == ([0, 1, 0], "pattern")
    with pytest.raises(DataError, match=r"no line PHOTO,SESSION for 1 photos, such as d\.jpg"):
        sessions_by(["a.jpg", "d.jpg"], str(file))


def test_draws_take_whole_sessions_and_as_many_as_there_are() -> None:
    sessions = np.array([0, 0, 1, 1, 1, 2])
    weights = session_weights(sessions, 200)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 2] == weights[:, 4]).all()
    assert (weights[:, [0, 2, 5]].sum(1) == 3).all()
    assert weights[:, 0].std() > 0.5
