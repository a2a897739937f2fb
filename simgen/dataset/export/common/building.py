"""Where an export is built: in a hidden folder beside its place, which takes the final name when all of it is there."""

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
    """A folder to fill, whose content is `out` once the block ends without an error, and gone if it ends with one.

    What an export that was killed left behind is removed first. If `out` is a file, its folder gets the content:
    the names `beside` it first and `out` last.

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
                os.sync()  # thousands of pictures reach the disk at once, before the name says that they are there
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
    places = [out, *(out.with_name(name) for name in beside)]
    for place in places:
        empty = not beside and place.is_dir() and not place.is_symlink() and not any(place.iterdir())
        if os.path.lexists(place) and not empty:
            raise ExportError(f"{place}: is there already; choose another --out")
