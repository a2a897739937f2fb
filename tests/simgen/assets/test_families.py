"""Part families that are made by booleans: closed forms of volume and inertia, standards, symmetries, rest."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial import ConvexHull

from simgen.assets.parts import PARTS, part_model
from simgen.assets.parts.families.gears import ADDENDUM, DEDENDUM
from simgen.assets.parts.families.shafts import key_length_mm
from simgen.assets.parts.mesh import Hull, Primitive
from simgen.spec.geometry import about_z, rotation_matrix
from simgen.spec.scene import FamilySize

NEW = {
    "ball_bearing": ("6000", "6202", "6205"),
    "bracket": ("25x25x18", "40x40x25", "60x60x40"),
    "bushing": ("6x10x6", "14x18x15", "20x24x30"),
    "cap_screw": ("M3x6", "M8x30", "M12x80"),
    "countersunk_screw": ("M3x8", "M6x20", "M12x100"),
    "flange": ("DN15", "DN25", "DN40"),
    "shaft": ("10x40", "16x96", "30x180"),
    "slotted_plate": ("50x20", "80x30", "100x40"),
    "spring_washer": ("M3", "M10", "M24"),
    "spur_gear": ("m1z18", "m1.5z24", "m2z36"),
}
ROWS = [(kind, designation) for kind, sizes in NEW.items() for designation in sizes]
EACH = pytest.mark.parametrize(("kind", "designation"), ROWS, ids=[f"{k}-{d}" for k, d in ROWS])


def model_of(kind, designation):
    return part_model(FamilySize(kind, designation))


# ------------------------------------------------------ closed forms: pieces of (mass, centre, inertia about it), in mm


def tube(outer, inner, low, high, sign=1.0):
    """Along z, from diameters."""
    mass = math.pi / 4 * (outer**2 - inner**2) * (high - low)
    round_z = (outer**2 + inner**2) / 8
    across = round_z / 2 + (high - low) ** 2 / 12
    return sign * mass, np.array([0.0, 0.0, (low + high) / 2]), sign * mass * np.diag([across, across, round_z])


def cone(wide, narrow, low, high, steps=200):
    edges = np.linspace(low, high, steps + 1)
    middles = np.interp((edges[1:] + edges[:-1]) / 2, [low, high], [wide, narrow])
    return [tube(d, 0.0, a, b) for d, a, b in zip(middles, edges, edges[1:], strict=False)]


def hexagon(flats, low, high, sign=1.0):
    mass, centre, _ = tube(math.sqrt(2 * math.sqrt(3) / math.pi) * flats, 0.0, low, high, sign)
    about = 5 * flats**2 / 36  # of a regular hexagon, about its axis
    across = about / 2 + (high - low) ** 2 / 12
    return mass, centre, mass * np.diag([across, across, about])


def box(sides, centre, sign=1.0):
    x, y, z = sides
    mass = sign * x * y * z
    return mass, np.array(centre, float), mass / 12 * np.diag([y * y + z * z, x * x + z * z, x * x + y * y])


def moved(piece, by):
    return piece[0], piece[1] + np.array(by, float), piece[2]


def laid(piece, axis):
    """A piece along z, laid along another axis of space."""
    turn = {"x": np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]]), "y": np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]])}[axis]
    return piece[0], turn @ piece[1], turn @ piece[2] @ turn.T


def whole(pieces):
    """The volume, and the principal moments of one kilogram."""
    mass = sum(piece[0] for piece in pieces)
    centre = sum(piece[0] * piece[1] for piece in pieces) / mass
    inertia = np.zeros((3, 3))
    for m, at, own in pieces:
        off = at - centre
        inertia += own + m * (off @ off * np.eye(3) - np.outer(off, off))
    return mass, np.sort(np.linalg.eigvalsh(inertia / mass))


def threaded(d, pitch, plain, low, high):
    core = d - 0.75 * math.sqrt(0.75) * pitch
    deep = 0.625 * math.sqrt(0.75) * pitch
    shank = [tube(d, 0.0, low, low + plain)] if plain else []
    return [*shank, tube(core, 0.0, low + plain, high - deep), *cone(core, core - 2 * deep, high - deep, high)]


PITCH = {3: 0.5, 6: 1.0, 8: 1.25, 12: 1.75}


def cap_screw(designation):
    d, length = (int(n) for n in designation[1:].split("x"))
    head, flats, deep = {3: (5.5, 2.5, 1.3), 8: (13, 6, 4), 12: (18, 10, 6)}[d]
    plain = max(0, length - (2 * d + 12))
    return [tube(head, 0, 0, d), hexagon(flats, 0, deep, -1.0), *threaded(d, PITCH[d], plain, d, d + length)]


def countersunk_screw(designation):
    d, length = (int(n) for n in designation[1:].split("x"))
    high, flats, deep = {3: (1.86, 2, 1.1), 6: (3.72, 4, 2.2), 12: (7.44, 8, 4.3)}[d]
    plain, rim = max(0.0, length - high - (2 * d + 12)), high - d / 2
    head = [tube(2 * d, 0, 0, rim), *cone(2 * d, d, rim, high), hexagon(flats, 0, deep, -1.0)]
    return [*head, *threaded(d, PITCH[d], plain, high, length)]


def spring_washer(designation):
    d1, b, s = {"M3": (3.1, 1.3, 0.8), "M10": (10.2, 3.5, 2.2), "M24": (24.5, 7.0, 5.0)}[designation]
    angle = np.linspace(math.radians(4), math.radians(356), 2001)
    ring = tube(d1 + 2 * b, d1, 0, s)
    share = (angle[1] - angle[0]) / math.tau
    pieces = []
    for k, a in enumerate((angle[1:] + angle[:-1]) / 2):
        r = (d1 / 2 + b / 2) * (1 + b**2 / (3 * (d1 + b) ** 2))  # the middle of a sector of the ring
        mass = ring[0] * share
        own = np.diag([0.0, 0.0, 0.0]) + mass / 12 * (s * s * np.diag([1, 1, 0]) + b * b * np.eye(3) * 0.7)
        pieces.append((mass, np.array([r * math.cos(a), r * math.sin(a), s * k / 2000]), own))
    return pieces


def ball_bearing(designation):
    d, outer, b = {"6000": (10, 26, 8), "6202": (15, 35, 11), "6205": (25, 52, 15)}[designation]
    inside, outside, deep = d + 0.28 * (outer - d), outer - 0.24 * (outer - d), 0.05 * b
    sunk = [tube(outside, inside, low, low + deep, -1.0) for low in (0, b - deep)]
    return [tube(outer, d, 0, b), *sunk]


def bushing(designation):
    d1, d2, b1 = (int(n) for n in designation.split("x"))
    return [tube(d2, d1, 0, b1)]


def flange(designation):
    outer, circle, hole, n, thick, bore = {
        "DN15": (95, 65, 14, 4, 14, 22), "DN25": (115, 85, 14, 4, 16, 34.5), "DN40": (150, 110, 18, 4, 18, 49.5),
    }[designation]  # fmt: skip
    angles = [math.tau * k / n for k in range(n)]
    holes = [
        moved(tube(hole, 0, 0, thick, -1.0), (circle / 2 * math.cos(a), circle / 2 * math.sin(a), 0)) for a in angles
    ]
    return [tube(outer, bore, 0, thick), *holes]


def bracket(designation):
    leg, _, wide = (int(n) for n in designation.split("x"))
    thick, hole = {25: (2, 4.5), 40: (3, 5.5), 60: (5, 9.0)}[leg]
    legs = [box((leg, thick, wide), (leg / 2, thick / 2, 0)),
            box((thick, leg - thick, wide), (thick / 2, (leg + thick) / 2, 0))]  # fmt: skip
    for at in (thick + 0.3 * (leg - thick), thick + 0.75 * (leg - thick)):
        legs.append(moved(laid(tube(hole, 0, 0, thick, -1.0), "y"), (at, 0, 0)))
        legs.append(moved(laid(tube(hole, 0, 0, thick, -1.0), "x"), (0, at, 0)))
    return legs


def slotted_plate(designation):
    length, wide = (int(n) for n in designation.split("x"))
    thick, hole, slot = {50: (2, 5.5, 14), 80: (4, 9, 24), 100: (5, 11, 30)}[length]
    pieces = [box((length, wide, thick), (0, 0, thick / 2))]
    for side in (-1, 1):
        pieces.append(box((slot - hole, hole, thick), (side * length / 4, 0, thick / 2), -1.0))
        for end in (-1, 1):  # half a disc each: two make one
            x = side * length / 4 + end * (slot - hole) / 2
            half = tube(hole, 0, 0, thick, -0.5)
            pieces.append(moved(half, (x, 0, 0)))
    return pieces


def shaft(designation):
    d, length = (int(n) for n in designation.split("x"))
    wide, deep = {10: (3, 1.8), 16: (5, 3.0), 30: (8, 4.0)}[d]
    high, low = length - d / 2, length - d / 2 - key_length_mm(float(d))
    across = np.linspace(-wide / 2, wide / 2, 401)
    across = (across[1:] + across[:-1]) / 2
    pieces = [tube(d, 0, 0, length)]
    for y in across:
        end = wide / 2 - math.sqrt((wide / 2) ** 2 - y * y)
        top, bottom = math.sqrt((d / 2) ** 2 - y * y), d / 2 - deep
        sides = (top - bottom, wide / 400, high - low - 2 * end)
        pieces.append(box(sides, ((top + bottom) / 2, y, (high + low) / 2), -1.0))
    return pieces


def spur_gear(designation):
    """Rings of r dr, of which the teeth take their share: the tooth's thickness of the involute, ISO 21771."""
    module, teeth = (float(n) for n in designation[1:].split("z"))
    pitch, alpha = module * teeth / 2, math.radians(20)
    base, root, tip = pitch * math.cos(alpha), pitch - DEDENDUM * module, pitch + ADDENDUM * module
    edges = np.linspace(root, tip, 2001)
    pieces = [tube(2 * root, 0.6 * pitch, 0, 10 * module)]
    for a, b in pairwise(edges):
        at = math.acos(min(1.0, base / ((a + b) / 2)))
        half = math.pi / 2 / teeth + math.tan(alpha) - alpha - math.tan(at) + at
        pieces.append(tube(2 * b, 2 * a, 0, 10 * module, 2 * half * teeth / math.tau))
    return pieces


@EACH
def test_volume_and_inertia_are_those_of_the_closed_form_to_two_percent(kind, designation):
    model = model_of(kind, designation)
    volume_mm3, moments_mm2 = whole(globals()[kind](designation))
    assert model.volume_m3 * 1e9 == pytest.approx(volume_mm3, rel=0.02)
    np.testing.assert_allclose(np.sort(model.inertia_m2) * 1e6, moments_mm2, rtol=0.02)


def test_there_are_ten_families_beside_the_four_of_bolts_and_each_is_tested_at_its_ends():
    assert sorted(PARTS) == sorted([*NEW, "hex_bolt", "hex_nut", "hex_screw", "washer"])
    for kind, designations in NEW.items():
        names = [size.designation for size in PARTS[kind].sizes]
        assert len(names) == len(set(names)) >= 4
        assert set(designations) <= set(names)


@EACH
def test_the_mesh_is_closed_turned_outward_and_of_few_triangles(kind, designation):
    model = model_of(kind, designation)
    _, where = np.unique(np.round(model.vertices_m, 9), axis=0, return_inverse=True)
    triangles = where.ravel()[model.triangles]
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    forth, times = np.unique(edges, axis=0, return_counts=True)
    assert (times == 1).all()
    assert {tuple(edge) for edge in forth} == {tuple(edge[::-1]) for edge in forth}
    assert 0 < len(triangles) <= 2500
    corners = model.vertices_m[model.triangles]
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (np.einsum("td,tkd->tk", flat, model.normals[model.triangles]) > 0).all()


@EACH
def test_the_frame_is_the_principal_one(kind, designation):
    model = model_of(kind, designation)
    corners = model.vertices_m[model.triangles]
    volumes = np.linalg.det(corners) / 6
    assert np.abs(volumes @ corners.sum(axis=1)).max() / 4 / volumes.sum() < 1e-6 * model.radius_m
    sums = corners.sum(axis=1)
    second = np.einsum(
        "t,tij->ij", volumes, np.einsum("tki,tkj->tij", corners, corners) + np.einsum("ti,tj->tij", sums, sums)
    )
    second = second / 20 / volumes.sum()
    off = second - np.diag(np.diag(second))
    assert np.abs(off).max() < 1e-6 * np.trace(second)
    np.testing.assert_allclose(model.inertia_m2, np.trace(second) - np.diag(second), rtol=1e-6)


def outlines(model):
    """Points that the collision shape reaches."""
    for piece in model.collision:
        if isinstance(piece, Hull):
            yield piece.points_m
            continue
        assert isinstance(piece, Primitive)
        x, y, z = (side / 2 for side in piece.size_m)
        ring = np.array([(x * math.cos(a), x * math.sin(a)) for a in np.linspace(0, math.tau, 24)])
        flat = np.array([(-x, -y), (x, -y), (x, y), (-x, y)]) if piece.shape == "box" else ring
        turned = flat @ about_z(piece.yaw_rad)[:2, :2].T
        yield np.array([(*point, high) for point in turned for high in (-z, z)]) + piece.position_m


@EACH
def test_the_collision_shape_fills_the_part_and_hardly_stands_out_of_its_hull(kind, designation):
    model = model_of(kind, designation)
    points = np.concatenate(list(outlines(model)))
    np.testing.assert_allclose(points[:, 2].min(), model.vertices_m[:, 2].min(), atol=0.02 * model.radius_m)
    np.testing.assert_allclose(points[:, 2].max(), model.vertices_m[:, 2].max(), atol=0.02 * model.radius_m)
    hull = ConvexHull(model.vertices_m)
    outside = (points @ hull.equations[:, :3].T + hull.equations[:, 3]).max()
    assert outside < 0.1 * model.radius_m
    assert outside < 0.0012  # metres
    for axis in (0, 1):
        assert np.ptp(points[:, axis]) == pytest.approx(np.ptp(model.vertices_m[:, axis]), rel=0.06)


@pytest.mark.parametrize(
    ("kind", "designation", "extents_mm"),
    [
        ("cap_screw", "M8x30", (13, 13, 38)),  # ISO 4762: d_k 13, k 8
        ("countersunk_screw", "M6x20", (12, 12, 20)),  # ISO 10642: the length is over all
        ("spring_washer", "M10", (17.2, 17.2, 4.4)),  # DIN 127 B: d1 10.2, b 3.5, free height 2 s
        ("ball_bearing", "6204", (47, 47, 14)),  # ISO 15
        ("ball_bearing", "6001", (28, 28, 8)),
        ("bushing", "12x16x15", (16, 16, 15)),  # ISO 4379
        ("spur_gear", "m2z20", (44, 44, 20)),  # ISO 53: tip circle m (z + 2)
        ("shaft", "20x80", (20, 20, 80)),
        ("flange", "DN20", (105, 105, 16)),  # EN 1092-1
        ("slotted_plate", "60x25", (60, 25, 3)),
    ],
)
def test_extents_are_those_of_the_standard(kind, designation, extents_mm):
    extents = np.ptp(model_of(kind, designation).vertices_m, axis=0) * 1000
    np.testing.assert_allclose(extents, extents_mm, rtol=0.02, atol=0.05)


def test_a_bracket_lies_on_its_sides_and_on_its_legs_and_a_plate_on_its_faces():
    for kind, designation in (("bracket", "40x40x25"), ("slotted_plate", "80x30")):
        model = model_of(kind, designation)
        assert sum(rest.probability for rest in model.rests) == pytest.approx(1)
        for rest in model.rests:
            standing = model.vertices_m @ rest.rotation.T
            feet = standing[standing[:, 2] < standing[:, 2].min() + 1e-5]
            assert len(feet) >= 3
            assert (feet[:, :2].min(axis=0) < 0).all()  # the centre of mass, at the origin, is above the feet
            assert (feet[:, :2].max(axis=0) > 0).all()
    flat = max(model.rests, key=lambda rest: rest.probability)
    assert abs(flat.rotation[2, 2]) > 0.999


@pytest.mark.parametrize(("kind", "designation", "fold"), [("spur_gear", "m1z20", 20), ("flange", "DN15", 4)])
def test_stated_symmetries_are_those_of_the_mesh(kind, designation, fold):
    from scipy.spatial import cKDTree

    model = model_of(kind, designation)
    turns = model.symmetries.rotations
    assert len(turns) == 2 * fold - 1
    rim = model.vertices_m[np.linalg.norm(model.vertices_m[:, :2], axis=1) > 0.5 * model.radius_m]
    for turn in turns:
        assert cKDTree(rim).query(rim @ turn.T)[0].max() < 1e-6 * model.radius_m + 1e-9


def test_every_family_comes_to_rest_on_the_table():
    pytest.importorskip("pybullet", reason="needs PyBullet, which has wheels for Python 3.11 and older")
    from simgen.scene.kinds.drop import DropArea, Scattered
    from tests.simgen.scene.test_physics import heights_m, part, scene, simulate

    rng, parts = np.random.default_rng(0), []
    drop = Scattered(DropArea(half_m=(0.2, 0.2), upstream_m=0.0, standing_share=0.0, pile_share=0.0))
    for kind, (_, designation, _) in NEW.items():
        start = drop.next_pose(model_of(kind, designation), rng)
        parts.append(part(kind, designation, start.position_m, start.rotation_xyzw))
    spec = scene(parts, settle_s=1.5, frames=2, size_m=(1.0, 1.0))
    trajectory = simulate(spec)
    low = heights_m(spec, trajectory)
    assert (low > -0.0005).all()
    assert (low < 0.0025).all()
    moved_m = np.linalg.norm(trajectory.positions_m[1] - trajectory.positions_m[0], axis=1)
    turned = [
        np.abs(rotation_matrix(a) - rotation_matrix(b)).max()
        for a, b in zip(*trajectory.rotations_xyzw[:2], strict=True)
    ]
    assert moved_m.max() < 0.002
    assert max(turned) < 0.1
