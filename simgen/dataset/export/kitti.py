"""The 2D part of KITTI's object labels. The 3D fields have the values that KITTI uses for unknown.

    training/image_2/000007.png    images are PNG, with consecutive numbers
    training/label_2/000007.txt    type truncated occluded alpha left top right bottom 3 x dimensions 3 x location yaw
    ImageSets/train.txt            the images of each split
    mapping.txt                    the number, scene and frame of each image

Truncated is the share of the whole part's box outside the image. Occluded is 0 (the part inside the image is visible),
1 (partly occluded) or 2 (more than half occluded); in KITTI these levels were judged by eye. Boxes are left, top,
right, bottom in pixels counted from 0, with the right and bottom edge as a continuous coordinate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import cv2

from simgen.dataset.check.pictures import decoded
from simgen.dataset.export.common.records import Box, FrameRecord, LabelRecord, read_text, splits_in
from simgen.dataset.export.common.selection import PickedClip, Selection, VisiblePart
from simgen.spec.errors import ExportError

MAIN = "ImageSets"
TOOL = "torchvision, mmdetection3d"
UNKNOWN = "-1 -1 -1 -1000 -1000 -1000 -10"  # dimensions, location, rotation_y, as for KITTI's DontCare
FULLY_VISIBLE = 0.95  # visible share, inside the image, from which a part counts as not occluded: boxes are not exact
PNG_LEVEL = [cv2.IMWRITE_PNG_COMPRESSION, 1]


def write(selection: Selection, folder: Path) -> dict[str, int]:
    """Write into `folder`, with one clip at a time in memory. Returns the number of each thing written.

    Raises:
        ExportError: a category's name has a space, which parts the fields there.
    """
    if spaced := [name for name in selection.categories if len(name.split()) != 1]:
        raise ExportError(f"kitti: a type may have no space in its name, and {spaced} have")
    for name in (MAIN, "training/image_2", "training/label_2"):
        (folder / name).mkdir(parents=True)
    counts: Counter[str] = Counter()
    with ExitStack() as stack:
        lists = {s: stack.enter_context((folder / MAIN / f"{s}.txt").open("w")) for s in selection.splits}
        mapping = stack.enter_context((folder / "mapping.txt").open("w"))
        for clip in selection:
            for t, parts in enumerate(clip.frames):
                name = f"{counts['images']:06d}"
                _write_png(clip, t, folder / "training" / "image_2" / f"{name}.png")
                lines = [f"{_line(part, selection.categories)}\n" for part in parts]
                (folder / "training" / "label_2" / f"{name}.txt").write_text("".join(lines))
                lists[clip.split].write(f"{name}\n")
                mapping.write(f"{name} {clip.scene} {t}\n")
                counts["images"] += 1
                counts["labels"] += len(parts)
    return dict(counts)


def _write_png(clip: PickedClip, t: int, path: Path) -> None:
    try:
        image = decoded(clip.stored.jpeg(t))
    except ValueError as error:
        raise clip.stored.damaged(f"f{t:03d}.jpg", error) from error
    ok, png = cv2.imencode(".png", image[..., ::-1], PNG_LEVEL)
    if not ok:
        raise RuntimeError(f"OpenCV could not encode an image of shape {image.shape} as PNG")
    path.write_bytes(png.tobytes())


def _line(part: VisiblePart, categories: tuple[str, ...]) -> str:
    truncated = _truncated(part)
    inside = part.label.visible_share / max(1e-9, 1 - truncated)
    occluded = 0 if inside >= FULLY_VISIBLE else 1 if inside >= 0.5 else 2
    box = " ".join(f"{v:.2f}" for v in part.box_xyxy_px)
    return f"{categories[part.category_id]} {truncated:.2f} {occluded} -10 {box} {UNKNOWN}"


def _truncated(part: VisiblePart) -> float:
    whole, within = part.label.unclipped_box_xyxy_px, part.label.amodal_box_xyxy_px
    if whole is None or within is None or _area(whole) <= 0:
        return 0.0
    return min(1.0, max(0.0, 1 - _area(within) / _area(whole)))


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def read(folder: Path) -> Iterator[FrameRecord]:
    """Read an export.

    Raises:
        ExportError: it is damaged, or of another format.
    """
    rows = [line.split() for line in read_text(folder / "mapping.txt").splitlines()]
    try:
        places = {name: (int(scene), int(frame)) for name, scene, frame in rows}
    except ValueError as error:
        raise ExportError(f"{folder / 'mapping.txt'}: needs number, scene and frame: {error}") from error
    for split, listing in splits_in(folder, MAIN + "/{}.txt"):
        for name in read_text(listing).split():
            if name not in places:
                raise ExportError(f"{listing}: {name!r} is not in mapping.txt")
            yield _frame(folder / "training", name, split, places[name])


def _frame(folder: Path, name: str, split: str, place: tuple[int, int]) -> FrameRecord:
    image, text = folder / "image_2" / f"{name}.png", folder / "label_2" / f"{name}.txt"
    try:
        height, width = decoded(image.read_bytes()).shape[:2]
        labels = []
        for line in read_text(text).splitlines():
            kind, _, _, _, *numbers = line.split()
            if len(numbers) != 11:
                raise ValueError(f"{len(numbers) + 4} fields where 15 belong")
            x0, y0, x1, y1 = (float(word) for word in numbers[:4])
            labels.append(LabelRecord(category=kind, box_xyxy_px=(x0, y0, x1, y1)))
    except (OSError, OverflowError, ValueError) as error:
        raise ExportError(f"{text}: not as KITTI has it: {error}") from error
    return FrameRecord(
        split=split,
        scene=place[0],
        frame=place[1],
        width_px=width,
        height_px=height,
        image=image,
        labels=tuple(labels),
    )
