"""More scenes in the folder of a finished or unfinished data set: the bytes of all scenes at once, and no clip lost."""

import os
from pathlib import Path

import pytest

from simgen.dataset.format.manifest import MANIFEST
from simgen.dataset.format.reader import DataSet
from simgen.generation import run as generate
from simgen.generation.engines import SceneMade
from simgen.generation.run import PARTIAL, Kept
from simgen.spec.errors import BudgetSpent, GenerateError, Interrupted
from tests.simgen import clips
from tests.simgen.generation.test_generate import contents, in_this_process, plan, run


def make_but_never_again(config, seed, index):
    """Scenes 0 to 6 are stored already: who makes one of them wastes hours."""
    assert index >= 7
    return clips.make(config, seed, index)


def grow(
    out, scenes=12, shard_scenes=3, make=make_but_never_again, on_event=lambda event: None, engine=in_this_process
):
    return run(out, scenes=scenes, shard_scenes=shard_scenes, make=make, resume=True, on_event=on_event, engine=engine)


@pytest.fixture
def small(tmp_path):
    run(tmp_path / "out", engine=in_this_process)
    DataSet(tmp_path / "out").write_index()
    return tmp_path / "out"


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """12 scenes at once, by the number of scenes in a shard."""
    out = tmp_path_factory.mktemp("large")
    for shard_scenes in (1, 2, 3, 5):
        run(out / str(shard_scenes), scenes=12, shard_scenes=shard_scenes, engine=in_this_process)
    return out


@pytest.mark.parametrize("shard_scenes", [1, 2, 3, 5])
def test_a_grown_data_set_has_the_bytes_of_one_made_at_once_and_copies_its_clips(small, large, shard_scenes):
    events = []
    manifest = grow(small, shard_scenes=shard_scenes, on_event=events.append)
    assert manifest.clips == 12
    assert contents(small) == contents(large / str(shard_scenes))
    kept = sum(event.entry.clips for event in events if isinstance(event, Kept))
    assert kept + sum(isinstance(event, SceneMade) for event in events) == 12
    assert kept == (6 if shard_scenes == 2 else 0)  # the last shard was not full


def test_what_a_run_leaves_when_it_is_stopped_while_it_grows_is_gone_on_from(small, large):
    def stop(plan, folder, shards, workers):
        yield from in_this_process(plan, folder, list(shards)[:2], workers)
        raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        grow(small, engine=stop)
    with pytest.raises(GenerateError, match="cannot shrink to 7"):
        run(small, resume=True)
    with pytest.raises(GenerateError, match="still growing to 12 scenes; finish that first: --scenes 12 --resume"):
        grow(small, scenes=20)
    grow(small)
    assert contents(small) == contents(large / "3")


@pytest.mark.parametrize("call", ["write_manifest", "replace", "unlink"])
@pytest.mark.parametrize("number", range(4))
def test_killed_at_any_step_it_goes_on_without_a_clip_rendered_twice(small, large, monkeypatch, call, number):
    """Each step of the preparation fails once, before or after it was done."""
    from simgen.generation import grow as growing

    calls = []

    def dying(real):
        def step(*asked, **named):
            calls.append(1)
            if len(calls) == 1 + number:
                if number % 2:
                    real(*asked, **named)
                raise KeyboardInterrupt
            return real(*asked, **named)

        return step

    if call == "write_manifest":
        monkeypatch.setattr(growing, call, dying(growing.write_manifest))
    elif call == "replace":
        monkeypatch.setattr(os, call, dying(os.replace))
    else:
        monkeypatch.setattr(Path, call, dying(Path.unlink))
    try:
        grow(small)
    except Interrupted:
        monkeypatch.undo()
        grow(small)
    assert contents(small) == contents(large / "3")


def test_a_clip_that_was_damaged_is_made_again(small, large):
    path = small / "shard-00001.tar"
    data = path.read_bytes()
    path.write_bytes(data[:700] + b"?" + data[701:])
    made = []

    def make(config, seed, index):
        made.append(index)
        return clips.make(config, seed, index)

    grow(small, make=make)
    assert made == [2, 3, 7, 8, 9, 10, 11]
    assert contents(small) == contents(large / "3")


def test_without_resume_the_finished_data_set_stays_and_the_message_says_how_it_grows(small):
    before = contents(small)
    with pytest.raises(GenerateError, match="of 7 scenes; --resume grows it to 12"):
        run(small, scenes=12)
    with pytest.raises(GenerateError, match="a slice cannot grow"):
        generate.run_plan(plan(scenes=12), clips.CATEGORIES, small, resume=True, only=range(0, 2))
    assert contents(small) == before


def test_an_unfinished_data_set_grows_too(tmp_path, large):
    with pytest.raises(BudgetSpent):
        generate.run_plan(
            plan(), clips.CATEGORIES, tmp_path, engine=in_this_process, budget=generate.Budget(bytes=45_000.0)
        )
    assert (tmp_path / PARTIAL).exists()
    assert not (tmp_path / MANIFEST).exists()
    grow(tmp_path, make=clips.make)
    assert contents(tmp_path) == contents(large / "3")
