"""Fine-tune a pretrained detector on photos, or train one on them from scratch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.common import extras, options

if TYPE_CHECKING:
    from hybrid.data.clips import ClipSource
    from hybrid.training.config import TrainConfig
    from pipelines.common.tuning.job import FineTuning
    from pipelines.common.tuning.photos import Chosen

EPILOG = """Examples:

  python -m pipelines.finetune_real --checkpoint out/sim --data photos/train.json --shots 10 --out out/sim10

  python -m pipelines.finetune_real --checkpoint none --data photos/train.json --shots 10 --out out/scratch10
"""


def main(
    checkpoint: options.Checkpoint,
    out: options.Out,
    data: Annotated[
        str | None,
        typer.Option(
            help="Photos: COCO JSON or YOLO data.yaml (its train). Or, as a stand-in, a simulated data set.",
            rich_help_panel=options.DATA,
        ),
    ] = None,
    shots: options.Shots = None,
    unlabelled: options.Unlabelled = None,
    shuffle_seed: options.ShuffleSeed = options.SHUFFLE_SEED,
    sim: options.Sim = None,
    sim_share: Annotated[
        float | None,
        typer.Option(help="Share of the samples that are simulated.", show_default="0.5", rich_help_panel=options.DATA),
    ] = None,
    categories: options.Categories = None,
    holdout: options.Holdout = 0.0,
    preset: options.Preset = options.PRESET,
    branches: options.Branches = None,
    model: options.Model = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="plain, frozen-first, l2-sp, wise-ft, mean-teacher, batch-norm, several joined by a plus; auto: the "
            "best of a cross-validation over sessions of the photos.",
            show_default="plain; mean-teacher with --unlabelled",
            rich_help_panel=options.TRAINING,
        ),
    ] = None,
    sessions: options.Sessions = None,
    steps: options.Steps = 600,
    batch: options.Batch = 8,
    clip_length: options.ClipLength = None,
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
    """Fine-tune a pretrained detector on photos, or train one on them from scratch."""
    with options.one_line_errors():
        from hybrid.core.device import check_device_name
        from hybrid.core.environment import is_alone
        from hybrid.core.errors import DataError
        from hybrid.weights.released import run_at
        from pipelines.common.paths import check_folder, check_runs, check_sim, check_unlabelled, data_at
        from pipelines.common.tuning.begun import begun_in

        if (shots or 0) < 0 or not 0.0 <= (sim_share or 0.0) < 1.0:
            raise DataError(f"needs --shots of 0 or more and 0 <= --sim-share < 1, got {shots} and {sim_share}")
        if data is None and unlabelled is None:
            raise DataError("needs photos: --data with labels, --unlabelled without, or both")
        init = None if checkpoint == "none" else run_at(checkpoint)
        labelled = None if data is None or (unlabelled and shots == 0) else data_at(data, "--data")
        check_runs([init] if init else [], "--checkpoint")
        check_sim(sim)
        check_unlabelled(unlabelled)
        check_folder(out)
        check_device_name(device)
        more = extras.Extras(
            copy_paste, mosaic, match, match_by, match_share, empty, empty_share, warm_up, warm_up_steps
        )
        more.check_start(init)
        begun = begun_in(out)

        from pipelines.common import runs
        from pipelines.common.kept import in_words
        from pipelines.common.recipes import note_precision, train_config
        from pipelines.common.tuning.job import prepare

        planned = runs.architecture(init, ("any",), preset, branches, model or ())
        settings = dict(
            steps=steps, batch_clips=batch, clip_length=runs.clip_length(planned, clip_length, out), tile_px=tile,
            learning_rate=lr, seed=seed,
            backbone_rate=runs.backbone_rate(planned, backbone_rate, out), frozen_stages=frozen_stages,
            stage_decay=stage_decay, precision=precision, accumulate=accumulate, truncate=truncate,
            validate_every=validate_every, patience=patience, log_to=log_to,
            warmup_steps=min(100, steps // 10), threads=threads, workers=workers, device=device,
            augment=more.augmentation(),
        )  # fmt: skip
        config = train_config(settings, recipe)
        note_precision(config)
        tuning, chosen = prepare(
            init, labelled, unlabelled, begun, shots=shots, shuffle_seed=shuffle_seed, holdout=holdout,
            categories=categories, sim=sim, sim_share=sim_share, preset=preset, branches=branches, model=model or (),
            more=more,
        )  # fmt: skip
        way = method or (begun and begun.experiment.method) or ("mean-teacher" if unlabelled else "plain")
        if way == "auto":
            if not is_alone():
                raise DataError("--method auto: runs in one process alone; name a method for several")
            way = (begun and begun.experiment.method) or _best_method(tuning, chosen, config, sessions, out)
        run = tuning.run(way, chosen.training, chosen.validation, config, out)
        if run:  # of several processes the first one speaks
            typer.echo(f"{out}: {run['steps']} steps by {way} on {chosen.in_words()}, {run['seconds']:.0f} s")
        if run.get("kept"):
            typer.echo(in_words(run["kept"]))


def _best_method(tuning: FineTuning, chosen: Chosen, config: TrainConfig, sessions: str | None, out: Path) -> str:
    """The method that `--method auto` chooses; its trials stand in a folder beside `out`."""
    from hybrid.core.errors import DataError
    from pipelines.common.tuning import auto
    from pipelines.gap.sessions import sessions_by

    photos = chosen.training
    if photos is None:
        raise DataError("--method auto: measures on labelled photos, and there are none; name a method")
    numbers = sessions_by([clip.name for clip in photos.clips], sessions)[0].tolist()
    trial = config.with_steps(max(1, round(auto.STEPS_SHARE * config.steps)))

    def run(method: str, training: ClipSource, held_out: ClipSource, folder: Path) -> float:
        measured = tuning.run(method, training, held_out, trial, folder).get("validation")
        return float((measured["ema"]["overall"]["ap"] if measured else None) or 0.0)

    candidates = (*auto.CANDIDATES, *(["mean-teacher"] if tuning.unlabelled else []))
    choice = auto.choose(photos, numbers, run, out.with_name(f"{out.name}-auto"), candidates)
    typer.echo(f"{len(set(numbers))} sessions by {sessions or 'name without its last number'}")
    typer.echo(choice.in_words())
    return choice.method


app = options.single_app(main, EPILOG)

if __name__ == "__main__":
    app()
