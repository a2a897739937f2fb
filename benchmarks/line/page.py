"""The table of a measurement, as Markdown."""

from __future__ import annotations

import math
from typing import Any

SHARES = ("hidden recall", "half-hidden recall", "clear recall", "flicker", "HOTA, seen", "HOTA, all", "IDF1, seen",
          "IDF1, all", "found again, old id", "found again, new id")  # fmt: skip


def table(measured: dict[str, Any], against: str) -> str:
    """A row for each metric and a column for each follower, with the intervals of the differences to `against`."""
    names = [name for name in measured if name != "clips"]
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for metric in measured[names[0]]["figures"]:
        cells = [_cell(measured[name], "figures", "difference", metric, name == against) for name in names]
        lines.append(f"| {metric} | " + " | ".join(cells) + " |")
    for metric in ("hidden recall", "half-hidden recall", "false alarms per frame"):
        cells = [
            _cell(measured[name], "at IoU 0.3", "difference at IoU 0.3", metric, name == against) for name in names
        ]
        lines.append(f"| {metric}, at IoU 0.3 | " + " | ".join(cells) + " |")
    times = " | ".join(f"{measured[name]['milliseconds']:.2f}" for name in names)
    lines.append(f"| time of the follower, ms a frame | {times} |")
    return "\n".join(lines)


def _cell(one: dict[str, Any], of: str, difference: str, metric: str, is_base: bool) -> str:
    value, (low, high) = one[of][metric], one[difference][metric]
    if math.isnan(value):
        return "-"
    scale, form = (100.0, ".1f") if metric in SHARES else (1.0, ".2f" if " frame" in metric or "per clip" in metric
                                                           or "until" in metric else ".0f")  # fmt: skip
    shown = f"{value * scale:{form}}" + (" %" if metric in SHARES else "")
    if is_base or math.isnan(low):
        return shown
    bold = "**" if low > 0 or high < 0 else ""
    return f"{bold}{shown}{bold} [{low * scale:+{form}}, {high * scale:+{form}}]"
