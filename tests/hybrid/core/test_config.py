"""ModelConfig: every limit, with an error that names the key, the value and what is allowed."""

from __future__ import annotations

import doctest
from dataclasses import FrozenInstanceError, asdict, fields

import pytest
from pydantic import TypeAdapter, ValidationError

from hybrid.core import config as module
from hybrid.core.config import BRANCHES, INPUTS, PRESETS, RANGES, ModelConfig
from hybrid.core.errors import ConfigError


def build(**changes: object) -> ModelConfig:
    return ModelConfig(**({"categories": ("bolt", "nut")} | changes))  # type: ignore[arg-type]


def check(**changes: object) -> None:
    """Only the config's own checks, as in use: these tests' import hook refuses other types before they run."""
    config = object.__new__(ModelConfig)
    for name, value in (asdict(build()) | changes).items():
        object.__setattr__(config, name, value)
    config.__post_init__()


@pytest.mark.parametrize("name", RANGES)
def test_every_range_has_both_ends_and_an_error_that_names_them(name: str) -> None:
    low, high = RANGES[name]
    with pytest.raises(ConfigError, match=f"^{name}: needs {low} or more, got {low - 1}$"):
        build(**{name: low - 1})
    with pytest.raises(ConfigError, match=f"^{name}: needs {high} or less, got {high + 1}$"):
        build(**{name: high + 1})
    others = {"heads": {"width": 4096}, "width": {"heads": 1}}.get(name, {})
    for end in (low, high) if name != "heads" else (low, 256):
        assert getattr(build(**{name: end}, **others), name) == end


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("value", [1.5, 64.0, "64", None, float("nan")])
def test_counts_are_whole_numbers(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"^{name}: needs a whole number, got "):
        check(**{name: value})


def test_every_key_of_a_range_is_a_field() -> None:
    assert len(RANGES) == 13
    assert set(RANGES) <= {field.name for field in fields(ModelConfig)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"branches": "rnn"}, r"branches: there is no 'rnn'; choose from \['cnn', 'cnn\+rnn'"),
        ({"norm": "layer"}, "norm: there is no 'layer'; choose from .*'frozen'"),
        ({"attention": ""}, "attention: there is no ''; choose from .*'back_and_forth'"),
        ({"belt_order": "z"}, "belt_order: there is no 'z'; choose from .*'off', 'x', 'y'"),
        ({"boxes": "amodal"}, "boxes: there is no 'amodal'; choose from .*'whole'"),
        ({"categories": ()}, r"categories: needs one or more different names, got \[\]"),
        ({"categories": ("a", "b", "a")}, r"categories: needs .* got \['a', 'b', 'a'\]"),
        ({"categories": "bolt"}, "categories: needs"),  # one string is a sequence of letters
        ({"categories": (1, 2)}, "categories: needs"),
        ({"weights": "/no/such/file.pt"}, "weights: '/no/such/file.pt' is neither one of .*'default'.* nor a file"),
        ({"width": 40, "heads": 4}, r"width: needs a multiple of 4 \* heads = 16, got 40"),
        ({"inputs": ("depth",)}, r"inputs: there is no \['depth'\]; choose from \[\['rgb'\], \['rgb', 'depth'\]\]"),
        ({"depth_dropout": 1.01}, "depth_dropout: needs a share from 0 to 1, got 1.01"),
        ({"depth_dropout": float("nan")}, "depth_dropout: needs a share"),
        ({"distinct_iou": -0.1}, "distinct_iou: needs a share from 0 to 1, got -0.1"),
        ({"clip_classes": ("ok",)}, r"clip_classes: needs none, or two or more different names, got \['ok'\]"),
        ({"clip_classes": ("ok", "ok")}, "clip_classes: needs none, or two"),
        ({"clip_classes": "ok"}, "clip_classes: needs none, or two"),
    ],
)
def test_a_value_that_is_not_allowed_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        check(**changes)


@pytest.mark.parametrize("branches", BRANCHES)
def test_branches_say_what_there_is(branches: str) -> None:
    config = build(branches=branches)
    assert (config.recurrence, config.transformer) == ("rnn" in branches, "transformer" in branches)


def test_a_config_cannot_be_changed_past_its_checks() -> None:
    with pytest.raises(FrozenInstanceError):
        build().queries = 0  # type: ignore[misc]


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_valid_for_any_categories_and_survive_plain_values(name: str) -> None:
    config = PRESETS[name](("a", "b", "c"))
    assert config.categories == ("a", "b", "c")
    assert (config.tracks > 0, config.boxes == "whole") == (name.endswith("video"),) * 2
    assert TypeAdapter(ModelConfig).validate_python(asdict(config)) == config
    with pytest.raises(ValidationError, match="colour"):
        TypeAdapter(ModelConfig).validate_python(asdict(config) | {"colour": 1})


def test_both_inputs_are_accepted() -> None:
    assert [build(inputs=row).inputs for row in INPUTS] == [("rgb",), ("rgb", "depth")]


def test_the_examples_run() -> None:
    result = doctest.testmod(module)
    assert result.attempted >= 6
    assert result.failed == 0
