"""Benchmarks are run by hand and rarely. So their imports are checked here, without running them."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from benchmarks.few_photos import differences
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


def test_arms_with_few_photos_are_compared_on_the_shuffles_that_both_have() -> None:
    draws = np.random.default_rng(0).normal(0.0, 0.01, (3, 400))
    ap50 = {"photos-10": [0.80, 0.90, 0.10], "sim-10": [0.86, 0.92]}
    rows = [
        {
            "name": name,
            "sessions": 6,
            "by_shuffle": {k: (value, value / 2) for k, value in enumerate(values)},
            "draws": {k: value + draws[k] * (name == "sim-10") for k, value in enumerate(values)},
        }
        for name, values in ap50.items()
    ]
    (line,) = differences([*rows, {**rows[0], "name": "photos-1"}])
    paired = difference_interval([0.06, 0.02], draws[:2], 6)
    assert paired.low is not None
    assert paired.high is not None
    assert line == (
        f"- sim-10 minus photos-10, 2 runs of each: AP50 +0.040 ({paired.low:+.3f} to {paired.high:+.3f}); AP +0.020"
    )
