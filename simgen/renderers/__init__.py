"""Renderers: from a spec and its trajectory to frames of linear light with ground truth. One folder per renderer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from simgen.renderers.gl import renderer as pbr
from simgen.renderers.ground import with_ground
from simgen.renderers.paths import renderer as pathtraced
from simgen.renderers.paths import variant
from simgen.renderers.tiny import renderer as tiny
from simgen.spec.errors import RendererUnavailable
from simgen.spec.frames import Frame, Trajectory
from simgen.spec.scene import PATHTRACED, RenderSpec, SceneSpec

Renderer = Callable[[SceneSpec, Trajectory], Iterator[Frame]]


def _pathtraced(spec: SceneSpec, trajectory: Trajectory) -> Iterator[Frame]:
    """Path traced light with the ground truth of `pbr` where that can run, else of `tiny`."""
    on_photo = spec.stage.photo is not None  # then their light is needed too: it holds the photo's share
    fine = 2 if on_photo else 1
    if _pbr_runs():
        drawn = replace(spec, render=RenderSpec(renderer="pbr", supersample=fine))
        truth = pbr.render(drawn, trajectory, lit=on_photo)
    else:
        truth = tiny.render(replace(spec, render=RenderSpec(renderer="tiny", supersample=fine)), trajectory)
    return pathtraced.render(spec, trajectory, truth)


def _describe_pathtraced() -> str:
    """Mitsuba's version and variant, and the renderer of the ground truth.

    Raises:
        RendererUnavailable: Mitsuba does not run here.
    """
    truth = f"pbr: {pbr.describe()}" if _pbr_runs() else f"tiny: {tiny.describe()}"
    return f"{variant.describe()}, truth by {truth}"


def _pbr_runs() -> bool:
    try:
        pbr.describe()
    except RendererUnavailable:
        return False
    return True


AUTO = "auto"  # the best renderer that works here; never stored in a config, so that a data set names its renderer
RENDERERS: dict[str, Renderer] = {PATHTRACED: _pathtraced, "pbr": pbr.render, "tiny": tiny.render}
MACHINERY: dict[str, Callable[[], str]] = {  # what a renderer's pixels depend on, for the manifest
    PATHTRACED: _describe_pathtraced,
    "pbr": pbr.describe,
    "tiny": tiny.describe,
}


def render(spec: SceneSpec, trajectory: Trajectory) -> Iterator[Frame]:
    """The frames of a clip, in order. Draws no random numbers and steps no physics.

    Raises:
        KeyError: the spec names an unknown renderer.

    >>> spec = sample(load_config("tiny"), seed=7, index=41)
    >>> frame = next(render(spec, simulate(spec)))
    >>> frame.linear.shape, frame.depth_m.shape, frame.ids.shape
    ((72, 96, 3), (72, 96), (72, 96))
    """
    if spec.render.renderer not in RENDERERS:
        raise KeyError(f"no renderer {spec.render.renderer!r}; there are {sorted(RENDERERS)}")
    yield from RENDERERS[spec.render.renderer](with_ground(spec), trajectory)


def describe(renderer: str) -> str:
    """A renderer's name, vendor and version, for the manifest.

    Raises:
        KeyError: the renderer is unknown.
        RendererUnavailable: it cannot run here.
    """
    if renderer not in RENDERERS:
        raise KeyError(f"no renderer {renderer!r}; there are {sorted(RENDERERS)}")
    return f"{renderer}: {MACHINERY[renderer]()}"


def choose() -> tuple[str, str]:
    """The renderer that `auto` selects on this machine: its name, and the reason."""
    try:
        return "pbr", f"it can draw here: {pbr.describe()}"
    except RendererUnavailable as error:
        return "tiny", f"pbr cannot run here: {error}"
