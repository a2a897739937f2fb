"""What may vary, and how far. Ranges live in `presets/*.yaml`; here stand their names, types and bounds.

A group of knobs is a field of `SceneConfig`, and the field's name is the name of the random stream it draws from
(`simgen.sample`), so widening one group's ranges leaves the draws of all others as they were.
Units are in the names: `_deg` degrees, `_m` metres, `_mm` millimetres, `_k` kelvin, `_px` pixels, `_s` seconds,
`_e` electrons.
Colours are hue in degrees, saturation and value in 0..1 of the sRGB that a person would pick in a colour dialog.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from simgen.knobs import Choice, IntRange, LogUniform, Uniform

Range = TypeVar("Range", Uniform, LogUniform)
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ColourKnobs(Group):
    hue_deg: Uniform
    saturation: Uniform
    value: Uniform


class SurfaceKnobs(Group):
    """A surface: its colour, how it shines, and the pattern on it."""

    colour: ColourKnobs
    metallic: Uniform
    roughness: Uniform
    texture: Choice  # rows of simgen.render.textures.TEXTURES
    texture_scale_m: LogUniform
    contrast: Uniform


class FinishKnobs(SurfaceKnobs):
    weight: Annotated[float, Field(ge=0.0)]


class KindKnobs(Group):
    weight: Annotated[float, Field(ge=0.0)]
    diameter_mm: Uniform
    length_mm: Uniform  # ignored by kinds without a length


class PartsKnobs(Group):
    """Which parts, how many, and how they are let go."""

    count: IntRange
    kinds: Annotated[dict[str, KindKnobs], Field(min_length=1)]
    density_kg_m3: LogUniform
    friction: Uniform
    standing_share: Uniform  # share of a scene's bolts that stand on their head
    pile_share: Uniform  # share of a scene's parts that are dropped beside an earlier one: touching, overlapping
    spread: Uniform  # share of the stage that the parts are scattered over


class StageKnobs(Group):
    """A table (belt_speed_m_s 0) or a belt that runs along +x."""

    length_m: Uniform
    width_m: Uniform
    thickness_m: Uniform
    floor_below_m: Uniform
    leg_m: Uniform  # how thick the four legs are; under 2 cm there are none, as under a belt
    belt_speed_m_s: Uniform
    sheets: Choice  # "none" | "scattered" | "covering"
    sheet_count: IntRange
    sheet_size_m: Uniform


class TextureKnobs(Group):
    """What the surfaces look like."""

    top: SurfaceKnobs
    sides: SurfaceKnobs
    floor: SurfaceKnobs
    clutter: SurfaceKnobs
    sheet_colour: ColourKnobs
    finishes: Annotated[dict[str, FinishKnobs], Field(min_length=1)]


class ClutterKnobs(Group):
    """Unlabelled things round the stage, and occluders between camera and parts."""

    count: IntRange
    size_m: LogUniform
    ring_m: Uniform  # distance from the stage's edge
    bands: IntRange = IntRange(low=0, high=0)  # sleeves of other colours round each
    occluders: IntRange
    occluder_size_m: LogUniform
    occluder_height_m: Uniform
    occluder_speed_m_s: Uniform


class LightKnobs(Group):
    elevation_deg: Uniform
    azimuth_deg: Uniform
    temperature_k: Uniform
    key_intensity: Uniform
    ambient_intensity: Uniform
    ambient_temperature_k: Uniform
    shadow_strength: Uniform
    source_angle_deg: Uniform
    occlusion_strength: Uniform
    glow_count: IntRange  # bright patches that metal mirrors
    glow_intensity: LogUniform
    glow_size_deg: Uniform
    surroundings: Uniform  # radiance at eye level, of the ambient light's


class CameraKnobs(Group):
    width_px: Annotated[int, Field(ge=16, le=8192)]
    height_px: Annotated[int, Field(ge=16, le=8192)]
    focal_px: Uniform
    distance_m: Uniform
    elevation_deg: Uniform
    azimuth_deg: Uniform
    roll_deg: Uniform
    aim: Uniform  # where the camera looks, as a share of the stage's half size
    drift_m_s: Uniform  # how fast the camera moves sideways
    height_above_m: Annotated[float, Field(ge=0.0)]  # the aim's height over the stage


def _within(low: float, high: float) -> AfterValidator:
    """A range that must lie in another, told as every other wrong value is."""

    def check(knob: Range) -> Range:
        if not low <= knob.low <= knob.high <= high:
            raise ValueError(f"needs {low} <= low <= high <= {high}, got low={knob.low}, high={knob.high}")
        return knob

    return AfterValidator(check)


def _bits(knob: IntRange) -> IntRange:
    if knob.high != 0 and not 8 <= knob.low <= knob.high <= 16:
        raise ValueError(f"needs 0 (no converter), or a range in 8..16, got low={knob.low}, high={knob.high}")
    return knob


class SensorKnobs(Group):
    exposure: LogUniform
    white_balance: Uniform  # gain of red and of blue against green
    vignetting: Uniform
    blur_sigma_px: Uniform
    motion_blur_px: Uniform
    full_well_e: LogUniform
    read_noise_e: LogUniform
    denoise: Uniform
    sharpen: Uniform
    saturation: Uniform
    gamma: Uniform
    jpeg_quality: IntRange
    gain: Annotated[LogUniform, _within(0.1, 100.0)]  # less light to the same `exposure`: more noise
    lateral_ca: Annotated[Uniform, _within(-0.01, 0.01)]  # magnification of red and of blue against green
    glare: Annotated[Uniform, _within(0.0, 1.0)]
    crosstalk: Annotated[Uniform, _within(0.0, 0.4)]
    demosaic: Choice  # "none", or rows of simgen.sensor.bayer.DEMOSAIC
    prnu: Annotated[Uniform, _within(0.0, 0.5)]
    dsnu_e: Annotated[Uniform, _within(0.0, 1e6)]
    dark_current_e: Annotated[Uniform, _within(0.0, 1e6)]  # in one frame
    hot_pixels: Annotated[Uniform, _within(0.0, 0.1)]  # share of all pixels
    row_noise_e: Annotated[Uniform, _within(0.0, 1e6)]
    black_level: Annotated[Uniform, _within(0.0, 0.25)]
    adc_bits: Annotated[IntRange, AfterValidator(_bits)]  # 0: no converter


class TimingKnobs(Group):
    frames: Annotated[int, Field(ge=1, le=1000)]
    frame_interval_s: Uniform
    settle_s: Annotated[float, Field(ge=0.0, le=60.0)]


class RenderKnobs(Group):
    renderer: str  # a row of simgen.render.RENDERERS
    supersample: Annotated[int, Field(ge=1, le=4)]


class SceneConfig(Group):
    """Everything that decides a data set beside its seed and its number of scenes."""

    parts: PartsKnobs
    stage: StageKnobs
    texture: TextureKnobs
    clutter: ClutterKnobs
    light: LightKnobs
    camera: CameraKnobs
    sensor: SensorKnobs
    timing: TimingKnobs
    render: RenderKnobs
