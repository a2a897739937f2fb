"""simgen camera fit and finish fit: presets from photos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simgen.cli.common import app, chosen_renderer, clear_errors, data_set, fail, plan_of

camera = typer.Typer(help="Your own camera, from its photographs.", no_args_is_help=True)
app.add_typer(camera, name="camera")


@camera.callback()
def _camera() -> None:
    """A group, even while it has one command."""


@camera.command(
    epilog="simgen camera fit photos --out my_camera.yaml --page my_camera.html\n\n"
    "simgen render --preset my_camera.yaml --scenes 8 --out out/after\n\n"
    "simgen camera fit photos --page my_camera.html --beside out/before --beside out/after"
)
def fit(
    folder: Annotated[Path, typer.Argument(help="Folder of .jpg or .png photos by one camera.", metavar="FOLDER")],
    out: Annotated[Path, typer.Option(help="The preset to write.")] = Path("sensor.yaml"),
    flat_fields: Annotated[
        Path | None, typer.Option(help="Folder of photos of an evenly lit empty surface, best as PNG.")
    ] = None,
    page: Annotated[Path | None, typer.Option(help="An HTML page to write that shows what was found.")] = None,
    beside: Annotated[
        list[Path] | None, typer.Option(help="Data set, or folder of pictures, for the page; may be repeated.")
    ] = None,
    base: Annotated[str, typer.Option(help="The preset, or YAML file, that it is laid over.")] = "bolts_on_table",
    photos: Annotated[int, typer.Option(help="At most so many photos are read, spread over the folder.")] = 24,
) -> None:
    """Estimate noise, sharpness, white balance, exposure and compression, and write them as a preset.

    Without a test chart some things cannot be told: those stay as they are in --base, and the preset says why.
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
            fail("--beside: is shown on the page: add --page FILE")
        pictures = read_pictures(folder, photos)
        fields = read_pictures(flat_fields, photos, fewest=1) if flat_fields else []
        shown = {str(path): [measure(p) for p in read_pictures(path, photos)] for path in beside or []}
        found = fit_camera(pictures, fields)
        _write_preset(out, found.to_yaml(_named_from(base, out)))
        if page:
            write_atomically(page, page_of(found, shown).encode())
    for name, knob in found.ranges.items():
        typer.echo(f"sensor.{name}: {knob.low:g} to {knob.high:g}: {knob.how}")
    for name, why in found.untold.items():
        typer.echo(f"not told: {name}: {why}")
    typer.echo(f"{out}" + (f", {page}" if page else ""))


finish = typer.Typer(help="Your own parts' finishes, from labelled photographs.", no_args_is_help=True)
app.add_typer(finish, name="finish")


@finish.callback()
def _finish() -> None:
    """A group, even while it has one command."""


@finish.command(
    "fit",
    epilog="simgen finish fit photos/annotations.json --base my_camera.yaml --out my_parts.yaml\n\n"
    "simgen render --preset my_parts.yaml --renderer pbr --scenes 1000 --out data/mine",
)
def fit_finish(
    photos: Annotated[Path, typer.Argument(help="COCO JSON whose annotations have outlines.", metavar="COCO")],
    out: Annotated[Path, typer.Option(help="The preset to write.")] = Path("finishes.yaml"),
    base: Annotated[
        str, typer.Option(help="The preset, or YAML file, that it is laid over; best with a camera fitted already.")
    ] = "bolts_on_table",
    work: Annotated[str, typer.Option(help="Folder for the scenes it looks at; a second run uses them again.")] = (
        "finish-probe"
    ),
    scenes: Annotated[int, typer.Option(min=10, help="Scenes to draw with parts of any metal's finish.")] = 150,
    seed: Annotated[int, typer.Option(min=0, help="Of those scenes.")] = 0,
    workers: Annotated[int | None, typer.Option(help="Shards made at a time.")] = None,
    renderer: Annotated[str, typer.Option(help="auto, tiny, pbr or pathtraced.")] = "auto",
) -> None:
    """Find the finishes that make simulated parts look as photographed ones do, and write them as a preset.

    Colour, tint, highlights and shadows are compared within the parts' outlines, each category of parts for itself.
    """
    with clear_errors():
        from simgen.cli.progress import Progress, track
        from simgen.dataset.store.locations import location
        from simgen.generation.run import default_shard_scenes, run_plan
        from simgen.presets.fit_finish.fit import fit_finishes, probe, to_yaml
        from simgen.presets.fit_finish.read import photographed, simulated
        from simgen.presets.read import load_config

        config = load_config(base, [f"render.renderer={chosen_renderer(renderer)}", "timing.frames=1"])
        probed = probe(config)
        real = photographed(photos)
        plan, known = plan_of(probed, Path(base).stem, seed, scenes, default_shard_scenes(scenes), 600.0)
        with Progress(scenes) as progress:
            run_plan(plan, known, location(work), workers=workers, resume=True, tell=progress.tell)
        data = data_set(work)
        with track("simulated parts", len(data)) as advance:
            found = fit_finishes(real, simulated(data, advance))
        _write_preset(out, to_yaml(found, _named_from(base, out), config))
    for fit_of in found:
        typer.echo(f"{fit_of.category}: {fit_of.photographed} photographed, {fit_of.simulated} simulated parts, "
                   f"of which the weight of {fit_of.rests_on:.0f} decides")  # fmt: skip
        typer.echo(f"  {'':12}{'photos':>8}{'any':>8}{'fitted':>8}")
        for name, medians in fit_of.looks.items():
            typer.echo(f"  {name:12}" + "".join(f"{value:8.2f}" for value in medians))
    typer.echo(f"{out}")


def _named_from(base: str, out: Path) -> str:
    """A preset as one in `out` names it: by its name, or the way to its file."""
    import os

    return os.path.relpath(base, out.parent) if "/" in base or base.endswith((".yaml", ".yml")) else base


def _write_preset(out: Path, text: str) -> None:
    """Write a preset, and see that it can be read."""
    from simgen.dataset.store.files import write_atomically
    from simgen.presets.read import load_config

    write_atomically(out, text.encode())
    load_config(str(out) if "/" in str(out) else f"./{out}")
