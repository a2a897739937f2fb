"""Search the options of a fine-tuning with Optuna: the accuracy on held-out photos of the pool decides."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.common import options

if TYPE_CHECKING:
    import optuna

    from pipelines.common.tuning.search import Outcome

EPILOG = """Examples:

  python -m pipelines.tune --checkpoint out/sim --data photos/train.json --shots 10 --trials 20 --out out/tune

  python -m pipelines.tune --checkpoint out/sim --data photos/train.json --search lr=1e-4..2e-3 steps=200,400,800 --out out/tune

A stopped search goes on with the same command. Its trials stand in OUT/study.db (SQLite, Optuna's own format).
"""  # noqa: E501


def main(
    checkpoint: options.Checkpoint,
    data: Annotated[
        str,
        typer.Option(
            help="Photos to train on and, some of them, to choose by. Never those of a test.",
            rich_help_panel=options.DATA,
        ),
    ],
    out: Annotated[Path, typer.Option(help="The folder of the search.", rich_help_panel=options.DATA)],
    trials: Annotated[
        int, typer.Option(help="Trials in all, those of earlier calls included.", rich_help_panel=options.TRAINING)
    ] = 20,
    search: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=LOW..HIGH|A,B ...",
            help="What to search: lr, backbone-rate, stage-decay, sim-share, steps, batch, clip-length, tile, "
            "frozen-stages, method.",
            show_default="lr, backbone-rate, sim-share and method, in ranges that suit ten photos",
            rich_help_panel=options.TRAINING,
        ),
    ] = None,
    space: Annotated[
        Path | None,
        typer.Option(
            help="YAML file of lines such as lr: 1e-4..2e-3; --search comes before it.",
            rich_help_panel=options.TRAINING,
        ),
    ] = None,
    shots: options.Shots = None,
    shuffle_seed: options.ShuffleSeed = options.SHUFFLE_SEED,
    holdout: options.Holdout = 0.3,
    sim: options.Sim = None,
    unlabelled: options.Unlabelled = None,
    categories: options.Categories = None,
    preset: options.Preset = options.PRESET,
    branches: options.Branches = None,
    model: options.Model = None,
    steps: options.Steps = 400,
    batch: options.Batch = 8,
    clip_length: options.ClipLength = None,
    tile: options.Tile = options.TILE_PX,
    seed: options.Seed = options.SEED,
    threads: options.Threads = options.THREADS,
    workers: options.Workers = options.WORKERS,
    device: options.Device = options.DEVICE,
) -> None:
    """Search the options of a fine-tuning on held-out photos of the pool, and print the best command line."""
    with options.one_line_errors():
        from hybrid.core.device import check_device_name
        from hybrid.core.errors import DataError
        from pipelines.common.paths import check_folder, check_runs, check_sim, check_unlabelled, data_at
        from pipelines.common.tuning.space import knobs

        if trials < 1 or not 0.0 < holdout < 1.0:
            raise DataError(f"needs --trials of 1 or more and 0 < --holdout < 1, got {trials} and {holdout}")
        ranges = knobs(search or (), space)
        init, labelled = None if checkpoint == "none" else Path(checkpoint), data_at(data, "--data")
        check_runs([init] if init else [], "--checkpoint")
        check_sim(sim)
        check_unlabelled(unlabelled)
        check_folder(out)
        check_device_name(device)

        from pipelines.common import runs
        from pipelines.common.extras import Extras
        from pipelines.common.tuning.job import prepare
        from pipelines.common.tuning.search import Search

        tuning, photos = prepare(
            init, labelled, unlabelled, None, shots=shots, shuffle_seed=shuffle_seed, holdout=holdout,
            categories=categories, sim=sim, sim_share=None, preset=preset, branches=branches, model=model or (),
            more=Extras(),
        )  # fmt: skip
        length = runs.clip_length(runs.architecture(init, ("any",), preset, branches, model or ()), clip_length)
        fixed: dict[str, Any] = {
            "steps": steps, "batch": batch, "clip-length": length, "tile": tile, "seed": seed,
        }  # fmt: skip
        machine = {"threads": threads, "workers": workers, "device": device}
        one = Search(tuning=tuning, photos=photos, knobs=ranges, fixed=fixed, machine=machine, out=out)
        study = one.carry_out(trials, _told)
        for line in report(one.outcome(study), out):
            typer.echo(line)
        given: dict[str, Any] = {
            "checkpoint": checkpoint, "data": data, "shots": shots, "shuffle-seed": shuffle_seed or None, "sim": sim,
            "unlabelled": unlabelled, "categories": categories, "preset": preset if init is None else None,
            "branches": branches, "model": model,
        }  # fmt: skip
        typer.echo(command({**given, **fixed, **one.outcome(study).values}, out))


def _told(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
    """One line about a trial that has ended."""
    options_ = " ".join(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
                        for name, value in trial.params.items())  # fmt: skip
    ap = "" if trial.value is None else f" AP {trial.value:.3f}"
    typer.echo(f"trial {trial.number}: {trial.state.name.lower()}{ap}: {options_}")


def report(outcome: Outcome, out: Path) -> list[str]:
    """What the search found, in lines."""
    return [
        f"{out}: best AP on {outcome.frames} held-out photos {outcome.ap:.3f}, by trial {outcome.number}; "
        f"{outcome.ended} trials, {outcome.pruned} of them stopped early",
        "This figure chose the options, so it is too good: measure the final run on other photos.",
    ]


def command(values: dict[str, Any], out: Path) -> str:
    """The command line of finetune_real with these options."""
    words = ["python", "-m", "pipelines.finetune_real"]
    for name, value in values.items():
        if value is None:
            continue
        parts = value if isinstance(value, (list, tuple)) else [value]
        words += [f"--{name}", *(f"{part:.4g}" if isinstance(part, float) else str(part) for part in parts)]
    return shlex.join([*words, "--out", str(out.with_name(f"{out.name}-best"))])


app = options.single_app(main, EPILOG)

if __name__ == "__main__":
    app()
