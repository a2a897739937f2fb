"""Laws of the page in a browser: nothing is fetched, nothing complains, tables sort, pictures open, phones fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.gap.page.listing import figures
from pipelines.gap.page.render import render_page
from tests.pipelines.gap.example_report import example_report, measures
from tests.pipelines.gap.page.browser import Browser, Page, find_chromium

CHROMIUM = find_chromium()
NAME = "<script>alert(1)</script>\u202egnp.exe" + "x" * 300
pytestmark = [  # seconds: a browser starts
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    assert CHROMIUM is not None
    with Browser(CHROMIUM, tmp_path_factory.mktemp("profile")) as started:
        if not started.answers():
            pytest.skip(f"{CHROMIUM} does not start")
        yield started


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The example, and one whose names are hostile."""
    plain = example_report()
    runs = [
        replace(plain.runs[0], name=f"run {k}", steps=steps, real=measures(ap50))
        for k, (steps, ap50) in enumerate(((400, 0.71), (90, 0.9), (1000, 0.15)))
    ]
    first = replace(plain.where.tables[0].rows[0], group=NAME, so=NAME)
    hostile = replace(
        plain, title=NAME, categories=(NAME,), command=NAME, runs=(replace(runs[0], name=NAME, trained_on=NAME),),
        performance=(replace(plain.performance[0], name=NAME, trained_on=NAME),),
        where=replace(plain.where, tables=(replace(plain.where.tables[0], title=NAME, rows=(first,)),)),
        data=(replace(plain.data[0], path=NAME, note=NAME, left_out=(NAME,)),),
        pictures={NAME: replace(plain.pictures["missed-0"], caption=NAME)},
    )  # fmt: skip
    folder, paths = tmp_path_factory.mktemp("pages"), {}
    for name, report in {"example": replace(plain, runs=tuple(runs)), "hostile": hostile}.items():
        paths[name] = folder / f"{name}.html"
        paths[name].write_text(render_page(report), encoding="utf-8")
    return paths


@pytest.fixture(scope="module")
def page(browser: Browser, files: dict[str, Path]) -> Iterator[Page]:
    """The example as on a desk; tests leave it as they find it."""
    with browser.open(files["example"]) as opened:
        yield opened


def test_nothing_is_fetched_and_nothing_complains(page: Page, files: dict[str, Path]) -> None:
    fetched = [url for url in page.requests if not url.startswith("data:")]
    assert fetched == [files["example"].as_uri()]
    assert page.complaints == []


def test_a_broken_script_and_a_foreign_picture_would_be_noticed(browser: Browser, tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text("<img src='file:///nothing.png'><script>throw Error('broken')</script>")
    with browser.open(bad) as opened:
        assert "file:///nothing.png" in opened.requests
        assert any("broken" in line for line in opened.complaints)


def test_every_figure_of_the_report_is_in_the_dom(page: Page) -> None:
    places = page.evaluate("[...document.querySelectorAll('details.all tbody th')].map(cell => cell.textContent)")
    plain = example_report()
    wanted = [place for place, _ in figures(plain) if not place.startswith("runs[")]
    assert [place for place in places if not place.startswith("runs[")] == wanted
    assert len(wanted) > 50


def test_tables_sort_by_number_not_by_letters_from_the_keyboard(page: Page) -> None:
    table = """[...document.querySelectorAll('table')].find(one => one.caption?.textContent == 'Each run')"""
    column = f"[...{table}.tBodies[0].rows].map(row => row.cells[2].textContent)"
    assert page.evaluate(column) == ["400", "90", "1,000"]
    page.evaluate(f"{table}.tHead.rows[0].cells[2].querySelector('button').focus()")
    press(page, "Enter")
    assert page.evaluate(column) == ["90", "400", "1,000"]
    assert page.evaluate(f"{table}.tHead.rows[0].cells[2].getAttribute('aria-sort')") == "ascending"
    press(page, "Enter")
    assert page.evaluate(column) == ["1,000", "400", "90"]
    sorted_columns = f"[...{table}.tHead.rows[0].cells].filter(one => one.ariaSort && one.ariaSort != 'none').length"
    assert page.evaluate(sorted_columns) == 1
    page.evaluate(f"{table}.tHead.rows[0].cells[8].querySelector('button').click()")  # AP50 on the photos
    ap50 = f"[...{table}.tBodies[0].rows].map(row => row.cells[8].dataset.v)"
    assert page.evaluate(ap50) == ["0.15", "0.71", "0.9"]


def test_what_is_missing_stays_last_in_both_directions(page: Page) -> None:
    table = "document.querySelector('#knobs table')"
    order = f"[...{table}.tBodies[0].rows].map(row => row.cells[0].firstChild.textContent)"
    for _ in range(2):
        page.evaluate(f"{table}.tHead.rows[0].cells[3].querySelector('button').click()")
        assert page.evaluate(order) == ["white balance", "noise"]


def test_a_picture_opens_large_with_its_words_and_closes_by_escape(page: Page) -> None:
    page.evaluate("document.querySelector('button.pic').focus()")
    press(page, "Enter")
    box = "document.getElementById('box')"
    assert page.evaluate(f"{box}.open && {box}.querySelector('p').textContent") == "bolt, 1-1_g4.jpg"
    assert page.evaluate(f"{box}.querySelector('img').src.slice(0, 15)") == "data:image/jpeg"
    press(page, "Escape")
    assert page.evaluate(f"{box}.open") is False


def test_the_theme_follows_the_machine_and_a_button_overrides_it(browser: Browser, files: dict[str, Path]) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    with browser.open(files["example"], dark=True) as dark:
        assert dark.evaluate(ground) == "rgb(16, 21, 28)"
        dark.evaluate("document.getElementById('theme').click()")
        assert dark.evaluate(ground) == "rgb(246, 247, 249)"
        browser.call("Emulation.setEmulatedMedia", {"media": "print"}, dark)
        assert dark.evaluate(ground) == "rgb(255, 255, 255)"


def test_print_on_a4_cuts_nothing_off(browser: Browser, files: dict[str, Path]) -> None:
    with browser.open(files["example"], width_px=688) as opened:  # A4 less margins of 14 mm, at 96 dpi
        browser.call("Emulation.setEmulatedMedia", {"media": "print"}, opened)
        assert opened.evaluate("document.documentElement.scrollWidth") == 688
        assert opened.evaluate("getComputedStyle(document.querySelector('header')).display") == "none"


@pytest.mark.parametrize("name", ["example", "hostile"])
@pytest.mark.parametrize("width_px", [390, 1200])
def test_no_width_needs_to_scroll_sideways(browser: Browser, files: dict[str, Path], name: str, width_px: int) -> None:
    with browser.open(files[name], width_px) as opened:
        assert opened.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)") is None
        assert opened.evaluate("document.documentElement.scrollWidth") == width_px
        assert opened.complaints == []


def test_on_a_phone_what_is_lost_is_in_view_and_a_wide_table_keeps_its_first_column(
    browser: Browser, files: dict[str, Path]
) -> None:
    with browser.open(files["example"], 390) as opened:
        narrow = "document.querySelector('#where .scroll')"
        lost = f"{narrow}.querySelector('thead th:nth-of-type(4)')"
        assert opened.evaluate(f"{lost}.textContent") == "points lost"
        assert opened.evaluate(f"{lost}.getBoundingClientRect().right <= {narrow}.getBoundingClientRect().right")
        wide = "[...document.querySelectorAll('.scroll')].find(one => one.textContent.startsWith('Each run'))"
        assert opened.evaluate(f"{wide}.scrollWidth > {wide}.clientWidth + 200")
        opened.evaluate(f"{wide}.scrollLeft = 200")
        name = f"{wide}.querySelector('tbody th').getBoundingClientRect().left"
        assert opened.evaluate(f"{name} == {wide}.getBoundingClientRect().left")


def test_hostile_names_are_read_as_text(browser: Browser, files: dict[str, Path]) -> None:
    with browser.open(files["hostile"]) as opened:
        shown = opened.evaluate("document.querySelector('#answer .kicker').textContent")
        assert shown.startswith(r"<script>alert(1)</script>\u202egnp.exexxx")
        assert opened.evaluate("document.scripts.length") == 1


def test_drawings_have_words_or_stand_beside_their_figures(page: Page) -> None:
    odd = "[...document.querySelectorAll('svg')].filter(one => !one.ariaHidden && !one.getAttribute('aria-label'))"
    assert page.evaluate("document.querySelectorAll('svg').length") > 10
    assert page.evaluate(f"{odd}.length") == 0
    assert page.evaluate("[...document.images].filter(one => !one.alt && !one.closest('dialog')).length") == 0


def press(page: Page, key: str) -> None:
    """Press and release a key where the focus is."""
    code = {"Enter": 13, "Escape": 27}[key]
    given: dict[str, Any] = {"key": key, "code": key, "windowsVirtualKeyCode": code}
    down = {"type": "keyDown", "text": "\r"} if key == "Enter" else {"type": "rawKeyDown"}
    page.browser.call("Input.dispatchKeyEvent", given | down, page)
    page.browser.call("Input.dispatchKeyEvent", given | {"type": "keyUp"}, page)
