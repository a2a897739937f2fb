"""What an exporter may raise."""

from __future__ import annotations


class ExportError(Exception):
    """A data set that cannot be written as it was asked for. Says why."""
