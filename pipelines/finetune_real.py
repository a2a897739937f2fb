"""Fine-tune a pretrained detector on photos, or train one on them from scratch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.common import options

EPILOG = """Examples:

  python -m pipelines.finetune_real --checkpoint out/sim --data photos/train.json --shots 10 --out out/sim10

  python -m pipelines.finetune_real --checkpoint none --data photos/train.json --shots 10 --out out/scratch10
"""


def main(
    checkpoint: Annotated[
        str,
        typer.Option(
            help="A finished run to start from; or none: from scratch, by --preset and --branches, for comparison.",
            rich_help_panel=options.DETECTOR,
        ),
    ],
    data: Annotated[
        str,
        typer.Option(
            help="Photos: COCO JSON or YOLO data.yaml (its train). Or, as a stand-in, a simulated data set.",
            rich_help_panel=options.DATA,
        ),
    ],
    out: options.Out,
    shots: Annotated[
        int,
        typer.Option(help="Photos to train on: the first of a shuffle; 0: all.", rich_help_panel=options.DATA),
    ] = 0,
    shuffle_seed: Annotated[int, typer.Option(help="Seed of that shuffle.", rich_help_panel=options.DATA)] = 0,
    sim: Annotated[
        str | None,
        typer.Option(help="Folder or URL of a simulated data set to mix in.", rich_help_panel=options.DATA),
    ] = None,
    sim_share: Annotated[
        float, typer.Option(help="Share of the samples that come from --sim.", rich_help_panel=options.DATA)
    ] = 0.3,
    holdout: options.Holdout = 0.0,
    preset: options.Preset = options.PRESET,
    branches: options.Branches = None,
    steps: options.Steps = 600,
    batch: options.Batch = 8,
    clip_length: options.ClipLength = 2,
    tile: options.Tile = options.TILE_PX,
    lr: options.LearningRate = 3e-4,
    seed: options.Seed = options.SEED,
    threads: options.Threads = options.THREADS,
    workers: options.Workers = options.WORKERS,
    device: options.Device = options.DEVICE,
) -> None:
    """Fine-tune a pretrained detector on photos, or train one on them from scratch."""
    with options.one_line_errors():
        from hybrid.core.errors import DataError
        from hybrid.training.config import TrainConfig
        from hybrid.training.samples.sampler import WeightedSource
        from pipelines.common.data import data_hash, hold_out, names, read, target_kind
        from pipelines.common.record import Experiment
        from pipelines.common.runs import architecture, carry_out, start
        from simgen.dataset.store.locations import location

        if shots < 0 or not 0.0 <= sim_share < 1.0:
            raise DataError(f"needs --shots of 0 or more and 0 <= --sim-share < 1, got {shots} and {sim_share}")
        config = TrainConfig(
            steps=steps, batch_clips=batch, clip_length=clip_length, tile_px=tile, learning_rate=lr, seed=seed,
            warmup_steps=min(100, steps // 10), threads=threads, workers=workers, device=device,
        )  # fmt: skip
        photos, mixed_in = location(data), location(sim) if sim else None
        init = None if checkpoint == "none" else Path(checkpoint)
        boxes = architecture(init, ("any",), preset, branches).boxes
        source = read(photos, boxes=boxes)
        pool, validation = hold_out(source, holdout, shuffle_seed)
        if shots > len(pool):
            raise DataError(f"{data}: --shots {shots}, but only {len(pool)} images are left to train on")
        training = source.take(shots, shuffle_seed) if shots else pool
        shares = [WeightedSource(training, 1.0 - sim_share if mixed_in else 1.0)]
        if mixed_in is not None:
            shares.append(WeightedSource(read(mixed_in, source.categories, boxes=boxes), sim_share))
        experiment = Experiment(
            script="finetune_real",
            data=str(photos),
            data_sha256=data_hash(photos),
            kind=target_kind(photos),
            trained_on=names(training),
            held_out=names(validation),
            shots=len(training),
            shuffle_seed=shuffle_seed,
            mixed_in=str(mixed_in) if mixed_in else None,
            mixed_in_sha256=data_hash(mixed_in) if mixed_in else None,
        )
        run = carry_out(
            lambda: start(init, source.categories, preset, branches, seed), shares, validation, config, out, experiment
        )
        used = f"{len(training)} of {len(source)} {experiment.kind} clips"
        typer.echo(f"{out}: {run['steps']} steps on {used}, {run['seconds']:.0f} s")


app = options.single_app(main, EPILOG)

if __name__ == "__main__":
    app()
