"""What a command tells its user: notes, and mistakes in one line with exit status 2. Loads no torch."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from hybrid.core.errors import HybridError
from simgen.spec.errors import SimgenError
from simgen.spec.text.printable import printable, redacted


def note(message: str) -> None:
    """Write a note to the error stream, as one line."""
    sys.stderr.write(f"note: {printable(redacted(message))}\n")


def stop(message: str) -> NoReturn:
    """Write an error to the error stream, and exit with status 2."""
    sys.stderr.write(f"error: {printable(redacted(message))}\n")
    raise SystemExit(2)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """A user's mistake is one line and exit status 2. A bug keeps its traceback."""
    try:
        yield
    except (HybridError, SimgenError, OSError) as error:
        stop(" ".join(str(error).split()))
