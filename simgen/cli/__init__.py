"""The `simgen` command. Each subcommand does its imports when it runs, so that --help is fast."""

from __future__ import annotations

from simgen.cli import render, presets, parts, look, dataset, fit  # noqa: F401  # isort: skip (help lists commands in this order)
from simgen.cli import new, background  # noqa: F401  # isort: skip
from simgen.cli.common import app


def main() -> None:
    """The console script."""
    app(prog_name="simgen")
