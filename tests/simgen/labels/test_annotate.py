"""Laws of labels, on id maps that are known and on those that TinyRenderer draws."""

import math
from dataclasses import replace

import numpy as np
import pytest

from simgen.assets.parts import part_model
from simgen.labels.boxes import annotate, camera_from_part, project, silhouette_px, world_from_part
from simgen.spec.frames import Trajectory
from simgen.spec.geometry import invert, look_at, transform
from simgen.spec.scene import BodySpec, FamilySize
from simgen.spec.types import BACKGROUND, CLUTTER, Pose
from tests.simgen.scenes import GREY, part, scene

HALF = math.sqrt(0.5)
LYING = (0.0, HALF, 0.0, HALF)


def as_let_go(spec):
    """The trajectory of parts that stay where they were let go."""
    poses = [made.world_from_part for made in spec.parts]
    positions = np.array([pose.position_m for pose in poses], np.float32).reshape(-1, 3)
    rotations = np.array([pose.rotation_xyzw for pose in poses], np.float32).reshape(-1, 4)
    occluders = np.array([body.world_from_body.position_m for body in spec.occluders], np.float32).reshape(-1, 3)
    return Trajectory(*(np.stack([x] * spec.frames) for x in (positions, rotations, occluders)))


def pixels_of(spec, trajectory, i, frame=0):
    """Where a part's vertices lie in the picture."""
    made = spec.parts[i]
    vertices = part_model(made.source).vertices_m
    return project(transform(world_from_part(trajectory, frame, i), vertices), spec.camera, frame)[0]


def mask_of(spec, trajectory, i, frame=0):
    """The pixels that a part covers with nothing in front."""
    made = spec.parts[i]
    model = part_model(made.source)
    cover, (x, y) = silhouette_px(pixels_of(spec, trajectory, i, frame), model.triangles)
    whole = np.zeros((spec.camera.height_px, spec.camera.width_px), bool)
    rows, columns = np.nonzero(cover)
    rows, columns = rows + y, columns + x
    inside = (rows >= 0) & (rows < whole.shape[0]) & (columns >= 0) & (columns < whole.shape[1])
    whole[rows[inside], columns[inside]] = True
    return whole


def empty_ids(spec):
    return np.full((spec.frames, spec.camera.height_px, spec.camera.width_px), BACKGROUND, np.int32)


def one_part(**changes):
    """A bolt that lies in the middle of the picture, alone, drawn as its silhouette."""
    spec = scene([part("hex_screw", "M20x60", (0.0, 0.0, 0.02), LYING)], frames=1, **changes)
    trajectory = as_let_go(spec)
    ids = empty_ids(spec)
    ids[0][mask_of(spec, trajectory, 0)] = 0
    return spec, trajectory, ids


def label(spec, trajectory, ids, i=0, frame=0):
    return annotate(spec, trajectory, ids).frames[frame].parts[i]


def test_a_part_that_nothing_hides_is_seen_whole():
    spec, trajectory, ids = one_part()
    result = label(spec, trajectory, ids)
    assert result.visible_share == 1
    assert result.visible_px == np.count_nonzero(ids == 0) > 500
    assert result.category == spec.parts[0].category
    assert result.amodal_box_xyxy_px == result.unclipped_box_xyxy_px
    rows, columns = np.nonzero(ids[0] == 0)
    assert result.box_xyxy_px == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    np.testing.assert_allclose(result.box_xyxy_px, result.amodal_box_xyxy_px, atol=1)


def test_a_part_that_is_half_hidden_is_half_seen():
    spec, trajectory, ids = one_part()
    columns = np.nonzero(ids[0] == 0)[1]
    ids[0][:, : int(np.median(columns))][ids[0][:, : int(np.median(columns))] == 0] = CLUTTER
    result = label(spec, trajectory, ids)
    assert result.visible_share == pytest.approx(0.5, abs=0.05)
    assert result.box_xyxy_px[0] == int(np.median(columns))
    assert result.amodal_box_xyxy_px[0] < result.box_xyxy_px[0] - 10


def test_a_hidden_part_keeps_its_amodal_box_and_its_pose():
    spec, trajectory, ids = one_part()
    whole = label(spec, trajectory, ids)
    ids[:] = CLUTTER
    result = label(spec, trajectory, ids)
    assert (result.box_xyxy_px, result.visible_share, result.visible_px) == (None, 0, 0)
    assert result.amodal_box_xyxy_px == whole.amodal_box_xyxy_px
    assert result.camera_from_part == whole.camera_from_part


@pytest.mark.parametrize("cut", [20, 40])
def test_the_frames_edge_takes_its_share(cut):
    """A camera whose picture ends `cut` pixels right of the part's left end."""
    spec, trajectory, ids = one_part()
    left, _, right, _ = label(spec, trajectory, ids).amodal_box_xyxy_px
    shift = spec.camera.width_px - (left + cut)
    moved = replace(spec, camera=replace(spec.camera, centre_px=(spec.camera.centre_px[0] + shift, 60.0)))
    visible = empty_ids(moved)
    visible[0][mask_of(moved, trajectory, 0)] = 0
    result = label(moved, trajectory, visible)
    _, top, _, bottom = result.unclipped_box_xyxy_px
    assert result.unclipped_box_xyxy_px == pytest.approx((left + shift, top, right + shift, bottom))
    assert result.amodal_box_xyxy_px[2] == spec.camera.width_px
    assert result.amodal_box_xyxy_px[0] == result.unclipped_box_xyxy_px[0]
    share = np.count_nonzero(visible == 0) / np.count_nonzero(ids == 0)
    assert result.visible_share == pytest.approx(share, abs=0.02)
    assert 0 < share < 1


def test_outside_the_picture_there_is_an_unclipped_box_alone():
    spec, trajectory, ids = one_part()
    away = replace(spec, camera=replace(spec.camera, centre_px=(1000.0, 60.0)))
    result = label(away, trajectory, np.full_like(ids, BACKGROUND))
    assert (result.box_xyxy_px, result.amodal_box_xyxy_px, result.visible_share) == (None, None, 0)
    assert result.unclipped_box_xyxy_px[0] > 900


def test_behind_the_camera_there_is_no_box():
    spec, trajectory, ids = one_part()
    behind = (look_at((0.0, -0.2, 0.3), (0.0, -0.4, 0.6)),)
    spec = replace(spec, camera=replace(spec.camera, world_from_camera=behind))
    result = label(spec, trajectory, np.full_like(ids, BACKGROUND))
    assert (result.unclipped_box_xyxy_px, result.amodal_box_xyxy_px, result.box_xyxy_px) == (None, None, None)
    assert result.camera_from_part.position_m[2] < 0


def test_what_the_stage_hides_is_not_seen_whole():
    """Sunk through the stage: only a part of it is drawn, and none but the background is round it."""
    spec, trajectory, ids = one_part()
    trajectory.positions_m[:, :, 2] = 0.0
    mask = mask_of(spec, trajectory, 0)
    upper = np.arange(mask.shape[0])[:, None] < np.median(np.nonzero(mask)[0])
    ids[:] = BACKGROUND
    ids[0][mask & upper] = 0
    drawn = np.count_nonzero(ids == 0) / np.count_nonzero(mask)
    assert 0.3 < drawn < 0.7
    assert label(spec, trajectory, ids).visible_share == pytest.approx(drawn)


def test_a_point_on_the_optical_axis_is_the_principal_point():
    spec, _, _ = one_part()
    pixels, depth = project(np.array([[0.0, 0.0, 0.0], [0.01, 0.0, 0.0]]), spec.camera, 0)
    distance = math.hypot(0.2, 0.3)
    np.testing.assert_allclose(pixels[0], [80.0, 60.0], atol=1e-9)
    np.testing.assert_allclose(depth, distance)
    np.testing.assert_allclose(pixels[1], [80.0 + 200.0 * 0.01 / distance, 60.0], atol=1e-9)  # x of the world is right


def test_higher_points_are_higher_in_the_picture():
    spec, _, _ = one_part()
    pixels, depth = project(np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.02]]), spec.camera, 0)
    assert pixels[1, 1] < pixels[0, 1]
    assert depth[1] < depth[0]


def test_the_6d_pose_puts_the_vertices_into_the_box():
    spec, trajectory, ids = one_part()
    result = label(spec, trajectory, ids)
    model = part_model(FamilySize("hex_screw", "M20x60"))
    x, y, z = transform(result.camera_from_part, model.vertices_m).T
    u = spec.camera.focal_px * x / z + spec.camera.centre_px[0]
    v = spec.camera.focal_px * y / z + spec.camera.centre_px[1]
    np.testing.assert_allclose((u.min(), v.min(), u.max(), v.max()), result.unclipped_box_xyxy_px, atol=1e-6)
    assert result.camera_from_part == camera_from_part(spec, trajectory, 0, 0)
    back = transform(invert(spec.camera.world_from_camera[0]), np.asarray(trajectory.positions_m[0], float))
    np.testing.assert_allclose(back[0], result.camera_from_part.position_m, atol=1e-9)


def test_frames_have_their_time_and_their_camera():
    moving = tuple(look_at((0.01 * t, -0.2, 0.3), (0.01 * t, 0.0, 0.0)) for t in range(3))
    spec, _, _ = one_part()
    spec = replace(spec, camera=replace(spec.camera, world_from_camera=moving), frame_interval_s=0.25)
    trajectory = as_let_go(spec)
    frames = annotate(spec, trajectory, empty_ids(spec)).frames
    assert [frame.time_s for frame in frames] == [0, 0.25, 0.5]
    assert [frame.frame for frame in frames] == [0, 1, 2]
    assert tuple(frame.world_from_camera for frame in frames) == moving
    left = [frame.parts[0].unclipped_box_xyxy_px[0] for frame in frames]
    assert left[0] > left[1] > left[2]


def test_id_maps_of_another_scene_are_refused():
    spec, trajectory, ids = one_part()
    with pytest.raises(ValueError, match=r"1 frames, 120 by 160 pixels, 1 parts"):
        annotate(spec, trajectory, ids[:, :-1])
    with pytest.raises(ValueError, match="ids up to 1"):
        annotate(spec, trajectory, np.where(ids == 0, 1, ids).astype(np.int32))


def square(x0, y0, x1, y1, z=1.0):
    """A box from z - 1 to z seen from above, as pixels; its triangles."""
    low = [[x0, y0], [x0, y1], [x1, y1], [x1, y0]]
    pixels = np.array(low + low, float)  # seen from straight above, near and far faces fall together
    top = [[0, 1, 2], [0, 2, 3]]
    bottom = [[4, 6, 5], [4, 7, 6]]
    return pixels, np.array(top + bottom, np.int32)


@pytest.mark.parametrize(
    ("box", "columns", "rows"),
    [
        ((2.0, 3.0, 5.0, 7.0), range(2, 5), range(3, 7)),
        ((2.4, 3.4, 4.6, 6.6), range(2, 5), range(3, 7)),  # every centre of the pixels it touches
        ((2.6, 3.6, 4.4, 6.4), range(3, 4), range(4, 6)),  # no centre of the outer ones
        ((-3.0, -2.0, -1.0, 1.0), range(-3, -1), range(-2, 1)),
    ],
)
def test_a_silhouette_is_the_pixels_whose_centres_it_covers(box, columns, rows):
    cover, (x, y) = silhouette_px(*square(*box))
    found_rows, found_columns = np.nonzero(cover)
    assert {int(c) + x for c in found_columns} == set(columns)
    assert {int(r) + y for r in found_rows} == set(rows)
    assert np.count_nonzero(cover) == len(columns) * len(rows)


def test_a_silhouette_too_small_for_any_centre_is_empty():
    cover, _ = silhouette_px(*square(2.6, 2.6, 3.4, 3.4))
    assert cover.shape == (0, 0)


def test_a_washer_has_a_hole_in_its_silhouette():
    spec = scene([part("washer", "M30", (0.0, 0.0, 0.002))], frames=1)
    mask = mask_of(spec, as_let_go(spec), 0)
    middle = project(np.array([[0.0, 0.0, 0.002]]), spec.camera, 0)[0][0]
    assert not mask[int(middle[1]), int(middle[0])]
    assert mask.sum() > 200


@pytest.fixture(scope="module")
def rendered():
    """A touching, overlapping handful of parts, an occluder over some, and one that leaves the picture."""
    pytest.importorskip("pybullet")
    from simgen.renderers import render
    from simgen.scene.simulate import simulate

    bar = BodySpec(
        shape="box", size_m=(0.02, 0.3, 0.01), material=GREY, velocity_m_s=(0.15, 0.0, 0.0),
        world_from_body=Pose(position_m=(-0.03, 0.0, 0.1), rotation_xyzw=(0.0, 0.0, 0.0, 1.0)),
    )  # fmt: skip
    parts = [
        part("hex_screw", "M20x60", (0.0, 0.0, 0.02), LYING),
        part("washer", "M20", (0.01, 0.0, 0.06)),
        part("hex_nut", "M16", (-0.06, 0.05, 0.01)),
        part("hex_bolt", "M10x80", (0.07, 0.05, 0.03), LYING),
        part("washer", "M30", (-0.09, -0.05, 0.01)),
        part("hex_nut", "M24", (0.05, -0.04, 0.02)),
        part("hex_screw", "M16x50", (0.17, 0.0, 0.03), LYING),
    ]
    spec = scene(parts, occluders=[bar], settle_s=1.0, frames=3, frame_interval_s=0.2)
    trajectory = simulate(spec)
    ids = np.stack([frame.ids for frame in render(spec, trajectory)])
    return spec, trajectory, ids, annotate(spec, trajectory, ids)


def each(rendered):
    spec, trajectory, ids, labels = rendered
    for frame in labels.frames:
        for result in frame.parts:
            yield result, ids[frame.frame] == result.track_id, mask_of(spec, trajectory, result.track_id, frame.frame)


def test_the_rendered_scene_has_every_case(rendered):
    shares = [result.visible_share for result, _, _ in each(rendered)]
    assert len(shares) == 21
    assert sum(share == 1 for share in shares) >= 3
    assert sum(0.05 < share < 0.95 for share in shares) >= 5


def test_what_is_rendered_lies_in_the_silhouette_and_its_box(rendered):
    for result, visible, silhouette in each(rendered):
        assert np.count_nonzero(visible & ~silhouette) <= 0.02 * np.count_nonzero(silhouette)
        if result.box_xyxy_px is not None:
            x_min, y_min, x_max, y_max = result.box_xyxy_px
            left, top, right, bottom = result.amodal_box_xyxy_px
            assert (x_min > left - 1, y_min > top - 1, x_max < right + 1, y_max < bottom + 1) == (True,) * 4


def test_shares_are_what_was_seen_of_the_silhouette(rendered):
    spec = rendered[0]
    width, height = spec.camera.width_px, spec.camera.height_px
    for result, visible, silhouette in each(rendered):
        left, top, right, bottom = result.unclipped_box_xyxy_px
        if left >= 0 and top >= 0 and right <= width and bottom <= height and silhouette.any():
            share = np.count_nonzero(visible) / np.count_nonzero(silhouette)
            assert result.visible_share == pytest.approx(share, abs=0.02)
        else:
            assert result.visible_share < 1


def test_the_cheap_rule_and_the_exact_one_agree(rendered):
    """Where no other thing is in a part's box its share is 1 without a look: the look says so too."""
    alone = [(visible, silhouette) for result, visible, silhouette in each(rendered) if result.visible_share == 1]
    assert alone
    for visible, silhouette in alone:
        assert np.count_nonzero(visible) == pytest.approx(np.count_nonzero(silhouette), rel=0.01)
