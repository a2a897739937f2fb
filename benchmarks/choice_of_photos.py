"""Does the report's choice of the photos to label next beat a random one?

    python -m benchmarks.choice_of_photos --photos POOL.json --measure-on OTHER.json --start fasteners --sim data/sim
        --count 10 --draws 3 --steps 200 --lr 2e-3 --out out/choice

From the photos of --photos, whose labels it does not read, the rule of `gap_report --unlabelled` chooses --count. The
detector --start is fine-tuned on these, once for each seed, and on random draws of as many, with the same seeds.
--measure-on must be photos of other sessions, and none that anything is reported on. A run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.few_photos import FIGURES, Row, differences, measured

ARMS = ("chosen", "random")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--photos", type=Path, required=True, help="COCO JSON of photos to choose from")
    add("--measure-on", type=Path, required=True, help="COCO JSON of photos of other sessions")
    add("--start", required=True, help="a finished run, or the name of released weights")
    add("--sim", required=True, help="simulated data to mix in, or none")
    add("--out", type=Path, required=True)
    add("--count", type=int, default=10, help="photos to label")
    add("--draws", type=int, default=3, help="random draws, and seeds")
    add("--steps", type=int, default=200)
    add("--lr", type=float, default=2e-3)
    add("--tile", type=int, default=192)
    return parser.parse_args()


def write_chosen(options: argparse.Namespace) -> Path:
    """A data set of the photos that the rule chooses, in the order of its choice."""
    from hybrid.weights.released import run_at
    from pipelines.gap.advice.photos import next_photos
    from pipelines.gap.finished import open_run

    folder = options.out / "chosen"
    file: Path = folder / "annotations.json"
    if file.is_file():
        return file
    labels: dict[str, Any] = json.loads(options.photos.read_text())
    of_name = {Path(image["file_name"]).name: image for image in labels["images"]}
    images = options.out / "unlabelled"  # without the JSON, so no label can be read
    images.mkdir(parents=True, exist_ok=True)
    for name, image in of_name.items():
        shutil.copy(options.photos.parent / image["file_name"], images / name)
    found = next_photos(images, open_run(run_at(options.start)), None, None, options.out / "cache", False)
    taken = [of_name[Path(one.photo).name] for one in found.photos[: options.count]]
    numbers = {image["id"] for image in taken}
    for image in taken:
        (folder / image["file_name"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(options.photos.parent / image["file_name"], folder / image["file_name"])
    own = [one for one in labels["annotations"] if one["image_id"] in numbers]
    file.write_text(json.dumps({**labels, "images": taken, "annotations": own}))
    print("chosen:", *(image["file_name"] for image in taken), flush=True)
    return file


def train(options: argparse.Namespace, arm: str, seed: int, chosen: Path) -> Path:
    """The finished run of an arm and seed."""
    folder: Path = options.out / f"{arm}-{seed}"
    if not (folder / "run.json").is_file():
        command = [
            sys.executable, "-m", "pipelines.finetune_real", "--data", chosen if arm == "chosen" else options.photos,
            "--shots", options.count, "--shuffle-seed", seed, "--seed", seed, "--checkpoint", options.start,
            "--sim", options.sim, "--steps", options.steps, "--lr", options.lr, "--tile", options.tile,
            "--clip-length", 1, "--frozen-stages", 1, "--threads", 1, "--out", folder,
        ]  # fmt: skip
        subprocess.run([str(word) for word in command], check=True)
    return folder


def main() -> None:
    options = arguments()
    chosen = write_chosen(options)
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for seed in range(options.draws):
        for arm in ARMS:
            run = train(options, arm, seed, chosen)
            one = rows[arm, seed] = measured(run, options.measure_on, True, options.out / "measured")
            print(f"{run.name}: AP50 {one['ap50']:.3f}, AP {one['ap']:.3f}", flush=True)
    table = [_row(arm, {seed: rows[arm, seed] for seed in range(options.draws)}, options) for arm in ARMS]
    print(*differences(table, [ARMS]), sep="\n")


def _row(arm: str, of_seed: dict[int, dict[str, Any]], options: argparse.Namespace) -> Row:
    by_seed = {seed: {figure: one[figure] for figure in FIGURES} for seed, one in of_seed.items()}
    draws = {seed: one["draws"] for seed, one in of_seed.items()}
    return Row(arm, arm, None, options.steps, of_seed[0]["sessions"], by_seed, draws, {}, {})


if __name__ == "__main__":
    main()
