"""Text from outside, made fit for a terminal, a log and a file: no control codes, no passwords."""

from __future__ import annotations

import re
import unicodedata

HIDDEN = "***"
_ADDRESS = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)(?P<rest>[^\s'\"<>]*)")
_PORT_OR_WORDS = r"(?!\d+(?:[/?#\s]|$)|\s)"  # behind a colon: a host's port, or the next words of a message
_USER = re.compile(rf"(://)(?:[^/\s?#@]*|[^/\s:@?#]*:{_PORT_OR_WORDS}[^\n]*)@")  # a password may hold any character
_SECRET = re.compile(r"(?i)([\w.-]*(?:pass|pwd|token|secret|key|sig|auth|cred)[\w.-]*=)[^&\s;'\"]*")
_SHOWN_SPACE = {"\n": " ", "\r": " ", "\t": " "}


def printable(text: str) -> str:
    r"""The text with control characters as escapes, on one line: a file's name cannot move the cursor or the colours.

    Escaped are Unicode's control, format, surrogate, private and unassigned characters, and separators of lines.

    >>> printable("a\x1b[31m.png")
    'a\\x1b[31m.png'
    """
    return text if text.isprintable() else "".join(_shown(one) for one in text)


def _shown(character: str) -> str:
    if character in _SHOWN_SPACE:
        return _SHOWN_SPACE[character]
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
        return character.encode("unicode_escape", "backslashreplace").decode()
    return character


def redacted(text: str) -> str:
    """The text with the secrets of the addresses in it hidden: users, passwords, keys, and all values of a query.

    >>> redacted("rtsp://admin:secret@10.0.0.7/live?token=abc: cannot be opened")
    'rtsp://***@10.0.0.7/live?token=***: cannot be opened'
    """
    return _ADDRESS.sub(_without_secrets, _USER.sub(rf"\1{HIDDEN}@", text))


def _without_secrets(address: re.Match[str]) -> str:
    rest, colon = address["rest"], ""
    if rest.endswith(":"):  # of the message around it
        rest, colon = rest[:-1], ":"
    path, mark, query = _SECRET.sub(rf"\1{HIDDEN}", rest).partition("?")
    values = [part.partition("=") for part in re.split("[&;]", query)] if query else []
    shown = "&".join(f"{name}={HIDDEN}" if equals else HIDDEN for name, equals, _ in values)
    return f"{address['scheme']}{path}{mark}{shown}{colon}"
