"""The `simgen` command. Each subcommand imports what it needs when it runs, so that help comes at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from simgen.dataset.format.manifest import Manifest
    from simgen.dataset.format.reader import DataSet
    from simgen.dataset.store.locations import Place
    from simgen.generate.engines import Plan
    from simgen.scene.config import SceneConfig

app = typer.Typer(
    help="Labelled frame sequences of manufactured parts, from a seed.",
    epilog="Start with: [bold]simgen render --preset conveyor --scenes 8 --out out/first[/]",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
UNFINISHED = 3  # exit status of a run whose budget ended before it did
Folder = Annotated[str, typer.Argument(help="Folder or URL of a data set.", metavar="DIR")]
FORMATS = "coco, coco-vid, yolo-detect, yolo-segment, bop, mot, kitti or parquet."  # help must not load them


def main() -> None:
    """The console script."""
    app()


def _fail(message: str, status: int = 2) -> NoReturn:
    for line in message.splitlines():
        typer.echo(f"simgen: {line}", err=True)
    raise typer.Exit(status)


@contextmanager
def _clear_errors() -> Iterator[None]:
    """What a user can put right is told in a line, without a traceback."""
    from simgen.dataset.export.errors import ExportError
    from simgen.generate.engines import EngineError
    from simgen.generate.run import BudgetSpent, GenerateError, Interrupted
    from simgen.presets.fit_camera.errors import CameraError
    from simgen.presets.fit_finish.errors import FinishError
    from simgen.spec.errors import ConfigError, RendererLost, RendererUnavailable, ShardError

    try:
        yield
    except Interrupted as error:
        _fail(str(error), 130)
    except BudgetSpent as error:
        _fail(str(error), UNFINISHED)
    except (
        CameraError, ConfigError, EngineError, ExportError, FinishError, GenerateError, RendererLost,
        RendererUnavailable, ShardError,
    ) as error:  # fmt: skip
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.filename or 'a file'}: {error.strerror or error}")


# ----------------------------------------------------------------------------------------------------- render


@app.command(
    epilog="simgen render --preset conveyor --scenes 100 --out out/belt --workers 4\n\n"
    "simgen render --preset bolts_on_table --scenes 20 --seed 7 --out out/dim --set light.key_intensity.high=1.5\n\n"
    "simgen render --preset my_line.yaml --scenes 1000 --out out/line --renderer auto --resume"
)
def render(
    scenes: Annotated[int, typer.Option(help="How many scenes, each of which becomes a clip.")],
    out: Annotated[
        str, typer.Option(metavar="DIR", help="Folder or URL (s3://...) for it: empty, new, or with --resume its own.")
    ],
    seed: Annotated[int, typer.Option(min=0, help="Another seed is another data set.")] = 0,
    preset: Annotated[str, typer.Option(help="A preset's name (simgen presets), or a YAML file.")] = "conveyor",
    workers: Annotated[
        int | None, typer.Option(help="Shards made at a time; 1, or a cluster's CPUs. The bytes do not depend on it.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one knob; may be repeated.")
    ] = None,
    renderer: Annotated[
        str | None,
        typer.Option(help="auto (pbr where it can run, else tiny), tiny, pbr or pathtraced; the preset's unless told."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what an earlier run left in --out.")] = False,
    shard_scenes: Annotated[
        int | None, typer.Option(help="Scenes in a shard; the default goes by --scenes and is at most 16.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="Stop at a shard's end before this is spent (90m, 2h, 50GB), with exit status 3.")
    ] = None,
    scene_limit: Annotated[
        float, typer.Option(min=1.0, help="Seconds after which a scene counts as hanging and is left out.")
    ] = 600.0,
    shards: Annotated[
        str | None,
        typer.Option(metavar="A:B", help="Render shards A to B - 1 only, a slice: simgen join joins slices."),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="local: processes of this machine. ray: tasks of a Ray cluster.")
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            metavar="auto|ADDR", help="The Ray cluster; one of this machine's own, made for the run, unless told."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Make a few scenes, write none, say what all take.")
    ] = False,
) -> None:
    """Render a data set of labelled clips.

    The same preset, settings and seed give the same bytes for any number of workers, also after a run that was killed.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does
    with _clear_errors():
        from simgen.cli.progress import Progress, track
        from simgen.dataset.store.locations import place
        from simgen.generate.budget import TRIAL_SCENES, estimate, parse_budget
        from simgen.generate.engines import choose_engine
        from simgen.generate.run import default_shard_scenes, generate

        made_by, target = choose_engine(engine, address), place(out)
        if scenes < 1:
            _fail(f"--scenes: needs at least 1, got {scenes}")
        size = shard_scenes if shard_scenes is not None else default_shard_scenes(scenes)
        plan, categories = _plan(preset, overrides or [], seed, scenes, size, scene_limit, renderer)
        try:
            allowed = parse_budget(budget) if budget else None
        except ValueError as error:
            _fail(f"--budget: {error}")
        only = _slice(shards) if shards else None
        if dry_run:
            with track("trial scenes", 1 + min(TRIAL_SCENES, scenes)) as advance:
                found = estimate(plan, target, workers or 1, advance)
            typer.echo(
                "\n".join([f"{scenes} scenes of {preset}, nothing written:", *(f"  {line}" for line in found.lines())])
            )
            return
        with Progress(sum(len(plan.request.scenes_of(k)) for k in only) if only else scenes) as progress:
            manifest = generate(
                plan, categories, target, workers=workers, resume=resume, tell=progress.tell, engine=made_by,
                budget=allowed, only=only,
            )  # fmt: skip
    _sum_up(target, manifest)


def _slice(text: str) -> range:
    first, colon, last = text.partition(":")
    if not (colon and first.isdecimal() and last.isdecimal()):
        _fail(f"--shards: {text!r} is no slice such as 0:100")
    return range(int(first), int(last))


def _plan(
    preset: str,
    overrides: list[str],
    seed: int,
    scenes: int,
    shard_scenes: int,
    scene_limit_s: float,
    renderer: str | None,
) -> tuple[Plan, tuple[str, ...]]:
    from simgen.presets.read import load_config

    config = load_config(preset, [*overrides, *([f"render.renderer={_chosen(renderer)}"] if renderer else [])])
    return _plan_of(config, Path(preset).stem, seed, scenes, shard_scenes, scene_limit_s)


def _chosen(renderer: str) -> str:
    """What draws, chosen once, here: the config says it, for every worker and for replay."""
    from simgen.scene.quiet import quiet_stderr

    with quiet_stderr():
        from simgen.render import AUTO, choose
    if renderer != AUTO:
        return renderer
    chosen, why = choose()
    typer.echo(f"simgen: renderer {chosen}: {why}", err=True)
    return chosen


def _plan_of(
    config: SceneConfig, name: str, seed: int, scenes: int, shard_scenes: int, scene_limit_s: float
) -> tuple[Plan, tuple[str, ...]]:
    from simgen import __version__
    from simgen.dataset.format.manifest import Request
    from simgen.generate.engines import Plan
    from simgen.scene.quiet import quiet_stderr

    with quiet_stderr():
        from simgen.generate.clip import categories, machinery, make_clip
    request = Request(
        simgen=__version__,
        preset=name,
        config=config.model_dump(mode="json"),
        seed=seed,
        scenes=scenes,
        shard_scenes=shard_scenes,
        renderer=machinery(config),
    )
    return Plan(request, config, make_clip, scene_limit_s, machinery), categories(config)


def _sum_up(out: Place, manifest: Manifest) -> None:
    frames, size = (sum(values) for values in zip(*((s.frames, s.bytes) for s in manifest.shards), strict=True))
    typer.echo(
        f"{manifest.clips} clips, {frames} frames, {size / 1e6:.1f} MB in {len(manifest.shards)} shards: {out}"
        f"\n  categories: {', '.join(manifest.categories)}"
    )
    for scene in manifest.quarantined[:5]:
        typer.echo(f"  left out: scene {scene.index}: {scene.reason}", err=True)
    if len(manifest.quarantined) > 5:
        typer.echo(f"  left out: {len(manifest.quarantined) - 5} more, in {out / 'manifest.json'}", err=True)
    if len(manifest.shards) < manifest.request.shards:
        slice_of = f"a slice: {len(manifest.shards)} of {manifest.request.shards} shards"
        typer.echo(f"  {slice_of}; simgen join --out DIR {out} ... joins slices")
        return
    typer.echo(f"  look at it: simgen preview {out}")


@app.command(
    epilog="simgen render --scenes 10000 --shard-scenes 25 --shards 0:200 --out part-0    (and 200:400, elsewhere)\n\n"
    "simgen join --out data/belt part-0 part-1"
)
def join(
    parts: Annotated[list[str], typer.Argument(help="Folders or URLs of slices of one data set.", metavar="PART...")],
    out: Annotated[str, typer.Option(metavar="DIR", help="Folder or URL for the whole data set, empty or new.")],
) -> None:
    """Join slices, rendered on any machines with --shards, into one data set: the bytes of a single run."""
    with _clear_errors():
        from simgen.cli.progress import track
        from simgen.dataset.store.locations import place, sizes
        from simgen.generate.join import join as bring_together

        target, folders = place(out), [place(part) for part in parts]
        seen = {name for folder in folders for name in sizes(folder) if name.endswith(".tar")}
        with track("join", len(seen)) as advance:
            manifest = bring_together(target, folders, advance)
    _sum_up(target, manifest)


@app.command(epilog="simgen presets")
def presets() -> None:
    """List the presets that come with simgen."""
    with _clear_errors():
        from simgen.presets.layers import presets as known

        found = known()
        width = max(map(len, found))
        for name, description in found.items():
            typer.echo(f"{name:<{width}}  {description}")


# ------------------------------------------------------------------------------------------- looking at a data set


@app.command(epilog="simgen preview out/belt\n\nsimgen preview out/belt --clips 8 --frames 3 --out belt.png")
def preview(
    folder: Folder,
    out: Annotated[Path | None, typer.Option(help="The picture; DIR.png beside the folder, or here for a URL.")] = None,
    clips: Annotated[int, typer.Option(min=1, max=64, help="How many clips, spread over the data set.")] = 4,
    frames: Annotated[int, typer.Option(min=1, max=16, help="How many frames of each, spread over the clip.")] = 4,
) -> None:
    """Draw a contact sheet: masks, boxes (solid: seen, dashed: the whole part), ids, categories, visible shares."""
    with _clear_errors():
        from simgen.dataset.contact_sheet import contact_sheet, write_png

        data = _data_set(folder)
        there = data.folder.resolve()
        path = out or (there.parent if isinstance(there, Path) else Path()) / f"{there.name}.png"
        picture = contact_sheet(data, clips, frames)
        write_png(path, picture)
    typer.echo(f"{path} ({picture.shape[1]} x {picture.shape[0]})")


@app.command(epilog="simgen replay out/belt 41")
def replay(folder: Folder, scene: Annotated[int, typer.Argument(help="The scene's number.", metavar="K")]) -> None:
    """Make scene K again from its seed and compare every byte. Exit status 1 if anything differs."""
    with _clear_errors():
        from simgen.scene.quiet import quiet_stderr

        with quiet_stderr():
            from simgen.generate.clip import machinery, make_clip
        from simgen.generate.replay import replay_scene
        from simgen.presets.read import stored_config

        data = _data_set(folder)
        config = stored_config(data.manifest.request.config)
        found = replay_scene(data, scene, config, make_clip, machinery(config))
    if not found.differences:
        typer.echo(f"scene {scene}: identical, {found.members} members")
        return
    for line in found.differences:
        typer.echo(line)
    _fail(f"scene {scene}: {len(found.differences)} of {found.members} members differ", 1)


@app.command(
    epilog="simgen export out/belt --format coco --out out/belt_coco\n\n"
    "simgen export out/belt --format yolo-segment --split 0.8,0.1,0.1 --min-visible 0.2 --out out/belt_yolo\n\n"
    "simgen export out/belt --out belt/labels.json"
)
def export(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="A new or empty folder; for coco also the .json, beside its images/.")],
    format: Annotated[str, typer.Option(help=FORMATS)] = "coco",
    split: Annotated[
        str | None, typer.Option(metavar="TRAIN,VAL,TEST", help="Shares such as 0.8,0.1,0.1. Goes by scene.")
    ] = None,
    categories: Annotated[
        str | None, typer.Option(metavar="A,B", help="These alone; class ids follow their order.")
    ] = None,
    min_visible: Annotated[float, typer.Option(help="Least share of a part that can be seen, 0 to 1.")] = 0.0,
    min_size: Annotated[float, typer.Option(help="Least shorter side of a box, in pixels.")] = 0.0,
) -> None:
    """Write a data set in another format. It is at --out when it is whole, and not before.

    A part that is left out stays in the picture without a label.
    """
    with _clear_errors():
        from simgen.cli.progress import track
        from simgen.dataset.export import Filters
        from simgen.dataset.export import export as write

        filters = Filters(
            categories=None if categories is None else tuple(name.strip() for name in categories.split(",")),
            min_visible=min_visible,
            min_size_px=min_size,
            shares=None if split is None else _shares(split),
        )
        data = _data_set(folder)
        with track(f"export to {format}", len(data)) as step:
            done = write(data, format, out, step, filters)
    typer.echo(f"{done.path}: " + ", ".join(f"{number} {what}" for what, number in done.counts.items()))
    if split is not None:
        typer.echo("  scenes: " + ", ".join(f"{number} {name}" for name, number in done.clips.items()))
    if done.dropped:
        typer.echo("  left out: " + ", ".join(f"{number} {why}" for why, number in done.dropped.items()))


def _shares(split: str) -> tuple[float, ...]:
    try:
        return tuple(float(share) for share in split.split(","))
    except ValueError:
        _fail(f"--split: needs shares such as 0.8,0.1,0.1, got {split!r}")


@app.command(
    epilog="simgen check out/belt\n\nsimgen check photos/labels.json --page report.html\n\n"
    "simgen check out/belt --strict --json report.json"
)
def check(
    path: Annotated[str, typer.Argument(help="Folder or URL of a data set, or a COCO JSON.", metavar="DIR|COCO.json")],
    json: Annotated[Path | None, typer.Option(help="Write the report there as JSON.")] = None,
    page: Annotated[Path | None, typer.Option(help="Write a page there, with the offenders drawn.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Let warnings count as errors.")] = False,
) -> None:
    """Check a data set: checksums, schema, pictures, labels that agree with the pixels. Exit status 1 if it is wrong.

    What is only unlike the rest (labels out of family, pictures that look alike) is a warning.
    """
    with _clear_errors():
        from simgen.cli.progress import track
        from simgen.dataset.check import check as check_it
        from simgen.dataset.check import page as drawn
        from simgen.dataset.store.files import write_atomically
        from simgen.dataset.store.locations import place

        there = place(path)
        if isinstance(there, Path) and not there.is_dir() and not there.is_file():
            _fail(f"{path}: there is no such folder or file")
        photos = isinstance(there, Path) and there.is_file()
        with track("check", None if photos else len(_data_set(path))) as step:
            report = check_it(there, step)
        if json is not None:
            write_atomically(json, [report.to_json().encode()])
        if page is not None:
            write_atomically(page, [drawn(report).encode()])
    for line in report.lines:
        typer.echo(line)
    wrong = report.errors + (report.warnings if strict else 0)
    if wrong:
        _fail(f"{path}: {wrong} problems", 1)
    verdict = f"{report.warnings} warnings" if report.warnings else "nothing wrong"
    typer.echo(f"{path}: {report.clips} clips, {verdict}")


@app.command(epilog="simgen index out/belt")
def index(folder: Folder) -> None:
    """Note where each clip begins, so that any clip of a large data set is read at one look. Optional.

    Shards stay as they are; after a change of the data set the index is refused until it is made anew.
    """
    with _clear_errors():
        from simgen.cli.progress import track
        from simgen.dataset.format.manifest import MANIFEST
        from simgen.dataset.format.reader import DataSet, forget_index
        from simgen.dataset.store.locations import place

        there = place(folder)
        if (there / MANIFEST).is_file():
            forget_index(there)
        data = DataSet(there)
        with track("index", len(data.manifest.shards)) as step:
            path = data.write_index(step)
    typer.echo(f"{path}: {len(data)} clips in {len(data.manifest.shards)} shards")


# ------------------------------------------------------------------------------------------------- the user's camera

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
    with _clear_errors():
        from simgen.dataset.store.files import write_atomically
        from simgen.presets.fit_camera.fit import fit_camera
        from simgen.presets.fit_camera.measures import measure
        from simgen.presets.fit_camera.page import page as page_of
        from simgen.presets.fit_camera.photos import read_pictures
        from simgen.presets.read import load_config

        load_config(base)
        if beside and not page:
            _fail("--beside: is shown on the page: add --page FILE")
        pictures = read_pictures(folder, photos)
        fields = read_pictures(flat_fields, photos, fewest=1) if flat_fields else []
        shown = {str(path): [measure(p) for p in read_pictures(path, photos)] for path in beside or []}
        found = fit_camera(pictures, fields)
        _write_preset(out, found.to_yaml(_named_from(base, out)))
        if page:
            write_atomically(page, [page_of(found, shown).encode()])
    for name, knob in found.ranges.items():
        typer.echo(f"sensor.{name}: {knob.low:g} to {knob.high:g}: {knob.how}")
    for name, why in found.untold.items():
        typer.echo(f"not told: {name}: {why}")
    typer.echo(f"{out}" + (f", {page}" if page else ""))


# ---------------------------------------------------------------------------------------------------- the user's parts

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
    with _clear_errors():
        from simgen.cli.progress import Progress, track
        from simgen.dataset.store.locations import place
        from simgen.generate.run import default_shard_scenes, generate
        from simgen.presets.fit_finish.fit import fit_finishes, probe, to_yaml
        from simgen.presets.fit_finish.read import photographed, simulated
        from simgen.presets.read import load_config

        config = load_config(base, [f"render.renderer={_chosen(renderer)}", "timing.frames=1"])
        probed = probe(config)
        real = photographed(photos)
        plan, known = _plan_of(probed, Path(base).stem, seed, scenes, default_shard_scenes(scenes), 600.0)
        with Progress(scenes) as progress:
            generate(plan, known, place(work), workers=workers, resume=True, tell=progress.tell)
        data = _data_set(work)
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

    write_atomically(out, [text.encode()])
    load_config(str(out) if "/" in str(out) else f"./{out}")


def _data_set(folder: str) -> DataSet:
    from simgen.dataset.format.reader import DataSet
    from simgen.dataset.store.locations import place

    return DataSet(place(folder))
