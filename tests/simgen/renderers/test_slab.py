"""Stage and floor in the geometry pass, against a loop of rays that meet a box."""

from dataclasses import replace

import numpy as np
import pytest

from simgen.renderers import render
from simgen.renderers.camera_view import CameraView
from simgen.renderers.surfaces import FLOOR, NOTHING, STAGE, Geometry
from simgen.renderers.tiny.slab import floor_face, stage_faces
from simgen.spec.geometry import look_at, rotation_matrix
from simgen.spec.scene import BodySpec, RenderSpec
from simgen.spec.types import Pose
from tests.simgen.scenes import GREY, part, scene, still

SUN = (0.6, 0.0, 0.8)
NEAR_M, FAR_M = 0.05, 12.0
LEG = BodySpec(
    shape="box", size_m=(0.1, 0.1, 0.1), material=GREY, velocity_m_s=(0.0, 0.0, 0.0),
    world_from_body=Pose(position_m=(0.0, 0.0, -0.2), rotation_xyzw=(0.0, 0.0, 0.0, 1.0)),
)  # fmt: skip


def seen_by_rays(spec, view):
    """Depth, surface and the normal of what each sample's ray meets first, ray by ray."""
    x, y = (size / 2 for size in spec.stage.size_m)
    low, high = np.array([-x, -y, -spec.stage.thickness_m]), np.array([x, y, 0.0])
    eye, rotation = view.eye.astype(float), view.rotation.astype(float)
    depth, surface = np.full((view.height, view.width), np.inf), np.full((view.height, view.width), NOTHING)
    normal = np.zeros((view.height, view.width, 3))
    for row in range(view.height):
        for column in range(view.width):
            at = np.array([column, row]) + view.offset - np.array(view.centre)
            ray = rotation @ np.array([*(at / view.focal), 1.0])
            first, last = np.sort(np.stack([(low - eye) / ray, (high - eye) / ray]), axis=0)
            if 0 < first.max() < last.min():
                depth[row, column], surface[row, column] = first.max(), STAGE
                axis = int(first.argmax())
                normal[row, column, axis] = -np.sign(ray[axis])
            floor = (-spec.stage.floor_below_m - eye[2]) / ray[2]
            if 0 < floor < min(depth[row, column], FAR_M):
                depth[row, column], surface[row, column] = floor, FLOOR
    return depth, surface, normal


@pytest.mark.parametrize(
    "eye", [(0.9, 0.5, 0.4), (-0.8, 0.0, 0.02), (0.03, -1.2, 0.9), (0.0, 0.01, 0.6), (0.7, -0.7, -0.05)]
)
@pytest.mark.parametrize("s", [1, 2])
def test_faces_are_where_rays_meet_them(eye, s):
    spec = scene([], frames=1, size_m=(0.6, 0.3))
    spec = replace(
        spec,
        stage=replace(spec.stage, thickness_m=0.1, floor_below_m=0.3),
        camera=replace(spec.camera, width_px=40, height_px=30, focal_px=36.0, centre_px=(19.3, 15.2)),
        render=RenderSpec(renderer="tiny", supersample=s),
    )
    view = CameraView.of(spec, look_at(eye, (0.05, 0.02, -0.03)))
    shape = view.height, view.width
    drawn = Geometry(np.full(shape, np.inf, np.float32), np.full(shape, NOTHING, np.int32), np.zeros(shape, np.uint8))
    for face in (*stage_faces(spec.stage), floor_face(spec.stage)):
        face.draw(drawn, view, SUN, NEAR_M, FAR_M)
    depth, surface, normal = seen_by_rays(spec, view)
    same = surface == drawn.surface
    assert same.mean() > 0.997  # a ray along an edge may go to either side
    assert set(np.unique(surface)) >= {STAGE}
    hit = same & (surface != NOTHING)
    np.testing.assert_allclose(drawn.depth_m[hit], depth[hit], rtol=1e-4)
    stage = hit & (surface == STAGE)
    lit = np.rint(255 * np.maximum(normal[stage] @ np.array(SUN), 0))
    assert (np.abs(drawn.lit[stage] - lit) <= 1).mean() > 0.99  # at an edge between two faces it may be either's


def test_what_is_nearer_stays():
    spec = replace(scene([], frames=1), render=RenderSpec(renderer="tiny", supersample=1))
    view = CameraView.of(spec, spec.camera.world_from_camera[0])
    shape = view.height, view.width
    top = stage_faces(spec.stage)[0]
    for before, shown in ((0.1, 0), (5.0, STAGE)):
        drawn = Geometry(np.full(shape, before, np.float32), np.zeros(shape, np.int32), np.zeros(shape, np.uint8))
        top.draw(drawn, view, SUN, NEAR_M, FAR_M)
        assert drawn.surface[60, 80] == shown


def test_a_part_is_hidden_as_far_as_it_is_in_the_table():
    spec = scene([part("hex_nut", "M24", (0.0, 0.0, -0.003))], frames=1)
    spec = replace(spec, render=RenderSpec(renderer="tiny", supersample=1))
    frame = next(iter(render(spec, still(spec))))
    pose = spec.camera.world_from_camera[0]
    ys, xs = np.nonzero(frame.ids == 0)
    focal, (cx, cy) = spec.camera.focal_px, spec.camera.centre_px
    rays = np.stack([(xs + 0.5 - cx) / focal, (ys + 0.5 - cy) / focal, np.ones(len(xs))], axis=1)
    points = rays * frame.depth_m[ys, xs, None] @ rotation_matrix(pose.rotation_xyzw).T + np.array(pose.position_m)
    assert len(points)
    assert points[:, 2].min() > -2e-4


def test_what_stands_below_the_table_does_not_shade_it():
    bare_stage = scene([], frames=1, size_m=(0.5, 0.5))
    under = replace(bare_stage, clutter=(LEG,))
    bare, with_leg = (next(iter(render(spec, still(spec)))).linear for spec in (bare_stage, under))
    assert (bare[40:80, 50:110] == with_leg[40:80, 50:110]).all()


def test_a_ray_along_a_face_meets_nothing_and_warns_of_nothing():
    """A level camera's middle row looks along the floor: an inverse depth of 0, before an endless background."""
    spec = scene([], frames=1, size_m=(0.3, 0.3))
    camera = replace(spec.camera, width_px=41, height_px=31, focal_px=30.0, centre_px=(20.5, 15.5))
    spec = replace(spec, camera=camera, render=RenderSpec(renderer="tiny", supersample=1))
    view = CameraView.of(spec, look_at((0.0, -1.0, 0.2), (0.0, 0.0, 0.2)))
    shape = view.height, view.width
    drawn = Geometry(np.full(shape, np.inf, np.float32), np.full(shape, NOTHING, np.int32), np.zeros(shape, np.uint8))
    for face in (*stage_faces(spec.stage), floor_face(spec.stage)):
        face.draw(drawn, view, SUN, NEAR_M, FAR_M)
    assert (drawn.surface[:16] == NOTHING).all()
    assert (drawn.surface[16:] != NOTHING).any()
    assert np.isinf(drawn.depth_m[15]).all()
