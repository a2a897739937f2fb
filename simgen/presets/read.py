"""From a YAML preset and `--set` overrides to a `SceneConfig`, with errors that say what to change.

A preset may have `base: other`, with the name of a preset or a path relative to the file. Its own keys are merged into
those of the base: groups key by key; the `weights` of a choice are replaced as a whole; `null` removes an inherited
key.
Every error names the file and line, the dotted key, the value, and what is allowed:

    scene.yaml:14: light.ambiant_intensity: no such knob; did you mean 'ambient_intensity'?

A number where a range is due is a fixed value, a name where weights are due the only choice. A layer that changes the
camera's width keeps its field of view, unless it sets another.

YAML is read by the core schema of YAML 1.2: `1e-3` is a number, `no` and `none` are text. Tags and aliases are refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from simgen.presets.explain import explain
from simgen.presets.layers import find, read_preset, with_overrides
from simgen.presets.meshes import read_meshes
from simgen.presets.names import missing_sizes, unknown_names, useless_decoys
from simgen.presets.outlines.work_areas import misplaced
from simgen.presets.photos import read_photos
from simgen.scene.config import SceneConfig
from simgen.spec.errors import ConfigError
from simgen.spec.text.yaml_text import KeyPath, Tree


def load_config(preset: str, overrides: Sequence[str] = ()) -> SceneConfig:
    """The config of a preset.

    Args:
        preset: the name of a preset that comes with simgen (`simgen presets` lists them), or the path of a YAML file.
        overrides: changes to single knobs, such as "light.elevation_deg.low=60".

    Raises:
        ConfigError: with every problem of the preset and the overrides, one line each.

    >>> config = load_config("tiny", ["light.elevation_deg.low=60"])
    >>> config.light.elevation_deg.low
    60.0
    """
    return config_of(with_overrides(read_preset(find(preset, Path(), ""), ()), overrides))


def config_of(tree: Tree) -> SceneConfig:
    """The config of a preset's merged tree.

    Raises:
        ConfigError: with every problem, one line each.
    """
    values, bad_photos = read_photos(tree)
    values, bad_meshes = read_meshes(Tree(values, tree.marks))
    unknown = {**dict(unknown_names(tree)), **bad_photos, **bad_meshes}
    try:
        config = SceneConfig.model_validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        errors = [one for one in error.errors(include_url=False) if not _is_below(one["loc"], unknown)]
        raise ConfigError(*unknown.values(), *explain(tree, errors, may_inherit=True)) from None
    if problems := list(unknown.values()) or [
        *missing_sizes(config, tree),
        *useless_decoys(config, tree),
        *misplaced(config, tree),
    ]:
        raise ConfigError(*problems)
    return config


def _is_below(path: KeyPath, unknown: Mapping[KeyPath, str]) -> bool:
    """Whether a path leads into something that bears an unknown name, so that its faults are nobody's concern."""
    return any(path[:n] in unknown for n in range(1, len(path) + 1))


def stored_config(plain: Mapping[str, Any]) -> SceneConfig:
    """The config in the manifest of a data set.

    Raises:
        ConfigError: this version of simgen cannot read it.
    """
    try:
        return SceneConfig.model_validate_json(json.dumps(plain), strict=True)
    except ValidationError as error:
        tree = Tree(dict(plain), {(): "manifest.json"})
        raise ConfigError(*explain(tree, error.errors(include_url=False))) from None
