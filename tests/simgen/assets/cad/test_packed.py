import json
import struct
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from hypothesis import example, given
from hypothesis import strategies as st

from simgen.assets.cad.glb import read_chunks
from simgen.assets.cad.packed import KEY, RestingPose, Symmetries, read_packed, write_packed
from simgen.spec.errors import PartFileError
from simgen.spec.geometry import rotation_matrix
from tests.simgen.assets.cad.packed_parts import packed_box

BYTES = write_packed(packed_box())


def with_document(change, data=BYTES):
    """The GLB with its JSON document changed in place by a function."""
    document, block = read_chunks(data, "box.glb")
    change(document)
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(block), 0x004E4942) + block
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def with_fact(key, value):
    return with_document(lambda document: document["extras"][KEY].update({key: value}))


@pytest.mark.parametrize("colours", [False, True])
def test_a_part_comes_back_as_it_was_written(colours):
    part = packed_box(colours=colours)
    again = read_packed(write_packed(part), "box.glb")
    for name in ("vertices_m", "normals", "triangles", "colours"):
        np.testing.assert_array_equal(getattr(again, name), getattr(part, name))
    np.testing.assert_allclose(again.hulls_m[0], part.hulls_m[0], rtol=1e-8)
    for name in ("name", "category", "origin", "material", "density_kg_m3", "symmetries", "notes"):
        assert getattr(again, name) == getattr(part, name)
    assert (*again.inertia_m2, again.volume_m3) == pytest.approx((*part.inertia_m2, part.volume_m3), rel=1e-8)
    for pose, before in zip(again.resting_poses, part.resting_poses, strict=True):
        assert pose.rotation_xyzw == pytest.approx(before.rotation_xyzw)
        assert (pose.height_m, pose.probability) == pytest.approx((before.height_m, before.probability))
    assert len(again.resting_poses) == 6
    assert write_packed(again) == write_packed(part)


def test_a_viewer_sees_the_same_mesh():
    scene = trimesh.load_scene(trimesh.util.wrap_as_stream(BYTES), file_type="glb")
    (mesh,) = scene.geometry.values()
    assert mesh.volume == pytest.approx(6e-6)
    assert mesh.extents == pytest.approx((0.03, 0.02, 0.01))


def test_each_pose_of_the_box_for_tests_stands_on_the_table():
    part = packed_box()
    lowest = [(part.vertices_m @ rotation_matrix(p.rotation_xyzw).T)[:, 2].min() for p in part.resting_poses]
    assert lowest == pytest.approx([-p.height_m for p in part.resting_poses])
    assert len({tuple(np.round(rotation_matrix(p.rotation_xyzw)[2])) for p in part.resting_poses}) == 6


def test_a_plain_glb_is_told_apart():
    with pytest.raises(PartFileError, match=r"^box\.glb: not an imported part: simgen parts add FILE makes one$"):
        read_packed(with_document(lambda document: document.pop("extras")), "box.glb")


NAN = float("nan")
WRONG_FACTS = {
    "schema": (2, "newer than 1"),
    "name": ("../up", "simgen_part.name"),
    "category": ("bolt\nnut", "one line"),
    "density_kg_m3": (NAN, "finite"),
    "volume_m3": (1.0, "does not fit"),
    "inertia_m2": ([1e-5, 1e-5, 1e-4], "no body"),
    "hulls_m": ([[[0.0, 0.0, 0.0]] * 4], "piece 0 is flat"),
    "resting_poses": ([], "resting_poses"),
    "symmetries": ({"rotations_xyzw": [[1, 1, 0, 0]], "axes": []}, "needs the length 1, got 1.41421"),
    "notes": (["a"] * 33, "notes"),
    "more": (1, "Extra inputs"),
}


@pytest.mark.parametrize("fact", sorted(WRONG_FACTS))
def test_a_wrong_fact_is_refused(fact):
    value, said = WRONG_FACTS[fact]
    with pytest.raises(PartFileError, match=said) as caught:
        read_packed(with_fact(fact, value), "box.glb")
    assert str(caught.value).startswith("box.glb: ")
    assert "\n" not in str(caught.value)


def test_probabilities_add_up_to_one():
    (first, *rest) = packed_box().resting_poses
    with pytest.raises(PartFileError, match="add up to"):
        write_packed(replace(packed_box(), resting_poses=(replace(first, probability=0.9), *rest)))


def test_a_pose_may_not_hang_in_the_air():
    pose = RestingPose(rotation_xyzw=(0.0, 0.0, 0.0, 1.0), height_m=0.5, probability=1.0, drop_share=1.0)
    with pytest.raises(PartFileError, match="resting pose 0 holds"):
        write_packed(replace(packed_box(), resting_poses=(pose,)))


def test_far_hulls_and_many_rotations_are_refused():
    far = packed_box().hulls_m[0] * 3
    with pytest.raises(PartFileError, match="reaches far out"):
        write_packed(replace(packed_box(), hulls_m=(far,)))
    with pytest.raises(PartFileError, match="symmetries"):
        write_packed(replace(packed_box(), symmetries=Symmetries(rotations_xyzw=((1.0, 0.0, 0.0, 0.0),) * 500)))


WRONG_MESHES = {
    "index": (lambda d: d["meshes"][0]["primitives"][0].update(indices=99), "array 99"),
    "no mesh": (lambda d: d.pop("meshes"), "its mesh"),
    "count": (lambda d: d["accessors"][0].update(count=10**9), "over the end"),
    "negative": (lambda d: d["bufferViews"][0].update(byteOffset=-4), "over the end"),
    "text": (lambda d: d["accessors"][0].update(count="many"), "array 0"),
    "sparse": (lambda d: d["accessors"][0].update(sparse={}), "has gaps"),
    "fewer corners": (lambda d: d["accessors"][0].update(count=3), "names corner 23 of 3"),
    "other normals": (lambda d: d["accessors"][1].update(count=3), "normals"),
    "whole numbers as positions": (lambda d: d["accessors"][0].update(componentType=5125), "m long"),
}


@pytest.mark.parametrize("fault", sorted(WRONG_MESHES))
def test_a_wrong_mesh_is_refused(fault):
    change, said = WRONG_MESHES[fault]
    with pytest.raises(PartFileError, match=said):
        read_packed(with_document(change), "box.glb")


def test_nothing_but_finite_unit_vectors_is_read():
    part = packed_box()
    for name, values, said in (
        ("vertices_m", part.vertices_m * np.float32(NAN), "positions"),
        ("vertices_m", part.vertices_m * np.float32(1000), "30 m long"),
        ("normals", part.normals * np.float32(2), "not of length 1"),
        ("colours", part.normals * np.float32(2), "between 0 and 1"),
    ):
        with pytest.raises(PartFileError, match=said):
            write_packed(replace(part, **{name: values}))


def test_json_that_is_nested_deep_is_refused():
    text = b"[" * 100_000
    data = struct.pack("<4sIIII", b"glTF", 2, 20 + len(text), len(text), 0x4E4F534A) + text
    with pytest.raises(PartFileError, match="nested too deep"):
        read_packed(data, "deep.glb")


@given(st.integers(0, len(BYTES) - 1), st.integers(0, 255))
@example(2735, 96)  # a huge normal, whose square is no float32
def test_any_changed_byte_is_refused_in_words_or_read(at, value):
    data = BYTES[:at] + bytes([value]) + BYTES[at + 1 :]
    with suppress(PartFileError):
        read_packed(data, "box.glb")
        return
    with pytest.raises(PartFileError, match=r"^box\.glb: [^\n]*$"):
        read_packed(data, "box.glb")


@given(st.integers(0, len(BYTES) - 1))
def test_a_file_that_is_cut_off_is_refused(length):
    with pytest.raises(PartFileError):
        read_packed(BYTES[:length], "box.glb")
