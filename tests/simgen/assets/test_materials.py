"""Procedural materials: their tiles have no seams, their colours are measured metals', their draws keep to streams."""

import json

import numpy as np
import pytest

from simgen.assets.materials import (
    MATERIALS,
    VARIANTS,
    WEAR,
    draw_material,
    draw_wear,
    material_tile,
    tile_facts,
    wear_key,
    wear_tile,
)
from simgen.assets.materials.optics import INDICES, f0, reflectance
from simgen.assets.materials.wear import STEPS, worn
from simgen.dataset.format.plain import from_plain
from simgen.presets.read import load_config
from simgen.renderers.textures import TEXTURES
from simgen.scene.config import MatterKnobs
from simgen.scene.sampling.sample import sample
from simgen.spec.errors import ConfigError
from simgen.spec.knobs import Uniform
from simgen.spec.scene import SceneSpec

ASKED = {  # of the issue, with the rows that answer it
    "machined", "turned", "brushed", "cast", "zinc_plated", "black_oxide", "anodized", "galvanized", "stainless",
    "brass", "copper", "rusty", "painted", "powder_coated", "plastic_glossy", "plastic_matt", "plastic_white", "rubber",
    "cardboard", "wood", "concrete", "belt_fabric", "belt_pvc", "printed_paper", "floor_tiles",
}  # fmt: skip
WORN = {
    "scratches", "fingerprints", "oil_film", "dust", "swarf", "stickers", "printed_code", "seam", "dirt",
}  # fmt: skip
TURNED = "parts: {materials: {weights: {turned: 1}}"
PRESET = """
base: tiny
matter:
  parts: {materials: {weights: {turned: 1, zinc_plated: 3}}, wear: {dust: {low: -1, high: 0.5}}}
  top: {materials: {weights: {belt_pvc: 1}}, wear: {seam: {low: 0.5, high: 1}}, wear_size_m: 0.6}
  clutter: {materials: {weights: {cardboard: 1}}}
"""


def drawn(name, seed=0):
    return draw_material(name, np.random.default_rng(seed))


@pytest.fixture
def preset(tmp_path):
    def write(text=PRESET):
        (tmp_path / "matter.yaml").write_text(text)
        return str(tmp_path / "matter.yaml")

    return write


def test_what_was_asked_for_is_there():
    assert len(ASKED) == 25
    assert MATERIALS.keys() >= ASKED
    assert WEAR.keys() == WORN
    assert all(row.source and row.texture in TEXTURES for row in MATERIALS.values())


def across_the_seam(field):
    """How much more a field changes over its edges than anywhere inside, per axis."""
    for axis in (0, 1):
        steps = np.abs(np.diff(field, axis=axis, append=np.take(field, [0], axis=axis)))
        lines = steps.mean(axis=1 - axis)
        inside = lines[:-1]
        yield lines[-1] - 1.3 * inside.max() - 0.02 * np.ptp(field)


@pytest.mark.parametrize("name", MATERIALS)
def test_a_tile_goes_on_at_its_edges(name):
    tile, facts = material_tile(name, 0), tile_facts(name, 0)
    assert np.isfinite(tile).all()
    assert np.abs(tile[..., 0]).max() <= 1
    assert 0 <= tile[..., 1].min() <= tile[..., 1].max() <= 1
    assert (tile[..., 2:] ** 2).sum(axis=-1).mean() == pytest.approx(1, rel=0.01)
    assert 0 <= facts.quarter_lost < facts.most_lost < 9
    for channel in range(4):
        assert max(across_the_seam(tile[..., channel])) <= 0, f"channel {channel}"


@pytest.mark.parametrize("name", WEAR)
def test_wear_goes_on_at_its_edges_and_grows_with_its_amount(name):
    little, much = (worn(((name, steps),), 1, 0.0002) for steps in (1, STEPS))
    for colour, rest in (little, much):
        assert 0 <= colour.min() <= colour[..., :3].max() <= colour[..., 3].max() + 1e-6 <= 1 + 2e-6
        assert np.abs(rest[..., :2]).max() <= 1
        for channel in (colour[..., 3], rest[..., 1]):
            assert max(across_the_seam(channel)) <= 0
    strength = [np.abs(c).mean() + np.abs(r).mean() for c, r in (little, much)]
    assert strength[1] > 1.1 * strength[0] > 0


def test_layers_of_wear_do_not_move_each_other():
    alone, _ = worn((("stickers", 4),), 3, 0.0002)
    both, _ = worn((("scratches", 6), ("stickers", 4)), 3, 0.0002)
    assert (alone == both).all()  # scratches have no colour
    with pytest.raises(KeyError, match="no wear 'rust'; there are"):
        worn((("rust", 1),), 0, 0.0002)


def test_measured_metals_have_their_colours():
    """As the PhysicallyBased database and Lagarde's tables give them, from the same measurements."""
    known = {"aluminium": (0.912, 0.914, 0.920), "brass": (0.910, 0.778, 0.423), "stainless": (0.669, 0.639, 0.598)}
    for metal, rgb in known.items():
        assert f0(metal) == pytest.approx(rgb, abs=0.01)
    red, green, blue = f0("copper")
    assert red > 0.9 > 0.7 > green > blue > 0.45
    assert reflectance("iron", np.array([0.549]))[0] == pytest.approx(
        (1.95**2 + 2.93**2) / (3.95**2 + 2.93**2), abs=1e-6
    )
    for metal in INDICES:
        assert all(0.4 < c < 1 for c in f0(metal))
    with pytest.raises(KeyError, match="'gold'; there are"):
        f0("gold")


@pytest.mark.parametrize("name", MATERIALS)
def test_a_draw_can_be_rendered_and_its_mean_is_what_tiny_draws(name):
    row = MATERIALS[name]
    for seed in range(20):
        spec = drawn(name, seed)
        matter = spec.matter
        shares = [*spec.rgb, spec.metallic, spec.roughness, spec.contrast]
        for substance in (matter.base, matter.second):
            shares += [*substance.rgb, substance.metallic, substance.roughness]
        shares += [matter.contrast, matter.gloss, matter.relief, matter.anisotropy, matter.coat, matter.coat_roughness]
        assert 0 <= min(shares) <= max(shares) <= 1
        covered = tile_facts(name, 0).covered
        mean = (1 - covered) * np.array(matter.base.rgb) + covered * np.array(matter.second.rgb)
        assert spec.rgb == pytest.approx(mean)
    assert (row.second is None) == (matter.second == matter.base)


def worn_by(seed, **ranges):
    return draw_wear({name: Uniform(*r) for name, r in ranges.items()}, 0.1, np.random.default_rng(seed))


def test_a_wear_range_moves_its_own_layer_alone():
    one, other = (worn_by(4, dust=(0.2, 0.9), scratches=(0.1, high)) for high in (0.5, 0.8))
    assert [w.name for w in one.layers] == [w.name for w in other.layers] == ["dust", "scratches"]
    assert one.layers[0] == other.layers[0]
    assert one.layers[1] != other.layers[1]
    assert worn_by(4, dust=(-0.5, -0.1)).layers == ()
    assert wear_key(worn_by(4, dust=(-0.5, -0.1)))[0] == ()


def test_tiles_are_shared_between_scenes():
    """Amounts are rounded to steps and seeds to variants, so that a worker keeps few tiles."""
    keys = {wear_key(worn_by(seed, dust=(0.0, 1.0))) for seed in range(200)}
    assert 4 < len(keys) <= VARIANTS * STEPS
    a, b = (wear_tile(sorted(keys)[0]) for _ in range(2))
    assert (a[0] == b[0]).all()


# ---------------------------------------------------------------------------------------------------- in presets


def test_a_preset_names_materials_for_each_kind_of_surface(preset):
    config = load_config(preset())
    specs = [sample(config, 1, k) for k in range(6)]
    names = {part.material.matter.name for spec in specs for part in spec.parts}
    assert names == {"turned", "zinc_plated"}
    for spec in specs:
        assert spec.stage.top.matter.name == "belt_pvc"
        assert spec.stage.top.matter.wear.side_m == 0.6
        assert [w.name for w in spec.stage.top.matter.wear.layers] == ["seam"]
        assert spec.stage.floor.matter is None
        assert all(body.material.matter.name == "cardboard" for body in spec.occluders)
        assert from_plain(SceneSpec, json.loads(spec.to_json())) == spec


def test_materials_leave_all_other_draws_as_they_were(preset):
    with_, without = load_config(preset()), load_config("tiny")
    assert without.matter == MatterKnobs()
    for k in range(3):
        a, b = sample(with_, 1, k), sample(without, 1, k)
        assert [p.world_from_part for p in a.parts] == [p.world_from_part for p in b.parts]
        assert (a.light, a.camera, a.sensor, a.stage.floor) == (b.light, b.camera, b.sensor, b.stage.floor)


def test_a_spec_without_them_is_stored_as_before():
    """Fields that are None by default are not written: old data sets are made again byte for byte."""
    plain = sample(load_config("tiny"), 1, 0).to_json()
    for word in ("matter", "lamps", "environment", "flicker"):
        assert word not in plain


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("parts: {materials: {weights: {turnd: 1}}}", "no material 'turnd'; did you mean 'turned'?"),
        (f"{TURNED}, wear: {{dusk: {{low: 0, high: 1}}}}}}", "no wear 'dusk'; did you mean 'dust'?"),
        ("part: {materials: {weights: {turned: 1}}}", "matter.part: no such knob; did you mean 'parts'?"),
        ("parts: {material: {weights: {turned: 1}}}", "parts.material: no such knob; did you mean 'materials'?"),
        (f"{TURNED}, wear_size_m: -1}}", "matter.parts.wear_size_m: needs 0.001 to 10 m, got -1"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(preset, line, message):
    with pytest.raises(ConfigError) as caught:
        load_config(preset(f"base: tiny\nmatter:\n  {line}\n"))
    assert any("matter.yaml:3: " in problem and message in problem for problem in caught.value.problems)


def test_a_material_that_there_is_not_is_an_error():
    with pytest.raises(KeyError, match="no material 'gold'; there are"):
        drawn("gold")
