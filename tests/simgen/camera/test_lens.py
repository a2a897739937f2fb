"""The lens: Brown-Conrady distortion of light and labels alike, and a thin lens's defocus."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from simgen.assets.parts import part_model
from simgen.camera.lens import brown_conrady
from simgen.camera.lens.defocus import circle_of_confusion_px, defocus
from simgen.camera.lens.distortion import pinhole
from simgen.generation.exposure import capture
from simgen.labels.boxes import annotate, project, silhouette_px
from simgen.presets.read import load_config
from simgen.renderers import render
from simgen.scene.sampling.sample import sample
from simgen.spec.errors import ConfigError
from simgen.spec.frames import Frame, Labels
from simgen.spec.geometry import invert, rotation_matrix, transform
from simgen.spec.types import BACKGROUND
from tests.simgen.scenes import GREY, part, scene, still

LENSES = {
    "barrel": (-0.3, 0.1, 0.0, 0.0, -0.01),
    "pincushion": (0.2, -0.05, 0.0, 0.0, 0.02),
    "decentred": (-0.25, 0.0, 0.01, -0.015, 0.0),
}
LYING = (0.0, 0.7071068, 0.0, 0.7071068)


def opencv_px(spec, points_world, frame=0):
    """What cv2.projectPoints says of points of the world."""
    camera = spec.camera
    pose = invert(camera.world_from_camera[frame])
    turn, _ = cv2.Rodrigues(rotation_matrix(pose.rotation_xyzw))
    (cx, cy), f = camera.centre_px, camera.focal_px
    matrix = np.array([[f, 0, cx], [0, f, cy], [0, 0, 1]])
    pixels, _ = cv2.projectPoints(points_world, turn, np.array(pose.position_m), matrix, np.array(camera.distortion))
    return pixels[:, 0]


def through(spec, lens):
    return replace(spec, camera=replace(spec.camera, distortion=LENSES[lens]))


def corners_of(spec, i):
    made = spec.parts[i]
    return transform(made.world_from_part, part_model(made.source).vertices_m)


def white_parts():
    """White parts on black, away from the middle, where a lens bends most."""
    white, black = replace(GREY, rgb=(1.0, 1.0, 1.0)), replace(GREY, rgb=(0.0, 0.0, 0.0))
    parts = [
        part("hex_screw", "M20x60", (-0.1, 0.06, 0.02), LYING),
        part("hex_nut", "M24", (0.09, 0.06, 0.012)),
        part("hex_nut", "M30", (-0.07, -0.05, 0.014)),
    ]
    spec = scene([replace(p, material=white) for p in parts], frames=1)
    return replace(spec, stage=replace(spec.stage, top=black, sides=black, floor=black))


# --- distortion -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lens", LENSES)
def test_points_are_where_opencv_has_them(lens):
    spec = through(scene([], frames=1), lens)
    points = np.random.default_rng(0).uniform((-0.1, -0.1, 0.0), (0.1, 0.1, 0.1), (200, 3))
    result, _ = project(points, spec.camera, 0)
    np.testing.assert_allclose(result, opencv_px(spec, points), atol=1e-6)
    straight, _ = project(points, replace(spec.camera, distortion=brown_conrady.NONE), 0)
    assert np.abs(result - straight).max() > 1


@pytest.mark.parametrize("lens", LENSES)
def test_undistortion_is_the_inverse(lens):
    points = np.random.default_rng(1).uniform(-0.5, 0.5, (300, 2))
    there = brown_conrady.distort(points, LENSES[lens])
    np.testing.assert_allclose(brown_conrady.undistort(there, LENSES[lens]), points, atol=1e-7)
    assert np.abs(there - points).max() > 0.005


def test_nothing_from_far_outside_is_folded_into_the_picture():
    """The formula alone would put a point at the radius 2 into the middle: 2 - 0.25 * 8 is 0."""
    bent = (-0.25, 0.0, 0.0, 0.0, 0.0)
    turns = brown_conrady.turning_radius(bent)
    assert turns == pytest.approx((1 / 0.75) ** 0.5)
    radii = np.linspace(0.01, 5, 200)
    x = brown_conrady.distort(np.column_stack([radii, np.zeros(200)]), bent)[:, 0]
    assert (np.diff(x) > 0).all()
    assert cv2.projectPoints(np.array([[2.0, 0, 1]]), np.zeros(3), np.zeros(3), np.eye(3), np.array(bent))[0].max() == 0


@pytest.mark.parametrize(
    ("distortion", "focal_px", "says"),
    [
        ((-0.8, 0.0, 0.0, 0.0, 0.0), 90.0, "turns back on itself at 0.645"),
        ((-0.3, 0.041, 0.0, 0.0, 0.0), 111.0, "shows what only a picture of"),
    ],
)
def test_a_lens_that_cannot_have_the_picture_is_refused(distortion, focal_px, says):
    camera = replace(scene([], frames=1).camera, distortion=distortion, focal_px=focal_px)
    with pytest.raises(ValueError, match=says):
        pinhole(camera)


@pytest.mark.parametrize("lens", LENSES)
def test_labels_of_a_distorted_picture_are_opencvs_projections(lens):
    spec = through(white_parts(), lens)
    ids = np.full((1, spec.camera.height_px, spec.camera.width_px), BACKGROUND, np.int32)
    labels = annotate(spec, still(spec), ids)
    assert labels.distortion == LENSES[lens]
    assert len(labels.frames[0].parts) == 3
    for i, result in enumerate(labels.frames[0].parts):
        pixels = opencv_px(spec, corners_of(spec, i))
        np.testing.assert_allclose(result.unclipped_box_xyxy_px, [*pixels.min(axis=0), *pixels.max(axis=0)], atol=1e-3)


@pytest.mark.parametrize("lens", ["barrel", "decentred"])
def test_ids_light_depth_and_labels_bend_together(lens):
    """Each is within a pixel of OpenCV's projection, and further from where it would be without the lens."""
    pytest.importorskip("pybullet")
    spec = through(white_parts(), lens)
    frame = next(capture(spec, still(spec), render))
    assert frame.ids.shape == frame.depth_m.shape == (120, 160)
    window = np.ones((3, 3), np.uint8)
    lit = (frame.linear[..., 1] > 0.05).astype(np.uint8)
    expected = np.zeros((120, 160), np.uint8)
    for i in range(3):
        pixels = opencv_px(spec, corners_of(spec, i))
        cover, (x, y) = silhouette_px(pixels, part_model(spec.parts[i].source).triangles)
        rows, columns = np.nonzero(cover)
        inside = (rows + y >= 0) & (rows + y < 120) & (columns + x >= 0) & (columns + x < 160)
        mask = np.zeros((120, 160), np.uint8)
        mask[rows[inside] + y, columns[inside] + x] = 1
        result = (frame.ids == i).astype(np.uint8)
        assert result.sum() > 150
        assert not (result & ~cv2.dilate(mask, window)).any()
        assert not (cv2.erode(mask, window) & ~result).any()
        expected |= mask
    assert not (lit & ~cv2.dilate(expected, window)).any()
    assert (cv2.erode(expected, window) & ~lit).mean() < 0.001  # but for what is dark on a part
    ideal = replace(spec, camera=replace(spec.camera, distortion=brown_conrady.NONE))
    straight = (next(capture(ideal, still(spec), render)).ids >= 0).astype(np.uint8)
    assert (straight & ~cv2.dilate(expected, window)).sum() > 20
    depths = frame.depth_m[frame.ids == 1]
    assert np.ptp(depths) < 0.06
    _, there = project(corners_of(spec, 1), spec.camera, 0)
    assert there.min() - 1e-3 < depths.min() <= depths.max() < there.max() + 1e-3


def test_labels_of_before_there_were_lenses_are_read_as_a_pinholes():
    from simgen.dataset.format.plain import from_plain

    old = {"width_px": 4, "height_px": 3, "focal_px": 5.0, "centre_px": [2.0, 1.5], "frames": []}
    assert from_plain(Labels, old).distortion == brown_conrady.NONE


def test_the_lens_has_a_stream_of_its_own_and_draws_within_its_ranges():
    ranges = {"k1": (-0.2, -0.1), "f_number": (2, 4), "focus_offset_m": (0.1, 0.1)}
    knobs = [f"lens.{name}={{low: {low}, high: {high}}}" for name, (low, high) in ranges.items()]
    plain, bent = sample(load_config("tiny"), 0, 0), sample(load_config("tiny", knobs), 0, 0)
    assert (plain.camera.distortion, plain.camera.f_number) == (brown_conrady.NONE, 0)
    assert -0.2 <= bent.camera.distortion[0] <= -0.1
    assert 2 <= bent.camera.f_number <= 4
    assert bent.camera.focus_m == pytest.approx(plain.camera.focus_m + 0.1)
    assert replace(bent, camera=plain.camera) == plain


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("lens.f_number={low: 0.1, high: 2}", r"needs 0 to 0 \(off\), or low >= 0.5"),
        ("lens.k1.low=-3", "needs -2 to 2, got low=-3.0"),
        ("lens.focal_length_mm.low=0", "needs 0.1 to 2000 mm, got low=0.0"),
        ("texture.finishes.zinc.roughness.low=-0.3", "zinc.roughness: needs 0 to 1 share, got low=-0.3"),
        ("texture.top.metallic.high=1.5", "metallic: needs 0 to 1 share"),
    ],
)
def test_a_lens_or_a_surface_that_cannot_be_is_refused(override, says):
    with pytest.raises(ConfigError, match=says):
        load_config("tiny", [override])


# --- defocus ----------------------------------------------------------------------------------------------------------

LENS = replace(
    scene([], frames=1).camera, width_px=101, height_px=81, focal_px=2500.0, focal_length_m=0.016, f_number=2.0,
    focus_m=0.5,
)  # fmt: skip


def at(depth_m, linear):
    shape = linear.shape[:2]
    return Frame(
        linear=linear.astype(np.float32), depth_m=np.broadcast_to(np.asarray(depth_m, np.float32), shape).copy(),
        ids=np.full(shape, BACKGROUND, np.int32),
    )  # fmt: skip


@pytest.mark.parametrize("depth_m", [0.3, 0.45, 0.5, 0.8, 5.0, np.inf])
def test_the_circle_of_confusion_is_the_thin_lens_equations(depth_m):
    """Image distances of object and focus by 1/f = 1/d + 1/v, and similar triangles behind the aperture."""
    f, aperture, s = LENS.focal_length_m, LENS.focal_length_m / LENS.f_number, LENS.focus_m
    v_focus = 1 / (1 / f - 1 / s)
    v_object = 1 / (1 / f - 1 / depth_m)
    on_sensor_m = aperture * abs(v_object - v_focus) / v_object
    pixel_m = v_focus / LENS.focal_px
    result = circle_of_confusion_px(np.array([depth_m]), LENS)
    assert abs(result[0]) == pytest.approx(on_sensor_m / pixel_m, rel=1e-9, abs=1e-9)
    assert np.sign(result[0]) == np.sign(depth_m - s)


@pytest.mark.parametrize("depth_m", [0.36, 0.4, 0.7, 2.0])
def test_a_point_becomes_a_disc_of_that_diameter_and_keeps_its_light(depth_m):
    point = np.zeros((81, 101, 3))
    point[40, 50] = 5.0
    spread = defocus(at(depth_m, point), LENS).linear[..., 0]
    assert spread.sum() == pytest.approx(5, rel=1e-4)
    x = np.arange(101) - 50.0
    variance = (spread * x**2).sum() / spread.sum()
    wanted = abs(circle_of_confusion_px(np.array([depth_m]), LENS)[0])
    assert 5 < wanted < 40
    assert 4 * variance**0.5 == pytest.approx(wanted, rel=0.03)  # a disc's deviation is a quarter of its diameter
    assert spread[40, 50] == pytest.approx(5 / (np.pi / 4 * wanted**2), rel=0.08)


def test_what_is_in_focus_is_handed_on_and_an_even_slope_stays_even():
    picture = np.random.default_rng(0).uniform(0, 1, (81, 101, 3))
    sharp = at(0.5, picture)
    assert defocus(sharp, LENS) is sharp
    assert defocus(at(0.3, picture), replace(LENS, f_number=0.0)).linear is not None
    slope = at(np.linspace(0.3, 3, 101), np.full((81, 101, 3), 0.4))
    assert defocus(slope, LENS).linear == pytest.approx(np.full((81, 101, 3), 0.4), abs=1e-4)


def test_a_sharp_part_stays_sharp_before_a_soft_ground_and_a_soft_one_covers_half_at_its_edge():
    halves = np.zeros((81, 101, 3))
    halves[:, :50] = 1.0
    near = np.where(np.arange(101) < 50, 0.5, 2.0)
    front_sharp = defocus(at(near, halves), LENS).linear[40, :, 0]
    assert front_sharp[:50] == pytest.approx(np.ones(50), abs=1e-3)
    assert front_sharp[50:] == pytest.approx(np.zeros(51), abs=1e-3)  # no glow of the sharp part over the ground
    soft = np.where(np.arange(101) < 50, 0.4, 0.5)
    front_soft = defocus(at(soft, halves), LENS).linear[40, :, 0]
    assert front_soft[49:51].mean() == pytest.approx(0.5, abs=0.05)
    reach = abs(circle_of_confusion_px(np.array([0.4]), LENS)[0]) / 2
    assert front_soft[round(50 + reach) + 2 :] == pytest.approx(0, abs=1e-3)
    assert front_soft[round(50 + reach / 2)] > 0.05


def test_a_lens_focused_inside_itself_is_refused():
    with pytest.raises(ValueError, match=r"no lens of 16 mm at f/2 is focused on 0.01 m"):
        defocus(at(0.5, np.zeros((4, 4, 3))), replace(LENS, focus_m=0.01))
