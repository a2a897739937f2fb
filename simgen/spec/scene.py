"""A scene in numbers: everything that decides one clip. Units are in the names, and are those of simgen.spec.types."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

from simgen.spec.text.stored import FLAT, stored_fields
from simgen.spec.types import Cycle, Distortion, Metres, Pose, Radians, Vec3


@dataclass(frozen=True, kw_only=True)
class SubstanceSpec:
    """How one point of a surface reflects light. `rgb` is a metal's reflectance at normal incidence, or an albedo."""

    rgb: Vec3
    metallic: float  # 0 dielectric .. 1 metal
    roughness: float  # perceptual roughness, 0 mirror .. 1 matt


@dataclass(frozen=True, kw_only=True)
class WearSpec:
    name: str  # a row of simgen.assets.materials.WEAR
    amount: float  # 0 none .. 1 the most


@dataclass(frozen=True, kw_only=True)
class WornSpec:
    """Traces of use: layers on one seamless tile, which all surfaces of one kind share in a scene."""

    layers: tuple[WearSpec, ...]
    side_m: Metres  # of the tile
    seed: int


@dataclass(frozen=True, kw_only=True)
class MatterSpec:
    """A procedural material: two substances and a relief from a seamless tile, an optional clear coat, and wear."""

    name: str  # a row of simgen.assets.materials.MATERIALS
    base: SubstanceSpec
    second: SubstanceSpec  # where the tile's mask is 1
    contrast: float  # how the tile's value changes the base's brightness
    gloss: float  # and its roughness: brighter is smoother
    relief: float  # slope of the tile's relief, root mean square
    anisotropy: float  # 0 .. 1: how much longer across the grooves than along them highlights are
    coat: float  # share of a clear coat's reflection, 0 none .. 1
    coat_roughness: float
    tile_m: Metres  # side of the tile
    wear: WornSpec
    seed: int


@dataclass(frozen=True, kw_only=True)
class MaterialSpec:
    """How a surface reflects light. For a metal `rgb` is the reflectance at normal incidence (F0), else the albedo."""

    rgb: Vec3
    metallic: float  # 0 dielectric .. 1 metal
    roughness: float  # perceptual roughness, 0 mirror .. 1 matt
    texture: str  # a row of simgen.renderers.textures.TEXTURES
    texture_scale_m: Metres  # size of the texture's largest feature
    contrast: float  # 0 plain .. 1 strong pattern
    texture_seed: int
    matter: MatterSpec | None = None  # pbr draws this instead; the fields above are then its mean


@dataclass(frozen=True, kw_only=True)
class LampSpec:
    """A lamp with a position, beside the key light."""

    kind: str  # "directional" | "spot" | "softbox"
    position_m: Vec3  # of its middle; a directional lamp has parallel rays in the direction from there
    toward: Vec3  # unit vector in which it shines
    up: Vec3  # unit vector along the softbox's height, square to `toward`
    size_m: tuple[float, float]  # of the softbox; else the diameter of the source, twice
    half_angle_rad: Radians  # of a spot's cone
    rgb: Vec3  # irradiance on a card that faces it at 1 m; of a directional lamp, anywhere


@dataclass(frozen=True, kw_only=True)
class EnvironmentSpec:
    """The surroundings as a picture, in place of horizon, zenith and glows."""

    name: str  # a row of simgen.assets.surroundings.ENVIRONMENTS, or "file"
    temperature_k: float  # of its lamps
    daylight_k: float  # of what comes through its windows
    rotation_rad: Radians  # about z
    intensity: float  # luminance of a level white card under it, by its own light alone
    seed: int
    file: str = ""  # a picture's path
    sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class FlickerSpec:
    """Flicker of lamps on the mains, at twice the mains frequency."""

    mains_hz: float
    depth: float  # share of the light, 0 .. 1: (highest - lowest) / (highest + lowest)
    exposure_s: float  # of a frame, over which the light is averaged; used if the shutter has no exposure time
    phase_rad: Radians  # at the start of the clip


@dataclass(frozen=True)
class FamilySize:
    """One size of a parametric family of parts."""

    kind: str  # a row of simgen.assets.parts.PARTS
    designation: str  # a size that the family knows, such as "M8x30"


@dataclass(frozen=True)
class MeshFile:
    """A part that was imported from a CAD file. Its content stands in the data set, found by its sha256."""

    name: str  # of the part, as it was imported
    mesh_sha256: str  # of the file's bytes (simgen.assets.cad.packed)
    mesh_scale: float | None = None  # how much larger than in the file; None: as large
    mesh_colours: bool | None = None  # whether the file's colours replace the finish's, where it has any; None: yes


@dataclass(frozen=True)
class Block:
    """A plain solid or a foreign thing, as decoys are."""

    block: str  # "box" | "cylinder", along z; or a row of simgen.assets.parts.things.THINGS
    block_size_m: Vec3  # full extents; a cylinder's diameter is x; all three are a thing's longest extent
    block_form: int | None = None  # of a thing: which of its shapes


# Where a part's shape comes from. The fields of each kind have names of their own, which tell stored parts apart.
PartSource = FamilySize | MeshFile | Block


@dataclass(frozen=True, kw_only=True)
class PartSpec:
    """A labelled part at its drop pose."""

    source: PartSource = field(metadata=FLAT)
    category: str
    mass_kg: float
    friction: float
    material: MaterialSpec
    world_from_part: Pose
    start_s: float | None = None  # when a feeder lets go of it, since the others fall; until then it is nowhere
    velocity_m_s: Vec3 | None = None  # at its start


@dataclass(frozen=True, kw_only=True)
class BodySpec:
    """An unlabelled body to be drawn. An occluder moves along `velocity_m_s`, or rides on the belt; others stand."""

    shape: str  # "box" | "cylinder"
    size_m: Vec3  # full extents; a cylinder's axis is z and its diameter is x
    material: MaterialSpec
    world_from_body: Pose
    velocity_m_s: Vec3
    friction: float | None = None  # of a solid one; None: parts pass through it
    rides: bool | None = None  # whether it goes with the work surface, and round with the belt


@dataclass(frozen=True, kw_only=True)
class SheetSpec:
    """A thin coloured rectangle (paper, mat, tape) lying on the table, later ones on top."""

    centre_m: tuple[float, float]
    size_m: tuple[float, float]
    yaw_rad: Radians
    rgb: Vec3


@dataclass(frozen=True, kw_only=True)
class PhotoSpec:
    """A photograph of the empty place, on which the rendered parts stand. Light is linear, 1 is full scale."""

    name: str  # of its file, for people
    photo_sha256: str  # of the file's bytes, by which they are found
    crop_px: tuple[int, int, int, int]  # what is shown of the upright photo: left, top, width, height
    mirrored: bool  # left and right exchanged, after the crop
    gain: float  # of the photo's light
    hue_rad: Radians  # by which its colours are turned
    white_rgb: Vec3  # what a white card on the stage gives in the finished picture
    local: float  # 0..1: how far the parts follow the photo's brightness where they lie


@dataclass(frozen=True, kw_only=True)
class StageSpec:
    """What the parts lie on: a table, a belt that runs along +x, a bin's floor. Its top is the plane z = 0."""

    size_m: tuple[float, float]
    thickness_m: Metres
    floor_below_m: Metres
    belt_speed_m_s: float  # 0 unless it is a belt
    top: MaterialSpec
    sides: MaterialSpec
    floor: MaterialSpec
    sheets: tuple[SheetSpec, ...]
    kind: str | None = None  # a row of simgen.scene.kinds.KINDS; None: a belt if it has a speed, else a table
    photo: PhotoSpec | None = None  # is shown in place of the stage and of all behind it
    cycle: Cycle | None = None  # of a belt that stops and goes; None: it runs evenly


@dataclass(frozen=True, kw_only=True)
class GlowSpec:
    """A bright patch of the surroundings that metal reflects: a window, a lamp, a softbox."""

    azimuth_rad: Radians
    elevation_rad: Radians
    width_rad: Radians
    height_rad: Radians
    radiance: Vec3


@dataclass(frozen=True, kw_only=True)
class LightSpec:
    direction: Vec3  # towards the key light, unit length
    key_rgb: Vec3  # irradiance of the key light on a surface that faces it
    ambient_rgb: Vec3  # irradiance from everywhere else
    shadow_strength: float  # share of the key light that a shadow takes away
    source_angle_rad: Radians  # the key light's angular diameter, which decides how soft shadows are
    occlusion_strength: float  # how dark the crevices are, 0..1
    horizon_rgb: Vec3  # radiance of the surroundings at eye level
    zenith_rgb: Vec3  # and overhead
    glows: tuple[GlowSpec, ...]
    lamps: tuple[LampSpec, ...] | None = None  # at most MAX_LAMPS
    environment: EnvironmentSpec | None = None
    flicker: FlickerSpec | None = None


@dataclass(frozen=True, kw_only=True)
class CameraSpec:
    """A camera with one pose for each frame. The defaults of the last fields are an ideal pinhole lens."""

    width_px: int
    height_px: int
    focal_px: float
    centre_px: tuple[float, float]  # principal point
    world_from_camera: tuple[Pose, ...]
    velocity_m_s: Vec3 = (0.0, 0.0, 0.0)  # of the camera in the world, while its shutter is open
    distortion: Distortion = (0.0, 0.0, 0.0, 0.0, 0.0)
    focal_length_m: Metres = field(default=Metres(0.0))  # over f_number: the aperture, on which defocus goes
    f_number: float = 0.0  # 0: everything is in focus
    focus_m: Metres = field(default=Metres(0.0))  # depth along the optical axis that is sharp


@dataclass(frozen=True, kw_only=True)
class ShutterSpec:
    """When the rows of a picture are exposed. A frame's time is the middle of its middle row's exposure."""

    exposure_s: float = 0.0  # of each row
    row_time_s: float = 0.0  # how much later than the row above it; 0 is a global shutter
    subframes: int = 1  # moments drawn for each frame, an odd number


@dataclass(frozen=True, kw_only=True)
class SensorSpec:
    """The camera's sensor and its processing. A field with a default is off by default; older data sets lack it."""

    exposure: float  # linear gain before the sensor
    white_balance: Vec3  # gain of each channel after the sensor
    vignetting: float  # loss of light in the corner, share
    blur_sigma_px: float  # lens and demosaicing
    motion_blur_px: float
    motion_angle_rad: Radians
    full_well_e: float  # electrons at white: shot noise is sqrt(signal * full_well) electrons
    read_noise_e: float
    denoise: float  # 0 none .. 1 strong: the camera's own smoothing
    sharpen: float
    saturation: float
    gamma: float  # exponent of the tone curve; 2.2 is close to sRGB's
    jpeg_quality: int
    seed: int
    gain: float = 1.0  # after the sensor: at 2, white is half a full well
    lateral_ca: tuple[float, float] = (0.0, 0.0)  # how much larger red and blue are drawn than green, share
    glare: float = 0.0  # light scattered over the whole picture, share
    crosstalk: float = 0.0  # share of a channel's light that is its neighbours'; the colour matrix takes it out
    demosaic: str = "none"  # three sensors; or a row of simgen.camera.sensor.bayer.DEMOSAIC, behind Bayer filters
    prnu: float = 0.0  # standard deviation of the pixels' response, share
    dsnu_e: float = 0.0  # standard deviation of the pixels' dark signal
    dark_current_e: float = 0.0  # in one frame
    hot_pixels: float = 0.0  # share of all pixels
    row_noise_e: float = 0.0
    black_level: float = 0.0  # the converter's code without light, share of its range
    adc_bits: int = 0  # 0: no converter, and the noise of all before it clipped at black and white
    video_crf: int = 0  # 1 fine .. 51 coarse: the clip went through H.264 at this rate factor; 0: single pictures


PATHTRACED = "pathtraced"  # this renderer draws defocus itself, and needs a number of samples and a seed


@dataclass(frozen=True, kw_only=True)
class RenderSpec:
    renderer: str  # a row of simgen.renderers.RENDERERS
    supersample: int  # geometry is drawn at this many times the camera's resolution
    samples: int | None = None  # paths for each pixel, for a path tracer
    seed: int | None = None  # of the paths


@dataclass(frozen=True, kw_only=True)
class SceneSpec:
    """Everything that decides one clip: numbers, no distributions. Bullet's result depends on the order of `parts`.

    >>> sample(load_config("tiny"), seed=7, index=41).camera.width_px
    96
    """

    index: int
    parts: tuple[PartSpec, ...]
    clutter: tuple[BodySpec, ...]
    occluders: tuple[BodySpec, ...]
    stage: StageSpec
    light: LightSpec
    camera: CameraSpec
    sensor: SensorSpec
    render: RenderSpec
    settle_s: float  # simulated before the first frame
    frame_interval_s: float
    shutter: ShutterSpec = ShutterSpec()
    walls: tuple[BodySpec, ...] | None = None  # of the scene's kind; in version 0.1 they are the last of the clutter
    decoys: tuple[PartSpec, ...] | None = None  # unlabelled things that fall among the parts, simulated after them
    attempt: int | None = None  # how often its parts were drawn before and fell wrongly; None: never
    frame_times_s: tuple[float, ...] | None = None  # since the first frame; None: one every `frame_interval_s`

    @property
    def fixtures(self) -> tuple[BodySpec, ...]:
        """The bodies that stand still: clutter, then walls."""
        return self.clutter + (self.walls or ())

    @property
    def solids(self) -> tuple[PartSpec, ...]:
        """All that falls: the parts, then the decoys. A trajectory has them in this order."""
        return self.parts + (self.decoys or ())

    @property
    def frames(self) -> int:
        return len(self.camera.world_from_camera)

    @property
    def times_s(self) -> tuple[float, ...]:
        """When each frame is taken, since the first one."""
        return self.frame_times_s or tuple(k * self.frame_interval_s for k in range(self.frames))

    def to_json(self) -> str:
        return json.dumps(self, default=stored_fields, sort_keys=True, allow_nan=False)

    @property
    def id(self) -> str:
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]
