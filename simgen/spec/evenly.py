"""A few of many, spread evenly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")


def evenly(items: Sequence[Item], most: int) -> list[Item]:
    """At most so many of the items, in their order: the first, the last, and those evenly between.

    Example:
        >>> evenly("abcdefghij", 4)
        ['a', 'd', 'g', 'j']
    """
    picks = np.linspace(0, len(items) - 1, min(len(items), most)).round().astype(int)
    return [items[k] for k in np.unique(picks).tolist()]
