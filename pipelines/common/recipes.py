"""Recipes: training settings as data, from a YAML file or by name. `--recipe` of train_sim and finetune_real.

A recipe gives any keys of `TrainConfig`; most give `stages`. What the command line states counts more than the recipe,
and the recipe more than the script's defaults. `--steps N` scales the stages of a recipe to N steps together. A recipe
by name has the steps of the script.

    learning_rate: 1.0e-3
    stages:
      - {name: head, steps: 200, train: [pyramid, decoder]}
      - {name: all, steps: 1800, rates: {backbone: 0.1}, clip_length: 4}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hybrid.core.errors import DataError
from hybrid.training.config import Stage, TrainConfig, in_proportion
from hybrid.training.run.trackers import check_installed
from pipelines.common.data import note
from pipelines.common.options import stated_options
from simgen.spec.text.yaml_text import Tree, dotted_key, read_tree

RECIPES: dict[str, dict[str, Any]] = {
    "head-first": {  # what is new learns before the pretrained backbone may change
        "stages": [
            {"name": "head", "steps": 20, "rates": {"backbone": 0}},
            {"name": "all", "steps": 80},
        ]
    },
    "cnn-first": {  # the CNN on single frames, then all branches on clips
        "stages": [
            {"name": "cnn", "steps": 50, "branches": "cnn", "clip_length": 1},
            {"name": "all", "steps": 50},
        ]
    },
    "long-clips": {  # clips become longer; gradients flow back through eight frames
        "truncate": 8,
        "stages": [
            {"name": "cnn", "steps": 40, "branches": "cnn", "clip_length": 1},
            {"name": "short", "steps": 40, "clip_length": 5},
            {"name": "long", "steps": 20, "clip_length": 16, "rates": {"backbone": 0}},
        ],
    },
}
OPTIONS = {  # options of the command line by the key of TrainConfig, where the names differ
    "batch_clips": "batch", "tile_px": "tile", "learning_rate": "lr", "cnn_steps": "cnn_first",
    "blank_probability": "blank", "augment": "occluders",
}  # fmt: skip
FROM_STEPS = ("steps", "warmup_steps", "cnn_steps")  # what stages decide


def train_config(settings: Mapping[str, Any], recipe: str | None) -> TrainConfig:
    """The training config of a script's `settings`, changed by a recipe: a file, or a name of RECIPES.

    Raises:
        DataError: there is no such recipe, or a value of it is not allowed. Names file, line, key, value.
        ConfigError: the file cannot be read, or is no YAML; or a package to log to is not installed.
        ValidationError: a setting is not allowed.
    """
    if recipe is None:
        return _checked(TrainConfig(**settings))
    tree = _tree(recipe)
    own = dict(tree.values)
    given = stated_options()
    stated = {key: value for key, value in settings.items() if OPTIONS.get(key, key) in given}
    rest = dict(settings)
    if own.get("stages"):
        rest = {key: value for key, value in settings.items() if key not in FROM_STEPS}
        if "steps" in stated or recipe in RECIPES:
            own["stages"] = scaled(own["stages"], settings["steps"])
            stated.pop("steps", None)
    try:
        return _checked(TrainConfig(**{**rest, **own, **stated}))
    except ValidationError as error:
        raise DataError(_words(error, tree)) from None


def _checked(config: TrainConfig) -> TrainConfig:
    """The config, where what it logs to is installed: said before anything is written."""
    check_installed(config.log_to)
    return config


def note_precision(config: TrainConfig) -> None:
    """Say it where bf16 is asked for on a CPU that does not compute in it."""
    if config.precision != "bf16":
        return
    import torch

    from hybrid.core.device import cpu_has_bf16, device_named

    capability = torch.backends.cpu.get_cpu_capability()
    if device_named(config.device).type == "cpu" and not cpu_has_bf16():
        note(f"--precision bf16: this CPU ({capability}) does not compute in bf16; it saves memory, but hardly time")


def scaled(stages: Any, steps: int) -> Any:
    """The stages with `steps` steps together, in the proportions that they have. Anything else stays as it is."""
    counts = [one.get("steps") for one in stages] if _are_mappings(stages) else []
    if not 0 < len(counts) <= steps or not all(type(count) is int and count > 0 for count in counts):
        return stages
    return [{**one, "steps": count} for one, count in zip(stages, in_proportion(counts, steps), strict=True)]


def _are_mappings(stages: Any) -> bool:
    return isinstance(stages, list) and all(isinstance(one, dict) for one in stages)


def _tree(recipe: str) -> Tree:
    if recipe in RECIPES:
        return Tree(RECIPES[recipe], {(): f"--recipe {recipe}"})
    path = Path(recipe)
    if path.suffix not in (".yaml", ".yml") and not path.is_file():
        raise DataError(f"--recipe {recipe}: is neither a YAML file nor one of {sorted(RECIPES)}")
    return read_tree(path)


def _words(error: ValidationError, tree: Tree) -> str:
    """The first mistake: file and line, key, what it needs, what it is."""
    first = error.errors()[0]
    path = tuple(first["loc"])
    known = ""
    if first["type"] == "extra_forbidden":
        known = f"; there are {sorted((Stage if path[0] == 'stages' else TrainConfig).model_fields)}"
    words = first["msg"].removeprefix("Value error, ")
    return f"{tree.where(path)}: {dotted_key(path)}: {words}, got {first['input']!r:.60}{known}"
