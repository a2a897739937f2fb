"""A data set for the viewer Rerun."""

import sys

import numpy as np
import pytest

from simgen.dataset.format.reader import DataSet
from simgen.dataset.rerun_log import CAMERA, log_clips, part_path, rerun
from simgen.labels.boxes import project
from simgen.spec.errors import ExportError


class Heard:
    """Stands in for a recording, and keeps what is logged."""

    def __init__(self):
        self.now, self.logged = {}, []

    def set_time(self, timeline, sequence):
        self.now[timeline] = sequence

    def log(self, path, *things, static=False):
        self.logged += [(dict(self.now), path, thing) for thing in things]

    def at(self, picture, path, kind):
        return [thing for now, where, thing in self.logged
                if now.get("picture") == picture and where == path and type(thing).__name__ == kind]  # fmt: skip


def test_every_frame_has_its_picture_its_boxes_and_its_parts_in_space(tiny_data_set):
    pytest.importorskip("rerun", reason="needs rerun-sdk, of the extra view")
    data, heard = DataSet(tiny_data_set), Heard()
    assert list(log_clips(heard, [data[0], data[4]], data.categories)) == [0, 4]
    pictures = {now["picture"]: now["scene"] for now, _, _ in heard.logged if "picture" in now}
    assert pictures == {0: 0, 1: 0, 2: 4, 3: 4}
    for number, scene in pictures.items():
        clip, t = data.clip(scene), number % 2
        frame, spec = clip.labels().frames[t], clip.spec()
        (picture,), (boxes,) = (heard.at(number, f"{CAMERA}/picture", "EncodedImage"),
                                heard.at(number, f"{CAMERA}/boxes", "Boxes2D"))  # fmt: skip
        assert bytes(picture.blob.as_arrow_array()[0].values.to_numpy()) == clip.jpeg(t)
        seen = [part.box_xyxy_px for part in frame.parts if part.box_xyxy_px]
        assert len(boxes.centers.as_arrow_array()) == len(seen)
        for part in frame.parts:
            (placed,) = heard.at(number, part_path(part.track_id), "Transform3D")
            where = np.array(placed.translation.as_arrow_array().to_pylist(), float)
            at_px, _ = project(where, spec.camera, t)
            x0, y0, x1, y1 = part.unclipped_box_xyxy_px
            assert x0 < at_px[0, 0] < x1
            assert y0 < at_px[0, 1] < y1
    meshes = [path for _, path, thing in heard.logged if type(thing).__name__ == "Mesh3D"]
    assert len(meshes) == len(data[0].spec().parts) + len(data[4].spec().parts)


def test_without_the_viewer_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(ExportError, match=r'needs rerun-sdk, which is not installed: pip install "sim2line\[view\]"'):
        rerun()
