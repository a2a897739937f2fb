"""What one change to the simulation does to the gap: AP50 on photos, of detectors trained without photos.

    python benchmarks/paired_gap.py --photos DATA/pool/annotations.json --runs out/tiny out/pbr --out gap.md

The runs are finished trainings on simulation alone that differ in one thing (the renderer, a group of ranges). The
others are compared with the first. The photos are resampled with replacement, with the same draw for every run: the
interval of a difference is that of a paired comparison over photos. It says nothing about another seed of the training.
A run that was trained on one of the photos is refused.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from hybrid.metrics.detection import Metrics, matched_frames
from hybrid.metrics.video import average_precision
from pipelines.common.data import read
from pipelines.common.options import one_line_errors
from pipelines.gap.finished import FinishedRun, open_run
from pipelines.gap.measure import measure
from pipelines.gap.sets import refuse_trained_on


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--photos", type=Path, required=True, help="COCO JSON; not a test split, if anything is chosen by the answer")
    add("--runs", type=Path, nargs="+", required=True, help="finished runs; the first is the one to compare with")
    add("--draws", type=int, default=1000, help="of the bootstrap over photos")
    add("--out", type=Path, required=True, help="Markdown file; detections are stored beside it")
    return parser.parse_args()


def row(run: FinishedRun, metrics: Metrics, values: np.ndarray, base: np.ndarray) -> str:
    low, high = np.quantile(values, [0.025, 0.975])
    by = metrics.by_category
    classes = " | ".join(f"{by[name].ap50 or 0:.3f}" for name in sorted(by))
    gain = (
        ""
        if values is base
        else "{:+.3f} ({:+.3f} to {:+.3f})".format(
            float(np.mean(values - base)), *np.quantile(values - base, [0.025, 0.975])
        )
    )
    name_and_steps = f"{run.folder.name} | {run.steps}"
    return f"| {name_and_steps} | **{metrics.overall.ap50 or 0:.3f}** | {low:.3f} to {high:.3f} | {classes} | {gain} |"


def main() -> None:
    options = arguments()
    with one_line_errors():
        runs = [open_run(folder) for folder in options.runs]
        source = read(options.photos, runs[0].categories)
        refuse_trained_on(source, options.photos, runs)
        results = [measure(run, source, options.out.parent / "found", run.folder.name) for run in runs]
    rng = np.random.default_rng(0)
    count = len(source.frames)
    weights = rng.multinomial(count, np.full(count, 1 / count), options.draws).astype(float)
    judged = [matched_frames(one.detections, source.frames) for one in results]
    values = [np.array([average_precision(one, drawn) or 0.0 for drawn in weights]) for one in judged]
    names = " | ".join(f"AP50 {name}" for name in sorted(results[0].metrics.by_category))
    lines = [
        f"| run | steps | AP50 | 95 % over photos | {names} | gain on the first (95 %) |",
        "|" + "---|" * (5 + names.count("|") + 1),
        *(row(*one, values[0]) for one in zip(runs, (r.metrics for r in results), values, strict=True)),
    ]
    options.out.write_text("\n".join(lines) + "\n")
    print(f"{len(source.frames)} photos, {sum(len(f.labels) for f in source.frames)} boxes\n", *lines, sep="\n")


if __name__ == "__main__":
    main()
