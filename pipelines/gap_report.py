"""Measure runs on simulated validation and on real test data, and write what it says as one page."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.common.options import one_line_errors
from simgen.dataset.store.locations import Place, place

if TYPE_CHECKING:
    import numpy as np

    from hybrid.core.config import BoxesOf
    from hybrid.core.types import Detections
    from hybrid.data.clips import ClipSource, FrameRecord
    from pipelines.gap.appearance import Difference
    from pipelines.gap.measure import Result, Run
    from pipelines.gap.pictures import Verdict
    from pipelines.gap.report import DataRow, Panel, RunRow

EPILOG = """examples:
  python -m pipelines.gap_report --sim data/sim --real photos/test.json --runs out/sim out/sim10 --out report.html
  python -m pipelines.gap_report --sim data/sim --real data/other --runs out/sim --out report.html     (a stand-in)
"""
SHOWN_SCORE = 0.3  # detections below it are not drawn
CROPS = 14
SCENES = 2
PICTURES = 60  # of each set, for the statistics


@dataclass(frozen=True)
class Sets:
    """What is measured on, by the same categories in the same order."""

    sim: ClipSource
    target: ClipSource
    pictures: tuple[ClipSource, ClipSource]  # compared with each other: simulated, and what is to look like it
    word: str  # what the target is called
    note: str  # which simulated clips


def arguments(line: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.gap_report",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--sim", required=True, help="simulated data set, a folder or a URL; clips that a run trained on are left out")
    photos = "COCO JSON or YOLO data.yaml (its test or val) of test photos; or a simulated data set as a stand-in"
    add("--real", required=True, help=photos)
    add("--runs", type=Path, nargs="+", required=True, help="folders of finished runs")
    add("--out", type=Path, required=True, help="the HTML file; its JSON is written beside it")
    add("--look", help="photos for the picture statistics, so that no test photo tunes the simulation")
    add("--sim-clips", type=int, default=40, help="simulated clips to measure on, 0: all (default: %(default)s)")
    add("--without-photos", action="store_true", help="show no photo, for a page to pass on where photos may not be")
    add("--stand-in", action="store_true", help="call --real a stand-in, whatever it is")
    return parser.parse_args(line)


def main(line: Sequence[str] | None = None) -> None:
    asked = arguments(line)
    with one_line_errors():
        from hybrid.data.clips import DataError
        from pipelines.gap.measure import measure, open_run
        from pipelines.gap.report import Report, best, write

        if asked.out.suffix != ".html":
            raise DataError(f"--out: {asked.out} must end in .html")
        asked.sim, asked.real = place(asked.sim), place(asked.real)
        asked.look = place(asked.look) if asked.look else None
        runs = [open_run(folder) for folder in asked.runs]
        sets = _sets(asked, runs)
        cache = asked.out.with_name(f"{asked.out.stem}-cache")
        results = [
            (
                measure(run, _as_known(sets.sim, run), cache, f"{run.folder.name} on simulated"),
                measure(run, _as_known(sets.target, run), cache, f"{run.folder.name} on {sets.word}"),
            )
            for run in runs
        ]
        samples = _samples(sets)
        report = Report(
            made=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
            target=sets.word,
            categories=sets.target.categories,
            sim=_row(asked.sim, sets.sim, sets.note),
            real=_row(asked.real, sets.target, f"pictures compared: {asked.look or asked.real}"),
            runs=[_run_row(run, *both) for run, both in zip(runs, results, strict=True)],
            differences=samples.differences,
            command="python -m pipelines.gap_report " + shlex.join(sys.argv[1:] if line is None else line),
        )
        top = list(report.runs).index(best(report))
        panel = _panel(sets, runs[top], results[top], photos=not asked.without_photos)
        sys.stdout.write(f"{write(report, replace(panel, histograms=samples.histograms), asked.out)}\n")


def _sets(asked: argparse.Namespace, runs: Sequence[Run]) -> Sets:
    from pipelines.common.runs import STAND_IN, read, split_to_measure, target_kind
    from pipelines.gap.measure import held_out, never_seen

    split = split_to_measure(asked.real)
    boxes = _boxes(runs)
    target = read(asked.real, split=split, boxes=boxes)
    never_seen(target, asked.real, runs, split)
    every = read(asked.sim, target.categories, boxes=boxes)
    sim, note = held_out(every, asked.sim, runs)
    if 0 < asked.sim_clips < len(sim):
        sim, note = sim.take(asked.sim_clips), f"{note}; {asked.sim_clips} of them measured"
    # pictures are compared where parts show
    shown = every if boxes == "visible" else read(asked.sim, target.categories)
    if asked.look is not None:
        look = read(asked.look, target.categories)
    else:
        look = target if boxes == "visible" else read(asked.real, target.categories, split)
    return Sets(sim, target, (shown, look), STAND_IN if asked.stand_in else target_kind(asked.real), note)


def _boxes(runs: Sequence[Run]) -> BoxesOf:
    """What the runs' boxes go round.

    Raises:
        DataError: they differ, so that no truth would be fair to all of them.
    """
    from hybrid.data.clips import DataError

    known = {run.model.boxes for run in runs}
    if len(known) > 1:
        told = ", ".join(f"{run.folder.name}: {run.model.boxes}" for run in runs)
        raise DataError(f"boxes of these runs go round different things ({told}): measure them apart")
    return known.pop() if known else "visible"


def _as_known(source: ClipSource, run: Run) -> ClipSource:
    """The source with its labels counted as the run's detector counts them.

    Raises:
        DataError: the detector does not know one of the categories.
    """
    import numpy as np

    from hybrid.data.clips import DataError

    missing = [name for name in source.categories if name not in run.categories]
    if missing:
        raise DataError(f"{run.folder}: its detector knows {list(run.categories)}, not {missing} of {source.name}")
    place = np.array([run.categories.index(name) for name in source.categories], np.int64)
    clips = [
        replace(clip, frames=tuple(replace(f, labels=place[f.labels]) for f in clip.frames)) for clip in source.clips
    ]
    return replace(source, categories=run.categories, clips=tuple(clips))


def _row(path: Place, source: ClipSource, note: str) -> DataRow:
    from pipelines.gap.report import DataRow

    return DataRow(path=str(path), images=len(source.frames), boxes=sum(source.counts().values()), note=note)


def _run_row(run: Run, on_sim: Result, on_target: Result) -> RunRow:
    from pipelines.gap.measure import in_report
    from pipelines.gap.report import RunRow

    return RunRow(
        name=run.folder.name,
        trained_on=run.described(),
        parts=run.model.parts,
        steps=run.plain["steps"],
        seconds=float(run.plain.get("seconds", 0.0)),
        sim=in_report(on_sim.metrics),
        target=in_report(on_target.metrics),
    )


@dataclass(frozen=True)
class Compared:
    differences: Sequence[Difference]
    histograms: dict[str, str]


def _samples(sets: Sets) -> Compared:
    """How the pictures differ: one frame of each of the first clips of both sets."""
    from hybrid.data.pixels import decode
    from pipelines.gap.appearance import compare, pooled, sample
    from pipelines.gap.pictures import histograms

    sim, look = (
        sample((decode(f), f.boxes_xyxy_px.astype(float)) for f in (clip.frames[0] for clip in source.clips[:PICTURES]))
        for source in sets.pictures
    )
    found = compare(sim, look)
    names = ("simulated", sets.word)
    return Compared(
        found, {d.name: histograms(pooled(sim[d.name]), pooled(look[d.name]), names, d.unit) for d in found}
    )


@dataclass(frozen=True)
class Judged:
    """A frame with what the best run found in it."""

    frame: FrameRecord
    boxes: np.ndarray
    scores: np.ndarray
    verdict: Verdict


def _judged(source: ClipSource, found: Sequence[Detections]) -> Iterator[Judged]:
    from pipelines.gap.pictures import judge

    for frame, one in zip(source.frames, found, strict=True):
        shown = (one.scores >= SHOWN_SCORE).numpy()
        boxes, labels = one.boxes_xyxy_px.numpy()[shown].astype(float), one.labels.numpy()[shown]
        verdict = judge(boxes, labels, frame.boxes_xyxy_px.astype(float), frame.labels)
        yield Judged(frame, boxes, one.scores.numpy()[shown], verdict)


def _panel(sets: Sets, run: Run, results: tuple[Result, Result], photos: bool) -> Panel:
    """Whole scenes and failures of one run, simulated and real side by side, or simulated alone."""
    from pipelines.gap.report import Panel

    judged = {"simulated": list(_judged(_as_known(sets.sim, run), results[0].detections))}
    if photos:
        judged[sets.word] = list(_judged(_as_known(sets.target, run), results[1].detections))
    scenes = {word: _scenes(word, rows) for word, rows in judged.items()}
    missed = {f"{word}: missed": _missed(rows) for word, rows in judged.items()}
    false = {f"{word}: false alarms, surest first": _false_alarms(rows) for word, rows in judged.items()}
    beside = [one for pair in zip(*scenes.values(), strict=False) for one in pair]
    return Panel(scenes=beside, crops=missed | false)


def _scenes(word: str, rows: Sequence[Judged]) -> list[tuple[str, str]]:
    from hybrid.data.pixels import decode
    from pipelines.gap.pictures import annotated, to_uri

    some = [rows[i * len(rows) // SCENES] for i in range(min(SCENES, len(rows)))]
    shown = [annotated(decode(r.frame), r.boxes, r.frame.boxes_xyxy_px.astype(float), r.verdict) for r in some]
    return [(f"{word}: {r.frame.name}", to_uri(image)) for r, image in zip(some, shown, strict=True)]


def _missed(rows: Sequence[Judged]) -> list[str]:
    from pipelines.gap.pictures import MISS

    every = [(row, row.frame.boxes_xyxy_px[i].astype(float)) for row in rows for i in row.verdict.misses]
    step = max(1, len(every) // CROPS)
    return _crops(every[::step], MISS)


def _false_alarms(rows: Sequence[Judged]) -> list[str]:
    from pipelines.gap.pictures import FALSE_ALARM

    every = [(row, i) for row in rows for i in row.verdict.false_alarms]
    every.sort(key=lambda one: -float(one[0].scores[one[1]]))
    return _crops([(row, row.boxes[i]) for row, i in every], FALSE_ALARM)


def _crops(places: Sequence[tuple[Judged, np.ndarray]], colour: tuple[int, int, int]) -> list[str]:
    from hybrid.data.pixels import decode
    from pipelines.gap.pictures import crop, to_uri

    return [to_uri(crop(decode(row.frame), box, colour)) for row, box in places[:CROPS]]


if __name__ == "__main__":
    main()
