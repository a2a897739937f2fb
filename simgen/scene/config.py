"""The config of a data set: what may vary, and how far. Here are the knobs' names, types and bounds.

The ranges themselves are in `presets/*.yaml`.

A group of knobs is a field of `SceneConfig`, and the field's name is the name of the random stream it draws from
(`simgen.scene.sampling.sample`). A wider range in one group therefore leaves the draws of all other groups the same.
Units are in the names: `_deg` degrees, `_m` metres, `_mm` millimetres, `_k` kelvin, `_px` pixels, `_s` seconds,
`_e` electrons.
Colours are hue in degrees, saturation and value in 0..1 of the sRGB, as in a colour dialog.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from simgen.spec.knobs import Choice, IntRange, LogUniform, Uniform
from simgen.spec.types import MAX_LAMPS

Range = TypeVar("Range", Uniform, LogUniform)
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _within(low: float, high: float) -> AfterValidator:
    """Check that a range lies within another."""

    def check(knob: Range) -> Range:
        if not low <= knob.low <= knob.high <= high:
            raise ValueError(f"needs {low} <= low <= high <= {high}, got low={knob.low}, high={knob.high}")
        return knob

    return AfterValidator(check)


def _none_or_over(least: float) -> AfterValidator:
    """Check that a range is 0 to 0, which means off, or starts at `least` or above."""

    def check(knob: Uniform) -> Uniform:
        if (knob.low, knob.high) != (0, 0) and knob.low < least:
            raise ValueError(f"needs 0 to 0 (off), or low >= {least}, got low={knob.low}, high={knob.high}")
        return knob

    return AfterValidator(check)


def _few(knob: IntRange) -> IntRange:
    if knob.high > MAX_LAMPS:
        raise ValueError(f"needs at most {MAX_LAMPS} lamps, got high={knob.high}")
    return knob


Kelvin = Annotated[Uniform, _within(1667.0, 25000.0)]  # where `black_body` is defined


class ColourKnobs(Group):
    hue_deg: Uniform
    saturation: Uniform
    value: Uniform


class SurfaceKnobs(Group):
    """A surface: its colour, its gloss, and the pattern on it."""

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
    finishes: Choice | None = None  # rows of texture.finishes for this kind; None: all of them, by their own weights


class PartsKnobs(Group):
    """Which parts, how many, and how they are laid."""

    count: IntRange
    kinds: Annotated[dict[str, KindKnobs], Field(min_length=1)]
    density_kg_m3: LogUniform
    friction: Uniform
    standing_share: Uniform  # share of a scene's long parts that start upright, bolts on their head
    pile_share: Uniform  # share of a scene's parts that fall onto an earlier one, and then touch and overlap
    spread: Uniform  # share of the stage's length and width that parts are laid on


class StageKnobs(Group):
    """What the parts lie on: a bin's floor where there are walls, a belt where there is a speed, else a table."""

    length_m: Uniform
    width_m: Uniform
    thickness_m: Uniform
    floor_below_m: Uniform
    leg_m: Uniform  # thickness of the four legs; below 2 cm there are no legs, as under a belt
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
    """The look of the surfaces."""

    top: SurfaceKnobs
    sides: SurfaceKnobs
    floor: SurfaceKnobs
    clutter: SurfaceKnobs
    sheet_colour: ColourKnobs
    finishes: Annotated[dict[str, FinishKnobs], Field(min_length=1)]


class MatterSurfaceKnobs(Group):
    """Procedural materials for one kind of surface, in place of its plain colours and textures."""

    materials: Choice  # rows of simgen.assets.materials.MATERIALS
    wear: dict[str, Uniform] = {}  # rows of simgen.assets.materials.WEAR: amounts, 0..1; below 0: no such wear
    wear_size_m: Annotated[float, Field(gt=0.001, le=10.0)] = 0.1  # side of the wear's tile, after which it repeats


class MatterKnobs(Group):
    """Which surfaces have procedural materials. The others are as the group `texture` says."""

    parts: MatterSurfaceKnobs | None = None
    top: MatterSurfaceKnobs | None = None
    sides: MatterSurfaceKnobs | None = None
    floor: MatterSurfaceKnobs | None = None
    clutter: MatterSurfaceKnobs | None = None


class ClutterKnobs(Group):
    """Unlabelled bodies around the stage, and occluders between camera and parts."""

    count: IntRange
    size_m: LogUniform
    ring_m: Uniform  # distance from the stage's edge
    bands: IntRange = IntRange(low=0, high=0)  # of other colours around each body
    occluders: IntRange
    occluder_size_m: LogUniform
    occluder_height_m: Uniform
    occluder_speed_m_s: Uniform


class LampKnobs(Group):
    """Lamps beside the key light. They stand around the stage and are aimed at it."""

    count: Annotated[IntRange, AfterValidator(_few)]
    kinds: Choice  # "directional" | "spot" | "softbox"
    distance_m: LogUniform
    elevation_deg: Annotated[Uniform, _within(-90.0, 90.0)]
    azimuth_deg: Uniform
    intensity: LogUniform  # irradiance in the middle of the stage, of a card that faces the lamp
    temperature_k: Kelvin
    size_m: LogUniform  # sides of a softbox; a fifth of it is the diameter of another lamp
    half_angle_deg: Annotated[Uniform, _within(1.0, 85.0)]  # of a spot's cone
    aim_m: Uniform  # offset of the aim from the middle of the stage, in x and in y


class EnvironmentKnobs(Group):
    """Surroundings as a picture, instead of `surroundings` and glows. It gives the ambient light too."""

    kinds: Choice  # rows of simgen.assets.surroundings.ENVIRONMENTS, or "file": one of `folder`
    intensity: LogUniform  # luminance of a level white card under it
    temperature_k: Kelvin
    daylight_k: Kelvin
    rotation_deg: Uniform
    folder: str = ""  # of .hdr and .exr files


class FlickerKnobs(Group):
    """Lamps on the mains."""

    mains_hz: Choice  # "50" | "60"
    depth: Annotated[Uniform, _within(0.0, 1.0)]  # (highest - lowest) / (highest + lowest)
    exposure_s: LogUniform  # used if `shutter` has no exposure time


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
    glow_count: IntRange  # bright patches that metal reflects
    glow_intensity: LogUniform
    glow_size_deg: Uniform
    surroundings: Uniform  # radiance at eye level, as a share of the ambient light
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
    gain: Annotated[LogUniform, _within(0.1, 100.0)]  # higher: less light at the same `exposure`, so more noise
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
    """The lens; all 0 is an ideal pinhole. Distortion is Brown and Conrady's, with OpenCV's coefficients."""

    k1: Annotated[Uniform, _within(-2.0, 2.0)]
    k2: Annotated[Uniform, _within(-5.0, 5.0)]
    k3: Annotated[Uniform, _within(-10.0, 10.0)]
    p1: Annotated[Uniform, _within(-0.1, 0.1)]
    p2: Annotated[Uniform, _within(-0.1, 0.1)]
    focal_length_mm: Annotated[Uniform, _within(0.1, 2000.0)]  # with the f-number it gives the aperture's width
    f_number: Annotated[Uniform, _within(0.0, 128.0), _none_or_over(0.5)]  # 0: everything is in focus
    focus_offset_m: Annotated[Uniform, _within(-100.0, 100.0)]  # the sharp plane is so far behind the aim


def _odd(count: int) -> int:
    if count % 2 == 0:
        raise ValueError(f"needs an odd number, of which one is the middle, got {count}")
    return count


class ShutterKnobs(Group):
    """When rows are exposed: each for `exposure_s`, starting `row_time_s` after the row above."""

    exposure_s: Annotated[Uniform, _within(0.0, 10.0)]
    row_time_s: Annotated[Uniform, _within(-0.01, 0.01)]  # at and below 0: a global shutter
    subframes: Annotated[int, Field(ge=1, le=255), AfterValidator(_odd)]  # moments rendered for each frame

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
    samples: Annotated[int, Field(ge=1, le=65536), AfterValidator(_power_of_two)] = 32  # pathtraced: paths per pixel
    pathtraced_share: Share = 0.0  # of the scenes that `pathtraced` renders instead of `renderer`


class LabelKnobs(Group):
    """Labels beside boxes, ids, depth and poses."""

    flow: bool = False  # exact optical flow to the next frame; takes about as much disk as depth


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
