"""Atomic writes, checksums, and checks before a file is read."""

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

MAX_JSON_BYTES = 64 * 2**20  # of one clip; a thousand parts in a hundred frames need less


def write_atomically(path: Location, content: bytes | Iterable[bytes]) -> tuple[str, int]:
    """Write a file, in chunks or at once, as `atomically` does. Returns (sha256, bytes)."""
    with atomically(path) as sink:
        for chunk in [content] if isinstance(content, bytes) else content:
            sink.write(chunk)
    return sink.sha256, sink.size


@dataclass
class Sink:
    """An open file for writing, with the size and the sha256 of what was written."""

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
    """A file to write to. It replaces `path` when the block has ended without an error, complete and synced.

    If anything fails, `path` stays as it was, and the temporary file is removed.

    Raises:
        OSError: the file cannot be written.
    """
    with path.uploading() if isinstance(path, RemotePath) else _renamed(path) as file:
        yield Sink(file)


@contextmanager
def _renamed(path: Path) -> Iterator[IO[bytes]]:
    """A temporary file beside `path`, synced and then renamed."""
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
    if os.name == "posix":  # sync the folder, or a power cut may undo the rename
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def file_sha256(path: Location) -> str:
    """The sha256 of a file, read in pieces of 1 MB."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()


def check_plain(path: Location, limit_bytes: int | None = None) -> int:
    """The size of a regular file in bytes.

    Raises:
        ShardError: it is a folder, a device or a pipe (whose read would never end), or larger than the limit.
        OSError: it does not exist, or cannot be reached.
    """
    info = path.stat()
    if not stat.S_ISREG(info.st_mode):
        raise ShardError(f"{path}: is no plain file")
    if limit_bytes is not None and info.st_size > limit_bytes:
        raise ShardError(f"{path}: {info.st_size} bytes, more than the {limit_bytes} that are read")
    return info.st_size
