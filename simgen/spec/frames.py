"""The results of a scene: poses over time, frames, labels, a finished clip.

Units and frames are those of `simgen.spec.types`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float32, Float64, Int32, UInt8

from simgen.spec.scene import SceneSpec
from simgen.spec.types import Distortion, Pose


@dataclass(frozen=True)
class Trajectory:
    """Poses of P parts and O occluders at T moments, and what the work surface they lie on does meanwhile.

    Decoys follow the parts and count as such: `SceneSpec.solids`. Positions are in metres, rotations are quaternions
    xyzw.

    The moments are the spec's frames, or as many for each frame as its shutter has sub-frames
    (`simgen.camera.shutter`).
    """

    positions_m: Float32[np.ndarray, "t p 3"]
    rotations_xyzw: Float32[np.ndarray, "t p 4"]
    occluder_positions_m: Float32[np.ndarray, "t o 3"]
    times_s: Float64[np.ndarray, " t"] | None = None  # from the first frame on; None: every frame_interval_s
    surface_shifts_m: Float64[np.ndarray, " t"] | None = None  # of a belt, along +x since the first frame; None: still

    def surface_shift_m(self, moment: int) -> float:
        """How far the work surface has moved along +x since the first frame."""
        return 0.0 if self.surface_shifts_m is None else float(self.surface_shifts_m[moment])


@dataclass(frozen=True)
class Frame:
    """One rendered moment: linear light before the sensor, and ground truth for the same pixels.

    Every field but `linear` is ground truth, sampled at the pixels' centres. Lens and shutter move it with the light
    and never mix the values of two pixels. They use `dataclasses.replace` and `truth`, so that a new field is kept.

    On a photo (`StageSpec.photo`) `linear` has a fourth channel: the share of the photo's light that is seen in the
    pixel. It is 0 on a part, 1 on the bare ground, and between them in a shadow. The other three are then the light of
    parts and occluders alone.
    """

    linear: Float32[np.ndarray, "h w _"]
    depth_m: Float32[np.ndarray, "h w"]  # along the optical axis; inf where no surface is
    ids: Int32[np.ndarray, "h w"]  # index into SceneSpec.parts, or BACKGROUND, or CLUTTER
    normals: Float32[np.ndarray, "h w 3"] | None = None  # unit, in the world; 0 where no surface is; from pbr alone

    def truth(self) -> dict[str, np.ndarray]:
        """The ground truth by field name, without the fields that are None. Each array starts with h, w."""
        named = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "linear"}
        return {name: values for name, values in named.items() if values is not None}


@dataclass(frozen=True, kw_only=True)
class PartLabel:
    """One part in one frame. `box_xyxy_px` is around its visible pixels, None if it has none."""

    track_id: int  # index into SceneSpec.parts, the value in the id map
    category: str
    box_xyxy_px: tuple[float, float, float, float] | None
    amodal_box_xyxy_px: tuple[float, float, float, float] | None  # as if nothing covered it, clipped to the frame
    unclipped_box_xyxy_px: tuple[float, float, float, float] | None  # the same, not clipped; None behind the camera
    visible_share: float  # visible pixels / pixels of the whole part if nothing covered it and the frame had no edge
    visible_px: int
    camera_from_part: Pose


@dataclass(frozen=True, kw_only=True)
class FrameLabels:
    frame: int
    time_s: float
    parts: tuple[PartLabel, ...]
    world_from_camera: Pose


@dataclass(frozen=True)
class Labels:
    """The labels of a clip, as they are stored in its JSON."""

    width_px: int
    height_px: int
    focal_px: float
    centre_px: tuple[float, float]
    frames: tuple[FrameLabels, ...]
    distortion: Distortion = (0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class RenderedClip:
    """A finished clip, ready to be written: encoded images, and the truth as arrays."""

    spec: SceneSpec
    jpegs: tuple[bytes, ...]
    ids: Int32[np.ndarray, "t h w"]
    depth_m: Float32[np.ndarray, "t h w"]
    labels: Labels
    flow_px: Float32[np.ndarray, "t h w 2"] | None = None  # of simgen.labels.flow, if the config wants it


Image = UInt8[np.ndarray, "h w 3"]
