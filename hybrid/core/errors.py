"""Errors that a user can put right, all below `HybridError`. A command prints their message and exits with status 2.

Mistakes of the calling code (a shape that does not fit, a state of another network) stay plain `ValueError`.
"""

from __future__ import annotations


class HybridError(Exception):
    """Something that a user can put right. The message says what was given, where, and what would work.

    >>> try:
    ...     Detector.load("out/nosuch")
    ... except HybridError as error:
    ...     print(error)
    out/nosuch: there is no such file; ...
    """


class ConfigError(HybridError, ValueError):
    """A configuration of a model, a view or a training that cannot be used."""


class DataError(HybridError, ValueError):
    """A data set, an image source or an output path that cannot be used."""


class InputError(HybridError, ValueError):
    """An image or a depth map that a detector cannot take."""


class RunError(HybridError, RuntimeError):
    """A run's folder or weights that cannot be started, resumed or read."""
