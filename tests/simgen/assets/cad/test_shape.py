"""From bodies to a solid: repair, mass, frame, symmetries, poses, normals."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh

pytest.importorskip("manifold3d", reason="importing parts needs the extra cad")

from simgen.assets.cad.making import make_part
from simgen.assets.cad.packed import Symmetries
from simgen.assets.cad.request import Request
from simgen.assets.cad.shape.budget import change, painted, simplified
from simgen.assets.cad.shape.hulls import convex_pieces, few_corners
from simgen.assets.cad.shape.repair import Body, closed, enclosed, split_bodies, union
from simgen.assets.cad.shape.resting import confirmed, poses_by_hull
from simgen.assets.cad.shape.shading import shaded
from simgen.assets.cad.shape.solid import Solid, is_closed, mass_of, part_axes
from simgen.assets.cad.shape.symmetry import symmetries
from simgen.assets.parts import part_model
from simgen.spec.errors import PartFileError
from simgen.spec.geometry import rotation_matrix
from simgen.spec.scene import FamilySize
from tests.simgen.assets.cad.cad_files import box, write_mesh

TURN = rotation_matrix((0.3, -0.5, 0.2, 0.7))


def solid_of(mesh) -> Solid:
    return Solid(np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64))


def body_of(mesh, name="") -> Body:
    return Body(name, np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64))


def in_frame(mesh) -> tuple[Solid, np.ndarray]:
    solid = solid_of(mesh)
    mass = mass_of(solid)
    axes = part_axes(solid, mass)
    return solid.turned(axes, mass.centre_m), np.diag(axes @ mass.inertia_m2 @ axes.T)


def bracket():
    """An L of two boxes with a block on one arm: no symmetry at all."""
    return trimesh.boolean.union([box((40, 10, 4)), box((6, 10, 30), (17, 0, 15)), box((5, 4, 9), (-12, 3, 5))])


def far(mesh):
    mesh.apply_transform(trimesh.transformations.translation_matrix((5000, -3000, 1000)))
    return mesh


def test_mass_properties_are_those_of_trimesh_also_far_from_the_origin():
    mass, mesh = mass_of(solid_of(far(bracket()))), bracket()
    assert mass.volume_m3 == pytest.approx(mesh.volume, rel=1e-9)
    assert mass.centre_m == pytest.approx(mesh.center_mass + np.array([5000, -3000, 1000]), abs=1e-6)
    np.testing.assert_allclose(mass.inertia_m2, mesh.moment_inertia / mesh.volume, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("turn", [np.eye(3), TURN, TURN @ TURN])
def test_the_frame_does_not_depend_on_how_the_file_was_turned(turn):
    mesh, turned = bracket(), bracket()
    turned.vertices = turned.vertices @ turn.T + (3, 4, 5)
    one, other = in_frame(mesh)[0], in_frame(turned)[0]
    np.testing.assert_allclose(other.vertices_m, one.vertices_m, atol=1e-9)
    assert np.linalg.det(part_axes(solid_of(turned), mass_of(solid_of(turned)))) == pytest.approx(1)
    products = mass_of(other).inertia_m2
    assert np.abs(products - np.diag(np.diag(products))).max() < 1e-9 * products.max()


@pytest.mark.parametrize("height", [3.0, 60.0])
def test_z_is_the_axis_of_a_turned_part_flat_or_long(height):
    mesh = trimesh.creation.cylinder(10, height, sections=48)
    mesh.vertices = mesh.vertices @ TURN.T
    assert np.ptp(in_frame(mesh)[0].vertices_m, axis=0) == pytest.approx((20, 20, height), abs=0.01)


def star(arms):
    """A disc with so many teeth on its rim."""
    angles = 2 * np.pi * np.arange(arms) / arms
    teeth = [
        box((4, 2, 3), (10, 0, 0)).apply_transform(trimesh.transformations.rotation_matrix(a, (0, 0, 1)))
        for a in angles
    ]
    return trimesh.boolean.union([trimesh.creation.cylinder(10, 3, sections=12 * arms), *teeth])


SHAPES = {  # other turns that look the same, and axes about which any does
    "bracket": (bracket, 0, 0),
    "box": (box, 3, 0),
    "cube": (lambda: box((9, 9, 9)), 23, 0),
    "cylinder": (lambda: trimesh.creation.cylinder(5, 20, sections=96), 1, 1),
    "cone": (lambda: trimesh.creation.cone(5, 20, sections=96), 0, 1),
    "ball": (lambda: trimesh.creation.icosphere(4, 5), 0, 3),
    "square bar": (lambda: box((5, 5, 30)), 7, 0),
    "hexagon": (lambda: trimesh.creation.cylinder(10, 8, sections=6), 11, 0),
    "gear": (lambda: star(7), 13, 0),
    "lamp": (
        lambda: trimesh.boolean.union(
            [star(5), trimesh.creation.cylinder(3, 10, sections=60).apply_translation((0, 0, 5))]
        ),
        4,
        0,
    ),
}


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_symmetries_are_found(name):
    make, turns, axes = SHAPES[name]
    mesh = make()
    mesh.vertices = mesh.vertices @ (np.eye(3) if name == "cube" else TURN).T
    found = symmetries(*in_frame(mesh))
    assert (len(found.rotations_xyzw), len(found.axes)) == (turns, axes)
    assert len({tuple(np.round(rotation_matrix(r).ravel(), 3)) for r in found.rotations_xyzw}) == turns


def test_colours_break_a_symmetry():
    solid, moments = in_frame(box())
    red = (solid.corners_m[:, :, 0].mean(axis=1) > 14)[:, None] * np.array([1, 0, 0], np.float32)
    assert len(symmetries(solid, moments, red.astype(np.float32)).rotations_xyzw) == 1  # about x


def test_a_box_rests_on_its_faces_by_their_solid_angles():
    solid, moments = in_frame(box())
    poses = poses_by_hull(solid.vertices_m, symmetries(solid, moments))
    half = np.array([15, 10, 5])
    shares = [4 * np.arctan(np.prod(half) / half[k] ** 2 / np.linalg.norm(half)) / (2 * np.pi) for k in (2, 1, 0)]
    assert [pose.probability for pose in poses] == pytest.approx(shares)
    assert [pose.height_m for pose in poses] == pytest.approx((5, 10, 15))
    for pose in poses:
        assert (solid.vertices_m @ rotation_matrix(pose.rotation_xyzw)[2]).min() == pytest.approx(-pose.height_m)


def test_a_part_tips_off_faces_on_which_it_cannot_stand():
    """A thin pin on a heavy head: its end cannot be stood on."""
    mesh = trimesh.boolean.union([box((20, 20, 20)), box((2, 2, 80), (0, 0, 50))])
    solid, moments = in_frame(mesh)
    poses = poses_by_hull(solid.vertices_m, symmetries(solid, moments))
    assert sum(pose.probability for pose in poses) == pytest.approx(1)
    ups = [rotation_matrix(pose.rotation_xyzw)[2] for pose in poses]
    assert max(abs(up[2]) for up in ups[1:]) < 0.99 or len(poses) == 2
    assert not any(up[2] * np.sign(solid.vertices_m[np.abs(solid.vertices_m[:, 2]).argmax(), 2]) < -0.99 for up in ups)


def test_drops_move_the_probabilities_and_add_poses():
    solid, moments = in_frame(box())
    turns = symmetries(solid, moments)
    poses = poses_by_hull(solid.vertices_m, turns)
    ups = np.array([[0, 0, 1]] * 90 + [[0, 0, -1]] * 100 + [[0, 0.6, 0.8]] * 10, float)
    after = confirmed(poses, ups, solid.vertices_m, turns)
    assert after[0].probability == pytest.approx((190 + 50 * poses[0].probability) / 250)
    assert [pose.drop_share for pose in after[:2]] == pytest.approx((0.95, 0.05), abs=1e-9) or len(after) == 4
    assert sum(pose.drop_share for pose in after) == pytest.approx(1)
    assert sum(pose.probability for pose in after) == pytest.approx(1)
    assert any(np.allclose(rotation_matrix(pose.rotation_xyzw)[2], (0, 0.6, 0.8)) for pose in after)


def notched(sections):
    """A bar of so many sides with a notch in one end: no turn looks the same, but it rolls as if there were none."""
    bar = trimesh.creation.cylinder(5, 30, sections=sections)
    return trimesh.boolean.difference([bar, box((2, 3, 4), (2.5, 0, 14))])


@pytest.mark.parametrize(("sections", "lying"), [(48, range(8, 19)), (6, [6])])
def test_poses_between_which_a_part_rolls_are_one(sections, lying):
    solid, moments = in_frame(notched(sections))
    turns = symmetries(solid, moments)
    assert turns == Symmetries()
    poses = poses_by_hull(solid.vertices_m, turns)
    flat = [pose for pose in poses if abs(rotation_matrix(pose.rotation_xyzw)[2, 2]) < 0.1]
    assert len(flat) in lying
    assert len(poses) == len(flat) + 2
    angles = 2 * np.pi * (np.arange(200) + 0.5) / 200
    if sections == 48:  # where a round bar ends in a drop, no pose is added
        ups = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
        after = confirmed(poses, ups, solid.vertices_m, turns)
        assert len(after) <= len(poses)
        assert sum(pose.drop_share for pose in after) == pytest.approx(1)


@pytest.mark.parametrize("size", ["m1z36", "m2z18"])
def test_a_gear_looks_the_same_after_each_tooth(size):
    """Turns by 1/37 of a circle are within the tolerance on 36 teeth, but not twice and more often."""
    gear = part_model(FamilySize("spur_gear", size))
    solid = Solid(gear.vertices_m, gear.triangles.astype(np.int64))
    found = symmetries(solid, np.array(gear.inertia_m2))
    teeth = int(size.partition("z")[2])
    assert len(found.rotations_xyzw) == 2 * teeth - 1
    angles = sorted(2 * np.arctan2(z, w) for x, y, z, w in found.rotations_xyzw if abs(x) + abs(y) < 1e-6)
    assert np.remainder(np.array(angles) * teeth / (2 * np.pi) + 0.5, 1) == pytest.approx(0.5, abs=1e-6)


def test_normals_are_smooth_on_a_round_and_apart_at_an_edge():
    solid = solid_of(trimesh.creation.cylinder(10, 20, sections=64))
    vertices, normals, triangles, tints = shaded(solid, None)
    side = np.abs(normals[:, 2]) < 0.5
    outward = vertices[side, :2] / np.linalg.norm(vertices[side, :2], axis=1, keepdims=True)
    np.testing.assert_allclose(normals[side, :2], outward, atol=1e-3)
    assert (np.abs(normals[~side, 2]) > 0.999).all()
    assert len(vertices) == 4 * 64 + 2
    assert tints is None
    np.testing.assert_allclose(vertices[triangles], solid.corners_m, atol=1e-5)


def test_corners_are_apart_where_two_colours_meet():
    solid = solid_of(trimesh.creation.cylinder(10, 20, sections=64))
    colours = np.where(solid.corners_m[:, :, 0].mean(axis=1)[:, None] > 0, [1, 0, 0], [0, 0, 1]).astype(np.float32)
    vertices, _, triangles, tints = shaded(solid, colours)
    assert len(vertices) > 4 * 64 + 2
    np.testing.assert_array_equal(tints[triangles], np.repeat(colours[:, None], 3, axis=1))


def test_triangles_from_inside_without_shared_corners_become_a_solid():
    mesh = bracket()
    corners = mesh.triangles[:, ::-1].copy()
    corners[::3] = corners[::3, ::-1]
    loose = Body("", corners.reshape(-1, 3), np.arange(corners.size // 3).reshape(-1, 3))
    notes = []
    solid = closed(loose, "x.stl", notes)
    assert is_closed(solid)
    assert mass_of(solid).volume_m3 == pytest.approx(mesh.volume)
    assert any("to look outward" in note for note in notes)


def test_a_small_hole_is_filled_and_a_large_one_refused():
    mesh = trimesh.creation.icosphere(3, 10)
    notes = []
    solid = closed(body_of(trimesh.Trimesh(mesh.vertices, mesh.faces[1:], process=False)), "ball.stl", notes)
    assert is_closed(solid)
    assert any("filled holes with 1 triangles (3 open edges)" in note for note in notes)
    with pytest.raises(PartFileError, match=r"^cup\.stl: is (not watertight|open)"):
        closed(body_of(trimesh.Trimesh(mesh.vertices, mesh.faces[:600], process=False)), "cup.stl", [])


def test_bodies_are_told_apart_and_a_cavity_stays_in_its_body():
    hollow = box((30, 30, 30))
    inner = box((10, 10, 10))
    inner.invert()
    bodies = split_bodies([body_of(trimesh.util.concatenate([hollow, inner, box((5, 5, 5), (40, 0, 0))]), "a")])
    assert [body.size_m[0] for body in bodies] == [30, 5]
    assert mass_of(closed(bodies[0], "x", [])).volume_m3 == pytest.approx(26000)


def test_overlapping_bodies_count_once():
    one, other = (closed(body_of(box((10, 10, 10), (k, 0, 0))), "x", []) for k in (0, 5))
    assert mass_of(union([one, other], "x")).volume_m3 == pytest.approx(1500)


def test_a_surface_that_cuts_through_itself_is_measured():
    clean, crossed = box((10, 10, 10)), trimesh.util.concatenate([box((10, 10, 10)), box((10, 10, 10), (5, 0, 0))])
    whole, twice = enclosed(solid_of(clean))
    assert (whole, twice) == (pytest.approx(1000, rel=0.02), 0)
    whole, twice = enclosed(solid_of(crossed))
    assert twice / whole == pytest.approx(1 / 3, rel=0.03)


def test_fewer_triangles_keep_the_shape():
    solid = solid_of(trimesh.creation.icosphere(5, 10))
    fewer = simplified(solid, 2000)
    assert len(fewer.triangles) <= 2000
    assert is_closed(fewer)
    assert change(solid, fewer) < 0.01
    assert simplified(fewer, 5000) is fewer


def test_colours_come_from_the_nearest_place():
    ball = trimesh.creation.icosphere(4, 10)
    upper = ball.triangles_center[:, 2] > 0
    body = replace(body_of(ball), colours=np.where(upper[:, None], [1, 0, 0], [0, 1, 0]).astype(np.float32))
    fewer = simplified(solid_of(ball), 800)
    colours = painted(fewer, [body])
    height = fewer.corners_m[:, :, 2].mean(axis=1)
    assert (colours[height > 1.5, 0] == 1).all()
    assert (colours[height < -1.5, 1] == 1).all()
    assert painted(fewer, [body_of(ball)]) is None


def test_a_round_hull_keeps_its_shape_with_few_corners():
    cylinder = trimesh.creation.cylinder(10, 20, sections=200)
    corners = few_corners(np.asarray(cylinder.vertices))
    assert len(corners) == 64
    assert trimesh.convex.convex_hull(corners).volume > 0.97 * cylinder.volume


def test_a_hollow_part_gets_pieces_and_a_convex_one_its_hull():
    corner = solid_of(trimesh.boolean.union([box((20, 20, 4)), box((4, 20, 20), (8, 0, 8))]))
    pieces, why = convex_pieces(corner, mass_of(corner).volume_m3)
    assert why is None
    assert len(pieces) == 2
    volume = sum(trimesh.convex.convex_hull(piece).volume for piece in pieces)
    assert volume == pytest.approx(mass_of(corner).volume_m3, rel=0.05)


def request(path, **more) -> Request:
    return Request(**{"file": path, "name": "p", "category": "p", "unit": "mm"} | more)


@pytest.mark.parametrize(
    ("mesh", "more", "said"),
    [
        (box(), {"unit": "m"}, "is 30 m long in m, over 2 m; it would make sense with --unit mm (30 mm) or --unit cm"),
        (box((0.2, 0.1, 0.1)), {}, "is 0.2 mm long in mm, under 0.5 mm; it would make sense with --unit cm (2 mm)"),
        (box(), {"bodies": (2,)}, "no body 2; there are 1 to 1"),
        (trimesh.Trimesh([[0, 0, 0], [9, 0, 0], [0, 9, 0]], [[0, 1, 2]]), {}, "has 1 triangles with an area"),
        (trimesh.util.concatenate([box(), box(at=(50, 5, 0))]), {"bodies": (3,)}, "no body 3; there are 1 to 2"),
    ],
)
def test_what_is_no_part_is_refused_in_one_line(tmp_path, mesh, more, said):
    path = write_mesh(tmp_path / "p.stl", mesh)
    with pytest.raises(PartFileError) as caught:
        make_part(request(path, **more))
    assert str(caught.value).startswith(f"{path}: {said}")
    assert "\n" not in str(caught.value)


def test_the_same_file_gives_the_same_bytes(tmp_path):
    from simgen.assets.cad.packed import write_packed

    path = write_mesh(tmp_path / "p.stl", trimesh.creation.cylinder(10, 30, sections=32))
    assert write_packed(make_part(request(path))[0]) == write_packed(make_part(request(path))[0])
