"""Renderers: a spec and its trajectory to frames of linear light with the truth under them. One file a renderer."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from simgen.renderers.gl import renderer as pbr
from simgen.renderers.paths import renderer as pathtraced
from simgen.renderers.tiny import renderer as tiny
from simgen.spec.errors import RendererUnavailable
from simgen.spec.frames import Frame, Trajectory
from simgen.spec.scene import PATHTRACED, SceneSpec

Renderer = Callable[[SceneSpec, Trajectory], Iterator[Frame]]

AUTO = "auto"  # the best that works here; never in a config, so that a data set says what drew it
RENDERERS: dict[str, Renderer] = {PATHTRACED: pathtraced.render, "pbr": pbr.render, "tiny": tiny.render}
MACHINERY: dict[str, Callable[[], str]] = {  # what its pixels depend on
    PATHTRACED: pathtraced.describe,
    "pbr": pbr.describe,
    "tiny": tiny.describe,
}


def render(spec: SceneSpec, trajectory: Trajectory) -> Iterator[Frame]:
    """The frames of a clip, in order. Draws no random numbers and steps no physics.

    Raises:
        KeyError: the spec names a renderer that there is not.
    """
    if spec.render.renderer not in RENDERERS:
        raise KeyError(f"no renderer {spec.render.renderer!r}; there are {sorted(RENDERERS)}")
    yield from RENDERERS[spec.render.renderer](spec, trajectory)


def describe(renderer: str) -> str:
    """A renderer's name, vendor and version, for the manifest.

    Raises:
        KeyError: there is no such renderer.
        RendererUnavailable: it cannot run here.
    """
    if renderer not in RENDERERS:
        raise KeyError(f"no renderer {renderer!r}; there are {sorted(RENDERERS)}")
    return f"{renderer}: {MACHINERY[renderer]()}"


def choose() -> tuple[str, str]:
    """What `auto` stands for here: a renderer's name, and why."""
    try:
        return "pbr", f"it can draw here: {pbr.describe()}"
    except RendererUnavailable as error:
        return "tiny", f"pbr cannot run here: {error}"
