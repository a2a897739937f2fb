"""simgen render, join and presets."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simgen.cli.common import app, chosen_renderer, clear_errors, fail, plan_of

if TYPE_CHECKING:
    from simgen.dataset.format.manifest import Manifest
    from simgen.dataset.store.locations import Location
    from simgen.generation.engines import Plan


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
    with clear_errors():
        from simgen.cli.progress import Progress, track
        from simgen.dataset.store.locations import location
        from simgen.generation.budget import TRIAL_SCENES, estimate, parse_budget
        from simgen.generation.engines import choose_engine
        from simgen.generation.run import default_shard_scenes, run_plan

        made_by, target = choose_engine(engine, address), location(out)
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
            with track("trial scenes", 1 + min(TRIAL_SCENES, scenes)) as advance:
                found = estimate(plan, target, workers or 1, advance)
            typer.echo(
                "\n".join([f"{scenes} scenes of {preset}, nothing written:", *(f"  {line}" for line in found.lines())])
            )
            return
        with Progress(sum(len(plan.request.scenes_of(k)) for k in only) if only else scenes) as progress:
            manifest = run_plan(
                plan, categories, target, workers=workers, resume=resume, tell=progress.tell, engine=made_by,
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
    from simgen.presets.read import load_config

    config = load_config(preset, [*overrides, *([f"render.renderer={chosen_renderer(renderer)}"] if renderer else [])])
    return plan_of(config, Path(preset).stem, seed, scenes, shard_scenes, scene_limit_s)


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
    with clear_errors():
        from simgen.cli.progress import track
        from simgen.dataset.store.locations import location, sizes
        from simgen.generation.join import join as bring_together

        target, folders = location(out), [location(part) for part in parts]
        seen = {name for folder in folders for name in sizes(folder) if name.endswith(".tar")}
        with track("join", len(seen)) as advance:
            manifest = bring_together(target, folders, advance)
    _sum_up(target, manifest)


@app.command(epilog="simgen presets")
def presets() -> None:
    """List the presets that come with simgen."""
    with clear_errors():
        from simgen.presets.layers import presets as known

        found = known()
        width = max(map(len, found))
        for name, description in found.items():
            typer.echo(f"{name:<{width}}  {description}")
