"""Laws of reading data: what a path is taken for, held-out clips are whole and apart, a hash follows the data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid.core.errors import DataError
from hybrid.data.clips import Clip, ClipSource, FrameRecord
from pipelines.common.data import data_hash, hold_out, is_data_set, is_yolo, names, read, split_to_measure, target_kind

FRAME = FrameRecord(
    name="f", path=Path("f.png"), width_px=8, height_px=8, boxes_xyxy_px=np.zeros((1, 4), np.float32),
    labels=np.zeros(1, np.int64),
)  # fmt: skip


def source(count: int) -> ClipSource:
    return ClipSource("set", ("bolt",), tuple(Clip(str(i), (FRAME, FRAME)) for i in range(count)))


def yolo(folder: Path) -> Path:
    for split in ("train", "val"):
        (folder / split / "images").mkdir(parents=True)
        (folder / split / "images" / "0.png").write_bytes(split.encode())
    listing = {"names": ["bolt"], "train": "train/images", "val": "val/images"}
    (folder / "data.yaml").write_text(json.dumps(listing))
    return folder


def test_each_kind_of_path_is_told_from_the_others(tmp_path: Path) -> None:
    photos, folder = yolo(tmp_path / "yolo"), tmp_path / "sim"
    folder.mkdir()
    for path in (photos, photos / "data.yaml"):
        assert is_yolo(path)
        assert not is_data_set(path)
        assert target_kind(path) == "real"
    for path in (folder, folder / "manifest.json"):
        assert is_data_set(path)
        assert not is_yolo(path)
        assert target_kind(path) == "stand-in"
    assert target_kind(tmp_path / "photos.json") == "real"


def test_a_url_is_a_simulated_data_set() -> None:
    pytest.importorskip("fsspec")
    from simgen.dataset.store.locations import location

    assert target_kind(location("memory://bucket/photos.json")) == "stand-in"


def test_yolo_is_measured_on_val_where_there_is_no_test(tmp_path: Path) -> None:
    assert split_to_measure(yolo(tmp_path / "yolo")) == "val"
    assert split_to_measure(tmp_path / "photos.json") == "train"  # one set, without splits


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.json: there is no such file"):
        read(tmp_path / "gone.json")


@given(st.integers(2, 40), st.floats(0.0, 0.99), st.integers(0, 9))
def test_held_out_clips_are_whole_apart_and_at_least_the_share(count: int, share: float, seed: int) -> None:
    whole = source(count)
    try:
        training, validation = hold_out(whole, share, seed)
    except DataError:
        assert share * count > count - 1  # nothing would be left
        return
    assert not set(names(training)) & set(names(validation))
    assert sorted(names(training) + names(validation)) == sorted(names(whole))
    assert len(names(validation)) == int(np.ceil(share * count))
    assert (validation is None) == (share == 0.0)
    assert all(len(clip.frames) == 2 for clip in training.clips)


def test_what_is_held_out_depends_on_the_seed_alone() -> None:
    assert hold_out(source(20), 0.3, 1) == hold_out(source(20), 0.3, 1)
    assert names(hold_out(source(20), 0.3, 1)[1]) != names(hold_out(source(20), 0.3, 2)[1])


def test_fewer_shots_are_a_part_of_more_and_never_held_out() -> None:
    whole = source(20)
    training, validation = hold_out(whole, 0.3, 4)
    assert names(training)[:5] == names(whole.take(5, 4))
    assert not set(names(whole.take(14, 4))) & set(names(validation))


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(DataError, match="0 <= share < 1"):
        hold_out(source(4), share, 0)


def test_a_set_of_which_nothing_would_be_left_is_refused() -> None:
    with pytest.raises(DataError, match="1 clips cannot give"):
        hold_out(source(1), 0.1, 0)


def test_a_hash_is_the_same_for_a_copy_and_another_for_other_data(tmp_path: Path) -> None:
    sim = tmp_path / "sim"
    sim.mkdir()
    (sim / "manifest.json").write_text("{}")
    photos = yolo(tmp_path / "yolo")
    shutil.copytree(sim, tmp_path / "sim2")
    shutil.copytree(photos, tmp_path / "yolo2")
    assert data_hash(sim) == data_hash(tmp_path / "sim2") == data_hash(sim / "manifest.json")
    assert data_hash(photos) == data_hash(tmp_path / "yolo2") == data_hash(photos / "data.yaml")
    assert data_hash(photos, "train") != data_hash(photos, "val")
    (tmp_path / "yolo2/train/images/1.png").touch()
    assert data_hash(photos) != data_hash(tmp_path / "yolo2")
    (tmp_path / "sim2/manifest.json").write_text("{ }")
    assert data_hash(sim) != data_hash(tmp_path / "sim2")
