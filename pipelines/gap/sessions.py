"""Sessions: photos that were taken without touching camera, light or background. Intervals resample them as wholes."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int64

from hybrid.core.errors import DataError

STEM_WITHOUT_LAST_NUMBER = r"^(.*?)\d*\.[^.]*$"  # 0-7_c1.jpg to 0-7_c4.jpg are the session 0-7_c


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


def session_weights(sessions: Int64[np.ndarray, " n"], draws: int, seed: int = 0) -> Float[np.ndarray, "draws n"]:
    """How often each photo counts in each draw of as many sessions as there are, with replacement."""
    count = int(sessions.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(count, [1 / count] * count, size=draws)
    return drawn[:, sessions].astype(np.float64)
