"""A JSON object with long lists, written element by element."""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any


class GrowingJson:
    """Each list is written to its own file. At the end of the block without an error they are joined to `path`."""

    def __init__(self, path: Path, head: dict[str, Any], lists: tuple[str, ...]) -> None:
        self.path, self.head = path, head
        self.counts = dict.fromkeys(lists, 0)
        self._stack = ExitStack()
        self._parts = {name: path.with_name(f".{path.name}.{name}") for name in lists}
        self._files = {name: self._stack.enter_context(part.open("w")) for name, part in self._parts.items()}

    def add(self, name: str, entry: dict[str, Any]) -> int:
        """Append an entry with the next id, from 1. Returns the id."""
        identity = self.counts[name] + 1
        self._files[name].write(
            (",\n" if identity > 1 else "") + json.dumps({"id": identity, **entry}, allow_nan=False)
        )
        self.counts[name] = identity
        return identity

    def __enter__(self) -> GrowingJson:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        try:
            if kind is None:
                self._join()
        finally:
            for part in self._parts.values():
                part.unlink(missing_ok=True)

    def _join(self) -> None:
        with self.path.open("w") as whole:
            whole.write(json.dumps(self.head, allow_nan=False)[:-1])
            for name, part in self._parts.items():
                whole.write(f', "{name}": [\n')
                with part.open() as one:
                    shutil.copyfileobj(one, whole)
                whole.write("\n]")
            whole.write("}\n")
