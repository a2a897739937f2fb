"""Fine-tune a pretrained detector on photos, or train one on them from scratch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.common import extras, options

if TYPE_CHECKING:
    from hybrid.data.clips import ClipSource

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
        typer.Option(
            help="Photos to train on: the first of a shuffle; 0: all. A frame of a video counts as a photo.",
            rich_help_panel=options.DATA,
        ),
    ] = 0,
    shuffle_seed: Annotated[int, typer.Option(help="Seed of that shuffle.", rich_help_panel=options.DATA)] = 0,
    sim: Annotated[
        str | None,
        typer.Option(help="Folder or URL of a simulated data set to mix in.", rich_help_panel=options.DATA),
    ] = None,
    sim_share: Annotated[
        float, typer.Option(help="Share of the samples that come from --sim.", rich_help_panel=options.DATA)
    ] = 0.3,
    categories: options.Categories = None,
    holdout: options.Holdout = 0.0,
    preset: options.Preset = options.PRESET,
    branches: options.Branches = None,
    steps: options.Steps = 600,
    batch: options.Batch = 8,
    clip_length: options.ClipLength = 2,
    tile: options.Tile = options.TILE_PX,
    lr: options.LearningRate = 3e-4,
    backbone_rate: options.BackboneRate = None,
    frozen_stages: options.FrozenStages = options.FROZEN_STAGES,
    stage_decay: options.StageDecay = options.STAGE_DECAY,
    copy_paste: extras.CopyPasteOption = 0.0,
    mosaic: extras.MosaicOption = 0.0,
    match: extras.MatchOption = None,
    match_by: extras.MatchByOption = extras.MATCH_BY,
    match_share: extras.MatchShareOption = extras.MATCH_SHARE,
    empty: extras.EmptyOption = None,
    empty_share: extras.EmptyShareOption = extras.EMPTY_SHARE,
    seed: options.Seed = options.SEED,
    threads: options.Threads = options.THREADS,
    workers: options.Workers = options.WORKERS,
    device: options.Device = options.DEVICE,
) -> None:
    """Fine-tune a pretrained detector on photos, or train one on them from scratch."""
    with options.one_line_errors():
        from hybrid.core.device import check_device_name
        from hybrid.core.errors import DataError
        from hybrid.training.config import TrainConfig
        from pipelines.common.data import (
            REAL,
            data_hash,
            hold_out,
            names,
            photo_digests,
            read,
            take_photos,
            target_kind,
            without_copies_of,
        )  # fmt: skip
        from pipelines.common.paths import check_folder, check_runs, data_at
        from pipelines.common.record import Experiment

        if shots < 0 or not 0.0 <= sim_share < 1.0:
            raise DataError(f"needs --shots of 0 or more and 0 <= --sim-share < 1, got {shots} and {sim_share}")
        init = None if checkpoint == "none" else Path(checkpoint)
        photos, mixed_in = data_at(data, "--data"), data_at(sim, "--sim") if sim else None
        check_runs([init] if init else [], "--checkpoint")
        check_folder(out)
        check_device_name(device)
        more = extras.Extras(copy_paste, mosaic, match, match_by, match_share, empty, empty_share)

        from hybrid.training.samples.sampler import WeightedSource
        from pipelines.common import runs

        planned = runs.architecture(init, ("any",), preset, branches)
        config = TrainConfig(
            steps=steps, batch_clips=batch, clip_length=clip_length, tile_px=tile, learning_rate=lr, seed=seed,
            backbone_rate=runs.backbone_rate(planned, backbone_rate, out), frozen_stages=frozen_stages,
            stage_decay=stage_decay,
            warmup_steps=min(100, steps // 10), threads=threads, workers=workers, device=device,
            augment=more.augmentation(),
        )  # fmt: skip
        source = read(photos, categories, boxes=planned.boxes)
        pool, validation = hold_out(source, holdout, shuffle_seed)
        if shots > len(pool.frames):
            raise DataError(f"{data}: --shots {shots}, but only {len(pool.frames)} photos are left to train on")
        training = take_photos(pool, shots, shuffle_seed) if shots else pool
        if validation is not None:
            validation = without_copies_of(validation, training)
        shares, digests = [WeightedSource(training, 1.0 - sim_share if mixed_in else 1.0)], photo_digests(training)
        if mixed_in is not None:
            mixed = read(mixed_in, source.categories, boxes=planned.boxes, named_by=data)
            shares.append(WeightedSource(mixed, sim_share))
            if target_kind(mixed_in) == REAL:  # photos are trained on, wherever they stand
                validation = without_copies_of(validation, mixed) if validation else None
                digests = tuple(sorted({*digests, *photo_digests(mixed)}))
        experiment = Experiment(
            script="finetune_real",
            data=str(photos),
            data_sha256=data_hash(photos),
            kind=target_kind(photos),
            trained_on=names(training),
            held_out=names(validation),
            shots=len(training.frames),
            shuffle_seed=shuffle_seed,
            mixed_in=str(mixed_in) if mixed_in else None,
            mixed_in_sha256=data_hash(mixed_in) if mixed_in else None,
            photo_digests=digests,
        )
        run = runs.carry_out(
            lambda: runs.start(init, source.categories, preset, branches, seed),
            more.shares(shares, [False, True][: len(shares)]),
            validation,
            config,
            out,
            experiment,
        )
        used = f"{_count(training)} of {len(source.frames)} {experiment.kind} photos"
        typer.echo(f"{out}: {run['steps']} steps on {used}, {run['seconds']:.0f} s")


def _count(training: ClipSource) -> str:
    """The number of photos, and of the clips that they are from where these are videos."""
    photos, clips = len(training.frames), len(training)
    return f"{photos}" if photos == clips else f"{photos} (frames of {clips} clips)"


app = options.single_app(main, EPILOG)

if __name__ == "__main__":
    app()
