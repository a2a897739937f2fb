"""What a run says of its progress: the time left within a third, and a line every 30 s where there is no terminal."""

import heapq
import re
import time

import numpy as np
import pytest

from simgen.cli import progress
from simgen.cli.progress import Progress, Rate, track
from simgen.dataset.format.manifest import ShardEntry, shard_name
from simgen.generation.engines import SceneMade, ShardAgain, ShardMade
from simgen.generation.run import default_shard_scenes

UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "days": 86400.0}


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def ends_s(workers, scenes, start_s, seed, cv=0.5):
    """When the scenes of a run end, whose workers start slowly and whose scenes take 4 s, more or less."""
    rng = np.random.default_rng(seed)
    free = [start_s + rng.uniform(0, 1) for _ in range(workers)]
    for _ in range(scenes):
        end = heapq.heappop(free) + 4 * rng.gamma(1 / cv**2, cv**2)
        heapq.heappush(free, end)
        yield end


def seconds(text):
    amount, unit = re.fullmatch(r"about ([0-9.]+) (\w+) left", text).groups()
    return float(amount) * UNITS[unit]


@pytest.mark.parametrize("workers", [1, 2, 8, 32])
@pytest.mark.parametrize("start_s", [1.0, 40.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_time_left_is_right_within_a_third(clock, workers, start_s, seed):
    rate, scenes = Rate(workers), 25 * workers
    ends = sorted(ends_s(workers, scenes, start_s, seed))
    said = 0
    for done, end in enumerate(ends, start=1):
        clock[0] = 1000 + end
        rate.step()
        if max(10, 4 * workers) <= done <= 0.8 * scenes:
            left = ends[-1] - end
            assert left / 1.5 - 4 <= seconds(rate.left(scenes - done)) <= left * 1.5 + 4
            said += 1
    assert said > 5


def shard_events(workers, scenes, size, start_s, seed, cv=0.4):
    """(time, event) of a run whose workers make whole shards, one after the other."""
    rng = np.random.default_rng(seed)
    free = [(start_s + rng.uniform(0, 1), k) for k in range(workers)]
    heapq.heapify(free)
    for first in range(0, scenes, size):
        now, worker = heapq.heappop(free)
        own = range(first, min(scenes, first + size))
        for scene in own:
            now += 4 * rng.gamma(1 / cv**2, cv**2)
            yield now, SceneMade(scene, 6)
        name = shard_name(first // size)
        entry = ShardEntry(name=name, sha256="", bytes=9, clips=len(own), frames=6, first_scene=first, quarantined=())
        yield now, ShardMade(entry)
        heapq.heappush(free, (now, worker))


@pytest.mark.parametrize("workers", [2, 5, 12])
def test_the_last_shards_decide_how_long_a_run_still_takes(clock, workers):
    """Twelve workers make twelve of sixteen shards, and four of them the others: two rounds, not 1.3."""
    size = default_shard_scenes(112)
    assert -(-112 // size) == 16
    for seed in range(2):
        events = sorted(shard_events(workers, 112, size, 40.0, seed), key=lambda event: event[0])
        shown, end_s, said = Progress(112, workers, size), events[-1][0], 0
        for time_s, event in events:
            clock[0] = 1000 + time_s
            shown.on_event(event)
            if 0.25 * 112 <= shown.done <= 0.75 * 112:
                left = end_s - time_s
                assert left / 1.5 - 4 <= seconds(shown._left()) <= left * 1.5 + 4
                said += 1
        assert said > 50


def test_a_shard_that_is_made_again_counts_from_its_start(clock):
    shown = Progress(8, 1, 4)
    for scene in range(4):
        clock[0] += 10.0
        shown.on_event(SceneMade(scene, 6))
    assert seconds(shown._left()) == pytest.approx(40)
    shown.on_event(ShardAgain(shard_name(0), "killed", 4, 24, 0))
    assert seconds(shown._left()) == pytest.approx(80)


def test_a_rate_that_changes_is_followed_and_nothing_is_said_too_early(clock):
    rate = Rate()
    assert rate.left(10) == ""
    for k in range(60):  # copied clips, then rendered ones
        clock[0] += 0.01 if k < 30 else 5.0
        rate.step()
    assert rate.per_second == pytest.approx(0.2, rel=0.4)
    assert seconds(rate.left(12)) == pytest.approx(60, rel=0.4)
    assert rate.left(0) == ""
    before = seconds(rate.left(12))
    clock[0] += 3.0
    assert seconds(rate.left(12)) < before


@pytest.mark.parametrize("what", ["render", "track"])
def test_without_a_terminal_lines_come_also_while_nothing_ends(monkeypatch, capsys, what):
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.02)
    if what == "render":
        with Progress(8) as shown:
            shown.on_event(SceneMade(0, 6))
            time.sleep(0.1)
        expected = r"1 of 8 scenes, [0-9.]+ scenes/s, [0-9.]+ frames/s"
    else:
        with track("check", 8) as step:
            step()
            time.sleep(0.1)
        expected = "check: 1 of 8"
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 2
    assert all(re.fullmatch(expected, line) for line in lines[1:]), lines
    time.sleep(0.05)
    assert capsys.readouterr().err == ""


def test_a_short_run_says_nothing(capsys):
    with track("check", 2) as step:
        step()
    with Progress(1):
        pass
    assert capsys.readouterr().err == ""
