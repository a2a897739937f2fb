"""What a command tells its user is one line, without passwords and control codes, and a bug stays a bug."""

from __future__ import annotations

import pytest

from hybrid.core.console import note, one_line_errors
from hybrid.core.errors import DataError
from simgen.spec.errors import TextFileError


@pytest.mark.parametrize("error", [DataError("one\n  two"), TextFileError("one\n  two"), OSError("one\n\ttwo")])
def test_a_mistake_is_one_line_and_exit_status_2(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end, one_line_errors():
        raise error
    assert end.value.code == 2
    assert capsys.readouterr().err == "error: one two\n"


def test_a_bug_keeps_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError), one_line_errors():
        raise KeyError("bug")
    assert capsys.readouterr().err == ""


def test_notes_hold_no_password_and_no_control_code(capsys: pytest.CaptureFixture[str]) -> None:
    note("rtsp://user:secret@camera/1: \x1b[31mred")
    said = capsys.readouterr().err
    assert said.startswith("note: rtsp://")
    assert "secret" not in said
    assert "\x1b" not in said
