"""JSON and YAML from outside: whatever comes, the answer is a value or one line that names the file."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simgen.spec.errors import ConfigError, TextFileError
from simgen.spec.text.bounded import NotRead, bounded_bytes
from simgen.spec.text.json_text import parse_json, read_json, read_text
from simgen.spec.text.yaml_text import read_tree


@pytest.mark.parametrize("text", ['{"a": [1, 2.5, null, "é"]}', "[]", '"x"'])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_json_is_read_with_or_without_a_byte_order_mark(tmp_path: Path, text: str, mark: bytes) -> None:
    (tmp_path / "a.json").write_bytes(mark + text.encode())
    assert read_json(tmp_path / "a.json") == json.loads(text)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b'{"a": }', "line 1, column 7"),
        (b"[" * 100_000, "nested too deep"),
        (b"1" * 5000, "digits"),
        (b'"\xe4"', "not UTF-8 text: byte 1 is 0xe4"),
        ("{}".encode("utf-16"), "save it as UTF-8"),
        (b" " * 2000 + b"{}", "more than the 1000 bytes"),
        (b"", "line 1, column 1"),
    ],
)
def test_what_is_no_json_is_refused_in_one_line_that_names_the_file(tmp_path: Path, raw: bytes, why: str) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(raw)
    with pytest.raises(TextFileError) as refused:
        read_json(file, 1000 if raw[:1] == b" " else 2**20)
    assert str(file) in str(refused.value)
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_folder_a_pipe_and_a_missing_file_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, why in (("", "no regular file"), ("pipe", "no regular file"), ("x.json", "no such file"), ("\0", "null")):
        with pytest.raises(TextFileError, match=why):
            read_text(tmp_path / name)


def test_a_file_of_just_the_limit_is_read_and_one_byte_more_is_refused_with_its_size(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"0123456789")
    assert bounded_bytes(file, 10) == b"0123456789"
    with pytest.raises(NotRead) as refused:
        bounded_bytes(file, 9)
    assert (refused.value.fault, refused.value.size_bytes) == ("too large", 10)
    with pytest.raises(NotRead) as refused:
        bounded_bytes(file / "below", 9)
    assert refused.value.fault == "missing"


def test_a_file_that_grows_while_it_is_read_is_read_to_its_end_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, stat = tmp_path / "a", Path.stat
    file.write_bytes(b"0123456789")

    def earlier(path: Path, **how: bool) -> os.stat_result:
        now = stat(path, **how)
        return os.stat_result((*now[:6], 4, *now[7:]))  # 4 bytes long

    monkeypatch.setattr(Path, "stat", earlier)
    assert bounded_bytes(file, 10) == b"0123456789"
    with pytest.raises(NotRead) as refused:
        bounded_bytes(file, 9)
    assert refused.value.fault == "too large"


def test_half_a_surrogate_pair_can_be_printed_and_a_whole_one_stays() -> None:
    (name, emoji), key = parse_json(r'[["a\ud800", "\ud83d\ude00"], {"\udc00": 1}]')
    assert name == "a\ufffd"
    assert emoji == "😀"
    assert list(key) == ["\ufffd"]
    name.encode()


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_text_file_error(raw: bytes) -> None:
    with contextlib.suppress(TextFileError):
        json.dumps(parse_json(raw), ensure_ascii=False).encode()


def test_yaml_words_stay_words_and_a_bomb_of_aliases_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "data.yaml"
    file.write_bytes(b"\xef\xbb\xbfnames: [OK, NO, on, y]\nnc: 4\n")
    assert read_tree(file).values == {"names": ["OK", "NO", "on", "y"], "nc": 4}
    file.write_text("a: &a [x, x]\nb: &b [*a, *a]\n")
    with pytest.raises(ConfigError, match=r"data.yaml:2: aliases"):
        read_tree(file)
    file.write_text("a: " + "9" * 5000)
    with pytest.raises(ConfigError, match=r"data.yaml:1: a: a number of 5000 characters"):
        read_tree(file)
