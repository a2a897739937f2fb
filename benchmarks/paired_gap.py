"""What one change to the simulation does to the gap: AP50 on photographs of detectors that saw none.

    python benchmarks/paired_gap.py --photos DATA/pool/annotations.json --runs out/tiny out/pbr --out gap.md

The runs are finished trainings on simulation alone that differ in one thing (the renderer, a group of ranges); the
first is what the others are compared with. The photos are resampled with replacement, the same draw for every run, so
the interval of a difference is that of a paired comparison over photographs; it says nothing about another seed of
the training. A run that any of the photos was trained on is refused.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from hybrid.metrics.detection import Metrics, matched_frames
from hybrid.metrics.video import average_precision
from pipelines.common.options import one_line_errors
from pipelines.common.runs import read
from pipelines.gap.measure import Run, measure, never_seen, open_run


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--photos", type=Path, required=True, help="COCO JSON; not a test split, if anything is chosen by the answer")
    add("--runs", type=Path, nargs="+", required=True, help="finished runs; the first is the one to compare with")
    add("--draws", type=int, default=1000, help="of the bootstrap over photos")
    add("--out", type=Path, required=True, help="Markdown; what was detected is kept beside it")
    return parser.parse_args()


def row(run: Run, metrics: Metrics, values: np.ndarray, base: np.ndarray) -> str:
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
    told = f"{run.folder.name} | {run.plain['steps']}"
    return f"| {told} | **{metrics.overall.ap50 or 0:.3f}** | {low:.3f} to {high:.3f} | {classes} | {gain} |"


def main() -> None:
    asked = arguments()
    with one_line_errors():
        runs = [open_run(folder) for folder in asked.runs]
        source = read(asked.photos, runs[0].categories)
        never_seen(source, asked.photos, runs)
        results = [measure(run, source, asked.out.parent / "found", run.folder.name) for run in runs]
    rng = np.random.default_rng(0)
    count = len(source.frames)
    weights = rng.multinomial(count, np.full(count, 1 / count), asked.draws).astype(float)
    judged = [matched_frames(one.detections, source.frames) for one in results]
    values = [np.array([average_precision(one, drawn) or 0.0 for drawn in weights]) for one in judged]
    names = " | ".join(f"AP50 {name}" for name in sorted(results[0].metrics.by_category))
    lines = [
        f"| run | steps | AP50 | 95 % over photos | {names} | gain on the first (95 %) |",
        "|" + "---|" * (5 + names.count("|") + 1),
        *(row(*one, values[0]) for one in zip(runs, (r.metrics for r in results), values, strict=True)),
    ]
    asked.out.write_text("\n".join(lines) + "\n")
    print(f"{len(source.frames)} photos, {sum(len(f.labels) for f in source.frames)} boxes\n", *lines, sep="\n")


if __name__ == "__main__":
    main()
