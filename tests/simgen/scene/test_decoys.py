"""Decoys lie among the parts, are simulated and drawn as they are, and bear no label."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("pybullet")

from simgen.assets.cad.packed import write_packed
from simgen.assets.parts import PARTS, part_model
from simgen.assets.parts.things import THINGS
from simgen.generation.clip import categories, make_clip
from simgen.labels.boxes import annotate
from simgen.labels.flow import flow_px
from simgen.presets.read import load_config
from simgen.renderers import RENDERERS, render
from simgen.scene.config.decoys import SORTS
from simgen.scene.sampling.sample import sample
from simgen.scene.simulate import simulate
from simgen.spec.errors import ConfigError
from simgen.spec.scene import Block, FamilySize, MeshFile
from simgen.spec.types import BACKGROUND, CLUTTER
from tests.simgen.assets.cad.packed_parts import packed_box
from tests.simgen.scenes import needs, part, scene, still

NUTS = ["parts.only=[hex_nut]", "parts.count={low: 4, high: 4}"]
SOME = [*NUTS, "decoys.count={low: 6, high: 6}"]


def spec_with(*overrides, seed=3, index=0):
    return sample(load_config("tiny", [*SOME, *overrides]), seed, index)


def test_a_preset_without_decoys_has_none_and_says_nothing_of_them():
    config = load_config("tiny")
    assert config.decoys is None
    assert "decoys" not in config.model_dump(mode="json")
    assert "decoys" not in sample(config, 0, 0).to_json()


def test_decoys_change_nothing_else():
    plain, with_them = sample(load_config("tiny", NUTS), 3, 0), spec_with()
    assert len(with_them.decoys) == 6
    assert replace(with_them, decoys=None) == plain


@pytest.mark.parametrize(("kind", "source"), [("blocks", Block), ("fasteners", FamilySize), ("things", Block)])
def test_each_kind_of_decoy_is_drawn(kind, source):
    decoys = [decoy for index in range(5) for decoy in spec_with(f"decoys.kinds={kind}", index=index).decoys]
    assert all(isinstance(decoy.source, source) for decoy in decoys)
    assert len({decoy.source for decoy in decoys}) > 10
    if kind == "fasteners":
        assert {PARTS[decoy.source.kind].category for decoy in decoys} == {"bolt", "washer"}
    sizes = [part_model(decoy.source).radius_m for decoy in decoys]
    nuts = [part_model(made.source).radius_m for made in spec_with().parts]
    assert 0.2 * min(nuts) < min(sizes) < max(sizes) < (4.5 if kind == "things" else 3) * max(nuts)


def test_things_are_those_of_the_knob_and_have_several_forms():
    assert set(SORTS) == set(THINGS)
    some = ["decoys.kinds=things", "decoys.things={weights: {cable: 1, label: 1}}", "decoys.count={low: 12, high: 12}"]
    things = [decoy.source for index in range(3) for decoy in spec_with(*some, index=index).decoys]
    assert {thing.block for thing in things} == {"cable", "label"}
    assert len({thing.block_form for thing in things}) > 3
    with pytest.raises(ConfigError, match=r"decoys\.things.*no thing 'rope'"):
        load_config("tiny", ["decoys.things=rope"])


@pytest.mark.parametrize("kind", SORTS)
def test_a_thing_is_a_closed_solid_of_the_size_asked_for(kind):
    """It is built again from its name, form and size alone, and physics gets hulls that span it."""
    models = [part_model(Block(kind, (0.12,) * 3, form)) for form in range(2)]
    for model in models:
        assert np.ptp(model.vertices_m, axis=0).max() == pytest.approx(0.12, rel=0.3)  # the axes are the principal ones
        corners = np.round(model.vertices_m / 1e-6).astype(np.int64)
        _, place = np.unique(corners, axis=0, return_inverse=True)
        turned = place.reshape(-1)[model.triangles]
        sides = np.concatenate([turned[:, [0, 1]], turned[:, [1, 2]], turned[:, [2, 0]]])
        forward, back = (sorted(map(tuple, one.tolist())) for one in (sides, sides[:, ::-1]))
        assert forward == back  # each side has its opposite: nothing is open
        hulls = np.concatenate([piece.points_m for piece in model.collision])
        assert np.abs(hulls.min(0) - model.vertices_m.min(0)).max() < 0.02
        assert np.abs(hulls.max(0) - model.vertices_m.max(0)).max() < 0.02
        assert 0 < model.volume_m3 < 0.12**3
        assert (model.colours is not None) == (kind in ("carton", "label"))
    assert len(models[0].vertices_m) != len(models[1].vertices_m) or not np.allclose(
        models[0].vertices_m, models[1].vertices_m
    )


def test_imported_parts_of_a_folder_are_decoys(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "things").mkdir()
    for name in ("clip", "cap"):
        (tmp_path / "things" / f"{name}.glb").write_bytes(write_packed(packed_box(name=name)))
    decoys = spec_with("decoys.meshes=things", "decoys.kinds=meshes", "decoys.count={low: 12, high: 12}").decoys
    assert {decoy.source.name for decoy in decoys} == {"clip", "cap"}
    assert all(isinstance(decoy.source, MeshFile) for decoy in decoys)
    with pytest.raises(ConfigError, match=r"decoys\.meshes: cap is a 'cap', as parts are"):
        load_config("tiny", ["decoys.meshes=things", "parts.kinds.hex_nut.category=cap"])


@pytest.mark.parametrize(("override", "says"), [
    ("decoys.kinds=meshes", "decoys.kinds: meshes needs decoys.meshes, a folder of imported parts"),
    ("decoys.kinds=blokcs", "no kind of decoy 'blokcs'; did you mean 'blocks'?"),
    ("decoys.meshes=nowhere", "nowhere: cannot be read: No such file or directory"),
    ("decoys.meshes=.", "no .glb file in it"),
    ("decoys.near_share=2", "decoys.near_share: needs 0 to 1 share, got 2.0"),
])  # fmt: skip
def test_a_mistake_is_named(tmp_path, monkeypatch, override, says):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        load_config("tiny", [override])
    assert len(caught.value.problems) == 1
    assert says in caught.value.problems[0]


def test_where_parts_are_of_all_categories_no_fastener_is_a_decoy():
    with pytest.raises(ConfigError, match="no fasteners are left for decoys"):
        load_config("tiny", ["decoys.kinds=fasteners"])


def test_near_decoys_lie_against_parts_and_others_where_there_is_room():
    def gaps_m(share):
        found = []
        for index in range(8):
            spec = spec_with(f"decoys.near_share={share}", "stage.length_m=2", "stage.width_m=2", index=index)
            at = np.array([made.world_from_part.position_m[:2] for made in spec.solids])
            for i in range(len(spec.parts), len(spec.solids)):
                found.append(np.linalg.norm(at[:i] - at[i], axis=1).min())
        return np.median(found)

    assert gaps_m(1) < 0.4 * gaps_m(0)


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (1.0, 6)])
def test_alike_decoys_have_a_finish_of_the_parts(share, count):
    metal = sum(decoy.material.metallic > 0.5 for decoy in spec_with(f"decoys.alike_share={share}").decoys)
    assert metal == count


def test_a_share_of_the_scenes_is_empty_and_holds_decoys_alone():
    specs = [spec_with("decoys.empty_share=0.3", index=index) for index in range(24)]
    empty = [spec for spec in specs if not spec.parts]
    assert 2 < len(empty) < 13
    assert all(len(spec.decoys) == 6 for spec in specs)
    full = next(spec for spec in specs if spec.parts)
    assert full == spec_with(index=full.index)


@pytest.mark.parametrize("renderer", sorted(RENDERERS))
def test_a_decoy_is_drawn_as_clutter_and_hides_what_is_behind_it(renderer):
    needs(renderer)
    nut, block = part("hex_nut", "M20", (0.0, 0.02, 0.02)), part("hex_nut", "M20", (0.0, 0.0, 0.02))
    decoy = replace(block, source=Block("box", (0.05, 0.01, 0.04)), category="decoy")
    spec = scene([nut], frames=1)
    spec = replace(spec, render=replace(spec.render, renderer=renderer))
    alone = next(iter(render(spec, still(spec)))).ids
    with_it = replace(spec, decoys=(decoy,))
    ids = next(iter(render(with_it, still(with_it)))).ids
    assert set(np.unique(ids)) == {CLUTTER, BACKGROUND, 0}
    assert np.count_nonzero(ids == CLUTTER) > 100
    assert (ids == 0).sum() < 0.8 * (alone == 0).sum()
    labels = annotate(with_it, still(with_it), ids[None]).frames[0].parts
    assert len(labels) == 1
    assert labels[0].visible_share < 0.85


def test_a_decoy_on_a_belt_flows_with_it():
    decoy = replace(part("hex_nut", "M20", (0.0, 0.0, 0.005)), source=Block("box", (0.04, 0.04, 0.01)))
    spec = replace(scene([], frames=2, belt_speed_m_s=0.3, settle_s=0.1), decoys=(decoy,))
    trajectory = simulate(spec)
    frame = next(iter(render(spec, trajectory)))
    flow = flow_px(spec, trajectory, 0, frame.ids, frame.depth_m)[frame.ids == CLUTTER]
    assert len(flow) > 200
    np.testing.assert_allclose(flow[:, 0], np.median(flow[:, 0]), rtol=0.2)
    assert np.median(flow[:, 0]) > 3


def test_a_clip_has_labels_of_parts_alone():
    config = load_config("tiny", SOME)
    clip = make_clip(config, 3, 0)
    assert categories(config) == ("nut",)
    assert [len(frame.parts) for frame in clip.labels.frames] == [4] * len(clip.labels.frames)
    assert clip.ids.max() < 4
    assert len(clip.spec.decoys) == 6
