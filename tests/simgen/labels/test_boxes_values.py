"""Labels of cases that are worked out by hand or by a slow loop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simgen.assets.parts import part_model
from simgen.camera import shutter
from simgen.labels.boxes import NEAR_M, SUNK_M, _alone, annotate, project, silhouette_px
from simgen.spec.frames import Trajectory
from simgen.spec.geometry import look_at
from simgen.spec.scene import FamilySize, ShutterSpec
from simgen.spec.types import BACKGROUND, CLUTTER
from tests.simgen.scenes import part, scene, still

HEIGHT_M = 0.5
ABOVE = look_at((0.0, 0.0, HEIGHT_M), (0.0, 0.0, 0.0), (0.0, 1.0, 0.0))  # x right, y up in the picture
PX_PER_M = 200.0 / HEIGHT_M


def from_above(*positions_m, kind="washer", designation="M20", frames=1):
    """Parts seen from straight above by a camera of 160 by 120 pixels; 400 px a metre on the stage."""
    spec = scene([part(kind, designation, p) for p in positions_m], frames=frames)
    return replace(spec, camera=replace(spec.camera, world_from_camera=(ABOVE,) * frames))


def nothing_drawn(spec):
    return np.full((spec.frames, spec.camera.height_px, spec.camera.width_px), BACKGROUND, np.int32)


def first(spec, trajectory, ids, part_index=0):
    return annotate(spec, trajectory, ids).frames[0].parts[part_index]


# --- silhouettes ------------------------------------------------------------------------------------------------------


def covered(x, y, a, b, c):
    """Whether a triangle that runs clockwise in the picture holds a point, by the signs at its three edges."""
    return all((q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0]) < 0 for p, q in ((a, b), (b, c), (c, a)))


@pytest.mark.parametrize("seed", range(5))
def test_a_silhouette_counts_the_front_faces_over_each_centre_as_a_slow_loop_does(seed):
    """Two tetrahedra that lie over one another, anywhere, also left of and above the picture."""
    rng = np.random.default_rng(seed)
    pixels, triangles = [], []
    for k in range(2):
        corners = rng.uniform(-6, 9, (4, 3))
        if np.linalg.det(corners[1:] - corners[0]) < 0:
            corners = corners[[0, 2, 1, 3]]
        pixels.append(corners[:, :2])
        faces = np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]]) + 4 * k  # outwards or inwards: the same outline
        triangles.append(faces)
    pixels, triangles = np.concatenate(pixels), np.concatenate(triangles).astype(np.int32)
    cover, (x0, y0) = silhouette_px(pixels, triangles)
    wanted = np.zeros_like(cover)
    for row, column in np.ndindex(*cover.shape):
        x, y = x0 + column + 0.5, y0 + row + 0.5
        wanted[row, column] = sum(covered(x, y, *pixels[t]) for t in triangles)
    np.testing.assert_array_equal(cover, wanted)
    assert wanted.any()
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    assert x0 - 0.5 < low[0] <= x0 + 0.5
    assert y0 - 0.5 < low[1] <= y0 + 0.5
    assert cover.shape == (np.floor(high[1] - 0.5) - y0 + 1, np.floor(high[0] - 0.5) - x0 + 1)


# --- boxes ------------------------------------------------------------------------------------------------------------


def test_a_washer_seen_from_above_has_the_box_of_its_outer_circle():
    """Its upper face is nearer, and so larger: the outer radius by the focal length by the depth of that face."""
    spec = from_above((0.02, 0.01, 0.0))
    vertices = part_model(FamilySize("washer", "M20")).vertices_m
    radius, top = vertices[:, 0].max(), vertices[:, 2].max()
    result = first(spec, still(spec), nothing_drawn(spec))
    scale = 200.0 / (HEIGHT_M - top)
    middle = np.array([80 + 0.02 * scale, 60 - 0.01 * scale])
    wanted = [*(middle - radius * scale), *(middle + radius * scale)]
    np.testing.assert_allclose(result.unclipped_box_xyxy_px, wanted, atol=0.1)
    assert result.amodal_box_xyxy_px == result.unclipped_box_xyxy_px
    assert (result.track_id, result.category) == (0, "washer")


def test_the_box_of_what_is_visible_is_that_of_its_pixels_the_last_ones_included():
    spec = from_above((0.0, 0.0, 0.0), (0.1, 0.0, 0.0))
    ids = nothing_drawn(spec)
    ids[0, 119, 0] = ids[0, 7, 159] = 1
    ids[0, 3, 4] = 0
    labels = annotate(spec, still(spec), ids).frames[0].parts
    assert labels[0].box_xyxy_px == (4.0, 3.0, 5.0, 4.0)
    assert labels[1].box_xyxy_px == (0.0, 7.0, 160.0, 120.0)
    assert [one.visible_px for one in labels] == [1, 2]


def test_an_amodal_box_ends_at_the_picture_and_what_only_touches_it_has_none():
    spec = from_above((0.0, 0.0, 0.0))
    x0, y0, x1, y1 = first(spec, still(spec), nothing_drawn(spec)).unclipped_box_xyxy_px
    for dx, dy, wanted in (
        (-x0 - 1, 0, (0.0, y0, x1 - x0 - 1, y1)),
        (160 - x1 + 1, 0, (160 - (x1 - x0) + 1, y0, 160.0, y1)),
        (0, -y0 - 1, (x0, 0.0, x1, y1 - y0 - 1)),
        (0, 120 - y1 + 1, (x0, 120 - (y1 - y0) + 1, x1, 120.0)),
        (-x1, 0, None),
        (160 - x0, 0, None),
        (0, -y1, None),
        (0, 120 - y0, None),
    ):
        moved = replace(spec, camera=replace(spec.camera, centre_px=(80.0 + dx, 60.0 + dy)))
        result = first(moved, still(moved), nothing_drawn(moved))
        assert result.amodal_box_xyxy_px == (None if wanted is None else pytest.approx(wanted)), (dx, dy)
        assert result.unclipped_box_xyxy_px == pytest.approx((x0 + dx, y0 + dy, x1 + dx, y1 + dy))


@pytest.mark.parametrize(("spare_m", "has_box"), [(1e-4, True), (-1e-4, False)])
def test_what_reaches_nearer_than_a_centimetre_to_the_cameras_plane_has_no_box(spare_m, has_box):
    top = part_model(FamilySize("washer", "M20")).vertices_m[:, 2].max()
    spec = from_above((0.0, 0.0, HEIGHT_M - top - NEAR_M - spare_m))
    ids = nothing_drawn(spec)
    ids[0, 60, 80] = 0
    assert NEAR_M == 0.01
    result = first(spec, still(spec), ids)
    assert (result.unclipped_box_xyxy_px is not None) == has_box
    assert result.box_xyxy_px == (80.0, 60.0, 81.0, 61.0)  # what is visible is visible
    assert (result.visible_share > 0) == has_box


# --- visible shares ---------------------------------------------------------------------------------------------------


def disc(spec, k=0, smaller_px=0.0):
    """A round patch of pixels in the middle of part k's box, as a renderer that loses a rim would draw it."""
    x0, y0, x1, y1 = first(spec, still(spec), nothing_drawn(spec), k).unclipped_box_xyxy_px
    rows, columns = np.indices((spec.camera.height_px, spec.camera.width_px)) + 0.5
    reach = (x1 - x0) / 2 - smaller_px
    return np.hypot(columns - (x0 + x1) / 2, rows - (y0 + y1) / 2) < reach


def silhouette_area(spec, k=0):
    made = spec.parts[k]
    model = part_model(made.source)
    pixels, _ = project(model.vertices_m + np.array(made.world_from_part.position_m), spec.camera, 0)
    return int(np.count_nonzero(silhouette_px(pixels, model.triangles)[0]))


def test_a_part_with_nothing_but_background_in_its_box_is_seen_whole_and_with_anything_else_it_is_counted():
    """A renderer draws a rim less than the exact silhouette: with nothing near, that is no occlusion."""
    spec = from_above((0.0, 0.0, 0.002), (0.1, 0.1, 0.002))
    ids = nothing_drawn(spec)
    ids[0][disc(spec, smaller_px=2.0)] = 0
    assert first(spec, still(spec), ids).visible_share == 1
    share = np.count_nonzero(ids == 0) / silhouette_area(spec)
    x0, y0, x1, y1 = first(spec, still(spec), ids).unclipped_box_xyxy_px
    corners = [(int(y0), int(x0)), (int(y0), int(x1)), (int(y1), int(x0)), (int(y1), int(x1))]
    for row, column in corners:  # the box reaches into these pixels
        for other in (1, CLUTTER):
            touched = ids.copy()
            touched[0, row, column] = other
            assert first(spec, still(spec), touched).visible_share == pytest.approx(min(1.0, share))
    outside = ids.copy()
    outside[0, int(y0) - 1, int(x0) : int(x1)] = outside[0, int(y0) : int(y1), int(x1) + 1] = 1
    assert first(spec, still(spec), outside).visible_share == 1


@pytest.mark.parametrize("edge", ["left", "top", "right", "bottom"])
def test_a_part_just_within_the_picture_is_seen_whole(edge):
    """Half a pixel from the edge, with a rim that was not drawn."""
    spec = from_above((0.0, 0.0, 0.002))
    x0, y0, x1, y1 = first(spec, still(spec), nothing_drawn(spec)).unclipped_box_xyxy_px
    to = {"left": (0.5 - x0, 0), "top": (0, 0.5 - y0), "right": (159.5 - x1, 0), "bottom": (0, 119.5 - y1)}[edge]
    near = replace(spec, camera=replace(spec.camera, centre_px=(80.0 + to[0], 60.0 + to[1])))
    ids = nothing_drawn(near)
    ids[0][disc(near, smaller_px=2.0)] = 0
    assert first(near, still(near), ids).visible_share == 1


def test_a_part_as_small_as_a_pixel_is_seen_whole_where_its_pixel_is():
    spec = scene([part("hex_screw", "M20x60", (0.0, 0.0, 0.0))], frames=1)
    away = look_at((0.0, 0.0, 6.0), (0.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    spec = replace(spec, camera=replace(spec.camera, world_from_camera=(away,), centre_px=(80.4, 60.4)))
    assert silhouette_area(spec) == 1
    ids = nothing_drawn(spec)
    ids[0, 60, 80], ids[0, 60, 79:82:2], ids[0, 59:62:2, 80] = 0, CLUTTER, CLUTTER
    assert first(spec, still(spec), ids).visible_share == 1


@pytest.mark.parametrize("edge", ["left", "top", "right", "bottom"])
def test_a_part_that_the_picture_cuts_is_never_seen_whole(edge):
    spec = from_above((0.0, 0.0, 0.002))
    x0, y0, x1, y1 = first(spec, still(spec), nothing_drawn(spec)).unclipped_box_xyxy_px
    out = {"left": (-x0 - 3, 0), "top": (0, -y0 - 3), "right": (160 - x1 + 3, 0), "bottom": (0, 120 - y1 + 3)}[edge]
    cut = replace(spec, camera=replace(spec.camera, centre_px=(80.0 + out[0], 60.0 + out[1])))
    ids = nothing_drawn(cut)
    ids[0][disc(cut)] = 0
    hole = disc(cut, smaller_px=(x1 - x0) / 2 - 2)
    ids[0][hole] = BACKGROUND
    result = first(cut, still(cut), ids)
    assert result.visible_share == pytest.approx(min(1.0, np.count_nonzero(ids == 0) / silhouette_area(cut)))


def test_more_pixels_than_the_silhouette_are_no_more_than_all_of_it():
    spec = from_above((0.0, 0.0, 0.0), (0.1, 0.1, 0.0))
    ids = nothing_drawn(spec)
    ids[0, 30:90, 40:120] = 0
    ids[0, 60, 80] = 1
    assert first(spec, still(spec), ids).visible_share == 1.0


@pytest.mark.parametrize(("sunk_m", "whole"), [(SUNK_M * 0.9, True), (SUNK_M * 1.1, False)])
def test_what_is_sunk_deeper_than_half_a_millimetre_is_counted_pixel_by_pixel(sunk_m, whole):
    assert SUNK_M == 0.0005
    low = part_model(FamilySize("washer", "M20")).vertices_m[:, 2].min()
    spec = from_above((0.0, 0.0, -low - sunk_m))
    ids = nothing_drawn(spec)
    ids[0][disc(spec, smaller_px=5.0)] = 0
    assert (first(spec, still(spec), ids).visible_share == 1) == whole


# --- rolling shutter --------------------------------------------------------------------------------------------------


def rolling(spec, row_time_s=4e-4, subframes=41):
    return replace(spec, shutter=ShutterSpec(exposure_s=0.0, row_time_s=row_time_s, subframes=subframes))


def riding(spec, velocity_m_s):
    """Every part where the spec lets it go, moving on at this speed."""
    times = shutter.moments_s(spec)
    starts = np.array([p.world_from_part.position_m for p in spec.parts])
    positions = starts[None] + times[:, None, None] * np.asarray(velocity_m_s)
    turns = np.tile([p.world_from_part.rotation_xyzw for p in spec.parts], (len(times), 1, 1))
    return Trajectory(
        positions.astype(np.float32), turns.astype(np.float32), np.zeros((len(times), 0, 3), np.float32), times
    )


@pytest.mark.parametrize("speed_m_s", [0.6, -0.6, 0.2])
def test_what_moves_along_the_read_out_is_seen_where_its_row_meets_it(speed_m_s):
    """Down the picture by v px/s: y = y0 + v t and t = (y - h/2) row_time, so y - h/2 = (y0 - h/2) / (1 - v row_time).

    Both edges of the box are of the washer's upper face, at one depth.
    """
    spec = rolling(from_above((0.0, 0.04, 0.0)))
    at_once = from_above((0.0, 0.04, 0.0))
    x0, y0, x1, y1 = first(at_once, still(at_once), nothing_drawn(at_once)).unclipped_box_xyxy_px
    result = first(spec, riding(spec, (0.0, -speed_m_s, 0.0)), nothing_drawn(spec)).unclipped_box_xyxy_px
    top = part_model(FamilySize("washer", "M20")).vertices_m[:, 2].max()
    stretch = 1 / (1 - speed_m_s * 200 / (HEIGHT_M - top) * 4e-4)
    np.testing.assert_allclose(result, [x0, 60 + (y0 - 60) * stretch, x1, 60 + (y1 - 60) * stretch], atol=0.02)


def test_a_camera_that_moves_one_way_sees_what_it_would_of_parts_that_move_the_other():
    spec = rolling(from_above((0.02, 0.04, 0.0), (-0.05, -0.03, 0.0)))
    velocity = np.array([0.3, -0.4, 0.05])
    flying = replace(spec, camera=replace(spec.camera, velocity_m_s=tuple(velocity)))
    by_camera = annotate(flying, riding(flying, (0.0, 0.0, 0.0)), nothing_drawn(spec)).frames[0].parts
    by_parts = annotate(spec, riding(spec, -velocity), nothing_drawn(spec)).frames[0].parts
    resting = annotate(spec, riding(spec, (0.0, 0.0, 0.0)), nothing_drawn(spec)).frames[0].parts
    assert len(by_camera) == 2
    for one, other, rest in zip(by_camera, by_parts, resting, strict=True):
        np.testing.assert_allclose(one.unclipped_box_xyxy_px, other.unclipped_box_xyxy_px, atol=1e-3)
        assert np.abs(np.subtract(one.unclipped_box_xyxy_px, rest.unclipped_box_xyxy_px)).max() > 0.5
        assert one.camera_from_part == rest.camera_from_part  # poses are of the frame's own time


def test_what_never_meets_its_row_is_taken_from_the_read_outs_end():
    """A part beyond the picture's lower end, whose rows would be read after the last; one above it."""
    for y_m, moment in ((-0.3, -1), (0.3, 0)):
        spec = rolling(from_above((0.0, y_m, 0.0)), subframes=5)
        trajectory = riding(spec, (0.5, 0.0, 0.0))
        x_m = float(trajectory.positions_m[moment, 0, 0])
        shifted = from_above((x_m, y_m, 0.0))
        wanted = first(shifted, still(shifted), nothing_drawn(shifted)).unclipped_box_xyxy_px
        result = first(spec, trajectory, nothing_drawn(spec)).unclipped_box_xyxy_px
        np.testing.assert_allclose(result, wanted, atol=1e-3)


# --- what is refused --------------------------------------------------------------------------------------------------


def test_only_ids_of_the_scenes_own_parts_are_labelled():
    spec = from_above((0.0, 0.0, 0.0), frames=2)
    for ids in (nothing_drawn(spec)[:1], nothing_drawn(spec)[:, 1:], nothing_drawn(spec)[:, :, 1:]):
        with pytest.raises(ValueError, match=r"are not of a scene of 2 frames, 120 by 160 pixels, 1 parts"):
            annotate(spec, still(spec), ids)
    high = nothing_drawn(spec)
    high[1, 3, 3] = 0
    assert annotate(spec, still(spec), high).frames[1].parts[0].visible_px == 1
    high[1, 3, 3] = 1
    with pytest.raises(ValueError, match="with ids up to 1 are not of"):
        annotate(spec, still(spec), high)


@pytest.mark.parametrize(
    ("box", "alone"),
    [
        ((2.0, 1.0, 5.0, 4.0), True),
        ((0.0, 0.0, 5.0, 4.0), True),  # up to the frame's first row and column
        ((2.0, 1.0, 6.0, 4.0), False),  # column 5 shows another part
        ((2.0, 1.0, 5.1, 4.0), False),  # a tenth of that column too
        ((2.0, 1.0, 5.0, 5.0), False),  # row 4 shows clutter
        ((-0.1, 1.0, 5.0, 4.0), False),
        ((2.0, -0.1, 5.0, 4.0), False),
        ((6.0, 0.0, 10.0, 3.0), True),  # up to the last column
        ((6.0, 0.0, 10.1, 3.0), False),
        ((6.0, 5.0, 9.0, 7.0), True),  # up to the last row
        ((6.0, 5.0, 9.0, 7.1), False),
    ],
)
def test_a_part_is_alone_where_its_box_is_in_the_frame_and_shows_nothing_else(box, alone):
    ids = np.full((7, 10), BACKGROUND, np.int32)
    ids[1:4, 2:5] = 3
    ids[2, 5] = 4
    ids[4, 3] = CLUTTER
    assert _alone(ids, 3, box) is alone
