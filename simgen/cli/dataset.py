"""simgen replay, export, check and index: work with an existing data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simgen.cli.common import Folder, app, clear_errors, data_set, fail

FORMATS = "coco, coco-vid, yolo-detect, yolo-segment, bop, mot, kitti or parquet."  # --help must not import them


@app.command(epilog="simgen replay out/belt 41")
def replay(folder: Folder, scene: Annotated[int, typer.Argument(help="Index of the scene.", metavar="K")]) -> None:
    """Render scene K again and compare every byte. Exit status 1 if anything differs."""
    with clear_errors():
        from simgen.scene.quiet import quiet_stderr

        data = data_set(folder)  # first: the other imports take seconds
        with quiet_stderr():
            from simgen.generation.clip import machinery, make_clip
        from simgen.dataset.contents import load_contents
        from simgen.generation.replay import replay_scene
        from simgen.presets.read import stored_config

        load_contents(data)
        config = stored_config(data.manifest.request.config)
        result = replay_scene(data, scene, config, make_clip, machinery(config))
    if not result.differences:
        typer.echo(f"scene {scene}: identical, {result.members} members")
        return
    for line in result.differences:
        typer.echo(line)
    fail(f"scene {scene}: {len(result.differences)} of {result.members} members differ", 1)


@app.command(
    epilog="simgen export out/belt --format coco --out out/belt_coco\n\n"
    "simgen export out/belt --format yolo-segment --split 0.8,0.1,0.1 --min-visible 0.2 --out out/belt_yolo\n\n"
    "simgen export out/belt --out belt/labels.json"
)
def export(
    folder: Folder,
    out: Annotated[
        Path, typer.Option(help="A new or empty folder. For coco also a .json file, with images/ beside it.")
    ],
    format: Annotated[str, typer.Option(help=FORMATS)] = "coco",
    split: Annotated[
        str | None,
        typer.Option(
            metavar="TRAIN,VAL,TEST", help="Shares such as 0.8,0.1,0.1. All frames of a scene go to the same split."
        ),
    ] = None,
    categories: Annotated[
        str | None, typer.Option(metavar="A,B", help="Export these categories alone; class ids follow this order.")
    ] = None,
    min_visible: Annotated[float, typer.Option(help="Leave out parts whose visible share is smaller, 0 to 1.")] = 0.0,
    min_size: Annotated[float, typer.Option(help="Leave out boxes whose shorter side is smaller, in pixels.")] = 0.0,
) -> None:
    """Write a data set in another format. --out appears when it is complete, never before.

    A part that is left out stays in the image, without a label.
    """
    with clear_errors():
        from simgen.cli.progress import track
        from simgen.dataset.export import Filters
        from simgen.dataset.export import export as write

        filters = Filters(
            categories=None if categories is None else tuple(name.strip() for name in categories.split(",")),
            min_visible=min_visible,
            min_size_px=min_size,
            shares=None if split is None else _shares(split),
        )
        data = data_set(folder)
        with track(f"export to {format}", len(data)) as step:
            exported = write(data, format, out, step, filters)
    typer.echo(f"{exported.path}: " + ", ".join(f"{number} {what}" for what, number in exported.counts.items()))
    if split is not None:
        typer.echo("  scenes: " + ", ".join(f"{number} {name}" for name, number in exported.clips.items()))
    if exported.dropped:
        typer.echo("  left out: " + ", ".join(f"{number} {why}" for why, number in exported.dropped.items()))


def _shares(split: str) -> tuple[float, ...]:
    try:
        return tuple(float(share) for share in split.split(","))
    except ValueError:
        fail(f"--split: needs shares such as 0.8,0.1,0.1, got {split!r}")


@app.command(
    epilog="simgen check out/belt\n\nsimgen check photos/labels.json --page report.html\n\n"
    "simgen check out/belt --strict --json report.json"
)
def check(
    path: Annotated[str, typer.Argument(help="Folder or URL of a data set, or a COCO JSON.", metavar="DIR|COCO.json")],
    json: Annotated[Path | None, typer.Option(help="Write the report to this file, as JSON.")] = None,
    page: Annotated[
        Path | None, typer.Option(help="Write an HTML page to this file, with pictures of the problems.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Treat warnings as errors.")] = False,
) -> None:
    """Check a data set: checksums, schema, images, and labels against the pixels. Exit status 1 if there are errors.

    Labels of unusual size and images that look alike are warnings.
    """
    with clear_errors():
        from simgen.cli.progress import track
        from simgen.dataset.check import check as check_it
        from simgen.dataset.check import page as drawn
        from simgen.dataset.store.files import write_atomically
        from simgen.dataset.store.locations import location

        place = location(path)
        if isinstance(place, Path) and not place.is_dir() and not place.is_file():
            fail(f"{path}: no such folder or file")
        photos = isinstance(place, Path) and place.is_file()
        with track("check", None if photos else len(data_set(path))) as step:
            report = check_it(place, step)
        if json is not None:
            write_atomically(json, report.to_json().encode())
        if page is not None:
            write_atomically(page, drawn(report).encode())
    for line in report.lines:
        typer.echo(line)
    wrong = report.errors + (report.warnings if strict else 0)
    if wrong:
        fail(f"{path}: {wrong} problem{'s' * (wrong > 1)}", 1)
    verdict = f"{report.warnings} warning{'s' * (report.warnings > 1)}" if report.warnings else "nothing wrong"
    typer.echo(f"{path}: {report.clips} clips, {verdict}")


@app.command(epilog="simgen index out/belt")
def index(folder: Folder) -> None:
    """Write an index of the clips, so that any clip of a large data set is found with one read. Optional.

    Shards do not change. After a change of the data set, the index is refused until it is written again.
    """
    with clear_errors():
        from simgen.cli.progress import track
        from simgen.dataset.format.reader import DataSet
        from simgen.dataset.store.locations import location

        data = DataSet(location(folder), use_index=False)
        with track("index", len(data.manifest.shards)) as step:
            path = data.write_index(step)
    typer.echo(f"{path}: {len(data)} clips in {len(data.manifest.shards)} shards")
