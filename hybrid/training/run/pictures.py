"""Sample detections as a picture, so that a person sees how far a training is: `samples.jpg` in the run's folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from hybrid.core.config import SCORE
from hybrid.core.errors import DataError
from hybrid.data.clips import ClipSource, FrameRecord
from hybrid.data.pixels import decode
from hybrid.model.network import Network
from hybrid.predict.tiles import View
from simgen.dataset.store.files import write_atomically

Image = UInt8[np.ndarray, "_ _ 3"]
SAMPLES = "samples.jpg"
MOST, COLUMNS, WIDE_PX = 6, 3, 480  # frames, columns, width of a frame on the sheet
TRUTH = (255, 255, 255)  # colour of the labelled boxes; detections have the colours of their categories


@contextmanager
def evaluating(network: Network) -> Iterator[Network]:
    """The network in evaluation mode; afterwards each of its modules is in its own mode again."""
    modes = {module: module.training for module in network.modules()}
    try:
        yield network.eval()
    finally:
        for module, mode in modes.items():
            module.training = mode


def write_samples(folder: Path, network: Network, source: ClipSource, view: View | None, score: float = SCORE) -> None:
    """Draw labels (white) and detections (with category and score) into a few frames of a source, over all of it."""
    from hybrid.predict.detector import Detector

    frames = source.frames
    chosen = [frames[k] for k in np.linspace(0, len(frames) - 1, min(MOST, len(frames))).round().astype(int).tolist()]
    with evaluating(network):
        detector = Detector(network, view, score=score)
        drawn = [picture for frame in chosen if (picture := _drawn(detector.predict, frame)) is not None]
    if drawn:
        write_atomically(folder / SAMPLES, _encoded(_sheet(drawn)))


def _drawn(predict: Callable[[list[Image]], Any], frame: FrameRecord) -> Image | None:
    """A frame with its boxes, WIDE_PX wide; None where it cannot be read."""
    import cv2

    try:
        image = decode(frame)
    except (DataError, OSError):
        return None
    canvas = predict([image])[0].plot(_with_truth(image, frame))
    high = max(1, round(WIDE_PX * image.shape[0] / image.shape[1]))
    return np.asarray(cv2.resize(canvas, (WIDE_PX, high), interpolation=cv2.INTER_AREA))


def _with_truth(image: Image, frame: FrameRecord) -> Image:
    import cv2

    canvas, thick = image.copy(), max(1, round(max(image.shape[:2]) / 800))
    for x0, y0, x1, y1 in frame.boxes_xyxy_px.round().astype(int).tolist():
        cv2.rectangle(canvas, (x0, y0), (x1 - 1, y1 - 1), TRUTH, thick)
    return canvas


def _sheet(pictures: Sequence[Image]) -> Image:
    """The pictures in rows of COLUMNS; they are all of one width."""
    high = max(len(one) for one in pictures)
    cells = [np.pad(one, ((0, high - len(one)), (0, 0), (0, 0))) for one in pictures]
    cells += [np.zeros_like(cells[0])] * (-len(cells) % min(COLUMNS, len(cells)))
    wide = min(COLUMNS, len(cells))
    return np.concatenate([np.concatenate(cells[k : k + wide], 1) for k in range(0, len(cells), wide)])


def _encoded(picture: Image) -> bytes:
    import cv2

    return bytes(cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1])
