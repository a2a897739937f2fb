"""Errors that a user can put right. On their own, so that what catches one loads nothing else."""

from __future__ import annotations


class RendererUnavailable(RuntimeError):
    """This machine cannot run a renderer. Says why, and what would help."""


class RendererLost(RuntimeError):
    """A renderer broke in the middle of a scene; nothing of the scene is to be used."""


class ShardError(Exception):
    """A data set that is damaged, unfinished or not of this format. Says which file, where in it, and what is wrong."""


class ConfigError(Exception):
    """A config that cannot be used. `problems` has one line each."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
