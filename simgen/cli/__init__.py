"""The `simgen` command. Each subcommand imports what it needs when it runs, so that help comes at once."""

from __future__ import annotations

from simgen.cli import render, dataset, fit  # noqa: F401  # isort: skip (help lists commands in this order)
from simgen.cli.common import app


def main() -> None:
    """The console script."""
    app()
