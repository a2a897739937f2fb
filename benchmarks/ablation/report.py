"""The figures as a dated page and a picture."""

from __future__ import annotations

import datetime
import math
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.ablation.figures import EAGER_SCORE, FALSE, HIDDEN, MORE_FALSE, STILLS, WORKING_SCORE, Figure
from benchmarks.ablation.plan import CNN_OBJECTS, FULL, FULL_OBJECTS, OCCLUDERS, Size

LESS_IS_BETTER = ("false detections", "flicker", "ID switches")


def page(
    figures: Mapping[str, Mapping[str, Figure]], size: Size, seeds: Sequence[int], notes: Sequence[str], command: str
) -> str:
    """Markdown: the mean over the seeds, and in brackets where the difference to the cnn lies."""
    import torch

    variants = list(next(iter(figures.values())))
    lines = [
        "# What each part of the detector earns",
        "",
        f"Measured {datetime.date.today()} by `{command}` on {platform.machine()}, {os.cpu_count()} cores, "
        f"torch {torch.__version__}.",
        "",
        f"{len(seeds)} seeds. {size.train_scenes} simulated clips of {size.frames} frames of {size.width_px}x"
        f"{size.height_px} to learn from, {size.test_scenes} others to measure on (conveyor, things passing in front). "
        f"Stage one: the CNN, {size.base_steps} steps of {size.base_batch} single frames. Stage two: every variant "
        f"from that same CNN, {size.steps} steps of {size.batch} clips of {size.clip_length} frames, the same samples "
        "for all of a seed, three frames in ten blanked but never a clip's first. Boxes are of whole objects; one that "
        "was seen in its clip goes on while it is hidden, and is asked for then too (hidden: less than a tenth of it "
        f"can be seen). In both stages {OCCLUDERS:.0%} of the samples have things drawn in front, beside those "
        "that were rendered. Moving average of the weights, except where it says raw.",
        "",
        "Brackets: where 95 % of the differences to `cnn` lie, in a bootstrap over clips and seeds with the same draws "
        "for all. Bold: the bracket leaves out 0. False detections, flicker and switches are of what a detector tells, "
        "one label for a thing (average precision is of all labels), and are counted at the score "
        f"where a variant reaches the recall that `cnn` has at {WORKING_SCORE} (at more recall: at {EAGER_SCORE}); a "
        "dash where it never reaches it. The crowd: clips with far more in front; but for the first row, objects off "
        f"the frame's edge. Recall in the crowd: where as many false detections are made as `cnn` makes at "
        f"{WORKING_SCORE}; AP50 of a few objects is low because it holds every false detection against them.",
        "",
        "| | " + " | ".join(variants) + " |",
        "|---|" + "---|" * len(variants),
    ]
    for name, row in figures.items():
        lines.append(f"| {name} | " + " | ".join(_cell(v, one) for v, one in row.items()) + " |")
    lines += ["", "By seed:", "", "| | " + " | ".join(variants) + " |", "|---|" + "---|" * len(variants)]
    for name, row in figures.items():
        cells = (", ".join(_number(x) for x in one.by_seed) for one in row.values())
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *expectations(figures), "", *earned(figures), *notes, ""])


def earned(figures: Mapping[str, Mapping[str, Figure]]) -> list[str]:
    """Where each variant is better or worse than the cnn by more than chance, as far as the brackets tell."""
    lines = ["Beyond chance against `cnn`, by the brackets:", ""]
    for variant in next(iter(figures.values())):
        better, worse = [], []
        for name, row in figures.items():
            one, sign = row[variant], -1 if name.startswith(LESS_IS_BETTER) else 1
            if one.low > 0 or one.high < 0:
                (better if sign * one.difference > 0 else worse).append(f"{name} {one.difference:+.1f}")
        if variant != "cnn":
            changes = [f"{word}: {'; '.join(names)}" for word, names in (("better", better), ("worse", worse)) if names]
            lines.append(f"- `{variant}`: {'. '.join(changes) or 'nothing'}.")
    return lines


def expectations(figures: Mapping[str, Mapping[str, Figure]]) -> list[str]:
    """What the design expects of all branches and of objects that are followed, and what came of it."""
    lines = []
    for variant in (FULL, CNN_OBJECTS, FULL_OBJECTS):
        if variant not in figures[FALSE]:
            continue
        hidden, still = figures[HIDDEN][variant], figures[STILLS][variant]
        rows = [
            ("5 AP50 more on occluded objects", hidden.difference >= 5, f"{hidden.difference:+.1f}", hidden),
            ("not worse on clear stills", still.high >= 0, f"{still.difference:+.1f} AP50", still),
        ]
        for name, at in ((FALSE, WORKING_SCORE), (MORE_FALSE, EAGER_SCORE)):
            one, base = figures[name][variant], figures[name]["cnn"].value
            fewer = 100 * (1 - one.value / max(1e-9, base))
            what = f"30 % fewer false detections at the recall that the cnn has at {at}"
            rows.append((what, fewer >= 30, f"{fewer:.0f} % fewer" if fewer >= 0 else f"{-fewer:.0f} % more", one))
        lines += [f"What `{variant}` was expected to do over `cnn`:", ""]
        for expected, met, came, one in rows:
            verdict = "not measured" if math.isnan(one.difference) else "met" if met else "missed"
            lines.append(f"- {expected}: **{verdict}**, {came} [{one.low:+.2f}, {one.high:+.2f}].")
        lines.append("")
    return lines[:-1]


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def _cell(variant: str, one: Figure) -> str:
    if variant == "cnn" or math.isnan(one.value):
        return _number(one.value)
    text = f"{_number(one.value)} [{one.low:+.2f}, {one.high:+.2f}]"
    return f"**{text}**" if one.low > 0 or one.high < 0 else text


def picture(figures: Mapping[str, Mapping[str, Figure]], path: Path) -> None:
    """Differences to the cnn with their intervals, one panel for AP50 and one for what is better when less."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(11, 5.5), layout="constrained")
    FigureCanvasSVG(canvas)
    panels = canvas.subplots(1, 2, width_ratios=[3, 2])
    groups = [
        [name for name in figures if not name.startswith(LESS_IS_BETTER)],
        [name for name in figures if name.startswith(LESS_IS_BETTER)],
    ]
    variants = [v for v in next(iter(figures.values())) if v != "cnn"]
    for panel, names, title in zip(
        panels, groups, ("over the cnn's: more is better", "over the cnn's: less is better"), strict=True
    ):
        for k, variant in enumerate(variants):
            rows = [figures[name][variant] for name in names]
            places = [i + (k - (len(variants) - 1) / 2) * 0.18 for i in range(len(names))]
            reach = [[max(0.0, r.difference - r.low) for r in rows], [max(0.0, r.high - r.difference) for r in rows]]
            panel.errorbar([r.difference for r in rows], places, xerr=reach, fmt="o", markersize=4, label=variant)
        panel.axvline(0, color="grey", linewidth=0.8)
        panel.set_yticks(range(len(names)), names)
        panel.invert_yaxis()
        panel.set_title(title)
    panels[0].legend(fontsize=8)
    canvas.savefig(path, metadata={"Date": None})
