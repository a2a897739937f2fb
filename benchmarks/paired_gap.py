"""What one change to the simulation does to the gap: AP50 on photos, of detectors trained without photos.

    python benchmarks/paired_gap.py --photos DATA/pool/annotations.json --runs out/tiny out/pbr --out gap.md

The runs are finished trainings on simulation alone that differ in one thing (the renderer, a group of ranges). The
others are compared with the first. Whole sessions of photos are drawn, the same ones for every run; intervals and p
are those of the gap report, with Holm's correction over the comparisons. With one seed of the training they hold no
training noise. A run that was trained on one of the photos is refused.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from hybrid.metrics.detection import Metrics
from pipelines.common.data import read
from pipelines.common.options import one_line_errors
from pipelines.gap.finished import FinishedRun, open_run
from pipelines.gap.measure import measure
from pipelines.gap.schema.figure import Figure
from pipelines.gap.sets import refuse_trained_on
from pipelines.gap.stats.grouping import PhotoSessions, group
from pipelines.gap.stats.interval import difference_figure, holm, share_figure
from pipelines.gap.stats.resampled import Resampled, resampled


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--photos", type=Path, required=True, help="COCO JSON; not a test split, if anything is chosen by the answer")
    add("--runs", type=Path, nargs="+", required=True, help="finished runs; the first is the one to compare with")
    add("--sessions", help="as in the gap report: a regular expression, or a CSV file of photo and session")
    add("--draws", type=int, default=1000, help="of the bootstrap over sessions")
    add("--out", type=Path, required=True, help="Markdown file; detections are stored beside it")
    return parser.parse_args()


def interval(figure: Figure, sign: str = "") -> str:
    return "-" if figure.low is None else f"{figure.low:{sign}.3f} to {figure.high:{sign}.3f}"


def row(run: FinishedRun, metrics: Metrics, drawn: Resampled, gain: Figure | None, sessions: PhotoSessions) -> str:
    ap50 = share_figure([float(drawn.ap50[0])], drawn.ap50[None, 1:], sessions.count, "AP50", len(sessions.of_frame))
    by = metrics.by_category
    classes = " | ".join(f"{by[name].ap50 or 0:.3f}" for name in sorted(by))
    words = "" if gain is None else f"{gain.value:+.3f} ({interval(gain, '+')})"
    p = "" if gain is None or gain.p_holm is None else f"{gain.p_holm:.3f}"
    return f"| {run.folder.name} | {run.steps} | **{ap50.value:.3f}** | {interval(ap50)} | {classes} | {words} | {p} |"


def main() -> None:
    options = arguments()
    with one_line_errors():
        runs = [open_run(folder) for folder in options.runs]
        source = read(options.photos, runs[0].categories)
        refuse_trained_on(source, options.photos, runs)
        sessions = group(source, options.sessions)
        results = [measure(run, source, options.out.parent / "found", run.folder.name) for run in runs]
    frames, count = source.frames, sessions.count
    drawn = [resampled(one.detections, frames, sessions.of_frame, options.draws) for one in results]
    differences = [one.ap50 - drawn[0].ap50 for one in drawn[1:]]
    figures = {
        str(k): difference_figure([float(one[0])], one[None, 1:], count, "AP50", len(frames), scale=1.0)
        for k, one in enumerate(differences, 1)
    }
    gains = holm(figures)
    names = " | ".join(f"AP50 {name}" for name in sorted(results[0].metrics.by_category))
    lines = [
        f"| run | steps | AP50 | 95 % over sessions | {names} | gain on the first (95 %) | p (Holm) |",
        "|" + "---|" * (6 + names.count("|") + 1),
        *(
            row(run, result.metrics, one, gains.get(str(k)), sessions)
            for k, (run, result, one) in enumerate(zip(runs, results, drawn, strict=True))
        ),
    ]
    options.out.write_text("\n".join(lines) + "\n")
    print(f"{sessions.in_words()}, {sum(len(f.labels) for f in frames)} boxes\n", *lines, sep="\n")


if __name__ == "__main__":
    main()
