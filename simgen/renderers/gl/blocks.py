"""The values of a frame's uniform blocks, in the layout of `layout`."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from simgen.assets import light as lighting
from simgen.assets.materials import tile_origin
from simgen.renderers.camera_view import CameraView
from simgen.renderers.gl import environment, layout
from simgen.renderers.gl.shadows import SIDE_TEXELS, Cascade
from simgen.renderers.textures import TILE_PX, placed_tile
from simgen.spec.scene import MaterialSpec, SceneSpec
from simgen.spec.types import Vec3

NEAR_M, FAR_M = 0.05, 12.0  # as tiny's
OCCLUSION_REACH_M = 0.03  # reach of ambient occlusion on the stage


def scene_block(spec: SceneSpec) -> np.ndarray:
    """The frame block with the values that are the same in all frames."""
    block, light, stage = np.zeros(1, layout.FRAME), spec.light, spec.stage
    cone = float(np.tan(light.source_angle_rad / 2))
    card = lighting.card(light)
    base, second, contrast = _stage_colours(stage.top)
    block["sun"] = (*light.direction, cone)
    block["key"] = (*light.key_rgb, light.shadow_strength)
    block["ambient"] = (*light.ambient_rgb, light.occlusion_strength)
    block["stage_rgb"] = (*base, contrast)
    block["stage_second"] = (*second, 0.0)
    block["stage_tile"] = (*_stage_tile(stage.top), len(stage.sheets))
    block["floor_rgb"] = (*stage.floor.rgb, environment.FLOOR_HALF_M)
    block["bounce"] = (*(np.asarray(stage.floor.rgb) * card), light.source_angle_rad)
    return block


def _stage_colours(top: MaterialSpec) -> tuple[Vec3, Vec3, float]:
    """Albedo of the stage, albedo of its second substance, and contrast of its pattern, for reflections of the stage.

    In reflections a metal stage counts as diffuse.
    """
    matter = top.matter
    return (matter.base.rgb, matter.second.rgb, matter.contrast) if matter else (top.rgb, top.rgb, top.contrast)


def _stage_tile(top: MaterialSpec) -> tuple[float, float, float]:
    """Texels per metre of a tile of TILE_PX, and the texel (minus a half) at the stage's corner."""
    if top.matter:
        u, v = tile_origin(top.matter)
        return TILE_PX / top.matter.tile_m, u * TILE_PX - 0.5, v * TILE_PX - 0.5
    _, (column, row), texel_m = placed_tile(top)
    return 1 / texel_m, float(column), float(row)


def frame_block(
    spec: SceneSpec, constants: np.ndarray, view: CameraView, cascades: tuple[Cascade, Cascade], shift_m: float
) -> np.ndarray:
    """The frame block of one frame, with its camera, shadow maps and belt shift."""
    block = constants.copy()
    axes = view.rotation.T.astype(np.float64)
    block["clip_from_world"] = _clip_from_world(view).T
    for i, map_ in enumerate(cascades):
        matrix = np.eye(4)
        matrix[:3] = map_.matrix
        block["shadow_from_world"][0, i] = matrix.T
        block["shadow_scale"][0, i] = (map_.across_m, map_.deep_m, 1 / SIDE_TEXELS, 0.0)
    block["eye"] = (*view.eye, 1.0)
    block["camera_axes"][0, :, :3] = axes
    block["lens"] = (view.focal, *view.centre, OCCLUSION_REACH_M)
    half = np.asarray(spec.stage.size_m) / 2
    block["stage"] = (*half, shift_m, -spec.stage.floor_below_m)
    return block


def _clip_from_world(view: CameraView) -> Float64[np.ndarray, "4 4"]:
    """OpenGL's projection of the pinhole camera, flipped so that row 0 of an image is its top row."""
    depth = FAR_M - NEAR_M
    width, height, (cx, cy) = view.width, view.height, view.centre
    projection = np.array(
        [
            [2 * view.focal / width, 0.0, 2 * cx / width - 1, 0.0],
            [0.0, 2 * view.focal / height, 2 * cy / height - 1, 0.0],
            [0.0, 0.0, (FAR_M + NEAR_M) / depth, -2 * FAR_M * NEAR_M / depth],
            [0.0, 0.0, 1.0, 0.0],
        ]
    )
    camera_from_world = np.eye(4)
    camera_from_world[:3, :3] = view.rotation.T
    camera_from_world[:3, 3] = -view.rotation.T.astype(np.float64) @ view.eye
    return projection @ camera_from_world


def sheets_block(spec: SceneSpec) -> np.ndarray:
    """The block of the sheets on the stage."""
    block = np.zeros(1, layout.SHEETS)
    for i, sheet in enumerate(spec.stage.sheets):
        block["place"][0, i] = (*sheet.centre_m, sheet.size_m[0] / 2, sheet.size_m[1] / 2)
        block["turn"][0, i, :2] = np.cos(sheet.yaw_rad), np.sin(sheet.yaw_rad)
        block["rgb"][0, i, :3] = sheet.rgb
    return block
