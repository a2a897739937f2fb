"""Laws of the page: every figure stands on it, what is missing is said in words, and text from outside stays text."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from functools import cache
from html.parser import HTMLParser
from itertools import count
from typing import Any

import pytest

from pipelines.gap.page.charts import efficiency_curve
from pipelines.gap.page.listing import figures
from pipelines.gap.page.render import render_page
from pipelines.gap.page.words import number
from pipelines.gap.schema.figure import Figure, not_measured
from pipelines.gap.schema.sections import CurvePoint, Named
from pipelines.gap.sections.why import no_pictures
from tests.pipelines.gap.example_report import SQUARE, ap, example_report, points

HOSTILE = "<script>alert(1)</script>\u202egnp.exe\u200f&amp;\x1b[31m"


class _Text(HTMLParser):
    """The words of a page as they are read, without style, script and the list of all figures."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.skipped = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if not self.skipped and (tag in ("style", "script") or dict(attrs).get("class") == "all"):
            self.skipped = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self.skipped:
            self.skipped = ""

    def handle_data(self, data: str) -> None:
        if not self.skipped:
            self.words.append(data)


@cache
def example_page() -> str:
    return render_page(example_report())


def parsed(page: str) -> _Text:
    parser = _Text()
    parser.feed(page)
    return parser


def words(page: str) -> str:
    """All that is read on a page, with single spaces."""
    return " ".join("".join(parsed(page).words).split())


def changed(item: Any, change: Callable[[Any], Any]) -> Any:
    """`item` with every figure and every text in it changed."""
    if isinstance(item, Figure | str):
        return change(item)
    if isinstance(item, tuple):
        return tuple(changed(one, change) for one in item)
    if isinstance(item, dict):
        return {key: changed(one, change) for key, one in item.items()}
    if is_dataclass(item) and not isinstance(item, type):
        return replace(item, **{one.name: changed(getattr(item, one.name), change) for one in fields(item)})
    return item


def test_every_figure_stands_in_its_section_with_both_ends_of_its_interval() -> None:
    numbers = count(1001, 3)

    def unique(one: Any) -> Any:
        if not isinstance(one, Figure) or one.value is None:
            return one
        low, value, high = (float(next(numbers)) for _ in range(3))
        return replace(one, low=low, value=value, high=high, unit="things")

    report = changed(example_report(), unique)
    shown = words(render_page(report))
    every = [(place, f) for place, f in figures(report) if f.value is not None]
    assert len(every) > 50
    for place, figure in every:
        assert number(figure.value or 0.0, "things") in shown, place
        for end in (figure.low, figure.high):
            assert number(end or 0.0, "things") in shown, f"{place}: {end}"


def test_every_figure_is_listed_with_its_method_p_and_note_as_in_the_json_file() -> None:
    report = example_report()
    listing = example_page().partition('<details class="all">')[2]
    rows = re.findall(r"<tr><th scope=\"row\"><code>(.*?)</code></th>(.*?)</tr>", listing)
    assert len(rows) == len(list(figures(report))) > 60
    for (place, row), (wanted, figure) in zip(rows, figures(report), strict=True):
        cells = re.findall(r"<td[^>]*>(.*?)</td>", row)
        assert place == wanted
        for kept in (
            figure.value,
            figure.low,
            figure.high,
            figure.n,
            figure.n_units,
            figure.seeds,
            figure.p,
            figure.p_holm,
        ):
            assert kept is None or str(kept) in cells, f"{place}: {kept}"
        assert {figure.status.replace("_", " "), figure.method, figure.unit, figure.note} <= set(cells), place


def test_what_is_missing_is_said_in_words_never_as_nan_or_none() -> None:
    missing = [f for _, f in figures(example_report()) if f.value is None]
    assert len(missing) >= 8
    shown = words(example_page())
    assert all(figure.note in shown for figure in missing)
    assert "too few" in shown
    assert "not measured" in shown
    assert not re.search(r"\b(nan|inf|None|undefined)\b", shown)


@pytest.mark.parametrize("status", ["too_few", "not_measured"])
def test_a_report_without_a_single_value_is_a_page_of_reasons(status: Any) -> None:
    def bare(one: Any) -> Any:
        return Figure(status=status, unit=one.unit, note="needs labels") if isinstance(one, Figure) else one

    shown = words(render_page(changed(example_report(), bare)))
    assert "needs labels" in shown
    assert not re.search(r"\b(nan|inf|None)\b", shown)


def test_the_run_that_is_looked_at_and_the_reason_stand_in_the_answer_and_above_where_it_fails() -> None:
    report = example_report()
    page = render_page(replace(report, answer=replace(report.answer, looked_at="a: b: named so")))
    places = re.findall(r'<section id="(\w+)">(.*?)</section>', page, re.DOTALL)
    told = [name for name, text in places if "<b>a: b</b> (named so)" in text]
    assert told == ["answer", "where"]


def test_a_bar_of_an_error_is_red_beyond_chance_alone_and_what_wins_nothing_has_none() -> None:
    gains = {"sure": points(9.0), "unsure": points(1.5), "nothing": points(0.0), "harm": points(-1.0, 0.5)}
    errors = tuple(Named(label=name, figure=replace(one, p=None, p_holm=None)) for name, one in gains.items())
    report = example_report()
    page = render_page(replace(report, where=replace(report.where, errors=errors)))
    rows = dict(re.findall(r'<th scope="row">(sure|unsure|nothing|harm)</th>(.*?)</tr>', page))
    colours = {name: re.findall(r'class="fill-(bad|mid|none)"', row) for name, row in rows.items()}
    assert colours == {"sure": ["bad"], "unsure": ["mid"], "nothing": [], "harm": []}


def test_statistics_that_were_not_measured_are_one_sentence_in_which_an_option_stays_on_one_line() -> None:
    report = example_report()
    page = render_page(replace(report, why=no_pictures("Photos are needed: give --look.")))
    assert "No pictures were compared. Photos are needed: give --look." in words(page)
    assert 'Photos are needed: give <span class="one-line">--look</span>.' in page
    assert "too few photos" not in words(page)


def test_empty_sections_say_that_they_are_empty() -> None:
    report = example_report()
    bare = replace(
        report, performance=(), comparisons=(), knobs=(), runs=(), data=(), pictures={},
        label_efficiency=replace(report.label_efficiency, simulation=(), photos=(), missing=()),
        where=replace(report.where, tables=(), errors=(), calibration=(), reliability=(), false_alarms=(), time=None),
        why=replace(report.why, coverage=(), features=()),
        do_next=replace(report.do_next, actions=(), next_config="", label=()),
    )  # fmt: skip
    shown = words(render_page(bare))
    for said in (
        "No run was measured", "Not known: labelled photos are needed", "No curve yet", "No change was tried",
        "ask for no change", "No pictures were",
    ):  # fmt: skip
        assert said in shown


def test_text_from_outside_is_shown_as_text_and_its_marks_of_direction_as_escapes() -> None:
    plain = example_report()

    def worse(one: Any) -> Any:
        return one + HOSTILE if isinstance(one, str) and one not in LITERALS and not one.startswith("data:") else one

    report = changed(plain, worse)
    page = render_page(report)
    parser = parsed(page)
    assert parser.tags.count("script") == 1
    assert not re.search("[\u202e\u200f\x1b]", page)
    shown = "".join(parser.words)
    assert shown.count(r"<script>alert(1)</script>\u202egnp.exe\u200f&amp;\x1b[31m") > 100


LITERALS = {
    "real", "final", "simulation", "change the photos", "pair", "missed", "simulated", "test", "pattern", "beyond",
    "cannot_be_told", "counted", "coverage", "photos", "parts", "grounds",
}  # fmt: skip


def test_half_of_a_surrogate_pair_in_a_name_is_no_crash() -> None:
    assert "\\ud800" in words(render_page(replace(example_report(), title="a\ud800b")))


def test_a_stand_in_is_never_called_real_or_photos_of_a_line() -> None:
    def hidden(one: Any) -> Any:
        return "x" if isinstance(one, str) and one not in LITERALS and not one.startswith("data:") else one

    shown = words(render_page(replace(changed(example_report(), hidden), target="stand-in")))
    assert "The test data are simulated too." in shown
    assert not re.search(r"\b(real|reality|test photos)\b", shown)


def test_photos_can_be_left_out_and_simulated_pictures_stay() -> None:
    report = example_report()
    assert sum(one.of == "real" and one.uri is not None for one in report.pictures.values()) == 1
    page = render_page(report.without_photos())
    assert page.count(SQUARE) == 2  # of a scene, in the gallery and on the map
    assert page.count("photo left out") >= 2
    assert example_page().count(SQUARE) == 4  # those, the photo of the pair, and the photo to label


def test_the_page_forbids_all_that_is_not_in_it() -> None:
    page = example_page()
    policy = re.search(r"Content-Security-Policy\" content=\"([^\"]+)\"", page)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy[1]
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)
    assert not re.search(r"\sstyle=|\son[a-z]+=", page.partition("</style>")[2].partition("<script>")[0])


def test_the_same_report_gives_the_same_page() -> None:
    assert render_page(example_report()) == example_page()


def test_the_curve_joins_the_measured_points_alone_and_says_what_simulation_is_worth() -> None:
    report = example_report()
    points = tuple(CurvePoint(photos=n, ap50=ap(v), by_seed=(v,)) for n, v in ((0, 0.7), (10, 0.85), (52, 0.9)))
    worth = Figure(status="measured", value=12.0, low=5.0, high=28.0, unit="photos")
    section = replace(report.label_efficiency, simulation=points, photos=points, worth=worth, worth_at=10)
    curve = efficiency_curve(section, "a title")
    assert [curve.count(f'class="dot-{colour}"') for colour in ("sim", "real")] == [3, 3]
    assert "10 with simulation = 22 without" in curve
    assert "without" not in efficiency_curve(replace(section, worth_at=None), "a title")
    missing = replace(points[1], ap50=not_measured("no run", "AP50"))
    assert efficiency_curve(replace(section, simulation=(missing, points[2])), "a title").count('class="dot-sim"') == 1
    assert not efficiency_curve(replace(section, simulation=points[:1], photos=()), "a title")


def test_groups_that_cannot_be_compared_are_folded_away_under_those_that_can() -> None:
    where = example_page().partition('id="where"')[2].partition('id="why"')[0]
    first, _, folded = where.partition("1 group that cannot be compared")
    assert ("bolt" in first, "washer" in first) == (True, False)
    assert "9 boxes: an AP of its own takes 30" in folded.partition("</details>")[0]


@pytest.mark.parametrize("size", [1e308, 5e-324])
def test_no_finite_number_of_a_report_from_elsewhere_breaks_a_drawing(size: float) -> None:
    def extreme(one: Any) -> Any:
        if isinstance(one, str) or one.value is None:
            return one
        return replace(one, value=0.0, low=-size, high=size)

    report = changed(example_report(), extreme)
    numbers = zip(report.label_efficiency.simulation, (-5, 10**30), strict=True)
    points = tuple(replace(one, photos=photos) for one, photos in numbers)
    report = replace(
        report, label_efficiency=replace(report.label_efficiency, simulation=points),
        where=replace(report.where, reliability=((-size, size, -3), (2.0, 0.5, 10**30))),
        why=replace(report.why, coverage=(replace(report.why.coverage[0], simulated=(size,) * 7, real=(-size,) * 7),)),
    )  # fmt: skip
    page = render_page(report)
    assert page.count("<svg") > 10
    assert not re.search(r"\b(nan|inf)\b", page.partition("</style>")[2])
