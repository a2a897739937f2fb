"""Add a CAD file to a folder of parts: import it, drop it, write the part and its page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from simgen.assets.cad.isolated import MEMORY_BYTES, SECONDS, import_part
from simgen.assets.cad.packed import PackedPart, write_packed
from simgen.assets.cad.request import Report, Request
from simgen.assets.cad.shape.resting import confirmed
from simgen.dataset.store.files import write_atomically
from simgen.library.page import page
from simgen.spec.errors import PartFileError

PARTS = "parts"  # the folder of parts in a line's folder
LEAST_AT_REST = 0.5  # of the drops: below it, the poses of the drops say nothing


@dataclass(frozen=True)
class Added:
    """A part that was added: itself, what the import found, and its two files."""

    part: PackedPart
    report: Report
    file: Path
    page: Path


def part_paths(line: Path, name: str) -> tuple[Path, Path]:
    """Where a part and its page lie in a line's folder."""
    return line / PARTS / f"{name}.glb", line / PARTS / f"{name}.html"


def add_part(
    request: Request,
    line: Path,
    *,
    overwrite: bool = False,
    seconds: int = SECONDS,
    memory_bytes: int = MEMORY_BYTES,
) -> Added:
    """Import a CAD file into `parts/` of a line's folder. Nothing is written unless all went well.

    Raises:
        PartFileError: the file cannot be read or is no part, or the part is there already.
        OSError: the folder cannot be written.
    """
    file, html = part_paths(line, request.name)
    if not overwrite:
        for path in (file, html):
            if path.exists() or path.is_symlink():
                raise PartFileError(f"{path}: is there already; give another --name, or --overwrite")
    part, report = import_part(request, seconds=seconds, memory_bytes=memory_bytes)
    part = dropped(part)
    data, text = write_packed(part), page(part).encode()
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(html, text)
    write_atomically(file, data)
    return Added(part, report, file, html)


def dropped(part: PackedPart) -> PackedPart:
    """The part with its resting poses confirmed by drops in PyBullet."""
    from simgen.scene.quiet import quiet_stderr

    with quiet_stderr():
        from simgen.scene.trial import DROPS, drops_up
    ups = drops_up(part, DROPS)
    if len(ups) < LEAST_AT_REST * DROPS:
        note = f"only {len(ups)} of {DROPS} drops came to rest: the resting poses are those of its convex hull"
        return replace(part, notes=(*part.notes, note))
    poses = confirmed(part.resting_poses, ups, part.vertices_m.astype(np.float64), part.symmetries)
    return replace(part, resting_poses=poses)
