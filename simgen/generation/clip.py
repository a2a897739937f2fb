"""One scene, from its number to its labelled images: the whole flow in one place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simgen.assets.photos import local_brightness, shown_light
from simgen.camera.over_photo import Backdrop, develop_over
from simgen.camera.sensor import compressed, expose_clip
from simgen.generation.exposure import capture
from simgen.labels.boxes import annotate
from simgen.labels.flow import flow_px
from simgen.renderers import describe, render
from simgen.scene.config import SceneConfig
from simgen.scene.sampling.parts import category_of
from simgen.scene.sampling.sample import sample
from simgen.scene.simulate import simulate_checked
from simgen.spec.errors import UnsettledScene
from simgen.spec.frames import Frame, RenderedClip, Trajectory
from simgen.spec.scene import PATHTRACED, SceneSpec
from simgen.spec.types import BACKGROUND

ATTEMPTS = 4  # the first, and three more


def make_clip(config: SceneConfig, seed: int, index: int) -> RenderedClip:
    """The clip of scene `index` of the data set of `config` and `seed`, with images and labels.

    The bytes are the same on every machine of the same kind, and do not depend on other scenes.

    Raises:
        RendererUnavailable: the config's renderer cannot run on this machine.
        BadEnvironment: a file of surroundings that the scene needs cannot be used.
        MissingContent: the file of an imported part is not known here.
        UnsettledScene: its parts fell wrongly each time they were drawn.

    >>> clip = make_clip(load_config("tiny"), seed=7, index=41)
    >>> len(clip.jpegs), clip.ids.shape
    (2, (2, 72, 96))
    >>> clip.labels.frames[0].parts[0].box_xyxy_px
    (71.0, 19.0, 80.0, 27.0)
    """
    spec, trajectory = settled_scene(config, seed, index)
    frames = list(capture(spec, trajectory, render))
    ids = np.stack([frame.ids for frame in frames])
    depth_m = np.stack([frame.depth_m for frame in frames])
    flow = [flow_px(spec, trajectory, t, ids[t], depth_m[t]) for t in range(spec.frames)] if config.labels.flow else []
    return RenderedClip(
        spec=spec,
        jpegs=_exposed(spec, frames),
        ids=ids,
        depth_m=depth_m,
        labels=annotate(spec, trajectory, ids),
        flow_px=np.stack(flow) if flow else None,
    )


def _exposed(spec: SceneSpec, frames: Sequence[Frame]) -> tuple[bytes, ...]:
    """The clip's JPEG files; of a scene on a photo, over the photo."""
    photo = spec.stage.photo
    if photo is None:
        return expose_clip([frame.linear for frame in frames], spec.sensor)
    light = shown_light(photo, (spec.camera.width_px, spec.camera.height_px), spec.sensor.gamma)
    backdrop = Backdrop(light, local_brightness(light, photo.local))
    images = [
        develop_over(backdrop, frame.linear, frame.ids != BACKGROUND, spec.sensor, t) for t, frame in enumerate(frames)
    ]
    return compressed(images, spec.sensor)


def settled_scene(config: SceneConfig, seed: int, index: int) -> tuple[SceneSpec, Trajectory]:
    """Scene `index` and its motion. Parts that fall wrongly (`simgen.scene.faults`) are drawn again, a few times.

    Raises:
        UnsettledScene: they fell wrongly each time.
    """
    for attempt in range(ATTEMPTS):
        spec = sample(config, seed, index, attempt)
        trajectory, fault = simulate_checked(spec)
        if not fault:
            return spec, trajectory
    raise UnsettledScene(f"its parts were drawn {ATTEMPTS} times and fell wrongly each time, at last so: {fault}")


def categories(config: SceneConfig) -> tuple[str, ...]:
    """The sorted categories of all kinds of parts that scenes of `config` may contain."""
    return tuple(sorted({category_of(kind, knobs) for kind, knobs in config.parts.kinds.items() if knobs.weight > 0}))


def machinery(config: SceneConfig) -> str:
    """The renderer of `config` on this machine, with vendor and version, for `Request.renderer`.

    Raises:
        RendererUnavailable: it cannot run here.
    """
    chosen = describe(config.render.renderer)
    shared = config.render.pathtraced_share > 0 and config.render.renderer != PATHTRACED
    return f"{chosen}; a share by {describe(PATHTRACED)}" if shared else chosen
