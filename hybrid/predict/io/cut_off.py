"""Whether a video file is cut off, as the lengths that its container states tell. Reads a few bytes of a file.

OpenCV only estimates the number of frames in .mkv, .webm, .ts and .wmv: from the longest track, sound too, and from
time 0, where the picture may begin later. So a time at the end proves nothing, but these lengths in bytes do:

- Matroska, WebM: the size of the Segment (RFC 8794, 6.2; RFC 9559, 5.1). A live recording states none; there the
  sizes of its elements count. A cut between two of them cannot be told from an end.
- MP4, MOV: the sizes of the outermost boxes, fragments too (ISO/IEC 14496-12, 4.2).
- AVI: the sizes of the RIFF chunks (Microsoft, "AVI RIFF file reference"; OpenDML 1.02 for more than one).
- MPEG-TS: whole packets of 188 bytes (ISO/IEC 13818-1, 2.4.3.2), of 192 on Blu-ray discs. A cut between two packets
  cannot be told from an end.
- WMV: the file's size (Microsoft, "Advanced Systems Format", 3.2), where it is no broadcast.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

MOST_BOXES = 100_000  # more are not followed
HEAD_BYTES = 65_536
UNKNOWN_RIFF = (0, 0xFFFF_FFFF)  # what a writer leaves that cannot go back to the start
EBML, SEGMENT, CLUSTER = bytes.fromhex("1A45DFA3"), bytes.fromhex("18538067"), bytes.fromhex("1F43B675")
ASF_HEADER = bytes.fromhex("3026B2758E66CF11A6D900AA0062CE6C")
ASF_FILE_PROPERTIES = bytes.fromhex("A1DCAB8C47A9CF118EE400C00C205365")
FRAME_BOXES = (b"mdat", b"moof", b"moov")  # some cameras append data of their own, which is not in boxes
SYNC = 0x47  # first byte of each packet of a transport stream
PACKET_BYTES = (188, 192)


def cut_off(path: Path) -> str | None:
    """Where the file ends and where it should, in words; None where it is whole or states no length."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(HEAD_BYTES)
            if head[:4] == EBML:
                stated: int | None = _matroska(file, head, size)
            elif (stated := _asf(head, size)) is None and (stated := _transport(head, size)) is None:
                stated = _chunks(file, size, _next_riff if head[:4] == b"RIFF" else _next_box)
    except OSError:  # OpenCV could open it
        return None
    return None if stated is None or stated <= size else f"the file has {size} of {stated} bytes"


# ------------------------------------------------------------------------------------------------ internals


def _matroska(file: BinaryIO, head: bytes, size: int) -> int:
    """Where the Segment ends; of a live recording, where the last of its elements ends."""
    at, length = _vint(head, 4)
    if length is None or head[at + length : at + length + 4] != SEGMENT:
        return size
    at, length = _vint(head, at + length + 4)
    return _chunks(file, size, _next_element, at) if length is None else at + length


def _next_element(file: BinaryIO, at: int, _size: int) -> int | None:
    """Where an element of EBML ends, or its content begins where it is a Cluster without a size."""
    header = file.read(12)
    bytes_of_id = 9 - header[0].bit_length()
    if bytes_of_id > 4:
        return None
    end, length = _vint(header, bytes_of_id)
    if length is None:
        return at + end if header[:4] == CLUSTER else None
    return at + end + length


def _vint(head: bytes, at: int) -> tuple[int, int | None]:
    """Where a size of EBML ends, and the size; None: unknown, which is written as ones."""
    first = head[at] if at < len(head) else 0
    bytes_of_it = 9 - first.bit_length()
    if bytes_of_it > 8:
        return at, None
    value = int.from_bytes(head[at : at + bytes_of_it]) & ((1 << 7 * bytes_of_it) - 1)
    return at + bytes_of_it, None if value == (1 << 7 * bytes_of_it) - 1 else value


def _asf(head: bytes, size: int) -> int | None:
    if head[:16] != ASF_HEADER:
        return None
    at = head.find(ASF_FILE_PROPERTIES)
    is_broadcast = at < 0 or bool(head[at + 88 : at + 89] != b"" and head[at + 88] & 1)
    return size if is_broadcast else int.from_bytes(head[at + 40 : at + 48], "little")


def _transport(head: bytes, size: int) -> int | None:
    """The next end of a packet; None where this is no transport stream."""
    for packet in PACKET_BYTES:
        for first in range(packet):
            if len(head) > first + 4 * packet and set(head[first : first + 5 * packet : packet]) == {SYNC}:
                start = first - (packet - 188)  # a packet of 192 bytes has a time of 4 bytes before it
                return start + -(-(size - start) // packet) * packet
    return None


def _chunks(file: BinaryIO, size: int, ends: Callable[[BinaryIO, int, int], int | None], at: int = 0) -> int:
    """Where the last chunk of a file ends, by the sizes that the chunks state. The first begins at byte `at`."""
    for _ in range(MOST_BOXES):
        if at >= size:
            break
        file.seek(at)
        end = ends(file, at, size)
        if end is None:
            return size
        at = end
    return at


def _next_box(file: BinaryIO, at: int, size: int) -> int | None:
    """Where a box of an MP4 file ends; None: at the end of the file, or this is none, or none with frames."""
    header = file.read(16)
    length = int.from_bytes(header[:4])
    if length == 1:
        length = int.from_bytes(header[8:16])
    if length < 8 or (at + length > size and header[4:8] not in FRAME_BOXES):
        return None
    return at + length


def _next_riff(file: BinaryIO, at: int, _size: int) -> int | None:
    header = file.read(8)
    length = int.from_bytes(header[4:8], "little")
    return None if header[:4] != b"RIFF" or length in UNKNOWN_RIFF else at + 8 + length
