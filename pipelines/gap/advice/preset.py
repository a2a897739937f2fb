"""Ranges to widen as a preset: a YAML file on top of the preset that the simulated set was rendered with."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybrid.core.errors import DataError
from pipelines.common.data import MANIFEST, data_sets
from pipelines.gap.advice.widening import Change, in_words
from simgen.dataset.format.manifest import Request, read_manifest
from simgen.dataset.store.locations import Location
from simgen.spec.differences import differences
from simgen.spec.errors import SimgenError
from simgen.spec.text.printable import printable

if TYPE_CHECKING:
    from simgen.scene.config import SceneConfig

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ENDS = ("low", "high")
Tree = dict[str, Any]  # groups, and values as text


@dataclass(frozen=True)
class Rendered:
    """What a simulated data set was rendered with."""

    config: SceneConfig
    preset: str | Path  # the name of one that comes with simgen, or a file
    overrides: Mapping[str, Any]  # of --set, by key: what the preset says otherwise


def rendered_with(sim: Location) -> Rendered:
    """The preset and the config of a simulated data set.

    Raises:
        DataError: there are several sets, or the preset is not here or has changed in more than ranges and numbers.
    """
    from simgen.presets.read import load_config, stored_config

    sets = data_sets(sim)
    if len(sets) != 1:
        raise DataError(f"{sim}: holds {len(sets)} data sets, of several presets: give --sim one of them")
    try:
        request = read_manifest(sets[0] / MANIFEST).request
        config = stored_config(request.config)
        preset = _preset(request, sets[0])
        base = load_config(str(preset))
    except SimgenError as error:
        raise DataError(f"{sets[0]}: {error}") from None
    return Rendered(config, preset, _overrides(base, config, f"{sets[0]}: the preset {printable(str(preset))}"))


def _preset(request: Request, data: Location) -> str | Path:
    """The preset's name, or its file: as it was named from here, or from a folder above the data."""
    from simgen.presets.layers import presets

    if request.preset in presets():
        return request.preset
    above = [Path()] if not isinstance(data, Path) else [Path(), *list(data.resolve().parents)[:4]]
    for folder in above:
        if (folder / request.preset).is_file():
            return (folder / request.preset).resolve()
    raise DataError(
        f"{data}: was rendered with the preset {printable(request.preset)}, which is not here; run this where it is"
    )


def _overrides(base: SceneConfig, config: SceneConfig, name: str) -> dict[str, Any]:
    """The keys whose values in `config` are others than in `base`; both ends of a range."""
    before, after = base.model_dump(mode="json"), config.model_dump(mode="json")
    found: dict[str, Any] = {}
    for one in differences(before, after):
        key = one.path
        if key.rpartition(".")[2] in _ENDS:
            key = key.rpartition(".")[0]
        elif ".weights" in key:
            key = key.partition(".weights")[0]
        if "[" in key or "mesh" in key or "photo.files" in key or one.after is None:
            raise DataError(f"{name} has changed since ({printable(one.path)}): render the set again, or give another")
        value: Any = after
        for part in key.split("."):
            value = value[part]
        found[key] = value
    return found


def preset_text(rendered: Rendered, changes: Sequence[Change], folder: Path, made: str) -> str:
    """The YAML; nothing where there is no change. `folder` is where the file will lie."""
    head = [
        f"# Wider ranges, as the gap report of {made} advises. No range is narrower. Not tried yet, but where it says",
        "# measured: render, train, and measure on photos that are not the test.",
    ]
    return layered(rendered, changes, folder, head) if changes else ""


def layered(rendered: Rendered, changes: Sequence[Change], folder: Path, head: Sequence[str] = ()) -> str:
    """The YAML of the set's own preset with these changes, or with none."""
    tree: Tree = {}
    for key, value in rendered.overrides.items():
        for inner, leaf in _leaves(key, value):
            _put(tree, inner, f"{json.dumps(leaf)}    # as the set was rendered, with --set")
    for one in changes:
        low, high = map(_number, one.after)
        _put(tree, one.key, f"{{low: {low}, high: {high}}}    # was {in_words(one.before)}: {_why(one)}")
    base = rendered.preset if isinstance(rendered.preset, str) else os.path.relpath(rendered.preset, folder.resolve())
    own = f"base: {base if _PLAIN_KEY.fullmatch(base) else json.dumps(base)}"
    return "\n".join([*head, own, *_lines(tree, 0)]) + "\n"


def _number(value: float) -> str:
    """Short where that is the very same number."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def _leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The values in a group; a range, and names with weights, are one value."""
    if isinstance(value, Mapping) and value and not {"low", "weights"} & value.keys():
        for name, inner in value.items():
            yield from _leaves(f"{key}.{name}", inner)
    elif value is not None:
        yield key, value


def _why(one: Change) -> str:
    effect = one.effect
    known = "effect not known, try"
    if effect.value is not None:
        word = "measured" if one.evidence == "measured" else "up to"
        known = f"{word} {effect.value:+.1f} points of AP50"
    return printable(f"{one.because}; {known}")


def _put(tree: Tree, key: str, text: str) -> None:
    *above, last = key.split(".")
    for name in above:
        tree = tree.setdefault(name, {})
    tree[last] = text


def _lines(tree: Tree, depth: int) -> list[str]:
    lines = []
    for name, value in tree.items():
        key = "  " * depth + (name if _PLAIN_KEY.fullmatch(name) else json.dumps(name))
        lines += [f"{key}:", *_lines(value, depth + 1)] if isinstance(value, dict) else [f"{key}: {value}"]
    return lines


def check_preset(rendered: Rendered, changes: Sequence[Change]) -> None:
    """Check that the preset loads, and that it is the set's config with the wider ranges and nothing else.

    Raises:
        DataError: it does not; nothing shall be written then.
    """
    from simgen.presets.read import load_config

    with tempfile.TemporaryDirectory() as inside:
        path = Path(inside) / "next.yaml"
        path.write_text(preset_text(rendered, changes, Path(inside), ""), "utf-8")
        try:
            config = load_config(str(path))
        except SimgenError as error:
            raise DataError(f"the wider ranges make no preset: {error}") from None
    keys = {one.key for one in changes}
    other = [one.path for one in differences(rendered.config.model_dump(mode="json"), config.model_dump(mode="json"))]
    if wrong := [path for path in other if path.rpartition(".")[0] not in keys]:
        raise DataError(f"the wider ranges would change {wrong[0]} too")
