"""Workers end whatever they do: a stopped process never answers, and a second Ctrl-C does not wait."""

import multiprocessing
import os
import signal
import time

import pytest

from simgen.generation.engines import local
from simgen.generation.engines.dispatch import Dispatcher
from tests.simgen.generation.test_generate import plan


@pytest.fixture
def pool(tmp_path, monkeypatch):
    """A pool whose one worker is stopped, as a debugger or a full swap stops it."""
    monkeypatch.setattr(local, "GRACE_S", 0.2)
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=time.sleep, args=(600,), daemon=True)
    process.start()
    theirs.close()
    os.kill(process.pid, signal.SIGSTOP)
    (tmp_path / f".shard-00000.tar.{process.pid}.tmp").write_bytes(b"half")
    pool = local._Pool(Dispatcher(plan(), iter(())), tmp_path, 1)
    pool.workers.append(local._Worker(process, ours))
    yield pool
    process.kill()


def test_a_stopped_worker_is_killed_and_its_files_go(pool, tmp_path):
    process, began = pool.workers[0].process, time.monotonic()
    pool.close()
    assert time.monotonic() - began < 3.0
    assert process.exitcode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []


def test_an_idle_worker_that_is_stopped_is_dismissed(pool):
    process = pool.workers[0].process
    pool.dismiss(pool.workers[0])
    process.join(3.0)
    assert process.exitcode == -signal.SIGKILL


def test_a_second_ctrl_c_kills_at_once(pool, tmp_path, monkeypatch):
    monkeypatch.setattr(local, "GRACE_S", 60.0)
    worker, presses = pool.workers[0], []

    class Impatient:
        """Ctrl-C arrives during the first wait."""

        def __getattr__(self, name):
            return getattr(process, name)

        def join(self, timeout):
            presses.append(timeout)
            if len(presses) == 1:
                raise KeyboardInterrupt
            process.join(timeout)

    process, worker.process = worker.process, Impatient()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        pool.close()
    assert time.monotonic() - began < 3.0
    assert process.exitcode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []
