"""A sound data set passes; each kind of damage is named. A replay that differs says where and by how much."""

import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from simgen.dataset.check import Problem, Report, check_data_set
from simgen.dataset.format.reader import DataSet
from simgen.generation.replay import replay_scene
from simgen.spec.errors import ShardError
from simgen.spec.types import BACKGROUND, CLUTTER
from tests.simgen import clips
from tests.simgen.generation.test_generate import in_this_process, run


def made(folder, change=lambda clip: clip, **asked):
    """A data set whose clips were changed before they were stored, checksums and all."""

    def make(config, seed, index):
        return change(clips.make(config, seed, index))

    run(folder, make=make, engine=in_this_process, scenes=2, shard_scenes=1, **asked)
    return DataSet(folder)


def part(clip, t, k, **changes):
    frames = list(clip.labels.frames)
    parts = list(frames[t].parts)
    parts[k] = replace(parts[k], **changes)
    frames[t] = replace(frames[t], parts=tuple(parts))
    return replace(clip, labels=replace(clip.labels, frames=tuple(frames)))


def test_a_sound_data_set_passes(tmp_path):
    steps = []
    run(tmp_path, make=clips.make_or_raise, engine=in_this_process)
    report = check_data_set(DataSet(tmp_path), lambda: steps.append(1))
    assert report.lines == []
    assert (report.clips, report.frames, sum(report.labels.values())) == (5, 10, 20)
    assert len(steps) == 5


DAMAGE = {
    "visible pixels": (lambda c: part(c, 1, 0, visible_px=79), "frame 1: part 0: 79 visible pixels in the labels, 80"),
    "visible share": (lambda c: part(c, 0, 0, visible_share=1.5), "frame 0: part 0: visible share 1.5"),
    "share of a hidden part": (lambda c: part(c, 0, 2, visible_share=0.5), "visible share 0.5 with 0 visible pixels"),
    "box": (lambda c: part(c, 0, 0, box_xyxy_px=(0.0, 0.0, 3.0, 3.0)), "box (0.0, 0.0, 3.0, 3.0) in the labels, ("),
    "box of a hidden part": (lambda c: part(c, 0, 2, box_xyxy_px=(0.0, 0.0, 3.0, 3.0)), "with 0 visible pixels"),
    "no box": (lambda c: part(c, 0, 1, box_xyxy_px=None), "box None with 40 visible pixels"),
    "amodal box": (
        lambda c: part(c, 0, 0, amodal_box_xyxy_px=(20.0, 20.0, 30.0, 30.0)), "is not inside the amodal box (20.0"),
    "unclipped": (
        lambda c: part(c, 0, 2, amodal_box_xyxy_px=(0.0, 0.0, 50.0, 9.0)), "(0.0, 0.0, 50.0, 9.0) is not clipped"),
    "category": (lambda c: part(c, 0, 0, category="screw"), "categories ['screw'] are not in the manifest"),
    "order": (lambda c: part(c, 0, 0, track_id=1), "its labels are not those of the spec's parts"),
    "id": (lambda c: replace(c, ids=np.where(c.ids == 1, 3, c.ids).astype(np.int32)), "ids go from -2 to 3, with 3"),
    "depth": (lambda c: replace(c, depth_m=np.full_like(c.depth_m, np.inf)), "a part's pixel has no depth"),
    "picture": (lambda c: replace(c, jpegs=(c.jpegs[0][:100], c.jpegs[1])), "clip 0"),
    "size": (lambda c: replace(c, ids=c.ids[:, :30], depth_m=c.depth_m[:, :30]), "are not all of the size"),
    "frames": (lambda c: replace(c, jpegs=c.jpegs[:1]), "2 frames have labels, 1 have pictures, the spec says 2"),
    "index": (lambda c: replace(c, spec=replace(c.spec, index=c.spec.index + 5)), "holds clip 5 where clip 0 belongs"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_labels_that_do_not_agree_are_named(tmp_path, damage):
    change, expected = DAMAGE[damage]
    problems = check_data_set(made(tmp_path, change)).lines
    assert any(expected in problem for problem in problems), problems
    assert all(problem.startswith("shard-0000") for problem in problems)


def even(clip, ids, depth_m=0.4, difference=0, colour=(0, 0, 0)):
    """Its first picture is grey, `difference` brighter where the ids hold a part, and has a bar of another colour."""
    picture = np.full((*ids.shape, 3), 90) + difference * (ids >= 0)[..., None]
    picture[:4, 40:] += np.array(colour)
    jpeg = cv2.imencode(".jpg", np.uint8(picture[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    return replace(
        clip,
        jpegs=(jpeg, *clip.jpegs[1:]),
        ids=np.stack([ids, *clip.ids[1:]]),
        depth_m=np.stack([np.full(ids.shape, depth_m, np.float32), *clip.depth_m[1:]]),
    )


BELT = np.full((clips.HEIGHT, clips.WIDTH), BACKGROUND, np.int32)
FILLED = np.full_like(BELT, CLUTTER)
SLIVER = np.pad(np.zeros((5, 1), np.int32), ((9, clips.HEIGHT - 14), (clips.WIDTH - 1, 0)), constant_values=BACKGROUND)
EVEN = {
    "an empty belt": ({"ids": BELT}, "plain"),
    "a thing in front that fills the view": ({"ids": FILLED}, "plain"),
    "a part's sliver that stands out": ({"ids": SLIVER, "difference": 14}, "plain"),
    "a part's sliver that does not": ({"ids": SLIVER}, "blank"),
    "nothing within reach of the depth": ({"ids": BELT, "depth_m": np.inf}, "blank"),
    "a bar as bright as the rest in another colour": ({"ids": BELT, "colour": (40, -21, 3)}, None),
}


@pytest.mark.parametrize("case", EVEN)
def test_a_picture_of_one_colour_is_an_error_unless_the_ids_say_why(tmp_path, case):
    made_of, kind = EVEN[case]
    report = check_data_set(made(tmp_path, lambda clip: even(clip, **made_of) if clip.spec.index == 0 else clip))
    blank = {problem.kind: problem.is_error for problem in report.problems if "frame 0: blank" in str(problem)}
    assert blank == ({} if kind is None else {kind: kind == "blank"})


def test_a_flood_of_problems_is_cut_and_counted(tmp_path, monkeypatch):
    monkeypatch.setattr("simgen.dataset.check.report.MAX_OF_A_KIND", 3)
    report = check_data_set(made(tmp_path, lambda c: replace(c, ids=np.zeros_like(c.ids))))
    assert report.counts == {"ids": 8, "box": 8, "visibility": 4, "depth": 4}
    assert report.errors == 24
    assert len(report.problems) == 12
    assert len(report.lines) == 5  # two kinds of boxes
    assert sum(int(re.search(r"\((\d+) times; also at ", line)[1]) for line in report.lines) == 24


def test_equal_problems_are_one_line_with_their_number_and_the_first_places(monkeypatch):
    monkeypatch.setattr("simgen.dataset.check.report.MAX_OF_A_KIND", 2)
    report = Report(Path("x"), "simgen")
    report.add(Problem("frozen", f"f{k}", f"as f{k - 1}") for k in range(6))
    report.add(Problem("box", f"f{k}", f"box {k / 3} in the labels, -{k}e-05 in the ids") for k in range(2))
    report.add(Problem("box", "g", f"box {word}") for word in ("a\x1b[31m", "b", "c", "b"))
    assert report.lines == [
        "f0: box 0.0 in the labels, -0e-05 in the ids (2 times; also at f1)",
        "g: box a\\x1b[31m",
        "and 3 other problems of the kind 'box'",
        "warning: f0: as f-1 (6 times; also at f1; f2; f3; and 2 more)",
    ]


def test_a_file_that_is_not_the_manifests_is_named(tmp_path):
    data = made(tmp_path)
    raw = bytearray((tmp_path / "shard-00001.tar").read_bytes())
    raw[-1] ^= 1
    (tmp_path / "shard-00001.tar").write_bytes(raw)
    lines = check_data_set(data).lines
    assert lines == ["shard-00001.tar: is not the file of the manifest: its checksum or size differs"]


def test_a_replay_is_identical_or_says_what_differs(tmp_path):
    data = made(tmp_path)
    same = replay_scene(data, 1, None, clips.make)
    assert (same.members, same.differences) == (7, ())
    other = replay_scene(data, 1, None, clips.make_other)
    assert other.differences[0] == "000001.f000.ids.png: 3 of 1728 pixels differ, by 3 at most"
    assert [line.split(":")[0] for line in other.differences if line.startswith("0")] == ["000001.f000.ids.png"]


def test_a_replay_of_other_labels_names_the_key(tmp_path):
    data = made(tmp_path, lambda c: part(c, 1, 0, visible_px=79))
    (line, *_) = replay_scene(data, 0, None, clips.make).differences
    assert line == "000000.json: labels.frames[1].parts[0].visible_px is 79 stored, 80 now"


def test_a_scene_that_was_left_out_cannot_be_replayed(tmp_path):
    run(tmp_path, make=clips.make_or_raise, engine=in_this_process)
    with pytest.raises(ShardError, match="scene 1 could not be made: RuntimeError: scene 1 will not do"):
        replay_scene(DataSet(tmp_path), 1, None, clips.make)
