"""Sample k is a function of k; its boxes lie on its pixels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hybrid.core.errors import DataError
from hybrid.data.clips import ClipSource
from hybrid.data.coco import read_coco
from hybrid.data.pixels import decode_depth_m
from hybrid.data.shards import read_shards
from hybrid.predict.tiles import GREY
from hybrid.training.config import AugmentConfig, TrainConfig
from hybrid.training.samples.augment import photometric
from hybrid.training.samples.batch import Batches, loader
from hybrid.training.samples.occluders import hidden_boxes
from hybrid.training.samples.sampler import Sampler, WeightedSource
from hybrid.training.samples.window import Window
from tests.hybrid.photos import CATEGORIES, COLOURS, coco_document, write_coco, write_video


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> ClipSource:
    return read_coco(write_coco(tmp_path_factory.mktemp("photos"), coco_document(5, boxes=2)))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> ClipSource:
    return read_coco(write_video(tmp_path_factory.mktemp("video"), 6), CATEGORIES)


def config(**changes: object) -> TrainConfig:
    return TrainConfig(**({"steps": 6, "warmup_steps": 0, "batch_clips": 4, "tile_px": 64, "workers": 0} | changes))


def only(source: ClipSource) -> list[WeightedSource]:
    return [WeightedSource(source)]


def plain(**changes: object) -> AugmentConfig:
    return AugmentConfig(**({"strength": 0.0, "scale": (1.0, 1.0)} | changes))


def test_sample_k_depends_on_seed_and_k_alone(source: ClipSource) -> None:
    forward, backward = (
        Sampler(only(source), config()),
        Sampler(only(source), config(steps=99, cache_mb=0)),
    )
    first = [forward.sample(k) for k in range(8)]
    again = [backward.sample(k) for k in reversed(range(8))][::-1]
    for one, other in zip(first, again, strict=True):
        assert (one.images == other.images).all()
        assert all((a[0] == b[0]).all() and (a[1] == b[1]).all() for a, b in zip(one.truth, other.truth, strict=True))
    assert len({sample.images.tobytes() for sample in first}) == 8
    other_seed = Sampler(only(source), config(seed=1)).sample(0)
    assert not np.array_equal(other_seed.images, first[0].images)


@pytest.mark.slow
def test_workers_and_a_late_start_change_no_batch(source: ClipSource) -> None:
    batches = Batches(only(source), config())
    wanted = [batches[i] for i in range(2, 6)]
    got = list(loader(batches, 2, 2, pin=False))
    assert len(got) == 4
    for one, other in zip(wanted, got, strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.boxes_xyxy_px, other.boxes_xyxy_px)
        assert torch.equal(one.counts, other.counts)


def test_devices_share_the_batch_that_one_would_see(source: ClipSource) -> None:
    whole = Batches(only(source), config())[3]
    parts = [Batches(only(source), config(), rank, 2)[3] for rank in range(2)]
    assert torch.equal(torch.cat([part.images for part in parts]), whole.images)
    assert torch.equal(torch.cat([part.labels for part in parts]), whole.labels)
    with pytest.raises(DataError, match="shared evenly"):
        Batches(only(source), config(), 0, 3)


def test_targets_are_those_of_their_clip_and_frame(video: ClipSource) -> None:
    batch = Batches(only(video), config(clip_length=3))[0]
    targets = batch.targets()
    assert (len(targets), {len(clip) for clip in targets}) == (4, {3})
    assert [[len(t.labels) for t in clip] for clip in targets] == batch.counts.tolist()


@pytest.mark.parametrize("scale", [0.6, 1.0, 1.7])
def test_boxes_lie_on_the_pixels_of_their_category(source: ClipSource, scale: float) -> None:
    sampler = Sampler(only(source), config(augment=plain(scale=(scale, scale))))
    checked_boxes = 0
    for k in range(40):
        sample = sampler.sample(k)
        for box, label in zip(*sample.truth[0], strict=True):
            left, top = np.ceil(box[:2] + 1).astype(int)
            right, bottom = np.floor(box[2:] - 1).astype(int)
            inside = sample.images[0, top:bottom, left:right].astype(int).reshape(-1, 3)
            centre = inside[len(inside) // 2]
            hidden = np.abs(centre - COLOURS[1 - int(label)]).max() < 30  # by the other part, drawn over it
            assert hidden or np.abs(centre - COLOURS[int(label)]).max() < 30
            checked_boxes += 1
    assert checked_boxes > 30


def test_flips_mirror_pixels_and_boxes_alike() -> None:
    image = np.arange(64 * 64 * 3, dtype=np.uint32).reshape(64, 64, 3).astype(np.uint8)
    box = np.array([[4, 10, 20, 40]], np.float32)
    for flip_x, flip_y in ((True, False), (False, True), (True, True)):
        window = Window(0, 0, 64, flip_x, flip_y)
        (moved,), _ = window.boxes(box, 64, 0.35)
        left, top, right, bottom = moved.astype(int)
        pixels = window.pixels(image, 64)[top:bottom, left:right]
        assert (pixels[:: -1 if flip_y else 1, :: -1 if flip_x else 1] == image[10:40, 4:20]).all()


@pytest.mark.parametrize(("left", "kept"), [(0, True), (12, True), (13, True), (14, False), (30, False)])
def test_a_cut_box_stays_while_enough_of_it_is_inside(left: int, kept: bool) -> None:
    box = np.array([[0, 10, 20, 30]], np.float32)  # 35 % of it remain from x = 13 on
    boxes, keep = Window(left, 0, 64, False, False).boxes(box, 64, 0.35)
    assert keep.tolist() == [kept]
    if kept:
        assert boxes[0].tolist() == [0, 10, 20 - left, 30]


def test_a_tile_larger_than_the_image_is_grey_beyond_it(source: ClipSource) -> None:
    sample = Sampler(only(source), config(tile_px=160, augment=plain(horizontal_flip=0, vertical_flip=0))).sample(0)
    grey = (sample.images[0] == GREY).all(-1)
    assert grey.all(1).sum() == 160 - 90
    assert grey.all(0).sum() == 160 - 120


def test_an_object_as_large_as_the_tile_is_seen_nearly_whole_and_cut_at_any_side(tmp_path: Path) -> None:
    document = coco_document(1, (400, 400), boxes=0)
    box = {"id": 1, "image_id": 1, "category_id": 7, "bbox": [150.0, 160.0, 64.0, 64.0], "iscrowd": 0}
    source = read_coco(write_coco(tmp_path, document | {"annotations": [box]}))
    sampler = Sampler(only(source), config(tile_px=64, augment=plain(object_share=1.0)))
    truth = [sampler.sample(k).truth[0][0] for k in range(40)]
    assert {len(boxes) for boxes in truth} == {1}
    boxes = np.concatenate(truth)
    assert (boxes[:, 2:] - boxes[:, :2]).min() >= 0.75 * 64
    assert (boxes[:, :2].max(0) > 4).all(), "never cut at the right or below"
    assert (boxes[:, 2:].min(0) < 60).all(), "never cut at the left or above"


def test_most_tiles_hold_an_object(source: ClipSource) -> None:
    def share(object_share: float) -> float:
        close = plain(object_share=object_share, scale=(1.3, 1.3))
        sampler = Sampler(only(source), config(tile_px=32, augment=close))
        return float(np.mean([len(sampler.sample(k).truth[0][1]) > 0 for k in range(150)]))

    assert share(1.0) == 1.0
    assert share(0.0) < 0.8


def test_all_frames_of_a_clip_get_the_same_draw_but_for_the_values_of_the_noise(source: ClipSource) -> None:
    still = plain(strength=1.5, still_drift_px=0)
    sampler = Sampler(only(source), config(clip_length=3, blank_probability=0, augment=still))
    plainly = Sampler(only(source), config(clip_length=3, blank_probability=0, augment=plain(still_drift_px=0)))
    changed = noisy = 0
    for k in range(12):
        images = sampler.sample(k).images
        same = bool((images == images[0]).all())
        noisy += not same
        mean = images.astype(float).mean((1, 2))  # of each frame and colour: noise leaves it
        assert same or mean == pytest.approx(np.tile(mean[0], (3, 1)), abs=1.5)
        changed += not np.array_equal(images, plainly.sample(k).images)
    assert changed >= 8
    assert 1 <= noisy <= 8  # noise is drawn for 45 % of the clips


def test_photometric_changes_repeat_by_seed_and_leave_the_input() -> None:
    frames = np.random.default_rng(0).integers(0, 255, (2, 32, 32, 3)).astype(np.uint8)
    before = frames.copy()
    assert (photometric(1.0)(frames, 5) == photometric(1.0)(frames, 5)).all()
    assert len({photometric(1.0)(frames, seed).tobytes() for seed in range(12)}) > 6
    assert (photometric(0.0)(frames, 5) == before).all()
    assert (frames == before).all()


def test_each_frame_of_a_clip_has_its_own_noise_of_one_strength() -> None:
    """The same noise in all frames would teach a memory that noise stays. A still's noise is that of a first frame."""
    grey = np.full((4, 48, 40, 3), 128, np.uint8)
    noisy = 0
    for seed in range(60):
        got = photometric(1.0)(grey, seed).astype(float)
        rest = got - got.mean((1, 2), keepdims=True)
        spread = rest.std((1, 2, 3))
        if spread.min() < 1.0:
            continue
        noisy += 1
        assert spread == pytest.approx(spread.mean(), rel=0.2)
        alike = np.corrcoef(rest.reshape(4, -1))[np.triu_indices(4, 1)]
        assert np.abs(alike).max() < 0.2
        assert (photometric(1.0)(grey[:1], seed) == got[0]).all()
    assert noisy > 5


def test_a_still_shown_as_a_clip_drifts_with_its_boxes(source: ClipSource) -> None:
    sampler = Sampler(only(source), config(clip_length=4, blank_probability=0, augment=plain(still_drift_px=3)))
    samples = [sampler.sample(k) for k in range(10)]
    assert any(not (sample.images == sample.images[0]).all() for sample in samples)


def test_blank_frames_are_grey_never_the_first_and_keep_their_truth(video: ClipSource) -> None:
    sampler = Sampler(only(video), config(clip_length=4, blank_probability=1.0, augment=plain(object_share=1.0)))
    sample = sampler.sample(0)
    assert (sample.images[1:] == GREY).all()
    assert not (sample.images[0] == GREY).all()
    assert all(len(labels) == 1 for _, labels in sample.truth)
    rare = Sampler(only(video), config(clip_length=4, blank_probability=0.25))
    blank = np.mean([[(image == GREY).all() for image in rare.sample(k).images[1:]] for k in range(100)])
    assert 0.15 < blank < 0.35


def test_sources_are_drawn_by_their_weight(source: ClipSource, video: ClipSource) -> None:
    sampler = Sampler([WeightedSource(source, 3.0), WeightedSource(video, 1.0)], config(augment=plain()))
    of_video = np.mean([sampler.sample(k).truth[0][1].tolist() == [0] for k in range(200)])
    only_video = Sampler(
        [WeightedSource(source, 0.0), WeightedSource(video, 1.0)], config(augment=plain(object_share=1.0))
    )
    assert all(only_video.sample(k).truth[0][1].tolist() == [0] for k in range(20))
    assert of_video < 0.6
    with pytest.raises(DataError, match="weight above 0"):
        Sampler([WeightedSource(source, 0.0)], config())
    with pytest.raises(DataError, match="differ in their categories"):
        Sampler([WeightedSource(source), WeightedSource(ClipSource("x", ("nut",), source.clips))], config())


def test_configs_say_what_is_wrong_with_them() -> None:
    with pytest.raises(ValueError, match="cnn_steps: needs fewer than steps = 5"):
        TrainConfig(steps=5, cnn_steps=5)
    with pytest.raises(ValueError, match="scale: needs"):
        AugmentConfig(scale=(2.0, 1.0))
    with pytest.raises(ValueError, match="Extra inputs"):
        TrainConfig(leraning_rate=1.0)
    assert config().identity() == config(workers=2, threads=1, log_every=7).identity()
    assert config().identity() != config(seed=1).identity()


def test_depth_lies_under_the_pixels_whatever_the_window(tiny_data_set):
    """An image made of the depth, cut by `pixels`, and the depth, cut by `depth`, say the same away from edges."""
    frame = read_shards(tiny_data_set).clips[0].frames[0]
    depth_m = decode_depth_m(frame)
    assert depth_m.shape == (frame.height_px, frame.width_px)
    assert 0.2 < np.median(depth_m[depth_m > 0]) < 0.7
    ramp = np.tile(np.linspace(40, 240, 96, dtype=np.float32), (80, 1))
    image = np.repeat(np.round(ramp).astype(np.uint8)[..., None], 3, 2)
    for window in (Window(-8, -4, 64, False, True), Window(20, 10, 48, True, False), Window(5, 5, 32, True, True)):
        pixels, depth = window.pixels(image, 64)[..., 0].astype(float), window.depth(ramp, 64)
        beyond = depth == 0
        assert beyond.any() == (window.left < 0)
        assert np.abs(pixels - depth)[~beyond].max() < 4
    source = read_shards(tiny_data_set).labelled({"000001": 1})
    batch = Batches(only(source), config(clip_length=2), depth=True)[0]
    assert batch.depth_m.shape == (*batch.images.shape[:2], *batch.images.shape[3:])
    assert (batch.depth_m > 0).float().mean() > 0.2
    assert Batches(only(source), config(clip_length=2))[0].depth_m is None
    labels = [clip.label for clip in source.clips]
    assert labels == [1 if clip.name == "000001" else -1 for clip in source.clips]
    clip_labels = [Batches(only(source), config(seed=k))[0].clip_labels for k in range(8)]
    assert 1 in torch.cat([one for one in clip_labels if one is not None]).tolist()
    assert (batch.track_ids >= 0).all()


def test_what_is_hidden_is_reported_of_once_the_sample_has_shown_it(occluded_data_set: Path) -> None:
    source = read_shards(occluded_data_set, least_visible=0.5, boxes="whole")
    hidden = {
        (clip.name, frame.name, int(who))
        for clip in source.clips
        for frame in clip.frames
        if frame.hidden is not None and frame.track_ids is not None
        for who in frame.track_ids[frame.hidden]
    }
    kept_hidden, left_out = 0, 0
    everything = plain(scale=(0.5, 0.5), object_share=0.0, horizontal_flip=0.0, vertical_flip=0.0)
    for clip in source.clips:
        for length in (1, 3, 5):
            one = replace(source, clips=(replace(clip, frames=clip.frames[-length:]),))
            unblanked = config(augment=everything, clip_length=length, blank_probability=0)
            sample = Sampler(only(one), unblanked).sample(0)
            shown: set[int] = set()
            for frame, ids in zip(clip.frames[-length:], sample.track_ids, strict=True):
                mine = {int(who) for who in ids}
                out_of_sight = {who for name, f, who in hidden if (name, f) == (clip.name, frame.name)}
                assert mine & out_of_sight <= shown
                kept_hidden, left_out = kept_hidden + len(mine & out_of_sight), left_out + len(out_of_sight - shown)
                shown |= mine - out_of_sight
    assert kept_hidden > 0
    assert left_out > 0


def test_occluders_hide_objects_and_leave_the_other_draws_alone(occluded_data_set: Path) -> None:
    source = read_shards(occluded_data_set, boxes="whole")
    small = plain(scale=(0.5, 0.5))
    plainly = config(clip_length=4, augment=small, blank_probability=0.0, seed=3)
    passed = plainly.model_copy(update={"augment": small.model_copy(update={"occluders": 1.0})})
    before, after = Sampler(only(source), plainly), Sampler(only(source), passed)
    moved, changed = 0, 0
    for k in range(24):
        one, other = before.sample(k), after.sample(k)
        covered = (one.images != other.images).any(-1)
        assert covered.mean() < 0.9
        moved += int((covered[0] != covered[-1]).any())
        for (boxes, labels), (kept, names), mask in zip(one.truth, other.truth, covered, strict=True):
            assert len(kept) <= len(boxes)
            assert len(kept) == len(names)
            changed += len(boxes) - len(kept)
            kept_boxes = {tuple(box) for box in kept.tolist()}
            for box in boxes:
                x0, y0, x1, y1 = np.round(box).astype(int)
                if mask[y0:y1, x0:x1].mean() < 0.8:
                    assert tuple(box.tolist()) in kept_boxes
            assert set(names.tolist()) <= set(labels.tolist())
    assert moved > 12
    assert changed > 0
    untouched = plainly.model_copy(update={"augment": small.model_copy(update={"occluders": 0.0})})
    assert (Sampler(only(source), untouched).sample(1).images == before.sample(1).images).all()


def test_a_box_is_hidden_from_nine_tenths_on() -> None:
    covered = np.zeros((40, 40), bool)
    covered[10:20, 10:20] = True
    boxes = np.array([[10, 10, 20, 20], [10, 10, 21, 20], [10, 10, 22, 20], [30, 30, 38, 38]], np.float32)
    assert hidden_boxes(covered, boxes).tolist() == [True, True, False, False]
    assert hidden_boxes(covered, boxes[:0]).tolist() == []


def test_a_photo_that_goes_away_during_the_training_is_left_out_with_one_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = read_coco(write_coco(tmp_path, coco_document(3, boxes=2)))
    whole = Sampler(only(photos), config(cache_mb=0))
    before = [whole.sample(k) for k in range(12)]
    gone = photos.frames[1]
    gone.path.unlink()
    photos.frames[2].path.write_bytes(b"no picture")
    after = [whole.sample(k) for k in range(12)]
    error = capsys.readouterr().err
    assert error.count("note: left out of the training") == 2
    assert error.count(str(gone.path)) == 1
    kept = [np.array_equal(a.images, b.images) for a, b in zip(before, after, strict=True)]
    assert 0 < sum(kept) < 12  # samples of the photo that is left are what they were
    again = Sampler(only(photos), config(cache_mb=0))
    assert all(np.array_equal(again.sample(k).images, after[k].images) for k in reversed(range(12)))


@pytest.mark.parametrize("workers", [0, 1])
def test_where_no_photo_can_be_read_the_training_ends_with_one_line(tmp_path: Path, workers: int) -> None:
    photos = read_coco(write_coco(tmp_path, coco_document(2, boxes=2)))
    for frame in photos.frames:
        frame.path.unlink()
    with pytest.raises(DataError, match="none of the images that were drawn can be read") as refused:
        next(loader(Batches(only(photos), config()), 0, workers, pin=False))
    assert "\n" not in str(refused.value)
