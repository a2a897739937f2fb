"""The container of binary glTF 2.0 (GLB): a JSON document and a block of numbers, with numpy alone.

It writes and reads one mesh of triangles with plain arrays, as `packed.py` needs them. It is no reader for the GLB
files of others: these go through trimesh. Section numbers are those of the glTF 2.0 specification (Khronos, 2021).
"""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

from simgen.spec.errors import PartFileError, TextFileError
from simgen.spec.text.json_text import parse_json

MAGIC, VERSION = b"glTF", 2  # section 4.4.2
JSON_CHUNK, BIN_CHUNK = 0x4E4F534A, 0x004E4942  # section 4.4.3.1
FLOAT, UINT32 = 5126, 5125  # section 3.6.2.2
_DTYPES = {FLOAT: np.dtype("<f4"), UINT32: np.dtype("<u4")}
_WIDTHS = {"SCALAR": 1, "VEC3": 3}
MAX_JSON_BYTES = 4 * 2**20


def write_glb(document: dict[str, Any], arrays: list[np.ndarray]) -> bytes:
    """The bytes of a GLB. Adds to `document` an accessor and a view of the binary block for each array, in order.

    Args:
        arrays: float32 or uint32, of shape (n,) or (n, 3).
    """
    views, accessors, block = [], [], b""
    for array in arrays:
        raw = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        views.append({"buffer": 0, "byteLength": len(raw), "byteOffset": len(block)})
        accessors.append(_accessor(array, len(views) - 1))
        block += raw
    whole = {**document, "accessors": accessors, "bufferViews": views, "buffers": [{"byteLength": len(block)}]}
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), JSON_CHUNK) + text + struct.pack("<II", len(block), BIN_CHUNK) + block
    return struct.pack("<4sII", MAGIC, VERSION, 12 + len(chunks)) + chunks


def _accessor(array: np.ndarray, view: int) -> dict[str, Any]:
    """What section 3.6.2 says of an array. Bounds are needed for positions, and do no harm elsewhere."""
    of_vectors = array.ndim == 2
    low, high = (array.min(axis=0), array.max(axis=0)) if len(array) else (np.zeros(3), np.zeros(3))
    return {
        "bufferView": view,
        "componentType": FLOAT if array.dtype == np.float32 else UINT32,
        "count": len(array),
        "type": "VEC3" if of_vectors else "SCALAR",
        "min": np.atleast_1d(low).tolist(),
        "max": np.atleast_1d(high).tolist(),
    }


def read_chunks(data: bytes, name: str) -> tuple[dict[str, Any], bytes]:
    """The JSON document and the binary block of a GLB.

    Raises:
        PartFileError: it is no GLB, is cut off, or its document is no JSON object. Names the file.
    """
    if data[:4] != MAGIC or len(data) < 20:
        raise PartFileError(f"{name}: is no GLB file: it does not begin with the four letters glTF")
    version, length = struct.unpack_from("<II", data, 4)
    if version != VERSION:
        raise PartFileError(f"{name}: is a GLB of version {version}; version {VERSION} is read")
    if length != len(data):
        raise PartFileError(f"{name}: says that it has {length} bytes and has {len(data)}: cut off or damaged")
    chunks: dict[int, bytes] = {}
    at = 12
    while at + 8 <= length:
        size, kind = struct.unpack_from("<II", data, at)
        if at + 8 + size > length:
            raise PartFileError(f"{name}: byte {at}: a chunk of {size} bytes goes over the end of the file")
        chunks.setdefault(kind, data[at + 8 : at + 8 + size])
        at += 8 + size
    return _document(chunks.get(JSON_CHUNK, b""), name), chunks.get(BIN_CHUNK, b"")


def _document(text: bytes, name: str) -> dict[str, Any]:
    if len(text) > MAX_JSON_BYTES:
        raise PartFileError(f"{name}: its JSON has {len(text)} bytes, more than the {MAX_JSON_BYTES} that are read")
    try:
        document = parse_json(text.rstrip(b" \0"))
    except TextFileError as error:
        raise PartFileError(f"{name}: its JSON: {error}") from None
    if not isinstance(document, dict):
        raise PartFileError(f"{name}: its JSON is no object")
    return document


def read_array(document: dict[str, Any], block: bytes, index: Any, name: str) -> np.ndarray:
    """One array of a GLB, as `write_glb` stores it.

    Raises:
        PartFileError: there is no such array, it is stored in another way, or lies outside the file. Names the file.
    """
    try:
        accessor = document["accessors"][index]
        view = document["bufferViews"][accessor["bufferView"]]
        dtype, width = _DTYPES[accessor["componentType"]], _WIDTHS[accessor["type"]]
        count, begin = int(accessor["count"]), int(view["byteOffset"])
        plain = not {"sparse", "byteOffset"} & set(accessor) and "byteStride" not in view
    except (KeyError, IndexError, TypeError, ValueError, OverflowError):
        raise PartFileError(f"{name}: its array {index!r:.20} is not stored as an imported part stores it") from None
    size = count * width * dtype.itemsize
    if not plain or count < 0 or begin < 0 or begin + size > len(block):
        raise PartFileError(f"{name}: its array {index!r:.20} goes over the end of the file, or has gaps")
    values = np.frombuffer(block, dtype, count * width, begin)
    return values.reshape(count, width) if width > 1 else values
