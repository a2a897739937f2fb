"""Dataclasses as they are stored in JSON text."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Any

FLAT = {"flat": True}  # metadata of a field whose own fields are stored beside those of the class that has it


def stored_fields(value: Any) -> dict[str, Any]:
    """A dataclass's fields as they are stored in JSON; `simgen.dataset.format.plain.from_plain` reads them.

    A field that is None by default and still None is left out, so a new one does not change the bytes of older scenes.
    """
    kind: Any = type(value)
    optional, flat = _layout(kind)
    stored = {name: v for name, v in vars(value).items() if not ((v is None and name in optional) or name in flat)}
    for name in flat:
        stored |= stored_fields(getattr(value, name))
    return stored


@cache
def _layout(kind: Any) -> tuple[frozenset[str], tuple[str, ...]]:
    """The names of a dataclass's fields that are None by default, and of those that are stored flat."""
    optional = frozenset(f.name for f in fields(kind) if f.default is None)
    return optional, tuple(f.name for f in fields(kind) if f.metadata.get("flat"))
