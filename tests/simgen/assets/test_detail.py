"""A part with many triangles is drawn with few where nobody can see the difference."""

from dataclasses import replace

import numpy as np
import pytest

from simgen.assets.cad.packed import read_packed, write_packed
from simgen.assets.parts import drawn, part_model
from simgen.camera.detail import most_px_per_m
from simgen.labels.boxes import annotate
from simgen.renderers import render
from simgen.renderers.gl.scene import draw_list
from simgen.spec.errors import PartFileError
from simgen.spec.scene import FamilySize, RenderSpec
from tests.simgen.imported import imported_part, kept, packed_ball
from tests.simgen.scenes import needs, scene, still


def test_a_coarse_mesh_comes_back_as_it_was_written():
    packed = packed_ball(coarse_error_m=0.0004)
    read = read_packed(write_packed(packed), "ball.glb")
    assert read.coarse.error_m == 0.0004
    assert len(read.coarse.triangles) < len(read.triangles) / 5
    for name in ("vertices_m", "normals", "triangles"):
        np.testing.assert_array_equal(getattr(read.coarse, name), getattr(packed.coarse, name))
    assert read_packed(write_packed(packed_ball()), "ball.glb").coarse is None


def test_a_coarse_mesh_that_is_missing_is_refused():
    data = write_packed(packed_ball())
    said = data.replace(b'"schema":1', b'"coarse_error_m":1e-3,"schema":1')
    grown = len(said) - len(data)
    said = said[:8] + (int.from_bytes(said[8:12], "little") + grown).to_bytes(4, "little") + said[12:]
    said = said[:12] + (int.from_bytes(said[12:16], "little") + grown).to_bytes(4, "little") + said[16:]
    with pytest.raises(PartFileError, match="its mesh is not stored as an imported part stores it"):
        read_packed(said, "ball.glb")


@pytest.mark.parametrize(("px_per_m", "scale", "is_coarse"), [
    (400.0, None, True), (600.0, None, False), (600.0, 0.5, True), (400.0, 2.0, False)])  # fmt: skip
def test_the_coarse_mesh_is_drawn_where_its_error_is_less_than_a_fifth_of_a_pixel(px_per_m, scale, is_coarse):
    source = kept(packed_ball(coarse_error_m=0.0004), mesh_scale=scale)
    mesh = drawn(source, px_per_m)
    assert mesh.is_coarse == is_coarse
    assert mesh.scale == (scale or 1.0)
    assert (len(mesh.model.triangles) < 400) == is_coarse
    assert len(part_model(source).triangles) > 2000
    assert not drawn(FamilySize("hex_nut", "M8"), 1.0).is_coarse


def test_the_camera_says_how_many_pixels_a_metre_has_at_most():
    spec = scene([])
    assert most_px_per_m(spec.camera) == pytest.approx(200 / (0.3 - 0.1))


def test_the_picture_and_the_labels_are_nearly_those_of_the_fine_mesh():
    """The coarse ball of 24 sides is at most 0.17 mm inside the fine one: here 0.17 pixels."""
    seen = []
    for error_m in (None, 0.00018):
        made = [imported_part(kept(packed_ball(coarse_error_m=error_m)), (x, 0.0, 0.05)) for x in (-0.015, 0.015)]
        spec = scene(made, frames=1)
        assert drawn(made[0].source, most_px_per_m(spec.camera)).is_coarse == (error_m is not None)
        frame = next(iter(render(spec, still(spec))))
        seen.append((frame.ids, annotate(spec, still(spec), frame.ids[None]).frames[0].parts))
    (fine, of_fine), (coarse, of_coarse) = seen
    assert 0 < np.count_nonzero(fine != coarse) < 0.03 * np.count_nonzero(fine >= 0)
    for one, other in zip(of_fine, of_coarse, strict=True):
        assert one.amodal_box_xyxy_px == other.amodal_box_xyxy_px
        assert one.visible_share == pytest.approx(other.visible_share, abs=0.01)


@pytest.mark.parametrize(("supersample", "lit_coarse"), [(1, False), (2, True)])
def test_light_comes_from_the_coarse_mesh_up_to_half_a_pixel_and_ids_from_the_fine_one(supersample, lit_coarse):
    """At 1000 pixels a metre the error is 0.4 pixels. One sample a pixel is lit where the ids' depth is."""
    spec = scene([imported_part(kept(packed_ball(coarse_error_m=0.0004)), (0.0, 0.0, 0.05))], frames=1)
    item = draw_list(replace(spec, render=RenderSpec(renderer="pbr", supersample=supersample))).items[0]
    assert (item.mesh.is_coarse, item.lit_mesh.is_coarse) == (False, lit_coarse)


def test_a_picture_whose_light_is_of_the_coarse_mesh_is_nearly_that_of_the_fine_one():
    needs("pbr")
    frames = []
    for error_m in (None, 0.0004):
        made = imported_part(kept(packed_ball(coarse_error_m=error_m)), (0.0, 0.0, 0.05))
        spec = replace(scene([made], frames=1), render=RenderSpec(renderer="pbr", supersample=2))
        frames.append(next(iter(render(spec, still(spec)))))
    fine, coarse = frames
    np.testing.assert_array_equal(fine.ids, coarse.ids)
    np.testing.assert_array_equal(fine.depth_m, coarse.depth_m)
    difference = np.abs(fine.linear - coarse.linear)
    assert 0 < difference.mean() < 0.02 * fine.linear.mean()
