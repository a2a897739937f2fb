"""Sessions that nobody states: from clips, EXIF times, names and looks."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hybrid.core.errors import DataError
from hybrid.data.clips import Clip, ClipSource, FrameRecord
from pipelines.gap.stats.grouping import by_looks, by_time, group, taken

START = datetime(2026, 11, 29, 8, 0, 0)


def photo(path: Path, grey: int = 100, when: datetime | None = None, seed: int = 0) -> FrameRecord:
    noise = np.random.default_rng(seed).integers(0, 4, (32, 32, 3))
    image, exif = Image.fromarray((noise + grey).astype(np.uint8)), Image.Exif()
    if when is not None:
        exif.get_ifd(0x8769)[0x9003] = when.strftime("%Y:%m:%d %H:%M:%S")
    image.save(path, exif=exif)
    return FrameRecord(
        name=path.name, path=path, width_px=32, height_px=32, boxes_xyxy_px=np.zeros((0, 4), np.float32),
        labels=np.zeros(0, np.int64),
    )  # fmt: skip


def source(frames: list[FrameRecord]) -> ClipSource:
    return ClipSource("photos", ("bolt",), tuple(Clip(frame.name, (frame,)) for frame in frames))


def test_photos_ten_minutes_apart_are_of_two_sessions_in_any_order() -> None:
    minutes = (0, 30, 9, 40, 18, 39)  # sessions at 0 to 18 and 30 to 40: a pause of 12
    assert by_time([START + timedelta(minutes=m) for m in minutes]).tolist() == [0, 1, 0, 1, 0, 1]
    assert by_time([START, START + timedelta(minutes=10)]).tolist() == [0, 1]
    assert by_time([START, START + timedelta(minutes=9, seconds=59)]).tolist() == [0, 0]


def test_exif_times_are_read_and_come_before_names(tmp_path: Path) -> None:
    frames = [photo(tmp_path / f"a{k}.jpg", when=START + timedelta(hours=k // 2)) for k in range(4)]
    got = group(source(frames), None)
    assert (got.of_frame.tolist(), got.made, got.count) == ([0, 0, 1, 1], "exif", 2)
    assert taken((tmp_path / "a0.jpg").read_bytes()) == START


def test_a_time_that_is_none_is_no_time(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg")
    assert taken((tmp_path / "a.jpg").read_bytes()) is None
    assert taken(b"") is None


def test_names_come_before_looks_and_a_pattern_before_all(tmp_path: Path) -> None:
    frames = [photo(tmp_path / f"{name}.jpg") for name in ("a1", "a2", "b1", "b2")]
    got = group(source(frames), None)
    assert (got.of_frame.tolist(), got.made) == ([0, 0, 1, 1], "guessed")
    assert "names" in got.in_words()
    stated = group(source(frames), r"(\d)")
    assert (stated.of_frame.tolist(), stated.made) == ([0, 1, 0, 1], "pattern")
    with pytest.raises(DataError, match="does not fit"):
        group(source(frames), "(x)")


def test_photos_of_one_camera_roll_are_sorted_by_looks(tmp_path: Path) -> None:
    greys = (20, 21, 22, 120, 121, 122, 220, 221, 222)
    frames = [photo(tmp_path / f"IMG_{k}.png", grey, seed=k) for k, grey in enumerate(greys)]
    got = group(source(frames), None)
    assert len({tuple(got.of_frame[k : k + 3].tolist()) for k in (0, 3, 6)}) == 3
    assert got.count == 3
    assert "look" in got.how


def test_clips_and_scenes_are_sessions(tmp_path: Path) -> None:
    frames = [photo(tmp_path / f"{k}.png") for k in range(4)]
    clips = ClipSource("clips", ("bolt",), (Clip("a", tuple(frames[:3])), Clip("b", tuple(frames[3:]))))
    assert (group(clips, None).of_frame.tolist(), group(clips, None).made) == ([0, 0, 0, 1], "clips")
    assert group(source(frames), None, scenes=True).count == 4


def test_three_photos_are_their_own_sessions(tmp_path: Path) -> None:
    assert group(source([photo(tmp_path / f"{k}.png") for k in range(3)]), None).made == "photos"


def test_looks_prefer_few_sessions_and_equal_photos_are_one() -> None:
    rng = np.random.default_rng(0)
    looks = np.repeat(rng.random((5, 12)), 4, 0) + rng.normal(0, 0.01, (20, 12))
    got = by_looks(looks)
    assert len(np.unique(got)) <= 5
    assert all(len(set(got[k : k + 4].tolist())) == 1 for k in range(0, 20, 4))
    assert by_looks(np.ones((6, 12))).tolist() == [0] * 6


def test_a_photo_that_cannot_be_read_has_no_time(tmp_path: Path) -> None:
    frame = replace(photo(tmp_path / "a1.png"), path=tmp_path / "gone.png")
    frames = [replace(frame, name=name) for name in ("a1.png", "a2.png", "b1.png", "b2.png")]
    assert group(source(frames), None).made == "guessed"
