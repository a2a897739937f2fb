"""Pretrain a detector on a simulated data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.common import options

EPILOG = """Examples:

  python -m pipelines.train_sim --data data/sim --out out/sim

  python -m pipelines.train_sim --data data/belt --preset tiny-video --out out/belt     (a fixed camera over a belt)

  python -m pipelines.train_sim --data data/sim --model backbone=resnet34 --steps 500 --out out/resnet34
"""


@dataclass(frozen=True)
class Usual:
    """How a kind of detector is trained where the command does not say otherwise."""

    batch: int
    clip_length: int
    blank: float
    cnn_first: float  # of the steps
    occluders: float


STILLS = Usual(batch=8, clip_length=2, blank=0.1, cnn_first=0.0, occluders=0.0)
VIDEO = Usual(
    batch=4, clip_length=5, blank=0.3, cnn_first=0.5, occluders=0.5
)  # what follows objects: it must hide some


def _usual(name: str, help_: str) -> Any:
    """An option that is what is usual for the kind of detector, where it is not given."""
    stills, video = getattr(STILLS, name), getattr(VIDEO, name)
    told = f"{stills:g}; {video:g} with tracks" + (", of the steps" if name == "cnn_first" else "")
    return typer.Option(help=help_, show_default=told, rich_help_panel="Training")


def main(
    data: Annotated[str, typer.Option(metavar="DIR", help="Folder or URL of a simulated data set (simgen render).")],
    out: options.Out,
    preset: options.Preset = "tiny",
    branches: options.Branches = None,
    model: options.Model = None,
    steps: options.Steps = 2000,
    batch: Annotated[int | None, _usual("batch", "Clips a step.")] = None,
    clip_length: Annotated[int | None, _usual("clip_length", "Frames of a training clip; 1: stills.")] = None,
    blank: Annotated[
        float | None, _usual("blank", "Share of a clip's frames, but its first, that are blanked.")
    ] = None,
    longest_step: options.LongestStep = 1,
    cnn_first: Annotated[
        int | None, _usual("cnn_first", "Steps that the CNN learns alone before the other branches join.")
    ] = None,
    occluders: Annotated[
        float | None,
        _usual(
            "occluders",
            "Share of the clips with occluders drawn in; needs boxes of whole parts, as the video presets have.",
        ),
    ] = None,
    tile: options.Tile = 256,
    lr: options.Rate = 5e-4,
    seed: options.Seed = 0,
    holdout: options.Holdout = 0.1,
    init: Annotated[Path | None, typer.Option(help="A finished run to start from.")] = None,
    threads: options.Threads = 0,
    workers: options.Workers = 1,
    device: options.Device = "auto",
) -> None:
    """Pretrain a detector on a simulated data set. A share of the scenes is held out and measured on at the end."""
    with options.one_line_errors():
        from hybrid.core.errors import DataError
        from hybrid.training.config import AugmentConfig, TrainConfig
        from hybrid.training.samples.sampler import WeightedSource
        from pipelines.common.runs import (
            architecture,
            carry_out,
            data_hash,
            hold_out,
            is_data_set,
            names,
            read,
            start,
        )
        from simgen.dataset.store.locations import location

        folder = location(data)
        if not is_data_set(folder):
            raise DataError(f"{data}: no folder of a simulated data set; photographs are for pipelines.finetune_real")
        planned = architecture(init, ("any",), preset, branches, model or ())
        whole, usual = planned.boxes == "whole", VIDEO if planned.tracks else STILLS
        if occluders and not whole:
            raise DataError(f"--occluders {occluders}: occluders hide parts; needs --model boxes=whole")
        occluded = (usual.occluders if whole else 0.0) if occluders is None else occluders
        config = TrainConfig(
            steps=steps,
            batch_clips=usual.batch if batch is None else batch,
            clip_length=usual.clip_length if clip_length is None else clip_length,
            tile_px=tile,
            learning_rate=lr,
            seed=seed,
            warmup_steps=min(100, steps // 10),
            blank_probability=usual.blank if blank is None else blank,
            cnn_steps=int(usual.cnn_first * steps) if cnn_first is None else cnn_first,
            longest_step=longest_step,
            augment=AugmentConfig(occluders=occluded),
            threads=threads,
            workers=workers,
            device=device,
        )
        source = read(folder, boxes=planned.boxes)
        kept, held = hold_out(source, holdout, seed=0)
        record = {
            "script": "train_sim", "data": str(folder), "data_sha256": data_hash(folder), "kind": "simulated",
            "trained_on": names(kept),
        }  # fmt: skip
        run = carry_out(
            lambda: start(init, source.categories, preset, branches, seed, model or ()),
            [WeightedSource(kept)],
            held,
            config,
            out,
            record,
        )
        typer.echo(f"{out}: {run['steps']} steps on {len(kept)} of {len(source)} scenes, {run['seconds']:.0f} s")


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command(epilog=EPILOG)(main)

if __name__ == "__main__":
    app()
