"""What may vary, and how far. Ranges live in `presets/*.yaml`; here stand their names, types and bounds.

A group of knobs is a field of `SceneConfig`, and the field's name is the name of the random stream it draws from
(`simgen.scene.sampling.sample`), so widening one group's ranges leaves the draws of all others as they were.
Units are in the names: `_deg` degrees, `_m` metres, `_mm` millimetres, `_k` kelvin, `_px` pixels, `_s` seconds,
`_e` electrons.
Colours are hue in degrees, saturation and value in 0..1 of the sRGB that a person would pick in a colour dialog.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from simgen.spec.knobs import Choice, IntRange, LogUniform, Uniform
from simgen.spec.scene import MAX_LAMPS

Range = TypeVar("Range", Uniform, LogUniform)
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _within(low: float, high: float) -> AfterValidator:
    """A range that must lie in another, told as every other wrong value is."""

    def check(knob: Range) -> Range:
        if not low <= knob.low <= knob.high <= high:
            raise ValueError(f"needs {low} <= low <= high <= {high}, got low={knob.low}, high={knob.high}")
        return knob

    return AfterValidator(check)


def _none_or_over(least: float) -> AfterValidator:
    """A range that is 0 to 0, which is off, or begins at `least`."""

    def check(knob: Uniform) -> Uniform:
        if (knob.low, knob.high) != (0, 0) and knob.low < least:
            raise ValueError(f"needs 0 to 0 (off), or low >= {least}, got low={knob.low}, high={knob.high}")
        return knob

    return AfterValidator(check)


def _few(knob: IntRange) -> IntRange:
    if knob.high > MAX_LAMPS:
        raise ValueError(f"needs at most {MAX_LAMPS} lamps, got high={knob.high}")
    return knob


Kelvin = Annotated[Uniform, _within(1667.0, 25000.0)]  # the Planckian locus is known there: see black_body


class ColourKnobs(Group):
    hue_deg: Uniform
    saturation: Uniform
    value: Uniform


class SurfaceKnobs(Group):
    """A surface: its colour, how it shines, and the pattern on it."""

    colour: ColourKnobs
    metallic: Annotated[Uniform, _within(0.0, 1.0)]
    roughness: Annotated[Uniform, _within(0.0, 1.0)]
    texture: Choice  # rows of simgen.renderers.textures.TEXTURES
    texture_scale_m: LogUniform
    contrast: Uniform


class FinishKnobs(SurfaceKnobs):
    weight: Annotated[float, Field(ge=0.0)]


class KindKnobs(Group):
    weight: Annotated[float, Field(ge=0.0)]
    diameter_mm: Uniform
    length_mm: Uniform  # ignored by kinds without a length
    finishes: Choice | None = None  # rows of texture.finishes for this kind; none: all of them, by their own weights


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
    """What the parts lie on: a bin's floor where there are walls, a belt where there is a speed, else a table."""

    length_m: Uniform
    width_m: Uniform
    thickness_m: Uniform
    floor_below_m: Uniform
    leg_m: Uniform  # how thick the four legs are; under 2 cm there are none, as under a belt
    wall_height_m: Annotated[Uniform, _within(0.0, 2.0), _none_or_over(0.001)]  # above 0: a bin
    wall_thickness_m: Annotated[Uniform, _within(0.0005, 0.5)]
    belt_speed_m_s: Uniform  # along +x; not 0 to 0: a belt
    sheets: Choice  # "none" | "scattered" | "covering"
    sheet_count: IntRange
    sheet_size_m: Uniform

    @model_validator(mode="after")
    def _a_bin_stands_still(self) -> StageKnobs:
        if self.wall_height_m.high > 0 and (self.belt_speed_m_s.low, self.belt_speed_m_s.high) != (0, 0):
            raise ValueError("a stage with walls stands still: set wall_height_m or belt_speed_m_s to 0 to 0")
        return self


class TextureKnobs(Group):
    """What the surfaces look like."""

    top: SurfaceKnobs
    sides: SurfaceKnobs
    floor: SurfaceKnobs
    clutter: SurfaceKnobs
    sheet_colour: ColourKnobs
    finishes: Annotated[dict[str, FinishKnobs], Field(min_length=1)]


class MatterSurfaceKnobs(Group):
    """Procedural materials for one kind of surface, in place of its plain colours and textures."""

    materials: Choice  # rows of simgen.assets.materials.MATERIALS
    wear: dict[str, Uniform] = {}  # rows of simgen.assets.materials.WEAR: amounts, 0..1; below 0: none
    wear_size_m: Annotated[float, Field(gt=0.001, le=10.0)] = 0.1  # after which its pattern repeats


class MatterKnobs(Group):
    """Which surfaces are of procedural materials; what is not named stays as `texture` says."""

    parts: MatterSurfaceKnobs | None = None
    top: MatterSurfaceKnobs | None = None
    sides: MatterSurfaceKnobs | None = None
    floor: MatterSurfaceKnobs | None = None
    clutter: MatterSurfaceKnobs | None = None


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


class LampKnobs(Group):
    """Lamps beside the key light, aimed at the stage from round it."""

    count: Annotated[IntRange, AfterValidator(_few)]
    kinds: Choice  # "directional" | "spot" | "softbox"
    distance_m: LogUniform
    elevation_deg: Annotated[Uniform, _within(-90.0, 90.0)]
    azimuth_deg: Uniform
    intensity: LogUniform  # irradiance in the middle of the stage, of a card that faces the lamp
    temperature_k: Kelvin
    size_m: LogUniform  # sides of a softbox; a fifth of it is the diameter of another lamp
    half_angle_deg: Annotated[Uniform, _within(1.0, 85.0)]  # of a spot's cone
    aim_m: Uniform  # how far from the middle of the stage it points, in x and in y


class EnvironmentKnobs(Group):
    """The surroundings as a picture, in place of `surroundings` and glows; the ambient light is its own."""

    kinds: Choice  # rows of simgen.assets.surroundings.ENVIRONMENTS, or "file": one of `folder`
    intensity: LogUniform  # luminance of a white card lying under it
    temperature_k: Kelvin
    daylight_k: Kelvin
    rotation_deg: Uniform
    folder: str = ""  # of .hdr and .exr files


class FlickerKnobs(Group):
    """Lamps on the mains."""

    mains_hz: Choice  # "50" | "60"
    depth: Annotated[Uniform, _within(0.0, 1.0)]  # (highest - lowest) / (highest + lowest)
    exposure_s: LogUniform  # where `shutter` says nothing


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
    lamps: LampKnobs | None = None
    environment: EnvironmentKnobs | None = None
    flicker: FlickerKnobs | None = None


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


def _bits(knob: IntRange) -> IntRange:
    if knob.high != 0 and not 8 <= knob.low <= knob.high <= 16:
        raise ValueError(f"needs 0 (no converter), or a range in 8..16, got low={knob.low}, high={knob.high}")
    return knob


def _crf(knob: IntRange) -> IntRange:
    if knob.high > 51:
        raise ValueError(f"needs 0 (no video), or a range in 1..51, got low={knob.low}, high={knob.high}")
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
    demosaic: Choice  # "none", or rows of simgen.camera.sensor.bayer.DEMOSAIC
    prnu: Annotated[Uniform, _within(0.0, 0.5)]
    dsnu_e: Annotated[Uniform, _within(0.0, 1e6)]
    dark_current_e: Annotated[Uniform, _within(0.0, 1e6)]  # in one frame
    hot_pixels: Annotated[Uniform, _within(0.0, 0.1)]  # share of all pixels
    row_noise_e: Annotated[Uniform, _within(0.0, 1e6)]
    black_level: Annotated[Uniform, _within(0.0, 0.25)]
    adc_bits: Annotated[IntRange, AfterValidator(_bits)]  # 0: no converter
    video_crf: Annotated[IntRange, AfterValidator(_crf)]  # 0: no video


class LensKnobs(Group):
    """An ideal lens, a pinhole, where all of it is 0. Distortion is Brown and Conrady's, with OpenCV's coefficients."""

    k1: Annotated[Uniform, _within(-2.0, 2.0)]
    k2: Annotated[Uniform, _within(-5.0, 5.0)]
    k3: Annotated[Uniform, _within(-10.0, 10.0)]
    p1: Annotated[Uniform, _within(-0.1, 0.1)]
    p2: Annotated[Uniform, _within(-0.1, 0.1)]
    focal_length_mm: Annotated[Uniform, _within(0.1, 2000.0)]  # with the f-number the width of the aperture
    f_number: Annotated[Uniform, _within(0.0, 128.0), _none_or_over(0.5)]  # 0: everything is in focus
    focus_offset_m: Annotated[Uniform, _within(-100.0, 100.0)]  # what is sharp lies so far behind what is aimed at


def _odd(count: int) -> int:
    if count % 2 == 0:
        raise ValueError(f"needs an odd number, of which one is the middle, got {count}")
    return count


class ShutterKnobs(Group):
    """When the rows of a picture see light: each for `exposure_s`, and `row_time_s` after the row above it."""

    exposure_s: Annotated[Uniform, _within(0.0, 10.0)]
    row_time_s: Annotated[Uniform, _within(-0.01, 0.01)]  # at and below 0: a global shutter
    subframes: Annotated[int, Field(ge=1, le=255), AfterValidator(_odd)]  # moments drawn for each frame

    @model_validator(mode="after")
    def _moments(self) -> ShutterKnobs:
        if self.subframes == 1 and (self.exposure_s.high > 0 or self.row_time_s.high > 0):
            raise ValueError("where exposure or row time is above 0 subframes must be 3 or more: one moment shows none")
        return self


class TimingKnobs(Group):
    frames: Annotated[int, Field(ge=1, le=1000)]
    frame_interval_s: Uniform
    settle_s: Annotated[float, Field(ge=0.0, le=60.0)]


def _power_of_two(count: int) -> int:
    if count & (count - 1):
        raise ValueError(f"needs a power of two (16, 32, 64, ...), got {count}")
    return count


class RenderKnobs(Group):
    renderer: str  # a row of simgen.renderers.RENDERERS
    supersample: Annotated[int, Field(ge=1, le=4)]
    samples: Annotated[int, Field(ge=1, le=65536), AfterValidator(_power_of_two)] = 32  # of pathtraced: paths a pixel
    pathtraced_share: Share = 0.0  # of the scenes that `pathtraced` draws in place of `renderer`


class LabelKnobs(Group):
    """What is written beside boxes, ids, depth and poses."""

    flow: bool = False  # optical flow to the next frame: exact, and about as much disk again as depth


class SceneConfig(Group):
    """Everything that decides a data set, apart from its seed and its number of scenes. It holds distributions.

    >>> config = load_config("tiny")
    >>> config.timing.frames, sorted(config.parts.kinds)
    (2, ['hex_bolt', 'hex_nut', 'hex_screw', 'washer'])
    """

    parts: PartsKnobs
    stage: StageKnobs
    texture: TextureKnobs
    clutter: ClutterKnobs
    light: LightKnobs
    camera: CameraKnobs
    lens: LensKnobs
    shutter: ShutterKnobs
    sensor: SensorKnobs
    timing: TimingKnobs
    render: RenderKnobs
    matter: MatterKnobs = MatterKnobs()
    labels: LabelKnobs = LabelKnobs()
