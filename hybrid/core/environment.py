"""What torchrun tells a process by its environment. Loads no torch."""

from __future__ import annotations

import os


def is_first_process() -> bool:
    """Whether this process writes files and messages: the first one of torchrun, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def is_alone() -> bool:
    """Whether no other process trains with this one."""
    return os.environ.get("WORLD_SIZE", "1") == "1"
