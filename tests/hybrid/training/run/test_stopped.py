"""What is left of a stopped training: the whole batch, a picture of it, and one line that says what to do."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from torch import Tensor

from hybrid.predict.io.drawing import COLOURS
from hybrid.training.device import TrainingDevice
from hybrid.training.run.stopped import GAP_PX, LETTERS_PX, MOST_FRAMES, culprits, encoded, keep_batch, sheet, stop
from hybrid.training.samples.batch import TrainBatch

SIDE_PX = 32
FIRST, SECOND = (TrainingDevice(torch.device("cpu"), rank, 2) for rank in (0, 1))


def batch(clips: int, frames: int, boxes: list[list[float]] | None = None, names: bool = True) -> TrainBatch:
    """Black frames; the boxes are in the last frame of the last clip."""
    rows = boxes or []
    counts = torch.zeros(clips, frames, dtype=torch.int64)
    counts[-1, -1] = len(rows)
    return TrainBatch(
        torch.zeros(clips, frames, 3, SIDE_PX, SIDE_PX, dtype=torch.uint8),
        torch.tensor(rows, dtype=torch.float32).reshape(-1, 4),
        torch.arange(len(rows)),
        counts,
        torch.full((len(rows),), -1),
        names=tuple(f"set/{k}" for k in range(clips)) if names else (),
    )


def test_every_tensor_of_the_batch_is_kept_with_the_names_and_the_reason(tmp_path: Path) -> None:
    whole = replace(
        batch(2, 3, [[1, 2, 9, 9], [4, 4, 20, 8]]), elapsed=torch.rand(2, 3), clip_labels=torch.tensor([1, -1])
    )
    assert keep_batch(tmp_path, FIRST, whole, "the loss is NaN").name == "stopped.png"
    assert keep_batch(tmp_path, SECOND, whole, "too").name == "stopped-1.png"
    assert len(list(tmp_path.iterdir())) == 4  # no process writes over another one's
    with safe_open(tmp_path / "stopped.safetensors", "pt") as kept:
        metadata = kept.metadata()
        assert metadata["why"] == "the loss is NaN"
        assert json.loads(metadata["clips"]) == ["set/0", "set/1"]
        columns = {one.name: getattr(whole, one.name) for one in fields(whole)}
        assert set(kept.keys()) == {name for name, x in columns.items() if isinstance(x, Tensor)}
        assert all(torch.equal(kept.get_tensor(name), columns[name]) for name in kept.keys())  # noqa: SIM118


@settings(max_examples=15)
@given(st.integers(1, 5), st.sampled_from([1, 2, 7, MOST_FRAMES, MOST_FRAMES + 3]))
def test_the_sheet_has_a_titled_row_for_each_clip_and_never_too_many_frames(clips: int, frames: int) -> None:
    high, wide, channels = sheet(batch(clips, frames)).shape
    rows, rest = divmod(high, SIDE_PX + GAP_PX + LETTERS_PX + GAP_PX)
    across, beside = divmod(wide, SIDE_PX + GAP_PX)
    assert (rest, beside, channels) == (0, 0, 3)
    assert across == min(frames, MOST_FRAMES)
    assert 1 <= rows <= clips
    assert rows == clips or (rows + 1) * frames > MOST_FRAMES
    assert rows == 1 or rows * across <= MOST_FRAMES


def test_boxes_are_drawn_where_they_are_in_the_colour_of_their_category() -> None:
    drawn = sheet(batch(2, 2, [[4, 6, 20, 18], [22, 24, 30, 30]]))
    last = drawn[-(SIDE_PX + GAP_PX) : -GAP_PX, -(SIDE_PX + GAP_PX) : -GAP_PX]
    assert tuple(last[6, 4]) == tuple(last[17, 19]) == COLOURS[0]
    assert tuple(last[24, 22]) == tuple(last[29, 29]) == COLOURS[1]
    assert not last[8:16, 6:18].any()  # the part itself stays to be seen
    assert not last[18, 20].any()  # the far corner is outside, as everywhere
    others = drawn.copy()
    others[-(SIDE_PX + GAP_PX) :, -(SIDE_PX + GAP_PX) :] = 0
    assert len(np.unique(others.reshape(-1, 3), axis=0)) > 1  # the names
    assert len({tuple(pixel) for pixel in others.reshape(-1, 3).tolist()} & set(COLOURS[:2])) == 0


def test_labels_that_are_no_numbers_can_still_be_looked_at() -> None:
    rows = [[math.nan, 0, 8, 8], [-math.inf, 2, math.inf, 9], [1e30, -1e30, 3, 3]]
    assert sheet(batch(1, 1, rows, names=False)).shape[2] == 3
    odd = replace(batch(1, 1), names=("näme\n",))
    assert sheet(odd).any()


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 99))
@settings(max_examples=15)
def test_a_picture_is_encoded_without_loss_and_as_rgb(height: int, width: int, seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    decoded = cv2.imdecode(np.frombuffer(encoded(picture), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(decoded[..., ::-1], picture)


def test_of_many_broken_clips_four_are_named_and_the_total_alone_is_blamed_last() -> None:
    broken = {"box": math.inf, "score": math.nan, "total": math.nan}
    names = [f"c{k}" for k in range(6)]
    assert culprits([broken] * 5 + [{"box": 1.0, "total": 1.0}], names) == (
        "5 of 6 clips alone make box, score not finite: c0, c1, c2, c3, ..."
    )
    assert culprits([broken] * 4, names[:4]).endswith(": c0, c1, c2, c3")
    only_total = {"box": 1.0, "total": math.inf}
    assert culprits([only_total], ["a"]) == "1 of 1 clips alone make the total not finite: a"


def test_one_line_says_what_is_kept_and_what_to_do(tmp_path: Path) -> None:
    words = str(stop(tmp_path, FIRST, batch(1, 1), "step 7: the loss is NaN", 4, 3e-4))
    assert words.startswith("step 7: the loss is NaN. The batch is kept: ")
    assert f"{tmp_path / 'stopped.png'} and stopped.safetensors" in words
    assert "The checkpoint of step 4 stays" in words
    assert words.endswith("lower learning rate than 0.0003")
    assert "\n" not in words


@pytest.mark.parametrize("names", [True, False])
def test_a_sheet_is_the_same_whatever_the_clips_are_called(names: bool) -> None:
    assert sheet(batch(1, 2, [[2, 2, 9, 9]], names))[LETTERS_PX + GAP_PX :].tobytes() == (
        sheet(batch(1, 2, [[2, 2, 9, 9]]))[LETTERS_PX + GAP_PX :].tobytes()
    )
