"""Features of parts and of whole pictures: the mean of the backbone's three maps over a crop, side by side.

A part is cut out with a rim and scaled to one size, so that how large it is in the picture plays no role: sizes are
compared among the picture statistics.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

import cv2
import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8

from hybrid.data.clips import FrameRecord
from hybrid.data.pixels import decode
from hybrid.model.network import Network, frames_in_batch
from hybrid.predict.runtime.engine import as_input, device_of

PART_PX, PICTURE_PX = 96, 320  # sides that are looked at
CONTEXT = 1.5  # side of a crop, in the longer side of the box
BATCH = 16
MOST_OF_UNIT = 8  # parts of a category in a session or a scene: more of them tell little more
Image = UInt8[np.ndarray, "h w 3"]
Square = UInt8[np.ndarray, "s s 3"]


@dataclass(frozen=True)
class Parts:
    """Some labelled parts of one category."""

    frames: Sequence[FrameRecord]  # of each part
    boxes: Sequence[int]  # its index in the frame
    units: Int64[np.ndarray, " n"]  # its session or scene, numbered from 0

    def __len__(self) -> int:
        return len(self.boxes)


def parts_of(frames: Sequence[FrameRecord], units: Sequence[int], label: int, most: int, seed: int = 0) -> Parts:
    """Parts of a category from as many units as there are, drawn at random: at most `MOST_OF_UNIT` of each.

    `units` has the session or the scene of each frame.
    """
    rng, by_unit = np.random.default_rng(seed), dict[int, list[tuple[int, int]]]()
    for k, (frame, unit) in enumerate(zip(frames, units, strict=True)):
        by_unit.setdefault(unit, []).extend((k, int(i)) for i in np.flatnonzero(frame.labels == label))
    drawn = {unit: [own[int(i)] for i in rng.permutation(len(own))[:MOST_OF_UNIT]] for unit, own in by_unit.items()}
    while sum(map(len, drawn.values())) > most and max(map(len, drawn.values())) > 1:
        largest = max(map(len, drawn.values()))
        drawn = {unit: own[: largest - 1] for unit, own in drawn.items()}
    rows = sorted((k, i, unit) for unit, own in drawn.items() for k, i in own)[:most]
    numbers = np.unique(np.array([unit for *_, unit in rows], np.int64), return_inverse=True)[1]
    return Parts([frames[k] for k, *_ in rows], [i for _, i, _ in rows], numbers.reshape(-1).astype(np.int64))


def of_parts(network: Network, parts: Parts) -> Float32[np.ndarray, "n c"]:
    """The features of parts, in their order."""
    return _features(network, _crops(parts))


def of_pictures(network: Network, images: Iterable[Image]) -> Float32[np.ndarray, "n c"]:
    """The features of whole pictures, scaled to a square."""
    return _features(network, (_scaled(one, PICTURE_PX) for one in images))


def _crops(parts: Parts) -> Iterator[Square]:
    """The crops; a frame is read once for all its parts, which stand together."""
    rows = zip(parts.frames, parts.boxes, strict=True)
    for _, group in groupby(rows, key=lambda row: id(row[0])):
        own = list(group)
        image = decode(own[0][0])
        for frame, box in own:
            yield cut_out(image, frame.boxes_xyxy_px[box].astype(float), PART_PX)


def cut_out(image: Image, box: np.ndarray, side_px: int) -> Square:
    """A square around a box, with a rim, scaled; what lies outside of the picture repeats its edge."""
    half = max(4.0, CONTEXT / 2 * float((box[2:] - box[:2]).max()))
    centre, scale = (box[:2] + box[2:]) / 2, side_px / (2 * half)
    place = np.array([[scale, 0, side_px / 2 - scale * centre[0]], [0, scale, side_px / 2 - scale * centre[1]]])
    flag = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    view = cv2.warpAffine(image, place, (side_px, side_px), flags=flag, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(view, np.uint8)


def _scaled(image: Image, side_px: int) -> Square:
    return np.asarray(cv2.resize(image, (side_px, side_px), interpolation=cv2.INTER_AREA), np.uint8)


@torch.inference_mode()
def _features(network: Network, crops: Iterable[Square]) -> Float32[np.ndarray, "n c"]:
    device, rows = device_of(network), list[np.ndarray]()
    network.eval()
    rest = iter(crops)
    while some := list(islice(rest, BATCH)):
        images = torch.from_numpy(np.stack(some)).permute(0, 3, 1, 2)
        maps = network.backbone(frames_in_batch(as_input(images, device)[:, None], network.mean, network.spread))
        rows.append(torch.cat([one.mean((2, 3)) for one in maps], 1).float().cpu().numpy())
    return np.concatenate(rows) if rows else np.zeros((0, sum(network.backbone.channels)), np.float32)
