"""The `simgen` command. Each subcommand imports what it needs when it runs, so that help comes at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from simgen.engine import Plan
    from simgen.shards import DataSet, Manifest

app = typer.Typer(
    help="Labelled frame sequences of manufactured parts, from a seed.",
    epilog="Start with: [bold]simgen render --preset conveyor --scenes 8 --out out/first[/]",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
Folder = Annotated[Path, typer.Argument(help="Folder of a data set.", metavar="DIR")]


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
    from simgen.export.errors import ExportError
    from simgen.generate import GenerateError, Interrupted
    from simgen.loading import ConfigError
    from simgen.shards import ShardError
    from simgen.unavailable import RendererLost, RendererUnavailable

    try:
        yield
    except Interrupted as error:
        _fail(str(error), 130)
    except (ConfigError, ExportError, GenerateError, RendererLost, RendererUnavailable, ShardError) as error:
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
    out: Annotated[Path, typer.Option(help="Folder for the data set: empty, new, or with --resume its own.")],
    seed: Annotated[int, typer.Option(min=0, help="Another seed is another data set.")] = 0,
    preset: Annotated[str, typer.Option(help="A preset's name (simgen presets), or a YAML file.")] = "conveyor",
    workers: Annotated[int, typer.Option(help="Processes. The bytes do not depend on it.")] = 1,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one knob; may be repeated.")
    ] = None,
    renderer: Annotated[
        str | None, typer.Option(help="auto (pbr where it can run, else tiny), tiny or pbr; the preset's unless told.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what an earlier run left in --out.")] = False,
    shard_scenes: Annotated[
        int | None, typer.Option(help="Scenes in a shard; the default goes by --scenes and is at most 16.")
    ] = None,
) -> None:
    """Render a data set of labelled clips.

    The same preset, settings and seed give the same bytes for any number of workers, also after a run that was killed.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does
    with _clear_errors():
        from simgen.generate import default_shard_scenes, generate
        from simgen.progress import Progress

        if scenes < 1:
            _fail(f"--scenes: needs at least 1, got {scenes}")
        size = shard_scenes if shard_scenes is not None else default_shard_scenes(scenes)
        plan, categories = _plan(preset, overrides or [], seed, scenes, size, renderer)
        with Progress(scenes) as progress:
            manifest = generate(plan, categories, out, workers=workers, resume=resume, tell=progress.tell)
    _sum_up(out, manifest)


def _plan(
    preset: str, overrides: list[str], seed: int, scenes: int, shard_scenes: int, renderer: str | None
) -> tuple[Plan, tuple[str, ...]]:
    from simgen import __version__
    from simgen.engine import Plan
    from simgen.loading import load_config
    from simgen.quiet import quiet_stderr
    from simgen.shards import Request

    with quiet_stderr():
        from simgen.clip import categories, make_clip
        from simgen.render import AUTO, choose, describe
    if renderer == AUTO:  # once, here: the config says what draws, for every worker and for replay
        renderer, why = choose()
        typer.echo(f"simgen: renderer {renderer}: {why}", err=True)
    config = load_config(preset, [*overrides, *([f"render.renderer={renderer}"] if renderer else [])])
    request = Request(
        simgen=__version__,
        preset=Path(preset).stem,
        config=config.model_dump(mode="json"),
        seed=seed,
        scenes=scenes,
        shard_scenes=shard_scenes,
        renderer=describe(config.render.renderer),
    )
    return Plan(request, config, make_clip), categories(config)


def _sum_up(out: Path, manifest: Manifest) -> None:
    frames, size = (sum(values) for values in zip(*((s.frames, s.bytes) for s in manifest.shards), strict=True))
    typer.echo(
        f"{manifest.clips} clips, {frames} frames, {size / 1e6:.1f} MB in {len(manifest.shards)} shards: {out}"
        f"\n  categories: {', '.join(manifest.categories)}"
    )
    for scene in manifest.quarantined[:5]:
        typer.echo(f"  left out: scene {scene.index}: {scene.reason}", err=True)
    if len(manifest.quarantined) > 5:
        typer.echo(f"  left out: {len(manifest.quarantined) - 5} more, in {out / 'manifest.json'}", err=True)
    typer.echo(f"  look at it: simgen preview {out}")


@app.command(epilog="simgen presets")
def presets() -> None:
    """List the presets that come with simgen."""
    with _clear_errors():
        from simgen.loading import presets as known

        found = known()
        width = max(map(len, found))
        for name, description in found.items():
            typer.echo(f"{name:<{width}}  {description}")


# ------------------------------------------------------------------------------------------- looking at a data set


@app.command(epilog="simgen preview out/belt\n\nsimgen preview out/belt --clips 8 --frames 3 --out belt.png")
def preview(
    folder: Folder,
    out: Annotated[Path | None, typer.Option(help="The picture; DIR.png beside the folder unless told.")] = None,
    clips: Annotated[int, typer.Option(min=1, max=64, help="How many clips, spread over the data set.")] = 4,
    frames: Annotated[int, typer.Option(min=1, max=16, help="How many frames of each, spread over the clip.")] = 4,
) -> None:
    """Draw a contact sheet: masks, boxes (solid: seen, dashed: the whole part), ids, categories, visible shares."""
    with _clear_errors():
        from simgen.preview import contact_sheet, write_png

        path = out or folder.resolve().with_name(f"{folder.resolve().name}.png")
        picture = contact_sheet(_data_set(folder), clips, frames)
        write_png(path, picture)
    typer.echo(f"{path} ({picture.shape[1]} x {picture.shape[0]})")


@app.command(epilog="simgen replay out/belt 41")
def replay(folder: Folder, scene: Annotated[int, typer.Argument(help="The scene's number.", metavar="K")]) -> None:
    """Make scene K again from its seed and compare every byte. Exit status 1 if anything differs."""
    with _clear_errors():
        from simgen.quiet import quiet_stderr

        with quiet_stderr():
            from simgen.clip import make_clip
            from simgen.render import describe
        from simgen.loading import stored_config
        from simgen.replay import replay_scene

        data = _data_set(folder)
        config = stored_config(data.manifest.request.config)
        found = replay_scene(data, scene, config, make_clip, describe(config.render.renderer))
    if not found.differences:
        typer.echo(f"scene {scene}: identical, {found.members} members")
        return
    for line in found.differences:
        typer.echo(line)
    _fail(f"scene {scene}: {len(found.differences)} of {found.members} members differ", 1)


@app.command(
    epilog="simgen export out/belt --format coco --out out/belt_coco\n\nsimgen export out/belt --out belt/labels.json"
)
def export(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="A folder, or the .json to write; pictures go to images/ beside it.")],
    format: Annotated[str, typer.Option(help="coco")] = "coco",
) -> None:
    """Write a data set in another format."""
    with _clear_errors():
        from simgen.export import export as write
        from simgen.progress import track

        data = _data_set(folder)
        with track(f"export to {format}", len(data)) as step:
            path, counts = write(data, format, out, step)
    typer.echo(f"{path}: " + ", ".join(f"{number} {what}" for what, number in counts.items()))


@app.command(epilog="simgen check out/belt")
def check(folder: Folder) -> None:
    """Check a data set: checksums, schema, labels that agree with the pixels. Exit status 1 if anything is wrong."""
    with _clear_errors():
        from simgen.check import check_data_set
        from simgen.progress import track

        data = _data_set(folder)
        with track("check", len(data)) as step:
            problems = check_data_set(data, step)
    for line in problems:
        typer.echo(line)
    if problems:
        _fail(f"{folder}: {len(problems)} problems", 1)
    typer.echo(f"{folder}: {len(data)} clips, nothing wrong")


def _data_set(folder: Path) -> DataSet:
    from simgen.shards import DataSet

    return DataSet(folder)


if __name__ == "__main__":
    main()
