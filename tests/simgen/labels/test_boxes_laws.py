"""Laws of boxes and silhouettes against slow, plain computations of the same."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simgen.assets.parts import part_model
from simgen.labels import boxes
from simgen.labels.boxes import NEAR_M, annotate, camera_from_part, project, silhouette_px
from simgen.spec.frames import Trajectory
from simgen.spec.geometry import look_at, transform, vec3
from simgen.spec.types import BACKGROUND, CLUTTER
from tests.simgen.scenes import part, scene, still

BARREL = (-0.3, 0.1, 0.002, -0.002, 0.0)
NUT = part("hex_nut", "M20", (0.0, 0.0, 0.01))


def blank(spec, value=BACKGROUND):
    return np.full((spec.frames, spec.camera.height_px, spec.camera.width_px), value, np.int32)


def label(spec, ids=None, i=0):
    return annotate(spec, still(spec), blank(spec) if ids is None else ids).frames[0].parts[i]


def one(*parts, **camera):
    spec = scene(parts or [NUT], frames=1)
    return replace(spec, camera=replace(spec.camera, **camera))


def vertices_px(spec, i=0):
    made = spec.parts[i]
    return project(transform(made.world_from_part, part_model(made.source).vertices_m), spec.camera, 0)


# ---------------------------------------------------------------------------------------------------------- id maps


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.floats(0.0, 0.2))
def test_boxes_and_counts_of_visible_pixels_are_those_of_each_mask(seed, density):
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, 5, (17, 23) if seed % 2 else (23, 17)).astype(np.int32)
    ids[rng.uniform(size=ids.shape) > density] = rng.choice([BACKGROUND, CLUTTER])
    result, counts = boxes._visible(ids, 5)
    for k in range(5):
        rows, columns = np.nonzero(ids == k)
        assert counts[k] == len(rows)
        if len(rows):
            assert result[k].tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_no_pixel_belongs_to_a_part_in_an_empty_id_map():
    _, counts = boxes._visible(np.full((4, 6), CLUTTER, np.int32), 3)
    assert counts.tolist() == [0, 0, 0]


# ------------------------------------------------------------------------------------------------------ silhouettes


def point_in_triangle(x, y, a, b, c):
    signs = [(q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0]) for p, q in ((a, b), (b, c), (c, a))]
    return all(s > 0 for s in signs) or all(s < 0 for s in signs)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.floats(-3, 12), st.floats(-3, 9)), min_size=4, max_size=4))
def test_the_silhouette_of_a_tetrahedron_is_the_union_of_its_faces(corners):
    pixels = np.array(corners) + np.array([0.137, 0.311])  # no vertex at a pixel's centre
    faces = np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]], np.int32)
    cover, (x0, y0) = silhouette_px(pixels, faces)
    for row in range(cover.shape[0]):
        for column in range(cover.shape[1]):
            centre = column + x0 + 0.5, row + y0 + 0.5
            inside = any(point_in_triangle(*centre, *pixels[face]) for face in faces)
            assert (cover[row, column] > 0) == inside


def test_a_silhouette_does_not_depend_on_where_the_picture_begins():
    model = part_model(NUT.source)
    pixels, _ = vertices_px(one())
    here, (x, y) = silhouette_px(pixels, model.triangles)
    there, (x2, y2) = silhouette_px(pixels + np.array([-300.0, 17.0]), model.triangles)
    np.testing.assert_array_equal(here, there)
    assert (x2, y2) == (x - 300, y + 17)


# ------------------------------------------------------------------------------------------------------------ boxes


@pytest.mark.parametrize("distortion", [(0.0,) * 5, BARREL], ids=["pinhole", "barrel"])
def test_the_unclipped_box_bounds_the_projected_vertices(distortion):
    spec = one(part("hex_screw", "M20x60", (-0.08, 0.05, 0.03)), distortion=distortion)
    pixels, _ = vertices_px(spec)
    result = label(spec)
    np.testing.assert_allclose(result.unclipped_box_xyxy_px, [*pixels.min(axis=0), *pixels.max(axis=0)], atol=1e-6)
    straight = label(replace(spec, camera=replace(spec.camera, distortion=(0.0,) * 5)))
    assert (result.unclipped_box_xyxy_px == straight.unclipped_box_xyxy_px) == (distortion != BARREL)


@settings(deadline=None, max_examples=40)
@given(st.floats(-400, 400), st.floats(-300, 300))
def test_the_amodal_box_is_the_unclipped_one_cut_at_the_frame(x, y):
    spec = one(centre_px=(80.0 + x, 60.0 + y))
    result = label(spec)
    x_min, y_min, x_max, y_max = result.unclipped_box_xyxy_px
    assert x_min < x_max
    assert y_min < y_max
    if min(x_max, 160) <= max(x_min, 0) or min(y_max, 120) <= max(y_min, 0):
        assert result.amodal_box_xyxy_px is None
    else:
        expected = (max(x_min, 0.0), max(y_min, 0.0), min(x_max, 160.0), min(y_max, 120.0))
        assert result.amodal_box_xyxy_px == expected
    assert result.box_xyxy_px is None
    assert result.visible_share == 0


@pytest.mark.parametrize(("beyond_m", "has_box"), [(1e-4, True), (-1e-4, False)])
def test_a_part_has_a_box_while_all_of_it_is_further_than_the_near_plane(beyond_m, has_box):
    radius = np.abs(part_model(NUT.source).vertices_m[:, 2]).max()
    height = 0.01 + radius + NEAR_M + beyond_m  # the camera looks down on the nut
    above = look_at((0.0, 0.0, height), (0.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    result = label(one(world_from_camera=(above,)))
    assert (result.unclipped_box_xyxy_px is not None) == has_box
    assert (result.amodal_box_xyxy_px is not None) == has_box


def test_a_part_without_a_box_has_no_visible_share_even_where_pixels_show_it():
    near = look_at((0.0, 0.0, 0.012), (0.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    spec = one(world_from_camera=(near,))
    result = label(spec, blank(spec, 0))
    assert result.unclipped_box_xyxy_px is None
    assert (result.visible_share, result.visible_px) == (0.0, 160 * 120)
    assert result.box_xyxy_px == (0, 0, 160, 120)


# ----------------------------------------------------------------------------------------------------------- shares


def drawn(spec):
    model = part_model(spec.parts[0].source)
    cover, (x, y) = silhouette_px(vertices_px(spec)[0], model.triangles)
    ids = blank(spec)
    rows, columns = np.nonzero(cover)
    inside = (rows + y >= 0) & (rows + y < 120) & (columns + x >= 0) & (columns + x < 160)
    ids[0, rows[inside] + y, columns[inside] + x] = 0
    return ids, np.count_nonzero(cover)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 160))
def test_the_visible_share_is_the_visible_pixels_over_the_whole_silhouette(column):
    spec = one()
    ids, whole = drawn(spec)
    ids[0, :, :column] = CLUTTER
    result = label(spec, ids)
    assert result.visible_px == (ids == 0).sum()
    assert result.visible_share == pytest.approx(result.visible_px / whole)


def test_a_part_cut_by_the_frame_has_the_share_of_its_pixels_inside():
    spec = one(centre_px=(2.0, 60.0))
    ids, whole = drawn(spec)
    result = label(spec, ids)
    assert 0.3 < result.visible_share < 0.8
    assert result.visible_share == pytest.approx((ids == 0).sum() / whole)


def test_the_share_is_never_above_one():
    spec = one()
    ids, _ = drawn(spec)
    ids[0, 10:110, 20:140] = np.where(ids[0, 10:110, 20:140] == 0, 0, 0)  # more pixels than the silhouette has
    ids[0, 0, 0] = CLUTTER
    assert label(spec, ids).visible_share == 1.0


def test_an_unknown_id_and_a_wrong_number_of_frames_are_errors():
    spec = one()
    with pytest.raises(ValueError, match="ids up to 7"):
        annotate(spec, still(spec), blank(spec, 7))
    with pytest.raises(ValueError, match="of a scene of 1 frames"):
        annotate(spec, still(spec), np.concatenate([blank(spec)] * 2))


def test_a_camera_that_moves_with_the_part_keeps_its_pose():
    spec = scene([NUT], frames=2)
    shift = np.array([0.03, -0.02, 0.0])
    poses = tuple(look_at(vec3((0.0, -0.2, 0.3) + k * shift), vec3(k * shift)) for k in (0, 1))
    spec = replace(spec, camera=replace(spec.camera, world_from_camera=poses))
    positions = np.stack([NUT.world_from_part.position_m + k * shift for k in (0, 1)]).astype(np.float32)[:, None]
    path = Trajectory(positions, still(spec).rotations_xyzw, np.zeros((2, 0, 3), np.float32))
    first, second = (camera_from_part(spec, path, frame, 0) for frame in (0, 1))
    assert second.position_m == pytest.approx(first.position_m, abs=1e-7)
    assert second.rotation_xyzw == pytest.approx(first.rotation_xyzw, abs=1e-7)
    frames = annotate(spec, path, blank(spec)).frames
    assert frames[1].parts[0].unclipped_box_xyxy_px == pytest.approx(frames[0].parts[0].unclipped_box_xyxy_px, abs=1e-3)
