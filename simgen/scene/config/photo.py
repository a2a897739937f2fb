"""Knobs of photographs of the empty place, on which the rendered parts stand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field, model_serializer, model_validator

from simgen.scene.config.bounds import Group, Knob, plain
from simgen.scene.config.bounds import share as of_all  # a knob here is named share
from simgen.spec.knobs import LogUniform, Uniform
from simgen.spec.types import Vec2, Vec3


class PhotoFile(Group):
    """A photo that was read: what of it decides scenes."""

    name: str
    photo_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    width_px: int  # upright
    height_px: int
    median_rgb: Vec3  # of its linear light
    tint_rgb: Vec3  # of what is nearly grey in it, of luminance 1
    is_grey: bool
    area_px: tuple[Vec2, Vec2, Vec2, Vec2] | None = None  # corners of the work surface, counter-clockwise as seen

    @model_serializer(mode="wrap")
    def _as_before(self, write: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """Without corners where there are none, so that the config of such a preset is as it always was."""
        return {name: value for name, value in write(self).items() if value is not None}


class PhotoKnobs(Group):
    """Photos of the empty place in place of the stage: no sheets, no clutter, no legs, and a camera that stands still.

    Parts lie on the stage's length and width, seen by the camera of the group `camera`, whose focal length is that of
    the largest crop of the photo with the picture's shape. They cast their shadows on the photo.
    """

    files: Annotated[
        tuple[str, ...],
        plain(
            "Folder of photos, or a list of photos and folders, of the empty place. A path is relative to the preset's "
            "file, and in --set to the working folder."
        ),
        Field(exclude=True),
    ] = ()
    area: Annotated[
        str,
        plain(
            "COCO JSON with a polygon of four corners on each photo: the work surface, as large as the stage. Each "
            "photo's camera follows from it. Relative as files."
        ),
        Field(exclude=True),
    ] = ""
    pictures: tuple[PhotoFile, ...] = ()  # of `files`
    left_out: Annotated[tuple[str, ...], Field(exclude=True)] = ()  # of `files`: which cannot be used, and why
    share: Annotated[float, of_all("Share of the scenes that show a photo; the others are synthetic as a whole.")] = 1.0
    crop: Annotated[
        Uniform,
        Knob("", 0.05, 1, "Part of the photo that is shown, along each side; where, is drawn. 1: all of it.",
             "a share of a whole"),
    ] = Uniform(low=0.85, high=1.0)  # fmt: skip
    mirrored: Annotated[float, of_all("Share of these scenes whose photo is mirrored, left to right.")] = 0.5
    exposure: Annotated[
        LogUniform,
        Knob("", 0.05, 20, "Gain of the photo's light, and of the parts' with it.", "all is black or white"),
    ] = LogUniform(low=0.8, high=1.15)
    hue_deg: Annotated[Uniform, Knob("deg", -180, 180, "How far the photo's colours are turned.")] = Uniform(
        low=-4.0, high=4.0
    )
    light: Annotated[
        LogUniform, Knob("", 0.05, 20, "Error of the parts' brightness against the photo's; 1: none.", "a gain")
    ] = LogUniform(low=0.75, high=1.15)
    local: Annotated[
        Uniform,
        of_all(
            "How far the parts follow the photo's brightness where they lie, as under one lamp; 0: equally bright "
            "everywhere."
        ),
    ] = Uniform(low=0.4, high=1.0)

    @model_validator(mode="after")
    def _has_photos(self) -> PhotoKnobs:
        if not self.pictures:
            raise ValueError("missing files: a folder of photos of the empty place, such as files: backgrounds")
        return self
