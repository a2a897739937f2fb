"""Pack a finished run as weights that come with the package: hybrid/weights/runs/NAME.

    python benchmarks/pack_weights.py out/sim fasteners

The averaged weights are copied, and of run.json what a detector and a reader need, without paths of the machine.
experiment.json says that the run, and all before it, saw simulated scenes alone; a run that saw photos is refused.
The model card, README.md in the same folder, is written by hand.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from hybrid.weights.record import RUN, weights_file
from hybrid.weights.released import RUNS
from pipelines.common.record import Experiment, write_experiment
from pipelines.gap.finished import open_run
from simgen.dataset.store.files import write_atomically

KEPT = ("steps", "parameters", "categories", "train", "data", "validation", "operating_point", "versions", "git")


def record_of(run: Path) -> dict[str, Any]:
    """What is kept of a run's run.json. Data sets are named by the last part of their path."""
    plain = json.loads((run / RUN).read_text())
    record = {key: plain[key] for key in KEPT if key in plain}
    record["data"] = [one | {"name": Path(one["name"]).name} for one in record.get("data", [])]
    return record


def experiment_of(run: Path, name: str) -> Experiment:
    """What a gap report needs to know of the run. Its data do not come with it."""
    photos = open_run(run).photos
    if photos != 0:
        raise SystemExit(f"{run}: was trained on {'unknown data' if photos is None else f'{photos} photos'}")
    return Experiment(script="train_sim", data=f"simulated-scenes-of-{name}", kind="simulated", trained_on=())


def main() -> None:
    run, name = Path(sys.argv[1]), sys.argv[2]
    experiment = experiment_of(run, name)
    folder = RUNS / name
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "ema.safetensors", weights_file(run).read_bytes())
    write_atomically(folder / RUN, (json.dumps(record_of(run), indent=1) + "\n").encode())
    write_experiment(folder, experiment)
    print(folder)


if __name__ == "__main__":
    main()
