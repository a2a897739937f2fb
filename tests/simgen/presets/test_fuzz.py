"""Whatever a preset and --set hold: a config, which can be sampled, or a ConfigError with one line for each problem."""

import contextlib
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from simgen.presets.knobs import KnobRow, knobs
from simgen.presets.layers import find, read_preset, with_overrides
from simgen.presets.read import config_of, load_config
from simgen.scene.config import SceneConfig
from simgen.scene.sampling.sample import sample
from simgen.spec.errors import ConfigError

fuzz = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "30")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
WORKSHOP = read_preset(find("workshop", Path(), ""), ())
ROWS = [row for row in knobs() if row.path not in ("camera.hfov_deg", "light.environment.folder", "parts.only")]
NAMES = {"parts.kinds": "hex_nut", "texture.finishes": "zinc", "wear": "dust"}
KEYS = sorted(
    {name for row in ROWS for name in row.path.split(".")} | {"base", "low", "high", "weights", "hex_nut", "*"}
)
NUMBERS = [
    "0",
    "-1",
    "1",
    "0.5",
    "3",
    "1e9",
    "1e-9",
    "1e400",
    "-1e400",
    ".nan",
    ".inf",
    "-.inf",
    "9" * 5000,
    "0x10",
    "1_0",
]
WORDS = [
    "",
    "null",
    "true",
    "no",
    "tiny",
    "north",
    "[]",
    "{}",
    "[1, 2]",
    "'1'",
    "{low: 1}",
    "{low: 2, high: 1}",
    "!!x y",
]
WORDS += [
    "{weights: {}}",
    "{weights: {none: .nan}}",
    "&a b",
    "*a",
    "\x00",
    "\x1b[2J",
    "\ud7ff",
    "2026-01-01",
    "- 1",
    "? a",
]
VALUES = st.sampled_from([*NUMBERS, *WORDS]) | st.text(max_size=8) | st.floats().map(str) | st.integers().map(str)


def outcome(read: Any) -> SceneConfig | None:
    """The config, or None where it is refused in words."""
    problems: tuple[str, ...] = ()
    try:
        config = read()
    except ConfigError as error:
        config, problems = None, error.problems
    assert (config is None) == bool(problems)
    assert all(problem and "\n" not in problem.strip("\n") for problem in problems)
    return config  # type: ignore[no-any-return]


@fuzz
@given(st.lists(st.sampled_from(KEYS) | st.text(max_size=4), min_size=1, max_size=5).map(".".join), VALUES)
@example("0\n.*", "0")
def test_any_override_is_taken_or_refused_in_words(key: str, value: str) -> None:
    outcome(lambda: config_of(with_overrides(WORKSHOP, [f"{key}={value}"])))


@fuzz
@given(st.sampled_from(ROWS), VALUES, st.sampled_from(["", ".low", ".high", ".weights", ".weights.none", ".x"]))
def test_any_value_of_a_knob_is_taken_or_refused_in_words(row: KnobRow, value: str, end: str) -> None:
    outcome(lambda: config_of(with_overrides(WORKSHOP, [f"{_key(row)}{end}={value}"])))


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=15,
)  # fmt: skip


@fuzz
@given(TREES, st.sampled_from(["", "base: tiny\n", "base: ./fuzz.yaml\n"]))
def test_any_tree_in_a_file_is_taken_or_refused_in_words(tmp_path: Path, tree: Any, head: str) -> None:
    (tmp_path / "fuzz.yaml").write_text(head + yaml.safe_dump(tree, allow_unicode=True), "utf-8")
    outcome(lambda: load_config(str(tmp_path / "fuzz.yaml")))


@fuzz
@given(st.binary(max_size=60), st.integers(0, 2000), st.integers(0, 40))
def test_a_preset_with_any_bytes_in_it_is_taken_or_refused_in_words(
    tmp_path: Path, inserted: bytes, place: int, cut: int
) -> None:
    text = find("tiny", Path(), "").read_bytes()
    (tmp_path / "fuzz.yaml").write_bytes(text[:place] + inserted + text[place + cut :])
    outcome(lambda: load_config(str(tmp_path / "fuzz.yaml")))


@settings(fuzz, max_examples=fuzz.max_examples // 3)
@given(st.lists(st.tuples(st.sampled_from(ROWS), st.sampled_from([0.0, 1.0, 0.5, 1e-3])), min_size=1, max_size=4),
       st.integers(0, 9))  # fmt: skip
def test_a_config_within_all_bounds_can_be_sampled(picks: list[tuple[KnobRow, float]], index: int) -> None:
    """The bounds' own values too: none is a division by 0, an endless number, or an angle without a tangent."""
    overrides = ["parts.count=3", "clutter.count=2", "light.glow_count=2"]
    overrides += [f"{_key(row)}={_between(row, share)}" for row, share in picks if row.bounds]
    config = outcome(lambda: config_of(with_overrides(WORKSHOP, overrides)))
    if config is not None:
        assert sample(config, 7, index).to_json().find("NaN") == -1


def _between(row: KnobRow, share: float) -> str:
    value = (1 - share) * (row.knob.least or 0) + share * (row.knob.most or 0)
    whole = "whole" in row.type
    return f"{min(round(value), 40)}" if whole and "count" in row.path else f"{round(value) if whole else value}"


def _key(row: KnobRow) -> str:
    group = row.path.partition(".*")[0]
    return row.path.replace("*", next((name for end, name in NAMES.items() if group.endswith(end)), ""))


def test_a_chain_of_very_many_bases_is_refused(tmp_path: Path) -> None:
    (tmp_path / "0.yaml").write_text("base: tiny\n")
    for i in range(1, 60):
        (tmp_path / f"{i}.yaml").write_text(f"base: ./{i - 1}.yaml\n")
    assert load_config(str(tmp_path / "20.yaml")) == load_config("tiny")
    with pytest.raises(ConfigError, match="30th file on top of another"):
        load_config(str(tmp_path / "59.yaml"))


def test_a_key_of_very_many_groups_is_refused() -> None:
    with contextlib.suppress(ConfigError):
        load_config("tiny", ["a." * 5000 + "b=1"])
