"""Knobs of the camera: its place and field of view, its lens and its shutter."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from simgen.scene.config.bounds import Group, Knob, none_or_over, turn
from simgen.spec.knobs import Uniform

_SIDE = "images of smaller and larger sides are not made"
_FOLDS = "with more the picture folds over itself"
UNSET = Uniform(low=0.0, high=0.0)  # a focal length that `hfov_deg` decides


class CameraKnobs(Group):
    """Where the camera stands and how much it sees. Of `focal_px` and `hfov_deg` one is given."""

    width_px: Annotated[int, Knob("px", 16, 8192, "Width of the picture.", _SIDE)]
    height_px: Annotated[int, Knob("px", 16, 8192, "Height of the picture.", _SIDE)]
    focal_px: Annotated[
        Uniform, Knob("px", 1, 1e6, "Focal length in pixels: the picture's width / (2 tan(hfov / 2)).")
    ] = UNSET
    hfov_deg: Annotated[
        Uniform | None,
        Knob("deg", 0.05, 175, "Horizontal field of view, instead of focal_px; it holds for any resolution."),
        Field(exclude=True),
    ] = None
    distance_m: Annotated[Uniform, Knob("m", 0.01, 100, "Distance of the camera from what it looks at.")]
    elevation_deg: Annotated[
        Uniform,
        Knob("deg", -85, 90, "Angle of the camera over the stage; 90 looks straight down.",
             "straight up from below there is no upright picture"),
    ]  # fmt: skip
    azimuth_deg: Annotated[Uniform, turn("Direction from which the camera looks, around the stage; 0 is +x.")]
    roll_deg: Annotated[
        Uniform,
        Knob(
            "deg", -89, 89,
            "Tilt of the camera's up against the vertical, in space: the picture turns by "
            "atan(tan(roll) / cos(elevation)), which is more for a raised camera.",
            "for a picture on its side exchange width_px and height_px",
        ),
    ]  # fmt: skip
    aim: Annotated[
        Uniform,
        Knob("", -20, 20, "Where the camera looks, in half lengths and half widths from the stage's middle.",
             "1 is the stage's edge"),
    ]  # fmt: skip
    drift_m_s: Annotated[Uniform, Knob("m/s", 0, 20, "How fast the camera moves sideways.")]
    height_above_m: Annotated[float, Knob("m", 0, 50, "Height over the stage of the point that the camera looks at.")]

    @model_validator(mode="after")
    def _one_field_of_view(self) -> CameraKnobs:
        """Replace the field of view by the focal length, which is all that a config holds."""
        if self.hfov_deg is None:
            if self.focal_px == UNSET:
                raise ValueError(
                    "missing focal_px or hfov_deg: the field of view, such as hfov_deg: {low: 35, high: 45}"
                )
            return self
        if self.focal_px != UNSET:
            raise ValueError("hfov_deg and focal_px are the same knob in two units: give one of them")
        low, high = (focal_of(hfov, self.width_px) for hfov in (self.hfov_deg.high, self.hfov_deg.low))
        self.__dict__.update(focal_px=Uniform(low=low, high=high), hfov_deg=None)
        return self


def focal_of(hfov_deg: float, width_px: int) -> float:
    """The focal length, in pixels, of a pinhole camera with this horizontal field of view."""
    return width_px / (2 * math.tan(math.radians(hfov_deg) / 2))


class LensKnobs(Group):
    """The lens; all 0 is an ideal pinhole. Distortion is Brown and Conrady's, with OpenCV's coefficients."""

    k1: Annotated[Uniform, Knob("", -2, 2, "Radial distortion, OpenCV's k1; lenses have -0.3..0.1.", _FOLDS)]
    k2: Annotated[Uniform, Knob("", -5, 5, "Radial distortion, OpenCV's k2; lenses have -0.1..0.2.", _FOLDS)]
    k3: Annotated[Uniform, Knob("", -10, 10, "Radial distortion, OpenCV's k3.", _FOLDS)]
    p1: Annotated[
        Uniform, Knob("", -0.1, 0.1, "Tangential distortion, OpenCV's p1; lenses have -0.002..0.002.", _FOLDS)
    ]
    p2: Annotated[
        Uniform, Knob("", -0.1, 0.1, "Tangential distortion, OpenCV's p2; lenses have -0.002..0.002.", _FOLDS)
    ]
    focal_length_mm: Annotated[
        Uniform,
        Knob("mm", 0.1, 2000, "Focal length; with the f-number it gives the aperture's width, for defocus only."),
    ]
    f_number: Annotated[
        Uniform, Knob("", 0, 128, "f-number; 0: everything is in focus.", "lenses have 0.7 to 128"), none_or_over(0.5)
    ]
    focus_offset_m: Annotated[
        Uniform, Knob("m", -100, 100, "How far the sharp plane lies behind what the camera looks at.")
    ]


def _odd(count: int) -> int:
    if count % 2 == 0:
        raise ValueError(f"needs an odd number, of which one is the middle, got {count}")
    return count


class ShutterKnobs(Group):
    """When rows are exposed: each for `exposure_s`, starting `row_time_s` after the row above."""

    exposure_s: Annotated[Uniform, Knob("s", 0, 10, "How long a row is exposed; 0: an instant, nothing is smeared.")]
    row_time_s: Annotated[
        Uniform, Knob("s", -0.01, 0.01, "Time from a row to the next; at and below 0: a global shutter.")
    ]
    subframes: Annotated[
        int,
        Knob(
            "", 1, 255, "Moments rendered for each frame, an odd number; the cost grows with it.", "each is a picture"
        ),
        AfterValidator(_odd),
    ]

    @model_validator(mode="after")
    def _moments(self) -> ShutterKnobs:
        if self.subframes == 1 and (self.exposure_s.high > 0 or self.row_time_s.high > 0):
            raise ValueError("where exposure or row time is above 0 subframes must be 3 or more: one moment shows none")
        return self
