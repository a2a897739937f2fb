"""Errors that a user can put right: one root, a status each, still what callers catch."""

import pickle
import subprocess
import sys

import pytest
import typer

from simgen.cli.common import clear_errors
from simgen.spec import errors
from simgen.spec.errors import SimgenError

ALL = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
STATUS = {"Interrupted": 130, "BudgetSpent": 3}  # documented in the README


def test_every_error_of_the_module_is_below_the_root() -> None:
    assert len(ALL) == 20
    assert all(issubclass(kind, SimgenError) for kind in ALL.values())


@pytest.mark.parametrize("name", sorted(ALL))
def test_the_command_prints_each_line_of_an_error_and_exits_with_its_status(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as stopped, clear_errors():
        raise ALL[name]("scene.yaml:3: no such knob\nsee simgen presets")
    assert stopped.value.exit_code == STATUS.get(name, 2)
    assert capsys.readouterr().err == "simgen: scene.yaml:3: no such knob\nsimgen: see simgen presets\n"


def test_the_command_names_the_file_of_an_os_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as stopped, clear_errors():
        raise PermissionError(13, "Permission denied", "out/belt")
    assert stopped.value.exit_code == 2
    assert capsys.readouterr().err == "simgen: out/belt: Permission denied\n"


def test_our_own_mistakes_keep_their_traceback() -> None:
    with pytest.raises(KeyError), clear_errors():
        raise KeyError("bolt")


@pytest.mark.parametrize("name", sorted(ALL))
def test_errors_cross_processes(name: str) -> None:
    """Workers send them: an exception that cannot be unpickled hangs or hides its cause."""
    error = pickle.loads(pickle.dumps(ALL[name]("why")))
    assert type(error) is ALL[name]
    assert str(error) == "why"


def test_callers_of_renderers_and_readers_may_still_catch_the_builtin_class() -> None:
    assert issubclass(errors.RendererUnavailable, RuntimeError)
    assert issubclass(errors.RendererLost, RuntimeError)
    assert issubclass(errors.CocoError, ValueError)


def test_a_config_error_holds_a_problem_for_each_line() -> None:
    error = errors.ConfigError("a: no such knob", "b: needs a number")
    assert error.problems == ("a: no such knob", "b: needs a number")
    assert str(error) == "a: no such knob\nb: needs a number"


def test_the_module_loads_nothing_of_the_package() -> None:
    script = "import sys, simgen.spec.errors; print([name for name in sys.modules if name.startswith('simgen.spec.')])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['simgen.spec.errors']"
