"""Sessions: photos that were taken without touching camera, light or background. Intervals resample them as wholes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Int64

from hybrid.core.errors import DataError
from simgen.spec.errors import TextFileError
from simgen.spec.text.json_text import read_text

MOST_BYTES = 2**24  # of the file of sessions
STEM_WITHOUT_LAST_NUMBER = r"^(.*?)\d*\.[^.]*$"  # 0-7_c1.jpg to 0-7_c4.jpg are the session 0-7_c


def sessions_by(names: Sequence[str], given: str | None) -> tuple[Int64[np.ndarray, " n"], Literal["plan", "pattern"]]:
    """The session of each photo as `--sessions` states them, numbered from 0, and how: by a file or by the names.

    Args:
        names: of the photos.
        given: a CSV file of lines PHOTO,SESSION, or a pattern as of `sessions_of`; None: its default.

    Raises:
        DataError: the file cannot be read or misses a photo, or the pattern does not fit.
    """
    if given is None or not Path(given).is_file():
        return sessions_of(names, *([] if given is None else [given])), "pattern"
    try:
        rows = [line.split(",") for line in read_text(Path(given), MOST_BYTES).splitlines() if line.strip()]
    except TextFileError as error:
        raise DataError(str(error)) from None
    stated = {row[0].strip(): row[1].strip() for row in rows if len(row) == 2}
    if missing := [name for name in names if name not in stated]:
        raise DataError(
            f"--sessions {given}: has no line PHOTO,SESSION for {len(missing)} photos, such as {missing[0]}"
        )
    numbers = {key: k for k, key in enumerate(dict.fromkeys(stated[name] for name in names))}
    return np.array([numbers[stated[name]] for name in names], np.int64), "plan"


def sessions_of(names: Sequence[str], pattern: str = STEM_WITHOUT_LAST_NUMBER) -> Int64[np.ndarray, " n"]:
    """The session of each photo, as numbers from 0 in the order of first appearance.

    Args:
        names: of the photos.
        pattern: a regular expression whose first group is the session's name.

    Raises:
        DataError: the pattern is no regular expression with a group, or does not fit a name.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise DataError(f"sessions: {pattern!r} is no regular expression: {error}") from None
    if not compiled.groups:
        raise DataError(f"sessions: {pattern!r} needs a group in brackets: the part of the name that tells sessions")
    fits = [compiled.search(name) for name in names]
    if missing := [name for name, fit in zip(names, fits, strict=True) if fit is None]:
        raise DataError(
            f"sessions: {pattern!r} does not fit {len(missing)} of {len(names)} names, such as {missing[0]}"
        )
    keys = [fit.group(1) for fit in fits if fit is not None]
    number = {key: k for k, key in enumerate(dict.fromkeys(keys))}
    return np.array([number[key] for key in keys], np.int64)


def levels_of(names: Sequence[str], pattern: str | None) -> list[str] | None:
    """The level of each photo, such as its distance: what the group called `level` of a pattern matches.

    None: there is no such group, or it matches in none of the names that the pattern fits.

    >>> levels_of(["0-7_a1.jpg", "0-7_a2.jpg", "1-1_b1.jpg"], r"((?P<level>.+)_.)\\d\\.jpg")
    ['0-7', '0-7', '1-1']
    """
    if pattern is None or Path(pattern).is_file() or "level" not in re.compile(pattern).groupindex:
        return None
    fits = [re.search(pattern, name) for name in names]
    levels = [None if fit is None else fit["level"] for fit in fits]
    return None if not any(levels) else [level or "no level" for level in levels]


def session_weights(sessions: Int64[np.ndarray, " n"], draws: int, seed: int = 0) -> Float[np.ndarray, "draws n"]:
    """How often each photo counts in each draw of as many sessions as there are, with replacement."""
    count = int(sessions.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(count, [1 / count] * count, size=draws)
    return drawn[:, sessions].astype(np.float64)
