"""Laws of every size of every family, and dimensions read off the standards."""

import math
import subprocess
import sys

import numpy as np
import pytest

from simgen.assets.parts import PARTS, part_model
from simgen.assets.parts.families.bolts import thread_length_mm
from simgen.assets.parts.families.hexagons import hexagon_prism, ring_of_boxes
from simgen.assets.parts.mesh import Mesh, circle, loft, mass_properties
from simgen.spec.scene import FamilySize

FASTENERS = ("hex_bolt", "hex_nut", "hex_screw", "washer")  # test_families.py tests the others
ROWS = [(kind, size.designation) for kind in FASTENERS for size in PARTS[kind].sizes]
EACH = pytest.mark.parametrize(("kind", "designation"), ROWS, ids=[f"{k}-{d}" for k, d in ROWS])
DIAMETERS = [3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 30]


def polygon_area(segments):
    """Of a regular polygon, to the circle through its corners."""
    return segments / math.tau * math.sin(math.tau / segments)


def size_of(kind, designation):
    return PARTS[kind].size(designation)


def welded(model):
    """Triangles over corners at different places."""
    _, where = np.unique(np.round(model.vertices_m, 9), axis=0, return_inverse=True)
    return where.ravel()[model.triangles]


def test_the_table_has_every_diameter_and_several_lengths():
    assert len(ROWS) == sum(len(PARTS[kind].sizes) for kind in FASTENERS) > 200
    for kind in ("hex_bolt", "hex_screw"):
        for d in DIAMETERS:
            lengths = [size.length_mm for size in PARTS[kind].sizes if size.diameter_mm == d]
            assert len(lengths) >= 3
            assert lengths == sorted(lengths)
    assert [size.diameter_mm for size in PARTS["hex_nut"].sizes] == DIAMETERS
    assert [size.diameter_mm for size in PARTS["washer"].sizes] == [2, 2.5, *DIAMETERS]
    assert len({row for row in ROWS}) == len(ROWS)


@EACH
def test_the_mesh_is_closed_outward_and_modest(kind, designation):
    model = part_model(FamilySize(kind, designation))
    triangles = welded(model)
    assert 0 < len(triangles) <= 400
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    assert (edges[:, 0] != edges[:, 1]).all()
    forth, times = np.unique(edges, axis=0, return_counts=True)
    assert (times == 1).all()  # each edge once in each direction: closed, and turned one way
    assert {tuple(edge) for edge in forth} == {tuple(edge[::-1]) for edge in forth}
    assert model.volume_m3 > 0  # and that way is outward
    corners = model.vertices_m[model.triangles]
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (np.einsum("td,tkd->tk", flat, model.normals[model.triangles]) > 0).all()
    np.testing.assert_allclose(np.linalg.norm(model.normals, axis=1), 1, atol=1e-9)


@EACH
def test_volume_is_the_closed_form(kind, designation):
    """Head or nut: a hexagonal prism, less the chamfers (at most 3 %); thread: a cylinder of the pitch diameter."""
    size, model = size_of(kind, designation), part_model(FamilySize(kind, designation))
    d = size.diameter_mm
    if kind == "washer":
        inner, outer, thick = (m * 1000 for m in washer_extents(model))
        closed = math.pi / 4 * (outer**2 - inner**2) * thick * polygon_area(36)
        tolerance = 1e-9
    else:
        flats, high = flats_mm(model), head_mm(kind, size, model)
        prism = math.sqrt(3) / 2 * flats**2 * high
        pitch_area = math.pi * (model.thread.radius_m * 1000) ** 2 * polygon_area(24)
        if kind == "hex_nut":
            closed = prism - pitch_area * high
        else:
            threaded = (model.thread.z_to_m - model.thread.z_from_m) * 1000
            closed = prism + pitch_area * threaded + math.pi / 4 * d**2 * polygon_area(24) * (size.length_mm - threaded)
        tolerance = 0.04
    assert model.volume_m3 * 1e9 == pytest.approx(closed, rel=tolerance)


@EACH
def test_mass_properties_agree_with_trimesh(kind, designation):
    trimesh = pytest.importorskip("trimesh")
    model = part_model(FamilySize(kind, designation))
    # in millimetres: trimesh takes a mesh of cubic metres this small for an empty one
    solid = trimesh.Trimesh(model.vertices_m * 1000, model.triangles, process=False)
    assert model.volume_m3 * 1e9 == pytest.approx(solid.volume, rel=1e-9)
    np.testing.assert_allclose(solid.center_mass, 0, atol=1e-9)
    inertia_mm2 = solid.moment_inertia / solid.volume
    np.testing.assert_allclose(inertia_mm2, np.diag(model.inertia_m2) * 1e6, atol=1e-9 * inertia_mm2.max())


@EACH
def test_inertia_is_that_of_a_body(kind, designation):
    a, b, c = part_model(FamilySize(kind, designation)).inertia_m2
    assert min(a, b, c) > 0
    assert a == pytest.approx(b)  # hexagons and circles are round to the second order
    assert a + b > c
    assert b + c > a


@EACH
def test_the_collision_shape_fills_the_meshs_extents(kind, designation):
    """In height and across; a thread collides at its crests, and a washer's sides stand a little in or out."""
    model = part_model(FamilySize(kind, designation))
    low = min(piece.position_m[2] - piece.size_m[2] / 2 for piece in model.collision)
    high = max(piece.position_m[2] + piece.size_m[2] / 2 for piece in model.collision)
    assert low == pytest.approx(model.vertices_m[:, 2].min(), abs=1e-9)
    assert high == pytest.approx(model.vertices_m[:, 2].max(), abs=1e-9)
    corner = max(
        math.hypot(*piece.position_m[:2]) + piece.size_m[0] / 2
        if kind in ("washer", "hex_nut")
        else piece.size_m[0] / 2
        for piece in model.collision
    )
    across = np.abs(model.vertices_m[:, 0]).max()
    assert corner == pytest.approx(across, rel=0.02)


@EACH
def test_things_pass_through_holes(kind, designation):
    model = part_model(FamilySize(kind, designation))
    on_axis = [p for p in model.collision if math.hypot(*p.position_m[:2]) < p.size_m[0] / 2]
    if kind in ("washer", "hex_nut"):
        assert not on_axis
        free = min(math.hypot(*p.position_m[:2]) - p.size_m[0] / 2 for p in model.collision)
        hole = np.linalg.norm(model.vertices_m[:, :2], axis=1).min()
        assert free == pytest.approx(hole, rel=0.01)
    else:
        assert on_axis


def flats_mm(model):
    return 2000 * float(model.vertices_m[:, 0].max())  # a flat is square to x


def head_mm(kind, size, model):
    return float(np.ptp(model.vertices_m[:, 2])) * 1000 - (size.length_mm or 0)


def washer_extents(model):
    radii = np.linalg.norm(model.vertices_m[:, :2], axis=1)
    return 2 * radii.min(), 2 * radii.max(), np.ptp(model.vertices_m[:, 2])


@pytest.mark.parametrize(
    ("designation", "flats", "head", "plain", "pitch_diameter"),
    [
        ("M6x30", 10.0, 4.0, 12.0, 5.350),
        ("M8x40", 13.0, 5.3, 18.0, 7.188),
        ("M12x120", 18.0, 7.5, 90.0, 10.863),
        ("M20x150", 30.0, 12.5, 98.0, 18.376),
        ("M30x220", 46.0, 18.7, 135.0, 27.727),
    ],
)
def test_iso_4014_bolts(designation, flats, head, plain, pitch_diameter):
    size, model = size_of("hex_bolt", designation), part_model(FamilySize("hex_bolt", designation))
    assert flats_mm(model) == pytest.approx(flats)
    assert head_mm("hex_bolt", size, model) == pytest.approx(head)
    assert 2000 * model.thread.radius_m == pytest.approx(pitch_diameter, abs=5e-4)
    under_head_m = model.vertices_m[:, 2].min() + head / 1000
    assert (model.thread.z_from_m - under_head_m) * 1000 == pytest.approx(plain)


@pytest.mark.parametrize(
    ("d", "length", "b"), [(8.0, 125.0, 22), (8.0, 130.0, 28), (20.0, 200.0, 52), (20.0, 220.0, 65)]
)
def test_iso_4014_reference_length_of_thread(d, length, b):
    assert thread_length_mm(d, length) == b


@pytest.mark.parametrize(
    ("designation", "flats", "head"), [("M3x6", 5.5, 2.0), ("M8x30", 13.0, 5.3), ("M10x50", 16.0, 6.4)]
)
def test_iso_4017_screws_are_threaded_up_to_the_head(designation, flats, head):
    size, model = size_of("hex_screw", designation), part_model(FamilySize("hex_screw", designation))
    assert flats_mm(model) == pytest.approx(flats)
    assert head_mm("hex_screw", size, model) == pytest.approx(head)
    assert model.thread.z_to_m - model.thread.z_from_m == pytest.approx(size.length_mm / 1000)


@pytest.mark.parametrize(("designation", "flats", "high"), [("M5", 8.0, 4.7), ("M8", 13.0, 6.8), ("M16", 24.0, 14.8)])
def test_iso_4032_nuts(designation, flats, high):
    model = part_model(FamilySize("hex_nut", designation))
    assert flats_mm(model) == pytest.approx(flats)
    assert head_mm("hex_nut", size_of("hex_nut", designation), model) == pytest.approx(high)
    assert model.thread.internal


@pytest.mark.parametrize(
    ("designation", "d1", "d2", "h"),
    [("M3", 3.2, 7.0, 0.5), ("M8", 8.4, 16.0, 1.6), ("M12", 13.0, 24.0, 2.5), ("M30", 31.0, 56.0, 4.0)],
)
def test_iso_7089_washers(designation, d1, d2, h):
    np.testing.assert_allclose(
        washer_extents(part_model(FamilySize("washer", designation))), np.array([d1, d2, h]) / 1000
    )


@pytest.mark.parametrize("d", DIAMETERS)
def test_a_bolt_goes_through_its_washer_and_a_washer_is_wider_than_the_nuts_bearing_face(d):
    inner, outer, _ = washer_extents(part_model(FamilySize("washer", f"M{d}")))
    assert inner > d / 1000
    assert outer > 0.95 * flats_mm(part_model(FamilySize("hex_nut", f"M{d}"))) / 1000


def test_mass_properties_of_a_box_off_the_origin():
    corners = [[1, 1], [-1, 1], [-1, -1], [1, -1]]
    rings = [np.array([[x + 5.0, 2.0 * y, z] for x, y in corners]) for z in (1.0, 4.0)]
    volume, centre, inertia = mass_properties(loft(rings))
    assert volume == pytest.approx(2 * 4 * 3)
    np.testing.assert_allclose(centre, [5, 0, 2.5], atol=1e-12)
    np.testing.assert_allclose(inertia, np.diag([16 + 9, 4 + 9, 4 + 16]) / 12, atol=1e-12)


def test_mass_properties_turn_with_the_mesh():
    half = math.sqrt(0.5)
    turn = np.array([[half, -half, 0.0], [half, half, 0.0], [0.0, 0.0, 1.0]])
    rings = [circle(1.0, z, 24) * [1.0, 2.0, 1.0] for z in (0.0, 1.0)]
    straight = mass_properties(loft(rings))
    turned = mass_properties(loft([ring @ turn.T for ring in rings]))
    assert turned[0] == pytest.approx(straight[0])
    np.testing.assert_allclose(turned[2], turn @ straight[2] @ turn.T, atol=1e-12)


def test_an_inside_out_mesh_has_a_negative_volume():
    mesh = loft([circle(1.0, 0.0, 12), circle(1.0, 1.0, 12)])
    assert mass_properties(Mesh(mesh.vertices_m, mesh.triangles[:, ::-1].copy()))[0] == pytest.approx(-3.0)


def covered(pieces, x, y):
    """Whether points of the plane lie in one of the boxes."""
    inside = np.zeros(x.shape, bool)
    for piece in pieces:
        c, s = math.cos(piece.yaw_rad), math.sin(piece.yaw_rad)
        u, v = x - piece.position_m[0], y - piece.position_m[1]
        inside |= (abs(c * u + s * v) <= piece.size_m[0] / 2) & (abs(c * v - s * u) <= piece.size_m[1] / 2)
    return inside


def in_polygon(x, y, across, sides):
    angle = math.tau * np.arange(sides) / sides
    return (np.multiply.outer(x, np.cos(angle)) + np.multiply.outer(y, np.sin(angle)) <= across / 2).all(axis=-1)


def test_three_boxes_are_a_hexagon():
    x, y = np.random.default_rng(0).uniform(-1, 1, (2, 20000))
    np.testing.assert_array_equal(covered(hexagon_prism(1.3, 0.0, 1.0), x, y), in_polygon(x, y, 1.3, 6))


@pytest.mark.parametrize("sides", [6, 12])
def test_a_ring_of_boxes_is_a_prism_with_a_hole(sides):
    x, y = np.random.default_rng(0).uniform(-1, 1, (2, 20000))
    ring = covered(ring_of_boxes(1.3, 0.7, 0.0, 1.0, sides), x, y)
    np.testing.assert_array_equal(ring, in_polygon(x, y, 1.3, sides) & ~in_polygon(x, y, 0.7, sides))


def test_errors_say_what_there_is():
    with pytest.raises(KeyError, match=r"no part kind 'rivet'; there are .*hex_bolt.*washer"):
        part_model(FamilySize("rivet", "M8"))
    with pytest.raises(KeyError, match=r"no size 'M7' in ISO 4032; there are M3, M4"):
        part_model(FamilySize("hex_nut", "M7"))


def test_parts_load_fast_and_without_a_simulator():
    heavy = ("pybullet", "trimesh", "scipy", "cv2")
    code = f"import sys, simgen.assets.parts; sys.exit(any(m in sys.modules for m in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
