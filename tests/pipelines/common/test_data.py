"""Laws of reading data: what a path is taken for, held-out clips are whole and apart, a hash follows the data."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid.core.errors import DataError
from hybrid.data.clips import Clip, ClipSource, FrameRecord
from pipelines.common.data import (
    data_hash,
    hold_out,
    is_data_set,
    is_yolo,
    names,
    note,
    photo_digests,
    read,
    split_to_measure,
    take_photos,
    target_kind,
    with_categories,
    without_copies_of,
)
from pipelines.common.paths import data_at
from tests.pipelines.scripts import photographs

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


def test_each_kind_of_path_is_reported_from_the_others(tmp_path: Path) -> None:
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


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.data(), st.integers(0, 5))
def test_shots_are_photos_also_in_videos_and_fewer_are_a_part_of_more(
    lengths: list[int], data: st.DataObject, seed: int
) -> None:
    videos = ClipSource("set", ("bolt",), tuple(Clip(str(i), (FRAME,) * n) for i, n in enumerate(lengths)))
    count = data.draw(st.integers(1, sum(lengths)))
    taken = take_photos(videos, count, seed)
    assert len(taken.frames) == count
    order = names(videos.take(len(videos), seed))
    assert names(taken) == order[: len(taken)]
    whole = {clip.name: clip.frames for clip in videos.clips}
    assert all(clip.frames == whole[clip.name] for clip in taken.clips[:-1])
    assert taken.clips[-1].frames == whole[taken.clips[-1].name][: len(taken.clips[-1].frames)]
    if count > 1:
        assert set(names(take_photos(videos, count - 1, seed))) <= set(names(taken))


def test_shots_of_photos_are_the_first_of_the_shuffle() -> None:
    single = ClipSource("set", ("bolt",), tuple(Clip(str(i), (FRAME,)) for i in range(9)))
    assert take_photos(single, 4, 7) == single.take(4, 7)
    with pytest.raises(DataError, match="needs 1 to 9 photos to train on, got 10"):
        take_photos(single, 10, 0)


def test_boxes_of_other_categories_go_with_all_that_belongs_to_them() -> None:
    frame = replace(
        FRAME,
        boxes_xyxy_px=np.arange(12, dtype=np.float32).reshape(3, 4),
        labels=np.array([0, 2, 1]),
        track_ids=np.array([7, 8, 9]),
        hidden=np.array([False, True, False]),
    )
    three = ClipSource("set", ("bolt", "nut", "washer"), (Clip("a", (frame,)),))
    two = with_categories(three, ("washer", "screw", "bolt"))
    (kept,) = two.frames
    assert two.categories == ("washer", "screw", "bolt")
    assert kept.labels.tolist() == [2, 0]
    assert kept.boxes_xyxy_px.tolist() == frame.boxes_xyxy_px[:2].tolist()
    assert kept.track_ids is not None
    assert kept.track_ids.tolist() == [7, 8]
    assert kept.hidden is not None
    assert kept.hidden.tolist() == [False, True]
    assert kept.visible_share is None
    assert with_categories(three, three.categories) is three


def test_of_several_processes_the_first_one_notes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for rank, output in (("1", ""), ("0", "note: 3 files\n")):
        monkeypatch.setenv("RANK", rank)
        note("3 files")
        assert capsys.readouterr().err == output


def test_boxes_that_are_left_out_are_counted_by_category_and_blamed_on_the_right_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = photographs(tmp_path / "photos")
    assert read(path, ("nut",), named_by="sim").counts() == {"nut": 6}
    note = capsys.readouterr().err
    assert note.startswith(f"note: {path}: boxes left out, since sim has ['nut'] alone: ")
    assert "6 of 'bolt'" in note
    assert "6 of 'washer'" in note
    with pytest.raises(DataError, match=r"no box of \['cat'\]; there are 6 of 'bolt', 6 of 'nut', 6 of 'washer'"):
        read(path, ("cat",))


def test_validation_has_no_copy_of_a_training_photo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training = read(photographs(tmp_path / "a", count=2))
    other = read(photographs(tmp_path / "b", count=2, seed=5))
    shutil.copy(tmp_path / "a/1.png", tmp_path / "b/0.png")
    rest = without_copies_of(other, training)
    assert rest is not None
    assert names(rest) == ("1.png",)
    assert "1 photos are trained on too, so not measured on, such as 0.png, which is 1.png" in capsys.readouterr().err
    assert without_copies_of(training, training) is None
    assert without_copies_of(rest, training) == rest


def test_of_too_many_photos_the_files_alone_are_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = read(photographs(tmp_path / "a", count=2))
    both = photo_digests(photos)
    monkeypatch.setattr("pipelines.common.data.MOST_DECODED_PX", 100)
    assert len(both) == 4
    assert set(photo_digests(photos)) < set(both)


def test_a_folder_of_data_sets_is_read_as_one_with_clips_named_after_their_set(
    tiny_data_set: Path, tmp_path: Path
) -> None:
    for name in ("b", "a"):
        (tmp_path / name).symlink_to(tiny_data_set)
    (tmp_path / "notes").mkdir()
    one, both = read(tiny_data_set), read(tmp_path)
    assert names(both) == tuple(f"{name}/{clip}" for name in ("a", "b") for clip in names(one))
    assert both.categories == one.categories
    assert both.counts() == {name: 2 * count for name, count in one.counts().items()}
    assert all(twice.path.exists() for twice in both.frames)
    assert is_data_set(tmp_path)
    assert data_at(str(tmp_path), "--data") == tmp_path
    hashed = data_hash(tmp_path)
    assert hashed != data_hash(tiny_data_set)
    (tmp_path / "a").unlink()
    assert data_hash(tmp_path) not in (hashed, "")
