"""A real S3 server on loopback, moto's, in a process of its own."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

BUCKET = "bucket"
START_S = 120.0  # a busy machine takes its time


def need(*packages: str) -> pytest.MarkDecorator:
    """Skip where one of them is not installed."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}: pip install '.[dev]'")


@contextmanager
def server() -> Iterator[None]:
    """Within, `s3://` means this server, here and in processes that are started; it has one empty bucket.

    s3fs keeps its file systems, each with the endpoint it was made with: those of a server that has ended are let go.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        endpoint = f"http://127.0.0.1:{port}"
        _make_bucket(process, endpoint)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", endpoint)
            patch.setenv("AWS_ACCESS_KEY_ID", "test")
            patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
            patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
            patch.setenv("AWS_CONFIG_FILE", os.devnull)
            patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
            _forget()
            yield
    finally:
        _forget()
        process.terminate()
        process.wait()


def _forget() -> None:
    from s3fs import S3FileSystem

    S3FileSystem.clear_instance_cache()


def _make_bucket(process: subprocess.Popen[bytes], endpoint: str) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            request = urllib.request.Request(f"{endpoint}/{BUCKET}", method="PUT")
            with urllib.request.urlopen(request, timeout=10):
                return
        except OSError:
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.1)
