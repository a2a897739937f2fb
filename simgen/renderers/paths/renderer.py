"""The reference renderer: the same scene by path tracing with Mitsuba 3, an optional extra (`pathtraced`).

What `pbr` approximates is computed here: interreflection between parts and stage, shadows of area lights, and a lens
with an aperture, whose defocus is path traced (`simgen.camera.lens.defocus` is not used). Threads are cut into the
meshes. Colour is linear radiance as in pbr, from `render.samples` paths per pixel, with their noise. The noise depends
on the spec's own seed alone, so that a frame is always the same bytes.

Labels never depend on paths: ids, depth and normals come from another renderer (`simgen.renderers.render` chooses it).
On a photo that renderer also gives the share of the photo's light, so that the paths' noise is on the parts alone.
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
from simgen.spec.types import BACKGROUND

DEFAULT_SAMPLES = 32
BRIGHTEST = 16.0  # of a path, or of a pixel without LLVM; as in pbr, far above any sensor's range
MAX_PATHS = 2**22  # traced at a time; each has a state of some 100 bytes

GROUND = ("top", "sides", "floor")  # meshes of MitsubaScene that a photo takes the place of
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
        size, on_photo = (spec.camera.width_px, spec.camera.height_px), spec.stage.photo is not None
        linear = np.clip(_traced(mi, scene.scene, sensor, size, samples, seed, on_photo), 0, np.float32(BRIGHTEST))
        yield replace(drawn, linear=_over_photo(mi, linear, drawn) if on_photo else linear)


def _over_photo(mi: Any, linear: Light, drawn: Frame) -> Float32[np.ndarray, "h w 4"]:
    """The light of things and the share of the photo's light."""
    share = drawn.linear[..., 3]
    is_thing = drawn.ids != BACKGROUND if mi.variant().startswith("scalar") else share < 1  # there by whole pixels
    return np.dstack([linear * is_thing[..., None], share])


def _traced(mi: Any, scene: Any, sensor: Any, size: tuple[int, int], samples: int, seed: int, on_photo: bool) -> Light:
    """Radiance: the mean over each pixel's paths. On a photo, paths that begin at the ground count as black.

    Scalar variants draw the ground too.
    """
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
        total += _paths(mi, scene, sensor, sampler, size, at_once, on_photo)
        sampler.advance()
        sampler.schedule_state()
    return np.asarray((total / samples).T.reshape(height, width, 3), np.float32)


def _paths(
    mi: Any, scene: Any, sensor: Any, sampler: Any, size: tuple[int, int], count: int, on_photo: bool
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
    if on_photo:
        radiance = dr.select(_meets_a_thing(mi, scene, ray), radiance, 0)
    dr.eval(radiance)  # all channels at once: else each channel traces all paths again
    return np.stack(
        [np.array(dr.block_sum(channel, count), np.float32) for channel in (radiance.x, radiance.y, radiance.z)]
    )


def _meets_a_thing(mi: Any, scene: Any, ray: Any) -> Any:
    """Which rays meet a part or an occluder first."""
    met = scene.ray_intersect_preliminary(ray, coherent=True)
    is_thing = met.is_valid()
    for shape in scene.shapes():
        if shape.id() in GROUND:
            is_thing &= met.shape != mi.ShapePtr(shape)
    return is_thing
