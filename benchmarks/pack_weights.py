"""Pack a finished run as weights that come with the package: hybrid/weights/runs/NAME.

    python benchmarks/pack_weights.py out/sim fasteners

The averaged weights are copied, and of run.json what a detector and a reader need, without paths of the machine.
The model card, README.md in the same folder, is written by hand.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from hybrid.weights.record import RUN, weights_file
from hybrid.weights.released import RUNS
from simgen.dataset.store.files import write_atomically

KEPT = ("steps", "parameters", "categories", "train", "data", "validation", "operating_point", "versions", "git")


def record_of(run: Path) -> dict[str, Any]:
    """What is kept of a run's run.json. Data sets are named by the last part of their path."""
    plain = json.loads((run / RUN).read_text())
    record = {key: plain[key] for key in KEPT if key in plain}
    record["data"] = [one | {"name": Path(one["name"]).name} for one in record.get("data", [])]
    return record


def main() -> None:
    run, name = Path(sys.argv[1]), sys.argv[2]
    folder = RUNS / name
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "ema.safetensors", weights_file(run).read_bytes())
    write_atomically(folder / RUN, (json.dumps(record_of(run), indent=1) + "\n").encode())
    print(folder)


if __name__ == "__main__":
    main()
