"""Files that a CAD file is made of: read with a bound on their size, and never from outside its folder."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from simgen.spec.errors import PartFileError
from simgen.spec.text.json_text import read_bounded
from simgen.spec.text.printable import printable

MAX_SOURCE_BYTES = 256 * 2**20
MAX_SIDE_BYTES = 64 * 2**20  # of a file that another one names: materials, buffers, meshes
MAX_SOURCE_TRIANGLES = 2_000_000
FEWER = "export it from CAD with a coarser tolerance, or reduce it in MeshLab or Blender"


def read_source(path: Path, most_bytes: int = MAX_SOURCE_BYTES) -> bytes:
    """The bytes of a CAD file.

    Raises:
        PartFileError: there is none, it is no regular file, cannot be read, is empty or too large. Names it.
    """
    too_large = f"has more than the {most_bytes // 2**20} MB that are read; {FEWER}"
    data = read_bounded(path, most_bytes, PartFileError, too_large)
    if not data:
        raise PartFileError(f"{path}: is empty")
    return data


def check_triangles(count: int, file: str) -> None:
    """Refuse a mesh of too many triangles.

    Raises:
        PartFileError: it has more. Names the file and what would help.
    """
    if count > MAX_SOURCE_TRIANGLES:
        raise PartFileError(
            f"{file}: has {count} triangles, more than the {MAX_SOURCE_TRIANGLES} that are read; {FEWER}"
        )


class Beside:
    """Reads the files that a CAD file names, in its own folder or below. What trimesh calls a resolver.

    Args:
        suffixes: of the files that may be read; others do not exist here, such as pictures.
    """

    def __init__(self, source: Path, suffixes: tuple[str, ...]) -> None:
        self.source, self._suffixes = source, suffixes
        self.left_out: list[str] = []  # names that were asked for and not read

    def inside(self, name: str) -> Path:
        """The path of a named file.

        Raises:
            PartFileError: it lies outside the CAD file's folder, also by a link. Names both.
        """
        folder = self.source.resolve().parent
        shown = printable(name[:120])
        if "://" in name or "\0" in name or "\\" in name or Path(name).is_absolute():
            raise PartFileError(f"{self.source}: names the file {shown!r}; only files in its own folder are read")
        path = (folder / unquote(name)).resolve()
        if not path.is_relative_to(folder):
            raise PartFileError(
                f"{self.source}: names the file {shown!r}, which lies outside its folder; copy it there"
            )
        return path

    def read(self, name: str) -> bytes:
        """The bytes of a named file.

        Raises:
            PartFileError: as `inside` and `read_source`.
        """
        return read_source(self.inside(name), MAX_SIDE_BYTES)

    def get(self, name: str) -> bytes:
        """For trimesh, which goes on without what it does not get.

        Raises:
            FileNotFoundError: the file is not there, not allowed, or of another kind.
        """
        if Path(name).suffix.lower() in self._suffixes:
            try:
                return self.read(name.strip())
            except PartFileError:
                pass
        self.left_out.append(printable(name[:80]))
        raise FileNotFoundError(name)

    __getitem__ = get
