"""The index of a data set: the offset of each clip, so that a clip is found without a scan of its shard.

`index.bin` beside the manifest: 24 bytes with the name of the format, the sha256 of the manifest, the number of
offsets; then for each shard the offsets of its clips and the end of the last one, 64 bit each, little endian. To find a
clip, 16 bytes are read. An index beside another manifest is refused. Standard library only.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from typing import IO

INDEX = "index.bin"
_MAGIC = b"simgen-index/1".ljust(24, b"\0")
_HEAD = struct.Struct("<24s32sQ")
_OFFSET = struct.Struct("<Q")
_SPAN = struct.Struct("<QQ")


def chunks(manifest_sha256: bytes, count: int, offsets: Iterable[list[int]]) -> Iterator[bytes]:
    """The bytes of an index of `count` offsets, given shard by shard."""
    yield _HEAD.pack(_MAGIC, manifest_sha256, count)
    for each in offsets:
        yield b"".join(map(_OFFSET.pack, each))


def check(file: IO[bytes], manifest_sha256: bytes, count: int) -> None:
    """Check that the index in `file` is complete and belongs to the manifest.

    Raises:
        ValueError: it does not. Says why.
    """
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size or not head.startswith(_MAGIC):
        raise ValueError("is not an index of this format")
    _, of_manifest, places = _HEAD.unpack(head)
    if of_manifest != manifest_sha256 or places != count:
        raise ValueError("is of another manifest than the one beside it")
    size, expected = file.seek(0, os.SEEK_END), _HEAD.size + count * _OFFSET.size
    if size != expected:
        raise ValueError(f"has {size} bytes, expected {expected}")


def span(file: IO[bytes], place: int) -> tuple[int, int]:
    """The offsets where a clip begins and ends in its shard.

    Args:
        place: the number of clips and of shards before it.

    Raises:
        ValueError: the file has become shorter.
    """
    file.seek(_HEAD.size + place * _OFFSET.size)
    data = file.read(_SPAN.size)
    if len(data) != _SPAN.size:
        raise ValueError(f"ends at place {place}")
    start, end = _SPAN.unpack(data)
    return start, end
