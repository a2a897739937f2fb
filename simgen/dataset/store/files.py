"""Files that are written whole or not at all, and checks before one is read."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from simgen.dataset.store.locations import Location, RemotePath
from simgen.spec.errors import ShardError

MAX_JSON_BYTES = 64 * 2**20  # of a clip: a thousand parts in a hundred frames stay under it


def write_atomically(path: Location, content: bytes | Iterable[bytes]) -> tuple[str, int]:
    """Write a file, in chunks or at once, as `atomically` does. Returns (sha256, bytes)."""
    with atomically(path) as sink:
        for chunk in [content] if isinstance(content, bytes) else content:
            sink.write(chunk)
    return sink.sha256, sink.size


@dataclass
class Sink:
    """Counts what is written to a file."""

    file: IO[bytes]
    size: int = 0
    _digest: Any = field(default_factory=hashlib.sha256)

    @property
    def sha256(self) -> str:
        return str(self._digest.hexdigest())

    def write(self, chunk: bytes) -> None:
        self.file.write(chunk)
        self._digest.update(chunk)
        self.size += len(chunk)


@contextmanager
def atomically(path: Location) -> Iterator[Sink]:
    """A file that appears under its name when the block has ended, whole and on the disk.

    Nothing is left behind if the block or the disk fails.
    """
    with path.uploading() if isinstance(path, RemotePath) else _renamed(path) as file:
        yield Sink(file)


@contextmanager
def _renamed(path: Path) -> Iterator[IO[bytes]]:
    """A name of this process's own, synced and renamed."""
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # the rename itself reaches the disk with the folder
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def file_sha256(path: Location) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()


def check_plain(path: Location, limit_bytes: int | None = None) -> int:
    """A file's bytes. Refuse a pipe, which would never end, a device, a folder, and what is too large to be read."""
    info = path.stat()
    if not stat.S_ISREG(info.st_mode):
        raise ShardError(f"{path}: is no plain file")
    if limit_bytes is not None and info.st_size > limit_bytes:
        raise ShardError(f"{path}: {info.st_size} bytes, more than the {limit_bytes} that are read")
    return info.st_size
