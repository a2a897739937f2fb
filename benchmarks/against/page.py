"""The pages with the results, as Markdown."""

from __future__ import annotations

import argparse
import datetime
import os
from collections.abc import Sequence
from typing import Any

import torch

from benchmarks.against.measure import REPEATS, latencies_ms
from benchmarks.against.rivals import OWN, SIZES, RtDetr, Size


def steps_to(rows: Sequence[dict[str, float]], ap50: float) -> float | None:
    """Steps until this AP50 is reached, interpolated linearly between measurements; None: it is not reached."""
    before = {"step": 0.0, "ap50": 0.0}
    for row in rows:
        if row["ap50"] >= ap50:
            share = (ap50 - before["ap50"]) / max(1e-9, row["ap50"] - before["ap50"])
            return before["step"] + share * (row["step"] - before["step"])
        before = row
    return None


def page(results: Sequence[dict[str, Any]], options: argparse.Namespace, left_out: Sequence[str]) -> str:
    size = SIZES[options.size]
    every = max(1, size.steps // size.measures)
    heads = ["", f"AP50 every {every} steps", "AP at the end", *(f"steps of {own} to its AP50" for own in OWN)]
    heads += ["s a step", "parameters", *(f"ms, MB, {s}" for s in size.shapes)]
    lines = [
        "# Against other detectors",
        "",
        f"Measured {datetime.date.today()} by `python -m benchmarks.against --size {options.size} "
        f"--seeds {options.seeds}`, one CPU core, torch {torch.__version__}, load {os.getloadavg()[0]:.1f} at the end.",
        "",
        f"{size.steps} steps of {size.frames} frames of {size.tile_px} px from random weights, AdamW with a cosine, on "
        "simulated conveyor clips with things passing in front; AP on whole frames of "
        f"{size.test_clips} clips of other scenes. Backbone `{size.backbone}`, width {size.width}, for all but SSDLite "
        "(MobileNetV3-Large) and RT-DETR (a residual network of its own, as large). The learning rate is "
        f"{size.learning_rate:g}, RT-DETR's {size.learning_rate * RtDetr.slower:g}; none was tuned. Steps to a rival's "
        "AP50 are read off straight lines between measurements, at a rate that falls for the whole length, so they are "
        "more than a training of that length would take; a dash: never reached. Seconds and milliseconds are the "
        f"core's; latency is the median of {REPEATS} single frames after two, with random weights. Memory: the "
        "process's peak, torch (some 300 MB) and what the rival imports in it.",
        "",
        "| " + " | ".join(heads) + " |",
        "|---" * len(heads) + "|",
    ]
    names = list(dict.fromkeys(one["name"] for one in results))
    by_name = {name: [one for one in results if one["name"] == name] for name in names}
    lines += [f"| {name} | " + " | ".join(_cells(by_name, name, size)) + " |" for name in names]
    return "\n".join([*lines, "", *_ratios(names, size), *(f"Left out: {name}" for name in left_out), ""])


def _cells(by_name: dict[str, list[dict[str, Any]]], name: str, size: Size) -> list[str]:
    own = by_name[name]
    points = zip(*([row["ap50"] for row in one["rows"]] for one in own), strict=True)
    rows, costs = own[0]["rows"], _costs(own)
    reached = ["" if name in OWN else _reached(by_name.get(mine, []), own) for mine in OWN]
    return [
        ", ".join(" / ".join(f"{v:.1f}" for v in values) for values in points),
        " / ".join(f"{one['rows'][-1]['ap']:.1f}" for one in own),
        *reached,
        f"{rows[-1]['seconds'] / rows[-1]['step']:.2f}",
        f"{own[0]['parameters']:,}",
        *(f"{costs[s]['ms']:.0f}, {costs[s]['mb']:.0f}" if costs else "" for s in size.shapes),
    ]


def _reached(mine: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]) -> str:
    """For each seed, the steps in which our detector reached their last AP50."""
    steps = [steps_to(one["rows"], other["rows"][-1]["ap50"]) for one, other in zip(mine, theirs, strict=False)]
    return " / ".join("-" if count is None else f"{count:.0f}" for count in steps)


def _costs(runs: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    return next((one["costs"] for one in runs if "costs" in one), {})


def _ratios(names: Sequence[str], size: Size) -> list[str]:
    """The latency of our detectors that use several frames, divided by that of the others."""
    lines = []
    mine = [name for name in OWN[1:] if name in names]
    for shape in size.shapes if mine else ():
        height, width = map(int, shape.split("x"))
        ms = dict(zip(names, latencies_ms(names, ("a", "b", "c"), size, height, width), strict=True))
        for one in mine:
            ratios = ", ".join(f"{ms[one] / ms[name]:.2f} of {name}" for name in names if name not in OWN[1:])
            lines += [f"Latency of `{one}` at {shape}, frames in turns in one process: {ratios}.", ""]
    return lines


def costs_page(results: dict[str, dict[str, Any]], options: argparse.Namespace) -> str:
    """Latency and memory of untrained rivals."""
    size = SIZES[options.size]
    lines = [
        "# Against other detectors: what a frame costs",
        "",
        f"Measured {datetime.date.today()} by `python -m benchmarks.against --costs-only --size {options.size}`, one "
        f"thread, torch {torch.__version__}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the end. "
        f"Backbone `{size.backbone}`, width {size.width}, {size.queries} queries; RT-DETR on a residual network of its "
        "own as large, SSDLite on MobileNetV3-Large at its own 320 px. Random weights, one stream of frames. "
        f"Milliseconds are the core's, the median of {REPEATS} frames after two; memory is the process's peak, torch "
        "and what else is imported in it.",
        "",
        "| | " + " | ".join(f"ms, MB, {shape}" for shape in size.shapes) + " |",
        "|---" * (1 + len(size.shapes)) + "|",
    ]
    for name, one in results.items():
        cells = [f"{one['costs'][shape]['ms']:.0f}, {one['costs'][shape]['mb']:.0f}" for shape in size.shapes]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *_ratios(list(results), size)])
