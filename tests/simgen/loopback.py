"""Servers of other people's programs on this machine's own address, for as long as a test needs them."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

START_S = 120.0  # a busy machine takes its time


def need(*packages: str) -> pytest.MarkDecorator:
    """Skip where one of them is not installed."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}: pip install '.[dev]'")


@contextmanager
def served(module: str, words: Sequence[str], host: str, port: str, ask: str, method: str) -> Iterator[str]:
    """The address of `python -m module WORDS` at a free port, once it has answered a first request.

    Args:
        host, port: the program's options for them.
        ask, method: the first request: what it asks for, and how.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    line = [sys.executable, "-m", module, *words, host, "127.0.0.1", port, str(number)]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        address, deadline = f"http://127.0.0.1:{number}", time.monotonic() + START_S
        while True:
            try:
                urllib.request.urlopen(urllib.request.Request(address + ask, method=method), timeout=10).close()
                break
            except OSError:
                assert process.poll() is None, "the server ended"
                assert time.monotonic() < deadline, "the server does not answer"
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait()
