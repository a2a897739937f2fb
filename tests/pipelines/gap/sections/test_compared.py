"""What changed between two reports."""

from __future__ import annotations

from dataclasses import replace

from pipelines.gap.schema.figure import Figure, counted, not_measured
from pipelines.gap.schema.report import Report
from pipelines.gap.sections.compared import changes
from tests.pipelines.gap.example_report import ap, example_report, share


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


def over_time(*figures: Figure) -> Report:
    """The report with these figures of clips: a row each."""
    report = example_report()
    assert report.where.time is not None
    row = report.where.time.rows[0]
    rows = tuple(replace(row, name=f"row {k}", real=figure) for k, figure in enumerate(figures))
    return replace(report, where=replace(report.where, time=replace(report.where.time, rows=rows)))


def of_clips(before: Report, after: Report) -> list[str]:
    return [row.removeprefix("from frame to frame: ") for row in changes(before, after) if "frame to frame" in row]


def test_clips_are_compared_and_the_p_of_their_figures_are_corrected_for_how_many_they_are() -> None:
    """0.20 +- 0.03 -> 0.26 +- 0.03 has a p of 0.0056: beyond chance alone and among 8, not among 9."""
    old, new, none = share(0.20), share(0.26), not_measured("no track ids", "a part")
    changed, chance = "changed beyond chance", "may be chance (a report of both runs together tells more)"
    for others, verdict in ((0, changed), (7, changed), (8, chance)):
        first, *_ = of_clips(over_time(old, *[old] * others), over_time(new, *[share(0.21)] * others))
        assert first == f"row 0 (share) on real data 0.200 [0.170, 0.230] -> 0.260 [0.230, 0.290]: {verdict}"
    same, missing = of_clips(over_time(old, none), over_time(old, none))
    assert same.endswith("the same")
    assert missing.endswith("not known -> not known: not compared (no track ids)")
    seed = replace(new, seeds=1)
    assert "one training seed" in of_clips(over_time(old), over_time(seed))[0]


def test_an_interval_that_is_cut_at_zero_counts_with_its_longer_side() -> None:
    """Of 0.01 with an interval up to 0.09 the error is as of +- 0.08, not of +- 0.045."""
    cut = replace(share(0.01), low=0.0, high=0.09)
    assert of_clips(over_time(cut), over_time(share(0.09)))[0].endswith("tells more)")
    assert of_clips(over_time(cut), over_time(share(0.10)))[0].endswith("beyond chance")


def test_clips_in_one_report_alone_and_other_clips_are_named() -> None:
    report = over_time(share(0.2))
    assert report.where.time is not None
    none = replace(report, where=replace(report.where, time=None))
    assert of_clips(none, report) == ["only in the second"]
    assert of_clips(report, none) == ["only in the first"]
    assert of_clips(none, none) == []
    more = replace(report, where=replace(report.where, time=replace(report.where.time, note="2 clips with 50 frames")))
    assert of_clips(report, more)[0] == "the clips or the score differ: 1 clip with 99 frames -> 2 clips with 50 frames"
    other = replace(report, answer=replace(report.answer, looked_at="sim10: named"))
    assert of_clips(report, other)[0].startswith("the run differs: sim: named with --run-to-look-at -> sim10")


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
