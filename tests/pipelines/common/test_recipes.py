"""Recipes: what counts more than what, stages in proportion, and mistakes that name file, line, key and value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid.core.errors import DataError
from hybrid.training.config import AugmentConfig, TrainConfig
from pipelines.common import options
from pipelines.common.recipes import RECIPES, note_precision, scaled, train_config

SETTINGS: dict[str, Any] = {
    "steps": 2000, "learning_rate": 5e-4, "cnn_steps": 1000, "warmup_steps": 100, "tile_px": 128,
    "augment": AugmentConfig(occluders=0.5), "workers": 3,
}  # fmt: skip
TWO = """
learning_rate: 1.0e-3
stages:
  - {name: head, steps: 200, train: [pyramid, decoder]}
  - {name: all, steps: 600, rates: {backbone: 0.1}, clip_length: 4}
"""


@pytest.fixture
def given_options(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    def give(*names: str) -> None:
        monkeypatch.setattr("pipelines.common.recipes.stated_options", lambda: frozenset(names))

    return give


def written(folder: Path, text: str) -> str:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return str(path)


def test_without_a_recipe_the_settings_are_the_config() -> None:
    assert train_config(SETTINGS, None) == TrainConfig(**SETTINGS)


def test_the_recipe_counts_more_than_defaults_and_less_than_what_the_user_says(tmp_path: Path, given_options) -> None:  # type: ignore[no-untyped-def]
    recipe = written(tmp_path, TWO)
    given_options()
    plain = train_config(SETTINGS, recipe)
    assert (plain.steps, plain.learning_rate, plain.tile_px, plain.cnn_steps) == (800, 1e-3, 128, 0)
    assert [(stage.name, stage.steps) for stage in plain.stages] == [("head", 200), ("all", 600)]
    assert plain.stages[1].rates == {"backbone": 0.1}
    given_options("lr", "steps", "seed")
    stated = train_config(SETTINGS, recipe)
    assert (stated.learning_rate, stated.steps) == (5e-4, 2000)
    assert [stage.steps for stage in stated.stages] == [500, 1500]


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_recipe_by_name_has_the_steps_of_the_script(name: str, given_options) -> None:  # type: ignore[no-untyped-def]
    given_options()
    config = train_config(SETTINGS, name)
    assert config.steps == 2000 == sum(stage.steps for stage in config.stages)
    assert config.cnn_steps == 0
    assert all(len({stage.name for stage in config.stages}) == len(config.stages) for _ in "1")


@given(st.lists(st.integers(1, 500), min_size=1, max_size=6), st.integers(6, 5000))
def test_scaled_stages_have_all_the_steps_in_nearly_the_same_proportions(counts: list[int], steps: int) -> None:
    now = [stage["steps"] for stage in scaled([{"steps": count} for count in counts], steps)]
    assert sum(now) == steps
    assert all(abs(a - b * steps / sum(counts)) <= len(counts) + 1 for a, b in zip(now, counts, strict=True))
    assert min(now) >= 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stages:\n  - {name: a, steps: 0}", r"recipe.yaml:2: stages.0.steps: .*greater than or equal to 1, got 0"),
        (
            "stages:\n  - name: a\n    steps: 5\n    train: [neck]",
            r"recipe.yaml:4: stages.0.train.0: .*'decoder'.*'neck'",
        ),
        ("learning_rat: 3", r"recipe.yaml:1: learning_rat: Extra inputs.*got 3; there are \['accumulate'"),
        ("stages:\n  - {name: a, steps: 5, rate: 3}", r":2: stages.0.rate: .*got 3; there are \['augment', 'branches'"),
        ("precision: fp16", "precision: .*'fp32' or 'bf16', got 'fp16'"),
        ("steps: many", "steps: .*valid integer.*got 'many'"),
    ],
)
def test_mistakes_name_file_line_key_and_value(text: str, message: str, tmp_path: Path, given_options) -> None:  # type: ignore[no-untyped-def]
    given_options()
    with pytest.raises(DataError, match=message):
        train_config(SETTINGS, written(tmp_path, text))
    with pytest.raises(DataError, match=r"nosuch: is neither a YAML file nor one of \['cnn-first'"):
        train_config(SETTINGS, "nosuch")


def test_what_the_user_says_is_known_by_the_names_of_the_arguments() -> None:
    seen = []

    def main(lr: options.LearningRate = 5e-4, seed: options.Seed = 0, model: options.Model = None) -> None:
        seen.append(options.stated_options())

    app = options.single_app(main, "")
    for line in (["--lr", "1", "--model", "a=1", "b=2"], []):
        with pytest.raises(SystemExit):
            app(line)
    assert seen == [{"lr", "model"}, set()]


def test_bf16_on_a_cpu_without_it_gets_a_note(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for fast, words in ((True, 0), (False, 1)):
        monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda fast=fast: fast)
        note_precision(TrainConfig(precision="bf16", device="cpu"))
        note_precision(TrainConfig(device="cpu"))
        assert capsys.readouterr().err.count("note: --precision bf16: this CPU") == words
