"""What is handed out: results that are checked, tracks, files that other tools read, streams beside each other."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path

import motmetrics
import numpy as np
import pytest
import torch
from faster_coco_eval import COCO

from hybrid import Detector
from hybrid.core.errors import DataError
from hybrid.model.network import Network
from hybrid.predict.following import elapsed
from hybrid.predict.io.drawing import TRAIL_FRAMES, Trails, draw_result, extend_trails
from hybrid.predict.io.formats import read_coco_results, read_mot, write_coco_results, write_mot
from hybrid.predict.io.video import Source, SourceFrame
from hybrid.predict.postprocess import postprocess
from hybrid.predict.result import Result
from hybrid.predict.suppression import one_label
from hybrid.predict.tiles import View
from tests.hybrid.variants import build, full

CATEGORIES = ("bolt", "nut")
WHOLE = View(tile_px=None, scales=(1.0,), limit=12)


def result(name: str = "f", ids: tuple[int, ...] = (3, -1), shift: float = 0.0, **changes: object) -> Result:
    boxes = np.array([[10, 12, 30, 40], [50.5, 8, 60, 20]], np.float32)[: len(ids)] + np.float32(shift)
    columns = {
        "boxes_xyxy_px": boxes, "scores": np.array([0.9, 0.4], np.float32)[: len(ids)],
        "labels": np.array([1, 0])[: len(ids)], "track_ids": np.array(ids, np.int64),
    }  # fmt: skip
    return Result(name=name, time_s=None, categories=CATEGORIES, **(columns | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"scores": np.array([0.9], np.float32)}, r"boxes_xyxy_px is \(2, 4\); 1 scores need \(1, 4\)"),
        ({"scores": np.array([0.9, 1.5], np.float32)}, r"a score outside 0\.\.1"),
        ({"labels": np.array([0, 2])}, "a label outside the 2 categories"),
        ({"track_ids": np.array([3, 3])}, "given twice"),
        ({"unseen": np.array([True])}, r"unseen is \(1,\); 2 scores need \(2,\)"),
        ({"visible": np.array([0.5], np.float32)}, r"visible is \(1,\); 2 scores need \(2,\)"),
        ({"visible": np.array([0.5, 1.5], np.float32)}, "a visible share outside"),
        ({"track_ids": np.array([3, -2])}, "below -1"),
        ({"boxes_xyxy_px": np.array([[0, 0, 5, 5], [9, 9, 9, 12]], np.float32)}, "has no area"),
        ({"boxes_xyxy_px": np.array([[0, 0, 5, 5], [0, 0, np.inf, 12]], np.float32)}, "not finite"),
    ],
)
def test_a_result_that_cannot_be_is_refused(changes: dict[str, object], told: str) -> None:
    assert len(result()) == 2
    with pytest.raises(ValueError, match=told):
        result(**changes)


def test_what_is_reported_hidden_says_so_and_is_dashed() -> None:
    seen, told = result(), result(unseen=np.array([False, True]))
    assert [one.get("unseen") for one in told.to_plain()["detections"]] == [None, True]
    assert not any("unseen" in one for one in seen.to_plain()["detections"])
    image = np.full((60, 80, 3), 100, np.uint8)
    plain, dashed = draw_result(image, seen), draw_result(image, told)
    assert (plain[12:40, 10:30] == dashed[12:40, 10:30]).all()
    upper = np.arange(50, 60)
    assert (plain[8, upper] != 100).any(-1).all()
    assert 0.3 < (dashed[8, upper] != 100).any(-1).mean() < 0.8


@pytest.mark.parametrize("tile_px", [None, 64])
def test_a_blank_frame_is_reported_hidden_and_a_clear_one_is_not(tile_px: int | None) -> None:
    network = build("whole boxes", tracks=6)
    view = View(tile_px=tile_px, overlap_px=16, scales=(1.0,), limit=12)
    clear = np.random.default_rng(0).integers(0, 255, (60, 100, 3)).astype(np.uint8)
    detector = Detector(network, view, score=0.05, label_iou=1.0, nested_share=1.0)
    first, second, blank = detector.stream([clear, clear, np.full_like(clear, 128)])
    assert len(first) > 0
    assert not any(first.hidden)
    assert any(blank.hidden)
    assert sum(blank.hidden) > sum(second.hidden)
    assert (blank.track_ids[blank.unseen] >= 0).any()
    unfollowed = Detector(build("cnn"), view).predict(clear)
    assert unfollowed.unseen is None


def test_supervisions_detections_carry_tracks() -> None:
    supervision = pytest.importorskip("supervision", reason="pip install supervision")
    theirs = result(unseen=np.array([False, True]), visible=np.array([0.6, 0.0], np.float32)).to_supervision()
    assert isinstance(theirs, supervision.Detections)
    assert theirs.tracker_id.tolist() == [3, -1]
    assert theirs.data["class_name"].tolist() == ["nut", "bolt"]
    assert theirs.confidence.tolist() == pytest.approx([0.9, 0.4])
    assert theirs.data["hidden"].tolist() == [False, True]
    assert theirs.data["visible"].tolist() == pytest.approx([0.6, 0.0])
    assert result(unseen=np.array([False, True])).to_supervision().data["visible"].tolist() == [1, 0]


def test_coco_results_are_read_by_cocos_api_and_by_us(tmp_path: Path) -> None:
    told = [result("a"), result("b", ()), result("c", (3,), 2.0)]
    path = write_coco_results(told, tmp_path / "found.json")
    rows = json.loads(path.read_text())
    assert rows[0]["bbox"] == [10.0, 12.0, 20.0, 28.0]
    images = [{"id": k, "width": 80, "height": 60} for k in (1, 2, 3)]
    names = [{"id": k + 1, "name": name} for k, name in enumerate(CATEGORIES)]
    known = COCO({"info": {}, "images": images, "annotations": [], "categories": names})
    assert len(known.loadRes(rows).getAnnIds()) == 3
    for one, other in zip(told, read_coco_results(path, ["a", "b", "c"], CATEGORIES), strict=True):
        np.testing.assert_allclose(one.boxes_xyxy_px, other.boxes_xyxy_px, atol=1e-5)
        np.testing.assert_array_equal(one.track_ids, other.track_ids)
        assert one.names == other.names
    with pytest.raises(DataError, match=r"image 3 .* there are 2 images"):
        read_coco_results(path, ["a", "b"], CATEGORIES)
    with pytest.raises(DataError, match="a label outside the 1 categories"):
        read_coco_results(path, ["a", "b", "c"], ("bolt",))
    (tmp_path / "no.json").write_text('{"a": 1}')
    with pytest.raises(DataError, match="no COCO result list"):
        read_coco_results(tmp_path / "no.json", ["a"], CATEGORIES)


def test_mot_lines_are_read_by_motmetrics_and_by_us(tmp_path: Path) -> None:
    told = [result("a"), result("b", ()), result("c", (3, 7), 2.0)]
    path = write_mot(told, tmp_path / "found.txt")
    assert path.read_text().splitlines()[0] == "1,4,11.00,13.00,20.00,28.00,0.9000,-1,-1,-1"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pandas, about motmetrics' own code
        theirs = motmetrics.io.loadtxt(path, fmt="mot15-2D")
    assert theirs.index.tolist() == [(1, 4), (3, 4), (3, 8)]
    assert theirs[["X", "Y", "Width", "Height"]].iloc[0].tolist() == [10, 12, 20, 28]
    ours = read_mot(path, 3)
    assert [one.track_ids.tolist() for one in ours] == [[3], [], [3, 7]]
    np.testing.assert_allclose(ours[2].boxes_xyxy_px, told[2].boxes_xyxy_px, atol=0.01)
    for line in ("1,2,3", "9,1,0,0,5,5,0.5,-1,-1,-1", "1,0,0,0,5,5,0.5", "1,1,nan,0,5,5,0.5"):
        (tmp_path / "no.txt").write_text(line)
        with pytest.raises(DataError, match=r"no\.txt:1: no line of 3 frames"):
            read_mot(tmp_path / "no.txt", 3)


def test_tracks_are_drawn_with_the_way_they_came() -> None:
    image, trails = np.full((80, 120, 3), 100, np.uint8), Trails()
    for k in range(4):
        one = result(shift=10.0 * k)
        trails = extend_trails(trails, one)
    assert trails == {3: [(20, 26), (30, 36), (40, 46), (50, 56)]}
    canvas = draw_result(image, one, trails)
    assert (canvas[31, 25] != 100).any()  # on the way, outside the last box
    assert (draw_result(image, one)[31, 25] == 100).all()
    for _ in range(TRAIL_FRAMES):
        trails = extend_trails(trails, result(ids=()))
    assert trails == {}


@pytest.fixture(scope="module")
def detectors() -> dict[str, Detector]:
    """One whose detector is linked, and one whose detector follows objects itself."""
    made = {}
    for name, tracks in (("linked", 0), ("followed", 4)):
        torch.manual_seed(1)
        config = full(
            ("bolt",),
            width=16,
            heads=2,
            queries=8,
            decoder_layers=1,
            memory_frames=2,
            quiet_start=False,
        )
        network = Network(replace(config, tracks=tracks))
        with torch.no_grad():
            for p in network.decoder.parameters():
                p += 0.1 * torch.randn_like(p)
            for head in network.decoder.score:
                head[-1].bias += 4.0  # sure enough to begin tracks
        made[name] = Detector(network, WHOLE, score=0.0, nested_share=1.0)
    return made


def frames(count: int, seed: int, size: tuple[int, int] = (32, 48)) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 255, (*size, 3)).astype(np.uint8) for _ in range(count)]


def same(one: Result, other: Result) -> None:
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
    np.testing.assert_allclose(one.boxes_xyxy_px, other.boxes_xyxy_px, atol=1e-2)
    np.testing.assert_array_equal(one.track_ids, other.track_ids)


@pytest.mark.parametrize("kind", ["linked", "followed"])
def test_streams_beside_each_other_are_answered_as_alone(detectors: dict[str, Detector], kind: str) -> None:
    detector = detectors[kind]
    clips = [frames(3, 0), frames(2, 1), frames(3, 2, (48, 32))]
    together = list(detector.streams(clips))
    assert [[one is not None for one in row] for row in together] == [[True] * 3, [True] * 3, [True, False, True]]
    for k, clip in enumerate(clips):
        for t, alone in enumerate(detector.stream(clip)):
            beside = together[t][k]
            assert beside is not None
            same(beside, alone)


@pytest.mark.parametrize("kind", ["linked", "followed"])
def test_a_stream_goes_on_where_its_state_was_left(detectors: dict[str, Detector], kind: str) -> None:
    detector, clip = detectors[kind], frames(4, 3)
    whole = list(detector.stream(clip))
    first = list(detector.stream(clip[:2]))
    for one, other in zip(detector.stream(clip[2:], first[-1].state), whole[2:], strict=True):
        same(one, other)
    with pytest.raises(ValueError, match="a frame of 32x48 in a clip of 48x32"):
        next(detector.stream(frames(1, 0, (48, 32)), first[-1].state))
    assert max(one.track_ids.max() for one in whole) >= 0


def timed(times_s: list[float | None]) -> list[SourceFrame]:
    return [SourceFrame("", image, time) for image, time in zip(frames(len(times_s), 5), times_s, strict=True)]


@pytest.mark.parametrize("kind", ["linked", "followed"])
def test_a_lost_frame_is_reported_to_the_network_as_time_that_passed(detectors: dict[str, Detector], kind: str) -> None:
    detector, network = detectors[kind], detectors[kind].network
    lost = timed([0.0, 0.1, 0.2, 0.3, 0.4, 0.6])
    batch = torch.from_numpy(np.stack([frame.image for frame in lost])).permute(0, 3, 1, 2)[None].float() / 255
    with torch.inference_mode():
        output, _ = network(batch, elapsed=torch.tensor([[1.0, 1, 1, 1, 1, 2]]))
    (last,) = postprocess(output, WHOLE.limit, 0.0)[0][-1:]
    told = list(detector.stream(lost))
    if kind == "followed":  # else the scores are those of the tracks
        np.testing.assert_allclose(told[-1].scores, one_label(last).scores, atol=1e-5)
    steady = list(detector.stream(timed([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])))
    for one, other in zip(told[:-1], steady[:-1], strict=True):
        same(one, other)
    assert abs(told[-1].scores.sum() - steady[-1].scores.sum()) > 1e-5
    again = list(detector.stream(lost[5:], told[4].state))
    same(again[0], told[-1])


def test_only_what_is_no_jitter_counts_as_lost_or_burst() -> None:
    def after(times_s: list[float], now: float | None) -> float:
        return elapsed(now, times_s)

    usual = [0.0, 0.04, 0.08, 0.12, 0.16]
    assert after(usual, 0.2) == after(usual, 0.21) == after(usual, 0.19) == 1.0
    assert after(usual, 0.24) == pytest.approx(2)
    assert after(usual, 60.0) == 16.0
    assert after(usual, 0.16) == after(usual, 0.1) == 0.25, "frames at one moment, and a clock put back"
    assert after(usual[:3], 0.24) == 1.0, "too few to know"
    assert after(usual, None) == 1.0
    assert after([], 0.5) == 1.0
    assert after([1.0] * 5, 1.5) == 1.0, "a camera without a clock"


def test_clips_of_one_source_have_ids_of_their_own_and_stills_have_none(detectors: dict[str, Detector]) -> None:
    detector = detectors["linked"]
    small, large = frames(2, 0), frames(2, 1, (48, 32))
    alone = list(detector.stream(large))
    clips = [[SourceFrame("", image) for image in clip] for clip in (small, large)]
    both = list(detector.stream(Source("belt", clips)))
    first, second = (np.concatenate([one.track_ids for one in part]) for part in (both[:2], both[2:]))
    assert first.max() >= 0
    for one in both:
        assert one.followed is not None
        assert set(one.track_ids[one.track_ids >= 0].tolist()) <= set(one.followed.tolist())
    assert second[second >= 0].min() > first.max()
    np.testing.assert_array_equal(second - first.max() - 1, np.concatenate([one.track_ids for one in alone]))
    unfollowed = list(detector.stream(small, tracks=False))
    assert all((one.track_ids == -1).all() and one.unseen is None for one in unfollowed)
    still = SourceFrame("a.png", small[0], still=True)
    with pytest.raises(ValueError, match=r"a\.png: is a still; tracks need a video"):
        list(detector.stream([still], tracks=True))
