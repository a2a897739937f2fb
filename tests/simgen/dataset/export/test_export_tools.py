"""Each export is read by the tool that its users use, or by a parser as strict as it."""

import configparser
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from simgen.assets.parts import part_model
from simgen.dataset.export import Filters, export
from simgen.dataset.format.reader import DataSet
from simgen.spec.geometry import transform
from simgen.spec.install import install_hint
from simgen.spec.scene import FamilySize
from simgen.spec.types import Pose
from tests.simgen import clips
from tests.simgen.dataset.export.test_export import expected
from tests.simgen.generation.test_generate import in_this_process, run

SPLIT = Filters(shares=(0.6, 0.2, 0.2))
# pycocotools 2.0.11 asks numpy for a copy in the way of numpy 1.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    out = tmp_path_factory.mktemp("data")
    run(out, make=clips.make_or_raise, engine=in_this_process, scenes=12)
    return DataSet(out)


@pytest.fixture(scope="module")
def rendered(tiny_data_set):
    return DataSet(tiny_data_set)


# ------------------------------------------------------------------------------------------------------- COCO


def test_hybrid_trains_on_the_coco_export_as_clips(data, tmp_path):
    from hybrid.data.coco import read_coco

    export(data, "coco", tmp_path / "out", filters=SPLIT)
    sources = [read_coco(tmp_path / "out" / f"{split}.json", data.categories) for split in ("train", "val", "test")]
    assert sum(map(len, sources)) == len(data)
    for source in sources:
        assert source.categories == data.categories
        assert source.skipped == {}
        assert all(len(clip.frames) == clips.FRAMES for clip in source.clips)


def test_the_video_export_is_as_youtube_vis_has_it(data, tmp_path):
    mask_tools = pytest.importorskip("pycocotools.mask")
    path = export(data, "coco-vid", tmp_path / "out").path
    document = json.loads(path.read_text())
    assert document.keys() == {"info", "licenses", "categories", "videos", "annotations"}
    truth = expected(data)
    videos = {video["id"]: video for video in document["videos"]}
    assert [v["id"] for v in document["videos"]] == list(range(1, len(data) + 1))
    assert len(document["annotations"]) == 2 * len(data)
    for track in document["annotations"]:
        video = videos[track["video_id"]]
        size = video["length"], video["height"], video["width"]
        assert (track["length"], track["height"], track["width"]) == size == (2, clips.HEIGHT, clips.WIDTH)
        assert all(len(track[key]) == video["length"] for key in ("segmentations", "bboxes", "areas"))
        assert track["iscrowd"] == 0
        scene = int(Path(video["file_names"][0]).parent.name)
        assert all((path.parent / "train" / "JPEGImages" / name).is_file() for name in video["file_names"])
        for t, segmentation in enumerate(track["segmentations"]):
            _, box, mask = truth[scene, t][track["track_id"]]
            assert np.array_equal(mask_tools.decode(segmentation), mask)
            assert track["areas"][t] == mask_tools.area(segmentation) == mask.sum()
            assert (
                track["bboxes"][t]
                == list(mask_tools.toBbox(segmentation))
                == [*box[:2], box[2] - box[0], box[3] - box[1]]
            )


def test_a_track_has_null_where_its_part_is_left_out(data, tmp_path):
    """Part 1 is half hidden in every frame; in scene 0 its share is cut between that of its two frames."""
    first = data.clip(0)
    path = export(data, "coco-vid", tmp_path / "out", filters=Filters(min_visible=0.6)).path
    tracks = json.loads(path.read_text())["annotations"]
    assert len(tracks) == len(data)
    assert first.labels().frames[0].parts[1].visible_share < 0.6


# ------------------------------------------------------------------------------------------------------- YOLO


def strict_yolo(folder, outlined):
    """As Ultralytics' dataset reader demands it, and nothing beside it. Boxes by picture.

    Their package is under the AGPL and no dependency, not even of the tests; these are the rules of its
    `verify_image_label`, `check_image` and `check_det_dataset` in release 8.4, where this is stricter or as strict: a
    coordinate may not be above 1 (theirs: 1.01), a line may not stand twice (theirs drops it).
    """
    listing = yaml.safe_load((folder / "data.yaml").read_text())
    assert listing.keys() <= {"train", "val", "test", "names"}
    assert {"train", "val", "names"} <= listing.keys()
    assert list(listing["names"]) == list(range(len(listing["names"])))
    assert all(re.fullmatch(r"\S(.*\S)?", name) for name in listing["names"].values())
    result = {}
    for split in listing.keys() - {"names"}:
        images = folder / listing[split]
        labels = Path(str(images).replace("/images/", "/labels/"))
        assert images.is_dir(), split
        assert sorted(p.stem for p in images.iterdir()) == sorted(p.stem for p in labels.iterdir())
        for file in images.iterdir():
            assert file.read_bytes().endswith(b"\xff\xd9")  # else they take it for cut off, and store it anew
            assert cv2.imread(str(file)).shape[:2] == (clips.HEIGHT, clips.WIDTH) > (9, 9)
            lines = (labels / f"{file.stem}.txt").read_text().splitlines()
            assert len(set(lines)) == len(lines)
            for line in lines:
                index, *shares = line.split()
                assert re.fullmatch(r"\d+", index)
                assert int(index) < len(listing["names"])
                assert all(re.fullmatch(r"[01]\.\d{6}", share) for share in shares)
                numbers = np.array(shares, np.float32)
                assert (numbers >= 0).all()
                assert (numbers <= 1).all()
                assert len(numbers) >= 6 if outlined else len(numbers) == 4
                assert len(numbers) % 2 == 0
            result[split, file.stem] = [(int(line.split()[0]), *map(float, line.split()[1:])) for line in lines]
    return listing, result


@pytest.mark.parametrize("format", ["yolo-detect", "yolo-segment"])
def test_a_strict_parser_takes_the_yolo_exports(data, tmp_path, format):
    export(data, format, tmp_path / "out", filters=SPLIT)
    listing, result = strict_yolo(tmp_path / "out", format == "yolo-segment")
    assert listing["names"] == dict(enumerate(data.categories))
    assert len(result) == 2 * len(data)
    assert sum(map(len, result.values())) == 40
    assert {split for split, _ in result} == {"train", "val", "test"}


@pytest.mark.parametrize("format", ["yolo-detect", "yolo-segment"])
def test_hybrid_reads_the_yolo_exports_with_the_boxes_that_the_data_set_has(data, tmp_path, format):
    from hybrid.data.yolo import read_yolo

    export(data, format, tmp_path / "out", filters=SPLIT)
    truth = expected(data)
    count = 0
    for split in ("train", "val", "test"):
        source = read_yolo(tmp_path / "out", split, data.categories)
        assert source.categories == data.categories
        assert source.skipped == {}
        for frame in source.frames:
            due = truth[tuple(map(int, Path(frame.name).stem.split("_")))]
            assert [source.categories[i] for i in frame.labels] == [category for category, _, _ in due.values()]
            np.testing.assert_allclose(frame.boxes_xyxy_px, [box for _, box, _ in due.values()], atol=1e-3)
            count += len(due)
    assert count == 40


def test_a_yolo_export_that_was_not_split_says_that_its_val_is_its_train(data, tmp_path):
    path = export(data, "yolo-detect", tmp_path / "out").path
    text = path.read_text()
    assert text.startswith("# val is a copy of train")
    assert yaml.safe_load(text)["val"] == yaml.safe_load(text)["train"] == "images/train"
    strict_yolo(tmp_path / "out", outlined=False)


def test_outlines_of_rendered_parts_fill_their_masks_as_trainers_fill_them(rendered, tmp_path):
    """Trainers draw them with OpenCV, which adds the outline's own pixels: up to one pixel round the mask."""
    export(rendered, "yolo-segment", tmp_path / "out")
    around = np.ones((3, 3), np.uint8)
    count = 0
    for clip in rendered:
        for t, frame in enumerate(clip.labels().frames):
            ids = clip.ids(t)
            lines = (tmp_path / "out" / "labels" / "train" / f"{clip.index:06d}_{t:03d}.txt").read_text().splitlines()
            parts = [part for part in frame.parts if part.box_xyxy_px]
            for line, part in zip(lines, parts, strict=True):
                points = np.array(line.split()[1:], float).reshape(-1, 2) * (ids.shape[1], ids.shape[0])
                drawn = cv2.fillPoly(np.zeros(ids.shape, np.uint8), [np.rint(points).astype(np.int32)], 1)
                mask = (ids == part.track_id).astype(np.uint8)
                if len(cv2.connectedComponentsWithStats(mask, connectivity=8)[2]) == 2:  # one piece: no bridge
                    assert not (drawn & ~cv2.dilate(mask, around) & 1).any()
                assert not (mask & ~drawn & 1).any()
                count += 1
    assert count > 20


# -------------------------------------------------------------------------------------------------------- MOT


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_motmetrics_reads_the_tracks(data, tmp_path):
    motmetrics = pytest.importorskip("motmetrics")
    export(data, "mot", tmp_path / "out")
    truth = expected(data)
    names = (tmp_path / "out" / "seqmaps" / "simgen-train.txt").read_text().splitlines()
    assert names == ["name", *(f"{clip.index:06d}" for clip in data)]
    for clip in data:
        folder = tmp_path / "out" / "simgen-train" / f"{clip.index:06d}"
        table = motmetrics.io.loadtxt(folder / "gt" / "gt.txt", fmt="mot16", min_confidence=1)
        assert len(table) == sum(len(truth[clip.index, t]) for t in range(clips.FRAMES)) == 4
        for (frame, identity), row in table.iterrows():
            category, box, mask = truth[clip.index, frame - 1][identity - 1]
            assert (row.X, row.Y, row.X + row.Width, row.Y + row.Height) == box
            assert data.categories[int(row.ClassId) - 1] == category
            assert 0 < row.Visibility <= 1
            assert mask.any()
        info = configparser.ConfigParser()
        info.read(folder / "seqinfo.ini")
        assert dict(info["Sequence"]) == {
            "name": f"{clip.index:06d}", "imdir": "img1", "framerate": "10", "seqlength": "2",
            "imwidth": str(clips.WIDTH), "imheight": str(clips.HEIGHT), "imext": ".jpg",
        }  # fmt: skip
        assert sorted(p.name for p in (folder / "img1").iterdir()) == ["000001.jpg", "000002.jpg"]


@pytest.mark.parametrize("swapped", [False, True])
def test_trackeval_scores_the_truth_full_marks_and_swapped_tracks_less(data, tmp_path, swapped):
    trackeval = pytest.importorskip("trackeval")
    export(data, "mot", tmp_path / "gt")
    sequences = [f"{clip.index:06d}" for clip in data]
    theirs = tmp_path / "trackers" / "simgen-train" / "ours" / "data"
    theirs.mkdir(parents=True)
    for name in sequences:
        rows = [
            line.split(",")
            for line in (tmp_path / "gt" / "simgen-train" / name / "gt" / "gt.txt").read_text().splitlines()
        ]
        if swapped:
            rows = [[row[0], str(3 - int(row[1])) if row[0] == "2" else row[1], *row[2:]] for row in rows]
        (theirs / f"{name}.txt").write_text("".join(",".join([*row[:6], "1", "-1", "-1", "-1"]) + "\n" for row in rows))
    dataset = trackeval.datasets.MotChallenge2DBox({
        "GT_FOLDER": str(tmp_path / "gt"), "TRACKERS_FOLDER": str(tmp_path / "trackers"), "BENCHMARK": "simgen",
        "TRACKERS_TO_EVAL": ["ours"], "DO_PREPROC": False, "PRINT_CONFIG": False,
    })  # fmt: skip
    assert sorted(dataset.seq_list) == sequences
    assert set(dataset.seq_lengths.values()) == {clips.FRAMES}
    truth = expected(data)
    for clip, name in zip(data, sequences, strict=True):
        raw = dataset.get_raw_seq_data("ours", name)
        for t in range(clips.FRAMES):
            boxes = {tuple(x + (i < 2) for i, x in enumerate((b[0], b[1], b[2] - b[0], b[3] - b[1])))
                     for _, b, _ in truth[clip.index, t].values()}  # fmt: skip
            assert {tuple(map(float, box)) for box in raw["gt_dets"][t]} == boxes
        score = trackeval.metrics.HOTA().eval_sequence(dataset.get_preprocessed_seq_data(raw, "pedestrian"))
        np.testing.assert_allclose(score["DetA"], 1)
        assert (score["AssA"] < 0.6).all() if swapped else np.allclose(score["AssA"], 1)


# ------------------------------------------------------------------------------------------------------ KITTI


def test_torchvision_reads_the_kitti_export(data, tmp_path):
    from torchvision.datasets import Kitti

    export(data, "kitti", tmp_path / "out", filters=SPLIT)
    (tmp_path / "Kitti").mkdir()
    (tmp_path / "Kitti" / "raw").symlink_to(tmp_path / "out")
    pictures = Kitti(str(tmp_path), train=True)
    truth = expected(data)
    places = [tuple(map(int, line.split()[1:])) for line in (tmp_path / "out" / "mapping.txt").read_text().splitlines()]
    listed = [(tmp_path / "out" / "ImageSets" / f"{s}.txt").read_text().split() for s in ("train", "val", "test")]
    assert sorted(name for names in listed for name in names) == [f"{i:06d}" for i in range(2 * len(data))]
    assert len(pictures) == 2 * len(data) == len(places)
    for i, (picture, target) in enumerate(pictures[k] for k in range(len(pictures))):
        place = places[int(Path(pictures.images[i]).stem)]
        picture.load()  # torchvision leaves the file open until then
        assert picture.size == (clips.WIDTH, clips.HEIGHT)
        assert [(t["type"], tuple(t["bbox"])) for t in target] == [(c, box) for c, box, _ in truth[place].values()]
        for row in target:
            assert 0 <= row["truncated"] <= 1
            assert row["occluded"] in (0, 1, 2)
            assert (row["alpha"], row["dimensions"], row["location"], row["rotation_y"]) == (
                -10, [-1.0] * 3, [-1000.0] * 3, -10)  # fmt: skip
        assert [row["occluded"] for row in target] == [0, 1]


def test_a_part_at_the_frames_edge_is_truncated_and_not_occluded(rendered, tmp_path):
    export(rendered, "kitti", tmp_path / "out")
    lines = [
        line.split()
        for file in sorted((tmp_path / "out" / "training" / "label_2").iterdir())
        for line in file.read_text().splitlines()
    ]
    parts = [p for clip in rendered for frame in clip.labels().frames for p in frame.parts if p.box_xyxy_px]
    assert len(lines) == len(parts)
    for line, part in zip(lines, parts, strict=True):
        whole, within = part.unclipped_box_xyxy_px, part.amodal_box_xyxy_px
        assert (float(line[1]) > 0.005) == (whole != within and float(line[1]) > 0)
        if part.visible_share == 1:
            assert line[1:3] == ["0.00", "0"]


# ---------------------------------------------------------------------------------------------------- Parquet


def test_pyarrow_and_pandas_read_the_tables(data, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    path = export(data, "parquet", tmp_path / "out", filters=SPLIT).path
    table = parquet.read_table(path).to_pandas()
    frames = parquet.read_table(path.with_name("frames.parquet")).to_pandas()
    assert len(table) == 40
    assert len(frames) == 20
    assert set(table.split) == {"train", "val", "test"}
    assert sorted(table.category.unique()) == sorted({c for p in expected(data).values() for c, _, _ in p.values()})
    assert table[["x0", "y0", "x1", "y1", "visible_share", "mask"]].notna().all().all()
    metadata = parquet.read_schema(path).metadata
    assert metadata[b"categories"] == b"bolt,nut,washer"
    for row in frames.itertuples():
        with (data.folder / row.shard).open("rb") as file:
            file.seek(row.image_offset)
            assert file.read(row.image_bytes) == data.clip(row.scene).jpeg(row.frame)


def test_rows_are_written_in_groups(data, tmp_path, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("simgen.dataset.export.parquet.GROUP_ROWS", 7)
    path = export(data, "parquet", tmp_path / "out").path
    with parquet.ParquetFile(path) as file:
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert sizes == [7, 7, 7, 7, 7, 5]


def test_without_pyarrow_the_command_says_what_to_install(data, tmp_path, monkeypatch):
    import sys

    from simgen.spec.errors import ExportError

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ExportError, match=re.escape(install_hint("parquet"))):
        export(data, "parquet", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


# -------------------------------------------------------------------------------------------------------- BOP

INFO = {"bbox_obj", "bbox_visib", "px_count_all", "px_count_valid", "px_count_visib", "visib_fract"}


def rigid(rotation, position_mm):
    matrix = np.array(rotation).reshape(3, 3)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(matrix) == pytest.approx(1)
    return matrix, np.array(position_mm)


def test_the_bop_export_has_the_fields_that_its_format_says(rendered, tmp_path):
    """bop_toolkit's docs/bop_datasets_format.md, key by key, and its figures made anew from meshes and poses."""
    folder = tmp_path / "out"
    done = export(rendered, "bop", folder)
    objects = json.loads((folder / "objects.json").read_text())
    camera = json.loads((folder / "camera.json").read_text())
    assert camera.keys() == {"cx", "cy", "fx", "fy", "width", "height", "depth_scale"}
    assert sorted(p.name for p in (folder / "train").iterdir()) == [f"{clip.index:06d}" for clip in rendered]
    count = 0
    for clip in rendered:
        scene = folder / "train" / f"{clip.index:06d}"
        cameras, truths, infos = (
            json.loads((scene / f"scene_{name}.json").read_text()) for name in ("camera", "gt", "gt_info")
        )
        assert list(cameras) == list(truths) == list(infos) == [str(t) for t in range(clip.frames)]
        for key in cameras:
            count += len(truths[key])
            check_bop_frame(scene, int(key), cameras[key], truths[key], infos[key], objects, clip)
    assert count == done.counts["poses"] > 20


def check_bop_frame(scene, t, camera, truth, info, objects, clip):
    labels = clip.labels()
    assert camera.keys() == {"cam_K", "depth_scale", "cam_R_w2c", "cam_t_w2c"}
    matrix = np.array(camera["cam_K"]).reshape(3, 3)
    world_to_camera = rigid(camera["cam_R_w2c"], camera["cam_t_w2c"])
    position = np.array(labels.frames[t].world_from_camera.position_m) * 1000
    np.testing.assert_allclose(world_to_camera[0] @ position + world_to_camera[1], 0, atol=1e-6)
    depth = cv2.imread(str(scene / "depth" / f"{t:06d}.png"), cv2.IMREAD_UNCHANGED)
    assert depth.dtype == np.uint16
    assert depth.shape == (labels.height_px, labels.width_px)
    near = np.isfinite(clip.depth_m(t))
    np.testing.assert_allclose((depth * camera["depth_scale"])[near], clip.depth_m(t)[near] * 1000, atol=0.051)
    assert not depth[~near].any()
    masks = sorted(p.name for p in (scene / "mask_visib").glob(f"{t:06d}_*"))
    assert masks == sorted(p.name for p in (scene / "mask").glob(f"{t:06d}_*")) == [
        f"{t:06d}_{i:06d}.png" for i in range(len(truth))]  # fmt: skip
    for i, (pose, row) in enumerate(zip(truth, info, strict=True)):
        assert pose.keys() == {"cam_R_m2c", "cam_t_m2c", "obj_id", "track_id"}
        assert row.keys() == INFO
        whole, visible = (
            cv2.imread(str(scene / f / f"{t:06d}_{i:06d}.png"), cv2.IMREAD_UNCHANGED) for f in ("mask", "mask_visib")
        )
        for mask in (whole, visible):
            assert mask.dtype == np.uint8
            assert set(np.unique(mask)) <= {0, 255}
        assert not (visible & ~whole).any()
        assert row["px_count_visib"] == np.count_nonzero(visible)
        assert row["px_count_valid"] == np.count_nonzero(whole[depth > 0])
        assert row["px_count_all"] >= row["px_count_visib"]
        assert row["visib_fract"] == pytest.approx(row["px_count_visib"] / row["px_count_all"], abs=0.02)
        y, x = np.nonzero(visible)
        assert row["bbox_visib"] == [x.min(), y.min(), x.max() - x.min(), y.max() - y.min()]
        known = objects[str(pose["obj_id"])]
        model = part_model(FamilySize(known["kind"], known["designation"]))
        rotation, position = rigid(pose["cam_R_m2c"], pose["cam_t_m2c"])
        points = (model.vertices_m * 1000) @ rotation.T + position
        pixels = points @ matrix.T
        pixels = pixels[:, :2] / pixels[:, 2:] + 0.5  # their pixel (0, 0) is centred at (0, 0)
        box = [*pixels.min(axis=0), *pixels.max(axis=0)]
        first, last = row["bbox_obj"][:2], np.add(row["bbox_obj"][:2], row["bbox_obj"][2:])
        np.testing.assert_allclose([*first, *(last + 1)], box, atol=1.0)
        if box[0] >= 0 and box[1] >= 0 and box[2] <= labels.width_px and box[3] <= labels.height_px:
            y, x = np.nonzero(whole)
            np.testing.assert_allclose([x.min(), y.min(), x.max() + 1, y.max() + 1], box, atol=1.5)
            assert row["px_count_all"] == pytest.approx(np.count_nonzero(whole), abs=3, rel=0.05)
        seen_mm = (depth * camera["depth_scale"])[visible > 0]
        assert points[:, 2].min() - 1 <= seen_mm.min() <= seen_mm.max() <= points[:, 2].max() + 1


def test_bop_models_are_meshes_in_millimetres(rendered, tmp_path):
    trimesh = pytest.importorskip("trimesh")
    done = export(rendered, "bop", tmp_path / "out")
    objects = json.loads((tmp_path / "out" / "objects.json").read_text())
    infos = json.loads((tmp_path / "out" / "models" / "models_info.json").read_text())
    assert infos.keys() == objects.keys()
    assert len(infos) == done.counts["models"] > 2
    for key, info in infos.items():
        mesh = trimesh.load(tmp_path / "out" / "models" / f"obj_{int(key):06d}.ply", process=False)
        model = part_model(FamilySize(objects[key]["kind"], objects[key]["designation"]))
        assert mesh.volume == pytest.approx(model.volume_m3 * 1e9, rel=1e-3)
        np.testing.assert_allclose(mesh.bounds[0], [info[f"min_{a}"] for a in "xyz"], atol=1e-3)
        np.testing.assert_allclose(mesh.extents, [info[f"size_{a}"] for a in "xyz"], atol=1e-3)
        far = np.linalg.norm(mesh.vertices[:, None] - mesh.vertices[None], axis=2).max()
        assert info["diameter"] == pytest.approx(far, rel=1e-4)


def test_the_pose_that_bop_holds_is_the_labels(rendered, tmp_path):
    export(rendered, "bop", tmp_path / "out")
    clip = rendered[0]
    truths = json.loads((tmp_path / "out" / "train" / f"{clip.index:06d}" / "scene_gt.json").read_text())
    points = np.random.default_rng(0).normal(size=(5, 3))
    count = 0
    for t, frame in enumerate(clip.labels().frames):
        poses = {truth["track_id"]: truth for truth in truths[str(t)]}
        for part in (p for p in frame.parts if p.box_xyxy_px):
            rotation, position = rigid(poses[part.track_id]["cam_R_m2c"], poses[part.track_id]["cam_t_m2c"])
            ours: Pose = part.camera_from_part
            np.testing.assert_allclose(points @ rotation.T + position / 1000, transform(ours, points), atol=1e-9)
            count += 1
    assert count > 0
