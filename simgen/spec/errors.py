"""Errors that a user can put right, all below `SimgenError`. This module imports nothing, so it is cheap to import.

The text of an error says what is wrong, where, and what would help. The command prints it without a traceback and
exits with `status`.
"""

from __future__ import annotations

from typing import ClassVar


class SimgenError(Exception):
    """Something that a user can put right: the settings, the data, the disk or the machine.

    >>> try:
    ...     load_config("conveyer")
    ... except SimgenError as error:
    ...     print(error)
    no preset 'conveyer'; did you mean 'conveyor'? there are ...
    """

    status: ClassVar[int] = 2  # exit status of the command


class ConfigError(SimgenError):
    """A config that cannot be used. `problems` has one line each."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class RendererUnavailable(SimgenError, RuntimeError):
    """This machine cannot run a renderer. Says why, and what would help."""


class RendererLost(SimgenError, RuntimeError):
    """A renderer failed in the middle of a scene. Nothing of the scene may be used."""


class VideoUnavailable(SimgenError, RuntimeError):
    """This machine cannot compress a clip as a video. Says why, and what would help."""


class BadEnvironment(SimgenError):
    """A picture of surroundings (.hdr, .exr) that cannot light a scene."""


class UnsettledScene(SimgenError):
    """A scene whose parts fell wrongly each time they were drawn. Says what went wrong."""


class PartFileError(SimgenError, ValueError):
    """A CAD file, or an imported part, that cannot be used. Says which, what is wrong, and what would help."""


class BadPhoto(SimgenError):
    """A photograph that cannot be a background. Says which, and why."""


class MissingContent(SimgenError):
    """A file that a scene needs and that neither a preset nor a data set has brought. Says which."""


class GenerateError(SimgenError):
    """A data set that cannot be made here, or cannot be finished. Says why and what to do."""


class Interrupted(GenerateError):
    """Ctrl-C. Finished shards stay, and `--resume` continues from there."""

    status = 130  # 128 + SIGINT, as shells report it


class BudgetSpent(GenerateError):
    """The time or the disk of `--budget` is used up. Finished shards stay, and `--resume` continues from there."""

    status = 3


class EngineError(SimgenError):
    """The engine that makes shards cannot go on. Finished shards stay."""


class ShardError(SimgenError):
    """A data set that is damaged, unfinished or not of this format. Says which file, where in it, and what is wrong."""


class TextFileError(SimgenError, ValueError):
    """A JSON, YAML or other text file that cannot be read. Says what is wrong, and where."""


class CocoError(SimgenError, ValueError):
    """A file that is not a COCO JSON. `readable` is true where it could be read, but its content is something else."""

    def __init__(self, text: str, readable: bool = False) -> None:
        super().__init__(text)
        self.readable = readable


class ExportError(SimgenError):
    """A data set that cannot be exported as requested, or an export that cannot be read. Says why."""


class CameraError(SimgenError):
    """Photographs that say nothing about their camera. Says which, and what would help."""


class FinishError(SimgenError):
    """Photographs or simulated parts from which no finish can be fitted. Says which, and what would help."""
