"""Every error that a user can put right is a HybridError, and the commands print it as one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hybrid.core import errors
from hybrid.core.config import tiny
from hybrid.core.errors import ConfigError, DataError, HybridError, InputError, RunError
from pipelines.common.options import one_line_errors


def test_all_errors_have_one_root_and_keep_the_builtin_that_callers_expect() -> None:
    rows = {one for one in vars(errors).values() if isinstance(one, type) and one is not HybridError}
    assert rows == {ConfigError, DataError, InputError, RunError}
    assert all(issubclass(one, HybridError) for one in rows)
    assert {one for one in rows if issubclass(one, ValueError)} == {ConfigError, DataError, InputError}
    assert issubclass(RunError, RuntimeError)


@pytest.mark.parametrize("error", [ConfigError, DataError, InputError, RunError, FileNotFoundError])
def test_a_users_mistake_is_one_line_and_status_2(error: type[Exception], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped, one_line_errors():
        raise error("line 1:\n  wrong")
    assert stopped.value.code == 2
    assert capsys.readouterr().err == "error: line 1: wrong\n"


def test_our_own_mistake_keeps_its_traceback() -> None:
    with pytest.raises(ValueError, match="shapes differ"), one_line_errors():
        raise ValueError("shapes differ")


def test_a_config_that_cannot_be_built_is_a_users_mistake() -> None:
    with pytest.raises(HybridError, match="categories: needs one or more different names, got \\[\\]"):
        tiny(())


def test_the_errors_import_nothing_heavy() -> None:
    code = "import sys, hybrid.core.errors; print([m for m in ('torch', 'numpy', 'cv2') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert done.stdout == "[]\n", done.stderr
