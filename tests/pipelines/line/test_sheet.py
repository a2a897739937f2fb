"""The contact sheet, and the seconds of a trial."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.line.sheet import CELL_PX, GAP_PX, arranged, cell, spread
from pipelines.line.trial import seconds_a_scene


def test_photos_are_spread_over_the_folder() -> None:
    names = [str(k) for k in range(100)]
    assert spread(names, 4) == ["0", "33", "66", "99"]
    assert spread(names[:3], 4) == names[:3]


@pytest.mark.parametrize(("height", "width"), [(300, 400), (4000, 100), (20, 30), (1, 5000)])
def test_a_picture_of_any_shape_keeps_it_in_its_cell(height: int, width: int) -> None:
    shown = cell(np.full((height, width, 3), 255, np.uint8))
    assert shown.shape[1] == CELL_PX
    white = np.argwhere((shown == 255).all(axis=2))
    seen = white.max(axis=0) - white.min(axis=0) + 1
    scale = min(CELL_PX / width, CELL_PX / height)
    assert seen == pytest.approx([max(1, height * scale), max(1, width * scale)], abs=1)


def test_every_cell_is_on_the_sheet_and_none_covers_another() -> None:
    cells = [np.full((100 + 10 * k, CELL_PX, 3), 50 + k, np.uint8) for k in range(7)]
    sheet = arranged(cells)
    assert sheet.shape[1] == 3 * CELL_PX + 2 * GAP_PX
    for k, one in enumerate(cells):
        assert (sheet == 50 + k).all(axis=2).sum() == one.shape[0] * CELL_PX


def test_the_start_of_the_workers_is_no_part_of_a_scenes_time() -> None:
    """Two workers, each 2 s a scene, after 10 s: one scene a second."""
    assert seconds_a_scene([112.0, 112.1, 114.0, 114.1, 116.0, 116.1], 2) == pytest.approx(1.0, abs=0.02)
    assert seconds_a_scene([100.0, 103.0], 4) == pytest.approx(3.0)
