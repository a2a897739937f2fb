"""What is left of a training that stopped because its loss was no longer finite, or far too high: the batch, in words.

In the run's folder, `stopped.safetensors` holds the batch (images, boxes and labels; the header has the names of its
clips) and `stopped.png` shows it. A process other than the first puts its number into the names.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from safetensors.torch import save
from torch import Tensor

from hybrid.core.errors import RunError
from hybrid.predict.io.drawing import COLOURS
from hybrid.training.device import TrainingDevice
from hybrid.training.samples.batch import TrainBatch
from simgen.dataset.store.files import write_atomically

STOPPED = "stopped"
MOST_FRAMES = 64  # on the sheet
GAP_PX, LETTERS_PX = 4, 12


def keep_batch(folder: Path, device: TrainingDevice, batch: TrainBatch, why: str) -> Path:
    """Write the batch into the folder. Returns the picture."""
    stem = STOPPED if device.is_first else f"{STOPPED}-{device.rank}"
    columns = {field.name: getattr(batch, field.name) for field in fields(batch)}
    tensors = {name: x.cpu().contiguous() for name, x in columns.items() if isinstance(x, Tensor)}
    header = {"clips": json.dumps(batch.names), "why": why}
    write_atomically(folder / f"{stem}.safetensors", save(tensors, header))
    picture = folder / f"{stem}.png"
    write_atomically(picture, encoded(sheet(batch)))
    return picture


def culprits(losses: Sequence[Mapping[str, float]], names: Sequence[str]) -> str:
    """The clips whose own loss is not finite, or the clip with the highest one, and the losses that this comes from.

    `losses` are those of each clip alone.
    """
    broken = [k for k, own in enumerate(losses) if not all(map(math.isfinite, own.values()))]
    if broken:
        which = sorted({name for k in broken for name, x in losses[k].items() if not math.isfinite(x)} - {"total"})
        shown = ", ".join(names[k] for k in broken[:4]) + (", ..." if len(broken) > 4 else "")
        return f"{len(broken)} of {len(names)} clips alone make {', '.join(which) or 'the total'} not finite: {shown}"
    worst = max(range(len(losses)), key=lambda k: losses[k]["total"])
    parts = {name: value for name, value in losses[worst].items() if name != "total"}
    largest = max(parts, key=lambda name: parts[name])
    return f"the largest loss of a clip is of {names[worst]}: {largest} is {parts[largest]:.3g}"


def stop(folder: Path, device: TrainingDevice, batch: TrainBatch, why: str, kept_step: int, rate: float) -> RunError:
    """Keep the batch, and say it all in one line.

    Args:
        folder: of the run.
        device: of this process.
        batch: that the training stopped at.
        why: what was wrong, and with which clips.
        kept_step: the step of the checkpoint that stays in the folder.
        rate: the run's learning rate.
    """
    picture = keep_batch(folder, device, batch, why)
    return RunError(
        f"{why}. The batch is kept: {picture} and {picture.with_suffix('.safetensors').name}. The checkpoint of step "
        f"{kept_step} stays as it was. Look at the picture; if its labels are right, train in another folder with a "
        f"lower learning rate than {rate:g}"
    )


def sheet(batch: TrainBatch) -> UInt8[np.ndarray, "h w 3"]:
    """A row of frames for each clip, with its boxes and its name. RGB."""
    import cv2

    clips, frames = batch.images.shape[:2]
    rows = []
    for k in range(min(clips, max(1, MOST_FRAMES // frames))):
        part = batch.part(slice(k, k + 1))
        images = part.images[0].permute(0, 2, 3, 1).cpu().numpy()
        drawn = [_drawn(image, target.boxes_xyxy_px.cpu().numpy(), target.labels.cpu().numpy())
                 for image, target in zip(images, part.targets()[0], strict=True)]  # fmt: skip
        strip = np.concatenate([np.pad(one, ((0, GAP_PX), (0, GAP_PX), (0, 0))) for one in drawn[:MOST_FRAMES]], 1)
        title = np.zeros((LETTERS_PX + GAP_PX, strip.shape[1], 3), np.uint8)
        name = batch.names[k] if batch.names else f"clip {k}"
        cv2.putText(title, name.encode("ascii", "replace").decode(), (2, LETTERS_PX), cv2.FONT_HERSHEY_SIMPLEX, 0.35,
                    (255, 255, 255), 1, cv2.LINE_AA)  # fmt: skip
        rows += [title, strip]
    return np.concatenate(rows)


def _drawn(
    image: UInt8[np.ndarray, "h w 3"], boxes_xyxy_px: np.ndarray, labels: np.ndarray
) -> UInt8[np.ndarray, "h w 3"]:
    import cv2

    canvas = np.ascontiguousarray(image)
    for box, label in zip(boxes_xyxy_px, labels.tolist(), strict=True):
        x0, y0, x1, y1 = (int(v) for v in np.nan_to_num(box, posinf=0, neginf=0).round().clip(-1e4, 1e4))
        cv2.rectangle(canvas, (x0, y0), (x1 - 1, y1 - 1), COLOURS[label % len(COLOURS)], 1)
    return canvas


def encoded(picture: UInt8[np.ndarray, "h w 3"]) -> bytes:
    """A picture as PNG."""
    import cv2

    return bytes(cv2.imencode(".png", picture[..., ::-1])[1])
