"""What leaving nested boxes out does to F1 on photos, at several scores.

    python benchmarks/nested_boxes.py --checkpoint out/tuned --data photos/annotations.json --step 2

Photos that the run was trained on are left out, by their names. `--step 2` takes every second one of the others.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from hybrid.core.config import NESTED_SHARE
from hybrid.core.overlap import nested
from hybrid.core.types import Detections
from hybrid.data.clips import FrameRecord
from hybrid.data.coco import read_coco
from hybrid.data.pixels import decode
from hybrid.metrics.detection import matched_frames
from hybrid.predict.detector import Detector
from pipelines.common.record import read_experiment

SCORES = (0.2, 0.3, 0.4, 0.5, 0.6)


def main() -> None:
    """Detect once, then score with and without the nested boxes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--step", type=int, default=1)
    given = parser.parse_args()
    detector = Detector.load(given.checkpoint, score=min(SCORES), nested_share=1.0)
    experiment = read_experiment(given.checkpoint)
    trained = {Path(name).name for name in experiment.trained_on} if experiment else set[str]()
    source = read_coco(given.data, detector.categories)
    frames = [frame for frame in source.frames if Path(frame.name).name not in trained][:: given.step]
    every = [_detections(detector, frame) for frame in frames]
    print(f"{len(frames)} photos, {sum(len(frame.labels) for frame in frames)} boxes, share {NESTED_SHARE}")
    for score in SCORES:
        shown = [one.take(one.scores >= score) for one in every]
        print(f"score {score}: {_f1(shown, frames)}; nested left out: {_f1([_outer(one) for one in shown], frames)}")


def _detections(detector: Detector, frame: FrameRecord) -> Detections:
    result = detector.predict(decode(frame))
    assert not isinstance(result, list)
    boxes, scores, labels = result.boxes_xyxy_px, result.scores, result.labels
    return Detections(torch.from_numpy(boxes), torch.from_numpy(scores), torch.from_numpy(labels))


def _outer(one: Detections) -> Detections:
    return one.take(~torch.from_numpy(nested(one.boxes_xyxy_px.numpy(), one.labels.numpy(), NESTED_SHARE)))


def _f1(detections: list[Detections], frames: list[FrameRecord]) -> str:
    matched = matched_frames(detections, frames, most=None)
    right, reported, parts = int(matched.correct.sum()), len(matched.correct), len(matched.truth_labels)
    f1 = 2 * right / max(1, reported + parts)
    return f"F1 {f1:.3f} ({right} right, {reported - right} wrong, {parts - right} missed)"


if __name__ == "__main__":
    main()
