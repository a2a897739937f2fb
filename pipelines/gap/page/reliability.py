"""Do scores mean what they say: the share of right detections against their mean score."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from pipelines.gap.page.svg import Scale, drawing, element, line, text

LEFT, RIGHT, TOP, BOTTOM = 44.0, 304.0, 12.0, 232.0


def reliability(bins: Sequence[tuple[float, float, int]]) -> Markup:
    """Bins of (mean score, share that is right, detections); the line is where both are equal."""
    across, up = Scale(0.0, 1.0, LEFT, RIGHT), Scale(0.0, 1.0, BOTTOM, TOP)
    content = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        content += [line(LEFT, up(tick), RIGHT, up(tick), "grid")]
        content += [text(LEFT - 8.0, up(tick) + 4.5, f"{tick:g}", "tick", "end")]
        content += [text(across(tick), BOTTOM + 19.0, f"{tick:g}", "tick", "middle")]
    content.append(line(LEFT, BOTTOM, RIGHT, TOP, "arrow dashed"))
    most = max(count for _, _, count in bins)
    for score, right, count in bins:
        radius = 3.0 + 4.0 * (max(count, 0) / max(most, 1)) ** 0.5
        content.append(element("circle", class_="dot-sim", cx=across(score), cy=up(right), r=radius))
    content.append(text((LEFT + RIGHT) / 2, BOTTOM + 40.0, "score that the detector gives", "tick", "middle"))
    title = f"Share of right detections against their score, in {len(bins)} groups; the figures are in the table below"
    return drawing(320.0, 278.0, title, content)
