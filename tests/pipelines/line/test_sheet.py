"""The contact sheet, and the seconds of a trial."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hybrid.core.config import ModelConfig
from hybrid.core.errors import DataError
from hybrid.data.pixels import read_image
from hybrid.model.network import Network
from hybrid.weights.checkpoint import save_detector
from pipelines.line import sheet
from pipelines.line.conclusion import detections
from pipelines.line.sheet import CELL_PX, GAP_PX, arranged, cell
from pipelines.line.trial import seconds_a_scene
from simgen.spec.evenly import evenly
from tests.pipelines.scripts import photographs


@pytest.mark.slow
def test_what_is_found_is_drawn_listed_and_what_cannot_be_read_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, photos = tmp_path / "net.safetensors", photographs(tmp_path / "photos", count=4).parent
    save_detector(run, Network(ModelConfig(categories=("bolt",), branches="cnn", width=16, queries=5)))
    (photos / "1.png").write_bytes(b"no picture")
    monkeypatch.setattr(sheet, "MOST_PHOTOS", 3)
    sheet.look(run, photos, tmp_path / "found", tmp_path / "found.jpg")
    notes = capsys.readouterr().err
    assert "looked at 3 of 4 photos" in notes
    assert detections(tmp_path / "found/detections.jsonl")[0] == 3
    assert sorted(path.name for path in (tmp_path / "found").glob("*.jpg")) == ["0.png.jpg", "2.png.jpg", "3.png.jpg"]
    assert read_image(tmp_path / "found.jpg").shape[1] == 3 * CELL_PX + 2 * GAP_PX
    monkeypatch.setattr(sheet, "MOST_PHOTOS", 9)
    sheet.look(run, photos, tmp_path / "found", tmp_path / "found.jpg")
    assert "1.png: left out: " in capsys.readouterr().err
    only = tmp_path / "only"
    only.mkdir()
    (only / "a.png").write_bytes(b"")
    with pytest.raises(DataError, match="only: none of its 1 photos can be read"):
        sheet.look(run, only, tmp_path / "none", tmp_path / "none.jpg")
    assert not (tmp_path / "none.jpg").exists()


def test_photos_are_spread_over_the_folder() -> None:
    names = [str(k) for k in range(100)]
    assert evenly(names, 4) == ["0", "33", "66", "99"]
    assert evenly(names[:3], 4) == names[:3]


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
    whole = arranged(cells)
    assert whole.shape[1] == 3 * CELL_PX + 2 * GAP_PX
    for k, one in enumerate(cells):
        assert (whole == 50 + k).all(axis=2).sum() == one.shape[0] * CELL_PX


def test_the_start_of_the_workers_is_no_part_of_a_scenes_time() -> None:
    """Two workers, each 2 s a scene, after 10 s: one scene a second."""
    assert seconds_a_scene([112.0, 112.1, 114.0, 114.1, 116.0, 116.1], 2) == pytest.approx(1.0, abs=0.02)
    assert seconds_a_scene([100.0, 103.0], 4) == pytest.approx(3.0)
