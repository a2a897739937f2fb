"""`python -m pipelines.line my_line`."""

from __future__ import annotations

from pipelines.line.command import app

if __name__ == "__main__":
    app()
