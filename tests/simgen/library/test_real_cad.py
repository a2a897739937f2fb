"""Real CAD files, where the folder of real data is there."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cascadio", reason="importing parts needs the extra cad")

from conftest import REAL_DATA
from simgen.assets.cad import making
from simgen.assets.cad.making import make_part
from simgen.assets.cad.packed import PackedPart, write_packed
from simgen.assets.cad.request import Request
from simgen.assets.cad.shape.hulls import few_corners

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (REAL_DATA / "cad_parts").is_dir(), reason=f"no CAD files at {REAL_DATA}"),
]
FILES = {  # how many bodies each has
    "conveyor_belt_upright_edgeimpulse.stl": 3,
    "cyl_w_rect_hole_build123d.stl": 1,
    "enclosure_jdbrinton.step": 1,
    "gear_metallmeister.step": 1,
    "joint_linker_junaid.STEP": 1,
    "lower_link_junaid.STEP": 1,
    "m6x12_countersunk_screw_build123d.step": 1,
    "motor_connector_junaid.STEP": 1,
    "upper_plate_junaid.STEP": 1,
}


@pytest.fixture(autouse=True)
def one_hull(monkeypatch):
    """CoACD takes most of the time, and is tested elsewhere."""
    monkeypatch.setattr(making, "convex_pieces", lambda solid, volume_m3: ((few_corners(solid.vertices_m),), None))


def imported(path: Path, unit: str | None = None) -> tuple[PackedPart, int]:
    part, report = make_part(Request(file=path, name="part", category="part", unit=unit))
    assert write_packed(part)
    return part, len(report.bodies)


def test_every_file_of_the_folder_is_tested():
    found = {path.name for path in (REAL_DATA / "cad_parts").iterdir() if path.suffix.lower() in (".stl", ".step")}
    assert found == set(FILES)


@pytest.mark.parametrize("name", sorted(FILES))
def test_every_file_goes_in(name):
    part, bodies = imported(REAL_DATA / "cad_parts" / name, "mm" if name.endswith(".stl") else None)
    assert bodies == FILES[name]
    assert len(part.triangles) <= 20_000
    assert 0 < part.volume_m3 < np.prod(part.size_m)
    if name == "lower_link_junaid.STEP":
        assert part.size_m[2] / part.size_m[0] == pytest.approx(75, rel=0.02)


@pytest.mark.parametrize("name", ["T_Joint", "Metal_Blank"])
def test_a_step_file_in_millimetres_and_an_obj_in_metres_are_the_same_part(name):
    folder = REAL_DATA / "tjoint_blank" / "cad"
    step, _ = imported(folder / f"{name}.stp", "mm")
    obj, _ = imported(folder / f"{name}.obj", "m")
    assert step.size_m == pytest.approx(obj.size_m, rel=2e-3)
    assert step.volume_m3 == pytest.approx(obj.volume_m3, rel=3e-3)
    assert step.inertia_m2 == pytest.approx(obj.inertia_m2, rel=3e-3)
    assert len(step.symmetries.rotations_xyzw) == len(obj.symmetries.rotations_xyzw)
    assert step.symmetries.axes == obj.symmetries.axes
    likeliest = [pose.probability for pose in step.resting_poses[:3]]
    assert [pose.probability for pose in obj.resting_poses[:3]] == pytest.approx(likeliest, abs=0.05)
