"""YAML presets and `--set` overrides to a `SceneConfig`, with errors that a person can act on.

A preset may say `base: other`, a preset's name or a path beside the file: what it says itself is laid over what the
base says. Groups are merged key by key, the `weights` of a choice are replaced as a whole, `null` takes an inherited
key away.
Every error names file and line, the dotted key, what came, and what would do:

    scene.yaml:14: light.ambiant_intensity: no such knob; did you mean 'ambient_intensity'?

YAML is read by its core rules: `1e-3` is a number, `no` and `none` are text, tags and aliases are refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from difflib import get_close_matches
from functools import reduce
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from simgen.scene.config import SceneConfig
from simgen.scene.quiet import quiet_stderr

PRESETS = Path(__file__).parent
OVERRIDE = "--set"  # where an override stands, in place of file and line
MAX_YAML_BYTES = 2**20
MAX_YAML_DEPTH = 30
KeyPath = tuple[str | int, ...]


class ConfigError(Exception):
    """A config that cannot be used. `problems` has one line each."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class _Tree:
    """Plain values, and where each of them was written."""

    values: dict[str, Any]
    marks: dict[KeyPath, str]

    def where(self, path: KeyPath) -> str:
        """The mark of `path`, or of the nearest group round it."""
        return next(self.marks[path[:n]] for n in range(len(path), -1, -1) if path[:n] in self.marks)


def load_config(preset: str, overrides: Sequence[str] = ()) -> SceneConfig:
    """The config that a preset's name, or a YAML file's path, stands for, with `a.b.low=80` overrides laid over it.

    Raises:
        ConfigError: whatever is wrong with it, all of it at once.
    """
    tree = reduce(_override, overrides, _read_preset(_find(preset, Path(), ""), ()))
    try:
        config = SceneConfig.model_validate_json(json.dumps(tree.values), strict=True)
    except ValidationError as error:
        raise ConfigError(*_explain(tree, error.errors(include_url=False))) from None
    if problems := list(_unknown_names(tree)):
        raise ConfigError(*problems)
    return config


def stored_config(plain: Mapping[str, Any]) -> SceneConfig:
    """The config that a data set's manifest holds.

    Raises:
        ConfigError: it is of a version of simgen whose configs were others.
    """
    try:
        return SceneConfig.model_validate_json(json.dumps(plain), strict=True)
    except ValidationError as error:
        tree = _Tree(dict(plain), {(): "manifest.json"})
        raise ConfigError(*_explain(tree, error.errors(include_url=False))) from None


def presets() -> dict[str, str]:
    """The names of the presets that come with simgen, each with the first sentence of its leading comment."""
    return {path.stem: _describe(path) for path in sorted(PRESETS.glob("*.yaml"))}


def _describe(path: Path) -> str:
    lines = []
    for line in path.read_text("utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# ").rstrip())
    return re.split(r"(?<=\.)\s", " ".join(lines), maxsplit=1)[0]


# ------------------------------------------------------------------------------------------------ reading YAML


class _Refused(Exception):
    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line


class _Loader(yaml.SafeLoader):
    """Composes nodes by the core schema: YAML 1.1's dates, sexagesimals and yes/no stay text."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (yaml's own interface)
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        line = self.peek_event().start_mark.line + 1  # type: ignore[no-untyped-call]
        if self.check_event(yaml.AliasEvent):
            raise _Refused(line, "aliases (*name) are not read; say it again")
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


def _compose(text: str, file: str) -> yaml.Node | None:
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


def _plain(node: yaml.Node, path: KeyPath, file: str, marks: dict[KeyPath, str]) -> Any:
    """The node's value; notes in `marks` where each part of it stands."""
    here = file if file == OVERRIDE else f"{file}:{node.start_mark.line + 1}"
    marks.setdefault(path, here)
    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    if isinstance(node, yaml.MappingNode) and kind == "map":
        return _mapping(node, path, file, marks)
    if isinstance(node, yaml.SequenceNode) and kind == "seq":
        return [_plain(item, (*path, i), file, marks) for i, item in enumerate(node.value)]
    if isinstance(node, yaml.ScalarNode) and re.fullmatch(_SCALARS.get(kind, ("(?!)",))[0], node.value, re.DOTALL):
        return _SCALARS[kind][2](node.value)
    raise ConfigError(f"{here}: {_dotted(path)}: the tag {node.tag!r} is not read; write a plain value")


def _mapping(node: yaml.MappingNode, path: KeyPath, file: str, marks: dict[KeyPath, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in node.value:
        here = file if file == OVERRIDE else f"{file}:{key.start_mark.line + 1}"
        if not isinstance(key, yaml.ScalarNode):
            raise ConfigError(f"{here}: {_dotted(path)}: a key must be a plain word")
        inner = (*path, key.value)
        if key.value in values:
            raise ConfigError(f"{here}: {_dotted(inner)}: stands twice, first at {marks[inner]}")
        marks[inner] = here
        values[key.value] = _plain(value, inner, file, marks)
    return values


def _read_tree(path: Path) -> _Tree:
    try:
        raw = path.read_bytes() if path.stat().st_size <= MAX_YAML_BYTES else None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    if raw is None:
        raise ConfigError(f"{path}: larger than a config can be ({MAX_YAML_BYTES} bytes)")
    try:
        node = _compose(raw.decode(), str(path))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text: byte {error.start} is {raw[error.start]:#04x}") from None
    marks: dict[KeyPath, str] = {}
    values = {} if node is None else _plain(node, (), str(path), marks)
    if not isinstance(values, dict):
        raise ConfigError(f"{path}:1: needs groups such as 'light:', got {values!r:.60}")
    return _Tree(values, {**marks, (): str(path)})


# ------------------------------------------------------------------------------------ inheriting and overriding


def _find(preset: str, folder: Path, where: str) -> Path:
    if "/" in preset or preset.endswith((".yaml", ".yml")):
        if not (folder / preset).is_file():
            raise ConfigError(f"{where}no file {str(folder / preset)!r}")
        return folder / preset
    if preset not in presets():
        there = f"there are {', '.join(presets())}; a file's name ends in .yaml"
        raise ConfigError(f"{where}no preset {preset!r}; {_suggest(preset, list(presets()))}{there}")
    return PRESETS / f"{preset}.yaml"


def _read_preset(path: Path, above: tuple[Path, ...]) -> _Tree:
    """The tree of a file laid over its base's. `above` are the files that inherit from it."""
    own = _read_tree(path)
    if "base" not in own.values:
        return own
    base, where = own.values.pop("base"), own.where(("base",))
    if not isinstance(base, str):
        raise ConfigError(f"{where}: base: needs a preset's name or a path, got {base!r}")
    found = _find(base, path.parent, f"{where}: base: ")
    chain = (*above, path)
    if found.resolve() in [file.resolve() for file in chain]:
        raise ConfigError(f"{where}: base: inherits from itself: {' -> '.join(p.stem for p in (*chain, found))}")
    inherited = _read_preset(found, chain)
    return _Tree(_laid_over(inherited.values, own.values), {**inherited.marks, **own.marks})


def _laid_over(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in own.items():
        if value is None:
            merged.pop(key, None)
        elif key != "weights" and isinstance(value, dict) and isinstance(base.get(key), dict):
            merged[key] = _laid_over(base[key], value)
        else:
            merged[key] = value
    return merged


def _override(tree: _Tree, text: str) -> _Tree:
    key, equals, value = text.partition("=")
    path: tuple[str, ...] = tuple(key.strip().split("."))
    if not equals or not all(path):
        raise ConfigError(f"{OVERRIDE}: {text!r}: needs key=value, such as light.elevation_deg.low=80")
    node = _compose(value, f"{OVERRIDE} {key.strip()}")
    marks: dict[KeyPath, str] = {path[:n]: OVERRIDE for n in range(1, len(path) + 1)}
    plain = None if node is None else _plain(node, path, OVERRIDE, marks)
    values = _assigned(tree.values, path, plain, ())
    return _Tree(values, {**tree.marks, **marks})


def _assigned(values: dict[str, Any], path: Sequence[str], new: Any, above: KeyPath) -> dict[str, Any]:
    """`values` with `new` at `path`; nothing else of it is changed, so one weight of many can be set."""
    key, *rest = path
    if not rest:
        return _laid_over(values, {key: new})
    inner = values.get(key, {})
    if not isinstance(inner, dict):
        raise ConfigError(f"{OVERRIDE}: {_dotted((*above, *path))}: {_dotted((*above, key))} is {inner!r}, not a group")
    return {**values, key: _assigned(inner, rest, new, (*above, key))}


# ---------------------------------------------------------------------------------------------- telling errors

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


def _explain(tree: _Tree, errors: Sequence[ErrorDetails]) -> Iterator[str]:
    """One line for each error, except for a key that is only missing because it is misspelt."""
    unknown = {error["loc"]: _unknown(error["loc"]) for error in errors if error["type"] in _UNKNOWN}
    excused = {(*loc[:-1], meant) for loc, (meant, _) in unknown.items()}
    for error in errors:
        path = error["loc"]
        if error["type"] == "missing" and path in excused:
            continue
        text = unknown[path][1] if path in unknown else _problem(error)
        yield f"{tree.where(path)}: {_dotted(path)}: {text}"


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
    """What a wrong key was probably meant to be, and how to say so."""
    name, siblings = str(path[-1]), _names_at(path[:-1])
    if close := get_close_matches(name, siblings, 1):
        return close[0], f"no such knob; did you mean {close[0]!r}?"
    elsewhere = {dotted.rsplit(".", 1)[-1]: dotted for dotted in _all_dotted(SceneConfig, "")}
    if close := get_close_matches(name, list(elsewhere), 1, 0.8):
        return "", f"no such knob here; did you mean {elsewhere[close[0]]!r}?"
    return "", f"no such knob; there are {', '.join(siblings)}"


def _suggest(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, 1)
    return f"did you mean {close[0]!r}? " if close else ""


def _keys(path: KeyPath, intro: str) -> str:
    names = _names_at(path)
    return f"{intro}{', '.join(names)}" if names else ""


def _dotted(path: KeyPath) -> str:
    return ".".join(map(str, path)) or "the whole file"


def _fields(kind: Any) -> dict[str, Any]:
    """The fields of a group or of a knob, with their types; of anything else, none."""
    if len(some := [k for k in get_args(kind) if k is not NoneType]) < len(get_args(kind)):
        (kind,) = some  # of an optional group
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {name: field.annotation for name, field in kind.model_fields.items()}
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        return {field.name: hints[field.name] for field in fields(kind)}
    return {}


def _names_at(path: KeyPath) -> list[str]:
    """The names that a config's group at `path` knows."""
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


# ------------------------------------------------------------------------------- names that stand in a table


def _unknown_names(tree: _Tree) -> Iterator[str]:
    """Kinds of parts, textures and renderers that there are not: found now, not when the scene is drawn."""
    with quiet_stderr():
        from simgen.assets.materials import MATERIALS, WEAR
        from simgen.assets.parts import PARTS
        from simgen.assets.surroundings import ENVIRONMENTS, FILE
        from simgen.camera.sensor.bayer import DEMOSAIC
        from simgen.render import RENDERERS
        from simgen.render.textures import TEXTURES
        from simgen.scene.sampling.lamps import KINDS, MAINS

    tables: tuple[tuple[str, str, Sequence[str]], ...] = (
        ("part", r"parts\.kinds\.([^.]+)", sorted(PARTS)),
        ("finish", r"parts\.kinds\.[^.]+\.finishes\.weights\.([^.]+)", sorted(tree.values["texture"]["finishes"])),
        ("texture", r".*\.texture\.weights\.([^.]+)", sorted(TEXTURES)),
        ("arrangement of sheets", r"stage\.sheets\.weights\.([^.]+)", ("none", "scattered", "covering")),
        ("material", r"matter\.[^.]+\.materials\.weights\.([^.]+)", sorted(MATERIALS)),
        ("wear", r"matter\.[^.]+\.wear\.([^.]+)", sorted(WEAR)),
        ("lamp", r"light\.lamps\.kinds\.weights\.([^.]+)", KINDS),
        ("environment", r"light\.environment\.kinds\.weights\.([^.]+)", sorted([*ENVIRONMENTS, FILE])),
        ("mains", r"light\.flicker\.mains_hz\.weights\.([^.]+)", MAINS),
        ("demosaicing", r"sensor\.demosaic\.weights\.([^.]+)", ("none", *DEMOSAIC)),
    )
    yield from _bad_folder(tree)
    for path, value in _leaves_and_groups(tree.values, ()):
        if path == ("render", "renderer") and value not in RENDERERS:
            yield f"{tree.where(path)}: render.renderer: {_no('renderer', value, sorted(RENDERERS))}"
        for what, pattern, known in tables:
            match = re.fullmatch(pattern, _dotted(path))
            if match and match[1] not in known:
                yield f"{tree.where(path)}: {_dotted(path)}: {_no(what, match[1], known)}"


def _bad_folder(tree: _Tree) -> Iterator[str]:
    """A folder of surroundings that has none, where a preset asks for one."""
    from simgen.assets.surroundings import FILE, BadEnvironment, folder_files

    asked = tree.values["light"].get("environment") or {}
    if asked.get("kinds", {}).get("weights", {}).get(FILE, 0) > 0:
        try:
            folder_files(asked.get("folder", ""))
        except BadEnvironment as error:
            where = ("light", "environment", "folder")
            yield f"{tree.where(where)}: {_dotted(where)}: {error}"


def _no(what: str, name: str, known: Sequence[str]) -> str:
    return f"no {what} {name!r}; {_suggest(name, known)}there are {', '.join(known)}"


def _leaves_and_groups(values: dict[str, Any], above: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    for key, value in values.items():
        yield (*above, key), value
        if isinstance(value, dict):
            yield from _leaves_and_groups(value, (*above, key))
