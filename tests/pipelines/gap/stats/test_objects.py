"""How labelled objects look, on pictures made by hand."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from hybrid.data.clips import FrameRecord
from pipelines.gap.stats.objects import by_share, by_thirds, object_looks


def frame(path: Path, image: np.ndarray, boxes: list[list[float]], visible: list[float] | None = None) -> FrameRecord:
    cv2.imwrite(str(path), image)
    return FrameRecord(
        name=path.name, path=path, width_px=image.shape[1], height_px=image.shape[0],
        boxes_xyxy_px=np.array(boxes, np.float32).reshape(-1, 4), labels=np.zeros(len(boxes), np.int64),
        visible_share=None if visible is None else np.array(visible, np.float32),
    )  # fmt: skip


def test_each_box_has_its_own_grey_and_sharpness(tmp_path: Path) -> None:
    image = np.full((40, 60, 3), 50, np.uint8)
    image[:, 30:] = 180
    image[5:15, 40:50:2] = 0  # stripes
    boxes = [[2.0, 2.0, 12.0, 12.0], [40.0, 5.0, 50.0, 15.0], [-5.0, -5.0, 3.0, 3.0]]
    frames = [
        frame(tmp_path / "a.png", image, boxes, [1.0, 0.3, 0.5]),
        frame(tmp_path / "none.png", image, []),
        frame(tmp_path / "b.png", image, [[35.0, 25.0, 45.0, 35.0]]),
    ]
    got = object_looks(frames)
    assert got.brightness == pytest.approx([50.0, 90.0, np.nan, 180.0], nan_ok=True)  # 9 pixels are too few
    assert got.sharpness[1] > got.sharpness[0] + 5
    assert got.sharpness[0] == pytest.approx(np.log(1e-3))
    assert got.visible == pytest.approx([1.0, 0.3, 0.5, np.nan], nan_ok=True)


def test_thirds_are_those_of_the_real_objects_and_hold_each_object_once() -> None:
    real = np.arange(30.0)
    simulated = np.array([-5.0, 9.9, 10.0, 25.0, np.nan])
    got = by_thirds(simulated, real, ("few", "some", "many"), 0)
    assert [name.split(",")[0] for name in got] == ["few", "some", "many"]
    assert [int(of_real.sum()) for _, of_real in got.values()] == [10, 9, 11]
    assert sum(of_real.astype(int) for _, of_real in got.values()).tolist() == [1] * 30  # type: ignore[union-attr]
    assert [of_sim.tolist() for of_sim, _ in got.values()] == [
        [True, True, False, False, False], [False, False, True, False, False], [False, False, False, True, False],
    ]  # fmt: skip
    assert by_thirds(simulated, np.full(9, 2.0), ("a", "b", "c"), 0) == {}
    assert by_thirds(simulated, np.full(9, np.nan), ("a", "b", "c"), 0) == {}


def test_shares_are_told_where_a_side_knows_them() -> None:
    got = by_share(np.array([0.05, 0.1, 0.5, 0.79, 0.8, 1.0]), np.full(2, np.nan))
    assert {name: int(of_sim.sum()) for name, (of_sim, _) in got.items()} == {
        "10% to 50%": 1, "50% to 80%": 2, "80% and more": 2,
    }  # fmt: skip
    assert not any(of_real.any() for _, of_real in got.values())
    assert by_share(np.full(3, np.nan), np.full(3, np.nan)) == {}
