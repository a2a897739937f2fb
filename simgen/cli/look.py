"""simgen preview, stats and view: look at scenes, of a data set or of a preset."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simgen.cli.common import Folder, app, clear_errors, data_set, fail, preset_names, say_notes
from simgen.spec.errors import SimgenError
from simgen.spec.text.printable import printable

if TYPE_CHECKING:
    from simgen.dataset.format.reader import DataSet
    from simgen.dataset.statistics.draws import Source
    from simgen.scene.config import SceneConfig

SHEETS, ANIMATIONS = (".png", ".jpg", ".jpeg"), (".gif", ".webp")
ON_A_PAGE = (8, 8)  # scenes, frames of each
ON_A_SHEET = (4, 4)


@app.command(
    epilog="simgen preview out/belt --clips 8 --frames 3 --out belt.png\n\n"
    "simgen preview out/belt --html belt.html\n\n"
    "simgen preview conveyor --html conveyor.html --set camera.distance_m=0.5\n\n"
    "simgen preview out/belt --scene 3 --out belt.webp"
)
def preview(
    what: Annotated[
        str,
        typer.Argument(
            help="Folder or URL of a data set; or a preset (name or YAML file), of which a few scenes are made.",
            metavar="DIR|PRESET",
            autocompletion=preset_names,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="The .png or .jpg to write; or a .gif or .webp, for one clip as an animation. "
            "By default DIR.png beside the folder; for a URL or a preset, in the current folder."
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html",
            help="Write a page instead: the scenes as they are and with labels, in layers, and what each knob gave. "
            "One file of some 20 MB at most, which needs no network.",
        ),
    ] = None,
    clips: Annotated[
        int | None, typer.Option(min=1, max=64, help="Number of clips, spread over the data set.  [default: 4, page 8]")
    ] = None,
    frames: Annotated[
        int | None, typer.Option(min=1, max=16, help="Frames of each clip, spread over it.  [default: 4, page 8]")
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Show the frames as they are, with nothing drawn.")] = False,
    scene: Annotated[int | None, typer.Option(min=0, help="The scene of an animation; by default the first.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the scenes of a preset.")] = 0,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one knob of a preset; may be repeated."),
    ] = None,
) -> None:
    """Draw a contact sheet: outlines, boxes (solid: visible, dashed: whole part), ids, categories, visible shares.

    An animation shows all frames of one clip as they are. A page has layers to switch on and off.
    """
    with clear_errors():
        if html is not None and out is not None:
            fail("--html and --out: give one of them")
        suffix = (html or out or Path("x.png")).suffix.lower()
        if html is not None and suffix not in (".html", ".htm"):
            fail(f"--html: needs a name that ends in .html, got {html}")
        if html is None and suffix not in (*SHEETS, *ANIMATIONS):
            fail(f"--out: needs the suffix {', '.join(SHEETS)}, {' or '.join(ANIMATIONS)}, got {out}")
        usual = ON_A_PAGE if html else ON_A_SHEET
        count, shown = clips or usual[0], frames or usual[1]
        with _opened(what, seed, overrides or [], count if scene is None else scene + 1) as (data, name):
            if html is not None:
                text = _page(data, html, name, count, shown)
            else:
                place = data.folder.resolve()
                beside = place.parent if isinstance(place, Path) and not name else Path()
                html = out or beside / f"{name or place.name}.png"
                text = _picture(data, what, html, (count, shown), raw, scene)
    typer.echo(f"{html} ({text})")


@contextmanager
def _opened(what: str, seed: int, overrides: list[str], scenes: int) -> Iterator[tuple[DataSet, str]]:
    """A data set, and ""; or one of a few scenes of a preset, which goes away afterwards, and the preset's name."""
    preset = _preset(what)
    if preset is None:
        from simgen.dataset.store.locations import location

        place = location(what)
        if isinstance(place, Path) and not place.exists() and "://" not in what:
            from simgen.presets.layers import suggest

            names = preset_names()
            fail(f"{what}: no such folder, and no such preset; {suggest(what, names)}there are {', '.join(names)}")
        if overrides:
            fail("--set: changes knobs of a preset; the scenes of a data set are made already")
        yield data_set(what), ""
        return
    with tempfile.TemporaryDirectory(prefix="simgen-preview-") as folder:
        yield _rendered(preset, seed, overrides, scenes, Path(folder)), Path(preset).stem


def _preset(what: str) -> str | None:
    """The preset that is meant; None: a data set."""
    place = Path(what)
    if (place / "manifest.json").exists() or "://" in what:
        return None
    if place.suffix in (".yaml", ".yml") or what in preset_names():
        return what
    line = place / "line.yaml"  # of simgen new
    return str(line) if line.is_file() else None


def _rendered(preset: str, seed: int, overrides: list[str], scenes: int, folder: Path) -> DataSet:
    """A few scenes of a preset as a data set. Scenes that cannot be made are named on stderr."""
    from simgen.cli.progress import track
    from simgen.dataset.format.manifest import DATA_SET_FORMAT, MANIFEST, Manifest, write_manifest
    from simgen.dataset.format.reader import DataSet
    from simgen.generation.engines import SceneLost, SceneMade
    from simgen.generation.engines.shard import make_shard
    from simgen.generation.plan import make_plan
    from simgen.presets.read import load_config

    config = load_config(preset, overrides)
    say_notes(config)
    plan, categories = make_plan(config, scenes=scenes, seed=seed, name=Path(preset).stem, shard_scenes=scenes)
    with track("render", scenes) as step:

        def heard(report: object) -> None:
            if isinstance(report, SceneLost):
                typer.echo(f"simgen: note: scene {report.index} is left out: {report.reason}", err=True)
            if isinstance(report, SceneMade | SceneLost):
                step()

        entry = make_shard(plan, folder, 0, {}, heard)
    made = Manifest(format=DATA_SET_FORMAT, request=plan.request, categories=categories, shards=(entry,))
    write_manifest(folder / MANIFEST, made)
    return DataSet(folder)


def _config(data: DataSet) -> tuple[SceneConfig | None, str]:
    """The config of a data set, with the files that its scenes need; or None, and why."""
    from simgen.dataset.contents import load_contents
    from simgen.presets.read import stored_config

    try:
        config = stored_config(data.manifest.request.config)
        load_contents(data)
    except SimgenError as error:  # of another version, or without its meshes: it can be looked at all the same
        return None, str(error)
    return config, ""


def _source(data: DataSet, config: SceneConfig | None) -> Source | None:
    """What the scenes were drawn from, where the config can be read."""
    from simgen.dataset.statistics.draws import Source
    from simgen.scene.sampling.sample import sample

    return None if config is None else Source(config, data.manifest.request.seed, sample)


def _page(data: DataSet, path: Path, name: str, clips: int, frames: int) -> str:
    from simgen.cli.progress import track
    from simgen.dataset.preview.page import page
    from simgen.dataset.store.files import write_atomically

    config, _ = _config(data)
    count = min(clips, len(data))
    with track("page", count) as step:
        text = page(data, _source(data, config), clips, frames, title=name, step=step)
    _, size = write_atomically(path, text.encode())
    return f"{count} scene{'s' * (count > 1)}, {size / 1e6:.1f} MB"


def _picture(data: DataSet, what: str, path: Path, count: tuple[int, int], raw: bool, scene: int | None) -> str:
    from simgen.dataset.contact_sheet import animation, contact_sheet, encoded
    from simgen.dataset.store.files import write_atomically

    config, _ = _config(data)
    if config is not None:
        say_notes(config)
    suffix = path.suffix.lower()
    if suffix in ANIMATIONS:
        clip = next(iter(data), None) if scene is None else data.clip(scene)
        if clip is None:
            fail(f"{what}: holds no clip, so there is nothing to show")
        _, size = write_atomically(path, animation(clip, suffix))
        return f"scene {clip.index}, {clip.frames} frames, {size / 1e6:.1f} MB"
    picture = contact_sheet(data, *count, raw)
    write_atomically(path, encoded(picture, suffix))
    return f"{picture.shape[1]} x {picture.shape[0]}"


@app.command(
    epilog="simgen stats out/belt\n\nsimgen stats s3://bucket/belt --clips 500\n\n"
    "simgen stats out/belt --html belt.html --json belt.json"
)
def stats(
    folder: Folder,
    clips: Annotated[
        int | None, typer.Option(min=1, help="Read so many clips, spread over the data set; by default all.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write a page to this file, with drawings.")
    ] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Write the figures to this file.")] = None,
) -> None:
    """Tell what is in a data set: boxes a frame, sizes, positions, visible shares, categories, and every knob's values.

    Exit status 1 if a shard is damaged, a knob lies outside its range, or a scene is not what its config draws.
    """
    with clear_errors():
        from simgen.cli.progress import track
        from simgen.dataset.statistics.page import page
        from simgen.dataset.statistics.summary import summary, to_json
        from simgen.dataset.statistics.table import lines
        from simgen.dataset.store.files import write_atomically

        data = data_set(folder)
        config, why = _config(data)
        with track("stats", min(clips or len(data), len(data))) as step:
            found = summary(data, _source(data, config), clips, step, why)
        if json is not None:
            write_atomically(json, to_json(found).encode())
        if html is not None:
            write_atomically(html, page(found).encode())
    for line in lines(found):
        typer.echo(printable(line))
    if found.faults:
        fail(f"{folder}: {found.faults} problem{'s' * (found.faults > 1)}", 1)


@app.command(
    epilog="simgen view out/belt\n\nsimgen view out/belt --clips 20 --save belt.rrd\n\nsimgen view out/belt --scene 3"
)
def view(
    folder: Folder,
    clips: Annotated[int, typer.Option(min=1, help="Number of clips, spread over the data set.")] = 8,
    scene: Annotated[int | None, typer.Option(min=0, help="Show this scene alone.")] = None,
    save: Annotated[
        Path | None,
        typer.Option(metavar="FILE.rrd", help="Write a recording instead, for a machine with a screen: rerun FILE.rrd"),
    ] = None,
) -> None:
    """Open a data set in the viewer Rerun: pictures, boxes, areas, depth, and camera and parts in space."""
    with clear_errors():
        from simgen.cli.progress import track
        from simgen.dataset.rerun_log import log_clips, rerun
        from simgen.dataset.store.files import write_atomically
        from simgen.spec.evenly import evenly

        if save is not None and save.suffix != ".rrd":
            fail(f"--save: needs a name that ends in .rrd, got {save}")
        rr = rerun()
        if save is None and not has_screen():
            fail("there is no screen here: write a recording with --save FILE.rrd, and open it where there is one")
        data = data_set(folder)
        if not len(data):
            fail(f"{folder}: holds no clip, so there is nothing to show")
        config, why = _config(data)
        if config is None:
            typer.echo(f"simgen: note: {why}", err=True)
        chosen = [data.clip(scene)] if scene is not None else [data[i] for i in evenly(range(len(data)), clips)]
        text = f"{len(chosen)} clip{'s' * (len(chosen) > 1)}"
        with track("view", len(chosen)) as step, tempfile.TemporaryDirectory(prefix="simgen-view-") as folder_here:
            stream, recorded = rr.RecordingStream("simgen"), Path(folder_here) / "recording.rrd"
            if save is None:
                stream.spawn()
            else:
                stream.save(recorded)
            for _ in log_clips(stream, chosen, data.categories):
                step()
            stream.disconnect()
            if save is not None:
                with recorded.open("rb") as file:
                    _, size = write_atomically(save, iter(lambda: file.read(2**20), b""))
                text += f", {size / 1e6:.1f} MB: rerun {save}"
    typer.echo(f"{save or folder} ({text})")


def has_screen() -> bool:
    """Whether a window can be opened, as far as the environment tells."""
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
