"""Fine-tune a pretrained detector on photographs, or train one on them alone."""

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
        str, typer.Option(help="A finished run to start from, or none: from scratch, for comparison.")
    ],
    data: Annotated[
        str, typer.Option(help="Photos: COCO JSON, or YOLO data.yaml (its train); or, as a stand-in, a simulated set.")
    ],
    out: options.Out,
    shots: Annotated[int, typer.Option(help="Photos to train on: the first of a fixed shuffle; 0: all.")] = 0,
    shuffle_seed: Annotated[int, typer.Option(help="Of that shuffle.")] = 0,
    sim: Annotated[str | None, typer.Option(help="Simulated data set, a folder or a URL, to go on mixing in.")] = None,
    sim_share: Annotated[float, typer.Option(help="Share of the samples that come from --sim.")] = 0.3,
    preset: options.Preset = "tiny",
    branches: options.Branches = None,
    steps: options.Steps = 600,
    batch: options.Batch = 8,
    clip_length: options.ClipLength = 2,
    tile: options.Tile = 256,
    lr: options.Rate = 3e-4,
    seed: options.Seed = 0,
    holdout: options.Holdout = 0.0,
    threads: options.Threads = 0,
    workers: options.Workers = 1,
    device: options.Device = "auto",
) -> None:
    """Fine-tune on photos. --preset and --branches count for --checkpoint none; else they are the checkpoint's."""
    with options.one_line_errors():
        from hybrid.core.errors import DataError
        from hybrid.training.config import TrainConfig
        from hybrid.training.samples.sampler import WeightedSource
        from pipelines.common.runs import (
            architecture,
            carry_out,
            data_hash,
            hold_out,
            names,
            read,
            start,
            target_kind,
        )
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
        pool, held = hold_out(source, holdout, shuffle_seed)
        if shots > len(pool):
            raise DataError(f"{data}: --shots {shots}, but {len(pool)} pictures are there to train on")
        kept = source.take(shots, shuffle_seed) if shots else pool
        shares = [WeightedSource(kept, 1.0 - sim_share if mixed_in else 1.0)]
        if mixed_in is not None:
            shares.append(WeightedSource(read(mixed_in, source.categories, boxes=boxes), sim_share))
        record = {
            "script": "finetune_real", "data": str(photos), "data_sha256": data_hash(photos),
            "kind": target_kind(photos), "shots": len(kept),
            "shuffle_seed": shuffle_seed, "trained_on": names(kept), "mixed_in": str(mixed_in) if mixed_in else None,
            "mixed_in_sha256": data_hash(mixed_in) if mixed_in else None,
        }  # fmt: skip
        run = carry_out(
            lambda: start(init, source.categories, preset, branches, seed), shares, held, config, out, record
        )
        used = f"{len(kept)} of {len(source)} {target_kind(photos)} clips"
        typer.echo(f"{out}: {run['steps']} steps on {used}, {run['seconds']:.0f} s")


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command(epilog=EPILOG)(main)

if __name__ == "__main__":
    app()
