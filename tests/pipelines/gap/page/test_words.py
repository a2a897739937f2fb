"""Laws of digits, scales and notes: rounding tells no lie about the sign, and no value makes a scale of no width."""

from __future__ import annotations

import pytest

from pipelines.gap.page.svg import LARGEST, around, element, round_values
from pipelines.gap.page.words import Notes, duration, interval, number, p_value
from pipelines.gap.schema.figure import Figure


@pytest.mark.parametrize(
    ("value", "unit", "signed", "shown"),
    [
        (0.876, "AP50", False, "0.88"), (0.065, "share", False, "6 %"), (1.5, "points of AP50", True, "+1.5"),
        (-1.26, "points of AP50", True, "\N{MINUS SIGN}1.3"), (-0.04, "points of AP50", True, "0.0"),
        (0.0, "points of AP50", True, "0.0"), (-0.001, "share", True, "0 %"), (22.0, "photos", False, "22"),
        (22.4, "photos", False, "22"), (1.25, "false alarms a photo", False, "1.2"), (1234.0, "boxes", False, "1,234"),
        (0.0631, "MMD2", False, "0.063"), (1e300, "AP50", False, "1e+300"),
    ],
)  # fmt: skip
def test_digits_follow_the_unit_and_zero_has_no_sign(value: float, unit: str, signed: bool, shown: str) -> None:
    assert number(value, unit, signed).replace("\N{NO-BREAK SPACE}", " ") == shown


def test_an_interval_that_is_open_above_says_so() -> None:
    figure = Figure(status="measured", value=12.0, low=5.0, high=28.0, unit="photos")
    assert interval(figure) == "[5, 28]"
    assert interval(figure, open_end=True) == "[5, more than all]"
    assert interval(Figure(status="measured", value=12.0)) == ""


def test_a_p_is_never_printed_as_zero() -> None:
    assert [p_value(p) for p in (0.0, 0.0009, 0.001, 0.0423, 1.0)] == ["< 0.001", "< 0.001", "0.001", "0.042", "1"]


@pytest.mark.parametrize(("seconds", "shown"), [(59.4, "59 s"), (90.0, "1.5 min"), (7200.0, "2.0 h")])
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_a_note_that_comes_twice_has_one_number() -> None:
    notes = Notes()
    assert [notes.mark(one) for one in ("few", "none", "few")] == [1, 2, 1]
    assert notes.lines == ["few", "none"]


@pytest.mark.parametrize(
    "values", [[], [0.5], [0.0, 0.0], [-1e308, 1e308], [5e-324, 0.0], [1.0, 1.0 + 1e-15], [-3.0, 2.0]]
)
def test_every_scale_has_a_width_and_a_few_ticks_on_it(values: list[float]) -> None:
    scale = around(values, 10.0, 90.0)
    places = [scale(value) for value in values]
    assert all(10.0 <= place <= 90.0 for place in places)
    ticks = scale.ticks()
    assert 1 <= len(ticks) <= 5
    assert all(scale.low <= tick <= scale.high for tick in ticks)
    assert scale.high - scale.low < 4 * LARGEST


@pytest.mark.parametrize(
    ("low", "high", "most", "wanted"),
    [
        (0.42, 0.93, 5, [0.5, 0.6, 0.7, 0.8, 0.9]),
        (-2.5, 5.1, 5, [-2.0, 0.0, 2.0, 4.0]),
        (0.0, 1.0, 6, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
    ],
)
def test_ticks_are_round(low: float, high: float, most: int, wanted: list[float]) -> None:
    assert round_values(low, high, most) == pytest.approx(wanted)


def test_text_and_attributes_of_a_drawing_are_escaped() -> None:
    made = element("text", '<b>"&', class_='"><script>')
    assert made == '<text class="&#34;&gt;&lt;script&gt;">&lt;b&gt;&#34;&amp;</text>'
