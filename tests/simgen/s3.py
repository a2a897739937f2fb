"""A real S3 server on loopback, moto's, in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.simgen.loopback import served

BUCKET = "bucket"


@contextmanager
def server() -> Iterator[None]:
    """Within, `s3://` means this server, here and in processes that are started; it has one empty bucket.

    s3fs keeps its file systems, each with the endpoint it was made with: those of a server that has ended are let go.
    """
    with served("moto.server", (), "-H", "-p", f"/{BUCKET}", "PUT") as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", address)
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        _forget()
        try:
            yield
        finally:
            _forget()


def _forget() -> None:
    from s3fs import S3FileSystem

    S3FileSystem.clear_instance_cache()
