"""Measure runs on simulated validation data and on real test data, and write one HTML page."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.common import options
from simgen.spec.text.printable import redacted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.gap.sets import ReportInputs

EPILOG = """Examples:

  python -m pipelines.gap_report --sim data/sim --real photos/test.json --runs out/sim out/sim10 --out report.html

  python -m pipelines.gap_report --sim data/sim --real data/other --runs out/sim --out report.html     (a stand-in)
"""


def main(
    sim: Annotated[
        str,
        typer.Option(
            help="Simulated data set, a folder or a URL. Clips that a run trained on are left out.",
            rich_help_panel=options.DATA,
        ),
    ],
    real: Annotated[
        str,
        typer.Option(
            help="Test photos: COCO JSON or YOLO data.yaml (its test or val). Or, as a stand-in, a simulated data set.",
            rich_help_panel=options.DATA,
        ),
    ],
    runs: Annotated[list[Path], typer.Option(metavar="DIR ...", help="Folders of finished runs.")],
    out: Annotated[Path, typer.Option(help="The HTML file. A JSON file is written beside it.")],
    look: Annotated[
        str | None,
        typer.Option(
            help="Photos for the image statistics, so that the simulation is not tuned to test photos.",
            rich_help_panel=options.DATA,
        ),
    ] = None,
    sim_clips: Annotated[
        int, typer.Option(help="Simulated clips to measure on; 0: all.", rich_help_panel=options.DATA)
    ] = 40,
    without_photos: Annotated[
        bool, typer.Option("--without-photos", help="Show no photo, for a page that goes where photos may not.")
    ] = False,
    stand_in: Annotated[bool, typer.Option("--stand-in", help="Call --real a stand-in, whatever it is.")] = False,
    categories: options.Categories = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace files at --out that are no report. A report is replaced anyway."),
    ] = False,
) -> None:
    """Measure runs on simulated validation data and on real test data, and write one HTML page."""
    with options.one_line_errors():
        from pipelines.common.paths import check_report, check_runs, data_at

        check_report(out, overwrite)
        check_runs(runs, "--runs")
        locations = data_at(sim, "--sim"), data_at(real, "--real"), data_at(look, "--look") if look else None

        from pipelines.gap.sets import ReportInputs

        inputs = ReportInputs(*locations, sim_clips, stand_in, tuple(categories or ()))
        _report(inputs, runs, out, photos=not without_photos)
        typer.echo(str(out))


def _report(inputs: ReportInputs, folders: Sequence[Path], out: Path, photos: bool) -> None:
    from pipelines.gap.chance import ap50_differences, ap50_draws, ap50_ranges
    from pipelines.gap.finished import open_run
    from pipelines.gap.measure import measure
    from pipelines.gap.panels import compare_images, run_images
    from pipelines.gap.report import DataRow, GapReport, RunRow, best, write
    from pipelines.gap.sets import read_sets, with_labels_of

    runs = [open_run(folder) for folder in folders]
    sets = read_sets(inputs, runs)
    cache = out.with_name(f"{out.stem}-cache")
    measurements = [
        (
            measure(run, with_labels_of(sets.sim, run), cache, f"{run.folder.name} on simulated"),
            measure(run, with_labels_of(sets.target, run), cache, f"{run.folder.name} on {sets.word}"),
        )
        for run in runs
    ]
    comparison = compare_images(sets)
    on_target = [both[1].detections for both in measurements]
    draws = ap50_draws([with_labels_of(sets.target, run) for run in runs], on_target)
    rows = [RunRow.of(run, *both, ap) for run, both, ap in zip(runs, measurements, ap50_ranges(draws), strict=True)]
    report = GapReport(
        made=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        target=sets.word,
        categories=sets.target.categories,
        sim=DataRow.of(inputs.sim, sets.sim, sets.note),
        real=DataRow.of(inputs.target, sets.target, sets.target_note),
        compared_with=str(inputs.look or inputs.target),
        runs=rows,
        differences=comparison.differences,
        ap50_differences=ap50_differences([row.name for row in rows], [row.target.ap50 for row in rows], draws),
        command=command(inputs, folders, out, photos),
    )
    top = list(report.runs).index(best(report))
    images = run_images(sets, runs[top], *measurements[top], photos=photos)
    write(report, replace(images, histograms=comparison.histograms), out)


def command(inputs: ReportInputs, folders: Sequence[Path], out: Path, photos: bool) -> str:
    """The command that makes this report, as it is shown in it."""
    words: list[object] = ["--sim", inputs.sim, "--real", inputs.target, "--runs", *folders, "--out", out]
    words += ["--look", inputs.look] if inputs.look else []
    words += ["--sim-clips", inputs.sim_clips]
    words += [] if photos else ["--without-photos"]
    words += ["--stand-in"] if inputs.stand_in else []
    words += ["--categories", *inputs.categories] if inputs.categories else []
    return "python -m pipelines.gap_report " + shlex.join(redacted(str(word)) for word in words)


app = options.single_app(main, EPILOG)

if __name__ == "__main__":
    app()
