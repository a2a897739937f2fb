"""The same bytes for any number of workers, for a run that was killed, and whatever its scenes do."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from simgen.dataset.format.manifest import MANIFEST, Request
from simgen.dataset.format.reader import DataSet
from simgen.generation import engines as engine
from simgen.generation import run as generate
from simgen.generation.budget import Budget, estimate, parse_budget
from simgen.generation.engines import Plan, SceneLost, SceneMade, ShardAgain, ShardMade
from simgen.generation.run import PARTIAL, Kept, default_shard_scenes
from simgen.spec.errors import BudgetSpent, GenerateError, Interrupted
from tests.simgen import clips

ROOT = Path(__file__).parents[3]


def plan(make=clips.make, scenes=7, seed=5, config=None, shard_scenes=2):
    config = config or {"light": {"low": 1.0}}
    request = Request(simgen="0", preset="p", config=config, seed=seed, scenes=scenes, shard_scenes=shard_scenes)
    return Plan(request, config, make)


def run(out, *, workers=2, resume=False, on_event=lambda event: None, engine=engine.processes, **asked):
    return generate.run_plan(
        plan(**asked), clips.CATEGORIES, out, workers=workers, resume=resume, on_event=on_event, engine=engine
    )


def in_this_process(plan, folder, shards, workers):
    """An engine without processes: for tests of what is round it."""
    for number in shards:
        events = []
        entry = engine.make_shard(plan, folder, number, {}, events.append)
        yield from (event for event in events if isinstance(event, SceneMade | SceneLost))
        yield ShardMade(entry)


def contents(folder):
    files = (path for path in Path(folder).rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A data set made without interruption."""
    out = tmp_path_factory.mktemp("whole")
    run(out, engine=in_this_process)
    return out


@pytest.mark.parametrize("workers", [1, 2])
def test_the_bytes_do_not_depend_on_the_workers(tmp_path, whole, workers):
    events = []
    manifest = run(tmp_path, workers=workers, on_event=events.append)
    assert contents(tmp_path) == contents(whole)
    assert sorted(e.index for e in events if isinstance(e, SceneMade)) == list(range(7))
    assert [shard.clips for shard in manifest.shards] == [2, 2, 2, 1]
    assert manifest.clips == len(DataSet(tmp_path)) == 7
    assert [clip.index for clip in DataSet(tmp_path)] == list(range(7))


def test_eight_workers_make_the_same_bytes(tmp_path):
    asked = {"make": clips.make_slowly, "scenes": 12, "shard_scenes": 1}
    run(tmp_path / "one", engine=in_this_process, **asked)
    run(tmp_path / "eight", workers=8, **asked)
    assert contents(tmp_path / "eight") == contents(tmp_path / "one")


def test_another_seed_gives_other_bytes_and_more_scenes_leave_the_first_as_they_are(tmp_path, whole):
    run(tmp_path / "a", seed=6, engine=in_this_process)
    run(tmp_path / "b", scenes=9, engine=in_this_process)
    first = {name: data for name, data in contents(whole).items() if name < "shard-00003" and name != MANIFEST}
    assert len(first) == 3
    assert all(contents(tmp_path / "a")[name] != data for name, data in first.items())
    assert all(contents(tmp_path / "b")[name] == data for name, data in first.items())


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path):
    out = tmp_path / "out"
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from pathlib import Path\nfrom tests.simgen import clips\n"
        "from tests.simgen.generation import test_generate as t\n"
        f"if __name__ == '__main__': t.run(Path({str(out)!r}), scenes=60, make=clips.make_slowly)\n"
    )
    (tmp_path / "main.py").write_text(code)
    child = subprocess.Popen([sys.executable, tmp_path / "main.py"])
    deadline = time.monotonic() + 600
    while len(list(out.glob("shard-*"))) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    child.kill()
    child.wait()
    kept = len(list(out.glob("shard-*")))
    assert 4 <= kept < 30
    assert not (out / MANIFEST).exists()
    (out / ".shard-00029.tar.1.tmp").write_bytes(b"of a killed worker")
    run(tmp_path / "other", scenes=60, engine=in_this_process)
    events = []
    run(out, scenes=60, resume=True, on_event=events.append)
    assert contents(out) == contents(tmp_path / "other")
    assert sum(isinstance(e, Kept) for e in events) >= 2  # the last one of each worker may not have reached the journal


def test_resume_makes_again_what_is_damaged_or_gone(tmp_path, whole):
    def stop(plan, folder, shards, workers):
        yield from in_this_process(plan, folder, list(shards)[:3], workers)
        raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="the same command with --resume goes on"):
        run(tmp_path, engine=stop)
    data = (tmp_path / "shard-00000.tar").read_bytes()
    (tmp_path / "shard-00000.tar").write_bytes(data[:700] + b"?" + data[701:])
    (tmp_path / "shard-00001.tar").unlink()
    events = []
    run(tmp_path, resume=True, on_event=events.append, engine=in_this_process)
    assert [e.entry.name for e in events if isinstance(e, Kept)] == ["shard-00002.tar"]
    assert contents(tmp_path) == contents(whole)


def test_resume_of_a_finished_data_set_returns_at_once(tmp_path, whole):
    def never(plan, folder, shards, workers):
        raise AssertionError

    before = {path: path.stat().st_mtime_ns for path in whole.iterdir()}
    assert run(whole, resume=True, engine=never).clips == 7
    assert before == {path: path.stat().st_mtime_ns for path in whole.iterdir()}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"seed": 6}, "seed is 5 there, 6 was requested"),
        ({"scenes": 9, "seed": 6}, "scenes is 7 there, 9 was requested"),
        ({"shard_scenes": 3}, "shard_scenes is 2 there, 3 was requested"),
        ({"config": {"light": {"low": 2.0}}}, "config.light.low is 1.0 there, 2.0 was requested"),
        ({"config": {"lamp": 1}}, "config.light is {'low': 1.0} there, None was requested"),
    ],
)
@pytest.mark.parametrize("resume", [False, True])
def test_another_data_set_is_never_written_over(whole, asked, expected, resume):
    before = contents(whole)
    with pytest.raises(GenerateError, match="holds another data set") as caught:
        run(whole, resume=resume, **asked)
    assert expected in str(caught.value)
    assert contents(whole) == before


@pytest.mark.parametrize("resume", [False, True])
def test_a_data_set_does_not_shrink(whole, resume):
    before = contents(whole)
    with pytest.raises(GenerateError, match="holds 7 scenes of this data set and cannot shrink to 5; choose another"):
        run(whole, resume=resume, scenes=5)
    assert contents(whole) == before


def test_what_is_in_the_folder_is_reported(tmp_path, whole):
    with pytest.raises(GenerateError, match="holds this data set already, finished; --resume accepts it"):
        run(whole)
    (tmp_path / "thesis.doc").write_text("years of work")
    for resume in (False, True):
        with pytest.raises(GenerateError, match=r"holds other files \(thesis.doc\)"):
            run(tmp_path, resume=resume)
    with pytest.raises(GenerateError, match="is a file"):
        run(tmp_path / "thesis.doc")
    with pytest.raises(GenerateError, match="is a file, or lies in one"):
        run(tmp_path / "thesis.doc" / "in")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / PARTIAL).write_text("{}")
    with pytest.raises(GenerateError, match="its format is None"):
        run(tmp_path / "b", resume=True)


def test_two_runs_do_not_share_a_folder(tmp_path):
    with generate.locked(tmp_path), pytest.raises(GenerateError, match="another run is writing here"):
        run(tmp_path)


@pytest.mark.parametrize("asked", [{"scenes": 0}, {"scenes": -1}, {"shard_scenes": 0}, {"workers": 0}])
def test_nothing_is_no_data_set(tmp_path, asked):
    with pytest.raises(GenerateError, match="at least one"):
        run(tmp_path / "out", **asked)
    assert not (tmp_path / "out").exists()


def test_a_scene_that_raises_is_left_out_and_told(tmp_path):
    events = []
    manifest = run(tmp_path, make=clips.make_or_raise, on_event=events.append)
    assert [(q.index, q.reason) for q in manifest.quarantined] == [
        (1, "RuntimeError: scene 1 will not do"),
        (6, "RuntimeError: scene 6 will not do"),
    ]
    assert sorted(e.index for e in events if isinstance(e, SceneLost)) == [1, 6]
    assert [clip.index for clip in DataSet(tmp_path)] == [0, 2, 3, 4, 5]


@pytest.mark.parametrize("scenes", [3, 40])
def test_a_run_whose_every_scene_raises_ends(tmp_path, scenes):
    with pytest.raises(GenerateError, match=r"none of the first [38] scenes can be made: KeyError: .*no renderer 'x'"):
        run(tmp_path, make=clips.make_or_always_raise, scenes=scenes)
    assert not (tmp_path / MANIFEST).exists()


def test_a_scene_that_kills_its_worker_twice_is_left_out(tmp_path, whole):
    events = []
    manifest = run(tmp_path, make=clips.make_or_die, on_event=events.append)
    assert [(q.index, q.reason) for q in manifest.quarantined] == [(3, "its worker was killed by SIGKILL, 2 times")]
    assert [e.reason for e in events if isinstance(e, ShardAgain)] == ["a worker was killed by SIGKILL at scene 3"] * 2
    reported = sum(isinstance(e, SceneMade) for e in events) - sum(e.made for e in events if isinstance(e, ShardAgain))
    assert reported == manifest.clips == 6
    same = [name for name, data in contents(whole).items() if contents(tmp_path)[name] == data]
    assert sorted(same) == ["shard-00000.tar", "shard-00002.tar", "shard-00003.tar"]
    made = []
    DataSet(tmp_path).write_index()
    run(tmp_path, resume=True, on_event=made.append, engine=in_this_process)
    assert sorted(e.index for e in made if isinstance(e, SceneMade)) == [2, 3]
    assert contents(tmp_path) == contents(whole)


def test_a_worker_that_dies_once_costs_nothing_but_time(tmp_path, whole, monkeypatch):
    monkeypatch.setenv("SIMGEN_TEST_DIED", str(tmp_path / "died"))
    run(tmp_path / "out", make=clips.make_or_die_once)
    assert (tmp_path / "died").exists()
    assert contents(tmp_path / "out") == contents(whole)


def test_a_worker_that_cannot_start_is_reported(tmp_path, capfd):
    with pytest.raises(GenerateError, match=r"a worker ended with exit status 1 before its first scene: .* 2 times"):
        run(tmp_path, make=clips.unloadable)
    assert "will not load" in capfd.readouterr().err


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left", "x.tar"), OSError(5, "I/O error", "x.tar")])
def test_a_full_disk_is_reported_and_can_be_gone_on_from(tmp_path, whole, error, monkeypatch):
    fsync, calls = os.fsync, []

    def full(descriptor):
        calls.append(1)
        if len(calls) > 8:
            raise error
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(GenerateError, match=rf"cannot write x.tar: {error.strerror}; finished shards stay, .*--resume"):
        run(tmp_path, engine=in_this_process)
    monkeypatch.undo()
    assert not list(tmp_path.glob(".*"))
    run(tmp_path, resume=True, engine=in_this_process)
    assert contents(tmp_path) == contents(whole)


def test_a_disk_that_is_full_in_a_worker_is_reported(tmp_path):
    with pytest.raises(GenerateError, match=r"cannot write .*shard-0000\d.tar: No space left on device; finished"):
        run(tmp_path, make=clips.make_on_a_full_disk)
    assert [path.name for path in tmp_path.iterdir()] == [PARTIAL]


def test_ctrl_c_ends_workers_and_leaves_finished_shards_alone(tmp_path):
    def press(event):
        if isinstance(event, ShardMade):
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        with pytest.raises(Interrupted):
            run(tmp_path, make=clips.make_slowly, scenes=40, on_event=press)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not any(child.is_alive() for child in multiprocessing.active_children())
    assert not list(tmp_path.glob(".*"))
    manifest = run(tmp_path, scenes=40, resume=True)
    assert manifest.clips == 40


def test_a_scene_that_hangs_is_left_out(tmp_path, whole):
    events = []
    asked = replace(plan(make=clips.make_or_hang), scene_limit_s=1.0)
    manifest = generate.run_plan(asked, clips.CATEGORIES, tmp_path, workers=2, on_event=events.append)
    assert [(q.index, q.reason) for q in manifest.quarantined] == [(4, "its worker took longer than 1 s, 2 times")]
    assert [e.name for e in events if isinstance(e, ShardAgain)] == ["shard-00002.tar"] * 2
    others = [name for name in contents(whole) if name not in (MANIFEST, "shard-00002.tar")]
    assert all(contents(tmp_path)[name] == contents(whole)[name] for name in others)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_budget_ends_a_run_at_a_shards_end_and_resume_finishes_it(tmp_path, whole, workers):
    shard = float((whole / "shard-00000.tar").stat().st_size)
    asked = {"out": tmp_path, "workers": workers, "resume": True}
    reported = r"\d of 4 shards are there; the same command with --resume goes on"
    with pytest.raises(BudgetSpent, match=reported):
        generate.run_plan(plan(), clips.CATEGORIES, **asked, budget=Budget(bytes=2.5 * shard))
    assert not (tmp_path / MANIFEST).exists()
    assert len(list(tmp_path.glob("*.tar"))) == 2
    with pytest.raises(BudgetSpent, match="2 of 4"):
        generate.run_plan(plan(), clips.CATEGORIES, **asked, budget=Budget(bytes=2.0 * shard))
    generate.run_plan(plan(), clips.CATEGORIES, **asked, budget=Budget(bytes=9 * shard, seconds=600.0))
    assert contents(tmp_path) == contents(whole)


def test_no_shard_begins_that_would_end_too_late(tmp_path):
    reported = []
    began = time.monotonic()
    with pytest.raises(BudgetSpent):
        generate.run_plan(
            plan(make=clips.make_slowly, scenes=400, shard_scenes=4), clips.CATEGORIES, tmp_path,
            engine=in_this_process, budget=Budget(seconds=1.5), on_event=reported.append,
        )  # fmt: skip
    assert time.monotonic() - began < 4
    assert sum(isinstance(event, ShardMade) for event in reported) == len(list(tmp_path.glob("*.tar"))) >= 1


@pytest.mark.parametrize(
    ("text", "seconds", "size"),
    [
        ("90m", 5400.0, None),
        ("2h", 7200.0, None),
        ("1.5d", 129600.0, None),
        (".5 h", 1800.0, None),
        ("50GB", None, 50e9),
        ("3mb", None, 3e6),
    ],
)
def test_budgets_are_read(text, seconds, size):
    assert parse_budget(text) == Budget(seconds=seconds, bytes=size)


@pytest.mark.parametrize("text", ["", "2", "h", "-1h", "0h", "2 weeks", "1e3GB", "2h30m"])
def test_what_is_no_budget_is_reported(text):
    with pytest.raises(ValueError, match="is no budget: give a time such as 90m or 2h, or a size"):
        parse_budget(text)


def test_an_estimate_is_of_the_scenes_that_the_run_makes(tmp_path):
    asked, steps = plan(make=clips.make_slowly, scenes=40), []
    result = estimate(asked, tmp_path / "not" / "there", 2, lambda: steps.append(1))
    assert len(steps) == 6
    assert not list(tmp_path.iterdir())
    run(tmp_path / "made", make=clips.make_slowly, scenes=40, shard_scenes=40, engine=in_this_process)
    assert result.disk_bytes == pytest.approx((tmp_path / "made/shard-00000.tar").stat().st_size, rel=0.1)
    assert min(result.scene_s) >= 0.05
    assert min(result.scene_s) < 1, "of a scene, without the start of a process"
    assert 20e6 < result.worker_bytes < 20e9
    assert "the disk is too small by" in replace(result, free_bytes=1000).lines()[-1]
    assert "the disk is too small" not in " ".join(result.lines())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the peak is that of ru_maxrss")
def test_an_estimate_does_not_count_the_memory_of_the_process_that_started_it():
    held = bytearray(b"1") * 400_000_000
    code = "from simgen.generation.budget import peak_bytes; print(peak_bytes())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert int(done.stdout) < len(held)


def test_a_trial_ends_with_its_budget_and_says_how_far_it_goes(tmp_path):
    asked, steps = plan(make=clips.make_slowly, scenes=400), []
    result = estimate(asked, tmp_path, 2, lambda: steps.append(1), Budget(seconds=0.01))
    assert len(steps) == 2
    assert result.affordable == 0
    limited = replace(result, scene_s=(2.0, 4.0), scene_bytes=(1000, 3000), budget=Budget(seconds=33.0))
    assert limited.affordable == 20
    assert "budget  enough for about 20 of 400 scenes; the rest needs another run, with --resume" in limited.lines()
    assert replace(limited, budget=Budget(bytes=50_000.0)).affordable == 25
    assert replace(limited, budget=Budget(bytes=1e9)).lines()[-1] == "budget  enough for about 400 of 400 scenes"
    assert not any("budget" in line for line in replace(limited, budget=Budget()).lines())


@pytest.mark.parametrize("recycle", [10**6, 1])
def test_workers_that_die_with_nothing_to_do_are_not_missed(tmp_path, whole, monkeypatch, recycle):
    monkeypatch.setattr(engine.local, "RECYCLE_SCENES", recycle)
    made = []

    def kill_all_after_the_last(event):
        made.extend([event] if isinstance(event, ShardMade) else [])
        if len(made) == len(list(whole.glob("shard-*"))):
            for child in multiprocessing.active_children():
                child.kill()
                child.join()

    run(tmp_path, workers=2, on_event=kill_all_after_the_last)
    assert contents(tmp_path) == contents(whole)


def test_a_worker_that_dies_before_it_is_reported_anything_is_replaced(tmp_path, whole, monkeypatch):
    hire, hired = engine.local._start, []

    def hire_the_dead(plan, out):
        hired.append(hire(plan, out))
        if len(hired) == 1:
            hired[0].process.kill()
            hired[0].process.join()
        return hired[-1]

    monkeypatch.setattr(engine.local, "_start", hire_the_dead)
    run(tmp_path, workers=1)
    assert contents(tmp_path) == contents(whole)
    assert len(hired) == 2


def test_workers_are_replaced_after_so_many_scenes(tmp_path, whole, monkeypatch):
    monkeypatch.setattr(engine.local, "RECYCLE_SCENES", 2)
    hired = []
    hire = engine.local._start
    monkeypatch.setattr(engine.local, "_start", lambda *asked: hired.append(1) or hire(*asked))
    run(tmp_path, workers=1)
    assert len(hired) == 4
    assert contents(tmp_path) == contents(whole)


@pytest.mark.parametrize(("scenes", "expected"), [(1, 1), (16, 1), (17, 2), (100, 7), (256, 16), (10**6, 16)])
def test_shards_are_moderate(scenes, expected):
    assert default_shard_scenes(scenes) == expected
