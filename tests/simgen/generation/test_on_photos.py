"""A data set on photos is complete in itself, and its finished pictures are the photos where nothing stands."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from simgen.camera.sensor import decode
from simgen.dataset.contents import load_contents
from simgen.dataset.format.reader import DataSet
from simgen.generation.clip import make_clip
from simgen.generation.join import join
from simgen.generation.plan import generate, make_plan
from simgen.generation.replay import replay_scene
from simgen.generation.run import run_plan
from simgen.presets.read import load_config, stored_config
from simgen.spec import contents
from simgen.spec.errors import GenerateError, MissingContent, ShardError
from tests.simgen import photos
from tests.simgen.generation.test_generate import in_this_process

STILL = ["stage.belt_speed_m_s=0", "clutter.occluders={low: 0, high: 0}"]


def config_on(folder, *more):
    return load_config("tiny", [*STILL, f"stage.photo={folder}", *more])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A data set of two scenes, whose photos are gone from where they were."""
    folder = tmp_path_factory.mktemp("photos")
    config = config_on(photos.folder(folder / "empty"))
    data = generate(config, folder / "data", scenes=2, workers=1)
    shutil.rmtree(folder / "empty")
    return data


@pytest.fixture
def elsewhere(monkeypatch):
    """A process that has read no photo."""
    from simgen.assets import photos as shown

    monkeypatch.setattr(contents, "_KEPT", {})
    shown._upright.cache_clear()


def test_a_worker_process_shows_the_photos_and_the_data_set_keeps_them(made):
    assert len(made) == 2
    pictures = made.manifest.request.config["stage"]["photo"]["pictures"]
    names = sorted(f"{row['photo_sha256']}.png" for row in pictures)
    assert sorted(path.name for path in (made.folder / "photos").iterdir()) == names


def test_its_scenes_are_made_again_without_the_photos_that_it_was_made_from(made, elsewhere):
    config = stored_config(made.manifest.request.config)
    with pytest.raises(MissingContent):
        make_clip(config, 0, 0)
    load_contents(made)
    assert replay_scene(made, 1, config, make_clip).differences == ()


def test_a_photo_of_the_data_set_that_is_missing_or_another_one_is_named(made, tmp_path, elsewhere):
    shutil.copytree(made.folder, tmp_path / "copy")
    one, *_ = (tmp_path / "copy" / "photos").iterdir()
    one.write_bytes(b"another")
    with pytest.raises(ShardError, match=f"{one.name}: is not the empty.*its sha256 differs"):
        load_contents(DataSet(tmp_path / "copy"))
    one.unlink()
    with pytest.raises(ShardError, match="is missing: empty"):
        load_contents(DataSet(tmp_path / "copy"))


def test_other_photos_are_another_data_set(made, tmp_path):
    other = config_on(photos.folder(tmp_path / "empty", level=0.6))
    with pytest.raises(GenerateError, match=r"holds another data set: config\.stage\.photo\.pictures"):
        generate(other, made.folder, scenes=2, resume=True)


def test_slices_are_joined_with_their_photos(tmp_path):
    config = config_on(photos.folder(tmp_path / "empty", 1))
    plan, names = make_plan(config, scenes=2, shard_scenes=1)
    for k in range(2):
        run_plan(plan, names, tmp_path / f"part{k}", engine=in_this_process, only=range(k, k + 1))
    join(tmp_path / "whole", [tmp_path / "part0", tmp_path / "part1"])
    assert [path.suffix for path in (tmp_path / "whole" / "photos").iterdir()] == [".png"]
    load_contents(DataSet(tmp_path / "whole"))


def test_where_no_part_is_the_finished_picture_is_the_photo(tmp_path):
    """But for JPEG, which is the finest here."""
    pixels = photos.drawn(96, 72, seed=3)
    photos.save(tmp_path / "a" / "a.png", pixels)
    exact = ["crop=1", "mirrored=0", "exposure=1", "hue_deg=0"]
    worst = ["sensor.jpeg_quality={low: 100, high: 100}", "sensor.denoise=1", "sensor.full_well_e=800"]
    config = config_on(tmp_path / "a", *(f"stage.photo.{one}" for one in exact), *worst)
    clip = make_clip(config, 0, 1)
    shown = decode(clip.jpegs[0]).astype(int)
    apart = np.abs(shown - pixels).max(axis=2)
    assert np.median(apart) <= 2
    assert (apart <= 6).mean() > 0.6
    part = clip.ids[0] >= 0
    assert part.sum() > 20
    assert np.median(apart[part]) > 8
