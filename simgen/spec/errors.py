"""Why a renderer cannot be had. On its own, so that what catches it need not load a renderer."""

from __future__ import annotations


class RendererUnavailable(RuntimeError):
    """This machine cannot run a renderer. Says why, and what would help."""


class RendererLost(RuntimeError):
    """A renderer broke in the middle of a scene; nothing of the scene is to be used."""
