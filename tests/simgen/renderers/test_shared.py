"""What renderers share: the pinhole camera, primitives, tiles, textures, checks, look-ups, and their tables."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simgen.assets.light import checked_lamps
from simgen.assets.materials import check_material, draw_material, tile_origin, tile_variant
from simgen.renderers import MACHINERY, RENDERERS, choose, describe, sky
from simgen.renderers.camera_view import CameraView, across_and_up, centre_offset, visible_on_plane
from simgen.renderers.gl.device import Store
from simgen.renderers.lookup import ROW, look_up
from simgen.renderers.primitives import primitive
from simgen.renderers.surfaces import BODY, Geometry, dot, solid_albedo, unit
from simgen.renderers.textures import FEATURE_PX, TEXTURES, TILE_PX, pattern_grid, placed_tile, sample_pattern, tile
from simgen.renderers.tiles import tile_key, tile_values
from simgen.renderers.tiny.light_map import SIDE_TEXELS, LightBox, LightMap
from simgen.renderers.tiny.metal import normals
from simgen.spec.geometry import invert, look_at, transform
from simgen.spec.scene import LampSpec, RenderSpec
from simgen.spec.types import MAX_LAMPS, Metres
from tests.simgen.lit_scenes import lit
from tests.simgen.scenes import GREY, scene

SPECKLED = replace(GREY, texture="speckle", contrast=0.5, texture_seed=1234567)
LAMP = LampSpec(
    kind="spot", position_m=(0.0, 0.0, 1.0), toward=(0.0, 0.0, -1.0), up=(0.0, 1.0, 0.0), size_m=(0.1, 0.1),
    half_angle_rad=0.5, rgb=(1.0, 1.0, 1.0),
)  # fmt: skip


def view_of(eye=(0.1, -0.3, 0.4), target=(0.0, 0.05, 0.0), s=1):
    spec = replace(scene([], frames=1), render=RenderSpec(renderer="tiny", supersample=s))
    return spec, CameraView.of(spec, look_at(eye, target))


# ------------------------------------------------------------------------------------------------------- the camera


@pytest.mark.parametrize("s", [1, 2, 3, 4])
def test_a_samples_world_point_projects_back_to_the_sample(s):
    spec, view = view_of(s=s)
    rng = np.random.default_rng(s)
    xs, ys = rng.integers(0, view.width, 50), rng.integers(0, view.height, 50)
    depth = rng.uniform(0.1, 2, 50).astype(np.float32)
    in_camera = transform(invert(look_at((0.1, -0.3, 0.4), (0.0, 0.05, 0.0))), view.points(xs, ys, depth).astype(float))
    np.testing.assert_allclose(in_camera[:, 2], depth, rtol=1e-5)
    pixels = in_camera[:, :2] / in_camera[:, 2:] * spec.camera.focal_px + np.array(spec.camera.centre_px)
    np.testing.assert_allclose(pixels * s - centre_offset(s), np.stack([xs, ys], axis=1), atol=2e-3)


@pytest.mark.parametrize("s", [1, 2, 3, 4, 5])
def test_one_sample_is_at_every_pixels_centre(s):
    assert (s // 2 + centre_offset(s)) / s == pytest.approx(0.5)


def test_the_climb_of_a_ray_is_its_rise_per_metre_of_depth():
    _, view = view_of()
    ys, xs = np.mgrid[: view.height, : view.width].reshape(2, -1)
    one_m = view.points(xs, ys, np.ones(len(xs), np.float32))
    np.testing.assert_allclose(view.climb().ravel(), one_m[:, 2] - view.eye[2], atol=1e-6)


def test_the_homography_of_a_plane_and_the_points_of_samples_agree():
    _, view = view_of()
    matrix = view.image_from_plane(0.02, (-0.3, -0.2), 0.001)
    texels = np.array([[310.0, 250.0], [250.0, 190.0], [330.0, 200.0]])
    world = np.column_stack(
        [-0.3 + (texels[:, 0] + 0.5) * 0.001, -0.2 + (texels[:, 1] + 0.5) * 0.001, np.full(3, 0.02)]
    )
    image = np.column_stack([texels, np.ones(3)]) @ matrix.T
    depth = (world - view.eye) @ view.rotation[:, 2]
    back = view.points(image[:, 0] / image[:, 2], image[:, 1] / image[:, 2], depth.astype(np.float32))
    np.testing.assert_allclose(back, world, atol=1e-5)


def test_the_visible_part_of_a_plane_holds_all_that_samples_show_of_it():
    _, view = view_of((0.0, 0.0, 0.4), (0.02, 0.01, 0.0))
    half = np.array([5.0, 5.0])
    low, high = visible_on_plane(view, 0.0, half)
    ys, xs = np.mgrid[: view.height, : view.width].reshape(2, -1)
    climb = view.climb().ravel()
    hits = view.points(xs, ys, (-view.eye[2] / climb).astype(np.float32))[:, :2]
    assert (hits >= low - 1e-5).all()
    assert (hits <= high + 1e-5).all()
    assert (high - low < 1.02 * np.ptp(hits, axis=0) + 0.005).all()  # and little more


@pytest.mark.parametrize("target", [(0.0, 5.0, 0.4), (0.0, 0.5, 3.0)], ids=["horizon", "upwards"])
def test_all_of_a_plane_may_be_visible_where_the_horizon_is(target):
    _, view = view_of((0.0, 0.0, 0.4), target)
    half = np.array([0.5, 0.3])
    assert visible_on_plane(view, 0.0, half).tolist() == [[-0.5, -0.3], [0.5, 0.3]]


@settings(deadline=None, max_examples=50)
@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1))
def test_the_axes_of_a_light_are_a_right_handed_frame(x, y, z):
    toward = np.array([x, y, z + 1e-3])
    toward /= np.linalg.norm(toward)
    right, up = across_and_up(toward)
    axes = np.stack([right, up, toward])
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(axes) == pytest.approx(1)


# ------------------------------------------------------------------------------------------------- meshes and tables


@pytest.mark.parametrize(("name", "volume", "area"), [("box", 1.0, 6.0), ("cylinder", np.pi / 4, 1.5 * np.pi)])
def test_primitives_are_closed_with_their_faces_outwards(name, volume, area):
    points, vertex_normals, triangles = primitive(name)
    a, b, c = (points[triangles[:, k]] for k in range(3))
    faces = np.cross(b - a, c - a)
    assert (a * np.cross(b, c)).sum() / 6 == pytest.approx(volume, rel=5e-3)
    assert np.linalg.norm(faces, axis=1).sum() / 2 == pytest.approx(area, rel=5e-3)
    assert ((faces * vertex_normals[triangles[:, 0]]).sum(axis=1) > 0).all()
    assert np.ptp(points, axis=0) == pytest.approx([1, 1, 1])


def test_a_tray_is_a_box_without_its_top_and_a_plane_is_its_top():
    assert len(primitive("tray")[2]) == len(primitive("box")[2]) - 2
    assert primitive("tray")[1][:, 2].max() == 0
    points, vertex_normals, _ = primitive("plane")
    assert (points[:, 2] == 0).all()
    assert (vertex_normals == [0, 0, 1]).all()
    with pytest.raises(KeyError, match=r"no shape 'cone'; there are \['box', 'cylinder', 'plane', 'tray'\]"):
        primitive("cone")


def test_every_renderer_says_what_its_pixels_depend_on():
    assert set(RENDERERS) == set(MACHINERY) == {"pathtraced", "pbr", "tiny"}
    assert describe("tiny").startswith("tiny: PyBullet ")
    assert choose()[0] in ("pbr", "tiny")
    with pytest.raises(KeyError, match=r"no renderer 'best'; there are \['pathtraced', 'pbr', 'tiny'\]"):
        describe("best")


def test_a_store_keeps_the_values_used_last_and_makes_each_once():
    made = []
    store = Store(2, lambda key: made.append(key) or key * 2)
    assert [store[k] for k in (1, 2, 1, 3, 1, 2)] == [2, 4, 2, 6, 2, 4]
    assert made == [1, 2, 3, 2]  # 1 was used before 3 was made, so 2 was dropped
    assert len(store) == 2


def test_tiles_are_shared_by_key_between_surfaces_of_the_same_variant():
    plain, matter = (
        SPECKLED,
        draw_material("plastic_glossy", np.random.default_rng(0)),
    )
    assert tile_key(plain) == tile_key(replace(plain, texture_seed=plain.texture_seed + 8, rgb=(0.1, 0.1, 0.1)))
    assert tile_key(plain) != tile_key(replace(plain, texture_seed=plain.texture_seed + 1))
    assert tile_key(matter) == ("matter", matter.matter.name, tile_variant(matter.matter))
    assert tile_values(tile_key(plain)) is tile("speckle", 1234567 % 8)
    assert tile_values(tile_key(matter)).shape[2] == 4
    seeds = [replace(matter.matter, seed=seed) for seed in range(0, 4000, 2)]
    origins = np.array([tile_origin(m) for m in seeds])
    assert origins.min() >= 0
    assert origins.max() < 1
    assert len(np.unique(origins, axis=0)) == len(seeds)
    assert {tile_variant(m) for m in seeds} == {0}


# --------------------------------------------------------------------------------------------------------- textures


@pytest.mark.parametrize("name", sorted(set(TEXTURES) - {"plain"}))
def test_a_texture_repeats_after_a_tile_and_depends_on_its_seed(name):
    material = replace(GREY, texture=name, contrast=0.5, texture_seed=77, texture_scale_m=Metres(0.008))
    side_m = TILE_PX / FEATURE_PX * 0.008
    rng = np.random.default_rng(1)
    u, v = rng.uniform(-1, 1, (2, 300)).astype(np.float32)
    here = sample_pattern(material, u, v)
    np.testing.assert_allclose(sample_pattern(material, u + np.float32(side_m), v), here, atol=0.02)
    np.testing.assert_allclose(sample_pattern(material, u, v - np.float32(side_m)), here, atol=0.02)
    other = sample_pattern(replace(material, texture_seed=78), u, v)
    assert np.abs(other - here).max() > 0.05


def test_a_grid_of_a_pattern_is_the_pattern_at_its_points():
    u, v = np.linspace(-0.1, 0.3, 9, dtype=np.float32), np.linspace(0, 0.2, 5, dtype=np.float32)
    grid = pattern_grid(SPECKLED, u, v)
    points = sample_pattern(SPECKLED, *(c.ravel() for c in np.meshgrid(u, v)))
    np.testing.assert_allclose(grid.ravel(), points, atol=1e-6)


def test_the_origin_of_a_pattern_is_at_the_tiles_column_and_row():
    values, (column, row), texel_m = placed_tile(SPECKLED)
    zero = np.zeros(1, np.float32)
    assert sample_pattern(SPECKLED, zero, zero)[0] == pytest.approx(values[row, column], abs=1e-4)
    step = np.full(1, 3 * texel_m, np.float32)
    assert sample_pattern(SPECKLED, step, zero)[0] == pytest.approx(values[row, (column + 3) % TILE_PX], abs=1e-2)


def test_looking_up_many_points_is_looking_up_each():
    image = np.random.default_rng(2).uniform(0, 1, (7, 9, 3)).astype(np.float32)
    x = np.tile(np.arange(9, dtype=np.float32), 300)[: 2 * ROW + 5]
    y = np.repeat(np.arange(7, dtype=np.float32), 400)[: 2 * ROW + 5]
    result = look_up(image, x, y, cv2.BORDER_WRAP)
    np.testing.assert_allclose(result, image[y.astype(int), x.astype(int)], atol=1e-6)
    assert look_up(image, x[:0], y[:0], cv2.BORDER_WRAP).shape == (0, 3)
    half = look_up(image, np.float32([2.5]), np.float32([3.0]), cv2.BORDER_REPLICATE)
    np.testing.assert_allclose(half[0], (image[3, 2] + image[3, 3]) / 2, atol=1e-3)


def test_the_albedo_of_a_solid_is_its_colour_within_its_contrast():
    points = np.random.default_rng(0).uniform(-0.05, 0.05, (500, 3)).astype(np.float32)
    plain = solid_albedo(replace(SPECKLED, contrast=0.0), points)
    np.testing.assert_allclose(plain, 0.5)
    patterned = solid_albedo(SPECKLED, points)
    assert 0.2 < np.ptp(patterned) <= 0.5 + 1e-6  # 0.5 * (1 +- 0.5)
    assert np.ptp(patterned, axis=1).max() < 1e-6  # the pattern changes brightness alone


# ----------------------------------------------------------------------------------------------------------- checks


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kind": "laser"}, r"light.lamps\[1\]: no kind 'laser'; there are \['directional', 'softbox', 'spot'\]"),
        ({"up": (0.0, 0.0, 1.0)}, r"lamps\[1\]: toward and up must be unit vectors at a right angle"),
        ({"toward": (0.0, 0.0, -2.0)}, "unit vectors"),
        ({"size_m": (0.0, 0.1)}, "needs a size above 0"),
        ({"rgb": (1.0, -0.1, 1.0)}, "no negative light"),
        ({"half_angle_rad": 1.6}, r"a cone of 0..pi/2"),
    ],
)
def test_a_lamp_that_cannot_be_is_named(change, says):
    spec = lit(scene([], frames=1), lamps=(LAMP, replace(LAMP, **change)))
    with pytest.raises(ValueError, match=says):
        checked_lamps(spec)


def test_good_lamps_pass_and_too_many_do_not():
    assert checked_lamps(scene([], frames=1)) == ()
    many = lit(scene([], frames=1), lamps=(LAMP,) * MAX_LAMPS)
    assert checked_lamps(many) == (LAMP,) * MAX_LAMPS
    with pytest.raises(ValueError, match=f"{MAX_LAMPS + 1} of them"):
        checked_lamps(lit(many, lamps=(LAMP,) * (MAX_LAMPS + 1)))


def test_a_material_out_of_its_range_is_named_with_its_place():
    check_material("stage.top", GREY)
    for change, says in (
        ({"roughness": 1.2}, "stage.top.material: roughness is 1.2; it goes from 0 to 1"),
        ({"metallic": -0.1}, "metallic is -0.1"),
        ({"rgb": (0.1, 1.5, 0.0)}, "needs rgb within 0..1"),
        ({"texture_scale_m": 0.0}, "texture_scale_m above 0"),
    ):
        with pytest.raises(ValueError, match=says):
            check_material("stage.top", replace(GREY, **change))
    spec = draw_material("plastic_glossy", np.random.default_rng(0))
    for change, says in (({"coat": 2.0}, "matter.coat is 2.0"), ({"tile_m": 0.0}, "must be above 0")):
        with pytest.raises(ValueError, match=says):
            check_material("parts[0]", replace(spec, matter=replace(spec.matter, **change)))
    with pytest.raises(KeyError, match="no material 'cheese'"):
        check_material("parts[0]", replace(spec, matter=replace(spec.matter, name="cheese")))


# ---------------------------------------------------------------------------------------------------- tiny's shading


def test_a_plain_sky_goes_from_horizon_to_zenith_and_marks_what_is_below():
    light = replace(scene([]).light, horizon_rgb=(0.1, 0.2, 0.3), zenith_rgb=(0.9, 0.8, 0.7))
    picture = sky.picture(light)
    assert picture.shape == (sky.HEIGHT, sky.WIDTH, 4)
    assert picture[0, 0, :3] == pytest.approx([0.9, 0.8, 0.7], abs=0.01)
    assert picture[sky.HEIGHT // 2 - 1, 5, :3] == pytest.approx([0.1, 0.2, 0.3], abs=0.02)
    assert (picture[: sky.HEIGHT // 2, :, 3] == 0).all()
    assert (picture[sky.HEIGHT // 2 :, :, 3] == 1).all()
    assert (picture[sky.HEIGHT // 2 :, :, :3] == 0).all()


@pytest.mark.parametrize("axis", [0, 1], ids=["columns", "rows"])
def test_the_light_map_finds_the_first_surface_over_each_point(axis):
    """A map whose surfaces are numbered by column or row: a point has the number of the light camera's pixel."""
    spec = lit(scene([], frames=1), direction=(0.6, 0.0, 0.8))
    box = LightBox.of(spec)
    numbers = np.tile(np.arange(SIDE_TEXELS, dtype=np.int32), (SIDE_TEXELS, 1))
    shadow_map = LightMap(box, numbers if axis == 0 else np.ascontiguousarray(numbers.T))
    points = np.random.default_rng(0).uniform((-0.05, -0.05, 0.0), (0.05, 0.05, 0.02), (60, 3)).astype(np.float32)
    view = box.camera()
    rays = (points - view.eye) @ view.rotation
    pixels = rays[:, axis] / rays[:, 2] * view.focal + view.centre[axis]
    error = shadow_map.first_surface(points) - pixels
    assert np.abs(error).max() <= 0.52
    assert abs(error.mean()) < 0.15
    along = points + 0.05 * np.array([0.6, 0.0, 0.8], np.float32)  # nearer to the light, on the same rays
    assert np.abs(shadow_map.first_surface(points) - shadow_map.first_surface(along)).max() <= 1


def test_normals_from_depth_are_the_planes_and_face_the_eye():
    _, view = view_of((0.0, -0.3, 0.4), (0.0, 0.0, 0.0))
    ys, xs = np.mgrid[40:60, 60:90].reshape(2, -1)
    plane = np.array([0.2, -0.3, 0.933], np.float32) / np.linalg.norm([0.2, -0.3, 0.933])
    rays = view.points(
        *np.mgrid[: view.width, : view.height].reshape(2, -1), np.ones(view.width * view.height, np.float32)
    )
    depth = (-view.eye @ plane / ((rays - view.eye) @ plane)).reshape(view.width, view.height).T.astype(np.float32)
    geometry = Geometry(depth, np.zeros(depth.shape, np.int32), np.zeros(depth.shape, np.uint8))
    points = view.points(xs, ys, depth[ys, xs])
    toward_eye = unit(view.eye - points)
    result = normals(geometry, view, xs, ys, points, toward_eye)
    np.testing.assert_allclose(result, np.broadcast_to(plane, result.shape), atol=2e-3)
    alone = Geometry(depth, np.where(np.indices(depth.shape).sum(axis=0) % 2, 0, BODY).astype(np.int32), geometry.lit)
    odd = (xs + ys) % 2 == 1
    lonely = normals(alone, view, xs[odd], ys[odd], points[odd], toward_eye[odd])
    np.testing.assert_allclose(lonely, toward_eye[odd], atol=1e-6)  # no neighbour on the same part: towards the eye


def test_unit_vectors_have_length_one_and_zero_stays_finite():
    v = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    np.testing.assert_allclose(dot(unit(v), unit(v)), 1, rtol=1e-5)
    assert np.isfinite(unit(np.zeros((1, 3), np.float32))).all()
