"""What reading and fitting may raise."""

from __future__ import annotations


class CameraError(Exception):
    """Photographs from which nothing can be told. Says which, and what would do."""
