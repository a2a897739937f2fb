"""Read a large JSON object key by key, and its long list element by element, in bounded memory.

The text may come from anywhere. At most a buffer of `CHUNK_CHARS` and one value of `limit_chars` are in memory at a
time. Standard library only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from io import TextIOBase
from json.decoder import JSONDecodeError
from typing import Any

CHUNK_CHARS = 2**20
_NUMBER_GOES_ON = {"", *"0123456789.eE+-"}  # or the window ends
_SPACE = re.compile(r"[ \t\n\r]*")
_decode = json.JSONDecoder().raw_decode


def object_items(file: TextIOBase, long_list: str, limit_chars: int) -> Iterator[tuple[str, Any, bool]]:
    """Yield (key, value, whether the value is an element of the long list) for the object in `file`, in its order.

    Args:
        file: open at its start.
        long_list: a key. If its value is a list, its elements are yielded one by one, and then an empty list. A value
            that is no list is yielded as it is.
        limit_chars: the largest value or element.

    Raises:
        ValueError: it is no JSON object, a key is repeated, a value is too large, or the text is not UTF-8.
        RecursionError: it is nested too deep.
    """
    text, seen = _Text(file, limit_chars), set()
    text.expect("{")
    ended = text.accept("}")
    while not ended:
        key = text.value()
        if not isinstance(key, str) or key in seen:
            raise ValueError(f"needs a key that stands once, got {key!r:.60}")
        seen.add(key)
        text.expect(":")
        if key == long_list and text.accept("["):
            for element in _elements(text):
                yield key, element, True
            yield key, [], False
        else:
            yield key, text.value(), False
        ended = text.accept("}")
        if not ended:
            text.expect(",")
    text.end()


def _elements(text: _Text) -> Iterator[Any]:
    """The elements of a list whose opening bracket was read."""
    if text.accept("]"):
        return
    while True:
        yield text.value()
        if text.accept("]"):
            return
        text.expect(",")


class _Text:
    """A parser over a window of a file."""

    def __init__(self, file: TextIOBase, limit_chars: int) -> None:
        self._file, self._limit = file, limit_chars
        self._window, self._at, self._ended = "", 0, False

    def accept(self, sign: str) -> bool:
        """Skip spaces. If the next character is `sign`, consume it and return True."""
        is_next = self._next() == sign
        self._at += is_next
        return is_next

    def expect(self, sign: str) -> None:
        """Consume `sign`, which must be next."""
        if not self.accept(sign):
            raise ValueError(f"needs {sign!r}, got {self._here()!r}")

    def end(self) -> None:
        if self._next():
            raise ValueError(f"goes on after its end: {self._here()!r}")

    def _here(self) -> str:
        return self._window[self._at : self._at + 20]

    def value(self) -> Any:
        """The next value."""
        self._next()
        while True:
            try:
                value, end = _decode(self._window, self._at)
            except JSONDecodeError:  # perhaps only cut off by the window's end
                end = len(self._window)
                if self._ended:
                    raise
            if self._window[end : end + 1] not in _NUMBER_GOES_ON or self._ended:  # "1" may become "1.5e3"
                self._at = end
                return value
            if len(self._window) - self._at > self._limit:
                raise ValueError(f"a value of more than {self._limit} characters")
            self._more(max(CHUNK_CHARS, len(self._window) - self._at))

    def _next(self) -> str:
        """Skip spaces, and return the next character without consuming it; "" at the end."""
        sign = self._window[self._at : self._at + 1]
        if sign and sign not in " \t\n\r":
            return sign
        while True:
            space = _SPACE.match(self._window, self._at)
            assert space is not None
            self._at = space.end()
            if self._at < len(self._window) or self._ended:
                return self._window[self._at : self._at + 1]
            self._more(CHUNK_CHARS)

    def _more(self, count: int) -> None:
        """Drop the consumed text and read more. The window doubles, so a long value is parsed only a few times."""
        chunk = self._file.read(count)
        self._ended = not chunk
        self._window, self._at = self._window[self._at :] + chunk, 0
