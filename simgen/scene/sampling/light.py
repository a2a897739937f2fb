"""The key light, ambient light, lamps, surroundings and flicker."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from simgen.assets.surroundings import ambient
from simgen.scene.config import LightKnobs
from simgen.scene.sampling import lamps as sample_light
from simgen.spec.colour import black_body
from simgen.spec.geometry import toward
from simgen.spec.knobs import Streams
from simgen.spec.scene import GlowSpec, LightSpec
from simgen.spec.types import Radians, Vec3


def _times(rgb: Vec3, gain: float) -> Vec3:
    return rgb[0] * gain, rgb[1] * gain, rgb[2] * gain


def draw_light(knobs: LightKnobs, rng: np.random.Generator) -> LightSpec:
    elevation, azimuth = math.radians(knobs.elevation_deg.draw(rng)), math.radians(knobs.azimuth_deg.draw(rng))
    key = black_body(knobs.temperature_k.draw(rng))
    key_intensity, ambient_intensity = knobs.key_intensity.draw(rng), knobs.ambient_intensity.draw(rng)
    ambient = _times(black_body(knobs.ambient_temperature_k.draw(rng)), ambient_intensity)
    surroundings = [knobs.surroundings.draw(rng) for _ in range(2)]
    return LightSpec(
        direction=toward(elevation, azimuth),
        key_rgb=_times(key, key_intensity),
        ambient_rgb=ambient,
        shadow_strength=knobs.shadow_strength.draw(rng),
        source_angle_rad=Radians(math.radians(knobs.source_angle_deg.draw(rng))),
        occlusion_strength=knobs.occlusion_strength.draw(rng),
        horizon_rgb=_times(ambient, surroundings[0]),
        zenith_rgb=_times(ambient, surroundings[1]),
        glows=tuple(
            _glow(knobs, key, key_intensity + ambient_intensity, rng) for _ in range(knobs.glow_count.draw(rng))
        ),
    )


def draw_lamps(light: LightSpec, knobs: LightKnobs, stream: Streams) -> LightSpec:
    """Lamps, surroundings and flicker, where the preset has them; the draws of all other light stay as they are."""
    if knobs.environment:
        found = sample_light.environment(knobs.environment, stream("light.environment"))
        light = replace(light, environment=found, ambient_rgb=ambient(found))
    if knobs.lamps:
        light = replace(light, lamps=sample_light.lamps(knobs.lamps, stream("light.lamps")))
    if knobs.flicker:
        light = replace(light, flicker=sample_light.flicker(knobs.flicker, stream("light.flicker")))
    return light


def _glow(knobs: LightKnobs, rgb: Vec3, intensity: float, rng: np.random.Generator) -> GlowSpec:
    return GlowSpec(
        azimuth_rad=Radians(float(rng.uniform(0, math.tau))),
        elevation_rad=Radians(float(rng.uniform(0.0, math.pi / 2))),
        width_rad=Radians(math.radians(knobs.glow_size_deg.draw(rng))),
        height_rad=Radians(math.radians(knobs.glow_size_deg.draw(rng))),
        radiance=_times(rgb, intensity * knobs.glow_intensity.draw(rng)),
    )
