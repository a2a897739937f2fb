"""The lock of a folder, for one writer at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def held(folder: Path, busy: Exception) -> Iterator[None]:
    """Hold the lock of `folder` while the block runs. It ends with the process; there is no lock file.

    Raises:
        Exception: `busy`, where another process holds the lock.
    """
    try:
        import fcntl
    except ImportError:  # this system has no such locks
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise busy from None
        yield
    finally:
        os.close(descriptor)
