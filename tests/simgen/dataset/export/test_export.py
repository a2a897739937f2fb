"""Laws over every row of EXPORTERS: what is exported comes back, all of it or nothing is at its place."""

import json
from dataclasses import replace

import numpy as np
import pytest

from simgen.dataset.export import EXPORTERS, Filters, export
from simgen.dataset.format.reader import DataSet
from simgen.spec.errors import ExportError
from tests.simgen import clips
from tests.simgen.generation.test_generate import in_this_process, run

SCENES = 12
TOLERANCE_PX = 1e-3  # of the coarsest format: YOLO's six digits of a side
EVERY = pytest.mark.parametrize("format", sorted(EXPORTERS))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Ten of twelve scenes: two were left out."""
    out = tmp_path_factory.mktemp("data")
    run(out, make=clips.make_or_raise, engine=in_this_process, scenes=SCENES)
    return DataSet(out)


def expected(data, chosen=lambda part: True):
    """Every visible label of a data set by scene, frame and part: category, box, mask."""
    return {
        (clip.index, t): {
            part.track_id: (part.category, part.box_xyxy_px, clip.ids(t) == part.track_id)
            for part in frame.parts
            if part.box_xyxy_px is not None and chosen(part)
        }
        for clip in data
        for t, frame in enumerate(clip.labels().frames)
    }


def folder_of(format, done):
    return done.path if format in ("mot", "kitti") and done.path.name == "out" else done.path.parent


def read(format, out):
    return list(EXPORTERS[format].read(out))


def assert_same(format, frames, truth):
    row = EXPORTERS[format]
    assert len(frames) == len(truth)
    assert {(f.scene, f.frame) for f in frames} == truth.keys()
    for frame in frames:
        assert (frame.width_px, frame.height_px) == (clips.WIDTH, clips.HEIGHT)
        due = truth[frame.scene, frame.frame]
        assert len(frame.labels) == len(due)
        for label, (track_id, (category, box, mask)) in zip(frame.labels, due.items(), strict=True):
            assert label.category == category
            assert label.box_xyxy_px == pytest.approx(box, abs=TOLERANCE_PX)
            assert label.track_id == (track_id if row.tracks else None)
            assert (label.mask is not None) == row.masks
            if row.masks:
                assert np.array_equal(label.mask, mask)


def test_the_table_has_the_formats_that_the_command_names():
    from simgen.cli.dataset import FORMATS

    assert len(EXPORTERS) == 8
    assert set(FORMATS.rstrip(".").replace(" or", ",").replace(" ", "").split(",")) == EXPORTERS.keys()


@EVERY
def test_what_is_exported_comes_back(data, tmp_path, format):
    steps = []
    done = export(data, format, tmp_path / "out", lambda: steps.append(1))
    assert len(steps) == len(data) == 10
    truth = expected(data)
    assert sum(map(len, truth.values())) == 40
    frames = read(format, tmp_path / "out")
    assert_same(format, frames, truth)
    assert {frame.split for frame in frames} == {"train"}
    assert done.dropped == {"not visible": 20}
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@EVERY
def test_pictures_are_where_the_records_say(data, tmp_path, format):
    export(data, format, tmp_path / "out")
    frames = read(format, tmp_path / "out")
    if format == "parquet":  # pictures stay in the shards
        assert all(frame.image is None for frame in frames)
        return
    for frame in frames:
        jpeg = data.clip(frame.scene).jpeg(frame.frame)
        if format == "kitti":
            from simgen.camera.sensor import decode

            assert np.array_equal(decode(frame.image.read_bytes()), decode(jpeg))
        else:
            assert frame.image.read_bytes() == jpeg


@EVERY
def test_filters_hold_and_what_they_drop_is_counted(data, tmp_path, format):
    filters = Filters(categories=("washer", "bolt"), min_visible=0.6, min_size_px=6.0)
    done = export(data, format, tmp_path / "out", filters=filters)

    def chosen(part):
        return part.category != "nut" and part.visible_share >= 0.6 and _shorter_side(part) >= 6

    truth = expected(data, chosen)
    assert_same(format, read(format, tmp_path / "out"), truth)
    kept = sum(map(len, truth.values()))
    assert kept > 0
    assert done.dropped.keys() == {"of other categories", "not visible", "less than 0.6 visible"}
    assert kept + sum(done.dropped.values()) == 3 * clips.FRAMES * len(data)


def _shorter_side(part):
    x0, y0, x1, y1 = part.box_xyxy_px
    return min(x1 - x0, y1 - y0)


def test_small_boxes_are_dropped_by_their_shorter_side(data, tmp_path):
    done = export(data, "coco", tmp_path / "out", filters=Filters(min_size_px=5.5))
    assert done.dropped == {"not visible": 20, "smaller than 5.5 px": 20}
    assert {label.box_xyxy_px for f in read("coco", tmp_path / "out") for label in f.labels} == {
        box for parts in expected(data, lambda p: p.track_id == 0).values() for _, box, _ in parts.values()
    }


@EVERY
def test_splits_go_by_scene_and_hold_everything_once(data, tmp_path, format):
    done = export(data, format, tmp_path / "out", filters=Filters(shares=(0.6, 0.2, 0.2)))
    frames = read(format, tmp_path / "out")
    assert_same(format, frames, expected(data))
    splits = {}
    for frame in frames:
        splits.setdefault(frame.scene, set()).add(frame.split)
    assert all(len(names) == 1 for names in splits.values())
    assert {name for names in splits.values() for name in names} == {"train", "val", "test"}
    assert sum(done.clips.values()) == len(data)


def test_where_a_scene_goes_does_not_depend_on_the_format_or_on_how_many_there_are(data, tmp_path):
    run(tmp_path / "more", engine=in_this_process, scenes=20)
    filters = Filters(shares=(0.6, 0.2, 0.2))
    result = {}
    for name, source, format in (("a", data, "coco"), ("b", data, "mot"), ("c", DataSet(tmp_path / "more"), "mot")):
        export(source, format, tmp_path / name, filters=filters)
        result[name] = {frame.scene: frame.split for frame in read(format, tmp_path / name)}
    assert result["a"] == result["b"]
    assert result["a"].items() < result["c"].items()


@pytest.mark.parametrize("shares", [(0.8, 0.1, 0.1), (0.9, 0.1), (0.5, 0.0, 0.5), (1.0, 0.0, 0.0)])
def test_every_stretch_of_scenes_is_shared_out_as_asked(data, shares):
    from simgen.dataset.export.common.selection import Selection

    selection = Selection.__new__(Selection)
    selection.filters = Filters(shares=shares)
    for start in (0, 137, 10**9):
        names = [selection.split_of(scene) for scene in range(start, start + 200)]
        for name, share in zip(("train", "val", "test"), (*shares, 0.0), strict=False):
            assert names.count(name) == pytest.approx(200 * share, abs=3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shares": (0.8, 0.1)}, "add up to 1"),
        ({"shares": (1.0,)}, "two or three shares"),
        ({"shares": (1.2, -0.2)}, "two or three shares"),
        ({"shares": (0.999, 0.001)}, "too few scenes: none of 10 falls to val"),
        ({"categories": ("screw",)}, "no \\['screw'\\]; there are bolt, nut, washer"),
        ({"categories": ("nut", "nut")}, "each of them once"),
        ({"min_visible": 1.5}, "a share from 0 to 1"),
        ({"min_visible": float("nan")}, "a share from 0 to 1"),
        ({"min_size_px": -1.0}, "needs pixels"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(data, tmp_path, options, message):
    with pytest.raises(ExportError, match=message):
        export(data, "coco", tmp_path / "out", filters=Filters(**options))
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_format_is_reported(data, tmp_path):
    with pytest.raises(
        ExportError, match="no format 'voc'; there are bop, coco, coco-vid, kitti, mot, parquet, yolo-d"
    ):
        export(data, "voc", tmp_path)


@EVERY
def test_what_stands_there_is_left_alone(data, tmp_path, format):
    for name in ("file", "folder", "link"):
        out = tmp_path / name
        if name == "file":
            out.write_text("mine")
        elif name == "folder":
            out.mkdir()
            (out / "mine").write_text("mine")
        else:
            out.symlink_to(tmp_path / "nowhere")
        with pytest.raises(ExportError, match="exists already"):
            export(data, format, out)
    assert (tmp_path / "file").read_text() == (tmp_path / "folder" / "mine").read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder", "link"]
    (tmp_path / "empty").mkdir()
    export(data, format, tmp_path / "empty")


@EVERY
def test_an_export_that_fails_half_way_leaves_nothing(data, tmp_path, format):
    def fail():
        assert not (tmp_path / "out").exists()
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        export(data, format, tmp_path / "out", fail)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_export_left_is_replaced(data, tmp_path):
    (tmp_path / ".out.partial" / "images").mkdir(parents=True)
    (tmp_path / ".out.partial" / "images" / "000000_000.jpg").write_text("half")
    export(data, "coco", tmp_path / "out")
    assert len(read("coco", tmp_path / "out")) == 20
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_link_in_the_way_is_not_followed(data, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("")
    (tmp_path / ".out.partial").symlink_to(tmp_path / "mine")
    with pytest.raises(ExportError, match="is in the way"):
        export(data, "coco", tmp_path / "out")
    assert (tmp_path / "mine" / "file").exists()


def test_two_exports_to_one_place_do_not_mix(data, tmp_path):
    def second():
        with pytest.raises(ExportError, match="another export is writing there"):
            export(data, "coco", tmp_path / "out")

    export(data, "coco", tmp_path / "out", second)
    assert len(read("coco", tmp_path / "out")) == 20


def test_one_json_goes_beside_its_pictures_and_only_for_coco(data, tmp_path):
    (tmp_path / "notes.txt").write_text("")
    assert export(data, "coco", tmp_path / "labels.json").path == tmp_path / "labels.json"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["images", "labels.json", "notes.txt"]
    assert_same("coco", read("coco", tmp_path / "labels.json"), expected(data))
    for name in ("labels.json", "others.json"):  # images/ is taken
        with pytest.raises(ExportError, match="exists already"):
            export(data, "coco", tmp_path / name)
    with pytest.raises(ExportError, match="mot needs a folder"):
        export(data, "mot", tmp_path / "x.json")
    with pytest.raises(ExportError, match="coco with --split needs a folder"):
        export(data, "coco", tmp_path / "x.json", filters=Filters(shares=(0.5, 0.5)))


@EVERY
def test_a_reader_refuses_what_is_not_its_format(tmp_path, format):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ExportError):
        read(format, tmp_path / "empty")


@EVERY
def test_a_reader_names_the_file_that_is_damaged(data, tmp_path, format):
    done = export(data, format, tmp_path / "out")
    text = {
        "coco": "annotations.json", "coco-vid": "annotations.json", "bop": "train/000000/scene_gt_info.json",
        "yolo-detect": "labels/train/000000_000.txt", "yolo-segment": "labels/train/000000_000.txt",
        "mot": "simgen-train/000000/gt/gt.txt", "kitti": "training/label_2/000000.txt", "parquet": "labels.parquet",
    }[format]  # fmt: skip
    path = tmp_path / "out" / text
    assert path.exists(), done
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ExportError, match="out"):
        read(format, tmp_path / "out")


def test_names_that_lead_out_of_the_folder_are_refused(data, tmp_path):
    path = export(data, "coco", tmp_path / "out").path
    document = json.loads(path.read_text())
    for name in ("../secret.jpg", "/etc/passwd", "a\\..\\..\\b.jpg", "C:/x.jpg"):
        document["images"][0]["file_name"] = name
        path.write_text(json.dumps(document))
        with pytest.raises(ExportError, match="leads out of the folder"):
            read("coco", tmp_path / "out")


def test_a_clip_of_which_nothing_is_left_stays_with_its_pictures(data, tmp_path):
    for format in sorted(EXPORTERS):
        export(data, format, tmp_path / format, filters=replace(Filters(), min_size_px=1000.0))
        assert [frame.labels for frame in read(format, tmp_path / format)] == [()] * 20


BENT = (-0.2, 0.05, 0.001, -0.001, 0.0)


def make_bent(config, seed, index):
    """A clip whose picture a lens distorted."""
    clip = clips.make(config, seed, index)
    return replace(clip, labels=replace(clip.labels, distortion=BENT))


def test_distortion_goes_where_the_format_knows_it_and_is_refused_where_poses_would_miss(tmp_path):
    run(tmp_path / "data", make=make_bent, engine=in_this_process, scenes=2)
    data = DataSet(tmp_path / "data")
    assert data[0].labels().distortion == BENT
    parquet = pytest.importorskip("pyarrow.parquet")
    path = export(data, "parquet", tmp_path / "tables").path
    assert parquet.read_table(path.with_name("frames.parquet"))["distortion"].to_pylist() == [list(BENT)] * 4
    with pytest.raises(ExportError, match=r"bop: scene 0 has lens distortion \(-0.2, 0.05, .* does not support"):
        export(data, "bop", tmp_path / "bop")
    assert not (tmp_path / "bop").exists()
    assert export(data, "coco", tmp_path / "coco").counts  # boxes and masks are of the distorted pixels themselves
