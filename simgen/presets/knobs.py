"""All knobs of a config, with type, unit, bounds, meaning and value: for the reference and for the command.

for knob in knobs():
    print(knob.path, knob.type, knob.unit, knob.bounds, knob.default, knob.meaning, knob.value_in(config))
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from simgen.scene.config import SceneConfig
from simgen.scene.config.bounds import Knob
from simgen.scene.config.camera import UNSET
from simgen.spec.knobs import Choice, IntRange, LogUniform, MeshContent, Uniform

ANY_NAME = "*"  # in a path: a name of the preset's choice, such as a kind of part
ABSENT = "-"  # the value of a knob whose group a preset does not have
_TYPES: dict[Any, str] = {
    Uniform: "range",
    LogUniform: "range, drawn evenly in its logarithm",
    IntRange: "range of whole numbers",
    Choice: "names with weights",
    MeshContent: "file",
    float: "number",
    int: "whole number",
    str: "text",
    bool: "true or false",
}


@dataclass(frozen=True)
class KnobRow:
    """One knob. `path` is its key as it stands in `--set`, with * for a name of the preset's choice."""

    path: str
    type: str
    knob: Knob
    default: str  # where a preset does not say it; empty: a preset must say it

    @property
    def unit(self) -> str:
        """The unit; empty where there is none."""
        return self.knob.unit

    @property
    def bounds(self) -> str:
        """The bounds, both included, as text; empty for names, texts and flags."""
        return "" if self.knob.least is None else f"{self.knob.least:g} to {self.knob.most:g}"

    @property
    def meaning(self) -> str:
        """One or two sentences."""
        return self.knob.meaning

    def value_in(self, config: SceneConfig) -> str:
        """The value of a config as text; of a knob under *, the values of all names."""
        return _value(config, self.path.split("."))


def knobs() -> Iterator[KnobRow]:
    """Every knob, in the order of the config."""
    yield from _of_group(SceneConfig, "")


def _of_group(group: type[BaseModel], above: str) -> Iterator[KnobRow]:
    for name, field in group.model_fields.items():
        notes = [note for note in field.metadata if isinstance(note, Knob)]
        kind = Annotated[(field.annotation, *notes)] if notes else field.annotation
        default = "" if field.is_required() else _shown(field.get_default(call_default_factory=True))
        yield from _of_type(kind, above + name, default)


def _of_type(kind: Any, path: str, default: str) -> Iterator[KnobRow]:
    if get_origin(kind) is Annotated:
        inner, *notes = get_args(kind)
        knob = next(note for note in notes if isinstance(note, Knob))
        yield KnobRow(path, _type_name(inner), knob, default)
    elif get_origin(kind) in (Union, UnionType):
        (inner,) = (one for one in get_args(kind) if one is not NoneType)
        yield from _of_type(inner, path, default)
    elif get_origin(kind) is tuple:
        return  # what simgen writes down itself, as of photos that it read
    elif get_origin(kind) is dict:
        yield from _of_type(get_args(kind)[1], f"{path}.{ANY_NAME}", "")
    else:
        yield from _of_group(kind, f"{path}.")


def _type_name(kind: Any) -> str:
    if get_origin(kind) in (Union, UnionType):
        (kind,) = (one for one in get_args(kind) if one is not NoneType)
    return "names" if get_origin(kind) is tuple else _TYPES[kind]


def _value(value: Any, path: list[str]) -> str:
    if value is None or not path:
        return _shown(value)
    if path[0] != ANY_NAME:
        return _value(getattr(value, path[0]), path[1:])
    return "; ".join(f"{name}: {_value(inner, path[1:])}" for name, inner in value.items()) or ABSENT


def _shown(value: Any) -> str:
    """A value as short text."""
    if value is UNSET:
        return ABSENT
    if isinstance(value, Uniform | LogUniform | IntRange):
        return f"{value.low:g}" if value.low == value.high else f"{value.low:g} to {value.high:g}"
    if isinstance(value, Choice):
        return ", ".join(f"{name} {weight:g}" for name, weight in value.weights.items())
    if isinstance(value, MeshContent):
        return value.name
    if isinstance(value, tuple):
        return ", ".join(one.name if isinstance(one, MeshContent) else str(one) for one in value) or ABSENT
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:g}"
    return str(value) if value else ABSENT
