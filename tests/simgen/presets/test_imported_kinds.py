"""A preset may name an imported part in place of a standard's sizes. The config holds its content."""

import json
from pathlib import Path

import pytest

from simgen.assets.cad.packed import write_packed
from simgen.assets.parts import part_model
from simgen.presets.knobs import knobs
from simgen.presets.notes import typical_size_m
from simgen.presets.read import load_config
from simgen.scene.config import SceneConfig
from simgen.scene.sampling.sample import sample
from simgen.spec.contents import keep
from simgen.spec.errors import ConfigError, MissingContent
from simgen.spec.knobs import MeshContent
from simgen.spec.scene import MeshFile
from tests.simgen.assets.cad.packed_parts import STEEL_KG_M3, packed_box

KIND = "parts: {{only: bracket, count: 4, kinds: {{bracket: {{weight: 1, mesh: {mesh}{more}}}}}}}\n"


@pytest.fixture
def line(tmp_path, monkeypatch):
    """Write a preset with one imported part, in a folder of its own; returns its path."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "line" / "parts").mkdir(parents=True)
    (tmp_path / "line" / "parts" / "bracket.glb").write_bytes(write_packed(packed_box(name="bracket")))

    def write(more="", mesh="parts/bracket.glb", name="line/line.yaml", base="tiny"):
        Path(name).write_text(f"base: {base}\n" + KIND.format(mesh=mesh, more=more))
        return name

    return write


def problems(preset, overrides=()):
    with pytest.raises(ConfigError) as caught:
        load_config(str(preset), overrides)
    return caught.value.problems


def test_the_config_holds_the_content_and_no_path(line, tmp_path):
    config = load_config(line())
    data = (tmp_path / "line" / "parts" / "bracket.glb").read_bytes()
    mesh = config.parts.kinds["bracket"].mesh
    assert mesh == MeshContent("bracket", keep(data))
    assert str(tmp_path) not in config.model_dump_json()
    assert "glb" not in config.model_dump_json()
    spec = sample(config, 1, 0)
    assert {part.source for part in spec.parts} == {MeshFile("bracket", mesh.sha256)}
    assert {part.category for part in spec.parts} == {"bracket"}
    assert [part.mass_kg for part in spec.parts] == pytest.approx([STEEL_KG_M3 * 0.03 * 0.02 * 0.01] * 4)


def test_the_path_is_the_presets_and_in_set_the_working_folders(line):
    config = load_config(line())
    line(base="./line.yaml", name="line/other.yaml", mesh="../line/parts/bracket.glb")
    assert load_config("line/other.yaml") == config
    Path("below.yaml").write_text("base: line/line.yaml\n")
    assert load_config("below.yaml") == config
    assert load_config("below.yaml", ["parts.kinds.bracket.mesh=line/parts/bracket.glb"]) == config
    (line_,) = problems("below.yaml", ["parts.kinds.bracket.mesh=parts/bracket.glb"])
    assert line_.startswith("--set: parts.kinds.bracket.mesh: parts/bracket.glb: cannot be read: No such file")


def test_a_kind_may_change_what_the_file_says(line):
    more = ", category: angle, density_kg_m3: 1000, scale: {low: 0.5, high: 2}, file_colours: false"
    parts = [part for index in range(6) for part in sample(load_config(line(more)), 1, index).parts]
    assert {part.category for part in parts} == {"angle"}
    scales = {part.source.mesh_scale for part in parts}
    assert len(scales) > 10
    for part in parts:
        assert part.source.mesh_colours is False
        assert 0.5 <= part.source.mesh_scale <= 2
        assert part.source.mesh_scale == round(part.source.mesh_scale, 2)
        assert part.mass_kg == pytest.approx(1000 * 0.03 * 0.02 * 0.01 * part.source.mesh_scale**3)
    assert typical_size_m(load_config(line(", scale: 2"))) == pytest.approx(2 * typical_size_m(load_config(line())))


def test_a_preset_of_fasteners_keeps_its_config_to_the_letter():
    stored = json.loads(load_config("tiny").model_dump_json())["parts"]["kinds"]["hex_nut"]
    assert stored.keys() == {"weight", "diameter_mm", "length_mm", "finishes"}


def test_fasteners_and_imported_parts_lie_in_one_scene(line):
    config = load_config(line(base="tiny"), ["parts.only=[]", "parts.count=40"])
    assert {part.category for part in sample(config, 0, 0).parts} == {"bolt", "nut", "washer", "bracket"}


CASES = {
    "no such file": (
        {"mesh": "parts/brocket.glb"},
        "line/parts/brocket.glb: cannot be read: No such file or directory",
    ),
    "a folder": ({"mesh": "parts"}, "line/parts: is no plain file"),
    "no part": ({"mesh": "line.yaml"}, "line/line.yaml: "),
    "a number": ({"mesh": "3"}, "needs the path of an imported part, such as parts/bracket.glb, got 3"),
    "sizes too": ({"more": ", diameter_mm: 8"}, "mesh and diameter_mm: a part is of a file or of a standard"),
    "a scale too small": ({"more": ", scale: 0.001"}, "needs 0.1 to 10, got 0.001: a size ratio"),
    "a bad category": ({"more": ", category: ''"}, "needs a name of 1 to 100 letters, got ''"),
    "a misspelt knob": ({"more": ", scael: 2"}, "no such knob; did you mean 'scale'?"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_named_with_its_line(line, case):
    asked, expected = CASES[case]
    (text,) = problems(line(**asked))
    assert text.startswith("line/line.yaml:2: parts.kinds.bracket")
    assert expected in text


def test_a_kind_without_sizes_and_without_a_mesh_is_asked_for_either():
    (text,) = problems("tiny", ["parts.kinds.washer.diameter_mm=null"])
    assert "missing diameter_mm of its standard's sizes, or mesh, the file of an imported part" in text
    (text,) = problems("tiny", ["parts.kinds.washer.scale=2"])
    assert "scale is of imported parts alone" in text


def test_a_content_that_nobody_gave_is_named(line):
    stored = json.loads(load_config(line()).model_dump_json())
    stored["parts"]["kinds"]["bracket"]["mesh"]["sha256"] = "0" * 64
    config = SceneConfig.model_validate_json(json.dumps(stored), strict=True)
    with pytest.raises(MissingContent, match="an imported part: this process does not have the file of sha256 0"):
        sample(config, 0, 0)


def test_the_knobs_are_listed_with_their_values(line):
    config = load_config(line())
    values = {row.path: row.value_in(config) for row in knobs()}
    assert values["parts.kinds.*.mesh"] == "bracket: bracket"
    assert values["parts.kinds.*.diameter_mm"] == "bracket: -"


def test_models_of_many_scales_do_not_pile_up(line):
    source = sample(load_config(line()), 1, 0).parts[0].source
    one = part_model(source)
    assert part_model(source) is one
    assert part_model(MeshFile(source.name, source.mesh_sha256, mesh_scale=2.0)).normals is one.normals
