"""simgen parts: a CAD file becomes a part and its page, in a process of its own."""

import os
import re

import numpy as np
import pytest
import trimesh

pytest.importorskip("manifold3d", reason="importing parts needs the extra cad")
pytest.importorskip("pybullet", reason="drops need PyBullet, which has wheels for Python 3.11 and older")

from simgen.assets.cad import isolated
from simgen.assets.cad.isolated import import_part
from simgen.assets.cad.packed import read_packed
from simgen.assets.cad.request import Request
from simgen.library import page
from simgen.library.picture import Drawn, picture
from simgen.scene import trial
from simgen.scene.trial import drops_up
from simgen.spec.errors import PartFileError
from tests.simgen.assets.cad.cad_files import box, write_box, write_mesh
from tests.simgen.assets.cad.packed_parts import packed_box
from tests.simgen.cli.test_cli import simgen


@pytest.fixture(scope="module")
def line(tmp_path_factory):
    """A line's folder with one part, and what the command printed."""
    folder = tmp_path_factory.mktemp("line")
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(trial, "DROPS", 40)
    monkeypatch.setattr(page, "SIZE_PX", 60)
    two = trimesh.util.concatenate([box(), box((8, 8, 8), (40, 0, 0))])
    file = write_mesh(folder / "Two boxes.stl", two)
    out, _ = simgen("parts", "add", file, "--unit", "mm", "--body", 1, "--material", "aluminium", "--to", folder)
    monkeypatch.undo()
    return folder, out


def test_a_part_is_added_with_its_page(line):
    folder, out = line
    assert sorted(path.name for path in (folder / "parts").iterdir()) == ["Two_boxes.glb", "Two_boxes.html"]
    part = read_packed((folder / "parts" / "Two_boxes.glb").read_bytes(), "it")
    assert (part.name, part.category, part.material, part.origin.unit) == ("Two_boxes", "Two_boxes", "aluminium", "mm")
    assert part.mass_kg == pytest.approx(6e-6 * 2700)
    assert sum(pose.drop_share for pose in part.resting_poses) == pytest.approx(1)
    lines = out.splitlines()
    assert lines[0] == "2 bodies:"
    assert lines[2].endswith("8 x 8 x 8 mm, 12 triangles")
    assert "mass: 16.2 g (2700 kg/m3, aluminium)" in lines
    assert "size: 30 x 20 x 10 mm, along its own axes" in lines
    assert lines[-1].endswith("Two_boxes.html")


def test_the_page_holds_all_its_pictures_and_no_script(line):
    text = (line[0] / "parts" / "Two_boxes.html").read_text()
    assert text.count("data:image/png;base64,") == 6 + 3 + 2
    assert not re.search(r"<script|src=\"(?!data:)|href=", text)
    assert "prefers-color-scheme: dark" in text


def test_parts_are_listed_shown_and_checked(line):
    folder, _ = line
    assert simgen("parts", "list", folder)[0].startswith("Two_boxes: Two_boxes, 30 x 20 x 10 mm, 16.2 g, 3 resting")
    shown = simgen("parts", "show", "Two_boxes", folder)[0]
    assert "pose 1: " in shown
    assert "symmetry: 3 turns look the same" in shown
    assert simgen("parts", "check", folder)[0] == f"{folder}: 1 part, nothing wrong\n"
    broken = folder / "parts" / "zz.glb"
    broken.write_bytes(b"glTF")
    try:
        out, err = simgen("parts", "check", folder, status=1)
        assert out.startswith(f"{broken}: is no GLB file")
        assert err == f"simgen: {folder}: 1 of 2 parts cannot be used\n"
    finally:
        broken.unlink()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["add", "{folder}/Two boxes.stl", "--unit", "mm", "--to", "{folder}"],
            "is there already; give another --name",
        ),
        (["add", "none.stl", "--to", "{folder}"], "none.stl: there is no such file"),
        (["add", "a.stl", "--unit", "ft"], "--unit: no unit 'ft'; there are mm, cm, m, in"),
        (["add", "a.stl", "--material", "wood"], "--material: no material 'wood'; there are steel, "),
        (["add", "a.stl", "--name", "../a"], "--name: needs letters"),
        (["add", "a.urdf", "--pose", "j"], "--pose: needs JOINT=VALUE"),
        (["show", "no", "{folder}"], "no part 'no'; there are Two_boxes"),
        (["list", "{folder}/none"], "no such folder"),
        (["list", "{folder}/parts/.."], None),
    ],
)
def test_a_mistake_is_one_line(line, arguments, said):
    folder, _ = line
    before = {path: path.read_bytes() for path in (folder / "parts").iterdir()}
    _, err = simgen("parts", *[a.format(folder=folder) for a in arguments], status=2 if said else 0)
    assert (said in err and len(err.splitlines()) == 1) if said else not err
    assert {path: path.read_bytes() for path in (folder / "parts").iterdir()} == before


def asked(file) -> Request:
    return Request(file=file, name="box", category="box", unit="mm")


@pytest.mark.parametrize(
    ("code", "limits", "said"),
    [
        ("import os; os.abort()", {}, r"the library that reads \.stl files crashed \(SIGABRT\)"),
        ("raise SystemExit('odd')", {}, r"the library that reads \.stl files failed \(odd\)"),
        ("import time; time.sleep(60)", {"seconds": 1}, "was not read within 1 s"),
        ("import time; time.sleep(1.2); raise SystemExit('odd')", {"seconds": 1}, r".* failed \(odd\)"),  # only waited
        ("import os, signal; os.kill(os.getpid(), signal.SIGXCPU)", {}, "was not read within 300 s.* --seconds more"),
        ("x = bytearray(2**62)", {}, "reading it needs too much memory"),
    ],
)
def test_a_reader_that_crashes_hangs_or_eats_memory_is_one_line(tmp_path, monkeypatch, code, limits, said):
    monkeypatch.setattr(isolated, "START", code)
    file = write_box(tmp_path, "stl")
    with pytest.raises(PartFileError, match=rf"^{re.escape(str(file))}: {said}") as caught:
        import_part(asked(file), **limits)
    assert "\n" not in str(caught.value)


def test_memory_is_limited_in_the_reading_process(tmp_path):
    if os.name != "posix":
        pytest.skip("limits are those of POSIX")
    with pytest.raises(PartFileError, match="memory"):
        import_part(asked(write_box(tmp_path, "stl")), memory_bytes=120 * 2**20)


def test_a_missing_library_is_named_with_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(isolated, "NEEDED", ("no_such_library",))
    with pytest.raises(
        PartFileError, match=r'needs no_such_library, which is not installed: pip install "sim2line\[cad\]"'
    ):
        import_part(asked(write_box(tmp_path, "stl")))


def test_a_box_that_is_dropped_lies_on_its_faces():
    ups = drops_up(packed_box(), drops=40, seed=3)
    assert len(ups) >= 36
    assert np.abs(ups).max(axis=1).min() > 0.999
    flat = np.abs(ups[:, 2]) > 0.999
    assert flat.mean() > 0.55  # by the solid angle 0.63


def test_a_picture_shows_the_side_that_faces_the_eye():
    part = packed_box(colours=True)
    drawn = Drawn(
        part.vertices_m.astype(float),
        part.normals.astype(float),
        part.triangles.astype(np.int64),
        part.colours.astype(float),
    )
    for axis in range(3):
        view = np.roll(np.eye(3), 2 - axis, axis=0)
        image = picture(drawn, view, 0.02, 50)
        wide, high = (part.size_m[np.argmax(view[k])] for k in (0, 1))
        assert (image[..., 3] > 127).mean() == pytest.approx(wide * high / (0.04 * 1.08) ** 2, rel=0.08)
        assert np.argmax(image[25, 25, :3]) == axis
