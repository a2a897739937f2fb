"""The bytes of a file that comes from outside: a regular file with a limit on its size, so that no pipe is waited for.

Who reads says what is wrong in its own words. Standard library only.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Literal


class NotRead(Exception):
    """Why a file was not read."""

    def __init__(
        self, fault: Literal["missing", "no file", "too large", "failed"], why: str = "", size_bytes: int = 0
    ) -> None:
        """`fault` "no file": a folder, a pipe or a device. `why`: the system's words. `size_bytes`: where too large."""
        super().__init__(fault)
        self.fault, self.why, self.size_bytes = fault, why, size_bytes


def bounded_bytes(path: Path, most_bytes: int) -> bytes:
    """The bytes of a regular file.

    Raises:
        NotRead: there is no such file, it is no regular file, has more than `most_bytes`, or cannot be read.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise NotRead("no file")
        if found.st_size > most_bytes:
            raise NotRead("too large", size_bytes=found.st_size)
        with path.open("rb") as file:
            raw = file.read(found.st_size + 1)
            if len(raw) > found.st_size:  # it has grown since
                raw += file.read(most_bytes + 1 - len(raw))
    except (FileNotFoundError, NotADirectoryError):
        raise NotRead("missing") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise NotRead("failed", getattr(error, "strerror", None) or str(error)) from None
    if len(raw) > most_bytes:
        raise NotRead("too large", size_bytes=len(raw))
    return raw
