"""Build an export in a hidden folder beside `out`, and rename it when it is complete."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simgen.dataset.store.lock import held
from simgen.spec.errors import ExportError


@contextmanager
def building(out: Path, beside: tuple[str, ...] = ()) -> Iterator[Path]:
    """An empty folder to write into. It becomes `out` when the block ends, and is removed if the block raises.

    The rest of a killed export is removed first. If `out` is a file, the content is moved into its folder: the names
    `beside` first, `out` last.

    Raises:
        ExportError: something is at `out` already, or another export to it is running.
    """
    one_file = bool(beside)
    _refuse_used(out, beside)
    part = out.with_name(f".{out.name}.partial")
    if part.is_symlink() or (part.exists() and not part.is_dir()):
        raise ExportError(f"{part}: is in the way; remove it")
    part.mkdir(parents=True, exist_ok=True)
    with held(part, ExportError(f"{part}: another export is writing there")):
        for left in part.iterdir():
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
        try:
            yield part
            if hasattr(os, "sync"):
                os.sync()  # sync thousands of files at once, before the rename
            _refuse_used(out, beside)
            if one_file:
                for name in (*beside, out.name):
                    os.rename(part / name, out.parent / name)
            else:
                if out.is_dir():
                    out.rmdir()
                os.rename(part, out)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _refuse_used(out: Path, beside: tuple[str, ...]) -> None:
    paths = [out, *(out.with_name(name) for name in beside)]
    for path in paths:
        empty = not beside and path.is_dir() and not path.is_symlink() and not any(path.iterdir())
        if os.path.lexists(path) and not empty:
            raise ExportError(f"{path}: exists already; choose another --out")
