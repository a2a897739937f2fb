"""Scenes on a photograph: what is drawn for them, and that all else stays as it was."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from simgen.assets.light import card
from simgen.assets.photos import local_brightness, median_light, shown_light, shown_pixels, turned
from simgen.dataset.format.plain import from_plain
from simgen.labels.boxes import project
from simgen.presets.read import load_config
from simgen.scene.sampling.photo import MID_GREY
from simgen.scene.sampling.sample import sample
from simgen.spec.colour import LUMINANCE
from simgen.spec.errors import ConfigError
from simgen.spec.geometry import look_at
from simgen.spec.scene import SceneSpec
from tests.simgen import photos
from tests.simgen.photos import write_area

BASE = ["clutter.occluders={low: 1, high: 1}", "camera.drift_m_s={low: 0.1, high: 0.2}"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return photos.folder(tmp_path_factory.mktemp("place") / "empty", 3)


def on(place, *more, base="tiny"):
    return load_config(base, [*BASE, "stage.belt_speed_m_s=0", f"stage.photo={place}", *more])


def without():
    return load_config("tiny", [*BASE, "stage.belt_speed_m_s=0"])


def test_a_photo_changes_what_surrounds_the_parts_and_nothing_of_the_parts(place):
    plain, shown = sample(without(), 5, 3), sample(on(place), 5, 3)
    assert shown.parts == plain.parts
    assert shown.occluders == plain.occluders
    assert replace(shown.light, flicker=None) == replace(plain.light, flicker=None)
    assert shown.stage.size_m == plain.stage.size_m
    assert shown.stage.photo is not None
    assert plain.clutter
    assert shown.clutter == ()
    assert shown.stage.sheets == ()


def test_the_share_of_synthetic_scenes_is_as_asked_and_they_are_as_without_photos(place):
    config = on(place, "stage.photo.share=0.6")
    specs = [sample(config, 1, k) for k in range(100)]
    assert sum(spec.stage.photo is not None for spec in specs) == pytest.approx(60, abs=15)
    k = next(k for k, spec in enumerate(specs) if spec.stage.photo is None)
    assert specs[k] == sample(without(), 1, k)


def test_a_scene_on_a_photo_is_stored_and_read_back(place):
    spec = sample(on(place), 0, 0)
    assert from_plain(SceneSpec, json.loads(spec.to_json())) == spec
    assert "photo" not in json.loads(sample(without(), 0, 0).to_json())["stage"]


def test_the_camera_stands_still(place):
    spec = sample(on(place), 0, 0)
    assert len(set(spec.camera.world_from_camera)) == 1
    assert spec.camera.velocity_m_s == (0.0, 0.0, 0.0)
    assert len(set(sample(without(), 0, 0).camera.world_from_camera)) == 2


@pytest.mark.parametrize("mirrored", [0, 1])
def test_the_ground_is_where_the_photo_shows_it(place, mirrored):
    """A point of the ground is in the same place of the photo, whatever the crop and the mirror are."""
    near = ["camera.roll_deg={low: 5, high: 5}", "lens.k1=-0.1", "lens.p2=0.002"]
    whole = on(place, *near, "stage.photo.crop=1", "stage.photo.mirrored=0")
    cropped = on(place, *near, "stage.photo.crop=0.5", f"stage.photo.mirrored={mirrored}")
    ground = np.array([[x, y, 0.0] for x in (-0.05, 0.02, 0.1) for y in (-0.06, 0.03)])
    for k in range(4):
        one, other = sample(whole, 0, k), sample(cropped, 0, k)
        before, _ = project(ground, one.camera, 0)
        after, _ = project(ground, other.camera, 0)
        width, height = other.camera.width_px, other.camera.height_px
        if mirrored:  # back
            after[:, 0] = width - after[:, 0]
        assert one.stage.photo
        assert other.stage.photo
        x, y, w, h = one.stage.photo.crop_px
        left, top, cw, ch = other.stage.photo.crop_px
        in_photo = before * (w / width, h / height) + (x, y)
        if not mirrored:
            assert after * (cw / width, ch / height) + (left, top) == pytest.approx(in_photo, abs=0.7)
        else:  # the camera stands where it stood, so the ground is mirrored about the upright plane through its axis
            flat, _ = project(_mirrored(ground, one), other.camera, 0)
            flat[:, 0] = width - flat[:, 0]
            assert flat * (cw / width, ch / height) + (left, top) == pytest.approx(in_photo, abs=0.7)


SIDES_M = (0.6, 0.4)
LENS = ["lens.k1=-0.1", "lens.p2=0.002", "stage.length_m=0.6", "stage.width_m=0.4", "camera.hfov_deg=60"]


@pytest.mark.parametrize("mirrored", [0, 1])
def test_the_work_surface_lies_at_the_corners_that_the_photo_has_of_it(place, tmp_path, mirrored):
    """The camera of the photo looks past the table, which lies askew; its corners are given clockwise."""
    plain = sample(on(place, *LENS, "stage.photo.crop=1", "stage.photo.mirrored=0"), 0, 0)
    pose = look_at((0.5, -0.9, 0.7), (0.1, 0.05, 0.0), (0.05, 0.0, 1.0))
    x, y = SIDES_M[0] / 2, SIDES_M[1] / 2
    corners_m = np.array([[-x, -y, 0.0], [-x, y, 0.0], [x, y, 0.0], [x, -y, 0.0]])
    scale = np.array([160 / plain.camera.width_px, 120 / plain.camera.height_px])
    given_px = project(corners_m, replace(plain.camera, world_from_camera=(pose,)), 0)[0] * scale
    area = write_area(tmp_path / "area.json", given_px)
    more = [f"stage.photo.area={area}", "stage.photo.crop=0.7", f"stage.photo.mirrored={mirrored}"]
    config = on(place / "empty0.png", *LENS, *more)
    for k in range(3):
        spec = sample(config, 0, k)
        assert spec.stage.photo
        left, top, width, height = spec.stage.photo.crop_px
        seen_px = project(corners_m, spec.camera, 0)[0]
        if mirrored:
            seen_px[:, 0] = spec.camera.width_px - seen_px[:, 0]
        in_photo = seen_px * (width / spec.camera.width_px, height / spec.camera.height_px) + (left, top)
        apart = np.linalg.norm(in_photo[:, None] - given_px[None], axis=2)
        assert apart.min(axis=0).max() < 0.7
        eye_m = spec.camera.world_from_camera[0].position_m  # the stage looks the same turned by half, and mirrored
        assert np.abs(eye_m) == pytest.approx(np.abs(pose.position_m), abs=0.01)


@pytest.mark.parametrize(("corners_px", "words"), [
    ([[10, 10], [50, 10], [50, 40]], "a polygon of 3 corners; the work surface has four"),
    ([[10, 10], [50, 50], [50, 10], [10, 50]], "the four corners of its work surface are not in turn"),
    ([[10, 20], [150, 20], [90, 100], [80, 100]], "stage.photo.area: empty0.png: no camera of this field of view sees"),
])  # fmt: skip
def test_corners_that_cannot_be_a_work_surface_are_named(place, tmp_path, corners_px, words):
    area = write_area(tmp_path / "area.json", corners_px)
    with pytest.raises(ConfigError, match=words) as caught:
        on(place / "empty0.png", *LENS, f"stage.photo.area={area}")
    assert len(caught.value.problems) == 1


def test_a_photo_without_corners_is_left_out_and_named(place, tmp_path):
    area = write_area(tmp_path / "area.json", [[40, 100], [120, 100], [100, 40], [60, 40]], ("empty1", "other"))
    photo = on(place, "stage.length_m=0.4", "stage.width_m=0.5", f"stage.photo.area={area}").stage.photo
    assert [file.name for file in photo.pictures] == ["empty1.png"]
    assert photo.left_out[0].startswith("empty0.png: no polygon of its work surface in ")


def _mirrored(points, spec):
    """Points mirrored about the upright plane through the camera's optical axis."""
    from simgen.spec.geometry import rotation_matrix

    pose = spec.camera.world_from_camera[0]
    aside = np.cross((0, 0, 1), rotation_matrix(pose.rotation_xyzw)[:, 2])
    aside = aside / np.linalg.norm(aside)
    away = (points - np.asarray(pose.position_m)) @ aside
    return points - 2 * away[:, None] * aside


def test_a_white_card_is_as_bright_as_the_photo_says_and_of_the_tint_of_its_greys(tmp_path):
    """The median is that of a mid-grey surface. A green mat is no green light."""
    pixels = photos.drawn(seed=2, level=0.3, colour=(0.9, 1.0, 0.95))
    median = median_light(pixels)
    pixels[:50] = (30, 160, 40)
    photos.save(tmp_path / "mat.png", pixels)
    exact = ["stage.photo.exposure=1", "stage.photo.light=1", "sensor.exposure={low: 0.01, high: 9}"]
    spec = sample(on(tmp_path, *exact), 0, 2)
    gains = spec.sensor.exposure * spec.sensor.gain * np.asarray(spec.sensor.white_balance)
    white = card(spec.light) * gains
    assert white / (LUMINANCE @ white) == pytest.approx(median / (LUMINANCE @ median), rel=0.03)
    assert LUMINANCE @ white == pytest.approx(LUMINANCE @ median_light(pixels) / MID_GREY, rel=0.03)
    assert LUMINANCE @ white < 1


def test_the_sensors_exposure_bounds_the_light_and_the_photos_gain_moves_both(place):
    dim = sample(
        on(place, "sensor.exposure={low: 0.1, high: 0.2}", "stage.photo.light=1", "stage.photo.exposure=1"), 0, 0
    )
    assert LUMINANCE @ np.asarray(dim.stage.photo.white_rgb) == pytest.approx(0.2)
    darker = on(place, "sensor.exposure={low: 0.1, high: 0.2}", "stage.photo.light=1", "stage.photo.exposure=0.5")
    spec = sample(darker, 0, 0)
    assert LUMINANCE @ np.asarray(spec.stage.photo.white_rgb) == pytest.approx(0.1)
    light = shown_light(spec.stage.photo, (96, 72), 2.2)
    assert light == pytest.approx(shown_light(dim.stage.photo, (96, 72), 2.2) * 0.5, abs=1e-6)


def test_what_is_shown_is_the_crop_of_the_photo(tmp_path):
    pixels = photos.drawn(96, 72, seed=4)
    config = on(photos.save(tmp_path / "a.png", pixels).parent, "stage.photo.crop=1", "stage.photo.hue_deg=0")
    spec = sample(config, 0, 0)
    straight = replace(spec.stage.photo, mirrored=False)
    assert np.array_equal(shown_pixels(straight, (96, 72)), pixels)
    assert np.array_equal(shown_pixels(replace(straight, mirrored=True), (96, 72)), pixels[:, ::-1])
    part = replace(straight, crop_px=(8, 6, 48, 36))
    assert np.array_equal(shown_pixels(part, (48, 36)), pixels[6:42, 8:56])


@pytest.mark.parametrize(
    ("size", "crop"),
    [((400, 300), (0, 0, 400, 300)), ((300, 400), (0, 88, 300, 225)), ((600, 150), (200, 0, 200, 150))],
)
def test_a_photo_of_any_shape_covers_the_picture(tmp_path, size, crop):
    config = on(photos.save(tmp_path / "a.png", photos.drawn(*size)).parent, "stage.photo.crop=1")
    photo = sample(config, 0, 0).stage.photo
    assert photo.crop_px == pytest.approx(crop, abs=1)
    assert shown_pixels(photo, (96, 72)).shape == (72, 96, 3)


def test_turning_colours_leaves_grey_and_turns_back():
    assert turned(0.7) @ np.ones(3) == pytest.approx(np.ones(3))
    assert turned(0.7) @ turned(-0.7) == pytest.approx(np.eye(3), abs=1e-12)
    assert not np.allclose(turned(0.7), np.eye(3), atol=0.1)


def test_a_photo_of_a_grey_camera_makes_grey_parts(tmp_path):
    grey = photos.folder(tmp_path, 1, colour=(1.0, 1.0, 1.0))
    assert sample(on(grey), 0, 0).sensor.saturation == 0
    assert sample(on(photos.folder(tmp_path / "c", 1)), 0, 0).sensor.saturation > 0


def test_parts_in_the_dark_corner_are_darker():
    light = np.full((60, 80, 3), 0.2, np.float32)
    light[:, :40] = 0.05
    local = local_brightness(light, 1.0)
    assert local[30, 5] < 0.7 * local[30, 75]
    assert local_brightness(light, 0.0) == pytest.approx(np.ones((60, 80)))
