"""Tell a URL from a path by its text alone."""

from __future__ import annotations

import errno
import re

_URL = re.compile(r"([a-z][a-z0-9+.-]*)(::[a-z][a-z0-9+.:-]*)?://(.+)")
_HALF_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
OWN_DISK = ("file", "local")  # such a URL is a path
WHOLE_AT_ONCE = frozenset({"s3", "s3a", "gs", "gcs"})  # buckets: no folders; objects appear with the last request


def scheme_of(text: str) -> str:
    """The scheme of a URL such as s3://bucket/folder; empty for a path.

    Raises:
        OSError: it is neither, such as `s3://`, `://x` and `http:/x`.
    """
    before, slashes, rest = text.partition("://")
    if (slashes and not (rest if before in OWN_DISK else rest.strip("/"))) or "\0" in text:
        raise OSError(errno.EINVAL, "names no folder", text)
    match = _URL.fullmatch(text)
    if match is None and (slashes or _HALF_URL.match(text)):
        raise OSError(errno.EINVAL, "is no URL such as s3://bucket/folder; for a folder of that name add ./", text)
    if match and match[1] in WHOLE_AT_ONCE and not rest[0].isalnum():
        raise OSError(errno.EINVAL, f"needs the name of a bucket after {match[1]}://", text)
    return match[1] if match else ""
