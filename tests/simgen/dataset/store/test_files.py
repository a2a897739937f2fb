"""Files that are written whole or not at all, checks before a file is read, and the lock of a folder."""

import errno
import hashlib
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simgen.dataset.store import files
from simgen.dataset.store.files import atomically, check_plain, file_sha256, write_atomically
from simgen.dataset.store.lock import held
from simgen.spec.errors import ShardError


class Cut(BaseException):
    """As KeyboardInterrupt: not an Exception."""


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(chunks=st.lists(st.binary(max_size=50), max_size=6))
def test_chunks_and_bytes_make_the_same_file_and_its_digest(tmp_path_factory: Any, chunks: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("chunks") / "a"
    whole = b"".join(chunks)
    expected = (hashlib.sha256(whole).hexdigest(), len(whole))
    assert write_atomically(path, iter(chunks)) == expected
    assert path.read_bytes() == whole
    assert write_atomically(path, whole) == expected
    assert (file_sha256(path), path.stat().st_size) == expected


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with atomically(path) as sink:
        sink.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("error", [OSError("disk"), ValueError("ours"), Cut()])
@pytest.mark.parametrize("where", ["chunks", "os.fsync", "os.replace"])
def test_a_failure_leaves_the_old_content_and_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, error: BaseException
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise error

    def chunks() -> Iterator[bytes]:
        yield b"new"
        if where == "chunks":
            raise error

    if where != "chunks":
        monkeypatch.setattr(where, fail)
    with pytest.raises(type(error)):
        write_atomically(path, chunks())
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == {"a": b"old"}


def test_the_content_is_on_the_disk_before_the_name_and_the_name_before_the_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut a renamed file that was not synced is empty on some file systems."""
    calls: list[str] = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr("os.fsync", lambda number: calls.append(_kind(number)) or sync(number))
    monkeypatch.setattr("os.replace", lambda *paths: calls.append("rename") or replace(*paths))
    write_atomically(tmp_path / "a", b"new")
    assert calls == ["file of 3 bytes", "rename", "folder"]


def _kind(descriptor: int) -> str:
    info = os.fstat(descriptor)
    return "folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else f"file of {info.st_size} bytes"


def test_the_next_write_removes_what_a_killed_one_left_and_nothing_else(tmp_path: Path) -> None:
    killed = [tmp_path / f".a.json.{number}.tmp" for number in (7, 1234567)]
    other = [tmp_path / name for name in (".b.json.7.tmp", ".a.json.7.tmp.x", ".a.json.x.tmp", ".aXjson.7.tmp")]
    for path in (*killed, *other):
        path.write_bytes(b"half")
    write_atomically(tmp_path / "a.json", b"new")
    assert not any(path.exists() for path in killed)
    assert all(path.exists() for path in other)
    killed[0].write_bytes(b"half")
    with atomically(tmp_path / "a.json", sweep=False):
        pass
    assert killed[0].exists()


def test_what_another_process_writes_at_the_moment_stays(tmp_path: Path) -> None:
    import fcntl

    busy = tmp_path / ".a.7.tmp"
    with busy.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        write_atomically(tmp_path / "a", b"new")
        assert busy.exists()
    with atomically(tmp_path / "a"):  # and so does one's own
        part = next(path for path in tmp_path.iterdir() if path.name != "a" and path != busy)
        files.remove_left(tmp_path, "a")
        assert part.exists()
        assert not busy.exists()


def test_a_link_is_followed_and_a_pipe_gets_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "5.json").write_bytes(b"old")
    (tmp_path / "latest.json").symlink_to(tmp_path / "runs" / "5.json")
    write_atomically(tmp_path / "latest.json", b"new")
    assert (tmp_path / "latest.json").is_symlink()
    assert (tmp_path / "runs" / "5.json").read_bytes() == b"new"
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_atomically(tmp_path / "pipe", b"new")
    assert os.read(reader, 10) == b"new"
    os.close(reader)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)  # as root, /dev/null would have become a file


@pytest.mark.parametrize("where", ["os.fsync", "os.replace"])
def test_a_full_disk_names_the_file_that_the_user_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def full(*asked: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", *map(str, asked if where == "os.replace" else ()))

    monkeypatch.setattr(where, full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_atomically(tmp_path / "a", b"new")
    assert caught.value.filename == str(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        write_atomically(tmp_path / "gone" / "a", b"new")
    assert "gone" in caught.value.filename


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        write_atomically(tmp_path / "a", b"new")
        with held(tmp_path, RuntimeError("busy")):
            pass
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_is_no_plain_file_is_refused_unread(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(ShardError, match="is no plain file"):
            check_plain(path)
    (tmp_path / "a").write_bytes(bytes(10))
    assert check_plain(tmp_path / "a", limit_bytes=10) == 10
    with pytest.raises(ShardError, match="10 bytes, more than the 9 that are read"):
        check_plain(tmp_path / "a", limit_bytes=9)


def test_a_large_file_is_hashed_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = os.urandom(3 * 2**20 + 17)
    (tmp_path / "a").write_bytes(data)
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("read at once"))
    assert files.file_sha256(tmp_path / "a") == hashlib.sha256(data).hexdigest()


def test_one_holds_a_folder_at_a_time_and_an_error_releases_it(tmp_path: Path) -> None:
    with (
        held(tmp_path, RuntimeError("busy")),
        pytest.raises(RuntimeError, match="busy"),
        held(tmp_path, RuntimeError("busy")),
    ):
        pytest.fail("both hold it")
    with pytest.raises(KeyError), held(tmp_path, RuntimeError("busy")):
        raise KeyError
    with held(tmp_path, RuntimeError("busy")):
        assert os.listdir(tmp_path) == []  # nothing to be left behind


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    code = (
        f"import sys; from pathlib import Path; from simgen.dataset.store.lock import held\n"
        f"with held(Path({str(tmp_path)!r}), RuntimeError('busy')): print('held', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    with pytest.raises(RuntimeError, match="busy"), held(tmp_path, RuntimeError("busy")):
        pytest.fail("both hold it")
    child.kill()
    child.communicate()
    with held(tmp_path, RuntimeError("busy")):
        pass
