"""Where two values made of mappings, lists and scalars differ, as JSON and `dataclasses.asdict` make them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Difference:
    path: str  # dotted keys, with list indices: "light.lamps[2].kind"; empty for the value as a whole
    before: Any  # None where the key is missing
    after: Any


def differences(before: Any, after: Any, path: str = "") -> Iterator[Difference]:
    """Each place where the two values differ, depth first, in the order of `before` and then of keys only in `after`.

    A missing key and a key with the value None are the same. Lists are compared element by element where they have
    the same length, else as a whole.
    """
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys([*before, *after]):
            yield from differences(before.get(key), after.get(key), f"{path}.{key}" if path else str(key))
    elif _are_alike(before, after):
        for i, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from differences(one, other, f"{path}[{i}]")
    elif before != after:
        yield Difference(path, before, after)


def _are_alike(before: Any, after: Any) -> bool:
    """Whether both are lists or both tuples, of the same length."""
    return any(isinstance(before, kind) and isinstance(after, kind) for kind in (list, tuple)) and (
        len(before) == len(after)
    )
