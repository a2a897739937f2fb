"""The errors of a preset as text, one line each: where, the value, and what is allowed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from types import NoneType
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from simgen.scene.config import SceneConfig
from simgen.spec.yaml_text import KeyPath, Tree, dotted_key

_NEEDS = {
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "string_type": "text",
    "bool_type": "true or false",
    "finite_number": "a finite number",
}
_LIMITS = {"greater_than_equal": ("ge", ">="), "greater_than": ("gt", ">"), "less_than_equal": ("le", "<="), "less_than": ("lt", "<")}  # fmt: skip  # noqa: E501
_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")


def explain(tree: Tree, errors: Sequence[ErrorDetails]) -> Iterator[str]:
    """One line for each error. A key that is only missing because it is misspelt is not reported as missing."""
    unknown = {error["loc"]: _unknown(error["loc"]) for error in errors if error["type"] in _UNKNOWN}
    excused = {(*loc[:-1], meant) for loc, (meant, _) in unknown.items()}
    for error in errors:
        path = error["loc"]
        if error["type"] == "missing" and path in excused:
            continue
        text = unknown[path][1] if path in unknown else _problem(error)
        yield f"{tree.where(path)}: {dotted_key(path)}: {text}"


def _problem(error: ErrorDetails) -> str:
    kind, context, came = error["type"], error.get("ctx", {}), f"got {_shown(error['input'])}"
    if kind == "value_error":
        return str(context["error"])
    if kind == "missing":
        return f"missing{_keys(error['loc'], '; it needs ')}"
    if kind in _LIMITS:
        name, sign = _LIMITS[kind]
        return f"needs a number {sign} {context[name]}, {came}"
    if kind in _NEEDS:
        return f"needs {_NEEDS[kind]}, {came}"
    if kind in ("dataclass_type", "model_type", "dict_type", "model_attributes_type"):
        return f"needs a group{_keys(error['loc'], ' with the keys ')}, {came}"
    return f"{error['msg'][:1].lower()}{error['msg'][1:]}, {came}"


def _shown(value: Any) -> str:
    return "nothing" if value is None else f"{value!r:.60}"


def _unknown(path: KeyPath) -> tuple[str, str]:
    """The key that a wrong key was probably meant to be, and the message."""
    name, siblings = str(path[-1]), _names_at(path[:-1])
    if close := get_close_matches(name, siblings, 1):
        return close[0], f"no such knob; did you mean {close[0]!r}?"
    elsewhere = {dotted.rsplit(".", 1)[-1]: dotted for dotted in _all_dotted(SceneConfig, "")}
    if close := get_close_matches(name, list(elsewhere), 1, 0.8):
        return "", f"no such knob here; did you mean {elsewhere[close[0]]!r}?"
    return "", f"no such knob; there are {', '.join(siblings)}"


def _keys(path: KeyPath, intro: str) -> str:
    names = _names_at(path)
    return f"{intro}{', '.join(names)}" if names else ""


def _fields(kind: Any) -> dict[str, Any]:
    """The fields of a group or a knob, with their types; empty for anything else."""
    if len(some := [k for k in get_args(kind) if k is not NoneType]) < len(get_args(kind)):
        (kind,) = some  # of an optional group
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {name: field.annotation for name, field in kind.model_fields.items()}
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        return {field.name: hints[field.name] for field in fields(kind)}
    return {}


def _names_at(path: KeyPath) -> list[str]:
    """The names in the group of a config at `path`."""
    kind: Any = SceneConfig
    for key in path:
        known = _fields(kind)
        kind = known.get(str(key)) if known else (get_args(kind) or (None,))[-1]  # the values of a dict[str, ...]
    return list(_fields(kind))


def _all_dotted(kind: Any, above: str) -> Iterator[str]:
    for name, inner in _fields(kind).items():
        yield above + name
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _all_dotted(inner, f"{above}{name}.")
