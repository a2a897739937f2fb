"""The app, with the options of the command itself."""

from __future__ import annotations

from typing import Annotated

import typer

from hybrid import __version__
from hybrid.classify import app as classify

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(classify, name="classify")


def _version(asked: bool) -> bool:
    if asked:
        typer.echo(f"hybrid {__version__}")
        raise typer.Exit
    return asked


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Run a detector of manufactured parts. pipelines.train_sim and pipelines.finetune_real train it."""
