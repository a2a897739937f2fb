"""The drawings of a report: which of its figures stand in which drawing. What has no value is not drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pipelines.gap.page.curve import Arm, Point, Worth, learning_curve
from pipelines.gap.page.reliability import reliability
from pipelines.gap.page.strips import MARGIN, WIDTH, axis, dot, empty, ranges
from pipelines.gap.page.svg import Scale, around
from pipelines.gap.schema.figure import Figure
from pipelines.gap.schema.sections import Coverage, CurvePoint, LabelEfficiency, Performance, Where

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)  # that a drawing of two ranges needs


def ends(figure: Figure) -> tuple[float, float] | None:
    """A figure's interval."""
    return None if figure.low is None or figure.high is None else (figure.low, figure.high)


def beyond_chance(figure: Figure) -> bool:
    """Whether an effect is told from 0: by its corrected p where it has one, else by its interval."""
    return figure.leaves_out_zero if figure.p_holm is None else figure.p_holm <= 0.05


def colour(performance: Performance) -> str:
    """By what the runs saw: simulation, photos or both."""
    if performance.arm == "unknown":
        return "none"
    if performance.arm == "photos":
        return "real"
    return "sim" if performance.photos == 0 else "both"


@dataclass(frozen=True)
class Dots:
    """A column of dots on one scale."""

    scale: Scale
    zero: bool  # whether 0 is marked: effects and differences

    @staticmethod
    def of(figures: Iterable[Figure], single: Iterable[float] = (), zero: bool = False) -> Dots:
        """With a scale that holds all figures, their intervals, the single values and, where marked, 0."""
        shown = [end for f in figures if f.value is not None for end in (f.value, *(ends(f) or ()))]
        return Dots(around([*shown, *single, *([0.0] if zero else [])], MARGIN, WIDTH - MARGIN), zero)

    def axis(self) -> Markup:
        """For the head of the column."""
        return axis(self.scale, signed=self.zero)

    def row(self, figure: Figure, single: Sequence[float] = (), colour: str = "sim") -> Markup:
        """One figure, and the values that it is the mean of."""
        if figure.value is None:
            return empty(self.scale)
        sure = beyond_chance(figure) if self.zero else figure.low is not None
        return dot(self.scale, figure.value, ends(figure), single, colour, sure)


def performance_dots(rows: Sequence[Performance]) -> Dots:
    """AP50 on the photos."""
    return Dots.of([row.real.ap50 for row in rows], [one for row in rows for one in row.by_seed])


def coverage_ranges(row: Coverage, levels: Sequence[float]) -> Markup:
    """The simulated and the real range, or nothing where a quantile is missing."""
    if len(row.simulated) != len(levels) or len(row.real) != len(levels) or not set(QUANTILES) <= set(levels):
        return Markup("")
    places = [levels.index(level) for level in QUANTILES]
    return ranges([row.simulated[k] for k in places], [row.real[k] for k in places])


def efficiency_curve(section: LabelEfficiency, title: str) -> Markup:
    """Both arms, or nothing where fewer than two points were measured."""
    arms = [
        Arm("simulation first", "sim", _points(section.simulation)),
        Arm("photos alone", "real", _points(section.photos)),
    ]
    if sum(len(arm.points) for arm in arms) < 2:
        return Markup("")
    return learning_curve(arms, title, "AP50", _worth(section))


def _worth(section: LabelEfficiency) -> Worth | None:
    """The step from one curve to the other, where it was measured and its start is on the curve."""
    starts = [p for p in section.simulation if p.photos == section.worth_at and p.ap50.value is not None]
    if section.worth.value is None or not starts:
        return None
    return Worth(starts[0].photos, starts[0].ap50.value or 0.0, starts[0].photos + section.worth.value)


def _points(points: Sequence[CurvePoint]) -> list[Point]:
    return [Point(p.photos, p.ap50.value, ends(p.ap50)) for p in points if p.ap50.value is not None]


def reliability_plot(section: Where) -> Markup:
    """Scores against the share that is right, or nothing where there are no bins."""
    return reliability(section.reliability) if section.reliability else Markup("")


def largest(figures: Iterable[Figure]) -> float:
    """The largest absolute value, for bars; 1 where there is none."""
    return max((abs(f.value) for f in figures if f.value is not None), default=0.0) or 1.0
