"""Pretrain a detector on a simulated data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines import options

EPILOG = """Examples:

  python -m pipelines.train_sim --data data/sim --out out/sim

  python -m pipelines.train_sim --data data/sim --parts cnn --steps 500 --out out/sim-cnn

  python -m pipelines.train_sim --data data/sim --clip-length 4 --blank 0.3 --cnn-first 1000 --out out/video

  python -m pipelines.train_sim --data data/sim --model backbone=resnet34 --model tracks=30 --out out/tracks
"""


def main(
    data: Annotated[str, typer.Option(metavar="DIR", help="Folder or URL of a simulated data set (simgen render).")],
    out: options.Out,
    preset: options.Preset = "tiny",
    parts: options.Parts = "cnn+rnn+transformer",
    model: options.Model = None,
    steps: options.Steps = 2000,
    batch: options.Batch = 8,
    clip_length: options.ClipLength = 2,
    blank: options.Blank = 0.1,
    longest_step: options.LongestStep = 1,
    cnn_first: options.CnnFirst = 0,
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
        from hybrid.data import DataError
        from hybrid.sampling import Share
        from hybrid.train_config import TrainConfig
        from pipelines.runs import carry_out, data_hash, hold_out, is_data_set, names, read, start
        from simgen.places import place

        folder = place(data)
        if not is_data_set(folder):
            raise DataError(f"{data}: no folder of a simulated data set; photographs are for pipelines.finetune_real")
        config = TrainConfig(
            steps=steps, batch_clips=batch, clip_length=clip_length, tile_px=tile, learning_rate=lr, seed=seed,
            warmup_steps=min(100, steps // 10), blank_probability=blank, cnn_steps=cnn_first, longest_step=longest_step,
            threads=threads, workers=workers, device=device,
        )  # fmt: skip
        source = read(folder)
        kept, held = hold_out(source, holdout, seed=0)
        record = {
            "script": "train_sim", "data": str(folder), "data_sha256": data_hash(folder), "kind": "simulated",
            "trained_on": names(kept),
        }  # fmt: skip
        run = carry_out(
            lambda: start(init, source.categories, preset, parts, seed, model or ()),
            [Share(kept)],
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
