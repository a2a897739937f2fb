"""What comes from outside neither moves a terminal nor tells a password."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simgen.spec.text.printable import printable, redacted


@given(st.text())
def test_printable_text_is_one_line_without_control_codes(text: str) -> None:
    shown = printable(text)
    assert len(shown.splitlines()) <= 1
    assert all(one.isprintable() or one.isspace() for one in shown)
    assert shown.encode().decode() == shown, "can be written"
    assert printable(shown) == shown


def test_printable_text_keeps_what_a_name_may_hold() -> None:
    assert printable("Schräube 螺丝 é.png") == "Schräube 螺丝 é.png"
    assert printable("a\nb\tc") == "a b c"
    assert printable("\x1b]0;title\x07\u202egpj\ud800") == r"\x1b]0;title\x07\u202egpj\ud800"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://10.0.0.7:554/live", "rtsp://10.0.0.7:554/live"),
        ("http://127.0.0.1:8975/a@b.mp4", "http://127.0.0.1:8975/a@b.mp4"),
        ("http://user:secret@127.0.0.1:8975/belt.mp4", "http://***@127.0.0.1:8975/belt.mp4"),
        ("https://secret@host/x", "https://***@host/x"),
        ("rtsp://admin:se/c#r?e@t@host/x", "rtsp://***@host/x"),
        ("s3://AKIA7:secret+/a=@bucket/data", "s3://***@bucket/data"),
        ("http://h/v?token=secret&ch=1", "http://h/v?token=***&ch=***"),
        ("http://h/v?secret", "http://h/v?***"),
        ("rtsp://h:554/user=admin&password=secret&channel=1", "rtsp://h:554/user=admin&password=***&channel=1"),
        ("simplecache::s3://k:secret@b/x", "simplecache::s3://***@b/x"),
        ("http://h/v?X-Amz-Signature=secret: cannot be opened", "http://h/v?X-Amz-Signature=***: cannot be opened"),
        ("cannot open 'ftp://u:secret@h/x' now", "cannot open 'ftp://***@h/x' now"),
        ("http://user:my secret@h/x", "http://***@h/x"),
        ("C:\\a.png and key=value and me@home", "C:\\a.png and key=value and me@home"),
    ],
)
def test_an_address_is_shown_without_its_secrets(address: str, shown: str) -> None:
    assert redacted(address) == shown
    assert redacted(shown) == shown
    assert "secret" not in shown
