"""Where a data set lies: a folder, or a URL of anything that fsspec reaches (`s3://`, `gs://`, ...).

`location` turns what a user wrote into a `pathlib.Path` or a `RemotePath`. A `RemotePath` has the path methods that
data sets need, so the same code reads and writes both. Three things differ at a URL:

- A file is uploaded when it is complete, and appears under its name at once: with one request or the last request of a
  multipart upload on S3 and Google Cloud, by a rename elsewhere. A process that is killed leaves no partial file there.
- There are no locks. Two runs of one request do the same work twice and write the same bytes; no shard is ever mixed.
- Files are read in blocks. A process caches the last few, because the members of a clip are next to each other.

fsspec is loaded when a URL is opened and never for a folder. Credentials and endpoints are those of its file systems,
such as `AWS_PROFILE` and `AWS_ENDPOINT_URL`.
"""

from __future__ import annotations

import errno
import io
import os
import re
import secrets
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

BLOCK_BYTES = 4 * 2**20  # that are read at once
BLOCKS = 16  # that a process keeps
SPOOL_BYTES = 64 * 2**20  # of a file that are kept in memory until it is sent; beyond, on the disk without a name
ATTEMPTS = 3  # at sending a file
PAUSE_S = 1.0  # before the second attempt; doubled before each further one
WHOLE_AT_ONCE = frozenset({"s3", "s3a", "gs", "gcs"})  # no folders; an object is there when its last request is through
EXTRAS = {"s3": "simgen[s3]", "s3a": "simgen[s3]", "gs": "simgen[gs]", "gcs": "simgen[gs]"}
_URL = re.compile(r"([a-z][a-z0-9+.-]*)(::[a-z][a-z0-9+.:-]*)?://.+")


@dataclass(frozen=True)
class Stat:
    """The part of `os.stat_result` that is known of a file at a URL."""

    st_size: int
    st_mode: int
    st_mtime_ns: int  # 0 where the store does not tell
    version: str  # another one is another content


@dataclass(frozen=True, order=True)
class RemotePath:
    """A file or a folder at a URL. Holds no connection: it may be pickled and sent to another machine.

    Every method raises OSError, with the URL as its `filename`, where the store refuses or cannot be reached.
    """

    url: str  # without a slash at its end

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, name: str) -> RemotePath:
        return RemotePath(f"{self.url}/{name}")

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]

    @property
    def parent(self) -> RemotePath:
        return RemotePath(self.url.rpartition("/")[0])

    @property
    def _whole_at_once(self) -> bool:
        return self.url.partition("://")[0] in WHOLE_AT_ONCE

    def with_name(self, name: str) -> RemotePath:
        return self.parent / name

    def resolve(self) -> RemotePath:
        return self

    def stat(self) -> Stat:
        """Asks the store, always; blocks that were read of an earlier content are used no more."""
        with _told(self.url):
            store, path = _store(self.url)
            info = store.info(path)
        folder = info["type"] == "directory"
        changed = next((info[key] for key in ("LastModified", "mtime", "updated", "created") if key in info), None)
        mark = info.get("ETag") or info.get("etag") or info.get("md5Hash") or changed
        found = Stat(
            st_size=int(info.get("size") or 0),
            st_mode=stat.S_IFDIR if folder else stat.S_IFREG,
            st_mtime_ns=_nanoseconds(changed),
            version=str(mark),
        )
        if len(_KNOWN) > 10_000:
            _KNOWN.clear()
        _KNOWN[self.url] = found
        return found

    def exists(self) -> bool:
        try:
            self.stat()
        except FileNotFoundError:
            return False
        return True

    def is_file(self) -> bool:
        return self.exists() and stat.S_ISREG(_KNOWN[self.url].st_mode)

    def is_dir(self) -> bool:
        return self.exists() and stat.S_ISDIR(_KNOWN[self.url].st_mode)

    def open(self, mode: str = "rb") -> io.BufferedReader:
        """For reading. What it was when its `stat` was last asked for stays, as far as this process is concerned."""
        if mode != "rb":
            raise ValueError(f"{self.url}: is read in mode 'rb' alone, got {mode!r}; it is written by `uploading`")
        return io.BufferedReader(_Blocks(self.url, _KNOWN.get(self.url) or self.stat()))

    def read_bytes(self) -> bytes:
        """As it is now."""
        self.stat()
        with self.open() as file:
            return file.read()

    def mkdir(self, parents: bool = True, exist_ok: bool = True) -> None:
        """Make the folder, where the store has folders; no bucket is ever made."""
        if not self._whole_at_once:
            with _told(self.url):
                store, path = _store(self.url)
                store.makedirs(path, exist_ok=exist_ok)

    def unlink(self, missing_ok: bool = False) -> None:
        try:
            with _told(self.url):
                store, path = _store(self.url)
                store.rm_file(path)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def sizes(self) -> dict[str, int]:
        """The files in this folder with their bytes, and 0 for each folder; nothing where it is not there."""
        try:
            with _told(self.url):
                store, path = _store(self.url)
                entries = store.ls(path, detail=True)
        except FileNotFoundError:
            return {}
        own = path.strip("/")
        return {
            str(entry["name"]).rstrip("/").rpartition("/")[2]: int(entry.get("size") or 0)
            for entry in entries
            if str(entry["name"]).strip("/") != own
        }

    @contextmanager
    def uploading(self) -> Iterator[IO[bytes]]:
        """A file to write to; when the block ends without an exception it is sent, whole.

        Raises:
            OSError: it could not be sent. Nothing is there under its name then, or what was there before.
        """
        if "::" in self.url:
            raise OSError(errno.EINVAL, "a chain of file systems can be read, not written", self.url)
        with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as spool:
            yield spool
            _attempt(lambda: self._send(spool))
        _KNOWN.pop(self.url, None)

    def _send(self, spool: IO[bytes]) -> None:
        size = spool.seek(0, os.SEEK_END)
        spool.seek(0)
        with _told(self.url):
            store, path = _store(self.url)
            if self._whole_at_once:
                _put_whole(store, path, spool, size)
            else:
                folder, _, name = path.rpartition("/")
                part = f"{folder}/.{name}.{secrets.randbelow(10**15)}.tmp"
                try:
                    with store.open(part, "wb") as file:
                        _copy(spool, file)
                    store.mv(part, path)
                except BaseException:
                    if store.exists(part):
                        store.rm_file(part)
                    raise
            arrived = store.info(path)["size"]
        if arrived != size:
            raise OSError(errno.EIO, f"{size} bytes were sent and {arrived} are there", self.url)


Location = Path | RemotePath


def location(text: str | Location) -> Location:
    """The folder or URL that a user wrote.

    Raises:
        OSError: the URL is of a kind that is unknown, or needs a package that is not installed; says which.
    """
    if isinstance(text, Path | RemotePath):
        return text
    if text.startswith(("file://", "local://")):
        return Path(text.partition("://")[2])
    if not (match := _URL.fullmatch(text)):
        return Path(text)
    found = RemotePath(text.rstrip("/"))
    try:
        _store(found.url)
    except ImportError as error:
        asked = f'pip install "{EXTRAS[match[1]]}"' if match[1] in EXTRAS else str(error)
        raise OSError(errno.ENOSYS, f"needs a package that is not installed: {asked}", text) from None
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error), text) from None
    return found


def sizes(folder: Location) -> dict[str, int]:
    """The files of a folder with their bytes; other things in it with 0."""
    if isinstance(folder, RemotePath):
        return folder.sizes()
    with os.scandir(folder) as entries:
        return {entry.name: entry.stat().st_size if entry.is_file() else 0 for entry in entries}


# ------------------------------------------------------------------------------------------------ underneath

_KNOWN: dict[str, Stat] = {}  # what `stat` said last


def _store(url: str) -> tuple[Any, str]:
    """The file system of a URL and the path in it. fsspec keeps file systems, one for each process and thread."""
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise ImportError("pip install fsspec") from None
    store, path = url_to_fs(url, use_listings_cache=False)
    return store, str(path)


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Every library has errors of its own; they come out as OSError with the URL."""
    try:
        yield
    except OSError as error:
        text = str(error.strerror or error) or type(error).__name__
        raise OSError(error.errno or _errno(error), " ".join(text.split()), url) from error
    except Exception as error:
        raise OSError(errno.EIO, " ".join(f"{type(error).__name__}: {error}".split()), url) from error


def _errno(error: OSError) -> int:
    if isinstance(error, FileNotFoundError):
        return errno.ENOENT
    return errno.EACCES if isinstance(error, PermissionError) else errno.EIO


def _attempt(send: Callable[[], None]) -> None:
    """A network fails now and then. Where it is not the network, it fails again."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return send()
        except (FileNotFoundError, PermissionError):
            raise
        except OSError:
            if attempt == ATTEMPTS:
                raise
            time.sleep(PAUSE_S * 2 ** (attempt - 1))


def _put_whole(store: Any, path: str, spool: IO[bytes], size: int) -> None:
    if size <= SPOOL_BYTES:
        store.pipe_file(path, spool.read())
        return
    file = store.open(path, "wb", autocommit=False)  # its parts are no object before `commit`
    try:
        _copy(spool, file)
        file.close()
        file.commit()
    except BaseException:
        with suppress(Exception):  # what went wrong first is what is told
            file.discard()
        file.closed = True  # or it would begin its upload again when it is collected
        raise


def _copy(source: IO[bytes], target: Any) -> None:
    while chunk := source.read(BLOCK_BYTES):
        target.write(chunk)


def _nanoseconds(changed: Any) -> int:
    seconds = changed.timestamp() if hasattr(changed, "timestamp") else changed
    return int(seconds * 1e9) if isinstance(seconds, int | float) else 0


@lru_cache(maxsize=BLOCKS)
def _block(url: str, known: Stat, number: int) -> bytes:
    start = number * BLOCK_BYTES
    end = min(known.st_size, start + BLOCK_BYTES)
    with _told(url):
        store, path = _store(url)
        data = bytes(store.cat_file(path, start=start, end=end))
    if len(data) != end - start:  # a server that knows no ranges sends all
        raise OSError(errno.EIO, f"{len(data)} bytes came where {end - start} from offset {start} were asked for", url)
    return data


class _Blocks(io.RawIOBase):
    """A file at a URL, read by the block."""

    def __init__(self, url: str, known: Stat) -> None:
        self.url, self.known, self.at = url, known, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self.at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self.at, os.SEEK_END: self.known.st_size}[whence]
        return self.at

    def tell(self) -> int:
        return self.at

    def readinto(self, buffer: Any) -> int:
        if self.at >= self.known.st_size:
            return 0
        number, start = divmod(self.at, BLOCK_BYTES)
        data = _block(self.url, self.known, number)[start : start + len(buffer)]
        buffer[: len(data)] = data
        self.at += len(data)
        return len(data)
