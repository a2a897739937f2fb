"""Dataclasses from parsed JSON, with every type checked."""

from __future__ import annotations

import sys
import types as builtin_types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def from_plain(kind: type[T], plain: Any) -> T:
    """The value of dataclass `kind` that `simgen.spec.text.stored.stored_fields` and JSON turned into `plain`.

    A field with a default may be missing, so files of earlier versions can be read.

    Raises:
        ValueError: a key or a type does not match. Says where: "Labels.frames[3].parts: needs ..., got ...".
    """
    return convert(kind, plain, kind.__name__)  # type: ignore[no-any-return]


@lru_cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def convert(kind: Any, plain: Any, where: str) -> Any:
    kind = getattr(kind, "__supertype__", kind)  # NewType
    origin, args = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _convert_dataclass(kind, plain, where)
    if origin in (Union, builtin_types.UnionType):  # X | None
        return None if plain is None else convert(args[0], plain, where)
    if origin is tuple and isinstance(plain, list):
        kinds = [args[0]] * len(plain) if args[1:] == (...,) else args
        if len(kinds) == len(plain):
            return tuple(convert(k, p, f"{where}[{i}]") for i, (k, p) in enumerate(zip(kinds, plain, strict=True)))
    elif kind is float:
        if type(plain) in (int, float) and abs(plain) <= sys.float_info.max:  # neither NaN nor infinite
            return float(plain)
    elif type(plain) is (dict if origin is Mapping else kind):
        return plain
    raise ValueError(f"{where}: needs {kind}, got {plain!r:.60}")


def _convert_dataclass(kind: Any, plain: Any, where: str) -> Any:
    hints = _hints(kind)
    plain, flat = _flat_fields(kind, hints, plain, where)
    names, needed = _names(kind) - flat.keys(), _needed(kind) - flat.keys()
    if not isinstance(plain, dict) or not needed <= plain.keys() <= names:
        got = sorted(plain) if isinstance(plain, dict) else plain
        raise ValueError(f"{where}: needs the keys {sorted(needed)}, got {got!r:.200}")
    own = {name: convert(hints[name], plain[name], f"{where}.{name}") for name in names & plain.keys()}
    return kind(**own, **flat)


def _flat_fields(kind: Any, hints: dict[str, Any], plain: Any, where: str) -> tuple[Any, dict[str, Any]]:
    """What is left of `plain`, and the fields that are stored flat (`simgen.spec.text.stored.FLAT`), by name.

    A flat field of several types is of the first whose keys are all there.
    """
    flat = {}
    for name in [f.name for f in fields(kind) if f.metadata.get("flat")] if isinstance(plain, dict) else []:
        types = get_args(hints[name]) or (hints[name],)
        chosen = next((t for t in types if _needed(t) <= plain.keys()), types[0])
        flat[name] = convert(chosen, {k: v for k, v in plain.items() if k in _names(chosen)}, where)
        plain = {k: v for k, v in plain.items() if k not in _names(chosen)}
    return plain, flat


def _names(kind: Any) -> set[str]:
    return {f.name for f in fields(kind)}


def _needed(kind: Any) -> set[str]:
    return {f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING}
