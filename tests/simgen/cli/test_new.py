"""simgen new: the folder is a whole project, and what is wrong is one line with nothing half-written."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from simgen.assets.cad.packed import PackedPart, write_packed
from simgen.cli import app
from simgen.generation.clip import make_clip
from simgen.presets.read import load_config
from simgen.spec.errors import PartFileError
from tests.simgen import photos
from tests.simgen.assets.cad.packed_parts import packed_box
from tests.simgen.photos import write_area


@dataclass(frozen=True)
class Added:
    part: PackedPart


@pytest.fixture(autouse=True)
def _imports_boxes(monkeypatch):
    """The import itself has tests of its own and takes half a minute: here each CAD file is a box of 30 mm."""

    def add_part(request, line):
        if not request.file.is_file():
            raise PartFileError(f"{request.file}: there is no such file")
        part = packed_box(name=request.name, size_m=(0.03, 0.02, 0.01))
        (line / "parts").mkdir(exist_ok=True)
        (line / "parts" / f"{request.name}.glb").write_bytes(write_packed(part))
        return Added(part)

    monkeypatch.setattr("simgen.library.adding.add_part", add_part)


@pytest.fixture
def given(tmp_path):
    """Two CAD files, a folder of empty pictures, a folder of photos."""
    for name in ("bracket.step", "washer.stl"):
        (tmp_path / name).write_text("solid")
    photos.folder(tmp_path / "empty", 2)
    photos.folder(tmp_path / "photos", 4)
    return tmp_path


def run(folder, *words):
    return CliRunner().invoke(app, ["new", str(folder / "line"), *map(str, words)])


def parts(folder):
    return ["--part", folder / "bracket.step", folder / "washer.stl", "--unit", "mm"]


def test_the_folder_is_a_whole_project_that_renders(given):
    result = run(given, *parts(given), "--empty", given / "empty", "--photos", given / "photos", "--view-m", "0.3")
    assert result.exit_code == 0, result.output
    line = given / "line"
    assert sorted(p.relative_to(line).as_posix() for p in line.rglob("*") if p.is_file()) == [
        "README.md", "backgrounds/empty0.png", "backgrounds/empty1.png", "line.yaml", "parts/bracket.glb",
        "parts/washer.glb", *(f"photos/unlabelled/{path.name}" for path in sorted((given / "photos").iterdir())),
    ]  # fmt: skip
    config = load_config(str(line / "line.yaml"), ["render.supersample=1", "stage.photo.share=1", "parts.count=3"])
    assert sorted(config.parts.kinds) == ["bracket", "washer_part"]  # washer is a kind of the base
    assert len(config.stage.photo.pictures) == 2
    clip = make_clip(config, 0, 0)
    assert clip.ids.shape == (1, 120, 160)
    assert (clip.ids >= 0).any()
    assert len((line / "README.md").read_text().splitlines()) == 7  # a title and five commands


def test_of_very_many_photos_some_are_copied_and_it_says_how_many(given, monkeypatch):
    monkeypatch.setattr("simgen.presets.new_line.make.MOST_COPIED", 2)
    result = run(given, *parts(given), "--empty", given / "empty", "--photos", given / "photos")
    assert "photos: 2 of 4 copied to photos/unlabelled" in result.output
    names = sorted(path.name for path in (given / "photos").iterdir())
    assert sorted(path.name for path in (given / "line/photos/unlabelled").iterdir()) == [names[0], names[-1]]


def test_what_is_guessed_and_what_is_measured_is_said(given):
    result = run(given, *parts(given), "--empty", given / "empty" / "empty0.png", given / "empty" / "empty1.png")
    assert result.exit_code == 0, result.output
    assert "(guessed: 50 degrees of view)" in result.output
    assert "give --height-m or --view-m" in result.output
    assert "give --photos FOLDER" in result.output


def test_a_calibration_gives_focal_length_and_distortion(given):
    (given / "c.yaml").write_text(
        "image_width: 320\nimage_height: 240\n"
        "camera_matrix: {rows: 3, cols: 3, data: [400, 0, 160, 0, 400, 120, 0, 0, 1]}\n"
        "distortion_coefficients: {rows: 1, cols: 5, data: [-0.1, 0, 0, 0, 0]}\n"
    )
    result = run(given, *parts(given), "--empty", given / "empty", "--camera", given / "c.yaml", "--height-m", "0.5")
    assert result.exit_code == 0, result.output
    config = load_config(str(given / "line" / "line.yaml"))
    assert config.camera.focal_px.low == pytest.approx(200)  # the photos are half as large
    assert config.lens.k1.low == -0.1


def test_the_corners_of_a_table_place_the_camera_and_tell_its_focal_length(given):
    """The table of 0.5 x 0.4 m lies in the first photo as a camera of 60 degrees sees it from 1 m, tilted by 40."""
    focal_px, tilt, eye_m = 160 / (2 * math.tan(math.radians(30))), math.radians(40), 1.0
    forward, down = np.array([0.0, math.sin(tilt), -math.cos(tilt)]), np.array([0.0, -math.cos(tilt), -math.sin(tilt)])
    corners_m = np.array([[-0.25, -0.2, 0.0], [0.25, -0.2, 0.0], [0.25, 0.2, 0.0], [-0.25, 0.2, 0.0]])
    seen = corners_m + eye_m * forward
    corners_px = focal_px * np.stack([seen[:, 0], seen @ down], axis=1) / (seen @ forward)[:, None] + [80, 60]
    write_area(given / "table.json", corners_px)
    words = ("--work-area", given / "table.json", "--area-m", "0.5", "0.4")
    result = run(given, *parts(given), "--empty", given / "empty", *words)
    assert result.exit_code == 0, result.output
    assert "empty1.png: no polygon of its work surface" in result.output
    config = load_config(str(given / "line" / "line.yaml"))
    assert (config.stage.length_m.low, config.stage.width_m.low) == (0.5, 0.4)
    assert config.camera.focal_px.low == pytest.approx(focal_px, rel=0.02)
    assert config.camera.distance_m.low < eye_m < config.camera.distance_m.high
    assert config.camera.elevation_deg.low < 50 < config.camera.elevation_deg.high
    (file,) = config.stage.photo.pictures
    np.testing.assert_allclose(file.area_px, corners_px)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--part", "bracket.step", "--empty", "empty", "--area-m", "1", "1"], "--work-area and --area-m go together"),
        (["--part", "none.step", "--empty", "empty"], "none.step: there is no such file"),
        (["--part", "bracket.step", "--empty", "none"], "none: no such file or folder"),
        (["--part", "bracket.step", "--empty", "bracket.step"], "no photo that can be used"),
        (["--part", "bracket.step", "--empty", "empty", "--unit", "ell"], "--unit: no unit 'ell'"),
        (["--part", "bracket.step", "--empty", "empty", "--material", "cheese"], "--material: no material 'cheese'"),
        (["--part", "bracket.step", "bracket.step", "--empty", "empty"], "two files of one name"),
        (["--part", "bracket.step", "--empty", "empty", "--camera", "bracket.step"], "is no calibration"),
        (["--part", "bracket.step", "--empty", "empty", "--tilt-deg", "95"], "--tilt-deg: needs 0"),
        (["--part", "bracket.step", "--empty", "empty", "--view-m", "0.02"], "bracket: 30 mm is larger than the view"),
        (["--part", "bracket.step", "--empty", "empty", "--photos", "none"], "none: no such file or folder"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_written(given, monkeypatch, words, message):
    monkeypatch.chdir(given)
    before = sorted(given.rglob("*"))
    result = run(Path(), *words)
    assert result.exit_code == 2
    (line,) = [line for line in result.output.splitlines() if "importing" not in line]
    assert message in line
    assert sorted(given.rglob("*")) == before


def test_a_folder_that_is_there_is_left_alone(given):
    photos.folder(given / "line")
    result = run(given, *parts(given), "--empty", given / "empty")
    assert result.exit_code == 2
    assert "is there already; give a new folder" in result.output
