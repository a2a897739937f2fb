"""What falls on the sensor in each frame: moments drawn by a renderer, through the lens, over the time of exposure.

In the order in which it happens: the world moves while the shutter is open (`simgen.camera.shutter`), the lens distorts
and defocuses (`simgen.camera.lens.distortion`, `simgen.camera.lens.defocus`; the renderer `pathtraced` draws defocus
itself). What comes of it is linear light at the camera's own pixels with the truth under them;
`simgen.camera.sensor.EFFECTS` go on from there. Where a frame is one moment and the lens is ideal it is the renderer's
frame itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from simgen.assets.light import flicker_gain
from simgen.camera import shutter
from simgen.camera.lens.defocus import defocus
from simgen.camera.lens.distortion import pinhole
from simgen.spec.frames import Frame, Trajectory
from simgen.spec.scene import PATHTRACED, SceneSpec


def capture(
    spec: SceneSpec, trajectory: Trajectory, render: Callable[[SceneSpec, Trajectory], Iterable[Frame]]
) -> Iterator[Frame]:
    """The frames of a clip, in order.

    Args:
        spec: the scene.
        trajectory: where everything is at the moments of `shutter.moments_s(spec)`.
        render: draws those moments through a pinhole, as `simgen.renderers.render`.

    Raises:
        ValueError: the lens cannot have this picture, the shutter has an even number of sub-frames.
    """
    camera, behind_the_lens = pinhole(spec.camera)
    drawn = replace(spec, camera=replace(camera, world_from_camera=shutter.camera_poses(spec)))
    moments = (behind_the_lens(moment) for moment in _flickering(spec, render(drawn, trajectory)))
    each = shutter.subframes(spec)
    shares, seen = shutter.row_shares(spec), shutter.row_subframes(spec)
    for _ in range(spec.frames):
        frame = next(moments) if each == 1 else _exposed(islice(moments, each), shares, seen)
        yield _in_focus(frame, spec)


def _in_focus(frame: Frame, spec: SceneSpec) -> Frame:
    """The frame with its light blurred by depth; a path tracer has done that, but not to the photo's share."""
    if spec.render.renderer != PATHTRACED:
        return defocus(frame, spec.camera)
    if spec.stage.photo is None:
        return frame
    share = defocus(replace(frame, linear=frame.linear[..., 3:]), spec.camera).linear
    return replace(frame, linear=np.dstack([frame.linear[..., :3], share]))


def _flickering(spec: SceneSpec, moments: Iterable[Frame]) -> Iterator[Frame]:
    """Each moment as bright as lamps on the mains are then; behind a rolling shutter with sub-frames that is bands."""
    flicker = spec.light.flicker
    if flicker is None:
        yield from moments
        return
    count = shutter.subframes(spec)
    times_s = shutter.moments_s(spec)
    exposure_s = shutter.duration_s(spec) / count if count > 1 else spec.shutter.exposure_s
    if times_s is None:  # each frame is one moment
        times_s, exposure_s = np.asarray(spec.times_s), flicker.exposure_s
    for time_s, moment in zip(times_s, moments, strict=True):
        gain = flicker_gain(flicker, float(time_s), exposure_s)
        yield replace(moment, linear=moment.linear * np.float32(gain))


def _exposed(moments: Iterable[Frame], shares: Float32[np.ndarray, "k h"], seen: Int64[np.ndarray, " h"]) -> Frame:
    """The mean over each row's exposure, with the ground truth from the middle of it."""
    frame: Frame | None = None
    for k, moment in enumerate(moments):
        if frame is None:
            truth: dict[str, Any] = {name: np.empty_like(values) for name, values in moment.truth().items()}
            frame = replace(moment, linear=np.zeros_like(moment.linear), **truth)
        rows = np.flatnonzero(shares[k])
        frame.linear[rows] += shares[k][rows, None, None] * moment.linear[rows]
        for name, values in moment.truth().items():
            getattr(frame, name)[seen == k] = values[seen == k]
    assert frame is not None
    return frame
