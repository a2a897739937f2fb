"""The command `hybrid` (or `python -m hybrid`): run a trained detector, export it. Loads torch only when it works."""

from hybrid.cli import predict, follow, export  # noqa: F401  # isort: skip (help lists commands in this order)
from hybrid.cli.common import app

__all__ = ["app"]
