"""simgen camera fit and simgen finish fit: presets from photographs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from simgen.cli.common import app, chosen_renderer, clear_errors, data_set, fail, say_left_out, say_notes

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that are there already.")]
camera = typer.Typer(help="Fit a preset to your camera, from its photographs.", no_args_is_help=True)
app.add_typer(camera, name="camera")


@camera.callback()
def _camera() -> None:
    """Make typer treat this as a group, although it has one command."""


@camera.command(
    epilog="simgen camera fit photos --out my_camera.yaml --page my_camera.html\n\n"
    "simgen render --preset my_camera.yaml --scenes 8 --out out/after\n\n"
    "simgen camera fit photos --page my_camera.html --beside out/before --beside out/after"
)
def fit(
    folder: Annotated[Path, typer.Argument(help="Folder of .jpg or .png photos by one camera.", metavar="FOLDER")],
    out: Annotated[Path, typer.Option(help="The preset to write.")] = Path("sensor.yaml"),
    flat_fields: Annotated[
        Path | None, typer.Option(help="Folder of photos of an evenly lit empty surface, preferably PNG.")
    ] = None,
    page: Annotated[Path | None, typer.Option(help="The HTML page to write, with the result.")] = None,
    beside: Annotated[
        list[Path] | None,
        typer.Option(help="Data set, or folder of pictures, to compare on the page; may be repeated."),
    ] = None,
    base: Annotated[
        str, typer.Option(help="The preset, or YAML file, that supplies all other knobs.")
    ] = "bolts_on_table",
    photos: Annotated[int, typer.Option(help="Read at most this many photos, spread over the folder.")] = 24,
    overwrite: Overwrite = False,
) -> None:
    """Estimate noise, sharpness, white balance, exposure and compression, and write them as a preset.

    A photo that cannot be read, or has another size than most, is left out and named.

    Some knobs cannot be estimated without a test chart. They keep the value of --base, and the preset says why.
    """
    with clear_errors():
        from simgen.dataset.store.files import write_atomically
        from simgen.presets.fit_camera.fit import fit_camera
        from simgen.presets.fit_camera.measures import measure
        from simgen.presets.fit_camera.page import page as page_of
        from simgen.presets.fit_camera.photos import read_pictures
        from simgen.presets.read import load_config

        load_config(base)
        if beside and not page:
            fail("--beside: needs --page FILE, which shows it")
        _check_new("--out", out, base, overwrite)
        _check_new("--page", page, base, overwrite)
        left_out: list[str] = []
        pictures = read_pictures(folder, photos, leave_out=left_out.append)
        fields = read_pictures(flat_fields, photos, fewest=1, leave_out=left_out.append) if flat_fields else []
        shown = {
            str(path): [measure(p) for p in read_pictures(path, photos, leave_out=left_out.append)]
            for path in beside or []
        }
        say_left_out(left_out)
        result = fit_camera(pictures, fields)
        _write_preset(out, base, result.to_yaml)
        if page:
            write_atomically(page, page_of(result, shown).encode())
    for name, knob in result.ranges.items():
        typer.echo(f"sensor.{name}: {knob.low:g} to {knob.high:g}: {knob.how}")
    for name, why in result.not_estimated.items():
        typer.echo(f"not estimated: {name}: {why}")
    typer.echo(f"{out}" + (f", {page}" if page else ""))


finish = typer.Typer(help="Fit a preset to the finish of your parts, from labelled photographs.", no_args_is_help=True)
app.add_typer(finish, name="finish")


@finish.callback()
def _finish() -> None:
    """Make typer treat this as a group, although it has one command."""


@finish.command(
    "fit",
    epilog="simgen finish fit photos/annotations.json --base my_camera.yaml --out my_parts.yaml\n\n"
    "simgen render --preset my_parts.yaml --renderer pbr --scenes 1000 --out data/mine",
)
def fit_finish(
    photos: Annotated[Path, typer.Argument(help="COCO JSON with outlines (segmentation).", metavar="COCO")],
    out: Annotated[Path, typer.Option(help="The preset to write.")] = Path("finishes.yaml"),
    base: Annotated[
        str,
        typer.Option(help="The preset, or YAML file, that supplies all other knobs; preferably of a fitted camera."),
    ] = "bolts_on_table",
    work: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Folder that keeps the rendered scenes, which a second run uses again; default: none are kept.",
        ),
    ] = None,
    scenes: Annotated[
        int, typer.Option(min=10, help="Number of scenes to render, with parts of any metal finish.")
    ] = 150,
    seed: Annotated[int, typer.Option(min=0, help="Seed of these scenes.")] = 0,
    workers: Annotated[int | None, typer.Option(help="Shards made at a time.")] = None,
    renderer: Annotated[str, typer.Option(help="auto, tiny, pbr or pathtraced.")] = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Find the finishes with which simulated parts look like the photographed ones, and write them as a preset.

    Colour, tint, highlights and shadows inside the outlines are compared, for each category of parts.
    A photo or an outline that cannot be read is left out and named.
    """
    with clear_errors(), _folder_for_scenes(work) as scenes_folder:
        from simgen.cli.progress import Progress, track
        from simgen.dataset.store.locations import location
        from simgen.generation.plan import make_plan
        from simgen.generation.run import run_plan
        from simgen.presets.fit_finish.fit import fit_finishes, probe, to_yaml
        from simgen.presets.fit_finish.read import photographed, simulated
        from simgen.presets.read import load_config

        _check_new("--out", out, base, overwrite)
        config = load_config(base, [f"render.renderer={chosen_renderer(renderer)}", "timing.frames=1"])
        probed, left_out = probe(config), list[str]()
        real = photographed(photos, left_out.append)
        say_left_out(left_out)
        say_notes(probed)
        plan, known = make_plan(probed, scenes=scenes, seed=seed, name=Path(base).stem)
        with Progress(scenes, workers or 1, plan.request.shard_scenes) as progress:
            run_plan(plan, known, location(scenes_folder), workers=workers, resume=True, on_event=progress.on_event)
        data = data_set(scenes_folder)
        with track("simulated parts", len(data)) as advance:
            fits = fit_finishes(real, simulated(data, advance))
        _write_preset(out, base, lambda named: to_yaml(fits, named, config))
    for one in fits:
        typer.echo(f"{one.category}: {one.photographed} photographed, {one.simulated} simulated parts, "
                   f"effectively {one.effective_parts:.0f} after weighting")  # fmt: skip
        typer.echo(f"  {'':12}{'photos':>8}{'any':>8}{'fitted':>8}")
        for name, medians in one.looks.items():
            typer.echo(f"  {name:12}" + "".join(f"{value:8.2f}" for value in medians))
    typer.echo(f"{out}")


@contextmanager
def _folder_for_scenes(asked: str | None) -> Iterator[str]:
    """The folder or URL that the user named, or one among the temporary files that is removed in the end."""
    if asked is not None:
        yield asked
        return
    with TemporaryDirectory(prefix="simgen-finish-") as folder:
        yield folder


def _check_new(option: str, path: Path | None, base: str, overwrite: bool) -> None:
    """Refuse to write over a file, before any work is done."""
    if path is None or not (path.exists() or path.is_symlink()):
        return
    if path.is_dir():
        fail(f"{option}: {path} is a folder; give the name of a file")
    if Path(base).exists() and path.exists() and path.samefile(base):
        fail(f"{option}: {path} is the --base; give another name")
    if not overwrite:
        fail(f"{option}: {path} is there already; give another name, or --overwrite")


def _named_from(base: str, out: Path) -> str:
    """How the preset at `out` must name its base: by name, or by a path relative to `out`."""
    import os

    if "/" not in base and not base.endswith((".yaml", ".yml")):
        return base
    relative = os.path.relpath(base, out.resolve().parent)
    return relative if "/" in relative else f"./{relative}"


def _write_preset(out: Path, base: str, text_on: Callable[[str], str]) -> None:
    """Write a preset on top of `base`, after a check that it can be read.

    Args:
        text_on: the preset's text, from how it names its base.
    """
    from simgen.dataset.store.files import write_atomically
    from simgen.presets.read import load_config

    with TemporaryDirectory(prefix="simgen-fit-") as folder:
        trial = Path(folder) / "fitted.yaml"
        trial.write_text(text_on(_named_from(base, trial)), "utf-8")
        load_config(str(trial))
    write_atomically(out, text_on(_named_from(base, out)).encode())
