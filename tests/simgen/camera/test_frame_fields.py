"""A frame keeps every field through lens, defocus and shutter, and its ground truth is never mixed between pixels."""

from dataclasses import fields, replace

import numpy as np
import pytest

from simgen.camera.lens.defocus import defocus
from simgen.camera.lens.distortion import pinhole
from simgen.generation.exposure import capture
from simgen.spec.frames import Frame, Trajectory
from simgen.spec.scene import FlickerSpec, ShutterSpec
from simgen.spec.types import BACKGROUND, CLUTTER
from tests.simgen.scenes import scene

SURFACES = (CLUTTER, BACKGROUND, 0, 1, 2)
NORMALS = np.array([[0, 0, 1], [0, 0, 0], [0.6, 0, 0.8], [0, -1, 0], [-0.48, 0.6, 0.64]], np.float32)  # by surface
DEPTHS = np.array([0.4, np.inf, 0.3, 0.7, 2.0], np.float32)
BARREL = (-0.3, 0.1, 0.01, 0.0, 0.0)


def full(height, width, seed=0):
    """A frame in which every field is set; depth and normals follow from the id, in blocks of 5 pixels."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(len(SURFACES), size=(height // 5 + 1, width // 5 + 1))
    surface = np.kron(blocks, np.ones((5, 5), int))[:height, :width]
    values = {
        "linear": rng.uniform(0, 1, (height, width, 3)).astype(np.float32),
        "depth_m": DEPTHS[surface],
        "ids": np.array(SURFACES, np.int32)[surface],
        "normals": NORMALS[surface],
    }
    assert set(values) == {field.name for field in fields(Frame)}, "a new field of Frame needs values here"
    return Frame(**values)


def assert_whole(frame, size):
    """Every field is set, has the picture's size, and depth and normals still are those of the pixel's id."""
    for field in fields(Frame):
        assert getattr(frame, field.name) is not None, field.name
        assert getattr(frame, field.name).shape[:2] == size, field.name
    surface = np.array([SURFACES.index(i) for i in frame.ids.ravel()]).reshape(size)
    np.testing.assert_array_equal(frame.depth_m, DEPTHS[surface])
    np.testing.assert_array_equal(frame.normals, NORMALS[surface])
    assert len(np.unique(surface)) == len(SURFACES)


def render(spec, trajectory):
    """A full frame of another picture for each moment."""
    for moment in range(len(trajectory.positions_m)):
        yield full(spec.camera.height_px, spec.camera.width_px, seed=moment)


def still(spec, moments):
    empty = (np.zeros((moments, 0, n), np.float32) for n in (3, 4, 3))
    return Trajectory(*empty, np.arange(moments) * 1e-4)


def camera(**changes):
    return replace(scene([], frames=1).camera, **changes)


def test_ground_truth_is_every_field_but_the_light_and_leaves_out_what_is_none():
    frame = full(20, 30)
    assert set(frame.truth()) == {field.name for field in fields(Frame)} - {"linear"}
    assert set(replace(frame, normals=None).truth()) == {"depth_m", "ids"}


def test_the_lens_keeps_every_field_and_moves_ground_truth_as_ids():
    drawn, behind_the_lens = pinhole(camera(distortion=BARREL))
    before = full(drawn.height_px, drawn.width_px)
    after = behind_the_lens(before)
    assert_whole(after, (120, 160))
    assert (after.ids != before.ids[: after.ids.shape[0], : after.ids.shape[1]]).any()
    norm = np.linalg.norm(after.normals, axis=-1)
    assert np.allclose(norm[after.ids != BACKGROUND], 1)
    assert (norm[after.ids == BACKGROUND] == 0).all()


def test_a_lens_adds_no_field_that_the_renderer_left_out():
    drawn, behind_the_lens = pinhole(camera(distortion=BARREL))
    assert behind_the_lens(replace(full(drawn.height_px, drawn.width_px), normals=None)).normals is None


def test_defocus_changes_light_alone():
    lens = camera(focal_px=2500.0, f_number=2.0, focal_length_m=0.016, focus_m=0.5)
    before = full(120, 160)
    after = defocus(before, lens)
    assert_whole(after, (120, 160))
    assert np.abs(after.linear - before.linear).max() > 0.05
    for name, values in before.truth().items():
        assert getattr(after, name) is values


@pytest.mark.parametrize(("exposure_s", "row_time_s"), [(0.01, 0.0), (0.0, 1e-4), (0.004, 1e-4)])
def test_the_shutter_takes_each_rows_ground_truth_from_one_moment(exposure_s, row_time_s):
    spec = replace(scene([], frames=1), shutter=ShutterSpec(exposure_s=exposure_s, row_time_s=row_time_s, subframes=5))
    (frame,) = capture(spec, still(spec, 5), render)
    assert_whole(frame, (120, 160))
    moments = [full(120, 160, seed=k) for k in range(5)]
    of_row = [[k for k in range(5) if np.array_equal(frame.ids[row], moments[k].ids[row])] for row in range(120)]
    assert all(len(result) == 1 for result in of_row)
    assert len({result[0] for result in of_row}) == (5 if row_time_s else 1)


def test_the_whole_chain_keeps_every_field():
    spec = scene([], frames=2)
    spec = replace(
        spec,
        camera=camera(distortion=BARREL, f_number=2.0, focal_length_m=0.016, focus_m=0.5, focal_px=900.0,
                      world_from_camera=spec.camera.world_from_camera),
        shutter=ShutterSpec(exposure_s=0.004, row_time_s=1e-4, subframes=3),
        light=replace(spec.light, flicker=FlickerSpec(mains_hz=50.0, depth=0.5, exposure_s=0.01, phase_rad=0.0)),
    )  # fmt: skip
    frames = list(capture(spec, still(spec, 6), render))
    assert len(frames) == 2
    for frame in frames:
        assert_whole(frame, (120, 160))
