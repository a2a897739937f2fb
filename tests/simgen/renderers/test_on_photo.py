"""Parts on a photo: every renderer gives their light, and the share of the photo's light that is seen beside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simgen.generation.exposure import capture
from simgen.renderers import render
from simgen.scene.simulate import simulate
from simgen.spec.scene import LampSpec, PhotoSpec, RenderSpec
from simgen.spec.types import Radians
from tests.simgen.scenes import needs, part, scene, still

PHOTO = PhotoSpec(
    name="a.png", photo_sha256="0" * 64, crop_px=(0, 0, 64, 48), mirrored=False, gain=1.0, hue_rad=Radians(0.0),
    white_rgb=(0.8, 0.8, 0.8), local=1.0,
)  # fmt: skip
RENDERERS = ["tiny", "pbr"]
SLANTED = (0.5, 0.0, 0.8660254)
BOLTS = [part("hex_bolt", "M20x80", (x, 0.0, 0.03), (0.0, 0.7071068, 0.0, 0.7071068)) for x in (-0.1, 0.1)]


def drawn(renderer, parts=BOLTS, supersample=2, photo=PHOTO, **light):
    needs(renderer)
    spec = scene(parts, frames=1, settle_s=0.3)
    spec = replace(
        spec,
        stage=replace(spec.stage, photo=photo),
        light=replace(spec.light, **{"direction": SLANTED, "shadow_strength": 0.8, **light}),
        render=RenderSpec(renderer=renderer, supersample=supersample),
    )
    return spec, next(iter(render(spec, simulate(spec))))


@pytest.mark.parametrize("supersample", [1, 2])
@pytest.mark.parametrize("renderer", RENDERERS)
def test_bare_ground_lets_all_of_the_photo_through_and_has_no_light(renderer, supersample):
    _, frame = drawn(renderer, [], supersample)
    assert frame.linear.shape[2] == 4
    assert (frame.linear[..., 3] == 1).all()
    assert (frame.linear[..., :3] == 0).all()


@pytest.mark.parametrize("supersample", [1, 2])
@pytest.mark.parametrize("renderer", RENDERERS)
def test_parts_hide_the_photo_have_light_and_cast_shadows(renderer, supersample):
    _, frame = drawn(renderer, supersample=supersample)
    share, inside, on_part = frame.linear[..., 3], _inner(frame.ids >= 0), frame.ids >= 0
    assert inside.sum() > 100
    assert (share[inside] == 0).all()
    assert (frame.linear[..., :3][inside].max(axis=1) > 0).all()
    assert (share[~on_part] < 0.6).sum() > 50  # shadows
    assert (share == 1).mean() > 0.5
    assert (frame.linear[..., :3][share == 1] == 0).all()


@pytest.mark.parametrize("renderer", RENDERERS)
def test_the_truth_is_that_of_the_scene_without_a_photo(renderer):
    _, on = drawn(renderer)
    _, off = drawn(renderer, photo=None)
    assert np.array_equal(on.ids, off.ids)
    seen = off.ids >= 0
    assert np.array_equal(on.depth_m[seen], off.depth_m[seen])


@pytest.mark.parametrize("renderer", RENDERERS)
def test_the_part_is_as_bright_as_on_a_stage_of_the_same_colour(renderer):
    """The photo changes what surrounds the parts; their own light is that of the plain scene."""
    _, on = drawn(renderer)
    _, off = drawn(renderer, photo=None)
    inside = _inner(on.ids >= 0)
    assert on.linear[..., :3][inside] == pytest.approx(off.linear[inside], rel=0.05, abs=0.02)


@pytest.mark.parametrize("renderer", RENDERERS)
def test_a_shadow_is_the_ratio_of_the_plain_scene_with_and_without_parts(renderer):
    """On a matt stage the share is the light with parts over the light without them."""
    _, on = drawn(renderer)
    _spec, with_parts = drawn(renderer, photo=None)
    _, without = drawn(renderer, [], photo=None)
    ground = _inner(on.ids < 0) & (without.linear.min(axis=2) > 0.01)
    ratio = with_parts.linear.mean(axis=2)[ground] / without.linear.mean(axis=2)[ground]
    share = on.linear[..., 3][ground]
    assert np.abs(share - ratio).mean() < 0.02
    assert (ratio < 0.7).sum() > 30
    assert np.abs(share - ratio)[ratio < 0.7].mean() < 0.06


def test_lamps_cast_shadows_on_the_photo_too():
    lamp = LampSpec(
        kind="softbox", position_m=(0.3, 0.0, 0.6), toward=(-0.4472136, 0.0, -0.8944272), up=(0.0, 1.0, 0.0),
        size_m=(0.1, 0.1), half_angle_rad=Radians(0.5), rgb=(1.0, 1.0, 1.0),
    )  # fmt: skip
    dark = {"key_rgb": (0.0, 0.0, 0.0), "ambient_rgb": (0.1, 0.1, 0.1), "occlusion_strength": 0.0}
    _, frame = drawn("pbr", lamps=(lamp,), **dark)
    share = frame.linear[..., 3]
    assert (share[frame.ids < 0] < 0.6).sum() > 50
    assert (share > 0.99).mean() > 0.5
    _, frame = drawn("pbr", [], lamps=(lamp,), **dark)
    assert (frame.linear[..., 3] > 0.999).all()


@pytest.mark.slow
def test_a_path_tracer_gives_the_parts_light_and_leaves_the_photo_without_noise():
    spec, frame = drawn("pathtraced")
    _, pbr = drawn("pbr")
    inside = _inner(frame.ids >= 0)
    assert np.array_equal(frame.linear[..., 3], pbr.linear[..., 3])
    assert (frame.linear[..., :3][frame.linear[..., 3] == 1] == 0).all()
    assert (frame.linear[..., :3][_inner(frame.ids < 0)] == 0).all()  # no light of the ground, which is the photo's
    assert frame.linear[inside].mean() == pytest.approx(pbr.linear[inside].mean(), rel=0.35)
    blurred = replace(spec, camera=replace(spec.camera, f_number=1.0, focal_length_m=0.02, focus_m=0.15))
    (shown,) = capture(blurred, still(blurred), render)
    assert ((shown.linear[..., 3] > 0) & (shown.ids >= 0)).sum() > 30  # a part's soft edge


def _inner(mask):
    """The pixels whose neighbours are in the mask too."""
    import cv2

    return cv2.erode(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
