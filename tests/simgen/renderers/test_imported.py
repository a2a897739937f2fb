"""Every renderer draws imported parts where they are, as large as they are, and in the colours of their files."""

from dataclasses import replace

import numpy as np
import pytest

from simgen.assets.parts import part_model
from simgen.assets.parts.mesh import Mesh, neighbours
from simgen.labels.boxes import annotate, project, silhouette_px
from simgen.renderers import RENDERERS, render
from simgen.spec.geometry import invert, transform
from tests.simgen.assets.cad.packed_parts import packed_box
from tests.simgen.imported import imported_part, kept, packed_channel
from tests.simgen.scenes import GREY, needs, part, scene, still

TURNED = (0.3, 0.5, 0.1, 0.8)


def drawn(renderer, parts):
    spec = scene(parts, frames=1)
    spec = replace(spec, render=replace(spec.render, renderer=renderer))
    return spec, next(iter(render(spec, still(spec))))


@pytest.mark.parametrize("renderer", sorted(RENDERERS))
@pytest.mark.parametrize("scale", [None, 0.6])
def test_an_imported_part_is_seen_where_its_mesh_is_and_its_box_is_tight(renderer, scale):
    needs(renderer)
    made = imported_part(kept(packed_channel(), mesh_scale=scale), (0.01, 0.02, 0.05), TURNED)
    spec, frame = drawn(renderer, [part("hex_nut", "M20", (-0.06, 0.0, 0.03)), made])
    box = annotate(spec, still(spec), frame.ids[None]).frames[0].parts[1]
    ys, xs = np.nonzero(frame.ids == 1)
    assert box.box_xyxy_px == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
    np.testing.assert_allclose(box.box_xyxy_px, box.amodal_box_xyxy_px, atol=1.0)
    assert box.visible_share > 0.97
    vertices = transform(made.world_from_part, part_model(made.source).vertices_m)
    depth_m = transform(invert(spec.camera.world_from_camera[0]), vertices)[:, 2]
    shown_m = frame.depth_m[frame.ids == 1]
    assert depth_m.min() - 1e-4 <= shown_m.min() <= shown_m.max() <= depth_m.max() + 1e-4


def test_a_silhouette_is_the_same_without_the_edges_between_front_faces():
    made = imported_part(kept(packed_channel()), (0.01, 0.02, 0.05), TURNED)
    spec, model = scene([made], frames=1), part_model(made.source)
    pixels, _ = project(transform(made.world_from_part, model.vertices_m), spec.camera, 0)
    all_edges, few = silhouette_px(pixels, model.triangles), silhouette_px(pixels, model.triangles, model.neighbours)
    assert all_edges[1] == few[1]
    np.testing.assert_array_equal(all_edges[0], few[0])
    assert (few[0] == 2).any()  # one wall in front of the other


def test_each_edge_of_a_box_has_a_neighbour():
    model = part_model(kept(packed_box()))
    across = model.neighbours
    assert across.shape == (12, 3)
    assert across.min() >= 0
    assert all(i in across[j] for i in range(12) for j in across[i])
    assert all(len({i, *across[i]}) == 4 for i in range(12))
    holed = Mesh(model.vertices_m, model.triangles[1:])
    assert (neighbours(holed) == -1).sum() == 3


@pytest.mark.parametrize("renderer", sorted(RENDERERS))
def test_the_colours_of_the_file_are_kept_unless_the_finish_is_asked_for(renderer):
    """A box whose faces are red across x, green across y and blue across z, of which the camera sees all three."""
    needs(renderer)
    source = kept(packed_box((0.06, 0.06, 0.06), colours=True))
    matt = replace(GREY, roughness=1.0)
    shown = []
    for coloured in (source, replace(source, mesh_colours=False), replace(source, mesh_scale=0.8)):
        made = replace(imported_part(coloured, (0.0, 0.0, 0.05), (0.0, 0.0, 0.38, 0.925)), material=matt)
        _, frame = drawn(renderer, [made])
        seen = frame.linear[frame.ids == 0]
        strongest = np.bincount(seen.argmax(axis=1)[np.ptp(seen, axis=1) > 0.3 * seen.max(axis=1)], minlength=3)
        shown.append(strongest / len(seen))
    assert shown[0].min() > 0.08
    assert shown[0].sum() > 0.9
    assert shown[1].sum() < 0.1
    np.testing.assert_allclose(shown[2], shown[0], atol=0.1)
