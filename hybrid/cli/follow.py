"""`hybrid follow`: train what follows parts in video."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybrid.cli.common import app
from hybrid.core.console import one_line_errors
from hybrid.weights.released import DEFAULT
from simgen.spec.text.printable import printable

EPILOG = """example:\n\n
simgen render --preset belt_memory --scenes 60 --workers 2 --out data/belt\n\n
hybrid follow --data data/belt --checkpoint out/sim10 --out follower.safetensors\n\n
hybrid predict --checkpoint out/sim10 --follower follower.safetensors --source belt.mp4 --out followed.mp4
"""
TOLD = ("counted wrong per 1,000", "id switches per 1,000 parts", "hidden recall", "half-hidden recall",
        "clear recall", "false alarms per frame", "flicker")  # fmt: skip


@app.command(epilog=EPILOG)
def follow(
    data: Annotated[
        list[Path],
        typer.Option(help="Simulated clips of 4 frames or more. May be repeated."),
    ],
    out: Annotated[Path, typer.Option(help="The .safetensors file to write.")],
    checkpoint: Annotated[
        Path, typer.Option(help="The detector whose detections are followed; it stays as it is.")
    ] = Path(DEFAULT),
    steps: Annotated[int, typer.Option(min=1, help="Optimizer steps, of 8 clips each.")] = 1200,
    holdout: Annotated[
        float, typer.Option(min=0.01, max=0.9, help="Share of the clips to measure on and to choose the score on.")
    ] = 0.15,
    layers: Annotated[int, typer.Option(min=0, max=16, help="Of the transformer; 0: each part by itself.")] = 2,
    recurrent: Annotated[
        bool, typer.Option("--recurrent/--not-recurrent", help="Whether it remembers earlier frames of each part.")
    ] = True,
    seed: Annotated[int, typer.Option(help="Of the first weights, the samples and the held-out clips.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write over the file at --out.")] = False,
) -> None:
    """Train the track network: it tells in each frame which parts are there, also while something hides them.

    It learns from simulated clips, in which hidden parts are known. The detector's CNN runs once over each frame.
    """
    with one_line_errors():
        from hybrid.predict.io.outputs import check_file

        check_file(out, ".safetensors", [*data, checkpoint], overwrite)
        from hybrid.core.progress import bars
        from hybrid.model.objects.track_net import TrackNetConfig
        from hybrid.predict.linking.evidence import NAMES
        from hybrid.training.follow.make import Making, make_follower
        from hybrid.training.follow.teach import TeachConfig

        network = TrackNetConfig(inputs=len(NAMES), layers=layers, recurrent=recurrent)
        making = Making(
            data=data, weights=str(checkpoint), holdout=holdout, network=network,
            teaching=TeachConfig(steps=steps, seed=seed),
        )  # fmt: skip
        with bars("detecting", "following", "training") as (detecting, following, training):
            made = make_follower(making, out, detecting, following, training)
    typer.echo(printable(f"{out}: learned from {made.clips} clips; tracks from {made.score:.2f} on are reported"))
    typer.echo(f"on {made.held_out} held-out clips, at the detector's own false alarms:")
    typer.echo(f"  {'':28} {'rules':>8} {'network':>8}")
    for name in TOLD:
        typer.echo(f"  {name:28} {made.rules[name]:8.3g} {made.network[name]:8.3g}")
