"""Benchmarks are run by hand and rarely. So their imports are checked here, without running them."""

from __future__ import annotations

import ast
import json
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.few_photos import Plan, Row, arguments, differences, finished, plans
from pipelines.gap.stats.interval import difference_interval

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "benchmarks").rglob("*.py"))


def file_of(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def defined_in(file: Path) -> set[str]:
    """The names that a module binds at its top level, also in `if` and `try` blocks."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def test_there_are_benchmarks() -> None:
    assert len(SCRIPTS) > 15


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT / "benchmarks")))
def test_what_a_benchmark_imports_of_the_project_is_there(script: Path) -> None:
    for node in ast.walk(ast.parse(script.read_text())):
        if not isinstance(node, ast.ImportFrom) or node.module is None:
            continue
        if node.module.partition(".")[0] not in {"simgen", "hybrid", "pipelines", "benchmarks", "tests"}:
            continue
        file = file_of(node.module)
        package = ROOT.joinpath(*node.module.split("."))
        assert file is not None or package.is_dir(), f"line {node.lineno}: there is no {node.module}"
        defined = defined_in(file) if file else set()
        lazy = file is not None and "__getattr__" in defined
        for alias in node.names:
            there = alias.name in defined or file_of(f"{node.module}.{alias.name}") or (package / alias.name).is_dir()
            assert there or lazy, f"line {node.lineno}: {node.module} has no {alias.name}"


def row(name: str, ap50: list[float], noise: np.ndarray) -> Row:
    """A row of few_photos whose AP is half of its AP50."""
    arm, _, shots = name.partition("-")
    by_shuffle = {k: {"ap50": value, "ap": value / 2} for k, value in enumerate(ap50)}
    draws = {k: {"ap50": (v["ap50"] + noise[k]).tolist(), "ap": [v["ap"]] * 400} for k, v in by_shuffle.items()}
    return Row(name, arm, int(shots or 0), 400, 6, by_shuffle, draws, {}, {})


def test_arms_with_few_photos_are_compared_on_the_shuffles_that_both_have() -> None:
    noise = np.random.default_rng(0).normal(0.0, 0.01, (3, 400))
    ten = row("photos-10", [0.80, 0.90, 0.10], 0 * noise)
    rows = [row("sim", [0.85], 0 * noise), ten, row("sim-10", [0.86, 0.92], noise), row("photos-1", [0.5], noise)]
    line, asked = differences(rows, [("sim", "photos-10")])
    paired = difference_interval([0.06, 0.02], noise[:2], 6)
    assert f"AP50 +0.040 ({paired.low:+.3f} to {paired.high:+.3f}); AP +0.020" in line
    assert line.startswith("- sim-10 minus photos-10, 2 and 2 runs: ")
    every = difference_interval([0.05, -0.05, 0.75], np.zeros((3, 400)), 6)  # one run is compared with each
    assert asked.startswith(
        f"- sim minus photos-10, 1 and 3 runs: AP50 +0.250 ({every.low:+.3f} to {every.high:+.3f}); AP +0.125 ("
    )


def test_other_steps_are_those_of_a_row_else_of_an_arm_else_of_a_number_of_photos(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = "few --data d --sim s --out o --shots 1 10 52 --steps 400 --steps-of 1=200 photos=1600 sim-10=800"
    monkeypatch.setattr("sys.argv", words.split())
    of_row = plans(arguments())
    assert {name: plan.steps for name, plan in of_row.items()} == {
        "photos-1-r0": 1600, "photos-10-r0": 1600, "photos-52-r0": 1600,
        "sim-1-r0": 200, "sim-10-r0": 800, "sim-52-r0": 400,
    }  # fmt: skip
    assert all(plan.command[plan.command.index("--steps") + 1] == str(plan.steps) for plan in of_row.values())


def test_a_finished_run_of_other_settings_is_refused(tmp_path: Path) -> None:
    plan, options = Plan("photos", 10, 1, 400, []), Namespace(lr=1e-3, tile=192)
    assert not finished(tmp_path, plan, options)
    done = {"steps": 400, "learning_rate": 1e-3, "tile_px": 192, "seed": 1}
    (tmp_path / "run.json").write_text(json.dumps({"train": done}))
    assert finished(tmp_path, plan, options)
    with pytest.raises(SystemExit, match="a finished run with steps 400, not 200; give another --out"):
        finished(tmp_path, replace(plan, steps=200), options)
