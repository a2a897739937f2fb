"""What changed between two reports."""

from __future__ import annotations

from dataclasses import replace

from pipelines.gap.schema.figure import Figure, counted
from pipelines.gap.schema.report import Report
from pipelines.gap.sections.compared import changes
from tests.pipelines.gap.example_report import ap, example_report


def with_ap50(figure: Figure) -> Report:
    report = example_report()
    first = report.performance[0]
    return replace(report, performance=(replace(first, real=replace(first.real, ap50=figure)), *report.performance[1:]))


def line(before: Figure, after: Figure) -> str:
    (found,) = [row for row in changes(with_ap50(before), with_ap50(after)) if row.startswith("sim: AP50")]
    return found


def test_a_change_is_beyond_chance_where_its_interval_leaves_out_zero() -> None:
    """Half widths of 0.06 each: that of the difference is 0.085."""
    assert line(ap(0.70), ap(0.78)).endswith("may be chance (a report of both runs together tells more)")
    assert line(ap(0.70), ap(0.79)).endswith("changed beyond chance")
    assert line(ap(0.79), ap(0.70)).endswith("changed beyond chance")
    assert line(ap(0.7), ap(0.7)).endswith("the same")


def test_without_intervals_it_is_not_known() -> None:
    assert "is not known without intervals" in line(counted(0.2, "AP50"), counted(0.9, "AP50"))


def test_other_data_runs_and_verdicts_are_named() -> None:
    before, after = example_report(), example_report()
    test = next(one for one in after.data if one.role == "test")
    covered = replace(after.why.coverage[0], verdict="covered")
    after = replace(
        after,
        data=(replace(test, images=30),),
        performance=(replace(after.performance[0], name="new"), after.performance[1]),
        why=replace(after.why, coverage=(covered, after.why.coverage[1])),
    )
    rows = changes(before, after)
    assert "The test data differ: 24 pictures with 500 boxes -> 30 pictures with 500 boxes" in rows
    assert "new: only in the second" in rows
    assert "sim: only in the first" in rows
    assert "brightness of parts: beyond -> covered" in rows
    assert not [row for row in changes(before, before) if "differ" in row or "only in" in row or "chance" in row]
