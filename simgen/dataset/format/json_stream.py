"""A large JSON object read key by key, its long list element by element, in bounded memory. Standard library only.

The text may come from anywhere: what is held at once is a buffer of `CHUNK_CHARS` and one value of `limit_chars`.
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
    """Key and value of the object in `file`, in its order, and whether the value is an element of the long list.

    Args:
        file: at its start.
        long_list: a key whose value, where it is a list, comes as one element after the other, and at the end as the
            empty list that is left. Any other value of it comes as it is.
        limit_chars: of one value, or one element.

    Raises:
        ValueError: it is no JSON object, a key stands twice, a value is too large, or bytes are no UTF-8.
        RecursionError: it is too deep.
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
    """What is left of a list whose bracket was read."""
    if text.accept("]"):
        return
    while True:
        yield text.value()
        if text.accept("]"):
            return
        text.expect(",")


class _Text:
    """A window that moves over a file."""

    def __init__(self, file: TextIOBase, limit_chars: int) -> None:
        self._file, self._limit = file, limit_chars
        self._window, self._at, self._ended = "", 0, False

    def accept(self, sign: str) -> bool:
        """Whether the next sign, after space, is this one, which is then behind us."""
        found = self._next() == sign
        self._at += found
        return found

    def expect(self, sign: str) -> None:
        """As `accept`, of what must be there."""
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
            except JSONDecodeError:  # maybe cut off by the window's end
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
        """The next sign that is no space, not yet taken; "" at the end."""
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
        """Drop what is behind us, and read on; doubling, so that a long value is tried few times."""
        chunk = self._file.read(count)
        self._ended = not chunk
        self._window, self._at = self._window[self._at :] + chunk, 0
