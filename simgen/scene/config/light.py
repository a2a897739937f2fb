"""Knobs of the light: key light, ambient light, lamps, surroundings and flicker."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import model_validator

from simgen.scene.config.bounds import Group, Knob, count, kelvin, plain, share, turn
from simgen.spec.knobs import Choice, IntRange, LogUniform, Uniform
from simgen.spec.types import MAX_LAMPS

_BRIGHT = "1 is the light that makes a white card white"


class LampKnobs(Group):
    """Lamps beside the key light. They stand around the stage and are aimed at it."""

    count: Annotated[IntRange, count("Lamps beside the key light.", MAX_LAMPS, "the renderers take no more lamps")]
    kinds: Annotated[Choice, plain("Kind of lamp: directional, spot or softbox.")]
    distance_m: Annotated[LogUniform, Knob("m", 0.01, 100, "Distance of a lamp from the middle of the stage.")]
    elevation_deg: Annotated[Uniform, Knob("deg", -90, 90, "Angle of a lamp over the stage; 90 is straight above.")]
    azimuth_deg: Annotated[Uniform, turn("Direction of a lamp around the stage; 0 is +x.")]
    intensity: Annotated[
        LogUniform,
        Knob("", 1e-6, 1e6, "Irradiance in the middle of the stage, of a card that faces the lamp.", _BRIGHT),
    ]
    temperature_k: Annotated[Uniform, kelvin("Colour temperature of a lamp.")]
    size_m: Annotated[
        LogUniform, Knob("m", 1e-4, 20, "Sides of a softbox; a fifth of it is the diameter of another lamp.")
    ]
    half_angle_deg: Annotated[Uniform, Knob("deg", 1, 85, "Half the opening of a spot's cone.")]
    aim_m: Annotated[Uniform, Knob("m", -50, 50, "Offset of a lamp's aim from the middle of the stage, in x and in y.")]


class EnvironmentKnobs(Group):
    """Surroundings as a picture, instead of `surroundings` and glows. It gives the ambient light too."""

    kinds: Annotated[Choice, plain('Surroundings: rows of simgen.assets.surroundings.ENVIRONMENTS, or "file".')]
    intensity: Annotated[LogUniform, Knob("", 1e-6, 1e6, "Luminance of a level white card under it.", _BRIGHT)]
    temperature_k: Annotated[Uniform, kelvin("Colour temperature of the room's lamps.")]
    daylight_k: Annotated[Uniform, kelvin("Colour temperature of the daylight in the windows.")]
    rotation_deg: Annotated[Uniform, turn("How far the surroundings are turned about the vertical.")]
    folder: Annotated[str, plain('Folder of .hdr and .exr files, for the kind "file".')] = ""


class FlickerKnobs(Group):
    """Lamps on the mains."""

    mains_hz: Annotated[Choice, plain("Frequency of the mains: 50 or 60.", "Hz")]
    depth: Annotated[Uniform, share("Depth of the flicker: (highest - lowest) / (highest + lowest).")]
    exposure_s: Annotated[LogUniform, Knob("s", 1e-6, 10, "Exposure time, where the group shutter has none.")]


class LightKnobs(Group):
    """The key light, which casts shadows, and all other light."""

    elevation_deg: Annotated[
        Uniform,
        Knob("deg", 0, 90, "Angle of the key light over the stage; 90 is straight above.",
             "from below the stage it lights no part"),
    ]  # fmt: skip
    azimuth_deg: Annotated[Uniform, turn("Direction of the key light around the stage; 0 is +x.")]
    temperature_k: Annotated[Uniform, kelvin("Colour temperature of the key light.")]
    key_intensity: Annotated[
        Uniform, Knob("", 0, 1e6, "Irradiance by the key light, of a card that faces it.", _BRIGHT)
    ]
    ambient_intensity: Annotated[Uniform, Knob("", 0, 1e6, "Irradiance by the ambient light, from above.", _BRIGHT)]
    ambient_temperature_k: Annotated[Uniform, kelvin("Colour temperature of the ambient light.")]
    shadow_strength: Annotated[Uniform, share("How much of the key light a shadow takes away.")]
    source_angle_deg: Annotated[
        Uniform, Knob("deg", 0, 150, "Diameter of the key light as seen from the stage; larger: softer shadows.")
    ]
    occlusion_strength: Annotated[Uniform, share("How much darker it is in corners and under parts.")]
    glow_count: Annotated[IntRange, count("Bright patches around the scene, which metal reflects.", 100)]
    glow_intensity: Annotated[
        LogUniform, Knob("", 1e-6, 1e6, "Radiance of such a patch, relative to key and ambient light.", _BRIGHT)
    ]
    glow_size_deg: Annotated[Uniform, Knob("deg", 0.1, 180, "Width and height of such a patch.")]
    surroundings: Annotated[
        Uniform,
        Knob("", 0, 1000, "Radiance at eye level and overhead, relative to the ambient light.", "0 is black, 1 even"),
    ]
    lamps: LampKnobs | None = None
    environment: EnvironmentKnobs | None = None
    flicker: FlickerKnobs | None = None

    @model_validator(mode="after")
    def _something_shines(self) -> LightKnobs:
        key = self.key_intensity.high * math.sin(math.radians(self.elevation_deg.high))
        others = self.environment or (self.lamps and self.lamps.count.low > 0)
        if key + self.ambient_intensity.high <= 0 and not others:
            raise ValueError("nothing shines: key_intensity or ambient_intensity needs a high above 0")
        return self
