"""The reference renderer: the same scene by path tracing with Mitsuba 3, an optional extra (`pathtraced`).

What `pbr` approximates is computed here: interreflection between parts and stage, shadows of area lights, and a lens
with an aperture, whose defocus is path traced (`simgen.camera.lens.defocus` is not used). Threads are cut into the
meshes. Colour is linear radiance as in pbr, from `render.samples` paths per pixel, with their noise. The noise depends
on the spec's own seed alone, so that a frame is always the same bytes.

Labels never depend on paths: ids, depth and normals come from another renderer (`simgen.renderers.render` chooses it).
The files of `simgen.renderers.paths` say how the spec is translated, and what is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float32

from simgen.assets.light import checked_lamps
from simgen.renderers.paths import variant
from simgen.renderers.paths.scene import SAMPLER, MitsubaScene
from simgen.spec.frames import Frame, Trajectory
from simgen.spec.scene import SceneSpec

DEFAULT_SAMPLES = 32
BRIGHTEST = 16.0  # of a path, or of a pixel without LLVM; as in pbr, far above any sensor's range
MAX_PATHS = 2**22  # traced at a time; each has a state of some 100 bytes

Light = Float32[np.ndarray, "h w 3"]


def render(spec: SceneSpec, trajectory: Trajectory, truth: Iterable[Frame]) -> Iterator[Frame]:
    """Frames of linear light at the camera's resolution.

    Args:
        spec: the scene.
        trajectory: the result of `simulate(spec)`.
        truth: the same frames by another renderer, whose light is replaced.

    Raises:
        RendererUnavailable: Mitsuba is not installed, or does not run here.
        ValueError: a number of a material, a lamp or the lens is out of its range.
    """
    checked_lamps(spec)
    mi = variant.mitsuba()
    scene = MitsubaScene(mi, spec)
    samples = spec.render.samples or DEFAULT_SAMPLES
    if samples < 1 or samples & (samples - 1):
        raise ValueError(
            f"render.samples: {samples}; paths per pixel must be a power of two, which the sequence of samples needs"
        )
    for frame, drawn in enumerate(truth):
        scene.place(trajectory, frame)
        sensor = scene.camera(spec.camera.world_from_camera[frame], samples)
        seed = ((spec.render.seed or 0) * 0x9E3779B1 + frame * 0x85EBCA6B) % 2**32
        linear = _traced(mi, scene.scene, sensor, (spec.camera.width_px, spec.camera.height_px), samples, seed)
        yield replace(drawn, linear=np.clip(linear, 0, np.float32(BRIGHTEST)))


def _traced(mi: Any, scene: Any, sensor: Any, size: tuple[int, int], samples: int, seed: int) -> Light:
    """Radiance: the mean over each pixel's paths."""
    width, height = size
    if mi.variant().startswith("scalar"):
        return np.asarray(mi.render(scene, sensor=sensor, spp=samples, seed=seed), np.float32)
    at_once = samples
    while at_once > 1 and width * height * at_once > MAX_PATHS:
        at_once //= 2
    sampler = mi.load_dict({"type": SAMPLER, "sample_count": samples})
    sampler.set_samples_per_wavefront(at_once)
    sampler.seed(seed, width * height * at_once)
    total = np.zeros((3, height * width), np.float64)
    for _ in range(samples // at_once):
        total += _paths(mi, scene, sensor, sampler, size, at_once)
        sampler.advance()
        sampler.schedule_state()
    return np.asarray((total / samples).T.reshape(height, width, 3), np.float32)


def _paths(
    mi: Any, scene: Any, sensor: Any, sampler: Any, size: tuple[int, int], count: int
) -> Float32[np.ndarray, "3 n"]:
    """The sum over `count` paths of each pixel.

    `mi.render` adds paths to pixels in the order of its threads, so that the last bits change from run to run. Here a
    pixel's paths are adjacent and are summed in their order.
    """
    import drjit as dr

    width, height = size
    pixel = dr.arange(mi.UInt32, width * height * count) // count
    within, aperture = sampler.next_2d(), sampler.next_2d()
    column, row = mi.Float(pixel % width) + within.x, mi.Float(pixel // width) + within.y
    ray, _ = sensor.sample_ray(0.0, 0.5, mi.Point2f(column / width, row / height), aperture)
    radiance, _, _ = scene.integrator().sample(scene, sampler, mi.RayDifferential3f(ray))
    radiance = dr.minimum(radiance, BRIGHTEST)
    dr.eval(radiance)  # all channels at once: else each channel traces all paths again
    return np.stack(
        [np.array(dr.block_sum(channel, count), np.float32) for channel in (radiance.x, radiance.y, radiance.z)]
    )
