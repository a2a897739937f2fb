"""Measure runs on simulated validation and on real test data, and write what it says as one page."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from pipelines.common.options import one_line_errors
from pipelines.gap.panels import run_panel, sample_pictures
from pipelines.gap.sets import as_known, read_sets, run_row, set_row
from simgen.dataset.store.locations import location

EPILOG = """examples:
  python -m pipelines.gap_report --sim data/sim --real photos/test.json --runs out/sim out/sim10 --out report.html
  python -m pipelines.gap_report --sim data/sim --real data/other --runs out/sim --out report.html     (a stand-in)
"""


def arguments(line: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.gap_report",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--sim", required=True, help="simulated data set, a folder or a URL; clips that a run trained on are left out")
    photos = "COCO JSON or YOLO data.yaml (its test or val) of test photos; or a simulated data set as a stand-in"
    add("--real", required=True, help=photos)
    add("--runs", type=Path, nargs="+", required=True, help="folders of finished runs")
    add("--out", type=Path, required=True, help="the HTML file; its JSON is written beside it")
    add("--look", help="photos for the picture statistics, so that no test photo tunes the simulation")
    add("--sim-clips", type=int, default=40, help="simulated clips to measure on, 0: all (default: %(default)s)")
    add("--without-photos", action="store_true", help="show no photo, for a page to pass on where photos may not be")
    add("--stand-in", action="store_true", help="call --real a stand-in, whatever it is")
    return parser.parse_args(line)


def main(line: Sequence[str] | None = None) -> None:
    asked = arguments(line)
    with one_line_errors():
        from hybrid.core.errors import DataError
        from pipelines.gap.measure import measure, open_run
        from pipelines.gap.report import Report, best, write

        if asked.out.suffix != ".html":
            raise DataError(f"--out: {asked.out} must end in .html")
        asked.sim, asked.real = location(asked.sim), location(asked.real)
        asked.look = location(asked.look) if asked.look else None
        runs = [open_run(folder) for folder in asked.runs]
        sets = read_sets(asked, runs)
        cache = asked.out.with_name(f"{asked.out.stem}-cache")
        results = [
            (
                measure(run, as_known(sets.sim, run), cache, f"{run.folder.name} on simulated"),
                measure(run, as_known(sets.target, run), cache, f"{run.folder.name} on {sets.word}"),
            )
            for run in runs
        ]
        samples = sample_pictures(sets)
        report = Report(
            made=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
            target=sets.word,
            categories=sets.target.categories,
            sim=set_row(asked.sim, sets.sim, sets.note),
            real=set_row(asked.real, sets.target, f"pictures compared: {asked.look or asked.real}"),
            runs=[run_row(run, *both) for run, both in zip(runs, results, strict=True)],
            differences=samples.differences,
            command="python -m pipelines.gap_report " + shlex.join(sys.argv[1:] if line is None else line),
        )
        top = list(report.runs).index(best(report))
        panel = run_panel(sets, runs[top], results[top], photos=not asked.without_photos)
        sys.stdout.write(f"{write(report, replace(panel, histograms=samples.histograms), asked.out)}\n")


if __name__ == "__main__":
    main()
