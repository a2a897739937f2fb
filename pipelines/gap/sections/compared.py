"""What changed between two reports, and whether it is beyond chance as far as their figures tell."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from scipy.stats import norm

from pipelines.gap.schema.figure import Figure, counted
from pipelines.gap.schema.report import Report
from pipelines.gap.schema.sections import DataSet
from pipelines.gap.stats.interval import LEVEL, holm

NAMES = {"ap": "AP", "ap50": "AP50", "ap75": "AP75", "recall": "recall"}
CLIPS = "from frame to frame"
_HALF = float(norm.ppf((1 + LEVEL) / 2))


def changes(before: Report, after: Report) -> list[str]:
    """Lines of text: the data, each group of runs that is in both, what is new, what is gone; clips; causes."""
    lines = [f"{before.made} -> {after.made}", *_data(before, after)]
    old, new = ({row.name: row for row in report.performance} for report in (before, after))
    for name in (name for name in old if name in new):
        for key, words in NAMES.items():
            both = getattr(old[name].real, key), getattr(new[name].real, key)
            lines.append(f"{name}: {words} on {after.target} data {_line(*both, _p(*both))}")
    lines += [f"{name}: only in the second" for name in new if name not in old]
    lines += [f"{name}: only in the first" for name in old if name not in new]
    lines += _over_time(before, after)
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


def _over_time(before: Report, after: Report) -> Iterator[str]:
    """Clips from frame to frame, on the test data. The p of all figures that can be compared are corrected (Holm)."""
    first, second = before.where.time, after.where.time
    if first is None or second is None:
        if first is not second:
            yield f"{CLIPS}: only in the {'second' if first is None else 'first'}"
        return
    if before.answer.looked_at != after.answer.looked_at:
        yield f"{CLIPS}: the run differs: {before.answer.looked_at} -> {after.answer.looked_at}"
    if first.note != second.note:
        yield f"{CLIPS}: the clips or the score differ: {first.note} -> {second.note}"
    earlier = {row.name: row.real for row in first.rows}
    both = {row.name: (earlier[row.name], row.real) for row in second.rows if row.name in earlier}
    corrected = holm({name: replace(counted(0.0, ""), p=_p(*pair)) for name, pair in both.items()})
    for name, (old, new) in both.items():
        unit = f" ({new.unit})" if new.unit else ""
        yield f"{CLIPS}: {name}{unit} on {after.target} data {_line(old, new, corrected[name].p_holm)}"


def _line(before: Figure, after: Figure, p: float | None) -> str:
    """`p`: of no change; None: not known."""
    if before.value is None or after.value is None:
        missing = before if before.value is None else after
        return f"{_value(before)} -> {_value(after)}: not compared ({missing.note})"
    return f"{_value(before)} -> {_value(after)}: {_beyond_chance(before, after, p)}"


def _value(figure: Figure) -> str:
    if figure.value is None:
        return "not known"
    return f"{figure.value:.3f}" + ("" if figure.low is None else f" [{figure.low:.3f}, {figure.high:.3f}]")


def _beyond_chance(before: Figure, after: Figure, p: float | None) -> str:
    if before.value == after.value:
        return "the same"
    if p is None:
        return "changed; whether by chance is not known without intervals"
    if p >= 1 - LEVEL:
        return "may be chance (a report of both runs together tells more)"
    one_seed = 1 in (before.seeds, after.seeds)
    return "changed beyond chance" + (" of the pictures; one training seed tells no training noise" if one_seed else "")


def _p(before: Figure, after: Figure) -> float | None:
    """Of no change, as if the two were independent: pairs are not known any more, so a small change may be missed.

    None: one of them has no value or no interval.
    """
    errors = [_error(one) for one in (before, after)]
    if before.value is None or after.value is None or None in errors:
        return None
    change, error = abs(after.value - before.value), math.hypot(*(one for one in errors if one is not None))
    return float(2 * norm.sf(change / error)) if error > 0 else None


def _error(figure: Figure) -> float | None:
    """The standard error by the longer side of the interval: at 0 and at 1 the other side is cut."""
    if figure.value is None or figure.low is None or figure.high is None:
        return None
    return max(figure.high - figure.value, figure.value - figure.low) / _HALF
