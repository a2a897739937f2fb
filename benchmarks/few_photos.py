"""What are simulation and photos worth, where every detector starts from ImageNet weights?

    python benchmarks/few_photos.py --data DATA --sim fasteners --replay data/sim --elsewhere data/standin data/belt
        --shots 1 10 52 --steps 400 --steps-of 1=200 --compare sim photos-10 --out out/few
    ... --choose        measure on the pool's held-out sessions; the test photos are not read

The folder `--data` holds pool/annotations.json (to train on) and test/annotations.json (measured when all runs are
done). `--sim` is a finished run of train_sim, or the name of released weights; with these, `--replay` names simulated
data to mix in, since what they learned from is not there. Each run is a folder under --out. A run that was stopped goes
on, a finished one of the same settings is left as it is. `--only` trains and measures some of them:

    sim                 simulation alone
    photos-N-rR         the first N photos of shuffle R, from ImageNet weights, no simulation
    sim-N-rR            simulation, then the same photos, by the default recipe (--sim-share of the samples simulated)
    METHOD-N-rR         as sim-N-rR, by a method of --methods (such as plain, without simulated samples)

`--elsewhere` names simulated data sets that show what the photos do not show. AP50 there, before and after, says what
fine-tuning wiped out. Intervals resample sessions (a photo's name without its last number) and, where there are several
shuffles, their variance is a part of them. Rows with as many photos are compared with each other, others where
`--compare` asks for it. `ap50.svg` shows AP50 and AP against the number of photos.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.gap.stats.interval import Interval, difference_interval, share_interval

METHODS: dict[str, list[str]] = {  # what is added to the command of the default recipe
    "plain": ["--sim", "none"],
    "l2-sp": ["--sim", "none", "--method", "l2-sp"],
    "wise-ft": ["--sim", "none", "--method", "wise-ft"],  # half and half: --holdout would choose other photos
    "frozen-first": ["--sim", "none", "--method", "frozen-first"],
}
DRAWS = 400
FIGURES = ("ap50", "ap")
FLIPPED = ", --flip"  # at the end of a row's name
IOUS = np.linspace(0.5, 0.95, 10)  # of AP
COLOURS = {"photos": "#8a939d", "sim": "#1b7f5c", "plain": "#d0722c"}  # of the other methods: those of matplotlib
LEGEND = {
    "photos": "photos alone",
    "sim": "simulation, then photos; samples of both",
    "plain": "simulation, then photos alone",
}


@dataclass(frozen=True)
class Plan:
    """One run: its command, and its place in the table."""

    arm: str
    shots: int | None  # None: of other settings
    shuffle: int
    steps: int
    command: list[str]


@dataclass(frozen=True)
class Row:
    """A line of the table: one arm and number of photos, over all shuffles. Figures are 0..1."""

    name: str
    arm: str
    shots: int | None  # photos; None: not compared by itself, and not in the picture
    steps: int  # on photos
    sessions: int
    by_shuffle: dict[int, dict[str, float]]  # the figures of each run
    draws: dict[int, dict[str, list[float]]]  # the same on each draw of the sessions
    by_category: dict[str, float]  # AP50
    elsewhere: dict[str, float]  # AP50

    def interval(self, figure: str) -> Interval:
        draws = np.array([run[figure] for run in self.draws.values()], np.float64)
        return share_interval([run[figure] for run in self.by_shuffle.values()], draws, self.sessions)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder with pool/ and test/")
    add("--sim", required=True, help="a finished run of train_sim, or the name of released weights")
    add("--replay", help="simulated data to mix in (default: what --sim learned from)")
    add("--sim-share", help="share of the samples that are simulated (default: that of finetune_real)")
    add("--elsewhere", type=Path, nargs="*", default=[], help="simulated data sets that no run has seen")
    add("--out", type=Path, required=True)
    add("--shots", type=int, nargs="+", default=[1, 10, 52])
    add("--shuffles", type=int, default=1)
    add("--steps", type=int, default=400)
    add("--steps-of", type=_pair, nargs="*", default=[], metavar="ROW=STEPS", help="1=200, photos=1600 or sim-10=800")
    add("--lr", type=float, default=1e-3)
    add("--tile", type=int, default=256, help="as the run on simulation")
    add("--frozen-stages", type=int, default=0)
    add("--methods", nargs="*", default=[], choices=list(METHODS))
    add("--method-shots", type=int, nargs="*", default=[10], help="numbers of photos that the methods are run with")
    add("--compare", nargs=2, action="append", default=[], metavar="ROW", help="two rows with other numbers of photos")
    add("--flip", nargs="*", default=[], metavar="ROW", help="rows once more, with two looks averaged")
    add("--also", nargs="+", action="append", default=[], metavar="ROW", help="NAME STEPS RUN [RUN]: one more row")
    add("--choose", action="store_true", help="hold out a fifth of the pool and measure there")
    add("--only", nargs="*", help="names of the runs (default: all)")
    add("--train-only", action="store_true", help="measure nothing")
    add("--threads", type=int, default=1)
    return parser.parse_args()


def _pair(text: str) -> tuple[str, int]:
    row, _, steps = text.partition("=")
    return row, int(steps)


def plans(options: argparse.Namespace) -> dict[str, Plan]:
    """All runs but the one on simulation, by name."""
    photos = ["pipelines.finetune_real", "--data", str(options.data / "pool/annotations.json"), "--clip-length", "1"]
    photos += ["--lr", str(options.lr), "--threads", str(options.threads)]
    photos += ["--tile", str(options.tile), "--frozen-stages", str(options.frozen_stages)]
    photos += ["--holdout", "0.2"] if options.choose else []
    replay = ["--sim", options.replay] if options.replay else []
    replay += ["--sim-share", options.sim_share] if options.sim_share else []
    runs, other = {}, dict(options.steps_of)
    for shots in options.shots:
        for shuffle in range(options.shuffles):
            few = [*photos, "--shots", str(shots)]
            few += ["--shuffle-seed", str(shuffle), "--seed", str(shuffle)]
            start = ["--checkpoint", options.sim]
            arms = {"photos": ["--checkpoint", "none"], "sim": [*start, *replay]}
            if shots in options.method_shots:
                arms |= {name: [*start, *METHODS[name]] for name in options.methods}
            for arm, more in arms.items():
                names = (f"{arm}-{shots}", arm, str(shots))  # the most exact one counts
                steps = next((other[name] for name in names if name in other), options.steps)
                command = [*few, "--steps", str(steps), *more]
                runs[f"{arm}-{shots}-r{shuffle}"] = Plan(arm, shots, shuffle, steps, command)
    return runs


def finished(run: Path, plan: Plan, options: argparse.Namespace) -> bool:
    """Whether this run is done.

    Raises:
        SystemExit: it is, with other settings.
    """
    if not (run / "run.json").is_file():
        return False
    done = json.loads((run / "run.json").read_text())["train"]
    wanted = {"steps": plan.steps, "learning_rate": options.lr, "tile_px": options.tile, "seed": plan.shuffle}
    if other := [f"{key} {done[key]}, not {value}" for key, value in wanted.items() if done[key] != value]:
        raise SystemExit(f"{run}: a finished run with {', '.join(other)}; give another --out")
    return True


def measured(run: Path, data: Path, sessions: bool, folder: Path, flip: bool = False) -> dict[str, Any]:
    """A run's AP50, AP and AR on data, and AP50 and AP on each draw of the sessions. Kept in `folder`."""
    from hybrid.data.pixels import decode
    from hybrid.metrics.detection import matched_frames, score
    from hybrid.metrics.video import average_precision
    from hybrid.predict.detector import trained_view
    from hybrid.predict.runtime.choice import Runtime
    from hybrid.predict.stream import stream
    from hybrid.weights.checkpoint import load
    from pipelines.common.data import data_hash, read
    from pipelines.common.record import weights_hash
    from pipelines.gap.sessions import session_weights, sessions_of

    key = f"{weights_hash(run)[:16]}-{data_hash(data)[:16]}{'-flip' if flip else ''}"
    kept = folder / f"{key}.json"
    if kept.is_file():
        row: dict[str, Any] = json.loads(kept.read_text())
        return row
    detector = load(run)
    source = read(data, detector.config.categories)
    engine, view = Runtime(detector), replace(trained_view(run), mirrored=flip)
    detections = [one for clip in source.clips for one in stream(engine, map(decode, clip.frames), view)]
    metrics = score(detections, source.frames, source.categories)
    whole = metrics.overall
    row = {"ap50": whole.ap50, "ap": whole.ap, "ar": whole.ar, "images": len(source.frames), "boxes": whole.boxes}
    row["by_category"] = {name: one.ap50 for name, one in metrics.by_category.items()}
    if sessions:
        of_photo = sessions_of([frame.name for frame in source.frames])
        weights = session_weights(of_photo, DRAWS)
        matched = [matched_frames(detections, source.frames, least_iou=iou) for iou in IOUS]
        draws = np.array([[average_precision(one, weight) for weight in weights] for one in matched], np.float64)
        row["draws"] = {"ap50": draws[0].tolist(), "ap": draws.mean(0).tolist()}
        row["sessions"] = int(of_photo.max()) + 1
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(row))
    return row


def row_of(name: str, of_shuffle: dict[int, Path], plan: Plan, options: argparse.Namespace, on_photos: Path) -> Row:
    """A line of the table; `plan` is that of one of its runs."""
    folder, runs, flip = options.out / "measured", list(of_shuffle.values()), name.endswith(FLIPPED)
    real = dict(zip(of_shuffle, [measured(run, on_photos, True, folder, flip) for run in runs], strict=True))
    worlds: list[Path] = options.elsewhere
    elsewhere = {world.name: [measured(run, world, False, folder, flip)["ap50"] for run in runs] for world in worlds}
    categories = [one["by_category"] for one in real.values()]
    return Row(
        name=name,
        arm=plan.arm,
        shots=plan.shots,
        steps=plan.steps,
        sessions=next(iter(real.values()))["sessions"],
        by_shuffle={shuffle: {figure: one[figure] for figure in FIGURES} for shuffle, one in real.items()},
        draws={shuffle: one["draws"] for shuffle, one in real.items()},
        by_category={
            k: float(np.mean([one[k] for one in categories])) for k, v in categories[0].items() if v is not None
        },
        elsewhere={key: float(np.mean(values)) for key, values in elsewhere.items()},
    )


def table(rows: Sequence[Row]) -> str:
    """The rows in Markdown."""
    worlds = list(rows[0].elsewhere)
    head = ["trained on", "steps on photos", "runs", "AP50 on photos", "95 %", "AP", "95 %"]
    head += [f"AP50 on {name}" for name in worlds]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in rows:
        cells = [row.name, f"{row.steps:,}", str(len(row.by_shuffle))]
        for figure in FIGURES:
            found = row.interval(figure)
            cells += [f"**{found.value:.3f}**", "none" if found.low is None else f"{found.low:.3f} to {found.high:.3f}"]
        cells += [f"{row.elsewhere[name]:.3f}" for name in worlds]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def chart(rows: Sequence[Row], file: Path) -> None:
    """AP50 and AP on the photos with 95 % intervals, and AP50 elsewhere, against the number of photos."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    counts = sorted({row.shots for row in rows if row.shots is not None})
    place = {shots: k for k, shots in enumerate(counts)}
    arms = list(dict.fromkeys(row.arm for row in rows if row.shots))
    figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.8), layout="constrained")
    for k, arm in enumerate(arms):
        own = [row for row in rows if row.shots and row.arm == arm]
        own += [row for row in rows if row.shots == 0 and arm != "photos"]
        own.sort(key=lambda row: row.shots or 0)
        x = [place[row.shots or 0] + 0.09 * (k - (len(arms) - 1) / 2) for row in own]
        steps = sorted({row.steps for row in own if row.shots})
        label = f"{LEGEND.get(arm, arm)}, {' to '.join(f'{one:,}' for one in steps[:: len(steps) - 1 or 1])} steps"
        style: dict[str, Any] = {"color": COLOURS.get(arm), "label": label, "marker": "o", "ms": 4}
        for one, name in zip(axes, FIGURES, strict=False):
            found = [row.interval(name) for row in own]
            values = np.array([interval.value for interval in found])
            ends = np.array([(i.low or i.value, i.high or i.value) for i in found]).T
            one.errorbar(x, values, np.abs(ends - values), capsize=2, elinewidth=1, **style)
        axes[2].plot(x, [np.mean(list(row.elsewhere.values())) for row in own], **style)
    worlds = ", ".join(rows[0].elsewhere)
    of_count = {n: sorted({row.steps for row in rows if row.shots == n}) for n in counts}
    alike = all(len(steps) == 1 for steps in of_count.values())  # the same in all arms
    ticks = [f"{n}\n{steps[0]}" if alike else str(n) for n, steps in of_count.items()]
    for one, title in zip(axes, ("AP50, test photos", "AP, test photos", f"AP50 elsewhere: {worlds}"), strict=True):
        one.set(title=title, xticks=range(len(counts)), xticklabels=ticks, ylim=(0, 1))
        one.set_xlabel("labelled photos" + (", steps on them" if alike else ""))
        one.grid(axis="y", color="#dddddd")
        one.spines[["top", "right"]].set_visible(False)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)


def differences(rows: Sequence[Row], asked: Sequence[Sequence[str]] = ()) -> list[str]:
    """Rows with as many photos against each other, and the pairs asked for, by name: the first minus the second.

    They are paired by sessions and shuffles. A row of one run is compared with each run of the other.
    """
    by_name = {row.name: row for row in rows}
    pairs = [(row, other) for other, row in combinations(rows, 2) if row.shots and row.shots == other.shots]
    pairs += [(by_name[first], by_name[second]) for first, second in asked]
    return [line for first, second in pairs if (line := _difference(first, second))]


def _difference(first: Row, second: Row) -> str | None:
    ours, others = list(first.by_shuffle), list(second.by_shuffle)
    both = [(k, k) for k in ours if k in others]
    if len(ours) == 1 or len(others) == 1:
        both = [(a, b) for a in ours for b in others]
    if not both:
        return None
    cells = []
    for figure, label in zip(FIGURES, ("AP50", "AP"), strict=True):
        gaps = [first.by_shuffle[a][figure] - second.by_shuffle[b][figure] for a, b in both]
        draws = np.array([np.subtract(first.draws[a][figure], second.draws[b][figure]) for a, b in both])
        found = difference_interval(gaps, draws, first.sessions)
        bounds = "" if found.low is None else f" ({found.low:+.3f} to {found.high:+.3f})"
        cells.append(f"{label} {found.value:+.3f}{bounds}")
    runs = [len({pair[k] for pair in both}) for k in (0, 1)]
    return f"- {first.name} minus {second.name}, {runs[0]} and {runs[1]} runs: {'; '.join(cells)}"


def main() -> None:
    from hybrid.weights.released import run_at

    options = arguments()
    chosen = {name: plan for name, plan in plans(options).items() if not options.only or name in options.only}
    groups: dict[str, dict[int, Path]] = {"sim": {0: run_at(options.sim)}}
    plan_of = {"sim": Plan("sim", 0, 0, 0, [])}
    for name, plan in chosen.items():
        groups.setdefault(f"{plan.arm}-{plan.shots}", {})[plan.shuffle] = options.out / name
        plan_of[f"{plan.arm}-{plan.shots}"] = plan
    for title, steps, *others in options.also:
        groups[title], plan_of[title] = dict(enumerate(map(Path, others))), Plan("", None, 0, int(steps), [])
    for name in options.flip:
        groups[name + FLIPPED], plan_of[name + FLIPPED] = groups[name], replace(plan_of[name], shots=None)
    if missing := sorted({name for pair in options.compare for name in pair} - set(groups)):
        raise SystemExit(f"--compare: no row {missing}; there are {list(groups)}")
    began = time.monotonic()
    for done, (name, plan) in enumerate(chosen.items()):
        print(f"[{done + 1}/{len(chosen)}] {name}, {(time.monotonic() - began) / 60:.0f} min so far", flush=True)
        if finished(options.out / name, plan, options):
            continue
        command = [sys.executable, "-m", *plan.command, "--out", str(options.out / name)]
        print("$", *command, flush=True)
        subprocess.run(command, check=True)
    if options.train_only:
        return
    if options.choose:
        for name in chosen:
            validation = json.loads((options.out / name / "run.json").read_text())["validation"]["ema"]["overall"]
            print(f"{name}: AP50 {validation['ap50']:.3f}, AP {validation['ap']:.3f} on held-out photos of the pool")
        return
    test = options.data / "test/annotations.json"
    rows = [row_of(name, runs, plan_of[name], options, test) for name, runs in groups.items()]
    text = "\n".join([table(rows), "", *differences(rows, options.compare)])
    print(text)
    chart(rows, options.out / "ap50.svg")
    (options.out / "table.md").write_text(text + "\n")
    plain = [{key: value for key, value in asdict(row).items() if key != "draws"} for row in rows]
    (options.out / "table.json").write_text(json.dumps(plain, indent=1))


if __name__ == "__main__":
    main()
