"""Small specs for tests."""

from __future__ import annotations

import numpy as np
import pytest

from simgen.assets.parts import part_model
from simgen.renderers import describe
from simgen.spec.errors import RendererUnavailable
from simgen.spec.frames import Trajectory
from simgen.spec.geometry import look_at
from simgen.spec.scene import (
    CameraSpec,
    FamilySize,
    LightSpec,
    MaterialSpec,
    PartSpec,
    RenderSpec,
    SceneSpec,
    SensorSpec,
    StageSpec,
)
from simgen.spec.types import Pose

STEEL_KG_M3 = 7850.0


def needs(renderer):
    """Skip a test where a renderer cannot run, and say why."""
    try:
        describe(renderer)
    except RendererUnavailable as error:
        pytest.skip(str(error))


GREY = MaterialSpec(
    rgb=(0.5, 0.5, 0.5), metallic=0.0, roughness=0.5, texture="plain", texture_scale_m=0.01, contrast=0.0,
    texture_seed=0,
)  # fmt: skip


def part(kind, designation, position_m=(0.0, 0.0, 0.05), rotation_xyzw=(0.0, 0.0, 0.0, 1.0), friction=0.5):
    return PartSpec(
        source=FamilySize(kind, designation), category=kind, friction=friction, material=GREY,
        mass_kg=part_model(FamilySize(kind, designation)).volume_m3 * STEEL_KG_M3,
        world_from_part=Pose(position_m=position_m, rotation_xyzw=rotation_xyzw),
    )  # fmt: skip


def standing_m(model):
    """Height of a part's origin above a table on which it stands upright."""
    return float(-model.vertices_m[:, 2].min())


def scene(
    parts,
    *,
    belt_speed_m_s=0.0,
    settle_s=2.0,
    frames=4,
    frame_interval_s=1 / 30,
    size_m=(1.0, 0.8),
    clutter=(),
    occluders=(),
):
    """A scene that a camera of 160 by 120 pixels sees from (0, -0.2, 0.3)."""
    return SceneSpec(
        index=0, parts=tuple(parts), clutter=tuple(clutter), occluders=tuple(occluders),
        stage=StageSpec(
            size_m=size_m, thickness_m=0.03, floor_below_m=0.7, belt_speed_m_s=belt_speed_m_s, top=GREY, sides=GREY,
            floor=GREY, sheets=(),
        ),
        light=LightSpec(
            direction=(0.0, 0.0, 1.0), key_rgb=(1.0, 1.0, 1.0), ambient_rgb=(0.5, 0.5, 0.5), shadow_strength=0.5,
            source_angle_rad=0.1, occlusion_strength=0.5, horizon_rgb=(0.5, 0.5, 0.5), zenith_rgb=(0.5, 0.5, 0.5),
            glows=(),
        ),
        camera=CameraSpec(
            width_px=160, height_px=120, focal_px=200.0, centre_px=(80.0, 60.0),
            world_from_camera=(look_at((0.0, -0.2, 0.3), (0.0, 0.0, 0.0)),) * frames,
        ),
        sensor=SensorSpec(
            exposure=1.0, white_balance=(1.0, 1.0, 1.0), vignetting=0.0, blur_sigma_px=0.0, motion_blur_px=0.0,
            motion_angle_rad=0.0, full_well_e=1e4, read_noise_e=1.0, denoise=0.0, sharpen=0.0, saturation=1.0,
            gamma=2.2, jpeg_quality=90, seed=0,
        ),
        render=RenderSpec(renderer="tiny", supersample=1), settle_s=settle_s, frame_interval_s=frame_interval_s,
    )  # fmt: skip


def still(spec):
    """Everything where the spec puts it, on a belt that runs where it has a speed."""

    def times(values, width):
        return np.array([values] * spec.frames, np.float32).reshape(spec.frames, -1, width)

    return Trajectory(
        times([p.world_from_part.position_m for p in spec.solids], 3),
        times([p.world_from_part.rotation_xyzw for p in spec.solids], 4),
        times([o.world_from_body.position_m for o in spec.occluders], 3),
        surface_shifts_m=spec.stage.belt_speed_m_s * spec.frame_interval_s * np.arange(spec.frames),
    )
