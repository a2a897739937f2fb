"""Light on surfaces that a geometry pass has found: deferred shading in numpy.

In: for every sample what surface it shows, how deep, and how the key light falls on it. Out: linear radiance, where a
white card facing a light of irradiance 1 has radiance 1.

Table, belt and floor are planes with a baked picture. Parts are metal: their normals come from the depth buffer, a
thread is a bump on them, and they mirror an environment of horizon, zenith and bright patches, and the stage below.
Microfacets are GGX (Walter et al. 2007) with Schlick's Fresnel term; a rough mirror looks up a blurred environment.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int32, UInt8

from simgen.geometry import rotation_matrix
from simgen.parts import part_model
from simgen.render.environment import Environment
from simgen.render.light_map import LightMap
from simgen.render.textures import sample_pattern
from simgen.render.view import View
from simgen.types import MaterialSpec, Pose, SceneSpec, SheetSpec, Vec3

# Surface codes. Parts are their index, 0 and up; other bodies count down from BODY.
NOTHING, FLOOR, STAGE, _BODY = -1, -2, -3, -4

STAGE_TEXEL_M = 0.0006
FLOOR_TEXEL_M = 0.003
FLOOR_EXTENT_M = 5.0
OCCLUSION_REACH_M = 0.008  # how far a part darkens what it stands on
TYPICAL_HEIGHT_M = 0.01  # of the parts, for how wide their penumbra is
BRIGHTEST = 16.0  # radiance above this is clipped: far over any sensor's range

Samples = Float32[np.ndarray, "n"]
Colours = Float32[np.ndarray, "n 3"]


def body_code(index: int) -> int:
    """The surface code of the clutter and occluders, counted in that order."""
    return _BODY - index


@dataclass(frozen=True)
class Geometry:
    depth_m: Float32[np.ndarray, "h w"]  # along the optical axis
    surface: Int32[np.ndarray, "h w"]
    lit: UInt8[np.ndarray, "h w"]  # 255 * cosine of the key light


@dataclass(frozen=True)
class Moment:
    """Where everything is in one frame."""

    camera: Pose  # world_from_camera
    positions_m: Float32[np.ndarray, "p 3"]
    rotations_xyzw: Float32[np.ndarray, "p 4"]
    occluder_positions_m: Float32[np.ndarray, "o 3"]
    belt_shift_m: float


class Shader:
    """What a scene's frames share: baked pictures of the planes, the environment, the parts' materials."""

    def __init__(self, spec: SceneSpec) -> None:
        self._spec = spec
        self._stage = _bake_stage(spec)
        self._floor = _bake_floor(spec)
        self._environment = Environment(spec.light, spec.stage.floor.rgb)
        self._parts = _PartTable(spec)
        self._sun = np.asarray(spec.light.direction, np.float32)

    def shade(self, geometry: Geometry, light_map: LightMap, moment: Moment) -> Float32[np.ndarray, "h w 3"]:
        """Radiance of every sample."""
        view = View.of(self._spec, moment.camera)
        linear = self._planes(geometry, view, moment)
        cv2.multiply(linear, self._irradiance(geometry, light_map, view), dst=linear)
        linear[geometry.surface == NOTHING] = self._spec.light.horizon_rgb
        self._bodies(linear, geometry, view, moment)
        self._metal(linear, geometry, light_map, view, moment)
        return linear

    def _irradiance(self, geometry: Geometry, light_map: LightMap, view: View) -> Float32[np.ndarray, "h w 3"]:
        """On the planes: the key light after soft shadows, and the ambient light that parts do not keep off.

        It is smooth, so it is worked out at half resolution.
        """
        light, camera, s = self._spec.light, self._spec.camera, self._spec.render.supersample
        height, width = geometry.surface.shape
        surface = geometry.surface[::2, ::2]
        blocked = (light_map.surface >= 0) | (light_map.surface <= _BODY)
        plane = np.diag([0.5, 0.5, 1.0]) @ view.image_from_plane(0.0, (-0.5, -0.5), 1.0)
        penumbra_m = TYPICAL_HEIGHT_M * float(np.tan(light.source_angle_rad / 2))
        shadow = light_map.plane_shadow(blocked, plane, surface.shape[::-1], penumbra_m)
        shadow[surface == FLOOR] = 0  # the floor has its own, baked
        px_per_m = camera.focal_px * s / 2 / float(np.linalg.norm(camera.world_from_camera[0].position_m))
        covered = _blur((surface >= 0).astype(np.float32), max(px_per_m * OCCLUSION_REACH_M, 0.5))
        key = np.float32(light.direction[2]) * (1 - np.float32(light.shadow_strength) * shadow)
        open_share = 1 - np.float32(light.occlusion_strength) * np.minimum(2 * covered, 1)
        arriving = np.multiply.outer(key, np.asarray(light.key_rgb, np.float32))
        arriving += np.multiply.outer(open_share, np.asarray(light.ambient_rgb, np.float32))
        return np.asarray(cv2.resize(arriving, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)

    def _planes(self, geometry: Geometry, view: View, moment: Moment) -> Float32[np.ndarray, "h w 3"]:
        """Albedo of stage and floor by homography; elsewhere whatever."""
        height, width = geometry.surface.shape
        stage, size = self._spec.stage, (width, height)
        origin = (-stage.size_m[0] / 2 + moment.belt_shift_m, -stage.size_m[1] / 2)
        linear = _warp(self._stage, view.image_from_plane(0.0, origin, STAGE_TEXEL_M), size)
        below = geometry.surface == FLOOR
        if below.any():
            corner = -FLOOR_EXTENT_M / 2
            floor = view.image_from_plane(-stage.floor_below_m, (corner, corner), FLOOR_TEXEL_M)
            cv2.copyTo(_warp(self._floor, floor, size), below.view(np.uint8), linear)
        return linear

    def _bodies(self, linear: np.ndarray, geometry: Geometry, view: View, moment: Moment) -> None:
        """Clutter, occluders and the stage's sides: matt, with TinyRenderer's own cosine and no shadow."""
        light, spec = self._spec.light, self._spec
        on_stage = geometry.surface == STAGE
        ys, xs = np.nonzero(
            (geometry.surface <= _BODY) | (on_stage & (view.eye[2] + geometry.depth_m * view.climb() < -0.001))
        )
        if not len(ys):
            return
        points = view.points(xs, ys, geometry.depth_m[ys, xs])
        codes = geometry.surface[ys, xs]
        albedo = np.empty((len(ys), 3), np.float32)
        everything = [*spec.clutter, *spec.occluders]
        for code in np.unique(codes):
            chosen = codes == code
            body = None if code == STAGE else everything[_BODY - int(code)]
            material = spec.stage.sides if body is None else body.material
            local = points[chosen]
            if body is not None:
                moved = int(_BODY - code) - len(spec.clutter)
                at = body.world_from_body.position_m if moved < 0 else moment.occluder_positions_m[moved]
                rotation = rotation_matrix(body.world_from_body.rotation_xyzw).astype(np.float32)
                local = (local - np.asarray(at, np.float32)) @ rotation
            albedo[chosen] = _solid_albedo(material, local)
        cosine = geometry.lit[ys, xs, None].astype(np.float32) / 255
        linear[ys, xs] = albedo * (
            cosine * np.asarray(light.key_rgb, np.float32) + 0.8 * np.asarray(light.ambient_rgb, np.float32)
        )

    def _metal(self, linear: np.ndarray, geometry: Geometry, light_map: LightMap, view: View, moment: Moment) -> None:
        ys, xs = np.nonzero(geometry.surface >= 0)
        if not len(ys):
            return
        part = geometry.surface[ys, xs]
        points = view.points(xs, ys, geometry.depth_m[ys, xs])
        toward_eye = _unit(view.eye - points)
        flat = _normals(geometry, view, xs, ys, points, toward_eye)
        local = self._parts.local(part, points, moment)
        normal, cavity = self._parts.relief(part, local, flat, moment)
        base = self._parts.albedo(part, local)
        met = light_map.seen(points)
        shadowed = (met != part) & ((met >= 0) | (met <= _BODY))
        radiance = self._lit_metal(part, points, normal, toward_eye, base, shadowed, moment)
        linear[ys, xs] = np.minimum(radiance * cavity[:, None], BRIGHTEST)

    def _lit_metal(
        self,
        part: Int32[np.ndarray, "n"],
        points: Colours,
        normal: Colours,
        toward_eye: Colours,
        base: Colours,
        shadowed: Bool[np.ndarray, "n"],
        moment: Moment,
    ) -> Colours:
        light = self._spec.light
        rough, metallic = self._parts.roughness[part], self._parts.metallic[part, None]
        facing = np.maximum(_dot(normal, toward_eye), 0.02)
        sun = np.maximum(normal @ self._sun, 0.0)
        sun = sun * (1 - np.float32(light.shadow_strength) * shadowed)
        f0 = metallic * base + (1 - metallic) * 0.04
        fresnel = f0 + (1 - f0) * ((1 - facing) ** 5 * (1 - rough))[:, None]
        mirrored = 2 * facing[:, None] * normal - toward_eye
        glossy = fresnel * self._mirror(points, mirrored, rough, moment)
        glossy += (
            fresnel
            * (self._highlight(normal, toward_eye, facing, rough) * sun)[:, None]
            * np.asarray(light.key_rgb, np.float32)
        )
        up = 0.5 + 0.5 * normal[:, 2:]
        sky = np.asarray(light.ambient_rgb, np.float32)
        bounce = np.asarray(self._spec.stage.top.rgb, np.float32) * 0.5 * sky
        matt = (
            (1 - metallic)
            * base
            * (up * sky + (1 - up) * bounce + sun[:, None] * np.asarray(light.key_rgb, np.float32))
        )
        return (glossy + matt).astype(np.float32)

    def _highlight(self, normal: Colours, toward_eye: Colours, facing: Samples, rough: Samples) -> Samples:
        """GGX's lobe for the key light, widened by its size, times pi for irradiance to radiance of a white card."""
        alpha = np.clip(rough**2 + 0.25 * self._spec.light.source_angle_rad, 0.02, 1.0)
        half = _unit(toward_eye + self._sun)
        cosine = np.maximum(_dot(normal, half), 0.0)
        spread = alpha**2 / (cosine**2 * (alpha**2 - 1) + 1) ** 2
        k = (rough + 1) ** 2 / 8
        masking = facing / (facing * (1 - k) + k)
        return (spread * masking / (4 * facing)).astype(np.float32)

    def _mirror(self, points: Colours, mirrored: Colours, rough: Samples, moment: Moment) -> Colours:
        """What a mirror of that roughness shows: the environment above, the stage's own picture below."""
        seen = self._environment.radiance(mirrored, rough)
        down = np.nonzero((mirrored[:, 2] < -0.02) & (points[:, 2] > 0))[0]
        if not len(down):
            return seen
        hit = points[down] - mirrored[down] * (points[down, 2:] / mirrored[down, 2:])
        size = np.asarray(self._spec.stage.size_m, np.float32)
        on_stage = (np.abs(hit[:, :2]) < size / 2).all(axis=1)
        texel = (hit[on_stage, :2] + size / 2 - np.array([moment.belt_shift_m, 0], np.float32)) / np.float32(
            STAGE_TEXEL_M
        )
        rows, columns = (np.mod(texel[:, i].astype(np.int64), self._stage.shape[1 - i]) for i in (1, 0))
        light = self._spec.light
        card = np.asarray(light.key_rgb) * light.direction[2] + np.asarray(light.ambient_rgb)
        seen[down[on_stage]] = self._stage[rows, columns] * (card * (1 - 0.4 * light.occlusion_strength))
        return seen


class _PartTable:
    """The parts' materials and threads as arrays, to be indexed by the part at each sample."""

    def __init__(self, spec: SceneSpec) -> None:
        materials = [part.material for part in spec.parts]
        self._materials = materials
        self.rgb = np.array([m.rgb for m in materials], np.float32).reshape(-1, 3)
        self.metallic = np.array([m.metallic for m in materials], np.float32)
        self.roughness = np.array([m.roughness for m in materials], np.float32)
        self.contrast = np.array([m.contrast for m in materials], np.float32)
        threads = [part_model(part.kind, part.designation).thread for part in spec.parts]
        # pitch, radius, lowest z, highest z; a part without an outer thread has an empty range of z
        self._threads = np.array(
            [
                (t.pitch_m, t.radius_m, t.z_from_m, t.z_to_m) if t and not t.internal else (1.0, 0.0, 1.0, -1.0)
                for t in threads
            ],
            np.float32,
        ).reshape(-1, 4)

    def local(self, part: Int32[np.ndarray, "n"], points: Colours, moment: Moment) -> Colours:
        rotations = _rotations(moment)
        offset = points - moment.positions_m[part]
        return np.einsum("nij,ni->nj", rotations[part], offset)

    def albedo(self, part: Int32[np.ndarray, "n"], local: Colours) -> Colours:
        """Reflectance with the finish's pattern on it."""
        pattern = np.empty(len(part), np.float32)
        for i in np.unique(part):
            chosen = part == i
            pattern[chosen] = _solid_pattern(self._materials[i], local[chosen])
        return np.clip(self.rgb[part] * (1 + self.contrast[part] * pattern)[:, None], 0, 1)

    def relief(
        self, part: Int32[np.ndarray, "n"], local: Colours, normal: Colours, moment: Moment
    ) -> tuple[Colours, Samples]:
        """Normals with round shanks and threads in relief, and how open the thread's grooves are."""
        cavity = np.ones(len(part), np.float32)
        pitch, shank, low, high = self._threads[part].T
        radius = np.hypot(local[:, 0], local[:, 1])
        rotations = _rotations(moment)[part]
        inward = np.einsum("nij,ni->nj", rotations, normal)
        near_shank = (high > low) & (np.abs(radius - shank) < 0.15 * shank) & (np.abs(inward[:, 2]) < 0.5)
        threaded = near_shank & (local[:, 2] > low) & (local[:, 2] < high)
        radial = np.stack([local[:, 0], local[:, 1], np.zeros_like(radius)], axis=1) / np.maximum(radius, 1e-6)[:, None]
        inward[near_shank] = radial[near_shank]
        turn = np.arctan2(local[:, 1], local[:, 0]) - 2 * np.pi * local[:, 2] / pitch
        inward[threaded, 2] += 1.1 * np.sin(turn[threaded])  # flanks of a 60 degree thread, rounded
        cavity[threaded] = 0.75 + 0.25 * np.cos(turn[threaded])
        normal = normal.copy()
        normal[near_shank] = _unit(np.einsum("nij,nj->ni", rotations[near_shank], inward[near_shank]))
        return normal, cavity


# --- helpers ---------------------------------------------------------------------------------------------------------


def _dot(a: Colours, b: Colours) -> Samples:
    return np.einsum("ni,ni->n", a, b)


def _unit(v: Colours) -> Colours:
    return np.asarray(v / np.maximum(np.sqrt(_dot(v, v)), 1e-9)[:, None], np.float32)


def _rotations(moment: Moment) -> Float32[np.ndarray, "p 3 3"]:
    return np.array([rotation_matrix(q) for q in moment.rotations_xyzw], np.float32).reshape(-1, 3, 3)


def _blur(a: Float32[np.ndarray, "h w"], sigma_px: float) -> Float32[np.ndarray, "h w"]:
    return np.asarray(cv2.GaussianBlur(a, (0, 0), sigma_px, borderType=cv2.BORDER_REPLICATE), np.float32)


def _warp(picture: np.ndarray, image_from_picture: np.ndarray, size: tuple[int, int]) -> Float32[np.ndarray, "h w 3"]:
    warped = cv2.warpPerspective(picture, image_from_picture, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return np.asarray(warped, np.float32)


def _normals(
    geometry: Geometry, view: View, xs: np.ndarray, ys: np.ndarray, points: Colours, toward_eye: Colours
) -> Colours:
    """From the depth of each sample's neighbours on the same part, of two opposite ones the nearer in depth."""
    across = _tangent(geometry, view, xs, ys, points, (1, 0))
    down = _tangent(geometry, view, xs, ys, points, (0, 1))
    normal = np.cross(down, across)
    flat = _dot(normal, normal) < 1e-20
    normal[flat] = toward_eye[flat]
    normal = _unit(normal)
    away = _dot(normal, toward_eye) < 0
    normal[away] *= -1
    return normal


def _tangent(
    geometry: Geometry, view: View, xs: np.ndarray, ys: np.ndarray, points: Colours, step: tuple[int, int]
) -> Colours:
    """The difference to the better of two opposite neighbours; zero where neither is on the same part."""
    height, width = geometry.surface.shape
    here, part = geometry.depth_m[ys, xs], geometry.surface[ys, xs]
    best, gap = np.zeros_like(points), np.full(len(xs), np.inf, np.float32)
    for sign in (1, -1):
        nx, ny = xs + sign * step[0], ys + sign * step[1]
        inside = (nx >= 0) & (nx < width) & (ny >= 0) & (ny < height)
        nx, ny = np.clip(nx, 0, width - 1), np.clip(ny, 0, height - 1)
        depth = geometry.depth_m[ny, nx]
        jump = np.abs(depth - here)
        better = inside & (geometry.surface[ny, nx] == part) & (jump < gap)
        best[better] = sign * (view.points(nx[better], ny[better], depth[better]) - points[better])
        gap[better] = jump[better]
    return best


def _solid_pattern(material: MaterialSpec, local: Colours) -> Samples:
    """A tile's value on a solid: two coordinates that change along any face."""
    u, v = local[:, 0] + 0.7 * local[:, 1], local[:, 2] + 0.7 * local[:, 1]
    return sample_pattern(material, u, v)


def _solid_albedo(material: MaterialSpec, local: Colours) -> Colours:
    pattern = _solid_pattern(material, local)
    return np.clip(np.asarray(material.rgb, np.float32) * (1 + material.contrast * pattern[:, None]), 0, 1).astype(
        np.float32
    )


def _bake(material: MaterialSpec, shape: tuple[int, int], texel_m: float) -> Float32[np.ndarray, "h w 3"]:
    rgb = np.asarray(material.rgb, np.float32)
    if material.texture == "plain" or material.contrast == 0:
        return np.full((*shape, 3), rgb, np.float32)
    v, u = (np.arange(n, dtype=np.float32) * np.float32(texel_m) for n in shape)
    pattern = sample_pattern(material, np.tile(u, shape[0]), np.repeat(v, shape[1]))
    albedo = np.multiply.outer(1 + np.float32(material.contrast) * pattern.reshape(shape), rgb)
    return np.clip(albedo, 0, 1, out=albedo)


def _bake_stage(spec: SceneSpec) -> Float32[np.ndarray, "h w 3"]:
    stage = spec.stage
    columns, rows = (max(round(s / STAGE_TEXEL_M), 1) for s in stage.size_m)
    picture = _bake(stage.top, (rows, columns), STAGE_TEXEL_M)
    for sheet in stage.sheets:
        _draw_sheet(picture, sheet, stage.size_m)
    return picture


def _bake_floor(spec: SceneSpec) -> Float32[np.ndarray, "h w 3"]:
    """The floor with the stage's shadow and the dimness round the clutter, which stay from frame to frame."""
    side = round(FLOOR_EXTENT_M / FLOOR_TEXEL_M)
    picture = _bake(spec.stage.floor, (side, side), FLOOR_TEXEL_M)
    light, below_m = spec.light, spec.stage.floor_below_m
    shift = -np.asarray(light.direction[:2]) / max(light.direction[2], 0.1) * below_m
    shadow = _coarse_cover([(shift, spec.stage.size_m)], below_m * np.tan(light.source_angle_rad / 2) + 0.01)
    stood = [(np.asarray(b.world_from_body.position_m[:2]), b.size_m[:2]) for b in spec.clutter]
    dim = _coarse_cover([(np.zeros(2), spec.stage.size_m), *stood], 0.08)
    key = light.direction[2] * sum(light.key_rgb) / 3
    ambient = sum(light.ambient_rgb) / 3
    lit = key * (1 - light.shadow_strength * shadow) + ambient * (1 - light.occlusion_strength * dim)
    arriving = cv2.resize((lit / (key + ambient)).astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR)
    picture *= arriving[..., None]
    return picture


def _coarse_cover(rectangles: list[tuple[np.ndarray, tuple[float, ...]]], sigma_m: float) -> Float32[np.ndarray, "h w"]:
    """1 under axis-aligned rectangles (centre, size), else 0, blurred, at a tenth of the floor's picture's size."""
    texel_m = FLOOR_TEXEL_M * 10
    side = round(FLOOR_EXTENT_M / texel_m)
    cover = np.zeros((side, side), np.float32)
    for centre, size in rectangles:
        low, high = ((centre + sign * np.asarray(size) / 2 + FLOOR_EXTENT_M / 2) / texel_m for sign in (-1, 1))
        x0, y0, x1, y1 = (int(np.clip(round(v), 0, side)) for v in (*low, *high))
        cover[y0:y1, x0:x1] = 1
    return _blur(cover, max(sigma_m / texel_m, 0.5))


def _draw_sheet(picture: Float32[np.ndarray, "h w 3"], sheet: SheetSpec, stage_m: tuple[float, float]) -> None:
    """A rectangle with a thin dark line where it lifts off what lies under it."""
    c, s = np.cos(sheet.yaw_rad), np.sin(sheet.yaw_rad)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * np.asarray(sheet.size_m) / 2
    corners = corners @ np.array([[c, s], [-s, c]]) + np.asarray(sheet.centre_m) + np.asarray(stage_m) / 2
    texels = np.round(corners / STAGE_TEXEL_M).astype(np.int32)
    cv2.fillConvexPoly(picture, texels, sheet.rgb, cv2.LINE_AA)
    edge: Vec3 = (sheet.rgb[0] * 0.75, sheet.rgb[1] * 0.75, sheet.rgb[2] * 0.75)
    cv2.polylines(picture, [texels], True, edge, 1, cv2.LINE_AA)
