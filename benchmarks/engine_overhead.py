"""What an engine costs per scene: with clips that cost nothing, one worker, from the first scene to the last.

python -m benchmarks.engine_overhead --scenes 400
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from simgen.generation.engines import ENGINES, SceneMade, choose_engine
from simgen.generation.run import run_plan
from tests.simgen import clips
from tests.simgen.generation.test_generate import plan


def scene_ms(engine: str, scenes: int) -> float:
    times: list[float] = []

    def note(event: object) -> None:
        if isinstance(event, SceneMade):
            times.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        job = plan(scenes=scenes, shard_scenes=16)
        run_plan(job, clips.CATEGORIES, Path(folder), workers=1, on_event=note, engine=choose_engine(engine))
    return 1000 * (times[-1] - times[0]) / (len(times) - 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=400)
    options = parser.parse_args()
    for engine in sorted(ENGINES):
        print(f"{engine}: {scene_ms(engine, options.scenes):.1f} ms a scene")


if __name__ == "__main__":
    main()
