"""Who gets which shard, whom a death is blamed on, and when a budget allows another shard: without any process."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simgen.generation.budget import Budget, duration, size
from simgen.generation.engines import dispatch
from simgen.generation.engines.contract import SceneBegun, SceneLost, SceneMade, ShardFailed
from simgen.generation.engines.dispatch import LOSSES, STRIKES, Dispatcher, Watch, seconds_to_timeout
from simgen.spec.errors import EngineError
from tests.simgen.generation.test_generate import plan


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""
    now = [100.0]
    monkeypatch.setattr(dispatch.time, "monotonic", lambda: now[0])
    return now


def dispatcher(shards=(0, 1, 2)):
    return Dispatcher(plan(), iter(shards))


def at_scene(watch, index):
    assert list(watch.note(SceneBegun(index))) == []
    return watch


def test_shards_come_in_their_order_and_one_is_taken_when_somebody_is_free():
    asked = []
    dealt = dispatcher(asked.append(k) or k for k in range(3))
    assert dealt.next().task.shard == 0
    assert asked == [0]
    assert [dealt.next().task.shard for _ in range(2)] == [1, 2]
    assert dealt.next() is None


def test_a_shard_whose_worker_died_comes_first():
    dealt = dispatcher()
    dealt.worker_died(at_scene(dealt.next(), 0), "was killed", started=True)
    assert [dealt.next().task.shard for _ in range(3)] == [0, 1, 2]


def test_a_scene_that_kills_twice_is_left_out_for_good():
    dealt = dispatcher()
    for strike in range(STRIKES):
        watch = dealt.next()
        assert watch.task.skip == {}
        event = dealt.worker_died(at_scene(watch, 2), "was killed by signal 9", started=True)
        assert event.reason == "a worker was killed by signal 9 at scene 2"
        assert strike < STRIKES
    assert dealt.next().task.skip == {2: "its worker was killed by signal 9, 2 times"}


def test_two_scenes_that_kill_once_each_are_both_tried_again():
    dealt = dispatcher()
    for scene in (0, 1):
        dealt.worker_died(at_scene(dealt.next(), scene), "was killed", started=True)
    assert dealt.next().task.skip == {}


def test_a_worker_that_dies_twice_with_no_scene_to_blame_ends_the_run():
    dealt = dispatcher()
    watch = dealt.next()
    list(watch.note(SceneBegun(0)))
    list(watch.note(SceneMade(0, 3)))
    event = dealt.worker_died(watch, "ended with status 1", started=True)
    assert (event.reason, event.made, event.frames) == ("a worker ended with status 1 between two scenes", 1, 3)
    with pytest.raises(EngineError, match=r"shard-00000\.tar: a worker ended with status 1 before its first scene"):
        dealt.worker_died(dealt.next(), "ended with status 1", started=False)


def test_a_lost_machine_is_nobodys_fault_until_it_happens_too_often():
    dealt = dispatcher()
    for _ in range(LOSSES - 1):
        event = dealt.machine_lost(at_scene(dealt.next(), 0), "its machine was lost")
        assert event.reason == "its machine was lost"
    watch = dealt.next()
    assert watch.task.skip == {}
    with pytest.raises(EngineError, match=f"its machine was lost, {LOSSES} times"):
        dealt.machine_lost(watch, "its machine was lost")


def test_what_a_dead_worker_reported_is_counted_back():
    dealt = dispatcher()
    watch = dealt.next()
    reports = [SceneBegun(0), SceneMade(0, 5), SceneBegun(1), SceneLost(1, "raised"), SceneBegun(2)]
    passed = [event for report in reports for event in watch.note(report)]
    assert passed == [SceneMade(0, 5), SceneLost(1, "raised")]
    event = dealt.worker_died(watch, "was killed", started=True)
    assert (event.name, event.made, event.frames, event.lost) == ("shard-00000.tar", 1, 5, 1)


def test_a_shard_that_cannot_be_written_ends_the_run():
    with pytest.raises(EngineError, match="no space left"):
        list(dispatcher().next().note(ShardFailed("no space left")))


def test_a_scene_is_late_after_its_limit_and_the_blame_says_so(clock):
    dealt = dispatcher()
    watch = at_scene(dealt.next(), 1)
    limit = watch.plan.scene_limit_s
    clock[0] += limit
    assert not watch.overruns()
    clock[0] += 1.0
    assert watch.overruns()
    assert dealt.worker_died(watch, "was killed", True).reason == f"a worker took longer than {limit:g} s at scene 1"


def test_no_time_runs_between_scenes(clock):
    watch = at_scene(dispatcher().next(), 0)
    list(watch.note(SceneMade(0, 1)))
    clock[0] += 10 * watch.plan.scene_limit_s
    assert not watch.overruns()
    assert seconds_to_timeout([watch]) is None


def test_the_wait_ends_with_the_scene_that_began_first(clock):
    dealt = dispatcher()
    first, second, idle = (dealt.next() for _ in range(3))
    at_scene(first, 0)
    clock[0] += 2.0
    at_scene(second, 1)
    assert seconds_to_timeout([second, first, idle]) == pytest.approx(first.plan.scene_limit_s - 2.0)
    clock[0] += 10 * first.plan.scene_limit_s
    assert seconds_to_timeout([first]) == 0.0
    assert isinstance(idle, Watch)


# ------------------------------------------------------------------------------------------------- the budget

AMOUNTS = st.floats(0.0, 1e6)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS)
def test_a_budget_of_both_allows_what_each_allows(limit_s, limit_bytes, spent_s, shard_s, stored, shard):
    asked = (spent_s, shard_s, stored, shard)
    assert Budget().allows(*asked)
    assert Budget(seconds=limit_s, bytes=limit_bytes).allows(*asked) == (
        Budget(seconds=limit_s).allows(*asked) and Budget(bytes=limit_bytes).allows(*asked)
    )
    assert Budget(seconds=limit_s).allows(*asked) == (spent_s + shard_s < limit_s)
    assert Budget(bytes=limit_bytes).allows(*asked) == (stored + shard <= limit_bytes)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.6, "60 s"),
        (89, "89 s"),
        (90, "1.5 min"),
        (5399, "90.0 min"),
        (5400, "1.5 h"),
        (129600, "1.5 days"),
    ],
)
def test_durations_are_in_the_unit_that_people_use(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "0 kB"), (999_999, "1000 kB"), (10**6, "1.0 MB"), (2.5e9, "2.5 GB"), (3e12, "3.0 TB")]
)
def test_sizes_are_decimal_as_disks_are_sold(amount, text):
    assert size(amount) == text
