"""What was drawn for each scene is read again from its data set."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from hybrid.data.clips import ClipSource
from pipelines.common.data import MANIFEST, read_all
from pipelines.gap.effects.scene_values import NO_VALUES, _numbers, scene_values
from simgen.dataset.format.reader import DataSet
from simgen.spec.knobs import Choice, Uniform


def test_the_values_are_those_that_the_stored_scenes_show(tiny_data_set: Path) -> None:
    source, stored = read_all(tiny_data_set), DataSet(tiny_data_set)
    found = scene_values(tiny_data_set, source)
    specs = [stored.clip(int(clip.name)).meta()["spec"] for clip in source.clips]
    assert (found.missing, found.left_out, len(specs)) == ("", (), 6)
    for key, of in (
        ("camera.focal_px", lambda spec: spec["camera"]["focal_px"]),
        ("sensor.read_noise_e", lambda spec: spec["sensor"]["read_noise_e"]),
        ("light.shadow_strength", lambda spec: spec["light"]["shadow_strength"]),
        ("parts.friction", lambda spec: np.mean([part["friction"] for part in spec["parts"]])),
    ):
        assert found.columns[key].tolist() == pytest.approx([of(spec) for spec in specs]), key
        assert len(np.unique(found.columns[key])) == 6
    assert found.sets.tolist() == [0] * 6
    assert not any(
        np.ptp(column[np.isfinite(column)]) == 0 and key == "lens.k1" for key, column in found.columns.items()
    )
    some = source.only([source.clips[4].name, source.clips[1].name])
    assert scene_values(tiny_data_set, some).columns["camera.focal_px"].tolist() == [
        found.columns["camera.focal_px"][1], found.columns["camera.focal_px"][4],
    ]  # fmt: skip


def test_a_folder_of_two_sets_is_read_set_by_set(tiny_data_set: Path, other_data_set: Path, tmp_path: Path) -> None:
    for name, place in (("a", tiny_data_set), ("b", other_data_set)):
        shutil.copytree(place, tmp_path / name)
    found = scene_values(tmp_path, read_all(tmp_path))
    alone = [scene_values(place, read_all(place)) for place in (tiny_data_set, other_data_set)]
    assert found.sets.tolist() == [0] * 6 + [1] * 6
    wanted = np.concatenate([one.columns["camera.focal_px"] for one in alone])
    assert found.columns["camera.focal_px"].tolist() == wanted.tolist()


def test_a_scene_that_its_config_does_not_draw_is_left_out(tiny_data_set: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_data_set, tmp_path / "set")
    path = tmp_path / "set" / MANIFEST
    plain = json.loads(path.read_text())
    plain["request"]["config"]["camera"]["focal_px"]["high"] += 5.0
    path.write_text(json.dumps(plain))
    found = scene_values(tmp_path / "set", read_all(tmp_path / "set"))
    assert found.left_out == ("6 scenes that their config does not draw any more, such as 000000",)
    assert found.columns == {}
    plain["request"]["config"]["camera"]["aperture"] = 3
    path.write_text(json.dumps(plain))
    assert scene_values(tmp_path / "set", read_all(tmp_path / "set")).missing.startswith("What was drawn")


def test_photos_have_no_drawn_values(tmp_path: Path) -> None:
    found = scene_values(tmp_path, ClipSource("photos", ("bolt",), ()))
    assert found.missing.startswith("Needs --sim to be a data set of simgen")
    assert NO_VALUES.columns == {}


def test_several_draws_are_their_mean_and_a_choice_is_the_share_of_each_name() -> None:
    knobs = {
        "size": Uniform(0.0, 9.0), "two": Choice({"a": 1.0, "b": 1.0, "never": 0.0}),
        "three": Choice({"a": 1.0, "b": 1.0, "c": 1.0}),
    }  # fmt: skip
    got = _numbers({"size": [1.0, 2.0, 6.0], "two": ["a", "b", "b", "b"], "three": ["c"], "fixed": [1.0]}, knobs)
    assert got == {"size": 3.0, "two = a": 0.25, "three = a": 0.0, "three = b": 0.0, "three = c": 1.0}
