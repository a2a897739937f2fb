"""Kill a run over and over, and see that nothing comes of it.

    python tests/soak/kill.py --kills 50 --scenes 400 --workers 2

A run of `simgen render` is killed with SIGKILL at random moments: sometimes the command, sometimes one of its workers,
which it must survive by itself (never two workers in a row: a scene whose worker dies twice is left out). After the
last kill it is left to finish. The data set must then be, byte for byte, that of a run nobody disturbed; no worker may
live on without its parent, and no temporary file may be left. While the run is being killed, every shard that stands
under its final name must be whole at any moment.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ORPHAN_S = 20.0  # a worker notices that its parent is gone at the end of its scene


def command(out: Path, scenes: int, workers: int, preset: str) -> list[str]:
    line = ["render", "--preset", preset, "--scenes", str(scenes), "--shard-scenes", "4", "--workers", str(workers)]
    return [sys.executable, "-c", "from simgen.cli import main; main()", *line, "--out", str(out), "--resume"]


def start(line: list[str], mark: str, errors: Path) -> subprocess.Popen[bytes]:
    """The mark stands in the environment of the run and of all its children, so that they are found again."""
    with errors.open("wb") as file:
        return subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=file, env={**os.environ, "SIMGEN_SOAK": mark})


def alive(mark: str) -> list[int]:
    """Processes with the mark, this one aside."""
    result = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and f"SIMGEN_SOAK={mark}".encode() in (entry / "environ").read_bytes():
                result.append(int(entry.name))
        except OSError:  # it has gone, or is somebody else's
            continue
    return result


def workers_of(pid: int) -> list[int]:
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return [child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
    except OSError:
        return []


def wait_for_a_shard(run: subprocess.Popen[bytes], out: Path) -> None:
    before = len(list(out.glob("shard-*.tar")))
    while run.poll() is None and len(list(out.glob("shard-*.tar"))) == before:
        time.sleep(0.02)


def sums(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def broken(folder: Path) -> Iterator[str]:
    """Shards under their final names that cannot be read to their end."""
    for path in sorted(folder.glob("shard-*.tar")):
        try:
            with tarfile.open(path) as shard:
                for member in shard:
                    json.loads(shard.extractfile(member).read()) if member.name.endswith(".json") else None
        except (tarfile.TarError, ValueError, EOFError) as error:
            yield f"{path.name}: {error}"


def soak(folder: Path, kills: int, scenes: int, workers: int, preset: str, seed: int, pause_s: float) -> list[str]:
    """What went wrong; nothing, if all is well."""
    rng, mark, problems, done, spared = random.Random(seed), f"{os.getpid()}-{seed}", [], 0, False
    out, calm, errors = folder / "killed", folder / "calm", folder / "errors.txt"
    subprocess.run(command(calm, scenes, workers, preset), check=True, capture_output=True)
    run = start(command(out, scenes, workers, preset), mark, errors)
    while done < kills:
        try:
            if rng.random() < 0.7:  # not before it has made something; else at any time, also while it starts
                wait_for_a_shard(run, out)
            run.wait(timeout=rng.uniform(0.0, 2 * pause_s))
        except subprocess.TimeoutExpired:
            victims = workers_of(run.pid)
            if victims and not spared and rng.random() < 0.6:
                spared = True
                os.kill(rng.choice(victims), signal.SIGKILL)
                print(f"{done + 1}: killed a worker", flush=True)
            else:
                spared = False
                run.kill()
                run.wait()
                print(f"{done + 1}: killed the command, {len(list(out.glob('*.tar')))} shards were there", flush=True)
                problems += broken(out)
                run = start(command(out, scenes, workers, preset), mark, errors)
            done += 1
        else:
            if run.returncode:
                told = errors.read_text(errors="replace").strip().splitlines()
                problems.append(f"the command ended by itself with status {run.returncode}: {' '.join(told[-2:])}")
            break  # it has finished: a longer run takes more kills
    run.wait()
    if run.returncode:
        problems.append(f"the last run ended with status {run.returncode}")
    deadline = time.monotonic() + ORPHAN_S
    while alive(mark) and time.monotonic() < deadline:
        time.sleep(0.2)
    problems += [f"process {pid} lives on" for pid in alive(mark)]
    there, expected = sums(out), sums(calm)
    problems += [f"{name}: left behind" for name in there.keys() - expected.keys()]
    problems += [f"{name}: missing" for name in expected.keys() - there.keys()]
    problems += [f"{name}: other bytes" for name in there.keys() & expected.keys() if there[name] != expected[name]]
    print(f"{done} kills, {len(expected)} files, {len(problems)} problems")
    return problems


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--scenes", type=int, default=400)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pause", type=float, default=4.0, help="seconds between kills, on the average")
    asked = parser.parse_args()
    if not Path("/proc/self/environ").is_file():
        sys.exit("error: this reads /proc, which Linux alone has")
    with tempfile.TemporaryDirectory() as folder:
        problems = soak(Path(folder), asked.kills, asked.scenes, asked.workers, asked.preset, asked.seed, asked.pause)
    sys.exit("\n".join(problems) if problems else 0)


if __name__ == "__main__":
    main()
