"""Cut-out pictures of other things are flat cards with the picture's outline and colours, and decoys of a scene."""

import json

import cv2
import numpy as np
import pytest

pytest.importorskip("pybullet")

from simgen.assets.cad.packed import write_packed
from simgen.assets.parts import part_model
from simgen.assets.parts.cards import CARD_M, THICKNESS, WHITEST, card
from simgen.assets.parts.library import packed_part
from simgen.assets.parts.mesh import Mesh, mass_properties
from simgen.dataset.contents import contents_of
from simgen.presets.outlines import cutouts
from simgen.presets.read import load_config
from simgen.scene.sampling.sample import sample
from simgen.spec.colour import linear_from_srgb
from simgen.spec.errors import ConfigError

RED, BLUE = (200, 30, 20), (20, 40, 220)


def ring(size=(90, 160)):
    """An ellipse with a hole, red on its left half and blue on its right, on green."""
    height, width = size
    alpha = np.zeros(size, np.uint8)
    cv2.ellipse(alpha, (width // 2, height // 2), (width // 2 - 4, height // 2 - 4), 0, 0, 360, 255, -1)
    cv2.circle(alpha, (width // 2, height // 2), 12, 0, -1)
    pixels = np.full((*size, 3), (0, 255, 0), np.uint8)
    pixels[alpha > 0] = RED
    pixels[:, width // 2 :][alpha[:, width // 2 :] > 0] = BLUE
    return pixels, alpha


def write_png(path, pixels, alpha=None):
    cv2.imwrite(str(path), np.dstack([pixels[..., ::-1], *([] if alpha is None else [alpha])]))


def write_coco(path, polygons, categories=("cup",), file_name="photo.png"):
    rows = [
        {
            "id": k,
            "image_id": 1,
            "category_id": 1 + k % len(categories),
            "bbox": [0, 0, 50, 50],
            "segmentation": polygon,
        }
        for k, polygon in enumerate(polygons)
    ]
    named = [{"id": 1 + k, "name": name} for k, name in enumerate(categories)]
    images = [{"id": 1, "file_name": file_name, "width": 160, "height": 90}]
    path.write_text(json.dumps({"images": images, "annotations": rows, "categories": named}))


@pytest.fixture
def here(tmp_path, monkeypatch):
    folder = tmp_path / "line"
    (folder / "things").mkdir(parents=True)
    monkeypatch.chdir(folder)
    write_png(folder / "things" / "ring.png", *ring())
    write_png(folder / "photo.png", ring()[0])
    write_png(tmp_path / "outside.png", ring()[0])
    return folder


def asked(source, *more):
    return load_config("tiny", ["decoys.kinds=cutouts", f"decoys.cutouts={source}", *more])


def test_a_card_is_a_closed_solid_with_the_outline_and_the_colours_of_the_picture():
    pixels, alpha = ring()
    made = card(pixels, alpha, "a ring!", "cutout", "ring.png")
    assert made.name == "a-ring"
    volume_m3, centre_m, inertia_m2 = mass_properties(Mesh(made.vertices_m.astype(float), made.triangles))
    width_px = np.ptp(np.flatnonzero(alpha.any(0))) + 1
    flat_m3 = (alpha > 0).sum() * (CARD_M / width_px) ** 2 * THICKNESS * CARD_M
    assert volume_m3 == pytest.approx(made.volume_m3, rel=1e-4) == pytest.approx(flat_m3, rel=0.03)
    assert np.abs(centre_m).max() < 1e-6
    assert np.diag(inertia_m2) == pytest.approx(made.inertia_m2, rel=1e-3)
    _, place = np.unique(np.round(made.vertices_m / 1e-7), axis=0, return_inverse=True)
    corners = place.reshape(-1)[made.triangles]
    sides = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])
    forward, back = (sorted(map(tuple, one.tolist())) for one in (sides, sides[:, ::-1]))
    assert forward == back  # each side has its opposite: nothing is open
    faces = np.cross(*(made.vertices_m[made.triangles[:, k]] - made.vertices_m[made.triangles[:, 0]] for k in (1, 2)))
    assert (np.einsum("td,td->t", faces, made.normals[made.triangles[:, 0]]) > 0).all()
    x_m = made.vertices_m[:, 0]
    left, right = made.colours[x_m < -0.005], made.colours[x_m > 0.005]
    if left[0, 0] < left[0, 2]:  # principal axes have no sign
        left, right = right, left
    for side, rgb in ((left, RED), (right, BLUE)):  # and no green: the background is not in the edge
        expected = np.minimum(linear_from_srgb(np.array(rgb) / 255), WHITEST)
        np.testing.assert_allclose(side, np.tile(expected, (len(side), 1)), atol=0.02)


def test_the_picture_is_not_mirrored():
    """Seen from above, with what was up in the picture up, red is on the left."""
    pixels, alpha = np.full((40, 100, 3), RED, np.uint8), np.full((40, 100), 255, np.uint8)
    pixels[:, 50:], pixels[:12] = BLUE, (0, 255, 0)
    made = card(pixels, alpha, "flag", "cutout", "flag.png")
    top = made.normals[:, 2] > 0.5

    def middle(channel):
        return made.vertices_m[top & (made.colours.argmax(axis=1) == channel)].mean(axis=0)

    red, green, blue = (middle(channel) for channel in range(3))
    assert np.cross(blue - red, green - red)[2] > 0


def test_cutouts_are_decoys_of_a_scene_that_the_data_set_holds(here):
    write_coco(here / "things.json", [[[10, 10, 150, 10, 150, 80, 10, 80]]])
    config = asked("[things, things.json]", "decoys.count=12", "decoys.alike_share=1")
    assert {one.name for one in config.decoys.cutouts} == {"ring", "cup-photo"}
    spec = sample(config, 3, 0)
    assert {decoy.source.name for decoy in spec.decoys} == {"ring", "cup-photo"}
    assert {(decoy.material.metallic, decoy.material.contrast) for decoy in spec.decoys} == {(0.0, 0.0)}
    longest_m = [np.ptp(part_model(decoy.source).vertices_m, axis=0).max() for decoy in spec.decoys]
    nuts_m = [2 * part_model(made.source).radius_m for made in spec.parts]
    assert len(set(longest_m)) > 4
    assert 0.2 * min(nuts_m) < min(longest_m) < max(longest_m) < 4 * max(nuts_m)
    places = contents_of(config.model_dump(mode="json"))
    assert {f"meshes/{one.sha256}.glb" for one in config.decoys.cutouts} <= set(places)
    assert asked("[things, things.json]").decoys.cutouts == config.decoys.cutouts  # the same pictures, the same cards


def test_at_most_so_many_cards_are_made(here, monkeypatch):
    monkeypatch.setattr(cutouts, "MOST", 3)
    squares = [[[10 * k, 0, 10 * k + 30, 0, 10 * k + 30, 30, 10 * k, 30 + k]] for k in range(9)]
    write_coco(here / "things.json", squares, ("a", "b", "c", "d", "e", "f", "g", "h", "i"))
    assert [one.name for one in asked("things.json").decoys.cutouts] == ["a-photo", "e-photo", "i-photo"]


def test_a_thing_of_a_category_that_a_part_has_is_refused(here):
    write_coco(here / "things.json", [[[0, 0, 50, 0, 50, 50]]], ("nut",))
    with pytest.raises(ConfigError, match=r"decoys\.cutouts: nut-photo is a 'nut', as parts are: a part without a"):
        asked("things.json")


DOTS = np.zeros((40, 40), np.uint8)
DOTS[::3, ::3] = 255
FAULTS = {
    "nowhere": (lambda here: None, "nowhere: cannot be read: No such file"),
    "empty": (lambda here: (here / "empty").mkdir(), "empty: no picture with transparency in this folder (.png"),
    "photo.png": (lambda here: None, "photo.png: has no transparent pixel: a cut-out needs transparency, or a polygon"),
    "bad.png": (lambda here: (here / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nxx"), "bad.png: image file cannot be"),
    "dots.png": (lambda here: write_png(here / "dots.png", ring((40, 40))[0], DOTS), "under 16 px long"),
    "clear.png": (lambda here: write_png(here / "clear.png", ring()[0], 0 * ring()[1]), "under 16 px long"),
    "line.png": (
        lambda here: write_png(here / "line.png", ring()[0], np.eye(90, 160, dtype=np.uint8) * 255),
        "under 16 px long",
    ),
    "a.json": (lambda here: (here / "a.json").write_text("[" * 100_000), "a.json: cannot be read as JSON"),
    "b.json": (lambda here: write_coco(here / "b.json", [[]]), "b.json: no annotation with a polygon"),
    "c.json": (lambda here: write_coco(here / "c.json", [[[0, 0, 1e300, 9, 9, 9]]]), "no annotation with a polygon"),
    "d.json": (lambda here: write_coco(here / "d.json", [[[5, 5, 6, 6, 5, 6]]]), "none of its 1 polygons is large"),
    "e.json": (
        lambda here: write_coco(here / "e.json", [[[0, 0, 50, 0, 50, 50]]], file_name="../outside.png"),
        "e.json: ../outside.png: ",
    ),
    "f.json": (lambda here: write_coco(here / "f.json", [[[0.0] * 30_000]]), "no annotation with a polygon"),
}


@pytest.mark.parametrize("source", FAULTS)
def test_a_file_that_cannot_be_a_card_is_named_in_one_line(here, source):
    make, says = FAULTS[source]
    make(here)
    with pytest.raises(ConfigError) as caught:
        asked(source)
    (problem,) = caught.value.problems
    assert problem.startswith("--set: decoys.cutouts: ")
    assert says in problem


def test_without_pictures_the_kind_is_refused():
    with pytest.raises(ConfigError, match=r"cutouts needs decoys\.cutouts, a folder of pictures with transparency"):
        load_config("tiny", ["decoys.kinds=cutouts"])


def test_a_polygon_far_over_the_photo_is_cut_at_its_border(here):
    write_coco(here / "things.json", [[[-1e8, -1e8, 1e8, -1e8, 1e8, 1e8, -1e8, 1e8]]])
    (one,) = asked("things.json").decoys.cutouts
    part = packed_part(one.sha256)
    assert len(write_packed(part)) < 600_000
    assert np.ptp(part.vertices_m, axis=0)[:2].tolist() == pytest.approx([CARD_M, CARD_M * 90 / 160], rel=0.05)
