"""Renderers: a spec and its trajectory to frames of linear light with the truth under them. One file a renderer."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from simgen.render import pbr, tiny
from simgen.types import Frame, SceneSpec, Trajectory

Renderer = Callable[[SceneSpec, Trajectory], Iterator[Frame]]

RENDERERS: dict[str, Renderer] = {"pbr": pbr.render, "tiny": tiny.render}


def render(spec: SceneSpec, trajectory: Trajectory) -> Iterator[Frame]:
    """The frames of a clip, in order. Draws no random numbers and steps no physics.

    Raises:
        KeyError: the spec names a renderer that there is not.
    """
    if spec.render.renderer not in RENDERERS:
        raise KeyError(f"no renderer {spec.render.renderer!r}; there are {sorted(RENDERERS)}")
    yield from RENDERERS[spec.render.renderer](spec, trajectory)
