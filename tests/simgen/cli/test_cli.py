"""The command as a user meets it: clear lines, right exit statuses, nothing on stdout but what was asked for."""

import io
import json
import re
import resource
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from simgen.cli import render
from simgen.cli.common import app
from simgen.dataset.contact_sheet import _draw_boxes
from simgen.dataset.format.manifest import DATA_SET_FORMAT, MANIFEST, Manifest, Quarantined, Request, ShardEntry
from simgen.dataset.format.reader import DataSet
from simgen.presets.layers import presets as known
from simgen.spec.frames import PartLabel
from simgen.spec.types import Pose
from tests.simgen.generation.test_generate import contents

COMMANDS = ("render", "join", "presets", "preview", "replay", "export", "check", "index", "new", "stats", "view")


def simgen(*arguments, status=0):
    """Run the command in this process; its stdout and stderr."""
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == status, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.stdout, result.stderr


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Three scenes of the real pipeline."""
    out = tmp_path_factory.mktemp("cli") / "tiny"
    simgen("render", "--preset", "tiny", "--scenes", 3, "--out", out, "--seed", 4)
    return out


@pytest.fixture
def copied(tiny, tmp_path):
    """A copy of it to damage."""
    for path in tiny.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def edit(folder, shard, member, change):
    """Replace a member of a shard's first clip by bytes of the same length."""
    clip = next(iter(DataSet(folder).table(shard).values()))
    place = clip.members[member]
    data = bytearray((folder / f"shard-{shard:05d}.tar").read_bytes())
    changed = change(bytes(data[place.offset : place.offset + place.size]))
    assert len(changed) == place.size
    data[place.offset : place.offset + place.size] = changed
    (folder / f"shard-{shard:05d}.tar").write_bytes(data)


def _next_digit(match):
    return match[0][:-1] + b"%d" % ((int(match[0][-1:]) + 1) % 10)


def test_help_comes_at_once_and_shows_examples():
    assert {command.name or command.callback.__name__ for command in app.registered_commands} == set(COMMANDS)
    assert _cpu_seconds("--help") < 1.0
    for command in COMMANDS:
        assert f"simgen {command}" in simgen(command, "--help")[0]


def _cpu_seconds(*arguments):
    """Of a process of its own: the time on the clock goes by what else the machine does."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "simgen", *arguments], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_loads_nothing_heavy():
    heavy = {"numpy", "pybullet", "pydantic", "cv2", "yaml"}
    code = f"import sys, simgen.cli; sys.exit(bool({heavy} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_presets_are_listed_with_a_line_each():
    lines = simgen("presets")[0].splitlines()
    assert [line.split()[0] for line in lines] == list(known())
    assert {"bolts_on_table", "conveyor", "tiny"} <= known().keys()
    assert all(line.endswith(".") for line in lines)


def test_a_data_set_of_the_real_pipeline_is_sound_and_does_not_depend_on_workers(tiny, tmp_path):
    command = [sys.executable, "-m", "simgen", "render", "--preset", "tiny", "--scenes", "3", "--seed", "4"]
    done = subprocess.run([*command, "--out", tmp_path / "b", "--workers", "2"], capture_output=True, text=True)
    assert done.returncode == 0
    assert re.fullmatch(r"simgen: note: a typical part \(22 mm\) is about 6\.3 px large .*\n", done.stderr)  # once
    assert done.stdout.startswith(f"3 clips, 6 frames, 0.1 MB in 3 shards: {tmp_path / 'b'}\n")
    assert contents(tmp_path / "b") == contents(tiny)
    assert simgen("check", tiny)[0] == f"{tiny}: 3 clips, nothing wrong\n"
    assert DataSet(tiny).categories == ("bolt", "nut", "washer")


def test_slices_and_a_spent_budget_end_with_the_data_set_of_one_run(tiny, tmp_path):
    """`tiny` again: half as a slice, half by a run that may hold one shard, then by the same run to its end."""
    request = json.loads((tiny / MANIFEST).read_text())["request"]
    asked = ["--preset", "tiny", "--scenes", request["scenes"], "--seed", request["seed"]]
    asked += ["--shard-scenes", request["shard_scenes"]]
    shards = -(-request["scenes"] // request["shard_scenes"])
    output = simgen("render", *asked, "--shards", "0:1", "--out", tmp_path / "a")[0]
    assert f"a slice: 1 of {shards} shards; simgen join" in output
    rest = ["--shards", f"1:{shards}", "--out", tmp_path / "b"]
    budget = simgen("render", *asked, *rest, "--budget", "1kB", status=3)[1]
    assert "the same command with --resume goes on" in budget
    simgen("render", *asked, *rest, "--resume")
    assert "look at it" in simgen("join", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "whole")[0]
    assert contents(tmp_path / "whole") == contents(tiny)


def test_a_dry_run_says_what_it_takes_and_writes_nothing(tmp_path):
    output = simgen(
        "render", "--preset", "tiny", "--scenes", 5000, "--out", tmp_path / "x", "--workers", 2, "--dry-run"
    )[0]
    assert "5000 scenes of tiny, nothing written" in output
    for word in ("time", "with 2 workers", "disk", "free", "memory", "for each worker"):
        assert word in output
    assert not list(tmp_path.iterdir())


def test_a_finished_data_set_is_accepted_with_resume_only(tiny):
    again = ["render", "--preset", "tiny", "--scenes", 3, "--out", tiny, "--seed", 4]
    assert "--resume accepts it" in simgen(*again, status=2)[1]
    assert simgen(*again, "--resume")[0].startswith("3 clips")
    text = simgen(*again, "--resume", "--set", "light.azimuth_deg.low=5", status=2)[1]
    assert "config.light.azimuth_deg.low is 0.0 there, 5.0 was requested" in text


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--scenes", "0"], "simgen: --scenes: needs at least 1, got 0"),
        (["--scenes", "-3"], "simgen: --scenes: needs at least 1, got -3"),
        (["--scenes", "1", "--preset", "tinny"], "simgen: no preset 'tinny'; did you mean 'tiny'?"),
        (["--scenes", "1", "--set", "light.ambiant=3"], "simgen: --set: light.ambiant: no such knob"),
        (["--scenes", "1", "--workers", "0"], "simgen: needs at least one scene, one scene a shard and one worker"),
        (["--scenes", "1", "--shard-scenes", "0"], "simgen: needs at least one scene, one scene a shard"),
    ],
)
def test_a_mistake_is_one_line_on_stderr(tmp_path, arguments, expected):
    stdout, stderr = simgen("render", "--out", tmp_path / "out", *arguments, status=2)
    assert stdout == ""
    assert len(stderr.splitlines()) == 1
    assert stderr.startswith(expected)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", [["preview"], ["check"], ["replay", "0"], ["export", "--out", "x"]])
def test_a_folder_that_is_no_data_set_is_refused(tmp_path, command):
    stderr = simgen(command[0], tmp_path, *command[1:], status=2)[1]
    assert stderr == f"simgen: {tmp_path}: no manifest.json, so no finished simgen data set\n"


def test_an_unwritable_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    stderr = simgen("render", "--preset", "tiny", "--scenes", 1, "--out", tmp_path / "file" / "x", status=2)[1]
    assert "--out needs a folder" in stderr


def test_replay_is_identical_and_names_what_was_tampered_with(tiny, copied):
    members = 1 + 2 * 3
    assert simgen("replay", tiny, 1)[0] == f"scene 1: identical, {members} members\n"
    edit(copied, 1, "json", lambda raw: re.sub(rb'"gamma":\d', b'"gamma":9', raw))
    stdout, stderr = simgen("replay", copied, 1, status=1)
    assert re.fullmatch(r"000001.json: spec.sensor.gamma is [\d.]+ stored, [\d.]+ now\n", stdout)
    assert stderr == f"simgen: scene 1: 1 of {members} members differ\n"
    assert "no scene 3; scenes are 0 to 2" in simgen("replay", copied, 3, status=2)[1]


def test_check_finds_what_is_damaged(copied):
    edit(copied, 2, "json", lambda raw: re.sub(rb'"visible_px":\d+', _next_digit, raw))
    data = (copied / "shard-00001.tar").read_bytes()
    (copied / "shard-00001.tar").write_bytes(data[:-3000])
    (copied / "shard-00000.tar").unlink()
    stdout, stderr = simgen("check", copied, status=1)
    assert "shard-00000.tar: cannot be read: No such file or directory" in stdout
    assert "shard-00001.tar: is not the file of the manifest" in stdout
    assert "shard-00001.tar: cut short at offset" in stdout
    assert re.search(r"shard-00002.tar: clip 2: frame 0: part \d: \d+ visible pixels in the labels, \d+ in the", stdout)
    assert re.fullmatch(rf"simgen: {copied}: \d+ problems\n", stderr)


def test_check_writes_its_report_and_takes_a_coco_json(tiny, copied, tmp_path):
    (copied / "shard-00000.tar").unlink()
    report, page = tmp_path / "report.json", tmp_path / "report.html"
    simgen("check", copied, "--json", report, "--page", page, status=1)
    assert json.loads(report.read_text())["counts"] == {"file": 1}
    assert page.read_text().startswith("<!doctype html>")
    simgen("export", tiny, "--out", tmp_path / "coco")
    labels = tmp_path / "coco" / "annotations.json"
    assert simgen("check", labels)[0].endswith(f"{labels}: 3 clips, 1 warning\n")  # a box of one pixel's width
    image = tmp_path / "coco" / "images" / "000000_001.jpg"
    image.write_bytes(image.with_name("000000_000.jpg").read_bytes())
    stdout, _ = simgen("check", labels)
    assert stdout.startswith("warning: images/000000_001.jpg: the same picture as images/000000_000.jpg\n")
    assert stdout.endswith(": 3 clips, 2 warnings\n")
    assert simgen("check", labels, "--strict", status=1)[1] == f"simgen: {labels}: 2 problems\n"
    assert "no such folder or file" in simgen("check", tmp_path / "nothing", status=2)[1]


@pytest.mark.parametrize("box", [(3.0, 19.7, 9.0, 20.0), (-4.0, -9.0, 40.0, 30.0), (29.9, 2.0, 30.0, 5.0)])
def test_a_whole_parts_box_at_the_rim_is_drawn_inside(box):
    picture = np.zeros((20, 30, 3), np.uint8)
    part = PartLabel(
        track_id=0, category="bolt", box_xyxy_px=None, amodal_box_xyxy_px=box, unclipped_box_xyxy_px=box, visible_px=0,
        visible_share=0.0, camera_from_part=Pose(position_m=(0.0, 0.0, 1.0), rotation_xyzw=(0.0, 0.0, 0.0, 1.0)),
    )  # fmt: skip
    _draw_boxes(picture, part, (9, 9, 9), 1.0)
    assert picture.any()


def test_preview_draws_every_clip_and_frame(tiny, tmp_path):
    import cv2

    stdout, _ = simgen("preview", tiny, "--out", tmp_path / "sheet.png", "--clips", 2, "--frames", 2)
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert stdout == f"{tmp_path / 'sheet.png'} ({sheet.shape[1]} x {sheet.shape[0]})\n"
    assert sheet.shape[1] == 2 * 6 * 96
    assert sheet.shape[0] > 2 * 6 * 72
    assert len(np.unique(sheet.reshape(-1, 3), axis=0)) > 1000
    simgen("preview", tiny)
    assert tiny.with_name("tiny.png").exists()


def test_the_parts_look_as_they_do_inside_their_outlines_and_raw_frames_are_untouched(tiny, tmp_path):
    import cv2

    clip = DataSet(tiny)[0]
    sheet = ["preview", tiny, "--clips", 1, "--frames", 1, "--out"]
    simgen(*sheet, tmp_path / "raw.png", "--raw")
    simgen(*sheet, tmp_path / "drawn.png")
    raw, drawn = (cv2.imread(str(tmp_path / name)) for name in ("raw.png", "drawn.png"))
    assert np.array_equal(raw[::6, ::6], cv2.imdecode(np.frombuffer(clip.jpeg(0), np.uint8), 1))
    drawn = drawn[-raw.shape[0] :]
    ids = np.kron(clip.ids(0), np.ones((6, 6), np.int32))
    same = (raw == drawn).all(axis=2)
    assert same[ids >= 0].mean() > 0.6  # a box or a word may cross a part
    for part in clip.labels().frames[0].parts:
        inside = (ids == part.track_id).astype(np.uint8)
        around = (cv2.dilate(inside, np.ones((3, 3), np.uint8)) > inside) & ~same
        assert around.any() == (part.visible_px > 0)


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_an_animation_has_the_frames_of_one_clip_at_its_speed(tiny, tmp_path, suffix):
    from PIL import Image

    stdout, _ = simgen("preview", tiny, "--scene", 2, "--out", tmp_path / f"a.{suffix}")
    assert stdout.startswith(f"{tmp_path}/a.{suffix} (scene 2, 2 frames, ")
    clip = DataSet(tiny).clip(2)
    with Image.open(tmp_path / f"a.{suffix}") as shown:
        assert (shown.n_frames, shown.size) == (2, (6 * 96, 6 * 72))
        shown.seek(1)
        shown.load()
        assert shown.info["duration"] == pytest.approx(1000 * clip.spec().frame_interval_s, abs=10)
        rgb = np.asarray(shown.convert("RGB"))[::6, ::6].astype(int)
    stored = np.asarray(Image.open(io.BytesIO(clip.jpeg(1))).convert("RGB"))
    assert np.abs(rgb - stored).mean() < 8
    assert "no scene 9" in simgen("preview", tiny, "--scene", 9, "--out", tmp_path / "b.gif", status=2)[1]
    assert "--out: needs the suffix .png" in simgen("preview", tiny, "--out", tmp_path / "b.tiff", status=2)[1]


def test_export_says_where_it_went_and_refuses_to_write_over(tiny, tmp_path):
    stdout, _ = simgen("export", tiny, "--out", tmp_path / "coco")
    assert stdout.startswith(f"{tmp_path / 'coco' / 'annotations.json'}: 6 images, ")
    whole = json.loads((tmp_path / "coco" / "annotations.json").read_text())
    assert len(whole["images"]) == len(list((tmp_path / "coco" / "images").iterdir())) == 6
    assert "exists already" in simgen("export", tiny, "--out", tmp_path / "coco", status=2)[1]
    assert (
        "no format 'yolo'; there are bop, coco, "
        in simgen("export", tiny, "--format", "yolo", "--out", "x", status=2)[1]
    )
    assert (tiny / MANIFEST).exists()


def test_export_reports_what_it_left_out_and_how_it_split(tiny, tmp_path):
    options = ["--format", "yolo-detect", "--split", "0.5,0.5", "--categories", "washer, bolt", "--min-visible", "0.9"]
    stdout, _ = simgen("export", tiny, "--out", tmp_path / "a", *options, "--min-size", 4)
    first, second, third = stdout.splitlines()
    assert re.fullmatch(rf"{tmp_path}/a/data.yaml: 6 images, \d+ labels", first)
    assert re.fullmatch(r"  scenes: [12] train, [12] val", second)
    assert third.startswith("  left out: ")
    assert re.search(r"\d+ of other categories", third)
    assert "names:\n  0: washer\n  1: bolt\n" in (tmp_path / "a" / "data.yaml").read_text()
    assert "needs shares such as" in simgen("export", tiny, "--out", tmp_path / "b", "--split", "most", status=2)[1]
    assert "add up to 1" in simgen("export", tiny, "--out", tmp_path / "b", "--split", "0.5,0.1", status=2)[1]
    assert not (tmp_path / "b").exists()


def test_the_exit_status_says_that_scenes_are_missing_and_which_of_them_resume_makes(capsys):
    reasons = (
        "its worker was killed by SIGKILL, 2 times",
        "ValueError: no such part",
        "its machine failed: MemoryError",
    )
    lost = tuple(Quarantined(index=k, reason=reason) for k, reason in enumerate(reasons))
    request = Request(simgen="0", preset="p", config={}, seed=0, scenes=5, shard_scenes=5)
    entry = ShardEntry(
        name="shard-00000.tar", sha256="0" * 64, bytes=9999, first_scene=0, clips=2, frames=4, quarantined=lost
    )
    manifest = Manifest(format=DATA_SET_FORMAT, request=request, categories=("bolt",), shards=(entry,))
    with pytest.raises(typer.Exit) as caught:
        render._sum_up("out", manifest)
    assert caught.value.exit_code == 4
    text = capsys.readouterr().err
    assert "left out: scene 1: ValueError: no such part" in text
    assert "3 of 5 scenes are missing; the same command with --resume makes 2 of them again" in text
    render._sum_up("out", replace(manifest, shards=(replace(entry, clips=5, quarantined=()),)))
    assert "exit status is 4" in " ".join(simgen("render", "--help")[0].split())
