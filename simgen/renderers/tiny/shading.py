"""Deferred shading in numpy.

The geometry pass gives each sample's surface, depth and key light cosine. The result is linear radiance, where a white
card that faces a light of irradiance 1 has radiance 1. Planes and clutter are diffuse; parts are in
`simgen.renderers.tiny.metal`.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32

from simgen.assets.light import card
from simgen.renderers.camera_view import CameraView
from simgen.renderers.ground import arriving_share
from simgen.renderers.planes import Planes
from simgen.renderers.surfaces import BODY, FLOOR, NOTHING, STAGE, Colours, Geometry, Moment, blurred, solid_albedo
from simgen.renderers.tiny.light_map import LightMap
from simgen.renderers.tiny.metal import Metal
from simgen.spec.geometry import rotation_matrix
from simgen.spec.scene import SceneSpec

OCCLUSION_REACH_M = 0.008  # reach of a part's ambient occlusion on the stage
TYPICAL_HEIGHT_M = 0.01  # of parts, for the width of their penumbra


class Shader:
    """Shading of a scene. Its frames share baked textures of the planes, the environment and the parts' materials."""

    def __init__(self, spec: SceneSpec) -> None:
        self._spec = spec
        self._planes = Planes(spec)
        self._metal = Metal(spec, self._planes)

    def shade(self, geometry: Geometry, light_map: LightMap, moment: Moment) -> Float32[np.ndarray, "h w _"]:
        """Radiance of every sample; on a photo that of parts and bodies, and the share of the photo's light."""
        view = moment.view
        if self._spec.stage.photo is not None:
            return self._over_photo(geometry, light_map, moment)
        linear = self._planes.albedo(geometry, view, moment)
        cv2.multiply(linear, self._irradiance(geometry, light_map, view), dst=linear)
        linear[geometry.surface == NOTHING] = self._spec.light.horizon_rgb
        self._bodies(linear, geometry, view, moment)
        self._metal.shade(linear, geometry, light_map, view, moment)
        return linear

    def _over_photo(self, geometry: Geometry, light_map: LightMap, moment: Moment) -> Float32[np.ndarray, "h w 4"]:
        light, surface = np.zeros((*geometry.surface.shape, 3), np.float32), geometry.surface
        self._bodies(light, geometry, moment.view, moment)
        self._metal.shade(light, geometry, light_map, moment.view, moment)
        arriving = self._irradiance(geometry, light_map, moment.view)
        share = arriving_share(arriving, card(self._spec.light).astype(np.float32))
        share[(surface == FLOOR) | (surface == NOTHING)] = 1
        is_thing = (surface >= 0) | (surface <= BODY)
        share[is_thing] = 0
        light[~is_thing] = 0  # the stage's sides
        return np.dstack([light, share])

    def _irradiance(self, geometry: Geometry, light_map: LightMap, view: CameraView) -> Float32[np.ndarray, "h w 3"]:
        """Irradiance on the planes: the key light with soft shadows, and ambient light with occlusion by parts.

        It is smooth, so it is computed at half resolution.
        """
        light, camera, s = self._spec.light, self._spec.camera, self._spec.render.supersample
        height, width = geometry.surface.shape
        surface = geometry.surface[::2, ::2]
        blocked = (light_map.surface >= 0) | (light_map.surface <= BODY)
        plane = np.diag([0.5, 0.5, 1.0]) @ view.image_from_plane(0.0, (-0.5, -0.5), 1.0)
        penumbra_m = TYPICAL_HEIGHT_M * float(np.tan(light.source_angle_rad / 2))
        shadow = light_map.plane_shadow(blocked, plane, surface.shape[::-1], penumbra_m)
        shadow[surface == FLOOR] = 0  # the floor's shadow is baked
        px_per_m = camera.focal_px * s / 2 / float(np.linalg.norm(camera.world_from_camera[0].position_m))
        covered = blurred((surface >= 0).astype(np.float32), max(px_per_m * OCCLUSION_REACH_M, 0.5))
        key = np.float32(light.direction[2]) * (1 - np.float32(light.shadow_strength) * shadow)
        open_share = 1 - np.float32(light.occlusion_strength) * np.minimum(2 * covered, 1)
        arriving = cv2.merge(
            [
                cv2.addWeighted(key, from_key, open_share, from_sky, 0)
                for from_key, from_sky in zip(light.key_rgb, light.ambient_rgb, strict=True)
            ]
        )
        return np.asarray(cv2.resize(arriving, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)

    def _bodies(
        self, linear: Float32[np.ndarray, "h w 3"], geometry: Geometry, view: CameraView, moment: Moment
    ) -> None:
        """Shade clutter, occluders and the stage's sides: diffuse, with TinyRenderer's cosine and no shadow."""
        light = self._spec.light
        below = view.eye[2] + geometry.depth_m * view.climb() < -0.001
        ys, xs = np.nonzero((geometry.surface <= BODY) | ((geometry.surface == STAGE) & below))
        if not len(ys):
            return
        points = view.points(xs, ys, geometry.depth_m[ys, xs])
        codes = geometry.surface[ys, xs]
        albedo = np.empty((len(ys), 3), np.float32)
        for code in np.unique(codes):
            chosen = codes == code
            albedo[chosen] = self._body_albedo(int(code), points[chosen], moment)
        key, ambient = (np.asarray(rgb, np.float32) for rgb in (light.key_rgb, light.ambient_rgb))
        linear[ys, xs] = albedo * (geometry.lit[ys, xs, None].astype(np.float32) / 255 * key + 0.8 * ambient)

    def _body_albedo(self, code: int, points_m: Colours, moment: Moment) -> Colours:
        if code == STAGE:
            return solid_albedo(self._spec.stage.sides, points_m)
        index, standing = BODY - code, len(self._spec.fixtures)
        body = (*self._spec.fixtures, *self._spec.occluders)[index]
        at = body.world_from_body.position_m if index < standing else moment.occluder_positions_m[index - standing]
        rotation = rotation_matrix(body.world_from_body.rotation_xyzw).astype(np.float32)
        return solid_albedo(body.material, (points_m - np.asarray(at, np.float32)) @ rotation)
