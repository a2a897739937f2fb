"""Specs as they are stored: which keys JSON has, what is left out, and that yesterday's data still loads."""

import json
from dataclasses import dataclass, field, replace

import pytest

from simgen.dataset.format.plain import from_plain
from simgen.spec.scene import FamilySize, LightSpec, PartSpec, SceneSpec
from simgen.spec.text.stored import FLAT, stored_fields
from tests.simgen.scenes import part, scene

# As version 0.1 wrote it, before a part had a source.
OLD_PART = """{"category": "washer", "friction": 0.5, "kind": "washer", "designation": "M8", "mass_kg": 0.0024,
 "material": {"contrast": 0.0, "metallic": 1.0, "rgb": [0.5, 0.5, 0.5], "roughness": 0.5, "texture": "plain",
              "texture_scale_m": 0.01, "texture_seed": 0},
 "world_from_part": {"position_m": [0.0, 0.0, 0.05], "rotation_xyzw": [0.0, 0.0, 0.0, 1.0]}}"""


def plain(value):
    return json.loads(json.dumps(value, default=stored_fields))


def test_a_fastener_is_stored_with_the_keys_that_it_always_had():
    old = json.loads(OLD_PART)
    loaded = from_plain(PartSpec, old)
    assert loaded.source == FamilySize("washer", "M8")
    assert plain(loaded) == old
    assert json.dumps(loaded, default=stored_fields, sort_keys=True) == json.dumps(old, sort_keys=True)


def test_a_scene_survives_its_own_json_and_keeps_its_id():
    spec = scene([part("hex_bolt", "M8x40"), part("washer", "M8")])
    again = from_plain(SceneSpec, json.loads(spec.to_json()))
    assert again == spec
    assert again.id == spec.id


def test_the_id_follows_the_source_of_a_part():
    spec = scene([part("hex_bolt", "M8x40")])
    other = replace(spec, parts=(replace(spec.parts[0], source=FamilySize("hex_bolt", "M8x45")),))
    assert other.id != spec.id


@pytest.mark.parametrize("key", ["kind", "designation", "mass_kg"])
def test_a_part_without_one_of_its_keys_is_refused_by_name(key):
    old = json.loads(OLD_PART)
    del old[key]
    with pytest.raises(ValueError, match=rf"^PartSpec: needs the keys .*{key}"):
        from_plain(PartSpec, old)


def test_a_part_with_a_key_too_many_is_refused():
    with pytest.raises(ValueError, match="PartSpec: needs the keys"):
        from_plain(PartSpec, json.loads(OLD_PART) | {"unit": "mm"})


def test_a_size_that_is_no_text_is_refused_with_its_place():
    with pytest.raises(ValueError, match=r"PartSpec\.designation: needs .*str.*, got 8"):
        from_plain(PartSpec, json.loads(OLD_PART) | {"designation": 8})


@dataclass(frozen=True)
class _File:
    file: str
    unit: str = "mm"


@dataclass(frozen=True, kw_only=True)
class _Loose:
    """What PartSpec becomes with a second kind of source."""

    source: FamilySize | _File = field(metadata=FLAT)
    mass_kg: float


@pytest.mark.parametrize("source", [FamilySize("washer", "M8"), _File("a.step"), _File("a.step", "inch")])
def test_the_keys_tell_one_kind_of_source_from_another(source):
    stored = plain(_Loose(source=source, mass_kg=1.0))
    assert "source" not in stored
    assert from_plain(_Loose, stored) == _Loose(source=source, mass_kg=1.0)


def test_keys_of_two_kinds_of_source_at_once_are_refused():
    with pytest.raises(ValueError, match="_Loose: needs the keys"):
        from_plain(_Loose, {"kind": "washer", "designation": "M8", "file": "a.step", "mass_kg": 1.0})


def test_what_is_none_by_default_is_left_out_and_what_is_set_is_not():
    light = scene([]).light
    assert {"lamps", "environment", "flicker"}.isdisjoint(plain(light))
    assert plain(replace(light, lamps=()))["lamps"] == []
    assert from_plain(LightSpec, plain(replace(light, lamps=()))).lamps == ()
