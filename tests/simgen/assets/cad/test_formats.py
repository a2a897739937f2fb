"""Every format gives the same part, and a damaged or a malicious file of each is refused in one line."""

import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cascadio", reason="importing parts needs the extra cad")

from simgen.assets.cad.making import make_part
from simgen.assets.cad.reading import READERS, URDF, meshes, read_bodies
from simgen.assets.cad.reading import files as bounds
from simgen.assets.cad.request import Request, name_from
from simgen.spec.errors import PartFileError
from tests.simgen.assets.cad.cad_files import FORMATS, SIZE_MM, box, step_box, urdf, write_box, write_mesh

SAYS_NO_UNIT = {"stl", "obj", "ply", "off"}


def request(path: Path, **more) -> Request:
    unit = "mm" if path.suffix[1:].lower() in SAYS_NO_UNIT else None
    return Request(**{"file": path, "name": "box", "category": "box", "unit": unit} | more)


def refused(path: Path, **more) -> str:
    """The message with which a file is refused: one line that begins with the file's name."""
    with pytest.raises(PartFileError) as caught:
        read_bodies(request(path, **more))
    text = str(caught.value)
    assert text.startswith(f"{path}: "), text
    assert "\n" not in text
    return text


def test_every_format_that_is_read_is_tested():
    assert {f".{form}" for form in FORMATS} == {*READERS, URDF} - {".stp"}


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_gives_the_same_part(tmp_path, form):
    part, report = make_part(request(write_box(tmp_path, form)))
    assert part.volume_m3 == pytest.approx(6e-6, rel=1e-5)
    assert part.size_m == pytest.approx((0.03, 0.02, 0.01), rel=1e-5)
    assert part.inertia_m2 == pytest.approx((5e-4 / 12, 1e-3 / 12, 1.3e-3 / 12), rel=1e-4)
    assert len(report.bodies) == 1
    assert len(part.triangles) == 12
    assert len(part.symmetries.rotations_xyzw) == 3
    assert [len(hull) for hull in part.hulls_m] == [8]


def test_a_file_without_a_unit_asks_for_one(tmp_path):
    text = refused(write_box(tmp_path, "stl"), unit=None)
    assert ".stl files do not say their unit; its longest side is 30: give --unit mm for 30 mm, or cm" in text


def test_names_come_from_files():
    assert name_from(Path("a/Bracket (rev 2).STEP")) == "Bracket_rev_2"
    assert name_from(Path("---.stl")) == "part"


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_that_is_cut_off_or_of_another_kind_is_refused(tmp_path, form):
    path = write_box(tmp_path, form)
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"\xff\xfe\x00garbage " * 40, b"\0" * 100):
        path.write_bytes(damaged)
        refused(path)
    path.write_bytes(b"")
    assert "is empty" in refused(path)
    path.unlink()
    assert "there is no such file" in refused(path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(path)
        assert "is no regular file" in refused(path)


@pytest.mark.parametrize("form", sorted({*FORMATS} - {"urdf", "step"}))
def test_too_many_triangles_are_refused_with_what_helps(tmp_path, monkeypatch, form):
    monkeypatch.setattr(bounds, "MAX_SOURCE_TRIANGLES", 11)
    assert "12 triangles, more than the 11 that are read; export it from CAD with a coarser tolerance" in refused(
        write_box(tmp_path, form)
    ).replace("has 13 triangles", "has 12 triangles")  # an OFF file's are guessed from its lines


def test_another_format_is_named(tmp_path):
    path = tmp_path / "box.iges"
    path.write_text("x")
    assert "no format '.iges' is read; .3mf, .glb" in refused(path)


def test_an_obj_takes_no_materials_from_elsewhere(tmp_path):
    (tmp_path / "secret.mtl").write_text("newmtl red\nKd 1 0 0\n")
    below = tmp_path / "below"
    below.mkdir()
    path = write_box(below, "obj")
    text = path.read_text().replace("\nf ", "\nusemtl red\nf ", 1)
    path.write_text("mtllib ../secret.mtl\n" + text)
    assert read_bodies(request(path))[0][0].colours is None or not _is_red(path)
    (below / "secret.mtl").write_text("newmtl red\nKd 1 0 0\n")
    path.write_text("mtllib secret.mtl\n" + text)
    assert _is_red(path)


def _is_red(path: Path) -> bool:
    (body,) = read_bodies(request(path))[0]
    return np.allclose(body.colours, (1, 0, 0), atol=0.01)


def test_a_3mf_may_not_unpack_to_much_or_declare_entities(tmp_path, monkeypatch):
    monkeypatch.setattr(meshes, "MAX_UNPACKED_BYTES", 2**20)
    path = tmp_path / "box.3mf"
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for k in range(3):
            archive.writestr(f"3D/{k}.model", bytes(2**20))
    path.write_bytes(bomb.getvalue())
    assert "unpacks to 3 files of 3 MB" in refused(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("3D/3dmodel.model", '<!DOCTYPE m [<!ENTITY a "aaaa">]><model>&a;</model>')
    assert "declares a document type or entities" in refused(path)


@pytest.mark.parametrize(
    "uri", ["../up.bin", "/etc/passwd", "file:///etc/passwd", "..%2Fup.bin", "link.bin", "a\\b.bin"]
)
def test_a_gltf_takes_no_buffers_from_elsewhere(tmp_path, uri):
    below = tmp_path / "below"
    below.mkdir()
    path = write_box(below, "gltf")
    tree = json.loads(path.read_text())
    (tmp_path / "up.bin").write_bytes((below / tree["buffers"][0]["uri"]).read_bytes())
    (below / "link.bin").symlink_to(tmp_path / "up.bin")
    tree["buffers"][0]["uri"] = uri
    path.write_text(json.dumps(tree))
    assert "names the file" in refused(path)


def test_nodes_of_a_gltf_are_a_tree_of_bounded_depth(tmp_path):
    path = write_box(tmp_path, "gltf")
    tree = json.loads(path.read_text())
    for nodes, said in (
        ([{"children": [1, 1]}, {"mesh": 0}], "has a parent already"),
        ([{"children": [1]}, {"children": [0], "mesh": 0}], "in a circle"),
        ([*({"children": [k + 1]} for k in range(150)), {"mesh": 0}], "nested more than 100 deep"),
        ([{"children": [7], "mesh": 0}], "names the child 7"),
    ):
        path.write_text(json.dumps(tree | {"nodes": nodes, "scenes": [{"nodes": [0]}]}))
        assert said in refused(path)
    path.write_text("[" * 100_000)
    assert "nested too deep" in refused(path)


def test_a_ply_says_no_more_than_it_holds(tmp_path):
    path = write_box(tmp_path, "ply")
    path.write_bytes(path.read_bytes().replace(b"element vertex 8", b"element vertex 999999999999"))
    assert "says 999999999999 of 'vertex'" in refused(path)


MALICIOUS_URDF = {
    '<!DOCTYPE r [<!ENTITY a "b">]>' + urdf('<box size="1 1 1"/>'): "declares a document type",
    urdf('<mesh filename="../../etc/passwd.stl"/>'): "outside its folder",
    urdf('<mesh filename="package://p/../../x.stl"/>'): "outside its folder",
    urdf('<mesh filename="http://x.org/x.stl"/>'): "only files in its own folder",
    urdf('<mesh filename="box.dae"/>'): "convert it",
    urdf('<box size="1 1 nan"/>'): "needs 3 numbers",
    urdf("<torus/>"): "mesh, box, cylinder and sphere are read",
    urdf(
        '<box size="1 1 1"/>',
        '<link name="b"/><joint name="j" type="fixed"><parent link="b"/><child link="base"/></joint>'
        '<joint name="k" type="fixed"><parent link="base"/><child link="b"/></joint>',
    ): "go in a circle",
    "<robot>" + "<a>" * 50_000: "is no XML",
    "<svg/>": "its root is <svg>",
}


@pytest.mark.parametrize("text", sorted(MALICIOUS_URDF))
def test_a_urdf_is_read_in_its_folder_and_has_no_entities(tmp_path, text):
    path = tmp_path / "r.urdf"
    path.write_text(text)
    assert MALICIOUS_URDF[text] in refused(path)


def test_joints_of_a_urdf_stand_where_they_are_told(tmp_path):
    shape = '<visual><geometry><box size="0.02 0.02 0.02"/></geometry></visual>'
    joint = '<joint name="slide" type="prismatic"><parent link="base"/><child link="b"/>'
    joint += '<origin xyz="0.1 0 0" rpy="0 0 1.5707963267948966"/><axis xyz="1 0 0"/></joint>'
    path = tmp_path / "r.urdf"
    path.write_text(urdf('<box size="0.02 0.02 0.02"/>', f'<link name="b">{shape}</link>{joint}'))
    for pose, centre in (((), (0.1, 0, 0)), ((("slide", 0.05),), (0.1, 0.05, 0))):
        _, moved = read_bodies(request(path, pose=pose))[0]
        assert moved.vertices_m.mean(axis=0) == pytest.approx(centre, abs=1e-9)
    assert "no joint 'no'; there are slide" in refused(path, pose=(("no", 1.0),))


def test_a_step_file_knows_its_unit(tmp_path):
    path = write_box(tmp_path, "step")
    assert read_bodies(request(path, unit="mm"))[1] == "mm"
    assert "says that its lengths are in mm; leave --unit in out" in refused(path, unit="in")
    path.write_text(path.read_text().replace("SI_UNIT(.MILLI.,.METRE.)", "SI_UNIT($,.METRE.)"))
    ((body,), unit) = read_bodies(request(path))
    assert (unit, body.size_m[0]) == ("m", pytest.approx(30))


def test_a_step_file_needs_a_solid(tmp_path):
    path = tmp_path / "box.step"
    path.write_text("\n".join(line for line in step_box().splitlines() if not line.startswith("#")))
    assert "holds no shape, and no solid" in refused(path)
    path.write_text(step_box(solid=False).replace("SHELL_BASED_SURFACE_MODEL", "GEOMETRIC_CURVE_SET"))
    assert "holds surfaces or curves alone, and no solid" in refused(path)


def test_a_mirrored_instance_still_looks_outward(tmp_path):
    path = write_mesh(tmp_path / "box.glb", box(at=(40, 0, 0)))
    (body,) = read_bodies(request(path))[0]
    corners = body.vertices_m[body.triangles]
    assert np.linalg.det(corners).sum() / 6 == pytest.approx(np.prod(SIZE_MM) * 1e-9)
