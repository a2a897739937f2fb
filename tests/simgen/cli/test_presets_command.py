"""simgen presets, --version, completion, and what the command says of a renderer and of a preset."""

import pytest
import yaml

from simgen import __version__
from simgen.assets.cad.packed import write_packed
from simgen.cli.common import preset_names
from simgen.presets.knobs import knobs
from simgen.presets.layers import PRESETS, presets
from simgen.presets.notes import SMALL_PX, notes, typical_size_m
from simgen.presets.read import load_config
from tests.simgen.assets.cad.packed_parts import packed_box
from tests.simgen.cli.test_cli import simgen


def test_the_version_is_that_of_the_package():
    assert simgen("--version")[0] == f"simgen {__version__}\n"


def test_a_preset_is_printed_as_it_stands():
    assert simgen("presets", "conveyor")[0] == (PRESETS / "conveyor.yaml").read_text()


def test_the_knobs_of_a_preset_are_explained_with_value_unit_bounds_and_meaning(tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("base: tiny\ncamera: {distance_m: 2}\n")
    lines = simgen("presets", own, "--knobs")[0].splitlines()
    assert len(lines) == 2 * len(list(knobs()))
    at = lines.index("camera.distance_m: 2 m")
    assert lines[at + 1] == "    Distance of the camera from what it looks at. [0.01 to 100 m]"
    assert "light.lamps.count: -" in lines


@pytest.mark.parametrize("name", ["conveyor", "bolts_on_table"])
def test_a_copy_is_the_same_preset_and_writes_over_nothing(tmp_path, name):
    copy = tmp_path / "mine.yaml"
    assert f"simgen render --preset {copy} " in simgen("presets", name, "--copy", copy)[0]
    assert load_config(str(copy)) == load_config(name)
    copy.write_text("base: tiny\n")
    assert simgen("presets", name, "--copy", copy, status=2)[1].startswith(f"simgen: --copy: {copy} is there already")
    assert yaml.safe_load(copy.read_text()) == {"base": "tiny"}
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


def test_a_copy_in_another_folder_finds_the_parts_and_the_base_of_the_first(tmp_path):
    line = tmp_path / "line"
    (line / "parts").mkdir(parents=True)
    (line / "parts" / "box.glb").write_bytes(write_packed(packed_box()))
    (line / "base.yaml").write_text("base: tiny  # small\n")
    kinds = 'a: {weight: 1, mesh: parts/box.glb}, b: {mesh: "parts/box.glb", weight: 2}'
    text = f"base: base.yaml\nparts: {{kinds: {{{kinds}}}}}\n"
    (line / "line.yaml").write_text(text)
    simgen("presets", line / "line.yaml", "--copy", tmp_path / "copy.yaml")
    assert load_config(str(tmp_path / "copy.yaml")) == load_config(str(line / "line.yaml"))
    simgen("presets", line / "line.yaml", "--copy", line / "copy.yaml")
    assert (line / "copy.yaml").read_text() == text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["conveyer"], "simgen: no preset 'conveyer'; did you mean 'conveyor'?"),
        (["--knobs"], "simgen: --knobs: needs the NAME of a preset"),
        (["--copy", "x.yaml"], "simgen: --copy: needs the NAME of a preset"),
        (["tiny", "--copy", "x.json"], "simgen: --copy: x.json: needs a name that ends in .yaml"),
        (["tiny", "--copy", "no/such/x.yaml"], "simgen: no/such/x.yaml: No such file or directory"),
        (["./a\x1b[31m.yaml"], "simgen: no file 'a\\x1b[31m.yaml'"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    (line,) = simgen("presets", *arguments, status=2)[1].splitlines()
    assert line.startswith(says)
    assert not list(tmp_path.iterdir())


def test_the_shell_completes_the_names_of_presets():
    assert preset_names() == sorted(presets())


def test_an_unknown_renderer_is_blamed_on_its_option(tmp_path):
    asked = ["render", "--preset", "tiny", "--scenes", 1, "--out", tmp_path / "x", "--renderer", "blender"]
    (line,) = simgen(*asked, status=2)[1].splitlines()
    assert line == "simgen: --renderer: no renderer 'blender'; there are auto, pathtraced, pbr, tiny"


def test_small_parts_are_worth_a_note_with_the_remedy_and_large_ones_are_not():
    """A part's size in the picture is focal length x size / distance."""
    near, far = (load_config("conveyor", [f"camera.distance_m={metres}"]) for metres in (0.4, 4))
    assert not list(notes(near))
    (note,) = notes(far)
    size_px = 415 * typical_size_m(far) / 4
    assert size_px < SMALL_PX
    assert f"about {size_px:.1f} px" in note
    assert "camera.width_px" in note
    assert list(notes(load_config("conveyor", ["camera.width_px=80"])))
    assert not list(notes(load_config("conveyor", ["camera.width_px=1920"])))


def test_only_parts_that_are_drawn_count_for_the_size():
    washers = load_config("conveyor", ["parts.only=washer", "parts.kinds.washer.diameter_mm=10"])
    assert typical_size_m(washers) == pytest.approx(0.020, rel=0.01)  # ISO 7089, M10: 20 mm outside
