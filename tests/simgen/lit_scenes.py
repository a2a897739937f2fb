"""Scenes for tests of renderers: changes of light and stage, and a group of parts and boxes."""

from __future__ import annotations

from dataclasses import replace

from simgen.renderers.gl import renderer as pbr
from simgen.spec.scene import BodySpec
from simgen.spec.types import Pose
from tests.simgen.scenes import GREY, part, scene, still

WHITE = replace(GREY, rgb=(1.0, 1.0, 1.0))
SIDEWAYS = (0.6, 0.0, 0.8)  # towards a light from +x, right of the picture's middle


def first(spec, renderer=pbr):
    """The first frame of a spec in which nothing moves."""
    return next(iter(renderer.render(spec, still(spec))))


def lit(spec, **change):
    return replace(spec, light=replace(spec.light, **change))


def on(spec, **change):
    return replace(spec, stage=replace(spec.stage, **change))


def box(x, y, z, size=0.04):
    pose = Pose(position_m=(x, y, z), rotation_xyzw=(0.1, 0.2, 0.3, 0.9))
    return BodySpec(shape="box", size_m=(size,) * 3, material=GREY, world_from_body=pose, velocity_m_s=(0.0, 0.0, 0.0))


def bolts_and_boxes():
    return scene(
        [
            part("hex_bolt", "M12x60", (0.0, 0.0, 0.02), (0.5, 0.5, 0.5, 0.5)),
            part("hex_nut", "M20", (0.06, 0.03, 0.011), (0.0, 0.0, 0.3, 0.9)),
            part("washer", "M24", (-0.06, -0.02, 0.004), (0.1, 0.0, 0.0, 1.0)),
        ],
        frames=1,
        size_m=(0.3, 0.25),
        clutter=[box(-0.05, 0.09, 0.03), box(0.2, 0.1, -0.3, 0.2)],
        occluders=[box(0.03, -0.05, 0.1)],
    )
