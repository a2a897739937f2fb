"""Where each clip of a data set begins, so that clip K is found without a scan of its shard. Standard library only.

`index.bin` beside the manifest: 24 bytes of name, the manifest's sha256, the number of places; then for each shard
where its clips begin and where the last of them ends, 64 bit each, little endian. A look reads 16 bytes of it and keeps
nothing, whatever the size of the data set. It is of one manifest, which it names: beside another it is refused.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from typing import IO

INDEX = "index.bin"
_MAGIC = b"simgen-index/1".ljust(24, b"\0")
_HEAD = struct.Struct("<24s32sQ")
_PLACE = struct.Struct("<Q")
_SPAN = struct.Struct("<QQ")


def chunks(manifest_sha256: bytes, count: int, places: Iterable[list[int]]) -> Iterator[bytes]:
    """The bytes of an index of `count` places, given shard by shard."""
    yield _HEAD.pack(_MAGIC, manifest_sha256, count)
    for each in places:
        yield b"".join(map(_PLACE.pack, each))


def check(file: IO[bytes], manifest_sha256: bytes, count: int) -> None:
    """Is the index in `file` of this manifest, and whole?

    Raises:
        ValueError: it is not; says why.
    """
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size or not head.startswith(_MAGIC):
        raise ValueError("is no index of this format")
    _, of_manifest, places = _HEAD.unpack(head)
    if of_manifest != manifest_sha256 or places != count:
        raise ValueError("is of another manifest than the one beside it")
    size, due = file.seek(0, os.SEEK_END), _HEAD.size + count * _PLACE.size
    if size != due:
        raise ValueError(f"has {size} bytes where {due} belong")


def span(file: IO[bytes], place: int) -> tuple[int, int]:
    """Where a clip begins and ends in its shard; place = the clips and the shards before it.

    Raises:
        ValueError: the file has become shorter.
    """
    file.seek(_HEAD.size + place * _PLACE.size)
    data = file.read(_SPAN.size)
    if len(data) != _SPAN.size:
        raise ValueError(f"ends at place {place}")
    start, end = _SPAN.unpack(data)
    return start, end
