"""The console script `sim2real`: all pipelines as subcommands. Loads torch when one begins to work, not for --help."""

from __future__ import annotations

import typer

from pipelines import demo, finetune_real, gap_report, train_sim, tune
from pipelines.common.options import add_command
from pipelines.line import command as line

app = typer.Typer(
    help="From simulation to a detector for your photos: pretrain, fine-tune, report the gap.",
    epilog="Start with: sim2real demo --quick",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
add_command(app, train_sim.main, train_sim.EPILOG, "train-sim")
add_command(app, finetune_real.main, finetune_real.EPILOG, "finetune-real")
add_command(app, tune.main, tune.EPILOG, "tune")
add_command(app, gap_report.main, gap_report.EPILOG, "gap-report")
add_command(app, line.main, line.EPILOG, "line")
add_command(app, demo.main, demo.EPILOG, "demo")


def main() -> None:
    """The console script."""
    app()
