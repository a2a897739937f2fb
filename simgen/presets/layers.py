"""Layers of a config: a preset over its base, and --set over both."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from functools import cache, reduce
from pathlib import Path
from typing import Any

from simgen.presets.anchors import anchored
from simgen.presets.shorthand import with_same_view, written_out
from simgen.spec.errors import ConfigError
from simgen.spec.text.yaml_text import (
    MAX_YAML_DEPTH,
    OVERRIDE,
    KeyPath,
    Tree,
    compose,
    dotted_key,
    read_tree,
    values_of,
)

MOST_BASES = 30  # of a preset, one on top of the other
PRESETS = Path(__file__).parent


def presets() -> dict[str, str]:
    """The presets that come with simgen: their names, and the first sentence of their leading comment."""
    return {path.stem: _describe(path) for path in sorted(PRESETS.glob("*.yaml"))}


def _describe(path: Path) -> str:
    lines = []
    for line in path.read_text("utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# ").rstrip())
    return re.split(r"(?<=\.)\s", " ".join(lines), maxsplit=1)[0]


def find(preset: str, folder: Path, where: str) -> Path:
    """The file of a preset's name, or of a path relative to `folder`. `where` begins the messages.

    Raises:
        ConfigError: there is no such file or preset.
    """
    if "/" in preset or preset.endswith((".yaml", ".yml")):
        if not (folder / preset).is_file():
            raise ConfigError(f"{where}no file {str(folder / preset)!r}")
        return folder / preset
    if preset not in presets():
        there = f"there are {', '.join(presets())}; a file's name ends in .yaml"
        raise ConfigError(f"{where}no preset {preset!r}; {suggest(preset, list(presets()))}{there}")
    return PRESETS / f"{preset}.yaml"


def read_preset(path: Path, above: tuple[Path, ...]) -> Tree:
    """The tree of a file, merged into that of its base. `above` are the files that inherit from it."""
    whole = _shipped_tree(path) if path.parent == PRESETS else read_tree(path)
    if "base" not in whole.values:
        return Tree(anchored(written_out(whole.values), path.parent), whole.marks)
    base, where = whole.values["base"], whole.where(("base",))
    own = anchored(written_out({k: value for k, value in whole.values.items() if k != "base"}), path.parent)
    if not isinstance(base, str):
        raise ConfigError(f"{where}: base: needs a preset's name or a path, got {base!r}")
    file = find(base, path.parent, f"{where}: base: ")
    chain = (*above, path)
    if len(chain) > MOST_BASES:
        raise ConfigError(f"{where}: base: the {MOST_BASES}th file on top of another; put some of them together")
    if file.resolve() in [each.resolve() for each in chain]:
        raise ConfigError(f"{where}: base: inherits from itself: {' -> '.join(p.stem for p in (*chain, file))}")
    inherited = read_preset(file, chain)
    return Tree(_merged(with_same_view(inherited.values, own), own), {**inherited.marks, **whole.marks})


def with_overrides(tree: Tree, texts: Sequence[str]) -> Tree:
    """The tree with all overrides, in their order; but first the camera's width, on which its focal length depends.

    Raises:
        ConfigError: as `override`.
    """
    return reduce(override, sorted(texts, key=lambda text: not text.strip().startswith("camera.width_px")), tree)


@cache
def _shipped_tree(path: Path) -> Tree:
    return read_tree(path)


def _merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in own.items():
        if value is None:
            merged.pop(key, None)
        elif key != "weights" and isinstance(value, dict) and isinstance(base.get(key), dict):
            merged[key] = _merged(base[key], value)
        else:
            merged[key] = value
    return merged


def override(tree: Tree, text: str) -> Tree:
    """The tree with an override such as "light.elevation_deg.low=80".

    Raises:
        ConfigError: the text is not key=value, or the key leads through a value that is no group.
    """
    key, equals, value = text.partition("=")
    path: tuple[str, ...] = tuple(key.strip().split("."))
    if not equals or not all(path) or len(path) > MAX_YAML_DEPTH:
        raise ConfigError(f"{OVERRIDE}: {text!r:.80}: needs key=value, such as light.elevation_deg.low=80")
    node = compose(value, f"{OVERRIDE} {key.strip()}")
    marks: dict[KeyPath, str] = {path[:n]: OVERRIDE for n in range(1, len(path) + 1)}
    plain = None if node is None else values_of(node, path, OVERRIDE, marks)
    layer = anchored(written_out(reduce(lambda inner, name: {name: inner}, reversed(path), plain)), Path())
    values = _assigned(
        with_same_view(tree.values, layer), path, reduce(lambda inner, name: inner[name], path, layer), ()
    )
    return Tree(values, {**tree.marks, **marks})


def _assigned(values: dict[str, Any], path: Sequence[str], new: Any, above: KeyPath) -> dict[str, Any]:
    """`values` with `new` at `path`, and nothing else changed, so that one weight of many can be set."""
    key, *rest = path
    if not rest:
        return _merged(values, {key: new})
    inner = values.get(key, {})
    if not isinstance(inner, dict):
        raise ConfigError(
            f"{OVERRIDE}: {dotted_key((*above, *path))}: {dotted_key((*above, key))} is {inner!r}, not a group"
        )
    return {**values, key: _assigned(inner, rest, new, (*above, key))}


def suggest(name: str, known: Sequence[str]) -> str:
    """A hint at the most similar name, or nothing."""
    close = get_close_matches(name, known, 1)
    return f"did you mean {close[0]!r}? " if close else ""
