"""Parts of pictures in features: which are taken, and what is said of them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from hybrid.data.clips import Clip, ClipSource, FrameRecord
from hybrid.model.network import Network
from pipelines.gap.features import compared as module
from pipelines.gap.features.compared import Side, compared
from pipelines.gap.features.extract import MOST_OF_UNIT, cut_out, of_parts, of_pictures, parts_of
from pipelines.gap.stats.grouping import PhotoSessions
from tests.pipelines.scripts import narrow


def pictures(folder: Path, count: int, level: int, seed: int, parts: int = 3) -> ClipSource:
    """Pictures with squares of a grey level on noise."""
    folder.mkdir()
    rng, clips = np.random.default_rng(seed), []
    for k in range(count):
        image = rng.normal(100, 5, (64, 64, 3)).clip(0, 255).astype(np.uint8)
        corners = rng.integers(0, 50, (parts, 2))
        for x, y in corners:
            image[y : y + 12, x : x + 12] = level
        path = folder / f"{k}.png"
        cv2.imwrite(str(path), image)
        boxes = np.concatenate([corners, corners + 12], 1).astype(np.float32)
        frame = FrameRecord(
            name=path.name, path=path, width_px=64, height_px=64, boxes_xyxy_px=boxes, labels=np.zeros(parts, np.int64)
        )
        clips.append(Clip(path.name, (frame,)))
    return ClipSource(str(folder), ("bolt",), tuple(clips))


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return Network(narrow(("bolt",)), pretrained=False)


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> tuple[Side, Side]:
    """20 scenes of light parts; 18 photos of dark ones in six sessions."""
    folder = tmp_path_factory.mktemp("features")
    sim, real = pictures(folder / "sim", 20, 230, 0), pictures(folder / "real", 18, 20, 1)
    sessions = PhotoSessions(np.repeat(np.arange(6), 3), "pattern", "")
    return Side(sim, PhotoSessions(np.arange(20), "clips", "")), Side(real, sessions)


def test_parts_come_from_all_units_and_not_too_many_from_one(sides: tuple[Side, Side]) -> None:
    _, real = sides
    every = parts_of(real.source.frames, real.units.of_frame.tolist(), 0, 999)
    assert np.bincount(every.units).tolist() == [MOST_OF_UNIT] * 6
    few = parts_of(real.source.frames, real.units.of_frame.tolist(), 0, 20)
    assert len(few) <= 20
    assert np.bincount(few.units).min() >= 3
    assert len(parts_of(real.source.frames, real.units.of_frame.tolist(), 1, 20)) == 0


def test_a_crop_holds_the_box_in_its_middle_at_any_size() -> None:
    image = np.zeros((80, 80, 3), np.uint8)
    image[40:60, 30:50] = 255
    crop = cut_out(image, np.array([30.0, 40.0, 50.0, 60.0]), 96)
    assert crop.shape == (96, 96, 3)
    rows, columns = np.nonzero(crop[..., 0] > 127)
    assert [rows.min(), rows.max() + 1, columns.min(), columns.max() + 1] == pytest.approx([16, 80, 16, 80], abs=2)


def test_features_are_those_of_the_picture_whatever_the_batch(network: Network, sides: tuple[Side, Side]) -> None:
    _, real = sides
    parts = parts_of(real.source.frames, real.units.of_frame.tolist(), 0, 20)
    values = of_parts(network, parts)
    assert values.shape == (len(parts), sum(network.backbone.channels))
    same = of_pictures(network, [np.full((32, 48, 3), 9, np.uint8)] * 2)
    assert same[0] == pytest.approx(same[1])


def test_dark_parts_are_told_from_light_ones(
    network: Network, sides: tuple[Side, Side], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEAST_PARTS", 40)
    sim, real = sides
    got = compared(network, sim, real, "real", photos=True)
    (row,) = got.rows
    assert row.distance.value is not None
    assert row.floor.value is not None
    assert row.distance.value > row.floor.value
    assert (row.distance.p or 1.0) < 0.01
    assert row.unlike.value == 1.0
    assert {one.of for one in got.points} == {"simulated", "real"}
    assert all(0.0 <= one.x <= 1.0 and 0.0 <= one.y <= 1.0 for one in got.points)
    pairs = [one for one in got.pictures.values() if one.kind == "pair" and one.pair]
    assert len(pairs) == module.PAIRS
    assert all(got.pictures[one.pair or ""].of == "simulated" for one in pairs)
    assert all("no simulated part resembles it" in one.caption for one in pairs)
    hidden = compared(network, sim, real, "stand-in", photos=False)
    assert {one.of for one in hidden.pictures.values() if one.uri is None} == {"stand-in"}
    assert all(one.uri is not None for one in hidden.pictures.values() if one.of == "simulated")


def test_too_few_parts_are_said(network: Network, sides: tuple[Side, Side]) -> None:
    (row,) = compared(network, *sides, "real", photos=True).rows
    assert row.distance.status == row.unlike.status == "too_few"
    assert row.distance.note == "Too few: 48 of 50 parts on photos."
