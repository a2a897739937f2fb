"""What changed between two reports, and whether it is beyond chance as far as their figures tell."""

from __future__ import annotations

import math
from collections.abc import Iterator

from scipy.stats import norm

from pipelines.gap.schema.figure import Figure
from pipelines.gap.schema.report import Report
from pipelines.gap.schema.sections import DataSet

NAMES = {"ap": "AP", "ap50": "AP50", "ap75": "AP75", "recall": "recall"}
_HALF = float(norm.ppf(0.975))


def changes(before: Report, after: Report) -> list[str]:
    """Lines of text: the data, each group of runs that is in both, what is new, what is gone."""
    lines = [f"{before.made} -> {after.made}", *_data(before, after)]
    old, new = ({row.name: row for row in report.performance} for report in (before, after))
    for name in (name for name in old if name in new):
        for key, words in NAMES.items():
            both = getattr(old[name].real, key), getattr(new[name].real, key)
            lines.append(f"{name}: {words} on {after.target} data {_line(*both)}")
    lines += [f"{name}: only in the second" for name in new if name not in old]
    lines += [f"{name}: only in the first" for name in old if name not in new]
    verdicts = {row.name: row.verdict for row in before.why.coverage}
    for row in after.why.coverage:
        if verdicts.get(row.name, row.verdict) != row.verdict:
            lines.append(f"{row.title}: {verdicts[row.name].replace('_', ' ')} -> {row.verdict.replace('_', ' ')}")
    return lines


def _data(before: Report, after: Report) -> Iterator[str]:
    """What makes two reports hard to compare."""
    first, second = _test(before), _test(after)
    if first is not None and second is not None and (first.images, first.boxes) != (second.images, second.boxes):
        sizes = (f"{one.images} pictures with {one.boxes} boxes" for one in (first, second))
        yield f"The test data differ: {' -> '.join(sizes)}"
    if before.categories != after.categories:
        yield f"The categories differ: {', '.join(before.categories)} -> {', '.join(after.categories)}"


def _test(report: Report) -> DataSet | None:
    return next((one for one in report.data if one.role == "test"), None)


def _line(before: Figure, after: Figure) -> str:
    if before.value is None or after.value is None:
        missing = before if before.value is None else after
        return f"{_value(before)} -> {_value(after)}: not compared ({missing.note})"
    return f"{_value(before)} -> {_value(after)}: {_beyond_chance(before, after)}"


def _value(figure: Figure) -> str:
    if figure.value is None:
        return "not known"
    return f"{figure.value:.3f}" + ("" if figure.low is None else f" [{figure.low:.3f}, {figure.high:.3f}]")


def _beyond_chance(before: Figure, after: Figure) -> str:
    """As if the two were independent: pairs are not known any more, so a small change may be missed."""
    assert before.value is not None
    assert after.value is not None
    if before.value == after.value:
        return "the same"
    errors = [_error(one) for one in (before, after)]
    if None in errors:
        return "changed; whether by chance is not known without intervals"
    error = math.hypot(*(one for one in errors if one is not None))
    sure = error > 0 and abs(after.value - before.value) / error > _HALF
    return "changed beyond chance" if sure else "may be chance (a report of both runs together tells more)"


def _error(figure: Figure) -> float | None:
    if figure.low is None or figure.high is None:
        return None
    return (figure.high - figure.low) / (2 * _HALF)
