"""The camera's pose, lens, shutter and sensor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from simgen.assets import light as lighting
from simgen.camera.sensor.spectral import sensor_from_light
from simgen.scene.config import CameraKnobs, LensKnobs, SensorKnobs, ShutterKnobs
from simgen.spec.colour import LUMINANCE
from simgen.spec.geometry import look_at, toward, vec3
from simgen.spec.scene import CameraSpec, LightSpec, SensorSpec, ShutterSpec, StageSpec
from simgen.spec.types import Metres, Radians


def draw_camera(knobs: CameraKnobs, stage: StageSpec, times_s: Sequence[float], rng: np.random.Generator) -> CameraSpec:
    """A pinhole camera with a pose for each frame's time. It moves at a constant velocity."""
    elevation, azimuth = math.radians(knobs.elevation_deg.draw(rng)), math.radians(knobs.azimuth_deg.draw(rng))
    target = np.array([knobs.aim.draw(rng) * s / 2 for s in stage.size_m] + [knobs.height_above_m])
    distance_m = knobs.distance_m.draw(rng)
    eye = target + distance_m * np.array(toward(elevation, azimuth))
    roll, focal = math.radians(knobs.roll_deg.draw(rng)), knobs.focal_px.draw(rng)
    drift, heading = knobs.drift_m_s.draw(rng), rng.uniform(0, math.tau)
    velocity = drift * np.array([math.cos(heading), math.sin(heading), 0.0])
    up = np.array([0.0, 0.0, 1.0]) if elevation < 1.5 else np.array([0.0, 1.0, 0.0])
    side = np.cross(target - eye, up)
    up = up + math.tan(roll) * side / np.linalg.norm(side)
    poses = []
    for time_s in times_s:
        shift = velocity * time_s
        poses.append(look_at(vec3(eye + shift), vec3(target + shift), vec3(up)))
    return CameraSpec(
        width_px=knobs.width_px,
        height_px=knobs.height_px,
        focal_px=focal,
        centre_px=(knobs.width_px / 2, knobs.height_px / 2),
        world_from_camera=tuple(poses),
        velocity_m_s=vec3(velocity),
        focus_m=Metres(distance_m),
    )


def draw_lens(camera: CameraSpec, knobs: LensKnobs, rng: np.random.Generator) -> CameraSpec:
    """Add a lens to a camera that is in focus at its aim: distortion, aperture, and an error of the focus."""
    k1, k2, p1, p2, k3 = (knob.draw(rng) for knob in (knobs.k1, knobs.k2, knobs.p1, knobs.p2, knobs.k3))
    return replace(
        camera,
        distortion=(k1, k2, p1, p2, k3),
        focal_length_m=Metres(knobs.focal_length_mm.draw(rng) / 1000),
        f_number=knobs.f_number.draw(rng),
        focus_m=Metres(camera.focus_m + knobs.focus_offset_m.draw(rng)),
    )


def draw_shutter(knobs: ShutterKnobs, rng: np.random.Generator) -> ShutterSpec:
    """A rolling shutter, or a global one where a row time of 0 or below is drawn."""
    exposure_s, row_time_s = knobs.exposure_s.draw(rng), max(0.0, knobs.row_time_s.draw(rng))
    return ShutterSpec(exposure_s=exposure_s, row_time_s=row_time_s, subframes=knobs.subframes)


def draw_sensor(knobs: SensorKnobs, light: LightSpec, rng: np.random.Generator) -> SensorSpec:
    """The sensor. Exposure and white balance are those of a white card on the stage, with the knobs as errors."""
    card = lighting.card(light)
    errors = np.array([knobs.white_balance.draw(rng), 1.0, knobs.white_balance.draw(rng)])
    drawn = SensorSpec(
        exposure=knobs.exposure.draw(rng),  # of a white card, until the gain is known
        white_balance=vec3(errors),
        vignetting=knobs.vignetting.draw(rng),
        blur_sigma_px=knobs.blur_sigma_px.draw(rng),
        motion_blur_px=max(0.0, knobs.motion_blur_px.draw(rng)),
        motion_angle_rad=Radians(float(rng.uniform(0, math.pi))),
        full_well_e=knobs.full_well_e.draw(rng),
        read_noise_e=knobs.read_noise_e.draw(rng),
        denoise=knobs.denoise.draw(rng),
        sharpen=knobs.sharpen.draw(rng),
        saturation=knobs.saturation.draw(rng),
        gamma=knobs.gamma.draw(rng),
        jpeg_quality=knobs.jpeg_quality.draw(rng),
        seed=int(rng.integers(2**32)),
    )
    gain, share = knobs.gain.draw(rng), knobs.crosstalk.draw(rng)
    measured = sensor_from_light(share) @ card  # by the sensor's own filters, which the white balance corrects
    return replace(
        drawn,
        exposure=float(drawn.exposure / (LUMINANCE @ card)) / gain,
        white_balance=vec3(errors / (measured / (LUMINANCE @ card))),
        gain=gain,
        crosstalk=share,
        lateral_ca=(knobs.lateral_ca.draw(rng), knobs.lateral_ca.draw(rng)),
        glare=knobs.glare.draw(rng),
        demosaic=knobs.demosaic.draw(rng),
        prnu=knobs.prnu.draw(rng),
        dsnu_e=knobs.dsnu_e.draw(rng),
        dark_current_e=knobs.dark_current_e.draw(rng),
        hot_pixels=knobs.hot_pixels.draw(rng),
        row_noise_e=knobs.row_noise_e.draw(rng),
        black_level=knobs.black_level.draw(rng),
        adc_bits=knobs.adc_bits.draw(rng),
        video_crf=knobs.video_crf.draw(rng),
    )
