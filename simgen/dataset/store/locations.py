"""The location of a data set: a folder, or a URL of any storage that fsspec supports (`s3://`, `gs://`, ...).

`location` turns what a user wrote into a `pathlib.Path` or a `RemotePath`. A `RemotePath` has the path methods that
data sets need, so the same code reads and writes both. Three things differ at a URL:

- A file is uploaded when it is complete, and appears under its name at once: with one request or the last request of a
  multipart upload on S3 and Google Cloud, by a rename elsewhere. A process that is killed leaves no partial file there.
- There are no locks. Two runs of one request do the same work twice and write the same bytes; no shard is ever mixed.
- Files are read in blocks. A process caches the last few, because the members of a clip are next to each other.

fsspec is imported when a URL is opened, never for a folder. Credentials and endpoints are set as its file systems
document, for example with `AWS_PROFILE` and `AWS_ENDPOINT_URL`.
"""

from __future__ import annotations

import errno
import io
import os
import secrets
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from simgen.dataset.store.url import OWN_DISK, WHOLE_AT_ONCE, scheme_of
from simgen.spec.install import install_hint
from simgen.spec.text.printable import redacted

BLOCK_BYTES = 4 * 2**20  # of one read
BLOCKS = 16  # that a process caches
SPOOL_BYTES = 64 * 2**20  # a larger file waits for its upload in a temporary file
ATTEMPTS = 3  # to upload a file
PAUSE_S = 1.0  # before the second attempt; doubled before each further one
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}


@dataclass(frozen=True)
class Stat:
    """The fields of `os.stat_result` that are known for a file at a URL."""

    st_size: int
    st_mode: int
    st_mtime_ns: int  # 0 where the storage does not report it
    version: str  # changes with the content


@dataclass(frozen=True, order=True)
class RemotePath:
    """A file or a folder at a URL. It holds no connection, so it may be pickled and sent to another machine.

    Every method raises OSError, with the URL as `filename`, where the storage refuses or cannot be reached.
    Its text hides users, keys and tokens in the URL, for messages and records.
    """

    url: str = field(repr=False)  # without a slash at its end

    def __str__(self) -> str:
        return redacted(self.url)

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
        """Ask the storage, never a cache. Cached blocks of an earlier content are not used after this."""
        with _os_errors(self.url):
            store, path = _store(self.url)
            info = store.info(path)
        folder = info["type"] == "directory"
        changed = next((info[key] for key in ("LastModified", "mtime", "updated", "created") if key in info), None)
        mark = info.get("ETag") or info.get("etag") or info.get("md5Hash") or changed
        known = Stat(
            st_size=int(info.get("size") or 0),
            st_mode=stat.S_IFDIR if folder else stat.S_IFREG,
            st_mtime_ns=_nanoseconds(changed),
            version=str(mark),
        )
        if len(_KNOWN) > 10_000:
            _KNOWN.clear()
        _KNOWN[self.url] = known
        return known

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
        """Open for reading. This process reads the content that was there at the last call of `stat`."""
        if mode != "rb":
            raise ValueError(f"{self}: can be opened in mode 'rb' alone, got {mode!r}; `uploading` writes it")
        return io.BufferedReader(_Blocks(self.url, _KNOWN.get(self.url) or self.stat()))

    def read_bytes(self) -> bytes:
        """The current content."""
        self.stat()
        with self.open() as file:
            return file.read()

    def mkdir(self, parents: bool = True, exist_ok: bool = True) -> None:
        """Make the folder, where the storage has folders. Never makes a bucket."""
        if not self._whole_at_once:
            with _os_errors(self.url):
                store, path = _store(self.url)
                store.makedirs(path, exist_ok=exist_ok)

    def unlink(self, missing_ok: bool = False) -> None:
        try:
            with _os_errors(self.url):
                store, path = _store(self.url)
                store.rm_file(path)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def sizes(self) -> dict[str, int]:
        """The sizes of the files in this folder, in bytes; 0 for a folder. Empty where this folder does not exist."""
        try:
            with _os_errors(self.url):
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
        """A file to write to. It is uploaded when the block has ended without an exception.

        Raises:
            OSError: the upload failed. What was at the URL before is unchanged.
        """
        if "::" in self.url:
            raise OSError(errno.EINVAL, "a chain of file systems is read-only", str(self))
        with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as spool:
            yield spool
            _attempt(lambda: self._send(spool))
        _KNOWN.pop(self.url, None)

    def _send(self, spool: IO[bytes]) -> None:
        size = spool.seek(0, os.SEEK_END)
        spool.seek(0)
        with _os_errors(self.url):
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
            raise OSError(errno.EIO, f"{size} bytes were sent and {arrived} are there", str(self))


Location = Path | RemotePath


def location(text: str | Location) -> Location:
    """The folder or URL that a text names.

    Raises:
        OSError: it is neither, the kind of URL is unknown, or needs a package that is not installed. Says which.
    """
    if isinstance(text, Path | RemotePath):
        return text
    scheme = scheme_of(text)
    if scheme in ("", *OWN_DISK):
        return Path(text.partition("://")[2] if scheme else text)
    remote = RemotePath(text.rstrip("/"))
    try:
        _store(remote.url)
    except ImportError as error:
        asked = install_hint(EXTRAS[scheme]) if scheme in EXTRAS else str(error)
        raise OSError(errno.ENOSYS, f"needs a package that is not installed: {asked}", redacted(text)) from None
    except Exception as error:  # fsspec and its file systems raise anything: ValueError, TypeError, errors of requests
        said = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise OSError(errno.EINVAL, redacted(" ".join(said.split())), redacted(text)) from None
    return remote


def sizes(folder: Location) -> dict[str, int]:
    """The sizes of the files in a folder, in bytes; 0 for what is no file."""
    if isinstance(folder, RemotePath):
        return folder.sizes()
    with os.scandir(folder) as entries:
        return {entry.name: entry.stat().st_size if entry.is_file() else 0 for entry in entries}


# ------------------------------------------------------------------------------------------------ internals

_KNOWN: dict[str, Stat] = {}  # the last result of `stat`


def _store(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it. fsspec caches file systems for each process and thread."""
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise ImportError("pip install fsspec") from None
    store, path = url_to_fs(url, use_listings_cache=False)
    return store, str(path)


@contextmanager
def _os_errors(url: str) -> Iterator[None]:
    """Turn the errors of any library into OSError with the URL."""
    try:
        yield
    except OSError as error:
        text = str(error.strerror or error) or type(error).__name__
        raise OSError(error.errno or _errno(error), redacted(" ".join(text.split())), redacted(url)) from error
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise OSError(errno.EIO, redacted(text), redacted(url)) from error


def _errno(error: OSError) -> int:
    if isinstance(error, FileNotFoundError):
        return errno.ENOENT
    return errno.EACCES if isinstance(error, PermissionError) else errno.EIO


def _attempt(send: Callable[[], None]) -> None:
    """Try again after an error, which may be one of the network. Missing files and permissions are not tried again."""
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
    file = store.open(path, "wb", autocommit=False)  # its parts become an object with `commit`
    try:
        _copy(spool, file)
        file.close()
        file.commit()
    except BaseException:
        with suppress(Exception):  # the first error is the one to report
            file.discard()
        file.closed = True  # or the garbage collector would start the upload again
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
    with _os_errors(url):
        store, path = _store(url)
        data = bytes(store.cat_file(path, start=start, end=end))
    if len(data) != end - start:  # a server without range requests sends the whole file
        raise OSError(
            errno.EIO, f"received {len(data)} bytes, requested {end - start} from offset {start}", redacted(url)
        )
    return data


class _Blocks(io.RawIOBase):
    """A file at a URL, read in blocks."""

    def __init__(self, url: str, known: Stat) -> None:
        self.url, self.known, self.position = url, known, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self.position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.known.st_size}[whence]
        return self.position

    def tell(self) -> int:
        return self.position

    def readinto(self, buffer: Any) -> int:
        if self.position >= self.known.st_size:
            return 0
        number, start = divmod(self.position, BLOCK_BYTES)
        data = _block(self.url, self.known, number)[start : start + len(buffer)]
        buffer[: len(data)] = data
        self.position += len(data)
        return len(data)
