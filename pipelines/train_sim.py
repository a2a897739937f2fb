"""Pretrain a detector on a simulated data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.common import extras, options

EPILOG = """Examples:

  python -m pipelines.train_sim --data data/sim --out out/sim

  python -m pipelines.train_sim --data data/belt --preset lite-video --out out/belt     (a fixed camera over a belt)

  python -m pipelines.train_sim --data data/sim --model backbone=resnet34 --steps 500 --out out/resnet34
"""


@dataclass(frozen=True)
class Defaults:
    """Training settings of one kind of detector, for options that are not given."""

    batch: int  # clips
    clip_length: int  # frames, where it needs clips
    blank: float  # share of a clip's frames after the first
    cnn_first: float  # share of the steps
    occluders: float  # share of the clips


STILLS = Defaults(batch=8, clip_length=2, blank=0.1, cnn_first=0.0, occluders=0.0)
# a detector that follows objects must see some of them disappear: frames are blanked, occluders drawn in
VIDEO = Defaults(batch=4, clip_length=5, blank=0.3, cnn_first=0.5, occluders=0.5)


def _training_option(name: str, help_: str, *flags: str, unit: str = "") -> Any:
    """An option of the group Training whose default depends on the kind of detector; --help shows both defaults."""
    stills, video = getattr(STILLS, name), getattr(VIDEO, name)
    shown = f"{stills:g}; {video:g}{unit} with tracks"
    return typer.Option(*flags, help=help_, show_default=shown, rich_help_panel=options.TRAINING)


def main(
    data: Annotated[
        str,
        typer.Option(
            metavar="DIR",
            help="Folder or URL of a simulated data set (simgen render), or a folder of several.",
            rich_help_panel=options.DATA,
        ),
    ],
    out: options.Out,
    holdout: options.Holdout = 0.1,
    init: Annotated[
        Path | None,
        typer.Option(
            help="A finished run to start from, or the name of released weights, in place of --preset and --branches.",
            rich_help_panel=options.DETECTOR,
        ),
    ] = None,
    preset: options.Preset = options.PRESET,
    branches: options.Branches = None,
    model: options.Model = None,
    steps: options.Steps = 2000,
    batch: Annotated[int | None, _training_option("batch", options.BATCH)] = None,
    clip_length: Annotated[
        int | None,
        typer.Option(
            help=options.CLIP_LENGTH,
            show_default="1 for a detector that looks at each frame alone; 5 with tracks; else 2",
            rich_help_panel=options.TRAINING,
        ),
    ] = None,
    tile: options.Tile = options.TILE_PX,
    lr: options.LearningRate = 5e-4,
    backbone_rate: options.BackboneRate = None,
    frozen_stages: options.FrozenStages = options.FROZEN_STAGES,
    stage_decay: options.StageDecay = options.STAGE_DECAY,
    blank: Annotated[
        float | None, _training_option("blank", "Share of a clip's frames that are blanked; never its first.")
    ] = None,
    longest_step: Annotated[
        int,
        typer.Option(
            help="Clips skip frames, at random up to every n-th: trains for other frame rates.",
            rich_help_panel=options.TRAINING,
        ),
    ] = 1,
    cnn_first: Annotated[
        int | None,
        _training_option(
            "cnn_first", "Steps in which the CNN learns alone, before the other branches.", unit=" of the steps"
        ),
    ] = None,
    occluders: Annotated[
        float | None,
        _training_option(
            "occluders",
            "Share of the clips with occluders drawn in; needs boxes of whole parts, as the video presets have. "
            "--in-front is the option's earlier name.",
            "--occluders",
            "--in-front",
        ),
    ] = None,
    copy_paste: extras.CopyPasteOption = 0.0,
    mosaic: extras.MosaicOption = 0.0,
    match: extras.MatchOption = None,
    match_by: extras.MatchByOption = extras.MATCH_BY,
    match_share: extras.MatchShareOption = extras.MATCH_SHARE,
    empty: extras.EmptyOption = None,
    empty_share: extras.EmptyShareOption = extras.EMPTY_SHARE,
    warm_up: extras.WarmUpOption = None,
    warm_up_steps: extras.WarmUpStepsOption = extras.WARM_UP_STEPS,
    recipe: options.Recipe = None,
    precision: options.Precision = options.PRECISION,
    accumulate: options.Accumulate = options.ACCUMULATE,
    truncate: options.Truncate = options.TRUNCATE,
    validate_every: options.ValidateEvery = options.VALIDATE_EVERY,
    patience: options.Patience = options.PATIENCE,
    log_to: options.LogTo = options.LOG_TO,
    seed: options.Seed = options.SEED,
    threads: options.Threads = options.THREADS,
    workers: options.Workers = options.WORKERS,
    device: options.Device = options.DEVICE,
) -> None:
    """Pretrain a detector on a simulated data set. Held-out scenes are measured on at the end."""
    with options.one_line_errors():
        from hybrid.core.device import check_device_name
        from hybrid.core.errors import DataError
        from hybrid.weights.released import run_at
        from pipelines.common.data import data_hash, hold_out, is_data_set, names, read
        from pipelines.common.paths import check_folder, check_runs, data_at
        from pipelines.common.recipes import note_precision, train_config
        from pipelines.common.record import Experiment

        folder = data_at(data, "--data")
        if not is_data_set(folder):
            raise DataError(f"{data}: is not a simulated data set; for photos use pipelines.finetune_real")
        init = run_at(init) if init else None
        check_runs([init] if init else [], "--init")
        check_folder(out)
        check_device_name(device)
        more = extras.Extras(
            copy_paste, mosaic, match, match_by, match_share, empty, empty_share, warm_up, warm_up_steps
        )
        more.check_start(init)

        from hybrid.training.samples.sampler import WeightedSource
        from pipelines.common import runs
        from pipelines.common.unlabelled import warm_up_on

        planned = runs.architecture(init, ("any",), preset, branches, model or ())
        whole, defaults = planned.boxes == "whole", VIDEO if planned.tracks else STILLS
        if occluders and not whole:
            raise DataError(f"--occluders {occluders}: occluders hide parts; this needs --model boxes=whole")
        occluded = (defaults.occluders if whole else 0.0) if occluders is None else occluders
        settings = dict(
            steps=steps,
            batch_clips=defaults.batch if batch is None else batch,
            clip_length=runs.clip_length(planned, clip_length, out, defaults.clip_length),
            tile_px=tile,
            learning_rate=lr,
            backbone_rate=runs.backbone_rate(planned, backbone_rate, out),
            frozen_stages=frozen_stages,
            stage_decay=stage_decay,
            precision=precision,
            accumulate=accumulate,
            truncate=truncate,
            validate_every=validate_every,
            patience=patience,
            log_to=log_to,
            seed=seed,
            warmup_steps=min(100, steps // 10),
            blank_probability=defaults.blank if blank is None else blank,
            cnn_steps=int(defaults.cnn_first * steps) if cnn_first is None else cnn_first,
            longest_step=longest_step,
            augment=more.augmentation(occluders=occluded),
            threads=threads,
            workers=workers,
            device=device,
        )
        config = train_config(settings, recipe)
        note_precision(config)
        source = read(folder, boxes=planned.boxes)
        training, validation = hold_out(source, holdout, seed=0)
        experiment = Experiment(
            script="train_sim",
            data=str(folder),
            data_sha256=data_hash(folder),
            kind="simulated",
            trained_on=names(training),
            held_out=names(validation),
            warm_up=str(warm_up) if warm_up else None,
        )
        run = runs.carry_out(
            lambda: runs.start(init, source.categories, preset, branches, seed, model or ()),
            more.shares([WeightedSource(training)], [True]),
            validation,
            config,
            out,
            experiment,
            warming=warm_up_on(warm_up, warm_up_steps, source.categories, out),
        )
        if run:  # of several processes the first one speaks
            typer.echo(
                f"{out}: {run['steps']} steps on {len(training)} of {len(source)} scenes, {run['seconds']:.0f} s"
            )


app = options.single_app(main, EPILOG)

if __name__ == "__main__":
    app()
