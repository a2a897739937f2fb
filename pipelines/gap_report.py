"""Measure runs on simulated validation data and on real test data, and write one HTML page and its report.json."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, fields, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.common import options
from simgen.spec.text.printable import redacted

SECTION = "Report"
TRIALS = ("iterate", "trial_scenes", "trial_steps")  # options that count together
EPILOG = """Examples:

  python -m pipelines.gap_report --sim data/sim --real photos/test.json --look photos/train.json --runs out/sim out/sim10 --out report.html

  python -m pipelines.gap_report plan.yaml --final     (the same from a file: sim: data/sim, runs: [out/sim], ...)

  python -m pipelines.gap_report --compare monday.json friday.json
"""  # noqa: E501


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the command line and the plan ask for."""

    sim: str | None = None
    real: str | None = None
    runs: tuple[Path, ...] = ()
    out: Path | None = None
    look: str | None = None
    unlabelled: Path | None = None
    write_config: Path | None = None
    iterate: int = 0
    trial_scenes: int = 64
    trial_steps: int = 200
    sim_clips: int = 40
    sessions: str | None = None
    work_area: str | None = None
    run_to_look_at: str | None = None
    wanted_recall: float | None = None
    rename: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    quick: bool = False
    final: bool = False
    without_photos: bool = False
    stand_in: bool = False


def main(
    plan: Annotated[
        Path | None, typer.Argument(help="YAML file with these options: sim: data/sim. The command line goes first.")
    ] = None,
    sim: Annotated[
        str | None,
        typer.Option(
            help="Simulated data set, a folder or a URL. Clips that a run trained on are left out.",
            rich_help_panel=options.DATA,
        ),
    ] = None,
    real: Annotated[
        str | None,
        typer.Option(
            help="Test photos: COCO JSON or YOLO data.yaml (its test or val). Or, as a stand-in, a simulated data set.",
            rich_help_panel=options.DATA,
        ),
    ] = None,
    runs: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR ...", help="Folders of finished runs, or names of released weights."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The HTML file. Two JSON files are written beside it.")] = None,
    look: Annotated[
        str | None,
        typer.Option(
            help="Labelled photos beside the test photos: for the picture statistics, the score in use and what "
            "changes of the photos, of their parts and grounds do. Without them these are left out.",
            rich_help_panel=options.DATA,
        ),
    ] = None,
    unlabelled: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Photos without labels: the next ten to label are chosen, and listed in a text file beside the page.",
            rich_help_panel=options.DATA,
        ),
    ] = None,
    sim_clips: Annotated[
        int | None,
        typer.Option(
            help="Simulated clips to measure on; 0: all.",
            show_default="40, 20 with --quick",
            rich_help_panel=options.DATA,
        ),
    ] = None,
    sessions: options.Sessions = None,
    work_area: Annotated[
        str | None,
        typer.Option(
            metavar='"X,Y X,Y X,Y ..."',
            help="Corners of the area in the photos where parts can be, in pixels or as shares from 0 to 1: false "
            "alarms inside and outside are told apart.",
            show_default="round the labelled boxes",
            rich_help_panel=options.DATA,
        ),
    ] = None,
    rename: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OLD=NEW ...",
            help="Other names for the photos' categories: Bolt=bolt.",
            rich_help_panel=options.DATA,
        ),
    ] = None,
    run_to_look_at: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The run whose failures are shown, and which the changes are tried on.",
            show_default="the first from simulation that saw no photo, else that with most photos",
            rich_help_panel=SECTION,
        ),
    ] = None,
    wanted_recall: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Share of the parts to find in use; the score is chosen for it on --look.",
            show_default="the best F1",
            rich_help_panel=SECTION,
        ),
    ] = None,
    write_config: Annotated[
        Path | None,
        typer.Option(
            metavar="YAML",
            help="Write what to widen as a preset, on top of that of --sim, for simgen render.",
            rich_help_panel=SECTION,
        ),
    ] = None,
    iterate: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="K",
            help="Try at most K changes: render, train on with three seeds, measure on --look. Only what helps is "
            "kept. The pool is asked ten times at the most.",
            show_default="0",
            rich_help_panel=SECTION,
        ),
    ] = None,
    trial_scenes: Annotated[
        int | None,
        typer.Option(min=2, help="Scenes of each trial.", show_default="64", rich_help_panel=SECTION),
    ] = None,
    trial_steps: Annotated[
        int | None,
        typer.Option(min=1, help="Training steps of each run of a trial.", show_default="200", rich_help_panel=SECTION),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Leave out what takes longest: changes of the photos.", rich_help_panel=SECTION),
    ] = False,
    final: Annotated[
        bool,
        typer.Option(
            "--final",
            help="Count this as the final reading of the test photos. Without it, it counts as a look.",
            rich_help_panel=SECTION,
        ),
    ] = False,
    without_photos: Annotated[
        bool,
        typer.Option(
            "--without-photos",
            help="Show no photo, for a page that goes where photos may not.",
            rich_help_panel=SECTION,
        ),
    ] = False,
    stand_in: Annotated[bool, typer.Option("--stand-in", help="Call --real a stand-in, whatever it is.")] = False,
    categories: options.Categories = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace files at --out that are no report. A report is replaced anyway."),
    ] = False,
    render: Annotated[
        Path | None,
        typer.Option(metavar="JSON", help="Draw the page of a report.json again, at --out.", rich_help_panel=SECTION),
    ] = None,
    compare: Annotated[
        list[Path] | None,
        typer.Option(metavar="JSON JSON", help="Say what changed between two reports.", rich_help_panel=SECTION),
    ] = None,
) -> None:
    """Measure runs on simulated validation data and on real test data, and write one HTML page."""
    given = dict(
        sim=sim, real=real, runs=runs, out=out, look=look, unlabelled=unlabelled, write_config=write_config,
        iterate=iterate, trial_scenes=trial_scenes, trial_steps=trial_steps,
        sim_clips=sim_clips, sessions=sessions, work_area=work_area, rename=rename,
        run_to_look_at=run_to_look_at, wanted_recall=wanted_recall, quick=quick or None, final=final or None,
        without_photos=without_photos or None, stand_in=stand_in or None, categories=categories,
    )  # fmt: skip
    with options.one_line_errors():
        if compare:
            typer.echo(_compared(compare))
        elif render:
            typer.echo(str(_rendered(render, out, overwrite, without_photos)))
        else:
            typer.echo(str(_report(asked(plan, given), overwrite)))


def asked(plan: Path | None, given: dict[str, Any]) -> Asked:
    """The values of the command line, then of the plan, then the defaults.

    Raises:
        ConfigError: the plan is damaged. Names the line.
    """
    from pipelines.gap.plan import read_plan

    values = {} if plan is None else read_plan(plan)
    values |= {name: value for name, value in given.items() if value is not None}
    values.setdefault("sim_clips", 20 if values.get("quick") else 40)
    for name in ("runs", "rename", "categories"):
        values[name] = tuple(values.get(name) or ())
    for name in ("out", "unlabelled", "write_config"):
        if values.get(name) is not None:
            values[name] = Path(values[name])
    return Asked(**values)


def _report(wish: Asked, overwrite: bool) -> Path:
    from hybrid.core.errors import DataError
    from hybrid.core.progress import Together, bar
    from hybrid.weights.released import run_at
    from pipelines.common.paths import check_report, check_runs, data_at
    from pipelines.gap.advice.written import check_preset_file, write_advice
    from pipelines.gap.plan import polygon

    missing = [f"--{name}" for name in ("sim", "real", "runs", "out") if not getattr(wish, name)]
    if wish.out is None or wish.sim is None or wish.real is None or missing:
        raise DataError(f"needs {', '.join(missing)}, on the command line or in a plan")
    check_report(wish.out, overwrite)
    if wish.write_config is not None:
        check_preset_file(wish.write_config, overwrite)
    folders = [run_at(name) for name in wish.runs]
    check_runs(folders, "--runs")
    locations = data_at(wish.sim, "--sim"), data_at(wish.real, "--real")
    look = data_at(wish.look, "--look") if wish.look else None
    rename = pairs(wish.rename)
    area = None if wish.work_area is None else polygon(wish.work_area)

    from pipelines.gap.assemble import Wishes, report_of
    from pipelines.gap.finished import open_run
    from pipelines.gap.page.files import write_report
    from pipelines.gap.sets import ReportInputs, read_sets

    inputs = ReportInputs(*locations, look, wish.sim_clips, wish.stand_in, wish.categories, rename)
    runs = [open_run(folder) for folder in folders]
    wishes = Wishes(
        out=wish.out, made=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"), command=command(wish),
        photos=not wish.without_photos, quick=wish.quick, final=wish.final, look_at=wish.run_to_look_at,
        sessions=wish.sessions, area=area, recall=wish.wanted_recall, unlabelled=wish.unlabelled,
        config=wish.write_config, iterate=wish.iterate, trial_scenes=wish.trial_scenes, trial_steps=wish.trial_steps,
    )  # fmt: skip
    sets = read_sets(inputs, runs)
    with bar("report, work in pictures" if wish.iterate else "report, pictures looked at") as progress:
        report = report_of(inputs, sets, runs, replace(wishes, show=Together(progress)))
    write_advice(report, wish.out, wish.unlabelled, wish.write_config)
    write_report(report, wish.out)
    return wish.out


def _rendered(path: Path, out: Path | None, overwrite: bool, without_photos: bool) -> Path:
    from hybrid.core.console import note
    from pipelines.common.paths import check_report
    from pipelines.gap.page.files import draw_again

    page = path.with_suffix(".html") if out is None else out
    check_report(page, overwrite)
    if missing := draw_again(path, page, not without_photos):
        note(missing)
    return page


def _compared(paths: list[Path]) -> str:
    from hybrid.core.errors import DataError
    from pipelines.gap.schema.report import read_report
    from pipelines.gap.sections.compared import changes

    if len(paths) != 2:
        raise DataError(f"--compare: needs two files, got {len(paths)}")
    return "\n".join(changes(*(read_report(path) for path in paths)))


def pairs(renames: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """OLD=NEW as pairs.

    Raises:
        DataError: one has no =, or nothing on one of its sides.
    """
    from hybrid.core.errors import DataError

    found = tuple((old, new) for old, _, new in (text.rpartition("=") for text in renames))
    for (old, new), text in zip(found, renames, strict=True):
        if not old or not new:
            raise DataError(f"--rename {text}: needs OLD=NEW, such as Bolt=bolt")
    return found


def command(wish: Asked) -> str:
    """The command that makes this report, as it is shown in it."""
    words: list[object] = []
    for field in fields(Asked):
        value = getattr(wish, field.name)
        if field.name in TRIALS and not wish.iterate:
            continue
        if value is True:
            words.append(f"--{field.name.replace('_', '-')}")
        elif isinstance(value, tuple):
            words += [f"--{field.name}", *value] if value else []
        elif value is not None and value is not False:
            words += [f"--{field.name.replace('_', '-')}", value]
    return "python -m pipelines.gap_report " + shlex.join(redacted(str(word)) for word in words)


app = options.single_app(main, EPILOG)

if __name__ == "__main__":
    app()
