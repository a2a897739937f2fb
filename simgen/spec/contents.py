"""Files that scenes are made of, such as photographs, by the sha256 of their bytes, for this process.

A spec names such a file by its sha256 alone, so it holds no path of any machine. Whoever loads a preset or opens a data
set keeps the bytes here first.
"""

from __future__ import annotations

import hashlib

from simgen.spec.errors import MissingContent

_KEPT: dict[str, bytes] = {}


def keep(data: bytes) -> str:
    """Keep the bytes for this process. Returns their sha256."""
    digest = hashlib.sha256(data).hexdigest()
    _KEPT.setdefault(digest, data)
    return digest


def content(sha256: str, name: str) -> bytes:
    """The bytes of a file.

    Args:
        name: for the message.

    Raises:
        MissingContent: nobody kept them.
    """
    if sha256 not in _KEPT:
        raise MissingContent(f"{name}: this process does not have the file of sha256 {sha256[:16]}...")
    return _KEPT[sha256]
