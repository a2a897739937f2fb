"""Where the work surface lies in photos of the empty place: four corners for each, from which its camera follows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePath

import numpy as np
from jaxtyping import Float64

from simgen.dataset.format.coco_json import read_coco_json
from simgen.dataset.format.coco_rows import coco_content
from simgen.presets.outlines import MAX_JSON_BYTES, NEEDED, polygons_of
from simgen.scene.config import PhotoFile, SceneConfig
from simgen.scene.sampling.photo import place_of
from simgen.spec.errors import BadPhoto, CocoError
from simgen.spec.text.yaml_text import Tree
from simgen.spec.types import Vec2

MOST_OFF = 0.03  # of the picture's width: how far a rectangle's corners may be from those given

Corners = tuple[Vec2, Vec2, Vec2, Vec2]


def with_areas(files: list[PhotoFile], path: Path, left_out: list[str]) -> list[PhotoFile]:
    """The photos with the corners that a COCO JSON has of them, found by their names without endings.

    A photo without corners is left out, with the reason.

    Raises:
        BadPhoto: the file cannot be read, or no photo has corners.
    """
    try:
        content = coco_content(read_coco_json(path, NEEDED, most_bytes=MAX_JSON_BYTES))
    except CocoError as error:
        raise BadPhoto(f"{path}: {error}") from None
    found: dict[str, Corners | str] = {}
    for image in content.images:
        outlines = [polygon for one in image.annotations for polygon in polygons_of(one.row.get("segmentation"))]
        corners = _corners(outlines[0]) if len(outlines) == 1 else f"{len(outlines)} polygons, one is needed"
        found[PurePath(image.file_name.replace("\\", "/")).stem] = corners
    placed = []
    for file in files:
        corners = found.get(PurePath(file.name).stem, f"no polygon of its work surface in {path}")
        if isinstance(corners, str):
            left_out.append(f"{file.name}: {corners}")
        else:
            placed.append(file.model_copy(update={"area_px": corners}))
    if not placed:
        raise BadPhoto(f"{path}: has the work surface of no photo: {left_out[-1]}")
    return placed


def _corners(points: Float64[np.ndarray, "n 2"]) -> Corners | str:
    """Four corners in turn, counter-clockwise as one sees them; or what is wrong with them."""
    if len(points) == 5 and (points[0] == points[4]).all():  # some tools close a polygon
        points = points[:4]
    if len(points) != 4:
        return f"a polygon of {len(points)} corners; the work surface has four"
    along = np.roll(points, -1, axis=0) - points
    after = np.roll(along, -1, axis=0)
    turns = along[:, 0] * after[:, 1] - along[:, 1] * after[:, 0]  # y runs down: below 0 is counter-clockwise
    if not ((turns < 0).all() or (turns > 0).all()):
        return "the four corners of its work surface are not in turn"
    ordered = points if turns[0] < 0 else points[::-1]
    a, b, c, d = ((float(x), float(y)) for x, y in ordered)
    return a, b, c, d


def misplaced(config: SceneConfig, tree: Tree) -> Iterator[str]:
    """A message where no camera sees a rectangle of the stage's size at the corners that a photo has."""
    photo, camera = config.stage.photo, config.camera
    for file in photo.pictures if photo else ():
        if file.area_px is None:
            continue
        sides_m = tuple((side.low + side.high) / 2 for side in (config.stage.length_m, config.stage.width_m))
        focal_px = (camera.focal_px.low + camera.focal_px.high) / 2
        place = place_of(file, (camera.width_px, camera.height_px), focal_px, (sides_m[0], sides_m[1]))
        if place is None or place.off_px > MOST_OFF * camera.width_px:
            off = "" if place is None else f"; the nearest is {place.off_px:.0f} px off"
            yield (
                f"{tree.where(('stage', 'photo', 'area'))}: stage.photo.area: {file.name}: no camera of this field of "
                f"view sees a surface of {sides_m[0]:g} x {sides_m[1]:g} m at its corners{off}: check the corners, "
                "stage.length_m, stage.width_m and camera.hfov_deg"
            )
            return
