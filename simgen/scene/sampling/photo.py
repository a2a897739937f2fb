"""A photograph in place of the stage: which one, what of it is shown, and the light and the camera that fit it.

The rule for the light: a photo's median is taken for a surface of `MID_GREY`. So a white card on the stage gives the
median over MID_GREY, within the bounds of the knob `sensor.exposure`, which says what a white card may give, and below
full scale. Its tint is that of what is nearly grey in the photo, at most `MOST_TINT`.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from simgen.assets import light as lighting
from simgen.camera.over_rectangle import Place, place_over
from simgen.scene.config import CameraKnobs, PhotoFile, PhotoKnobs
from simgen.spec.colour import LUMINANCE
from simgen.spec.errors import BadPhoto
from simgen.spec.geometry import pose, rotation_matrix, vec3
from simgen.spec.knobs import LogUniform
from simgen.spec.scene import CameraSpec, MaterialSpec, PhotoSpec, SceneSpec, SensorSpec, StageSpec
from simgen.spec.types import Metres, Pose, Radians, Vec3

MID_GREY = 0.18  # reflectance of the photographers' grey card
MOST_TINT = 1.25
DARKEST, BRIGHTEST = 0.02, 0.9  # reflectances of a ground
STRAIGHT_DOWN = 1e-6  # sine of an optical axis' angle to the vertical


def draw_photo(
    knobs: PhotoKnobs, camera: CameraKnobs, exposure: LogUniform, rng: np.random.Generator
) -> PhotoSpec | None:
    """The photo of a scene; None where the scene is synthetic."""
    lot, number = float(rng.uniform()), int(rng.integers(len(knobs.pictures)))
    file = knobs.pictures[number]
    part, across, down = knobs.crop.draw(rng), float(rng.uniform()), float(rng.uniform())
    mirrored, gain = bool(rng.uniform() < knobs.mirrored), knobs.exposure.draw(rng)
    hue_deg, error, local = knobs.hue_deg.draw(rng), knobs.light.draw(rng), knobs.local.draw(rng)
    if lot >= knobs.share:
        return None
    return PhotoSpec(
        name=file.name,
        photo_sha256=file.photo_sha256,
        crop_px=_crop_px(file, camera.width_px / camera.height_px, part, (across, down)),
        mirrored=mirrored,
        gain=gain,
        hue_rad=Radians(0.0 if file.is_grey else math.radians(hue_deg)),
        white_rgb=_white(file, exposure, gain * error),
        local=local,
    )


def on_photo(spec: SceneSpec, photo: PhotoSpec, knobs: PhotoKnobs) -> SceneSpec:
    """The scene with a photo of the empty place in place of its stage and of all that stands round it."""
    file = next(file for file in knobs.pictures if file.photo_sha256 == photo.photo_sha256)
    light = replace(spec.light, flicker=None)  # the photo has none
    camera = _at_its_place(spec.camera, file, spec.stage.size_m)
    return replace(
        spec,
        stage=_bare(spec.stage, photo, file),
        clutter=(),
        light=light,
        camera=_through_the_crop(camera, photo, file),
        sensor=_matched(spec.sensor, lighting.card(light), photo, file),
    )


def place_of(file: PhotoFile, size_px: tuple[int, int], focal_px: float, sides_m: tuple[float, float]) -> Place | None:
    """The place over its work surface of a photo's camera with a lens that does not distort.

    Args:
        file: with the corners of its work surface.
        size_px: of the picture that shows the photo's largest crop, for which the focal length holds.
    """
    centre_px = (size_px[0] / 2, size_px[1] / 2)
    return place_over(_corners_px(file, size_px), sides_m, focal_px, centre_px, (0.0, 0.0, 0.0, 0.0, 0.0))


def _at_its_place(camera: CameraSpec, file: PhotoFile, sides_m: tuple[float, float]) -> CameraSpec:
    """The camera from where the photo was taken, if the corners of its work surface tell; else as it is."""
    if file.area_px is None:
        return camera
    corners_px = _corners_px(file, (camera.width_px, camera.height_px))
    place = place_over(corners_px, sides_m, camera.focal_px, camera.centre_px, camera.distortion)
    if place is None:
        raise BadPhoto(f"{file.name}: no camera sees a surface of {sides_m[0]:g} x {sides_m[1]:g} m at its corners")
    away_m = float(np.linalg.norm(place.world_from_camera.position_m))
    return replace(camera, world_from_camera=(place.world_from_camera,) * len(camera.world_from_camera),
                   focus_m=Metres(away_m))  # fmt: skip


def _corners_px(file: PhotoFile, size: tuple[int, int]) -> Float64[np.ndarray, "4 2"]:
    """The corners of the work surface in the picture (width, height) that shows the photo's largest crop."""
    assert file.area_px is not None
    left, top, width, height = _largest(file, size[0] / size[1])
    return (np.array(file.area_px) - [left, top]) * [size[0] / width, size[1] / height]


def _crop_px(file: PhotoFile, aspect: float, part: float, place: tuple[float, float]) -> tuple[int, int, int, int]:
    """A rectangle of the picture's shape in the largest one of the photo's middle: left, top, width, height."""
    left, top, width, height = _largest(file, aspect)
    w, h = max(1, round(width * part)), max(1, round(height * part))
    return left + round((width - w) * place[0]), top + round((height - h) * place[1]), w, h


def _largest(file: PhotoFile, aspect: float) -> tuple[int, int, int, int]:
    width = min(file.width_px, max(1, round(file.height_px * aspect)))
    height = min(file.height_px, max(1, round(file.width_px / aspect)))
    return (file.width_px - width) // 2, (file.height_px - height) // 2, width, height


def _white(file: PhotoFile, exposure: LogUniform, gain: float) -> Vec3:
    """What a white card on the stage gives in the picture."""
    level = float(LUMINANCE @ np.asarray(file.median_rgb)) / MID_GREY
    white = min(max(level, exposure.low), exposure.high, 1.0) * gain
    tint = np.asarray(file.tint_rgb).clip(1 / MOST_TINT, MOST_TINT)
    return vec3(white * tint / (LUMINANCE @ tint))


def _bare(stage: StageSpec, photo: PhotoSpec, file: PhotoFile) -> StageSpec:
    """The stage with the photo, and with a plain top of the photo's colour, which parts mirror."""
    albedo = np.asarray(file.median_rgb) * photo.gain / np.asarray(photo.white_rgb)
    top = MaterialSpec(
        rgb=vec3(albedo.clip(DARKEST, BRIGHTEST)), metallic=0.0, roughness=1.0, texture="plain",
        texture_scale_m=Metres(0.01), contrast=0.0, texture_seed=0,
    )  # fmt: skip
    return replace(stage, photo=photo, top=top, sheets=())


def _through_the_crop(camera: CameraSpec, photo: PhotoSpec, file: PhotoFile) -> CameraSpec:
    """The camera of the largest crop as it sees through a smaller one, standing still.

    A mirror exchanges left and right of the picture, so it turns the camera's roll and the lens' decentring round.
    """
    size = (camera.width_px, camera.height_px)
    whole, crop = _largest(file, size[0] / size[1]), photo.crop_px
    zoom = whole[2] / crop[2]
    left, top = ((crop[k] - whole[k]) * size[k] / crop[2 + k] for k in (0, 1))  # of the crop, in pixels of the picture
    x, y = camera.centre_px[0] * zoom - left, camera.centre_px[1] * whole[3] / crop[3] - top
    x, y = round(2 * x) / 2, round(2 * y) / 2  # as the path tracer needs it behind an aperture
    first = camera.world_from_camera[0]
    if photo.mirrored:
        first = _mirrored(first) if file.area_px is None else _mirrored_with_the_stage(first)
    seen = replace(
        camera,
        focal_px=camera.focal_px * zoom,
        centre_px=(x, y),
        world_from_camera=(first,) * len(camera.world_from_camera),
        velocity_m_s=(0.0, 0.0, 0.0),
    )
    if not photo.mirrored:
        return seen
    k1, k2, p1, p2, k3 = camera.distortion
    return replace(seen, centre_px=(size[0] - x, y), distortion=(k1, k2, p1, -p2, k3))


def _mirrored(world_from_camera: Pose) -> Pose:
    """The camera whose picture of the level ground is the mirrored picture: of the same place, with the other roll."""
    rotation = rotation_matrix(world_from_camera.rotation_xyzw)
    aside = np.cross((0.0, 0.0, 1.0), rotation[:, 2])  # square to the upright plane through the optical axis
    if np.linalg.norm(aside) < STRAIGHT_DOWN:
        aside = rotation[:, 0]
    aside = aside / np.linalg.norm(aside)
    mirror = np.eye(3) - 2 * np.outer(aside, aside)
    return pose(mirror @ rotation @ np.diag([-1.0, 1.0, 1.0]), np.asarray(world_from_camera.position_m))


def _mirrored_with_the_stage(world_from_camera: Pose) -> Pose:
    """The camera whose picture of the level stage is the mirrored picture: the stage is the same when x is reversed."""
    mirror, rotation = np.diag([-1.0, 1.0, 1.0]), rotation_matrix(world_from_camera.rotation_xyzw)
    return pose(mirror @ rotation @ mirror, mirror @ np.asarray(world_from_camera.position_m))


def _matched(sensor: SensorSpec, card: Float64[np.ndarray, "3"], photo: PhotoSpec, file: PhotoFile) -> SensorSpec:
    """The sensor that shows a white card on the stage as the photo would; a grey photo is of a grey camera."""
    white = np.asarray(photo.white_rgb)
    level, of_card = float(LUMINANCE @ white), float(LUMINANCE @ card)
    return replace(
        sensor,
        exposure=level / of_card / sensor.gain,
        white_balance=vec3(white / level / (card / of_card)),
        saturation=0.0 if file.is_grey else sensor.saturation,
    )
