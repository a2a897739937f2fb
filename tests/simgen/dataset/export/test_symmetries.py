"""A part may be turned by its symmetries and by nothing between them."""

import numpy as np
import pytest

from simgen.assets.parts import PARTS, part_model
from simgen.dataset.export.common.symmetries import symmetries
from simgen.spec.scene import FamilySize


def matrices(result):
    return [np.array(row).reshape(4, 4) for row in result["symmetries_discrete"]]


@pytest.mark.parametrize(("kind", "around", "flips"), [
    ("washer", None, True), ("hex_nut", 6, True), ("hex_bolt", 6, False), ("hex_screw", 6, False)])  # fmt: skip
def test_fasteners_have_the_symmetries_of_their_shape(kind, around, flips):
    for size in (PARTS[kind].sizes[0], PARTS[kind].sizes[-1]):
        result = symmetries(part_model(FamilySize(kind, size.designation)).vertices_m * 1000)
        if around is None:
            assert result["symmetries_continuous"] == [{"axis": [0, 0, 1], "offset": [0, 0, 0]}]
            assert len(result["symmetries_discrete"]) == 1
        else:
            assert "symmetries_continuous" not in result
            assert len(result["symmetries_discrete"]) == (2 if flips else 1) * around - 1
        for matrix in matrices(result):
            assert np.linalg.det(matrix[:3, :3]) == pytest.approx(1)
            assert matrix[3].tolist() == [0, 0, 0, 1]
            assert not matrix[:3, 3].any()
        assert any(matrix[2, 2] < 0 for matrix in matrices(result)) == flips


def test_what_has_no_symmetry_has_none():
    assert symmetries(np.random.default_rng(0).normal(size=(30, 3))) == {}


def test_a_turn_and_its_repetitions_are_listed_once():
    square = np.array([[1.0, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0], [0, 0, 3]])
    turns = matrices(symmetries(square))
    assert len(turns) == 3
    assert sorted(round(np.degrees(np.arctan2(m[1, 0], m[0, 0]))) % 360 for m in turns) == [90, 180, 270]
