"""The errors of a preset as text, one line each: where, the value, and what is allowed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from functools import reduce
from types import NoneType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from simgen.scene.config import SceneConfig
from simgen.spec.knobs import Choice, IntRange, LogUniform, Uniform
from simgen.spec.text.yaml_text import KeyPath, Tree, dotted_key

_NEEDS = {
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list of names, such as [hex_bolt, washer]",
    "finite_number": "a finite number",
}
_SHORT: dict[Any, str] = {
    Uniform: "a number, or a group",
    LogUniform: "a number, or a group",
    IntRange: "a whole number, or a group",
    Choice: "a name, or a group",
}
_LIMITS = {"greater_than_equal": ("ge", ">="), "greater_than": ("gt", ">"), "less_than_equal": ("le", "<="), "less_than": ("lt", "<")}  # fmt: skip  # noqa: E501
_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")


def explain(tree: Tree, errors: Sequence[ErrorDetails], *, may_inherit: bool = False) -> Iterator[str]:
    """One line for each error. A key that is only missing because it is misspelt is not reported as missing.

    With `may_inherit`, all that is missing is one error, where the tree has no base that could supply it.
    """
    unknown = {error["loc"]: _unknown(error["loc"]) for error in errors if error["type"] in _UNKNOWN}
    excused = {(*loc[:-1], meant) for loc, (meant, _) in unknown.items()}
    errors = [error for error in errors if error["type"] != "missing" or error["loc"] not in excused]
    lacking = [error["loc"] for error in errors if error["type"] == "missing"]
    if lacking and may_inherit and ("base",) not in tree.marks:
        yield _without_base(tree, lacking)
        errors = [error for error in errors if error["type"] != "missing"]
    for error in errors:
        path = error["loc"]
        text = unknown[path][1] if path in unknown else _problem(error)
        yield f"{tree.where(path)}: {dotted_key(path)}: {text}"


def _without_base(tree: Tree, lacking: Sequence[KeyPath]) -> str:
    named = ", ".join(map(dotted_key, lacking[:6])) + (f" and {len(lacking) - 6} more" if len(lacking) > 6 else "")
    what = "give a whole config, or start with the line 'base: demo' (or another of `simgen presets`)"
    return f"{tree.where(())}: missing {named}: {what}, and what this file does not say is that preset's"


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
        short = _SHORT.get(_type_at(error["loc"]), "a group")
        return f"needs {short}{_keys(error['loc'], ' with the keys ')}, {came}"
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


def knob_type(kind: Any) -> Any:
    """A type without `Annotated` and without `| None`."""
    if get_origin(kind) is Annotated:
        return knob_type(get_args(kind)[0])
    if len(some := [k for k in get_args(kind) if k is not NoneType]) < len(get_args(kind)):
        return knob_type(some[0])
    return kind


def inner_type(kind: Any, key: str) -> Any:
    """The type of a key in a group, a knob or a dict; None where there is no such key."""
    kind = knob_type(kind)
    return get_args(kind)[1] if get_origin(kind) is dict else _fields(kind).get(key)


def _fields(kind: Any) -> dict[str, Any]:
    """The fields of a group or a knob, with their types; empty for anything else."""
    kind = knob_type(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {name: field.annotation for name, field in kind.model_fields.items()}
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        return {field.name: hints[field.name] for field in fields(kind)}
    return {}


def _type_at(path: KeyPath) -> Any:
    """The type of the group or knob of a config at `path`."""
    return knob_type(reduce(lambda kind, key: inner_type(kind, str(key)), path, SceneConfig))


def _names_at(path: KeyPath) -> list[str]:
    """The names in the group of a config at `path`."""
    return list(_fields(_type_at(path)))


def _all_dotted(kind: Any, above: str) -> Iterator[str]:
    for name, inner in _fields(kind).items():
        yield above + name
        inner = knob_type(inner)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _all_dotted(inner, f"{above}{name}.")
