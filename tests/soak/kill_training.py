"""Kill a training five times with SIGKILL, and see that nothing comes of it.

    python tests/soak/kill_training.py --data photos/annotations.json --kills 5

`pipelines.finetune_real` trains a small detector on the CPU, once undisturbed and once killed at random moments. The
losses in metrics.jsonl and the weights must be the same, bit for bit.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TIMES = ("seconds_per_step", "data_wait_share")


def command(data: Path, out: Path, steps: int) -> list[str]:
    line = ["--checkpoint", "none", "--preset", "tiny", "--data", str(data), "--shots", "4", "--out", str(out)]
    small = ["--steps", str(steps), "--batch", "2", "--tile", "64", "--clip-length", "1", "--threads", "1"]
    code = (  # a checkpoint in every second step; in real runs one is written every two minutes
        "import itertools, hybrid.training.run.notes as n, hybrid.training.config as c; "
        "c.TrainConfig.model_fields['checkpoint_every_s'].default = 0.0; c.TrainConfig.model_rebuild(force=True); "
        "from pipelines.finetune_real import app; app()"
    )
    return [sys.executable, "-c", code, *line, *small]


def rows(out: Path) -> list[dict[str, Any]]:
    lines = (out / "metrics.jsonl").read_text().splitlines()
    return [{key: x for key, x in json.loads(line).items() if key not in TIMES} for line in lines]


def steps_done(out: Path) -> int:
    """The step in the checkpoint's header."""
    try:
        head = (out / "checkpoint.safetensors").open("rb").read(400_000)
        return int(json.loads(head[8 : 8 + int.from_bytes(head[:8], "little")])["__metadata__"]["step"])
    except (OSError, ValueError, KeyError):
        return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    at = sorted(rng.sample(range(1, options.steps - 5), options.kills))
    with tempfile.TemporaryDirectory() as folder:
        whole, parts = Path(folder) / "whole", Path(folder) / "parts"
        subprocess.run(command(options.data, whole, options.steps), check=True)
        for step in at:
            process = subprocess.Popen(command(options.data, parts, options.steps))
            while process.poll() is None and steps_done(parts) < step:
                time.sleep(0.01)
            time.sleep(rng.random() * 0.2)
            process.send_signal(signal.SIGKILL)
            process.wait()
            print(f"killed after step {steps_done(parts)} (exit status {process.returncode})", flush=True)
        subprocess.run(command(options.data, parts, options.steps), check=True)
        assert rows(parts) == rows(whole), "the losses differ"
        for name in ("raw", "ema"):
            one, other = ((run / f"{name}.safetensors").read_bytes() for run in (whole, parts))
            assert one == other, f"{name}.safetensors differs"
    print(f"{options.kills} kills at steps {at}: the same {options.steps} steps, losses and weights, bit for bit")


if __name__ == "__main__":
    main()
