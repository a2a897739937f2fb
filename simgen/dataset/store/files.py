"""Atomic writes, checksums, and checks before a file is read."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
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
    """An open file for writing, with the size and the sha256 of what was written. Errors name the file."""

    file: IO[bytes]
    name: str
    size: int = 0
    _digest: Any = field(default_factory=hashlib.sha256)

    @property
    def sha256(self) -> str:
        return str(self._digest.hexdigest())

    def write(self, chunk: bytes) -> None:
        with _naming(self.name):
            self.file.write(chunk)
        self._digest.update(chunk)
        self.size += len(chunk)


@contextmanager
def atomically(path: Location, sweep: bool = True) -> Iterator[Sink]:
    """A file to write to. It replaces `path` when the block has ended without an error, complete and synced.

    If anything fails, `path` stays as it was, and the temporary file is removed. What a killed process left of earlier
    writes to `path` is removed first. A link is followed. To a pipe or a device the bytes are written as they come.

    Args:
        sweep: whether to look for such files. That lists the folder, which is slow where it holds very many.

    Raises:
        OSError: the file cannot be written. Names it.
    """
    if isinstance(path, RemotePath):
        with path.uploading() as file:
            yield Sink(file, str(path))
        return
    path = path.resolve() if path.is_symlink() else path
    with path.open("wb") if _is_stream(path) else _renamed(path, sweep) as file:
        yield Sink(file, str(path))


def _is_stream(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


@contextmanager
def _renamed(path: Path, sweep: bool) -> Iterator[IO[bytes]]:
    """A temporary file beside `path`, synced and then renamed."""
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    if sweep:
        remove_left(path.parent, path.name)
    try:
        with _naming(str(path), str(part)), part.open("wb") as file:
            _lock(file)
            yield file
            with _naming(str(path)):
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


@contextmanager
def _naming(name: str, temporary: str | None = None) -> Iterator[None]:
    """Let an OSError name the file that the user knows."""
    try:
        yield
    except OSError as error:
        if error.filename == temporary:  # None where the call got a descriptor
            error.filename, error.filename2 = name, None
        raise


def remove_left(folder: Path, name: str | None = None) -> None:
    """Remove the temporary files of killed processes: those of the file `name`, or of all, that nobody has locked."""
    left = re.compile(rf"\.{'.+' if name is None else re.escape(name)}\.\d+\.tmp")
    with suppress(OSError), os.scandir(folder) as entries:
        for found in [entry.name for entry in entries if left.fullmatch(entry.name)]:
            with suppress(OSError), (folder / found).open("rb") as file:
                if _lock(file):
                    (folder / found).unlink()


def _lock(file: IO[bytes]) -> bool:
    """Lock an open file until it is closed. False where another process holds it, or there are no locks."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


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
