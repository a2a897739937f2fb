"""Shading of parts: metal with normals from the depth buffer, threads as bumps, and reflections of the environment.

Microfacets are GGX (Walter et al. 2007) with Schlick's Fresnel term; rough metal reflects a blurred environment.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float32, Int32

from simgen.assets.parts import drawn, part_model
from simgen.renderers.camera_view import CameraView
from simgen.renderers.planes import Planes
from simgen.renderers.surfaces import BODY, Colours, Geometry, Moment, Samples, dot, solid_pattern, unit
from simgen.renderers.tiny.colours import ColourGrid
from simgen.renderers.tiny.environment import Environment
from simgen.renderers.tiny.light_map import LightMap
from simgen.spec.scene import PartSource, SceneSpec

BRIGHTEST = 16.0  # radiance is clipped here, far above any sensor's range


@dataclass(frozen=True)
class PartSamples:
    """The samples that show parts."""

    part: Int32[np.ndarray, "n"]
    points_m: Colours
    toward_eye: Colours
    normal: Colours
    base: Colours  # reflectance


class Metal:
    """Shading of a scene's parts."""

    def __init__(self, spec: SceneSpec, planes: Planes) -> None:
        self._spec = spec
        self._planes = planes
        self._environment = Environment(spec.light, spec.stage.floor.rgb)
        self._parts = PartTable(spec)
        self._sun = np.asarray(spec.light.direction, np.float32)
        self._key = np.asarray(spec.light.key_rgb, np.float32)

    def shade(
        self,
        linear: Float32[np.ndarray, "h w 3"],
        geometry: Geometry,
        light_map: LightMap,
        view: CameraView,
        moment: Moment,
    ) -> None:
        """Write the radiance of every sample that shows a part into `linear`."""
        ys, xs = np.nonzero(geometry.surface >= 0)
        if not len(ys):
            return
        part = geometry.surface[ys, xs]
        points = view.points(xs, ys, geometry.depth_m[ys, xs])
        toward_eye = unit(view.eye - points)
        flat = normals(geometry, view, xs, ys, points, toward_eye)
        local = self._parts.local(part, points, moment)
        normal, cavity = self._parts.relief(part, local, flat, moment)
        samples = PartSamples(part, points, toward_eye, normal, self._parts.albedo(part, local))
        first = light_map.first_surface(points)
        shadowed = (first != part) & ((first >= 0) | (first <= BODY))
        linear[ys, xs] = np.minimum(self._radiance(samples, shadowed, moment) * cavity[:, None], BRIGHTEST)

    def _radiance(self, samples: PartSamples, shadowed: Bool[np.ndarray, "n"], moment: Moment) -> Colours:
        light = self._spec.light
        rough, metallic = self._parts.roughness[samples.part], self._parts.metallic[samples.part, None]
        facing = np.maximum(dot(samples.normal, samples.toward_eye), 0.02)
        sun = np.maximum(samples.normal @ self._sun, 0.0) * (1 - np.float32(light.shadow_strength) * shadowed)
        f0 = metallic * samples.base + (1 - metallic) * 0.04
        fresnel = f0 + (1 - f0) * ((1 - facing) ** 5 * (1 - rough))[:, None]
        highlight = self._highlight(samples, facing, rough) * sun
        glossy = fresnel * (self._mirror(samples, facing, rough, moment) + highlight[:, None] * self._key)
        up = 0.5 + 0.5 * samples.normal[:, 2:]
        sky = np.asarray(light.ambient_rgb, np.float32)
        bounce = np.asarray(self._spec.stage.top.rgb, np.float32) * 0.5 * sky
        matt = (1 - metallic) * samples.base * (up * sky + (1 - up) * bounce + sun[:, None] * self._key)
        return np.asarray(glossy + matt, np.float32)

    def _highlight(self, samples: PartSamples, facing: Samples, rough: Samples) -> Samples:
        """GGX lobe of the key light, widened by its size; times pi, as a white card's radiance is its irradiance."""
        alpha = np.clip(rough**2 + 0.25 * self._spec.light.source_angle_rad, 0.02, 1.0)
        cosine = np.maximum(dot(samples.normal, unit(samples.toward_eye + self._sun)), 0.0)
        spread = alpha**2 / (cosine**2 * (alpha**2 - 1) + 1) ** 2
        k = (rough + 1) ** 2 / 8
        masking = facing / (facing * (1 - k) + k)
        return np.asarray(spread * masking / (4 * facing), np.float32)

    def _mirror(self, samples: PartSamples, facing: Samples, rough: Samples, moment: Moment) -> Colours:
        """Reflected radiance: the environment above the horizon, the stage below it."""
        mirrored = 2 * facing[:, None] * samples.normal - samples.toward_eye
        shown = self._environment.radiance(mirrored, rough)
        down = np.nonzero((mirrored[:, 2] < -0.02) & (samples.points_m[:, 2] > 0))[0]
        if not len(down):
            return shown
        hit = samples.points_m[down] - mirrored[down] * (samples.points_m[down, 2:] / mirrored[down, 2:])
        on_stage = (np.abs(hit[:, :2]) < np.asarray(self._spec.stage.size_m, np.float32) / 2).all(axis=1)
        light = self._spec.light
        card = np.asarray(light.key_rgb) * light.direction[2] + np.asarray(light.ambient_rgb)
        card *= 1 - 0.4 * light.occlusion_strength
        shown[down[on_stage]] = self._planes.stage_at(hit[on_stage, :2], moment) * card.astype(np.float32)
        return shown


class PartTable:
    """The parts' materials and threads as arrays, indexed by part."""

    def __init__(self, spec: SceneSpec) -> None:
        materials = [part.material for part in spec.solids]
        self._materials = materials
        self.rgb = np.array([m.rgb for m in materials], np.float32).reshape(-1, 3)
        self.metallic = np.array([m.metallic for m in materials], np.float32)
        self.roughness = np.array([m.roughness for m in materials], np.float32)
        self.contrast = np.array([m.contrast for m in materials], np.float32)
        meshes = [drawn(part.source, 0.0) for part in spec.solids]
        self._own = [(_own_colours(mesh.of_file), mesh.scale) for mesh in meshes]  # colours of CAD files
        threads = [part_model(part.source).thread for part in spec.solids]
        # pitch, radius, lowest z, highest z; a part without an outer thread has an empty range of z
        self._threads = np.array(
            [
                (t.pitch_m, t.radius_m, t.z_from_m, t.z_to_m) if t and not t.internal else (1.0, 0.0, 1.0, -1.0)
                for t in threads
            ],
            np.float32,
        ).reshape(-1, 4)

    def local(self, part: Int32[np.ndarray, "n"], points: Colours, moment: Moment) -> Colours:
        """World points in the frames of their parts."""
        offset = points - moment.positions_m[part]
        return np.asarray(np.einsum("nij,ni->nj", moment.rotations[part], offset))

    def albedo(self, part: Int32[np.ndarray, "n"], local: Colours) -> Colours:
        """Reflectance with the finish's pattern."""
        pattern, rgb = np.empty(len(part), np.float32), self.rgb[part]
        for i in np.unique(part):
            chosen = part == i
            pattern[chosen] = solid_pattern(self._materials[i], local[chosen])
            grid, scale = self._own[i]
            if grid is not None:
                rgb[chosen] = grid.at(local[chosen] / np.float32(scale))
        return np.asarray(np.clip(rgb * (1 + self.contrast[part] * pattern)[:, None], 0, 1))

    def relief(
        self, part: Int32[np.ndarray, "n"], local: Colours, normal: Colours, moment: Moment
    ) -> tuple[Colours, Samples]:
        """Normals with smooth shanks and thread flanks, and the ambient visibility in the thread's grooves."""
        cavity = np.ones(len(part), np.float32)
        pitch, shank, low, high = self._threads[part].T
        radius = np.hypot(local[:, 0], local[:, 1])
        rotations = moment.rotations[part]
        inward = np.einsum("nij,ni->nj", rotations, normal)
        near_shank = (high > low) & (np.abs(radius - shank) < 0.15 * shank) & (np.abs(inward[:, 2]) < 0.5)
        threaded = near_shank & (local[:, 2] > low) & (local[:, 2] < high)
        radial = np.stack([local[:, 0], local[:, 1], np.zeros_like(radius)], axis=1) / np.maximum(radius, 1e-6)[:, None]
        inward[near_shank] = radial[near_shank]
        turn = np.arctan2(local[:, 1], local[:, 0]) - 2 * np.pi * local[:, 2] / pitch
        inward[threaded, 2] += 1.1 * np.sin(turn[threaded])  # flanks of a 60 degree thread, rounded
        cavity[threaded] = 0.75 + 0.25 * np.cos(turn[threaded])
        normal = normal.copy()
        normal[near_shank] = unit(np.einsum("nij,nj->ni", rotations[near_shank], inward[near_shank]))
        return normal, cavity


@lru_cache(maxsize=16)
def _own_colours(source: PartSource) -> ColourGrid | None:
    """The colours of a part's CAD file; None where it has none."""
    model = part_model(source)
    return None if model.colours is None else ColourGrid(model)


def normals(
    geometry: Geometry, view: CameraView, xs: np.ndarray, ys: np.ndarray, points: Colours, toward_eye: Colours
) -> Colours:
    """Normals from the depth of neighbours on the same part; of two opposite neighbours the one nearer in depth."""
    across = _tangent(geometry, view, xs, ys, points, (1, 0))
    down = _tangent(geometry, view, xs, ys, points, (0, 1))
    normal = np.cross(down, across)
    flat = dot(normal, normal) < 1e-20
    normal[flat] = toward_eye[flat]
    normal = unit(normal)
    away = dot(normal, toward_eye) < 0
    normal[away] *= -1
    return normal


def _tangent(
    geometry: Geometry, view: CameraView, xs: np.ndarray, ys: np.ndarray, points: Colours, step: tuple[int, int]
) -> Colours:
    """The difference to the nearer (in depth) of two opposite neighbours; 0 where neither is on the same part."""
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
