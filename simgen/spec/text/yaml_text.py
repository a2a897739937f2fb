"""The one reader of YAML that comes from outside: the values of a file, each with its line.

Aliases and tags are refused, the size and the depth are limited. Scalars follow the core schema of YAML 1.2 (section
10.3), so OK, NO and on are text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from simgen.spec.errors import ConfigError, TextFileError
from simgen.spec.text.json_text import read_text
from simgen.spec.text.printable import printable

OVERRIDE = "--set"  # the mark of an override, in place of file and line
MAX_YAML_BYTES = 2**20
MAX_YAML_DEPTH = 30
KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Tree:
    """Plain values, and the mark of each: file and line."""

    values: dict[str, Any]
    marks: dict[KeyPath, str]

    def where(self, path: KeyPath) -> str:
        """The mark of `path`, or of the nearest group around it."""
        return next(self.marks[path[:n]] for n in range(len(path), -1, -1) if path[:n] in self.marks)


class _Refused(Exception):
    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line


class _Loader(yaml.SafeLoader):
    """Composes nodes by the core schema, in which YAML 1.1's dates, sexagesimals and yes/no are text."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (yaml's own interface)
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        line = self.peek_event().start_mark.line + 1  # type: ignore[no-untyped-call]
        if self.check_event(yaml.AliasEvent):
            raise _Refused(line, "aliases (*name) are not supported; write the value again")
        if self.depth > MAX_YAML_DEPTH:
            raise _Refused(line, f"nested more than {MAX_YAML_DEPTH} deep")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


_SCALARS: dict[str, tuple[str, str, Callable[[str], Any]]] = {
    "null": (r"~|null|Null|NULL|", "~nN", lambda text: None),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF", lambda text: text.lower() == "true"),
    "int": (r"[-+]?[0-9]+", "-+0123456789", int),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
        lambda text: (
            float(text.replace(".inf", "inf").replace(".Inf", "inf").replace(".INF", "inf").lstrip("."))
            if text.lower().lstrip("+-") in (".inf", ".nan")
            else float(text)
        ),
    ),
    "str": (r".*", "", str),
}
for _name, (_pattern, _first, _) in _SCALARS.items():
    if _first:
        _starts = [*_first, ""] if _name == "null" else [*_first]
        _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_pattern})$"), _starts)


def compose(text: str, file: str) -> yaml.Node | None:
    """The root node of a YAML text; None if it is empty.

    Raises:
        ConfigError: it is not YAML, or holds aliases, or is nested too deep. Names the line.
    """
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=_Loader)
        return node
    except _Refused as error:
        raise ConfigError(f"{file}:{error.line}: {error}") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        begun = f", begun in line {error.context_mark.line + 1}" if error.context_mark else ""
        context = f" ({error.context}{begun})" if error.context else ""
        raise ConfigError(f"{file}:{line}: not YAML: {error.problem}{context}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: not YAML: {' '.join(str(error).split())}") from None


def values_of(node: yaml.Node, path: KeyPath, file: str, marks: dict[KeyPath, str]) -> Any:
    """The value of a node. Adds the mark of each part of it to `marks`."""
    here = file if file == OVERRIDE else f"{file}:{node.start_mark.line + 1}"
    marks.setdefault(path, here)
    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    if isinstance(node, yaml.MappingNode) and kind == "map":
        return _mapping(node, path, file, marks)
    if isinstance(node, yaml.SequenceNode) and kind == "seq":
        return [values_of(item, (*path, i), file, marks) for i, item in enumerate(node.value)]
    if isinstance(node, yaml.ScalarNode) and re.fullmatch(_SCALARS.get(kind, ("(?!)",))[0], node.value, re.DOTALL):
        try:
            return _SCALARS[kind][2](node.value)
        except ValueError:  # more digits than Python converts
            raise ConfigError(f"{here}: {dotted_key(path)}: a number of {len(node.value)} characters") from None
    raise ConfigError(f"{here}: {dotted_key(path)}: the tag {node.tag!r} is not supported; write a plain value")


def _mapping(node: yaml.MappingNode, path: KeyPath, file: str, marks: dict[KeyPath, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in node.value:
        here = file if file == OVERRIDE else f"{file}:{key.start_mark.line + 1}"
        if not isinstance(key, yaml.ScalarNode):
            raise ConfigError(f"{here}: {dotted_key(path)}: a key must be a plain word")
        inner = (*path, key.value)
        if key.value in values:
            raise ConfigError(f"{here}: {dotted_key(inner)}: is given twice, first at {marks[inner]}")
        marks[inner] = here
        values[key.value] = values_of(value, inner, file, marks)
    return values


def read_tree(path: Path) -> Tree:
    """The tree of a YAML file: a preset (without its base), or the `data.yaml` of a YOLO data set.

    Raises:
        ConfigError: it cannot be read, is too large, not UTF-8, not YAML, or no mapping.
    """
    try:
        node = compose(read_text(path, MAX_YAML_BYTES), str(path))
    except TextFileError as error:
        raise ConfigError(str(error)) from None
    marks: dict[KeyPath, str] = {}
    values = {} if node is None else values_of(node, (), str(path), marks)
    if not isinstance(values, dict):
        raise ConfigError(f"{path}:1: needs groups such as 'light:', got {values!r:.60}")
    return Tree(values, {**marks, (): str(path)})


def dotted_key(path: KeyPath) -> str:
    """The path as people write it, on one line: light.elevation_deg.low."""
    return printable(".".join(map(str, path))) or "the whole file"
