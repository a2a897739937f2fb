"""Followers of parts on a line, compared on the same detections.

    simgen render --preset belt_memory --scenes 20 --seed 7101 --out val
    simgen render --preset belt_memory --scenes 50 --seed 7102 --out test
    simgen render --preset belt_memory --scenes 60 --seed 7201 --out train
    python -m benchmarks.line teach --clips train --out followers
    python -m benchmarks.line choose --clips val --followers followers/*.safetensors --out choices.json
    python -m benchmarks.line choose --clips val --out choices.json
    python -m benchmarks.line measure --clips test --choices choices.json --out test.json
    python -m benchmarks.line table test.json
    python -m benchmarks.line picture --clips test --clip 000019 --out line.webp
    python -m benchmarks.line real --data real/belt_packs --gaps 2 10 --choices choices.json

Detections are stored beside the clips, in `<clips>-detections`. ByteTrack and OC-SORT need `pip install --no-deps
trackers supervision pydeprecate`. `--only` takes some of the followers.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.line.clips import LineClip, read_clips
from benchmarks.line.measure import (
    ALONE,
    Choice,
    alone,
    choose,
    follow,
    intervals,
    milliseconds,
    plain,
    tallies,
)  # fmt: skip
from benchmarks.line.page import table
from benchmarks.line.picture import animate
from benchmarks.line.real import measured as measured_real
from benchmarks.line.rivals import RIVALS, network_rival
from benchmarks.line.teach import PARTS, teach_all
from hybrid.metrics.line import Tally, combined, figures
from hybrid.predict.detector import operating_point

WEIGHTS = "fasteners"
AGAINST = "ByteTrack"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("choose", "measure"):
        one = commands.add_parser(name)
        one.add_argument("--clips", type=Path, required=True)
        one.add_argument("--weights", default=WEIGHTS)
        one.add_argument("--out", type=Path, required=True)
        one.add_argument("--only", nargs="+", default=[name for name in RIVALS if name != ALONE])
        one.add_argument("--followers", type=Path, nargs="*", default=[], help="files of more track networks")
    commands.choices["measure"].add_argument("--choices", type=Path, required=True)
    taught = commands.add_parser("teach")
    taught.add_argument("--clips", type=Path, nargs="+", required=True)
    taught.add_argument("--weights", default=WEIGHTS)
    taught.add_argument("--only", nargs="+", default=list(PARTS), choices=list(PARTS))
    taught.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    taught.add_argument("--steps", type=int, default=1200)
    taught.add_argument("--out", type=Path, required=True, help="folder of the files")
    table_of = commands.add_parser("table")
    table_of.add_argument("file", type=Path)
    for one in (commands.choices["measure"], table_of):
        one.add_argument("--against", default=AGAINST, help="the follower that all are compared with")
    real = commands.add_parser("real")
    real.add_argument("--data", type=Path, required=True)
    real.add_argument(
        "--gaps", type=int, nargs=2, help="lengths of drop-outs, in frames; else where a hand hides parts"
    )
    real.add_argument("--choices", type=Path, required=True)
    real.add_argument("--followers", type=Path, nargs="*", default=[])
    picture = commands.add_parser("picture")
    picture.add_argument("--clips", type=Path, required=True)
    picture.add_argument("--clip", required=True, help="its name, as 000019")
    picture.add_argument("--weights", default=WEIGHTS)
    picture.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    for file in getattr(given, "followers", []):
        RIVALS[file.stem] = network_rival(file)
        if "only" in given and file.stem not in given.only:
            given.only.append(file.stem)
    if given.command == "table":
        print(table(json.loads(given.file.read_text()), given.against))
    elif given.command == "picture":
        animate(given.clips, given.clip, given.weights, given.out)
    elif given.command == "teach":
        teach_all(given.clips, given.weights, given.only, given.seeds, given.steps, given.out)
    elif given.command == "real":
        print(measured_real(given.data, given.gaps, json.loads(given.choices.read_text())))
    else:
        clips = read_clips(given.clips, given.clips.with_name(f"{given.clips.name}-detections"), given.weights)
        before = json.loads(given.out.read_text()) if given.out.exists() else {}
        point = operating_point(Path(given.weights))[0]
        act = _choose if given.command == "choose" else _measure
        given.out.write_text(json.dumps(before | act(given, clips, point), indent=1) + "\n")


def _choose(given: argparse.Namespace, clips: list[LineClip], point: float) -> dict[str, Any]:
    base, most_false = alone(clips, point)
    chosen = {ALONE: plain(base)}
    for name in given.only:
        chosen[name] = plain(choose(name, clips, point, most_false))
        print(name, chosen[name], flush=True)
    return chosen


def _measure(given: argparse.Namespace, clips: list[LineClip], point: float) -> dict[str, Any]:
    stored = json.loads(given.choices.read_text())
    names = list(dict.fromkeys([ALONE, given.against, *given.only]))
    chosen = {name: Choice(stored[name]["settings"], stored[name]["score"], {}) for name in names}
    told = {name: follow(name, one.settings, clips, point) for name, one in chosen.items()}
    rows = {name: tallies(told[name], clips, one.score) for name, one in chosen.items()}
    loose = {name: tallies(told[name], clips, one.score, 0.3) for name, one in chosen.items()}
    result: dict[str, Any] = {}
    for name, one in chosen.items():
        result[name] = {
            "settings": dict(one.settings),
            "score": one.score,
            "figures": figures(combined(rows[name])),
            "at IoU 0.3": figures(combined(loose[name])),
            "difference": intervals(rows[name], rows[given.against]),
            "difference at IoU 0.3": intervals(loose[name], loose[given.against]),
            "slow belts": _slow(rows[name], clips),
            "milliseconds": milliseconds(name, one.settings, clips),
        }
        print(name, result[name]["figures"], flush=True)
    total = combined(rows[given.against])
    counted = ("clips", "frames", "parts", "hidden", "half", "clear", "crossings", "empty_frames")
    return result | {"clips": {name: getattr(total, name) for name in counted}}


def _slow(rows: list[Tally], clips: list[LineClip]) -> dict[str, float]:
    """The figures of the clips in which parts move by less than half their side."""
    slow = [row for row, clip in zip(rows, clips, strict=True) if not clip.is_fast]
    return {"clips": len(slow)} | (figures(combined(slow)) if slow else {})


if __name__ == "__main__":
    main()
