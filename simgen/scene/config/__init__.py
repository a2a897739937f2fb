"""The config of a data set: what may vary, and how far. Here are the knobs' names, types, units, bounds and meanings.

The ranges themselves are in `presets/*.yaml`.

A group of knobs is a field of `SceneConfig`, and the field's name is the name of the random stream it draws from
(`simgen.scene.sampling.sample`). A wider range in one group therefore leaves the draws of all other groups the same.
Units are in the names: `_deg` degrees, `_m` metres, `_mm` millimetres, `_k` kelvin, `_px` pixels, `_s` seconds,
`_e` electrons.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, model_serializer, model_validator

from simgen.scene.config.bounds import Group, Knob, plain, share
from simgen.scene.config.camera import CameraKnobs, LensKnobs, ShutterKnobs
from simgen.scene.config.decoys import DecoyKnobs
from simgen.scene.config.light import EnvironmentKnobs, FlickerKnobs, LampKnobs, LightKnobs
from simgen.scene.config.looks import (
    ColourKnobs,
    FinishKnobs,
    MatterKnobs,
    MatterSurfaceKnobs,
    SurfaceKnobs,
    TextureKnobs,
)
from simgen.scene.config.parts import ClutterKnobs, KindKnobs, PartsKnobs
from simgen.scene.config.passing import PassingKnobs
from simgen.scene.config.photo import PhotoFile, PhotoKnobs
from simgen.scene.config.sensor import SensorKnobs
from simgen.scene.config.stage import BeltKnobs, BridgeKnobs, FeederKnobs, ScatterKnobs, StageKnobs, TrayKnobs
from simgen.spec.knobs import Uniform

__all__ = [
    "BeltKnobs",
    "BridgeKnobs",
    "CameraKnobs",
    "ClutterKnobs",
    "ColourKnobs",
    "DecoyKnobs",
    "EnvironmentKnobs",
    "FeederKnobs",
    "FinishKnobs",
    "FlickerKnobs",
    "Group",
    "KindKnobs",
    "LabelKnobs",
    "LampKnobs",
    "LateKnobs",
    "LensKnobs",
    "LightKnobs",
    "MatterKnobs",
    "MatterSurfaceKnobs",
    "PartsKnobs",
    "PassingKnobs",
    "PhotoFile",
    "PhotoKnobs",
    "RenderKnobs",
    "ScatterKnobs",
    "SceneConfig",
    "SensorKnobs",
    "ShutterKnobs",
    "StageKnobs",
    "SurfaceKnobs",
    "TextureKnobs",
    "TimingKnobs",
    "TrayKnobs",
]

LARGEST_RENDER_PX = 2**27  # width x height x supersample^2; a renderer takes some 50 bytes for each


class LateKnobs(Group):
    """Frames that are taken later than they are due, as of a camera that a program triggers."""

    share: Annotated[Uniform, Knob("share", 0, 1, "Share of the frames that are late; the first one never is.")] = (
        Uniform(0.1, 0.3)
    )
    by: Annotated[
        Uniform,
        Knob("", 0, 0.9, "How late a frame is, in intervals to the next one. The labels have the time at which it was "
             "taken.", "the next frame is due"),
    ] = Uniform(0.2, 0.9)  # fmt: skip


class TimingKnobs(Group):
    """How long a clip is, and when its frames are taken."""

    frames: Annotated[int, Knob("", 1, 1000, "Frames of a clip.", "a clip is held in memory")]
    frame_interval_s: Annotated[
        Uniform, Knob("s", 1e-4, 60, "Time from a frame to the next, 1 / frames per second.", "time runs forward")
    ]
    settle_s: Annotated[
        float, Knob("s", 0, 60, "Time in which the parts fall and come to rest, before the first frame.")
    ]
    frame_step_m: Annotated[
        Uniform | None,
        Knob("m", 1e-4, 100, "Run of the belt from a frame to the next, in place of frame_interval_s: an encoder "
             "triggers the camera. On a stage that stands still it does not count."),
    ] = None  # fmt: skip
    late: LateKnobs | None = None

    @model_serializer(mode="wrap")
    def _as_before(self, write: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """Without what is not given, so that the config of a preset without a trigger and late frames is as it was."""
        return {name: value for name, value in write(self).items() if value is not None}


def _power_of_two(count: int) -> int:
    if count & (count - 1):
        raise ValueError(f"needs a power of two (16, 32, 64, ...), got {count}")
    return count


class RenderKnobs(Group):
    """Which renderer, and how finely it draws."""

    renderer: Annotated[str, plain("A row of simgen.renderers.RENDERERS: tiny, pbr or pathtraced.")]
    supersample: Annotated[
        int, Knob("", 1, 4, "Samples along each side of a pixel; the cost grows with its square.", "each is drawn")
    ]
    samples: Annotated[
        int,
        Knob("", 1, 65536, "Paths for each pixel, of the renderer pathtraced; a power of two.", "each is traced"),
        AfterValidator(_power_of_two),
    ] = 32
    pathtraced_share: Annotated[float, share("Share of the scenes that pathtraced renders instead of renderer.")] = 0.0


class LabelKnobs(Group):
    """Labels beside boxes, ids, depth and poses."""

    flow: Annotated[bool, plain("Exact optical flow to the next frame too; it takes about as much disk as depth.")] = (
        False
    )


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
    decoys: DecoyKnobs | None = None

    @model_serializer(mode="wrap")
    def _as_before(self, write: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """Without decoys where there are none, so that the config of such a preset is as it always was."""
        return {name: value for name, value in write(self).items() if value is not None}

    @model_validator(mode="after")
    def _fits_in_memory(self) -> SceneConfig:
        camera, fine = self.camera, self.render.supersample
        pixels = camera.width_px * camera.height_px * fine * fine
        if pixels > LARGEST_RENDER_PX:
            raise ValueError(
                f"camera.width_px x camera.height_px x render.supersample^2 is {pixels}, at most {LARGEST_RENDER_PX}: "
                "a frame must fit in memory"
            )
        return self
