"""Copy-paste, mosaic and matching, tested by drawing: boxes lie on the pixels that they are of."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from hybrid.core.errors import DataError
from hybrid.data.clips import Clip, ClipSource, FrameRecord
from hybrid.data.coco import read_coco
from hybrid.data.folder import read_folder
from hybrid.data.pixels import decode_ids
from hybrid.training.config import AugmentConfig, TrainConfig
from hybrid.training.samples.paste import Cutout, Place, cut_out, donors, paste
from hybrid.training.samples.sampler import Sample, Sampler, WeightedSource
from hybrid.training.samples.window import Window, place_labels
from simgen.dataset.format.png16 import encode_ids
from tests.hybrid.photos import coco_document, write_coco

RED, GREEN = (230, 40, 40), (40, 220, 40)  # the parts that are cut out, and those on the tiles
SIZE = (96, 96)
DISC = [(24 + 14 * np.cos(a), 30 + 14 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 40, endpoint=False)]


def photo(
    folder: Path, name: str, polygon: list[tuple[float, float]], colour: tuple[int, int, int], label: int
) -> Path:
    """A COCO JSON of one photo: grey, with a part of this outline."""
    image = np.full((SIZE[1], SIZE[0], 3), 110, np.uint8)
    cv2.fillPoly(image, [np.round((np.array(polygon) - 0.5) * 8).astype(np.int32)], colour, shift=3)
    folder.mkdir(exist_ok=True)
    cv2.imwrite(str(folder / f"{name}.png"), image[..., ::-1])
    low, high = np.min(polygon, 0), np.max(polygon, 0)
    row = {"id": 1, "image_id": 1, "category_id": label, "bbox": [*low, *(high - low)]}
    document = {
        "images": [{"id": 1, "file_name": f"{name}.png", "width": SIZE[0], "height": SIZE[1]}],
        "annotations": [row | {"segmentation": [np.array(polygon).ravel().tolist()]}],
        "categories": [{"id": 0, "name": "tile"}, {"id": 1, "name": "part"}],
    }
    (folder / f"{name}.json").write_text(json.dumps(document))
    return folder / f"{name}.json"


@pytest.fixture(scope="module")
def red(tmp_path_factory: pytest.TempPathFactory) -> ClipSource:
    return read_coco(photo(tmp_path_factory.mktemp("red"), "red", DISC, RED, 1), ("tile", "part"))


@pytest.fixture(scope="module")
def green(tmp_path_factory: pytest.TempPathFactory) -> ClipSource:
    square = [(30.0, 20.0), (70.0, 20.0), (70.0, 60.0), (52.0, 60.0), (30.0, 60.0)]
    return read_coco(photo(tmp_path_factory.mktemp("green"), "green", square, GREEN, 0), ("tile", "part"))


def config(clip_length: int = 1, **augment: object) -> TrainConfig:
    plain = {"strength": 0.0, "scale": (1.0, 1.0), "object_share": 0.0, "still_drift_px": 0.0} | augment
    return TrainConfig(tile_px=96, clip_length=clip_length, blank_probability=0, augment=AugmentConfig(**plain))


def of_colour(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return np.asarray((abs(image.astype(int) - colour) < 70).all(-1))


def box_of(mask: np.ndarray) -> list[int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


def red_onto_green(red: ClipSource, green: ClipSource, **augment: object) -> Sampler:
    """Tiles of the green photo alone, onto which the red part alone is pasted."""
    return Sampler(
        [WeightedSource(changed(green, outlines=None), 1.0), WeightedSource(red, 1e-9)],
        config(copy_paste=1.0, **augment),
    )


def changed(source: ClipSource, **fields: Any) -> ClipSource:
    """The source with these fields of all its frames changed."""
    clips = tuple(replace(c, frames=tuple(replace(f, **fields) for f in c.frames)) for c in source.clips)
    return replace(source, clips=clips)


def test_a_pasted_part_has_its_box_and_its_label_and_lies_whole_on_the_tile(red: ClipSource, green: ClipSource) -> None:
    sampler, before = red_onto_green(red, green, least_visible=0.01), Sampler([WeightedSource(green)], config())
    single = 0
    for k in range(12):
        sample, plain = sampler.sample(k), before.sample(k)
        boxes, labels = sample.truth[0]
        pasted = boxes[labels == 1]
        found = of_colour(sample.images[0], RED)
        inside = np.zeros_like(found)
        for left, top, right, bottom in np.round(pasted).astype(int):
            inside[max(0, top - 1) : bottom + 1, max(0, left - 1) : right + 1] = True
        assert not (found & ~inside).any(), "red pixels beside the boxes"
        changed = (sample.images[0] != plain.images[0]).any(-1)
        assert not (changed & ~cv2.dilate(inside.astype(np.uint8), np.ones((9, 9))).astype(bool)).any()
        if len(pasted) == 1:
            single += 1
            np.testing.assert_allclose(pasted[0], box_of(found), atol=1.5)
    assert single >= 2


def test_a_box_under_a_pasted_part_shrinks_to_what_is_left_and_is_dropped_where_little_is(green: ClipSource) -> None:
    frame, window = green.frames[0], Window(0, 0, 96, False, False)
    image = np.zeros((1, 96, 96, 3), np.uint8)
    kept = []
    for width in (10, 20, 30, 41):
        cutout = Cutout(np.full((60, width, 3), 255, np.float32), np.ones((60, width), np.float32), 1)
        place = Place(np.array([30, 10], np.float32), np.zeros((1, 2), np.float32), -1)
        made, (labels,), covered = paste(
            image, place_labels([frame], [window], 96, 0.35), [frame], [window], [(cutout, place)]
        )
        assert (made[0, 10:70, 30 : 30 + width] == 255).all()
        assert covered.sum() == 60 * width
        assert labels.boxes_xyxy_px[1].tolist() == [30, 10, 30 + width, 70]
        kept.append(bool(labels.keep[0]))
        if width < 40:
            assert labels.boxes_xyxy_px[0].tolist() == [30 + width, 20, 70, 60]
    assert kept == [True, True, False, False]  # 75, 50, 25 and 0 % of it are left; 35 % are needed


def test_the_outline_and_not_the_box_decides_what_is_left(red: ClipSource) -> None:
    """A strip over the box's upper left corner, beside the disc, changes nothing."""
    frame, window = red.frames[0], Window(0, 0, 96, False, False)
    before = place_labels([frame], [window], 96, 0.35)
    for flip in (False, True):
        turned = Window(0, 0, 96, flip, False)
        corner = np.array([96 - 10 - 4 if flip else 10, 16], np.float32)
        part = Cutout(np.full((4, 4, 3), 9, np.float32), np.ones((4, 4), np.float32), 1)
        place = Place(corner, np.zeros((1, 2), np.float32), -1)
        placed = place_labels([frame], [turned], 96, 0.35)
        _, (labels,), _ = paste(np.zeros((1, 96, 96, 3), np.uint8), placed, [frame], [turned], [(part, place)])
        assert labels.shares[0] == before[0].shares[0]
        assert labels.boxes_xyxy_px[0].tolist() == placed[0].boxes_xyxy_px[0].tolist()


def test_boxes_of_whole_objects_stay_and_their_objects_are_hidden(green: ClipSource) -> None:
    frame = replace(green.frames[0], hidden=np.zeros(1, bool))
    window = Window(0, 0, 96, False, False)
    part = Cutout(np.full((50, 50, 3), 255, np.float32), np.ones((50, 50), np.float32), 1)
    place = Place(np.array([25, 15], np.float32), np.zeros((1, 2), np.float32), -1)
    placed = place_labels([frame], [window], 96, 0.35)
    _, (labels,), _ = paste(np.zeros((1, 96, 96, 3), np.uint8), placed, [frame], [window], [(part, place)])
    assert labels.boxes_xyxy_px.tolist() == [[30, 20, 70, 60], [25, 15, 75, 65]]
    assert labels.hidden.tolist() == [True, False], "the pasted part does not hide itself"


def test_a_pasted_part_moves_as_an_object_of_the_clip_does_and_gets_a_track(red: ClipSource, green: ClipSource) -> None:
    still = green.frames[0]
    frames = [
        replace(still, boxes_xyxy_px=still.boxes_xyxy_px + np.float32(5 * t), track_ids=np.array([7]), name=str(t))
        for t in range(3)
    ]
    video = changed(replace(green, clips=(Clip("v", tuple(frames)),)), outlines=None)
    sources = [WeightedSource(video, 1.0), WeightedSource(red, 1e-9)]
    sampler = Sampler(sources, config(3, copy_paste=1.0, horizontal_flip=0, vertical_flip=0))
    followed = 0
    for k in range(8):
        sample = sampler.sample(k)
        for track in set(sample.track_ids[0].tolist()) - {7}:
            assert track > 7
            boxes = [b[ids == track] for (b, _), ids in zip(sample.truth, sample.track_ids, strict=True)]
            if all(len(b) and (b > 0).all() and (b < 96).all() for b in boxes):
                followed += 1
                np.testing.assert_allclose(boxes[1] - boxes[0], 5)
                np.testing.assert_allclose(boxes[2] - boxes[0], 10)
    assert followed >= 3


def test_rendered_parts_are_cut_out_by_their_ids(tmp_path: Path) -> None:
    ids = np.full((40, 50), -1, np.int32)
    ids[10:30, 8:20] = 4
    image = np.full((40, 50, 3), 90, np.uint8)
    image[ids == 4] = RED
    parts = cv2.imencode(".png", image[..., ::-1])[1].tobytes(), encode_ids(ids)
    (tmp_path / "shard").write_bytes(b"".join(parts))
    frame = FrameRecord(
        name="f", path=tmp_path / "shard", length=len(parts[0]), width_px=50, height_px=40,
        boxes_xyxy_px=np.array([[8, 10, 20, 30], [30, 10, 45, 30]], np.float32), labels=np.array([1, 0]),
        track_ids=np.array([4, 5]), visible_share=np.array([1, 0.5], np.float32), ids_at=(len(parts[0]), len(parts[1])),
    )  # fmt: skip
    assert (decode_ids(frame) == ids).all()
    (donor,) = donors(ClipSource("s", ("a", "b"), (Clip("c", (frame,)),)))
    assert donor.box == 0, "the other is half hidden"
    cutout = cut_out(donor, image, 2.0, (False, False), 90.0)
    assert cutout is not None
    assert cutout.label == 1
    solid = cutout.opacity > 0.5
    np.testing.assert_allclose(np.diff(np.reshape(box_of(solid), (2, 2)), axis=0)[0], [40, 24], atol=1)
    assert of_colour(cutout.pixels[solid], RED).mean() > 0.95


def test_parts_without_an_outline_are_not_cut_out_and_it_is_an_error_if_there_is_no_other(tmp_path: Path) -> None:
    document = coco_document(2, boxes=2)
    for row in document["annotations"]:
        x, y, w, h = row["bbox"]
        row["segmentation"] = [[x, y, x + w, y, x + w, y + h, x, y + h]]  # as tools write it where there is only a box
    document["annotations"][1]["segmentation"] = [[0, 0, 4, 0, 4, 4]]  # of something else
    source = read_coco(write_coco(tmp_path, document))
    assert all(frame.outlines is None for frame in source.frames)
    with pytest.raises(DataError, match="no labelled part can be cut out"):
        Sampler([WeightedSource(source)], config(copy_paste=0.1))


def test_a_mosaic_is_four_tiles_with_their_own_boxes_and_tracks(red: ClipSource, green: ClipSource) -> None:
    tracked = [changed(source, track_ids=np.array([3])) for source in (red, green)]
    sampler = Sampler([WeightedSource(s) for s in tracked], config(mosaic=1.0, object_share=1.0, least_visible=0.1))
    seen: set[tuple[int, int]] = set()
    for k in range(10):
        sample = sampler.sample(k)
        assert sample.images.shape == (1, 96, 96, 3)
        assert len(set(sample.track_ids[0].tolist())) == len(sample.track_ids[0])
        for box, label in zip(*sample.truth[0], strict=True):
            low, high = box[:2] // 48, np.ceil(box[2:] / 48) - 1
            assert (low == high).all(), "a box across a seam"
            left, top, right, bottom = np.round(box).astype(int)
            found = of_colour(sample.images[0, top:bottom, left:right], (GREEN, RED)[int(label)])
            np.testing.assert_allclose(box_of(found), [0, 0, right - left, bottom - top], atol=1.5)
            seen.add((int(low[0]), int(low[1])))
    assert len(seen) == 4


def test_what_is_switched_on_changes_no_other_draw(red: ClipSource, green: ClipSource) -> None:
    """Of the samples without mosaic, or without a pasted part, every pixel is as before."""
    sources = [WeightedSource(red), WeightedSource(green)]
    plain, some = Sampler(sources, config(2)), Sampler(sources, config(2, mosaic=0.3, copy_paste=0.4))
    same = [(plain.sample(k).images == some.sample(k).images).all() for k in range(24)]
    assert 4 <= sum(same) <= 20


@pytest.fixture(scope="module")
def look(tmp_path_factory: pytest.TempPathFactory) -> ClipSource:
    folder = tmp_path_factory.mktemp("look")
    noise = np.random.default_rng(0).integers(-20, 20, (60, 70, 3))
    cv2.imwrite(str(folder / "a.png"), (np.array([200, 60, 30]) + noise).astype(np.uint8))  # blue; OpenCV stores BGR
    return read_folder(folder, ("tile", "part"))


@pytest.mark.parametrize("method", ["fourier", "histogram"])
def test_a_rendered_tile_gets_the_colours_of_a_photo_and_its_shapes_stay(
    green: ClipSource, look: ClipSource, method: str
) -> None:
    augment = {method: 1.0}
    made = Sampler([WeightedSource(green, look=look)], config(2, **augment)).sample(1)
    plain = Sampler([WeightedSource(green)], config(2)).sample(1)
    shift = made.images[0].mean((0, 1)) - plain.images[0].mean((0, 1))
    assert shift[2] > 15, "more blue"
    assert shift[0] < -15, "less red"
    assert (made.images[0] == made.images[1]).all(), "alike over the frames"
    edges = [abs(np.diff(one.images[0].mean(-1), axis=1)).ravel() for one in (made, plain)]
    assert np.corrcoef(edges)[0, 1] > 0.7
    np.testing.assert_array_equal(made.truth[0][0], plain.truth[0][0])


def test_only_sources_with_photos_to_match_change(green: ClipSource, look: ClipSource) -> None:
    sources = [WeightedSource(green)]
    plain, asked = Sampler(sources, config()), Sampler(sources, config(fourier=0.5, histogram=0.5))
    assert all((plain.sample(k).images == asked.sample(k).images).all() for k in range(4))
    with pytest.raises(ValueError, match="need 1 or less together"):
        AugmentConfig(fourier=0.6, histogram=0.6)


def test_pictures_of_the_empty_place_are_samples_without_boxes(green: ClipSource, look: ClipSource) -> None:
    sampler = Sampler([WeightedSource(green, 0.5), WeightedSource(look, 0.5)], config(object_share=0.7))
    samples: list[Sample] = [sampler.sample(k) for k in range(12)]
    blue = [one.images[0, ..., 2].mean() > one.images[0, ..., 0].mean() + 40 for one in samples]
    assert 2 <= sum(blue) <= 10
    assert all(not len(one.truth[0][1]) for one, is_look in zip(samples, blue, strict=True) if is_look)
