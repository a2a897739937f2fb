"""The choice of a method: whole sessions are left out, and the best mean decides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hybrid.core.errors import DataError
from hybrid.data.clips import Clip, ClipSource, FrameRecord
from pipelines.common.tuning.auto import MOST_FOLDS, choose, folds

FRAME = FrameRecord(
    name="f", path=Path("f.png"), width_px=8, height_px=8, boxes_xyxy_px=np.zeros((0, 4), np.float32),
    labels=np.zeros(0, np.int64),
)  # fmt: skip
PHOTOS = ClipSource("set", ("bolt",), tuple(Clip(f"{k}", (replace(FRAME, name=f"{k}"),)) for k in range(7)))
SESSIONS = [0, 0, 0, 1, 2, 2, 3]


def test_each_session_is_left_out_once_and_folds_are_of_one_size() -> None:
    dealt = folds(SESSIONS)
    assert len(dealt) == MOST_FOLDS == 3
    assert sorted(session for fold in dealt for session in fold) == [0, 1, 2, 3]
    assert [sum(SESSIONS.count(session) for session in fold) for fold in dealt] == [3, 2, 2]
    with pytest.raises(DataError, match=r"are of one session.*--sessions"):
        folds([5, 5, 5])


def test_the_best_mean_decides_and_a_tie_goes_to_the_simplest(tmp_path: Path) -> None:
    seen = []

    def run(method: str, training: ClipSource, held_out: ClipSource, folder: Path) -> float:
        names = [{int(clip.name) for clip in source.clips} for source in (training, held_out)]
        assert names[0] | names[1] == set(range(7))
        assert not {SESSIONS[k] for k in names[0]} & {SESSIONS[k] for k in names[1]}
        seen.append(folder)
        return {"plain": 0.500, "frozen-first": 0.597, "l2-sp": 0.6, "wise-ft": 0.4}[method] + 0.01 * (3 in names[1])

    choice = choose(PHOTOS, SESSIONS, run, tmp_path)
    assert choice.method == "frozen-first"  # l2-sp is ahead by less than a tie
    assert choice.ap["plain"] == pytest.approx(0.5 + 0.01 / 3)
    assert len(set(seen)) == len(seen) == 4 * 3
    assert choice.in_words().startswith("--method auto: frozen-first (mean AP on left-out sessions: plain 0.503, ")
