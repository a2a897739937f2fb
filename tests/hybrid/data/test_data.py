"""Sources say what is there, and what they left out."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from hybrid.core.errors import DataError
from hybrid.data.coco import read_coco
from hybrid.data.pixels import DecodedImages, decode
from hybrid.data.shards import read_shards
from hybrid.data.yolo import read_yolo
from tests.hybrid.photos import CATEGORIES, COLOURS, coco_document, write_coco, write_video


def test_coco_boxes_become_corners_and_categories_go_by_name(tmp_path: Path) -> None:
    document = coco_document()
    source = read_coco(write_coco(tmp_path, document))
    assert source.categories == CATEGORIES
    assert len(source) == 4
    assert not source.skipped
    assert source.counts() == {"bolt": 6, "washer": 6}
    x, y, w, h = document["annotations"][0]["bbox"]
    assert source.clips[0].frames[0].boxes_xyxy_px[0].tolist() == [x, y, x + w, y + h]
    swapped = read_coco(tmp_path / "annotations.json", ("washer", "bolt"))
    for one, other in zip(source.frames, swapped.frames, strict=True):
        assert (one.labels == 1 - other.labels).all()


def test_pixels_under_a_box_have_its_category_s_colour(tmp_path: Path) -> None:
    source = read_coco(write_coco(tmp_path, coco_document(boxes=1)))
    for frame in source.frames:
        left, top, right, bottom = frame.boxes_xyxy_px[0].astype(int)
        inside = decode(frame)[top:bottom, left:right]
        assert (inside == COLOURS[int(frame.labels[0])]).all()


CLIPPED, CLIMBS = "box reached outside its image: clipped", "file name refused: it leaves the data set's folder"
SPOILED = {  # name: (what to change, in which table), the reason it is left out for, boxes that remain of 12
    "outside": ({"bbox": [500.0, 10.0, 20.0, 20.0]}, "annotations", "box outside its image", 11),
    "across the edge": ({"bbox": [110.0, 10.0, 20.0, 20.0]}, "annotations", CLIPPED, 12),
    "no area": ({"bbox": [10.0, 10.0, 0.0, 20.0]}, "annotations", "box without an area", 11),
    "negative": ({"bbox": [10.0, 10.0, -5.0, 20.0]}, "annotations", "box without an area", 11),
    "not finite": ({"bbox": [10.0, float("nan"), 20.0, 20.0]}, "annotations", "box that is not four numbers", 11),
    "huge": ({"bbox": [10.0, 10**400, 20.0, 20.0]}, "annotations", "box that is not four numbers", 11),
    "too small": ({"bbox": [10.0, 10.0, 2.0, 20.0]}, "annotations", "box with a side under 3 px", 11),
    "no numbers": ({"bbox": ["a", 1, 2, 3]}, "annotations", "box that is not four numbers", 11),
    "crowd": ({"iscrowd": 1}, "annotations", "crowd region", 11),
    "same id": ({"id": 2}, "annotations", "annotation id used before: it is read all the same", 12),
    "unknown category": (
        {"category_id": 99}, "annotations", "category that is not listed: neither part nor background", 11),
    "no such image": ({"image_id": 99}, "annotations", "annotation without a usable image", 11),
    "missing file": ({"file_name": "images/none.png"}, "images", "image file missing", 9),
    "climbing name": ({"file_name": "../secret.png"}, "images", CLIMBS, 9),
    "absolute name": ({"file_name": "/etc/secret.png"}, "images", CLIMBS, 9),
    "drive": ({"file_name": "C:\\x.png"}, "images", CLIMBS, 9),
    "other size": ({"width": 60}, "images", "image of another size than stated", 9),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILED)
def test_what_cannot_be_used_is_left_out_counted_and_named(name: str, tmp_path: Path) -> None:
    change, table, reason, remain = SPOILED[name]
    document = coco_document()
    path = write_coco(tmp_path, document)
    document[table][0] |= change
    path.write_text(json.dumps(document))
    source = read_coco(path)
    assert len(source.skipped[reason]) >= 1
    assert sum(source.counts().values()) == remain


def test_a_clipped_box_ends_at_the_image_s_edge(tmp_path: Path) -> None:
    document = coco_document()
    document["annotations"][0]["bbox"] = [110.0, -5.0, 20.0, 20.0]
    source = read_coco(write_coco(tmp_path, document))
    assert source.frames[0].boxes_xyxy_px[0].tolist() == [110.0, 0.0, 120.0, 15.0]


def _bomb(path: Path, width: int, height: int) -> None:
    """A PNG of a few bytes whose header promises width x height pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    body = b"".join(struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


@pytest.mark.parametrize("size", [(60_000, 60_000), (12_000, 12_000)])
def test_a_header_that_promises_too_many_pixels_is_refused(size: tuple[int, int], tmp_path: Path) -> None:
    path = write_coco(tmp_path, coco_document())
    _bomb(tmp_path / "images/0.png", *size)
    (reason,) = read_coco(path).skipped.keys() - {"annotation without a usable image"}
    assert reason.startswith("image refused: more than")


@pytest.mark.parametrize("keep", [0, 100, 0.6])
def test_a_cut_off_jpeg_is_left_out(keep: float, tmp_path: Path) -> None:
    document = coco_document()
    for image in document["images"]:
        image["file_name"] = image["file_name"].replace("png", "jpg")
    path = write_coco(tmp_path, document)
    whole = (tmp_path / "images/2.jpg").read_bytes()
    (tmp_path / "images/2.jpg").write_bytes(whole[: int(keep * len(whole)) if keep < 1 else int(keep)])
    source = read_coco(path)
    ((reason, names),) = source.skipped.items()
    assert reason.startswith("image file cannot be decoded")
    assert names == ("images/2.jpg",)
    assert len(source) == 3


def test_a_set_of_which_nothing_remains_is_an_error_that_says_why(tmp_path: Path) -> None:
    path = write_coco(tmp_path, coco_document(2))
    for file in (tmp_path / "images").iterdir():
        file.unlink()
    with pytest.raises(DataError, match=r"no usable image.*image file missing: 2"):
        read_coco(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "needs a list under 'images'"),
        ('{"images": [], "annotations": {}, "categories": []}', "needs a list under 'annotations'"),
        (
            '{"images": [{"id": 1}], "annotations": [], "categories": []}',
            r"image without a file name: 1 \(such as images\[0\]",
        ),
    ],
)
def test_a_file_that_is_no_coco_json_is_an_error(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=says):
        read_coco(tmp_path / "a.json")
    with pytest.raises(DataError, match="no such file"):
        read_coco(tmp_path / "b.json")


def test_a_video_is_one_clip_in_order_and_is_cut_where_a_frame_lacks(tmp_path: Path) -> None:
    path = write_video(tmp_path, 5)
    document = json.loads(path.read_text())
    document["images"].reverse()
    path.write_text(json.dumps(document))
    (clip,) = read_coco(path).clips
    assert [frame.boxes_xyxy_px[0, 0] for frame in clip.frames] == [20.0, 22.0, 24.0, 26.0, 28.0]
    (tmp_path / "images/2.png").unlink()
    cut = read_coco(path)
    assert [(c.name, len(c.frames)) for c in cut.clips] == [("belt", 2), ("belt+1", 2)]
    assert "sequence cut: a frame is missing or the size changes" in cut.skipped


@pytest.mark.parametrize("stated", ["stored", "shown"])
def test_a_turned_photograph_is_read_in_the_orientation_that_its_labels_state(stated: str, tmp_path: Path) -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:10, :10] = 255
    exif = Pillow.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    (tmp_path / "images").mkdir()
    Pillow.fromarray(pixels).save(tmp_path / "images/0.jpg", exif=exif, quality=95)
    document = coco_document(1, (60, 40) if stated == "stored" else (40, 60), boxes=0)
    document["images"][0]["file_name"] = "images/0.jpg"
    (tmp_path / "a.json").write_text(json.dumps(document))
    image = decode(read_coco(tmp_path / "a.json").frames[0])
    assert image.shape[:2] == ((40, 60) if stated == "stored" else (60, 40))
    corner = image[:8, :8] if stated == "stored" else image[:8, -8:]
    assert corner.mean() > 200


def test_shots_come_from_one_shuffle_and_later_ones_are_others(tmp_path: Path) -> None:
    source = read_coco(write_coco(tmp_path, coco_document(6)))
    few, more = source.take(2), source.take(4)
    assert more.clips[:2] == few.clips
    assert not set(c.name for c in source.take(2, start=4).clips) & set(c.name for c in more.clips)
    assert source.take(6, seed=1).clips != source.take(6).clips
    with pytest.raises(DataError, match=r"cannot take clips 4\.\.7 of 6"):
        source.take(3, start=4)
    assert [c.name for c in source.only(["images/3.png"]).clips] == ["images/3.png"]
    with pytest.raises(DataError, match="no clip"):
        source.only(["images/33.png"])


def test_the_cache_gives_the_pixels_and_keeps_its_bound(tmp_path: Path) -> None:
    frames = read_coco(write_coco(tmp_path, coco_document(4))).frames
    one = decode(frames[0]).nbytes
    cache = DecodedImages(2 * one)
    for frame in (*frames, *frames[::-1]):
        assert (cache.read(frame) == decode(frame)).all()
        assert len(cache._images) <= 2
    assert cache.read(frames[0]) is cache.read(frames[0])
    assert not cache.read(frames[0]).flags.writeable


def _yolo(folder: Path, place: str = "train/images") -> Path:
    (folder / "train/images").mkdir(parents=True)
    (folder / "train/labels").mkdir()
    cv2.imwrite(str(folder / "train/images/a.png"), np.full((100, 200, 3), 90, np.uint8))
    cv2.imwrite(str(folder / "train/images/b.png"), np.full((100, 200, 3), 90, np.uint8))
    (folder / "train/labels/a.txt").write_text(
        "1 0.5 0.5 0.1 0.2\n0 0.1 0.1 0.3 0.1 0.3 0.4\nrubbish\n5 .5 .5 .1 .1\nnan .5 .5 .1 .1\n0 .5 .5 -.1 .1\n"
    )
    (folder / "data.yaml").write_text(f"names: [bolt, washer]\ntrain: {place}\n")
    return folder


@pytest.mark.parametrize("place", ["train/images", "../train/images"])  # the second is how Roboflow exports it
def test_yolo_shares_become_pixels(place: str, tmp_path: Path) -> None:
    source = read_yolo(_yolo(tmp_path, place))
    a, b = source.frames
    assert source.categories == CATEGORIES
    np.testing.assert_allclose(a.boxes_xyxy_px, [[90, 40, 110, 60], [20, 10, 60, 40]], atol=1e-4)
    assert a.labels.tolist() == [1, 0]
    assert len(b.labels) == 0
    assert source.skipped == {
        "class that is not listed: neither part nor background": ("a.png line 4: class 5",),
        "photo without a label file: taken as background": ("b.png",),
        "box without an area": ("a.png line 6",),
        "label line that is no box": ("a.png line 3", "a.png line 5"),
    }


@pytest.mark.parametrize("place", ["/etc", "../../etc", "a/../../etc", "nowhere"])
def test_yolo_folders_outside_the_data_set_are_refused(place: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no folder below"):
        read_yolo(_yolo(tmp_path / "set", place))


def test_yolo_without_a_listing_needs_names(tmp_path: Path) -> None:
    folder = _yolo(tmp_path)
    (folder / "data.yaml").unlink()
    assert len(read_yolo(folder / "train", names=CATEGORIES)) == 2
    with pytest.raises(DataError, match="names given"):
        read_yolo(folder / "train")


def test_shards_give_the_visible_boxes_of_their_labels(tiny_data_set: Path) -> None:
    from simgen.dataset.format.reader import DataSet

    source, stored = read_shards(tiny_data_set), DataSet(tiny_data_set)
    assert source.categories == stored.categories
    assert len(source) == len(stored) == 6
    visible = 0
    for clip, other in zip(source.clips, stored, strict=True):
        assert len(clip.frames) == other.frames == 2
        for number, (frame, labels) in enumerate(zip(clip.frames, other.labels().frames, strict=True)):
            wanted = [p for p in labels.parts if p.box_xyxy_px is not None and p.visible_share >= 0.2]
            wanted = [p for p in wanted if min(np.subtract(p.box_xyxy_px[2:], p.box_xyxy_px[:2])) >= 3]
            assert [source.categories[k] for k in frame.labels] == [p.category for p in wanted]
            np.testing.assert_allclose(frame.boxes_xyxy_px, np.reshape([p.box_xyxy_px for p in wanted], (-1, 4)))
            raw = cv2.imdecode(np.frombuffer(other.jpeg(number), np.uint8), cv2.IMREAD_COLOR)
            assert (decode(frame) == raw[..., ::-1]).all()
            visible += len(wanted)
    assert visible > 0
    with pytest.raises(DataError, match="no finished simgen data set"):
        read_shards(tiny_data_set.parent)


def test_whole_boxes_go_on_while_a_part_is_hidden(occluded_data_set: Path) -> None:
    from simgen.dataset.format.reader import DataSet

    source, hidden = read_shards(occluded_data_set, least_visible=0.5, boxes="whole"), 0
    assert all(frame.hidden is None for frame in read_shards(occluded_data_set).frames)
    for clip, other in zip(source.clips, DataSet(occluded_data_set), strict=True):
        shown: set[int] = set()
        for frame, labels in zip(clip.frames, other.labels().frames, strict=True):
            visible = {p.track_id for p in labels.parts if p.box_xyxy_px is not None and p.visible_share >= 0.5}
            wanted = [p for p in labels.parts if p.track_id in visible | shown and p.amodal_box_xyxy_px is not None]
            wanted = [p for p in wanted if min(np.subtract(p.amodal_box_xyxy_px[2:], p.amodal_box_xyxy_px[:2])) >= 3]
            assert frame.track_ids is not None
            assert frame.hidden is not None
            assert frame.track_ids.tolist() == [p.track_id for p in wanted]
            assert frame.hidden.tolist() == [p.track_id not in visible for p in wanted]
            boxes = np.reshape([p.amodal_box_xyxy_px for p in wanted], (-1, 4))
            np.testing.assert_allclose(frame.boxes_xyxy_px, boxes, atol=1e-3)
            shown |= visible
            hidden += int(frame.hidden.sum())
    assert hidden > 0


def test_parts_outside_the_picture_are_not_among_those_left_out(occluded_data_set: Path) -> None:
    from simgen.dataset.format.reader import DataSet

    parts = [part for clip in DataSet(occluded_data_set) for frame in clip.labels().frames for part in frame.parts]
    unseen = [part for part in parts if part.box_xyxy_px is None or part.visible_share < 0.5]
    inside = [part for part in unseen if part.box_xyxy_px is not None or part.amodal_box_xyxy_px is not None]
    assert 0 < len(inside) < len(unseen)
    skipped = read_shards(occluded_data_set, least_visible=0.5).skipped
    assert len(skipped["part with a visible share below 0.5"]) == len(inside)


def test_whole_boxes_of_a_coco_json_are_its_amodal_ones_where_it_has_them(tmp_path: Path) -> None:
    document = coco_document(images=1, boxes=2)
    first, second = document["annotations"]
    first["amodal_bbox"] = [1.0, 2.0, 30.0, 20.0]
    path = write_coco(tmp_path, document)
    (frame,) = read_coco(path, boxes="whole").frames
    assert frame.boxes_xyxy_px[0].tolist() == [1, 2, 31, 22]
    x, y, width, height = second["bbox"]
    assert frame.boxes_xyxy_px[1].tolist() == pytest.approx([x, y, x + width, y + height])
    assert read_coco(path).frames[0].boxes_xyxy_px[0].tolist() != [1, 2, 31, 22]


def test_the_photographs_are_read_whole(real_data: Path) -> None:
    pool = read_coco(real_data / "bolts_washers/pool/annotations.json")
    assert (len(pool), sum(pool.counts().values()), pool.categories) == (52, 1529, ("bolt", "washer"))
    assert not pool.skipped
    dolly = read_coco(real_data / "dolly_sequence/annotations.json")
    assert [len(clip.frames) for clip in dolly.clips] == [99, 25, 10, 66]
    assert sum(dolly.counts().values()) == 909


def test_which_object_a_box_is_comes_along_where_it_is_reported(tmp_path: Path, tiny_data_set: Path) -> None:
    document = coco_document(images=2, boxes=3)
    assert read_coco(write_coco(tmp_path / "untold", document)).frames[0].track_ids is None
    for k, annotation in enumerate(document["annotations"]):
        annotation["track_id"] = [5, "x", 7][k % 3]
    document["annotations"][0]["bbox"] = [500, 0, 20, 20]  # outside: its object goes with it
    first, second = read_coco(write_coco(tmp_path / "told", document)).frames
    assert first.track_ids is not None
    assert second.track_ids is not None
    assert first.track_ids.tolist() == [-1, 7]
    assert second.track_ids.tolist() == [5, -1, 7]
    for frame in read_shards(tiny_data_set, least_visible=0.3).frames:
        assert frame.track_ids is not None
        assert frame.visible_share is not None
        assert len(set(frame.track_ids.tolist())) == len(frame.labels) == len(frame.visible_share)
        assert ((frame.visible_share >= 0.3) & (frame.visible_share <= 1)).all()
