"""Laws of the command lines: lists after one flag, the same option alike everywhere, errors of one line."""

from __future__ import annotations

import itertools
import os
import shlex
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from typer.testing import CliRunner

from hybrid.core.errors import DataError, RunError
from pipelines import cli, gap_report
from pipelines.common.options import Command, one_line_errors, repeat_flags
from simgen.spec.errors import ShardError

WORDS = st.text(alphabet="ab=/.", min_size=1, max_size=5)  # no leading dash
ROOT = Path(__file__).parents[3]
COMMANDS = {"train-sim", "finetune-real", "tune", "gap-report", "line", "demo"}


@pytest.mark.parametrize(
    ("line", "repeated"),
    [
        (["--runs", "a", "b", "--out", "c"], ["--runs", "a", "--runs", "b", "--out", "c"]),
        (["--out", "c", "--runs", "a", "b"], ["--out", "c", "--runs", "a", "--runs", "b"]),
        (["--runs=a", "b"], ["--runs=a", "--runs", "b"]),
        (["--runs", "a", "--runs", "b", "c"], ["--runs", "a", "--runs", "b", "--runs", "c"]),
        (["--out", "c", "d"], ["--out", "c", "d"]),
        (["--runs", "--out", "c"], ["--runs", "--out", "c"]),  # typer then says that --runs needs a value
    ],
)
def test_a_list_option_is_repeated_before_each_of_its_values(line: list[str], repeated: list[str]) -> None:
    assert repeat_flags(line, ["--runs"]) == repeated


@given(st.lists(st.tuples(st.sampled_from(["--runs", "--model", "--out"]), st.lists(WORDS, min_size=1, max_size=4))))
def test_repeating_flags_keeps_every_value_and_is_idempotent(groups: list[tuple[str, list[str]]]) -> None:
    line = [word for flag, values in groups for word in (flag, *values)]
    repeated = repeat_flags(line, ["--runs", "--model"])
    assert [word for word in repeated if not word.startswith("-")] == [v for _, values in groups for v in values]
    assert repeat_flags(repeated, ["--runs", "--model"]) == repeated
    for flag in ("--runs", "--model"):
        given_values = [value for name, values in groups if name == flag for value in values]
        assert [after for word, after in itertools.pairwise(repeated) if word == flag] == given_values


def gap_report_called_with(line: list[str], monkeypatch: pytest.MonkeyPatch) -> gap_report.Asked:
    """What the command line is understood as."""
    calls: list[gap_report.Asked] = []
    monkeypatch.setattr(gap_report, "_report", lambda wish, overwrite: calls.append(wish))
    result = CliRunner().invoke(gap_report.app, line)
    assert result.exit_code == 0, result.output
    return calls[0]


def test_a_report_takes_all_runs_after_one_flag_or_a_flag_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    data = ["--sim", "s", "--real", "r.json", "--out", "h.html"]
    once = gap_report_called_with(["--runs", "a b", "c", *data], monkeypatch)
    assert once == gap_report_called_with([*data, "--runs", "a b", "--runs", "c"], monkeypatch)
    assert once.runs == (Path("a b"), Path("c"))


@pytest.mark.parametrize(
    "more",
    [
        [],
        ["--look", "my photos.json", "--sim-clips", "0", "--without-photos", "--stand-in"],
        ["--categories", "hex bolt", "nut", "--rename", "Bolt=hex bolt", "N=nut"],
        ["--quick", "--final", "--sessions", r"^(.*)\d", "--run-to-look-at", "a b", "--wanted-recall", "0.95"],
    ],
)
def test_the_command_that_a_report_shows_makes_the_same_report(
    more: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ["--sim", "memory://s", "--real", "r.json", "--runs", "a b", "c", "--out", "h.html", *more]
    call = gap_report_called_with(line, monkeypatch)
    shown = shlex.split(gap_report.command(call))
    assert shown[:3] == ["python", "-m", "pipelines.gap_report"]
    assert gap_report_called_with(shown[3:], monkeypatch) == call
    assert set(more) <= set(shown)


@pytest.mark.parametrize("missing", ["--sim", "--real", "--runs", "--out"])
def test_a_report_needs_its_data_its_runs_and_its_file(missing: str) -> None:
    options = {"--sim": "s", "--real": "r", "--runs": "a", "--out": "h.html"}
    line = [word for flag, value in options.items() if flag != missing for word in (flag, value)]
    result = CliRunner().invoke(gap_report.app, line)
    assert result.exit_code == 2
    assert result.stderr == f"error: needs {missing}, on the command line or in a plan\n"


def test_a_report_is_an_html_file(tmp_path: Path) -> None:
    line = ["--sim", "s", "--real", "r", "--runs", "a", "--out", str(tmp_path / "report.pdf")]
    result = CliRunner().invoke(gap_report.app, line)
    assert result.exit_code == 2
    assert result.stderr == f"error: --out: {tmp_path / 'report.pdf'} must end in .html\n"


def parameters() -> dict[str, list[tuple[str, object]]]:
    """For each flag, the commands that have it and their option."""
    group = typer.main.get_command(cli.app)
    assert set(group.commands) == COMMANDS
    by_flag: dict[str, list[tuple[str, object]]] = defaultdict(list)
    for name, command in group.commands.items():
        assert isinstance(command, Command)
        for option in command.params:
            for flag in option.opts:
                by_flag[flag].append((name, option))
    return by_flag


def test_an_option_of_several_commands_has_one_help_and_one_group() -> None:
    own_meaning = {"--data", "--out", "--sim", "--real"}  # other data, or another file, in each command
    own_meaning |= {"--quick", "--compare"}  # a report leaves out, and compares, other things than a training
    own_meaning |= {"--unlabelled"}  # a training adapts to them, a report chooses what to label
    shared = {flag: rows for flag, rows in parameters().items() if len(rows) > 1 and flag not in own_meaning}
    assert set(shared) >= {"--preset", "--branches", "--steps", "--batch", "--tile", "--lr", "--workers", "--device"}
    for flag, rows in shared.items():
        assert len({(option.help, option.rich_help_panel) for _, option in rows}) == 1, flag
    by_task = {"--steps", "--lr", "--holdout", "--batch", "--clip-length", "--workers"}  # pretraining is no fine-tuning
    for flag in set(shared) - by_task:
        assert len({option.default for _, option in shared[flag]}) == 1, flag


def test_every_option_has_a_help_and_every_command_an_example() -> None:
    for flag, rows in parameters().items():
        assert all(option.help for _, option in rows), flag
    for name, command in typer.main.get_command(cli.app).commands.items():
        assert f"python -m pipelines.{name.replace('-', '_')} " in command.epilog


@pytest.mark.parametrize(("earlier", "now"), [("--parts", "--branches"), ("--in-front", "--occluders")])
def test_options_that_were_renamed_keep_their_earlier_name(earlier: str, now: str) -> None:
    flags = parameters()
    assert flags[earlier] == flags[now] != []


def test_help_of_the_console_script_loads_nothing_heavy() -> None:
    code = """
import sys
for name in ("torch", "cv2", "pybullet", "scipy", "numpy"):
    sys.modules[name] = None
from pipelines.cli import app
for words in ([], ["train-sim"], ["finetune-real"], ["tune"], ["gap-report"], ["line"], ["demo"]):
    app([*words, "--help"], standalone_mode=False)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in COMMANDS)
    assert done.stdout.count("--out") >= len(COMMANDS)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (DataError("photos.json:\n  no box"), "error: photos.json: no box\n"),
        (RunError("out/run: is damaged"), "error: out/run: is damaged\n"),
        (ShardError("data/sim: is unfinished"), "error: data/sim: is unfinished\n"),
        (FileNotFoundError(2, "No such file", "gone"), "error: [Errno 2] No such file: 'gone'\n"),
    ],
)
def test_an_error_of_the_user_is_one_line_and_status_2(
    error: Exception, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end, one_line_errors():
        raise error
    assert end.value.code == 2
    assert capsys.readouterr().err == message


def test_a_setting_out_of_range_is_named_with_its_value(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), one_line_errors():
        TypeAdapter(dict[str, int]).validate_python({"steps": "many"})
    error = capsys.readouterr().err
    assert error.startswith("error: steps: ")
    assert error.endswith("got 'many'\n")


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), one_line_errors():
        raise ZeroDivisionError


def test_threads_that_wait_do_not_take_a_core_unless_the_user_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    with one_line_errors():
        pass
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    with one_line_errors():
        pass
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
