"""The parts of a folder: read, and told apart from what cannot be used."""

from __future__ import annotations

from pathlib import Path

from simgen.assets.cad.packed import MAX_FILE_BYTES, PackedPart, read_packed
from simgen.assets.cad.reading.files import read_source
from simgen.library.adding import PARTS
from simgen.spec.errors import PartFileError


def read_part(path: Path) -> PackedPart:
    """The part in a file.

    Raises:
        PartFileError: there is no such file, or it is no imported part.
    """
    return read_packed(read_source(path, MAX_FILE_BYTES), str(path))


def part_files(folder: Path) -> list[Path]:
    """The .glb files of a line's folder, or of its `parts/`, by name.

    Raises:
        PartFileError: there is no such folder, or it holds none.
    """
    if not folder.is_dir():
        raise PartFileError(f"{folder}: no such folder")
    place = folder / PARTS if (folder / PARTS).is_dir() else folder
    files = sorted(place.glob("*.glb"))
    if not files:
        raise PartFileError(f"{place}: holds no parts; simgen parts add FILE --to {folder} adds one")
    return files


def named(folder: Path, name: str) -> Path:
    """The file of a part in a line's folder, from its name.

    Raises:
        PartFileError: there is no such part; the message lists those that there are.
    """
    files = part_files(folder)
    for file in files:
        if name in (file.stem, file.name):
            return file
    raise PartFileError(f"{folder}: no part {name!r}; there are {', '.join(file.stem for file in files)}")
