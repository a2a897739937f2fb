"""The key light, ambient light, lamps, surroundings and flicker."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from simgen.assets.surroundings import ambient
from simgen.scene.config import LightKnobs
from simgen.scene.sampling.lamps import draw_environment, draw_flicker, draw_lamps
from simgen.spec.colour import black_body
from simgen.spec.geometry import toward
from simgen.spec.knobs import Streams
from simgen.spec.scene import GlowSpec, LightSpec
from simgen.spec.types import Radians, Vec3


def _scaled(rgb: Vec3, gain: float) -> Vec3:
    return rgb[0] * gain, rgb[1] * gain, rgb[2] * gain


def draw_light(knobs: LightKnobs, rng: np.random.Generator) -> LightSpec:
    """The key light, the ambient light, and simple surroundings with glows."""
    elevation, azimuth = math.radians(knobs.elevation_deg.draw(rng)), math.radians(knobs.azimuth_deg.draw(rng))
    key = black_body(knobs.temperature_k.draw(rng))
    key_intensity, ambient_intensity = knobs.key_intensity.draw(rng), knobs.ambient_intensity.draw(rng)
    ambient = _scaled(black_body(knobs.ambient_temperature_k.draw(rng)), ambient_intensity)
    surroundings = [knobs.surroundings.draw(rng) for _ in range(2)]
    return LightSpec(
        direction=toward(elevation, azimuth),
        key_rgb=_scaled(key, key_intensity),
        ambient_rgb=ambient,
        shadow_strength=knobs.shadow_strength.draw(rng),
        source_angle_rad=Radians(math.radians(knobs.source_angle_deg.draw(rng))),
        occlusion_strength=knobs.occlusion_strength.draw(rng),
        horizon_rgb=_scaled(ambient, surroundings[0]),
        zenith_rgb=_scaled(ambient, surroundings[1]),
        glows=tuple(
            _draw_glow(knobs, key, key_intensity + ambient_intensity, rng) for _ in range(knobs.glow_count.draw(rng))
        ),
    )


def draw_more_light(light: LightSpec, knobs: LightKnobs, stream: Streams) -> LightSpec:
    """Add lamps, surroundings and flicker, if the preset has them. The draws of all other light stay the same."""
    if knobs.environment:
        environment = draw_environment(knobs.environment, stream("light.environment"))
        light = replace(light, environment=environment, ambient_rgb=ambient(environment))
    if knobs.lamps:
        light = replace(light, lamps=draw_lamps(knobs.lamps, stream("light.lamps")))
    if knobs.flicker:
        light = replace(light, flicker=draw_flicker(knobs.flicker, stream("light.flicker")))
    return light


def _draw_glow(knobs: LightKnobs, rgb: Vec3, intensity: float, rng: np.random.Generator) -> GlowSpec:
    return GlowSpec(
        azimuth_rad=Radians(float(rng.uniform(0, math.tau))),
        elevation_rad=Radians(float(rng.uniform(0.0, math.pi / 2))),
        width_rad=Radians(math.radians(knobs.glow_size_deg.draw(rng))),
        height_rad=Radians(math.radians(knobs.glow_size_deg.draw(rng))),
        radiance=_scaled(rgb, intensity * knobs.glow_intensity.draw(rng)),
    )
