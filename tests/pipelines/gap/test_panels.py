"""Laws of the report's panels: which detections are shown, which failures come first, no photo where none may be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from hybrid.core.types import Detections
from hybrid.data.clips import Clip, ClipSource, FrameRecord
from hybrid.metrics.detection import score
from pipelines.gap import panels
from pipelines.gap.finished import FinishedRun
from pipelines.gap.panels import CROPS, run_pictures
from pipelines.gap.pictures import FALSE_ALARM, MISS
from pipelines.gap.schema.sections import Picture
from pipelines.gap.sets import ReportSets
from pipelines.gap.stats.resampled import Measurement

TRUTH = [[8.0, 8.0, 24.0, 24.0]]
RUN = FinishedRun(Path("run"), ("bolt",), 1, 1.0, 64, None)


def source(folder: Path, count: int, level: int = 120) -> ClipSource:
    """`count` images of one bolt each."""
    clips = []
    for i in range(count):
        path = folder / f"{level}-{i}.png"
        pixels = np.random.default_rng(i).normal(level, 5, (48, 64, 3))
        cv2.imwrite(str(path), pixels.clip(0, 255).astype(np.uint8))
        frame = FrameRecord(
            name=path.name, path=path, width_px=64, height_px=48, boxes_xyxy_px=np.array(TRUTH, np.float32),
            labels=np.zeros(1, np.int64),
        )  # fmt: skip
        clips.append(Clip(path.name, (frame,)))
    return ClipSource("set", ("bolt",), tuple(clips))


def detections(*rows: tuple[list[float], float]) -> Detections:
    boxes = torch.tensor([box for box, _ in rows], dtype=torch.float32).reshape(-1, 4)
    return Detections(boxes, torch.tensor([score for _, score in rows]), torch.zeros(len(rows), dtype=torch.int64))


def measurement(source: ClipSource, by_frame: list[Detections]) -> Measurement:
    return Measurement(score(by_frame, source.frames, source.categories), by_frame)


@pytest.fixture
def crops(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[int, int, int], list[float]]]:
    """The colour and the box of each close-up, in order; the images themselves are not made."""
    made: list[tuple[tuple[int, int, int], list[float]]] = []

    def crop(image: object, box: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
        made.append((colour, box.tolist()))
        return np.zeros((4, 4, 3), np.uint8)

    monkeypatch.setattr(panels, "crop", crop)
    return made


def images(folder: Path, by_frame: list[Detections], photos: bool = True, run: FinishedRun = RUN) -> dict[str, Picture]:
    sim, target = source(folder, 3), source(folder, len(by_frame), 90)
    sets = ReportSets(sim, target, sim, target, "real", "")
    return run_pictures(sets, run, measurement(sim, [detections()] * 3), measurement(target, by_frame), photos)


@pytest.mark.parametrize("score", [0.1, 0.3, 0.6])
def test_a_detection_below_the_runs_own_score_is_neither_a_hit_nor_a_false_alarm(
    tmp_path: Path, crops: list[tuple[tuple[int, int, int], list[float]]], score: float
) -> None:
    away, run = [30.0, 20.0, 60.0, 40.0], replace(RUN, score=score)
    images(tmp_path, [detections((TRUTH[0], score - 0.01), (away, score - 0.02))], run=run)
    assert [colour for colour, _ in crops] == [MISS] * 4  # of three simulated images and of the photo
    crops.clear()
    images(tmp_path, [detections((TRUTH[0], score + 0.02), (away, score + 0.01))], run=run)
    assert [colour for colour, _ in crops] == [MISS] * 3 + [FALSE_ALARM]


def test_two_labels_of_one_part_are_shown_once(
    tmp_path: Path, crops: list[tuple[tuple[int, int, int], list[float]]]
) -> None:
    nearly = [8.0, 8.0, 24.0, 23.0]
    images(tmp_path, [detections((TRUTH[0], 0.9), (nearly, 0.8))])
    assert FALSE_ALARM not in [colour for colour, _ in crops]


def test_false_alarms_come_by_score_over_all_images(
    tmp_path: Path, crops: list[tuple[tuple[int, int, int], list[float]]]
) -> None:
    boxes = [[30.0, 20.0, 60.0, 40.0 + i] for i in range(4)]
    scores = (0.4, 0.9, 0.6, 0.7)
    images(tmp_path, [detections((TRUTH[0], 0.95), (box, score)) for box, score in zip(boxes, scores, strict=True)])
    assert [box for colour, box in crops if colour == FALSE_ALARM] == [boxes[i] for i in (1, 3, 2, 0)]


def test_of_many_missed_parts_some_of_the_whole_set_are_shown(
    tmp_path: Path, crops: list[tuple[tuple[int, int, int], list[float]]]
) -> None:
    shown = images(tmp_path, [detections()] * (3 * CROPS))
    missed = [one.of for one in shown.values() if one.kind == "missed"]
    assert (missed.count("real"), missed.count("simulated")) == (CROPS, 3)


def test_scenes_of_both_sets_have_their_names(tmp_path: Path) -> None:
    scenes = [one for one in images(tmp_path, [detections()] * 4).values() if one.kind == "scene"]
    assert [(one.of, one.caption) for one in scenes] == [
        ("simulated", "simulated: 120-0.png"), ("simulated", "simulated: 120-1.png"),
        ("real", "real: 90-0.png"), ("real", "real: 90-2.png"),
    ]  # fmt: skip
    assert all(one.uri is not None for one in scenes)


def test_without_photos_nothing_of_the_target_is_shown(tmp_path: Path) -> None:
    shown = images(tmp_path, [detections()] * 2, photos=False)
    assert {one.of for one in shown.values()} == {"simulated"}
    assert {one.kind for one in shown.values()} == {"scene", "missed"}


def test_what_lies_in_a_region_to_ignore_is_no_false_alarm(tmp_path: Path, crops: list[object]) -> None:
    photos = source(tmp_path, 1)
    frame = photos.frames[0]
    there = replace(
        frame, ignore_boxes_xyxy_px=np.array([[30, 20, 50, 40]], np.float32), ignore_labels=np.array([-1], np.int64)
    )
    photos = replace(photos, clips=(replace(photos.clips[0], frames=(there,)),))
    found = [detections((TRUTH[0], 0.9), ([31, 21, 49, 39], 0.8), ([0, 30, 8, 44], 0.7))]
    sets = ReportSets(photos, photos, photos, photos, "real", "")
    run_pictures(sets, replace(RUN, score=0.5), *[measurement(photos, found)] * 2, photos=False)
    assert crops == [(FALSE_ALARM, [0.0, 30.0, 8.0, 44.0])]
