"""The one reader of JSON that comes from outside: the size, the encoding, the depth and the numbers are checked.

Standard library only. A file that is read this way can make the program neither hang nor run out of memory, and every
fault of it is a `TextFileError` of one line.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from simgen.spec.errors import SimgenError, TextFileError
from simgen.spec.text.bounded import NotRead, bounded_bytes

MAX_JSON_BYTES = 64 * 2**20  # callers that read larger files say so
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")


def read_json(path: Path, most_bytes: int = MAX_JSON_BYTES) -> Any:
    """The value in a JSON file.

    Raises:
        TextFileError: as `read_text` and `parse_json`. Names the file.
    """
    text = read_text(path, most_bytes)
    try:
        return parse_json(text)
    except TextFileError as error:
        raise TextFileError(f"{path}: {error}") from None


def read_text(path: Path, most_bytes: int = MAX_JSON_BYTES) -> str:
    """The text of a UTF-8 file, without its byte order mark.

    Raises:
        TextFileError: there is no such file, it is no regular file, too large, not readable or not UTF-8. Names it.
    """
    too_large = f"has more than the {most_bytes} bytes that are read of such a file"
    return decode_utf8(read_bounded(path, most_bytes, TextFileError, too_large), str(path))


def read_bounded(path: Path, most_bytes: int, kind: type[SimgenError], too_large: str) -> bytes:
    """The bytes of a regular file.

    Args:
        kind: of the errors. Each names the file.
        too_large: the message where it has more than `most_bytes`.

    Raises:
        SimgenError: there is no such file, it is no regular file, cannot be read or is too large.
    """
    try:
        return bounded_bytes(path, most_bytes)
    except NotRead as error:
        why = {"missing": "there is no such file", "no file": "is no regular file", "too large": too_large}
        raise kind(f"{path}: {why.get(error.fault, f'cannot be read: {error.why}')}") from None


def decode_utf8(raw: bytes, file: str) -> str:
    """The text of UTF-8 bytes, without a byte order mark.

    Raises:
        TextFileError: it is not UTF-8. Names `file` and the first wrong byte.
    """
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        where = f"byte {error.start} is {raw[error.start]:#04x}"
        hint = "; save it as UTF-8" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        raise TextFileError(f"{file}: not UTF-8 text: {where}{hint}") from None


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text. Half of a surrogate pair becomes U+FFFD, so that every string can be printed.

    NaN and Infinity are read as Python writes them: who needs finite numbers must check them.

    Raises:
        TextFileError: it is no JSON, nested too deep, or has a number of more than 4300 digits.

    >>> parse_json('{"images": [1, 2.5]}')
    {'images': [1, 2.5]}
    """
    if isinstance(text, bytes):
        text = decode_utf8(text, "the text")
    try:
        value = json.loads(text.removeprefix("\ufeff"))
        return _printable(value) if _SURROGATE.search(text) else value
    except json.JSONDecodeError as error:
        raise TextFileError(f"no JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise TextFileError("no JSON that can be read: nested too deep") from None
    except ValueError as error:
        raise TextFileError(f"no JSON that can be read: {error}") from None


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_printable(item) for item in value]
    if isinstance(value, dict):
        return {_printable(key): _printable(item) for key, item in value.items()}
    return value
