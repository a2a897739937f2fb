"""The page: a pure function of a report. One HTML text with its own style, script, drawings and pictures.

Nothing is fetched: a Content-Security-Policy forbids it, and allows this style and this script by their hash alone.
The page computes nothing but places and digits. What has no value is shown as words with what is missing.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jinja2
from markupsafe import Markup

from pipelines.gap.page import charts, strips
from pipelines.gap.page.feature_map import feature_map
from pipelines.gap.page.listing import figures
from pipelines.gap.page.words import WHY_NOT, Notes, duration, interval, number, p_value, quantity
from pipelines.gap.schema.effects import Drawn, Pasted
from pipelines.gap.schema.figure import Figure
from pipelines.gap.schema.report import Report
from pipelines.gap.schema.sections import Comparison, Knob
from simgen.spec.text.printable import printable

TEMPLATES = Path(__file__).parent / "templates"
_OPTION = re.compile(r"(?<!\S)--[a-z][a-z-]*")
SECTIONS = {
    "answer": "Answer", "photos": "Photos", "where": "Where", "why": "Why", "knobs": "Changes", "todo": "Do next",
    "trust": "Trust", "runs": "Runs",
}  # fmt: skip
VERDICTS = {  # words and colour
    "beyond": ("beyond the range", "bad"), "covered": ("covered", "ok"), "not_decided": ("not decided", "mid"),
    "cannot_be_told": ("cannot be told", "mid"), "too_few": ("too few photos", "none"),
}  # fmt: skip
EVIDENCE = {
    "measured": "measured", "up_to": "measured on changed photos: at most this", "screened": "screened in simulation",
    "counted": "errors counted", "coverage": "photos beyond the simulated range", "guess": "a guess",
}  # fmt: skip
KINDS = {
    "change the photos": "photos changed, detector kept", "retrain": "trained again",
    "paste": "parts and grounds exchanged", "screen": "simulated pictures changed, detector kept",
    "regress": "by the values drawn in the scenes",
}  # fmt: skip
ROLES = {"simulated": "simulated validation", "test": "test", "pool": "photos to train and choose on"}


def render_page(report: Report) -> str:
    """The page of a report, as HTML. Text of the report is shown as text, whatever letters it holds."""
    of_target = _words(report)
    page = _environment().get_template("page.html").render(report=report, words=of_target)
    return page.encode(errors="replace").decode()  # half of a surrogate pair cannot be written


def _words(report: Report) -> SimpleNamespace:
    """What the test data are called. Those of a stand-in are never called real or photos."""
    if report.target == "real":
        return SimpleNamespace(real="real", pictures="test photos", reality="reality")
    return SimpleNamespace(real="stand-in", pictures="stand-in pictures", reality="the stand-in")


def _loss_level(lost: Figure) -> str:
    """The colour of a loss in points: beyond chance, not decided, or none."""
    if lost.value is None or lost.value <= 0.0:
        return "none"
    return "bad" if charts.beyond_chance(lost) else "mid"


def _effect_dots(knobs: Sequence[Knob]) -> charts.Dots:
    return charts.Dots.of([knob.effect for knob in knobs], zero=True)


def _exchange_dots(pasted: Pasted) -> charts.Dots:
    return charts.Dots.of([*(row.effect for row in pasted.exchanges), pasted.pasting], zero=True)


def _drawn_dots(drawn: Drawn) -> charts.Dots:
    return charts.Dots.of([row.effect for row in drawn.rows], zero=True)


def _comparison_dots(rows: Sequence[Comparison]) -> charts.Dots:
    return charts.Dots.of([row.difference for row in rows], zero=True)


def _multiline(text: str) -> str:
    return "\n".join(printable(line) for line in text.split("\n"))


def _shown(value: Any) -> Any:
    """Control characters and marks of direction as escapes. Markup was escaped before."""
    return printable(value) if type(value) is str else value


def _unbroken(text: str) -> Markup:
    """Text in which an option, such as --look, stays on one line."""
    return Markup(_OPTION.sub(r'<span class="one-line">\g<0></span>', str(Markup.escape(_shown(text)))))


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
    )
    environment.filters |= {"colour": charts.colour, "unbroken": _unbroken}
    css, js = (Markup("\n" + (TEMPLATES / name).read_text("utf-8")) for name in ("page.css", "page.js"))
    environment.tests["beyond_chance"] = charts.beyond_chance
    environment.globals |= {
        "sections": list(SECTIONS.items()), "verdicts": VERDICTS, "evidence": EVIDENCE, "kinds": KINDS, "roles": ROLES,
        "why_not": WHY_NOT, "number": number, "interval": interval, "p_value": p_value, "duration": duration,
        "new_notes": Notes, "figures": figures, "multiline": lambda text: Markup.escape(_multiline(text)),
        "performance_dots": charts.performance_dots, "effect_dots": _effect_dots, "comparison_dots": _comparison_dots,
        "exchange_dots": _exchange_dots, "drawn_dots": _drawn_dots, "quantity": quantity,
        "colour": charts.colour, "largest": charts.largest, "loss_level": _loss_level,
        "efficiency_curve": charts.efficiency_curve, "reliability_plot": charts.reliability_plot,
        "coverage_ranges": charts.coverage_ranges, "feature_map": feature_map, "bar": strips.bar, "mark": strips.mark,
        "css": css, "js": js, "css_sha256": _sha256(css), "js_sha256": _sha256(js),
    }  # fmt: skip
    return environment
