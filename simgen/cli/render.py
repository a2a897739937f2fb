"""simgen render and join."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simgen.cli.common import app, chosen_renderer, clear_errors, fail, preset_names, say_notes
from simgen.spec.errors import BudgetSpent

if TYPE_CHECKING:
    from simgen.dataset.format.manifest import Manifest
    from simgen.dataset.store.locations import Location
    from simgen.generation.engines import Plan


SCENES_MISSING = 4  # exit status


@app.command(
    epilog="simgen render --preset conveyor --scenes 100 --out out/belt --workers 4\n\n"
    "simgen render --preset bolts_on_table --scenes 20 --seed 7 --out out/dim --set light.key_intensity.high=1.5\n\n"
    "simgen render --preset my_line.yaml --scenes 1000 --out out/line --renderer auto --resume"
)
def render(
    scenes: Annotated[int, typer.Option(help="Number of scenes; each becomes a clip.")],
    out: Annotated[
        str,
        typer.Option(
            metavar="DIR", help="Folder or URL (s3://...) to write: new, empty, or with --resume of the same data set."
        ),
    ],
    seed: Annotated[int, typer.Option(min=0, help="Another seed gives another data set.")] = 0,
    preset: Annotated[
        str, typer.Option(help="A preset's name (simgen presets), or a YAML file.", autocompletion=preset_names)
    ] = "conveyor",
    workers: Annotated[
        int | None,
        typer.Option(
            help="Shards made at a time; default: 1, or the CPUs of the cluster. The bytes do not depend on it."
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one knob; may be repeated.")
    ] = None,
    renderer: Annotated[
        str | None,
        typer.Option(help="auto (pbr where it can run, else tiny), tiny, pbr or pathtraced; default: the preset's."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Continue an earlier run in --out, make scenes again that it lost, or grow it to more --scenes.",
        ),
    ] = False,
    shard_scenes: Annotated[
        int | None, typer.Option(help="Scenes in a shard; the default depends on --scenes and is at most 16.")
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="Start no shard that would exceed this (90m, 2h, 50GB); exit status 3 if unfinished."),
    ] = None,
    scene_limit: Annotated[
        float, typer.Option(min=1.0, help="Seconds after which a scene is stopped; the second time it is left out.")
    ] = 600.0,
    shards: Annotated[
        str | None,
        typer.Option(metavar="A:B", help="Render a slice, shards A to B - 1; simgen join joins slices."),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="local: processes of this machine. ray: tasks of a Ray cluster.")
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(metavar="auto|ADDR", help="The Ray cluster; default: one on this machine, for this run."),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Make a few scenes, write nothing, and estimate time, disk and memory, and how far --budget goes.",
        ),
    ] = False,
) -> None:
    """Render a data set of labelled clips.

    The same preset, settings and seed give the same bytes, for any number of workers and after any interruption.

    A scene that fails is left out and named, and the exit status is 4. If the machine failed (a worker was killed, for
    lack of memory for example, or took longer than --scene-limit), --resume makes the scene again.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM ends a run as Ctrl-C does
    with clear_errors():
        from simgen.cli.progress import Progress, track
        from simgen.dataset.store.locations import location
        from simgen.generation.budget import TRIAL_SCENES, Budget, estimate, parse_budget
        from simgen.generation.engines import choose_engine
        from simgen.generation.engines.shard import one_thread
        from simgen.generation.run import default_shard_scenes, run_plan

        chosen, target = choose_engine(engine, address), location(out)
        if scenes < 1:
            fail(f"--scenes: needs at least 1, got {scenes}")
        size = shard_scenes if shard_scenes is not None else default_shard_scenes(scenes)
        plan, categories = _plan(preset, overrides or [], seed, scenes, size, scene_limit, renderer)
        try:
            allowed = parse_budget(budget) if budget else None
        except ValueError as error:
            fail(f"--budget: {error}")
        only = _slice(shards) if shards else None
        if dry_run:
            one_thread()  # as in a worker
            with track("trial scenes", 1 + min(TRIAL_SCENES, scenes)) as advance:
                estimated = estimate(plan, target, workers or 1, advance, allowed or Budget())
            lines = [f"{scenes} scenes of {preset}, nothing written:", *(f"  {line}" for line in estimated.lines())]
            typer.echo("\n".join(lines))
            raise typer.Exit(0 if estimated.affordable == scenes else BudgetSpent.status)
        asked = sum(len(plan.request.scenes_of(k)) for k in only) if only else scenes
        with Progress(asked, workers or 1, size) as progress:
            manifest = run_plan(
                plan, categories, target, workers=workers, resume=resume, on_event=progress.on_event, engine=chosen,
                budget=allowed, only=only,
            )  # fmt: skip
    _sum_up(target, manifest)


def _slice(text: str) -> range:
    first, colon, last = text.partition(":")
    if not (colon and first.isdecimal() and last.isdecimal()):
        fail(f"--shards: {text!r} is no slice such as 0:100")
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
    from simgen.generation.plan import make_plan
    from simgen.presets.read import load_config

    config = load_config(preset, [*overrides, *([f"render.renderer={chosen_renderer(renderer)}"] if renderer else [])])
    say_notes(config)
    return make_plan(
        config,
        scenes=scenes,
        seed=seed,
        name=Path(preset).stem,
        shard_scenes=shard_scenes,
        scene_limit_s=scene_limit_s,
    )


def _sum_up(out: Location, manifest: Manifest) -> None:
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
    else:
        typer.echo(f"  look at it: simgen preview {out}")
    if lost := manifest.quarantined:
        again = sum(scene.may_succeed for scene in lost)
        hint = f"; the same command with --resume makes {again} of them again" if again else ""
        fail(f"{out}: {len(lost)} of {manifest.clips + len(lost)} scenes are missing{hint}", SCENES_MISSING)


@app.command(
    epilog="simgen render --scenes 10000 --shard-scenes 25 --shards 0:200 --out part-0    (and 200:400, elsewhere)\n\n"
    "simgen join --out data/belt part-0 part-1"
)
def join(
    parts: Annotated[list[str], typer.Argument(help="Folders or URLs of slices of one data set.", metavar="PART...")],
    out: Annotated[str, typer.Option(metavar="DIR", help="Folder or URL of the whole data set, new or empty.")],
) -> None:
    """Join slices that were rendered with --shards, on any machines, into one data set: the same bytes as one run."""
    with clear_errors():
        from simgen.cli.progress import track
        from simgen.dataset.store.locations import location, sizes
        from simgen.generation.join import join as join_slices

        target, folders = location(out), [location(part) for part in parts]
        names = {name for folder in folders for name in sizes(folder) if name.endswith(".tar")}
        with track("join", len(names)) as advance:
            manifest = join_slices(target, folders, advance)
    _sum_up(target, manifest)
