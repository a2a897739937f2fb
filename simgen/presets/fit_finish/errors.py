"""What reading and fitting may raise."""

from __future__ import annotations


class FinishError(Exception):
    """Photographs, or simulated parts, that finishes cannot be told from. Says which, and what would do."""
