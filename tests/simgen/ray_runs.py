"""Runs on a real Ray cluster of three raylets, one of which is killed. A program, as Ray warns about many things.

    python -m tests.simgen.ray_runs FOLDER [URL]

FOLDER/NAME holds what each run made, FOLDER/runs.json what it ended with and what happened.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from ray.cluster_utils import Cluster

from simgen.dataset.format.manifest import shard_name
from simgen.dataset.store.locations import Location, location
from simgen.generation.budget import Budget
from simgen.generation.engines import Event, Plan, SceneMade, ShardAgain, ShardMade, choose_engine
from simgen.generation.run import run_plan
from simgen.spec.errors import GenerateError
from tests.simgen import clips
from tests.simgen.generation.test_generate import plan
from tests.simgen.patient import PATIENT


def stopped(
    out: Location, asked: Plan, tell: Callable[[Any], None] = lambda event: None, **more: Any
) -> dict[str, Any]:
    """A run's end and events. `in_flight` is the most shards that were handed out and not made at any time."""
    events: list[Any] = []
    flying, most = set(), 0

    def watched(plan: Plan, out: Location, shards: Iterable[int], workers: int | None) -> Iterator[Event]:
        def counted() -> Iterator[int]:
            nonlocal most
            for number in shards:
                flying.add(shard_name(number))
                most = max(most, len(flying))
                yield number

        yield from choose_engine("ray")(plan, out, counted(), workers)

    def note(event: Any) -> None:
        events.append(event)
        if isinstance(event, ShardMade):
            flying.discard(event.entry.name)
        tell(event)

    began = time.monotonic()
    try:
        manifest = run_plan(asked, clips.CATEGORIES, out, on_event=note, engine=watched, **more)
        end, lost = "made", [(scene.index, scene.reason) for scene in manifest.quarantined]
    except GenerateError as error:
        end, lost = f"{type(error).__name__}: {error}", []
    sys.stderr.write(f"{out}: {time.monotonic() - began:.1f} s\n")
    return {
        "end": end,
        "lost": lost,
        "again": [event.reason for event in events if isinstance(event, ShardAgain)],
        "scenes": sorted(event.index for event in events if isinstance(event, SceneMade)),
        "in_flight": most,
        "seconds": time.monotonic() - began,
    }


def kill_one(cluster: Cluster, size: int) -> Callable[[Any], None]:
    """Kills a raylet and its workers, once, when two shards are being made: there are two nodes with a CPU each."""
    at_work: set[int] = set()
    killed: list[Any] = []

    def tell(event: Any) -> None:
        if isinstance(event, SceneMade):
            at_work.add(event.index // size)
        elif isinstance(event, ShardMade):
            at_work.discard(event.entry.first_scene // size)
        if len(at_work) == 2 and not killed:
            killed.append(node := next(iter(cluster.worker_nodes)))
            cluster.remove_node(node, allow_graceful=False)

    return tell


def kill_the_driver(out: Path, address: str) -> int:
    """Another process's run on this cluster, ended by SIGKILL when two shards are there. How many were then."""
    driver = subprocess.Popen([sys.executable, "-m", "tests.simgen.ray_runs", "--drive", out, address])
    deadline = time.monotonic() + 300
    while len(list(out.glob("shard-*"))) < 2 and time.monotonic() < deadline and driver.poll() is None:
        time.sleep(0.05)
    driver.kill()
    driver.wait()
    return len(list(out.glob("shard-*")))


def interrupt(event: Any) -> None:
    if isinstance(event, ShardMade):
        os.kill(os.getpid(), signal.SIGINT)


def interrupt_at_once(event: Any) -> None:
    if isinstance(event, SceneMade):
        os.kill(os.getpid(), signal.SIGINT)


def slow_plan() -> Plan:
    return plan(make=clips.make_slowly, scenes=24, shard_scenes=4)


def four_plan() -> Plan:
    return plan(make=clips.make_slowly, scenes=8, shard_scenes=1)


def main(folder: Path, url: str | None) -> dict[str, Any]:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.update(PATIENT)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, logging_level="WARNING", log_to_driver=True)
    done: dict[str, Any] = {}
    slow = slow_plan()
    done["calm"] = stopped(folder / "calm", plan())
    done["one"] = stopped(folder / "one", plan(), workers=1)
    done["dies"] = stopped(folder / "dies", plan(make=clips.make_or_die))
    done["raises"] = stopped(folder / "raises", plan(make=clips.make_or_raise))
    done["hangs"] = stopped(folder / "hangs", replace(plan(make=clips.make_or_hang), scene_limit_s=1.0))
    done["full"] = stopped(folder / "full", plan(make=clips.make_on_a_full_disk))
    done["unloadable"] = stopped(folder / "unloadable", plan(make=clips.unloadable))
    done["unlike"] = stopped(folder / "unlike", replace(_drawn("by another"), machinery=clips.machinery))
    done["ctrl-c"] = stopped(folder / "stopped", slow, tell=interrupt)
    done["left"] = sorted(path.name for path in (folder / "stopped").iterdir())
    done["budget"] = stopped(folder / "stopped", slow, resume=True, budget=Budget(seconds=0.001))
    done["resumed"] = stopped(folder / "stopped", slow, resume=True)
    half = replace(slow, make=clips.SlowToLoad(folder))
    done["broken_off"] = stopped(folder / "broken_off", half, tell=interrupt_at_once)
    done["after"] = stopped(folder / "broken_off", half, resume=True)
    done["killed_at"] = kill_the_driver(folder / "killed", cluster.address)
    done["killed"] = stopped(folder / "killed", slow, resume=True)
    slower = replace(slow, make=clips.make_very_slowly)
    done["node"] = stopped(folder / "node", slower, tell=kill_one(cluster, 4))
    done["nodes"] = sum(node["Alive"] for node in ray.nodes())
    cluster.add_node(num_cpus=4)  # five with the one that is left
    done["four"] = stopped(folder / "four", four_plan(), workers=4)
    if url:
        done["url"] = stopped(location(url), plan())
    ray.shutdown()
    cluster.shutdown()
    return done


def _drawn(by: str) -> Plan:
    asked = plan()
    return replace(asked, request=replace(asked.request, renderer=by))


if __name__ == "__main__":
    if sys.argv[1] == "--drive":
        run_plan(slow_plan(), clips.CATEGORIES, Path(sys.argv[2]), engine=choose_engine("ray", sys.argv[3]))
    else:
        found = main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
        (Path(sys.argv[1]) / "runs.json").write_text(json.dumps(found))
