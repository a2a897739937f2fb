"""Table, belt and floor: planes with a texture that is baked once per scene."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import Float32

from simgen.renderers.camera_view import CameraView
from simgen.renderers.surfaces import FLOOR, Colours, Geometry, Moment, blurred
from simgen.renderers.textures import pattern_grid, placed_tile
from simgen.spec.scene import MaterialSpec, SceneSpec, SheetSpec
from simgen.spec.types import Vec3

STAGE_TEXEL_M = 0.0006
MAX_SHEET_TEXELS = 2**23
MAX_SIDE_TEXELS, MAX_TEXELS = 16384, 2**26  # OpenCV's warp has a limit of 32767 a side; 800 MB
FLOOR_TEXEL_M = 0.005
FLOOR_EXTENT_M = 5.0
FLOOR_SIDE_M = 60.0  # of the floor that is drawn as a mesh


class Planes:
    """The baked textures of a scene's stage and floor."""

    def __init__(self, spec: SceneSpec) -> None:
        self._spec = spec
        self._stage = _bake_stage(spec)
        self._floor = _bake_floor(spec)

    def albedo(self, geometry: Geometry, view: CameraView, moment: Moment) -> Float32[np.ndarray, "h w 3"]:
        """Albedo of stage and floor, warped by homography. Undefined where other surfaces are."""
        height, width = geometry.surface.shape
        stage, size = self._spec.stage, (width, height)
        origin = (-stage.size_m[0] / 2 + moment.belt_shift_m, -stage.size_m[1] / 2)
        linear = _warp(self._stage, view.image_from_plane(0.0, origin, STAGE_TEXEL_M), size)
        below = geometry.surface == FLOOR
        if below.any():
            corner = -FLOOR_EXTENT_M / 2
            floor = _warp(
                self._floor, view.image_from_plane(-stage.floor_below_m, (corner, corner), FLOOR_TEXEL_M), size
            )
            if stage.floor.contrast and stage.floor.texture != "plain":
                floor *= self._floor_pattern(view, size)[..., None]
            cv2.copyTo(floor, below.view(np.uint8), linear)
        return linear

    def _floor_pattern(self, view: CameraView, size: tuple[int, int]) -> Float32[np.ndarray, "h w"]:
        """The floor's pattern from its own tile, which is finer than the floor's baked texture."""
        floor, below_m = self._spec.stage.floor, self._spec.stage.floor_below_m
        tile, at_origin, texel_m = placed_tile(floor)
        origin = (-at_origin[0] * texel_m, -at_origin[1] * texel_m)
        pattern = _warp(tile, view.image_from_plane(-below_m, origin, texel_m), size)
        return np.maximum(1 + np.float32(floor.contrast) * pattern, 0)

    def stage_at(self, points_m: Float32[np.ndarray, "n 2"], moment: Moment) -> Colours:
        """Albedo of the stage at world (x, y) on it."""
        corner = np.asarray(self._spec.stage.size_m, np.float32) / 2 - np.array([moment.belt_shift_m, 0], np.float32)
        texel = ((points_m + corner) / np.float32(STAGE_TEXEL_M)).astype(np.int64)
        rows, columns = (np.mod(texel[:, axis], self._stage.shape[1 - axis]) for axis in (1, 0))
        return np.asarray(self._stage[rows, columns], np.float32)


def _warp(picture: np.ndarray, image_from_picture: np.ndarray, size: tuple[int, int]) -> Float32[np.ndarray, "h w *c"]:
    warped = cv2.warpPerspective(picture, image_from_picture, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return np.asarray(warped, np.float32)


def _bake(material: MaterialSpec, shape: tuple[int, int], texel_m: float) -> Float32[np.ndarray, "h w 3"]:
    rgb = np.asarray(material.rgb, np.float32)
    if material.texture == "plain" or material.contrast == 0:
        return np.full((*shape, 3), rgb, np.float32)
    v, u = (np.arange(n, dtype=np.float32) * np.float32(texel_m) for n in shape)
    brightness = 1 + np.float32(material.contrast) * pattern_grid(material, u, v)
    return np.asarray(np.clip(cv2.merge([brightness * channel for channel in rgb]), 0, 1), np.float32)


def _bake_stage(spec: SceneSpec) -> Float32[np.ndarray, "h w 3"]:
    stage = spec.stage
    if stage.photo is not None:  # its plain colour, for what mirrors it
        return _bake(stage.top, (1, 1), STAGE_TEXEL_M)
    columns, rows = (max(round(s / STAGE_TEXEL_M), 1) for s in stage.size_m)
    if max(columns, rows) > MAX_SIDE_TEXELS or columns * rows > MAX_TEXELS:
        size = f"{stage.size_m[0]:.4g} x {stage.size_m[1]:.4g} m"
        raise ValueError(
            f"the stage of {size} needs a picture of {columns} x {rows} texels; tiny takes {MAX_SIDE_TEXELS} "
            f"a side and {MAX_TEXELS / 1e6:.0f} million: a smaller stage.length_m or width_m, or the renderer pbr"
        )
    picture = _bake(stage.top, (rows, columns), STAGE_TEXEL_M)
    for sheet in stage.sheets:
        _draw_sheet(picture, sheet, stage.size_m)
    return picture


def stage_sheets(spec: SceneSpec) -> Float32[np.ndarray, "h w 4"]:
    """A texture of the sheets alone over the whole stage, from its minimum x and y on: RGB, and coverage.

    Texels are STAGE_TEXEL_M wide, or wider so that there are at most 8 million.
    """
    stage = spec.stage
    texel_m = max(STAGE_TEXEL_M, float(np.sqrt(stage.size_m[0] * stage.size_m[1] / MAX_SHEET_TEXELS)))
    columns, rows = (max(round(s / texel_m), 1) for s in stage.size_m)
    picture, cover = np.zeros((rows, columns, 3), np.float32), np.zeros((rows, columns, 3), np.float32)
    for sheet in stage.sheets:
        _draw_sheet(picture, sheet, stage.size_m, texel_m)
        _draw_sheet(cover, replace(sheet, rgb=(1.0, 1.0, 1.0)), stage.size_m, texel_m)
    return np.dstack([picture, (cover[..., :1] > 0).astype(np.float32)])


def _bake_floor(spec: SceneSpec) -> Float32[np.ndarray, "h w 3"]:
    """The floor's colour with the stage's shadow and ambient occlusion around the clutter, without its fine pattern."""
    side = round(FLOOR_EXTENT_M / FLOOR_TEXEL_M)
    light, below_m = spec.light, spec.stage.floor_below_m
    shift = -np.asarray(light.direction[:2]) / max(light.direction[2], 0.1) * below_m
    shadow = _coarse_cover([(shift, spec.stage.size_m)], below_m * np.tan(light.source_angle_rad / 2) + 0.01)
    standing = [(np.asarray(b.world_from_body.position_m[:2]), b.size_m[:2]) for b in spec.fixtures]
    dim = _coarse_cover([(np.zeros(2), spec.stage.size_m), *standing], 0.08)
    key = light.direction[2] * sum(light.key_rgb) / 3
    ambient = sum(light.ambient_rgb) / 3
    lit = key * (1 - light.shadow_strength * shadow) + ambient * (1 - light.occlusion_strength * dim)
    arriving = cv2.resize((lit / (key + ambient)).astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR)
    return np.asarray(arriving[..., None] * np.asarray(spec.stage.floor.rgb, np.float32), np.float32)


def _coarse_cover(rectangles: list[tuple[np.ndarray, tuple[float, ...]]], sigma_m: float) -> Float32[np.ndarray, "h w"]:
    """1 under axis-aligned rectangles (centre, size), else 0, blurred; a fifth of the floor texture's resolution."""
    texel_m = FLOOR_TEXEL_M * 5
    side = round(FLOOR_EXTENT_M / texel_m)
    cover = np.zeros((side, side), np.float32)
    for centre, size in rectangles:
        low, high = ((centre + sign * np.asarray(size) / 2 + FLOOR_EXTENT_M / 2) / texel_m for sign in (-1, 1))
        x0, y0, x1, y1 = (int(np.clip(round(v), 0, side)) for v in (*low, *high))
        cover[y0:y1, x0:x1] = 1
    return blurred(cover, max(sigma_m / texel_m, 0.5))


def _draw_sheet(
    picture: Float32[np.ndarray, "h w 3"],
    sheet: SheetSpec,
    stage_m: tuple[float, float],
    texel_m: float = STAGE_TEXEL_M,
) -> None:
    """Draw a rectangle with a thin dark edge."""
    c, s = np.cos(sheet.yaw_rad), np.sin(sheet.yaw_rad)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * np.asarray(sheet.size_m) / 2
    corners = corners @ np.array([[c, s], [-s, c]]) + np.asarray(sheet.centre_m) + np.asarray(stage_m) / 2
    texels = np.round(corners / texel_m).astype(np.int32)
    cv2.fillConvexPoly(picture, texels, sheet.rgb, cv2.LINE_AA)
    edge: Vec3 = (sheet.rgb[0] * 0.75, sheet.rgb[1] * 0.75, sheet.rgb[2] * 0.75)
    cv2.polylines(picture, [texels], True, edge, 1, cv2.LINE_AA)
