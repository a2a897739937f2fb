"""What the path tracer is fed, and how its variant is found: numpy alone, without Mitsuba."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from simgen.renderers.paths import light, matter, shapes, variant
from simgen.spec.errors import RendererUnavailable
from simgen.spec.install import install_hint
from simgen.spec.scene import FamilySize
from tests.simgen.lit_scenes import lit
from tests.simgen.scenes import scene


def test_without_mitsuba_the_command_says_what_to_install(monkeypatch, tmp_path):
    from typer.testing import CliRunner

    from simgen.cli.common import app

    variant.variant.cache_clear()
    monkeypatch.setattr(variant, "find_spec", lambda name: None)
    try:
        for asked in (["--renderer", "pathtraced"], ["--set", "render.pathtraced_share=0.1"]):
            done = CliRunner().invoke(
                app, ["render", "--preset", "tiny", "--scenes", "1", "--out", str(tmp_path / "x"), *asked]
            )
            assert done.exit_code == 2
            assert install_hint("pathtraced") in done.output
            assert not (tmp_path / "x").exists()
    finally:
        variant.variant.cache_clear()


@pytest.mark.parametrize(("kind", "size"), [("hex_bolt", "M12x60"), ("hex_nut", "M20")])
def test_threads_are_cut_about_the_pitch_diameter_without_a_gap(kind, size):
    from simgen.assets.parts import part_model

    model = part_model(FamilySize(kind, size))
    points, normals, faces = shapes.thread_mesh(model.thread)
    radius = np.hypot(*points[:, :2].T)
    half = model.thread.depth_m / 2
    assert radius.max() == pytest.approx(model.thread.radius_m + half, rel=1e-3)
    assert radius.min() == pytest.approx(model.thread.radius_m - half, rel=1e-3)
    ends = np.isclose(points[:, 2], model.thread.z_from_m) | np.isclose(points[:, 2], model.thread.z_to_m)
    assert radius[ends] == pytest.approx(model.thread.radius_m)
    corners = points[faces]
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert ((facing * normals[faces].mean(axis=1)).sum(axis=1) > 0).mean() > 0.99
    assert np.sign((normals[:, :2] * points[:, :2]).sum(axis=1).mean()) == (-1 if model.thread.internal else 1)
    solid, smooth = shapes.part(FamilySize(kind, size), False), model.vertices_m[model.triangles].reshape(-1, 3)
    assert len(solid.points_m) > len(smooth)
    assert np.ptp(solid.points_m, axis=0)[2] == pytest.approx(np.ptp(smooth, axis=0)[2])


def test_a_turn_of_a_lathe_has_no_jump_within_a_triangle():
    solid = shapes.part(FamilySize("hex_bolt", "M12x60"), True)
    turns = solid.across_along_m[:, 1].reshape(-1, 3)
    flanks = np.abs(solid.normals[:, 2]).reshape(-1, 3).max(axis=1) < 0.5
    assert flanks.sum() > 100
    assert np.ptp(turns[flanks], axis=1).max() < 0.3
    every = solid.points_m[:, :2].reshape(-1, 3, 2)
    angle = np.arctan2(every[..., 1], every[..., 0]) / (2 * np.pi)
    assert np.ptp(angle[flanks], axis=1).max() > 0.9  # where it jumps


def test_every_material_has_maps_whose_energy_is_its_own():
    from simgen.assets.materials import MATERIALS, draw_material
    from simgen.spec.scene import WearSpec, WornSpec
    from simgen.spec.types import Metres

    assert len(MATERIALS) > 20
    worn = WornSpec(layers=(WearSpec(name="dirt", amount=0.5),), side_m=Metres(0.1), seed=1)
    for k, name in enumerate(list(MATERIALS)[::5]):
        spec = draw_material(name, np.random.default_rng(0), replace(worn, side_m=Metres((0.005, 0.1, 0.9)[k % 3])))
        layer = matter.surface(spec, matter.PART)
        assert layer.rgb.shape[2] == 3
        assert max(layer.rgb.shape[:2]) <= 1024
        assert np.isfinite(layer.rgb).all()
        assert layer.rgb.min() >= 0
        assert 0.04 < layer.roughness.min() <= layer.roughness.max() <= 1
        assert 0 <= layer.metallic.min() <= layer.metallic.max() <= 1


def test_the_sky_gives_a_card_what_the_spec_says():
    from simgen.assets.surroundings.model import level_irradiance
    from simgen.spec.scene import GlowSpec

    glow = GlowSpec(azimuth_rad=0.5, elevation_rad=0.9, width_rad=0.8, height_rad=0.8, radiance=(30.0, 3.0, 0.3))
    for glows in ((), (glow,)):
        spec = lit(scene([], frames=1), glows=glows, shadow_strength=0.7, ambient_rgb=(0.3, 0.5, 0.6))
        assert level_irradiance(light.sky(spec)) == pytest.approx(np.array([0.6, 0.8, 0.9]), rel=0.02)


def test_nothing_of_mitsuba_is_loaded_before_it_is_used():
    code = "import sys, simgen.renderers; print('mitsuba' in sys.modules, 'drjit' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-2:] == ["False", "False"]


def test_the_newest_library_is_tried_first_and_a_configured_one_alone(monkeypatch, tmp_path):
    names = ["libLLVM-15.so.1", "libLLVM.so.19.1", "libLLVM-14.0.6.so.1", "libLLVM-9.so", "libLLVM.so.20.1"]
    for name in names:
        (tmp_path / name).touch()
    monkeypatch.delenv(variant.LLVM, raising=False)
    monkeypatch.setattr(variant, "FOLDERS", (str(tmp_path),))
    result = [path.rpartition("/")[2] for path in variant.llvm_libraries()]
    assert result == ["libLLVM.so.20.1", "libLLVM.so.19.1", "libLLVM-15.so.1", "libLLVM-14.0.6.so.1", "libLLVM-9.so"]
    monkeypatch.setenv(variant.LLVM, "/x/libLLVM.so.18")
    assert variant.llvm_libraries() == ["/x/libLLVM.so.18"]


def test_the_reason_is_reported(monkeypatch):
    variant.variant.cache_clear()
    monkeypatch.setattr(variant, "_works", lambda name, llvm="": "it broke")
    try:
        with pytest.raises(RendererUnavailable, match="it broke"):
            variant.variant()
    finally:
        variant.variant.cache_clear()
