"""What pycocotools reads from an export is what the data set holds."""

import json

import numpy as np
import pytest

from simgen.dataset.export import export
from simgen.dataset.format.reader import DataSet
from tests.simgen import clips
from tests.simgen.generation.test_generate import in_this_process, run

mask_tools = pytest.importorskip("pycocotools.mask")
# pycocotools 2.0.11 asks numpy for a copy in the way of numpy 1.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    out = tmp_path_factory.mktemp("coco")
    run(out, make=clips.make_or_raise, engine=in_this_process)
    return DataSet(out)


def test_pycocotools_reads_boxes_masks_and_tracks_as_they_are(data, tmp_path, capsys):
    from pycocotools.coco import COCO

    done = export(data, "coco", tmp_path / "labels.json")
    assert done.path == tmp_path / "labels.json"
    read = COCO(done.path)
    assert done.counts == {"images": 10, "annotations": 20, "videos": 5}
    assert [c["name"] for c in read.loadCats(read.getCatIds())] == list(data.categories)
    count = 0
    for video in read.dataset["videos"]:
        stored = data.clip(int(video["name"]))
        for image in (i for i in read.dataset["images"] if i["video_id"] == video["id"]):
            t = image["frame_index"]
            assert (tmp_path / image["file_name"]).read_bytes() == stored.jpeg(t)
            assert (image["width"], image["height"]) == (clips.WIDTH, clips.HEIGHT)
            parts = {part.track_id: part for part in stored.labels().frames[t].parts if part.visible_px}
            result = read.loadAnns(read.getAnnIds(image["id"]))
            assert {a["track_id"] for a in result} == parts.keys()
            for annotation in result:
                _agrees(annotation, parts[annotation["track_id"]], read, stored.ids(t), data)
                count += 1
    assert count == 20
    assert sorted(p.name for p in tmp_path.iterdir()) == ["images", "labels.json"]


def _agrees(annotation, part, read, ids, data):
    mask = read.annToMask(annotation)
    assert np.array_equal(mask, ids == part.track_id)
    assert mask.sum() == annotation["area"] == part.visible_px
    x0, y0, x1, y1 = part.box_xyxy_px
    assert annotation["bbox"] == [x0, y0, x1 - x0, y1 - y0] == list(mask_tools.toBbox(read.annToRLE(annotation)))
    x0, y0, x1, y1 = part.amodal_box_xyxy_px
    assert annotation["amodal_bbox"] == [x0, y0, x1 - x0, y1 - y0]
    assert annotation["visible_share"] == part.visible_share
    assert data.categories[annotation["category_id"] - 1] == part.category
    assert annotation["iscrowd"] == 0


def test_the_json_is_one_document(data, tmp_path):
    path = export(data, "coco", tmp_path / "out").path
    assert json.loads(path.read_text()).keys() == {"info", "categories", "images", "annotations", "videos"}
