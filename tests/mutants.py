"""Mutation testing, for `make mutants`: mutmut changes the code in one place and runs the tests that reach it.

A mutant that no test fails on survives: a hole in the tests, or a change that makes no difference (docs/mutants.md).
Two things differ from plain mutmut 3. It leaves decorated functions out; those under DECORATORS are plain wrappers, so
they are mutated here too, and what `lru_cache` keeps is dropped before each test. And no argument or value is replaced
by None: nearly all such mutants crash at once and tell nothing.

Results stay in the folder `mutants`: a run that was stopped goes on where it was.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from random import Random
from typing import Any

import click
import libcst as cst
from mutmut import __main__ as mutmut
from mutmut.mutation import file_mutation, mutators
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.mutation.file_mutation import MutationVisitor
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.runners.harness import PytestRunner
from mutmut.stats import status_by_exit_code

DECORATORS = {"no_grad", "lru_cache"}
AGAIN = {"survived", "no tests", "timeout", "not checked"}
_skips = MutationVisitor._skip_node_and_children
_execute = PytestRunner.execute_pytest


def _arguments_left_out(node: cst.Call) -> Iterator[cst.Call]:
    return (call for call in mutators.operator_arg_removal(node) if len(call.args) < len(node.args))


OPERATORS = [
    (kind, _arguments_left_out if operator is mutators.operator_arg_removal else operator)
    for kind, operator in mutators.mutation_operators
    if operator is not mutators.operator_assignment
]


class Uncached:
    """A plugin of pytest. Without it only the first test would reach a function under `lru_cache`."""

    def __init__(self) -> None:
        self.modules = {_module(path) for path in mutmut.walk_mutatable_files()}

    def pytest_runtest_setup(self) -> None:
        for name in self.modules & sys.modules.keys():
            for value in vars(sys.modules[name]).values():
                if hasattr(value, "cache_clear"):
                    value.cache_clear()


def _execute_uncached(runner: PytestRunner, params: list[str], **more: Any) -> int:
    return _execute(runner, params, plugins=[*more.pop("plugins", ()), Uncached()], **more)


def _skips_less(visitor: MutationVisitor, node: cst.CSTNode) -> bool:
    if isinstance(node, cst.FunctionDef) and node.decorators:
        calls = [d.decorator.func if isinstance(d.decorator, cst.Call) else d.decorator for d in node.decorators]
        names = {c.attr.value if isinstance(c, cst.Attribute) else c.value for c in calls if hasattr(c, "value")}
        if names <= DECORATORS:
            return False
    return _skips(visitor, node)


def _chosen(file: SourceFileMutationData, sample: int) -> list[str]:
    """Names of the file's mutants: all, or so many at random, always the same ones."""
    names = sorted(file.exit_code_by_key)
    return names if not 0 < sample < len(names) else sorted(Random(0).sample(names, sample))


def _files(pattern: str) -> list[SourceFileMutationData]:
    """The mutated files, by their module's name."""
    paths = [path for path in mutmut.walk_mutatable_files() if fnmatch(_module(path), pattern)]
    files = [SourceFileMutationData(path=path) for path in sorted(paths)]
    for file in files:
        file.load()
    return files


def _module(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def _report(pattern: str, sample: int) -> None:
    """Survivors with their diffs, then a line for each module."""
    lines = []
    for file in _files(pattern):
        status = {name: status_by_exit_code[file.exit_code_by_key[name]] for name in _chosen(file, sample)}
        alive = [name for name, it in status.items() if it not in ("killed", "not checked")]
        for name in alive:
            click.echo(f"\n# {name}: {status[name]}\n{get_diff_for_mutant(name, path=file.path)}")
        counts = ", ".join(f"{n} {it}" for it, n in sorted(Counter(status.values()).items()))
        lines.append(f"{_module(file.path):40} {len(status):4} of {len(file.exit_code_by_key):4} mutants: {counts}")
    click.echo("\n" + "\n".join(lines))


@click.command()
@click.option("--module", "pattern", default="*", help="a module, or a pattern such as 'simgen.camera.*'")
@click.option("--jobs", default=2, show_default=True)
@click.option("--sample", default=0, help="of each module so many mutants at random, always the same ones; 0: all")
@click.option("--again", is_flag=True, help="also those that survived or timed out, after tests were added")
@click.option("--report", is_flag=True, help="print what is known, run nothing")
def main(pattern: str, jobs: int, sample: int, again: bool, report: bool) -> None:
    """Run the mutants of a module, or of all, that have no result yet; print those that survive."""
    MutationVisitor._skip_node_and_children = _skips_less  # type: ignore[method-assign]
    PytestRunner.execute_pytest = _execute_uncached  # type: ignore[method-assign]
    file_mutation.mutation_operators = OPERATORS
    if not report:
        set_mutant_under_test("mutant_generation")
        Path("mutants").mkdir(exist_ok=True)
        mutmut.copy_src_dir()
        mutmut.copy_also_copy_files()
        mutmut.create_mutants(jobs)
        due = AGAIN if again else {"not checked"}
        names = [
            name
            for file in _files(pattern)
            for name in _chosen(file, sample)
            if status_by_exit_code[file.exit_code_by_key[name]] in due
        ]
        if names:
            mutmut._run(names, jobs)
    _report(pattern, sample)


if __name__ == "__main__":
    main()
