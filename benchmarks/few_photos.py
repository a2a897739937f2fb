"""What are simulation and photos worth, where every detector starts from ImageNet weights?

    python benchmarks/few_photos.py --data DATA --sim fasteners --replay data/sim --elsewhere data/standin data/belt
        --shots 1 10 52 --steps 400 --out out/few
    ... --choose        measure on the pool's held-out sessions; the test photos are not read

The folder `--data` holds pool/annotations.json (to train on) and test/annotations.json (measured when all runs are
done). `--sim` is a finished run of train_sim, or the name of released weights; with these, `--replay` names simulated
data to mix in, since what they learned from is not there. Each run is a folder under --out. A run that was stopped goes
on, a finished one is left as it is. `--only` trains and measures some of them:

    sim                 simulation alone
    photos-N-rR         the first N photos of shuffle R, from ImageNet weights, no simulation
    sim-N-rR            simulation, then the same photos, by the default recipe (--sim-share of the samples simulated)
    METHOD-N-rR         as sim-N-rR, by a method of --methods (such as plain, without simulated samples)

`--elsewhere` names simulated data sets that show what the photos do not show. AP50 there, before and after, says what
fine-tuning wiped out. Intervals resample sessions (a photo's name without its last number) and, where there are several
shuffles, their variance is a part of them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

METHODS: dict[str, list[str]] = {  # what is added to the command of the default recipe
    "plain": ["--sim", "none"],
    "l2-sp": ["--sim", "none", "--method", "l2-sp"],
    "wise-ft": ["--sim", "none", "--method", "wise-ft"],  # half and half: --holdout would choose other photos
    "frozen-first": ["--sim", "none", "--method", "frozen-first"],
}
DRAWS = 400


@dataclass(frozen=True)
class Plan:
    """One run: its command, and which others it is compared with."""

    arm: str
    shots: int
    shuffle: int
    command: list[str]


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
    add("--lr", type=float, default=1e-3)
    add("--tile", type=int, default=256, help="as the run on simulation")
    add("--frozen-stages", type=int, default=0)
    add("--methods", nargs="*", default=[], choices=list(METHODS))
    add("--method-shots", type=int, nargs="*", default=[10], help="numbers of photos that the methods are run with")
    add("--choose", action="store_true", help="hold out a fifth of the pool and measure there")
    add("--only", nargs="*", help="names of the runs (default: all)")
    add("--train-only", action="store_true", help="measure nothing")
    add("--threads", type=int, default=1)
    return parser.parse_args()


def plans(options: argparse.Namespace) -> dict[str, Plan]:
    """All runs but the one on simulation, by name."""
    photos = ["pipelines.finetune_real", "--data", str(options.data / "pool/annotations.json"), "--clip-length", "1"]
    photos += ["--steps", str(options.steps), "--lr", str(options.lr), "--threads", str(options.threads)]
    photos += ["--tile", str(options.tile), "--frozen-stages", str(options.frozen_stages)]
    photos += ["--holdout", "0.2"] if options.choose else []
    replay = ["--sim", options.replay] if options.replay else []
    replay += ["--sim-share", options.sim_share] if options.sim_share else []
    runs = {}
    for shots in options.shots:
        for shuffle in range(options.shuffles):
            few = [*photos, "--shots", str(shots), "--shuffle-seed", str(shuffle), "--seed", str(shuffle)]
            start = ["--checkpoint", options.sim]
            arms = {"photos": ["--checkpoint", "none"], "sim": [*start, *replay]}
            if shots in options.method_shots:
                arms |= {name: [*start, *METHODS[name]] for name in options.methods}
            for arm, more in arms.items():
                runs[f"{arm}-{shots}-r{shuffle}"] = Plan(arm, shots, shuffle, [*few, *more])
    return runs


def measured(run: Path, data: Path, sessions: bool, folder: Path) -> dict[str, Any]:
    """A run's AP50, AP and AR on data, and AP50 on each draw of the sessions. Kept in `folder`."""
    from hybrid.data.pixels import decode
    from hybrid.metrics.detection import matched_frames, score
    from hybrid.metrics.video import average_precision
    from hybrid.predict.runtime.choice import Runtime
    from hybrid.predict.stream import stream
    from hybrid.weights.checkpoint import load
    from pipelines.common.data import data_hash, read
    from pipelines.common.record import weights_hash
    from pipelines.gap.sessions import session_weights, sessions_of

    key = f"{weights_hash(run)[:16]}-{data_hash(data)[:16]}"
    kept = folder / f"{key}.json"
    if kept.is_file():
        row: dict[str, Any] = json.loads(kept.read_text())
        return row
    detector = load(run)
    source = read(data, detector.config.categories)
    engine = Runtime(detector)
    detections = [one for clip in source.clips for one in stream(engine, map(decode, clip.frames))]
    metrics = score(detections, source.frames, source.categories)
    whole = metrics.overall
    row = {"ap50": whole.ap50, "ap": whole.ap, "ar": whole.ar, "images": len(source.frames), "boxes": whole.boxes}
    row["by_category"] = {name: one.ap50 for name, one in metrics.by_category.items()}
    if sessions:
        of_photo = sessions_of([frame.name for frame in source.frames])
        matched = matched_frames(detections, source.frames)
        row["draws"] = [average_precision(matched, weight) for weight in session_weights(of_photo, DRAWS)]
        row["sessions"] = int(of_photo.max()) + 1
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(row))
    return row


def row_of(name: str, of_shuffle: dict[int, Path], options: argparse.Namespace, on_photos: Path) -> dict[str, Any]:
    """A line of the table: one arm and number of photos, over all shuffles."""
    from pipelines.gap.stats.interval import share_interval

    folder, runs = options.out / "measured", list(of_shuffle.values())
    real = [measured(run, on_photos, True, folder) for run in runs]
    draws = np.array([one["draws"] for one in real], np.float64)
    interval = share_interval([one["ap50"] for one in real], draws, real[0]["sessions"])
    row = {"name": name, "runs": len(runs), "ap50": interval.value, "low": interval.low, "high": interval.high}
    row["ap"] = float(np.mean([one["ap"] for one in real]))
    row["by_category"] = {
        key: float(np.mean([one["by_category"][key] for one in real]))
        for key, value in real[0]["by_category"].items()
        if value is not None
    }
    elsewhere = {data.name: [measured(run, data, False, folder)["ap50"] for run in runs] for data in options.elsewhere}
    row["elsewhere"] = {key: float(np.mean(values)) for key, values in elsewhere.items()}
    row["sessions"], row["draws"] = real[0]["sessions"], dict(zip(of_shuffle, draws, strict=True))
    row["by_shuffle"] = {shuffle: (one["ap50"], one["ap"]) for shuffle, one in zip(of_shuffle, real, strict=True)}
    return row


def table(rows: list[dict[str, Any]], steps: int) -> str:
    """The rows in Markdown."""
    worlds = list(rows[0]["elsewhere"])
    head = ["trained on", "runs", "AP50 on photos", "95 % interval", "AP", *(f"AP50 on {name}" for name in worlds)]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in rows:
        interval = "none" if row["low"] is None else f"{row['low']:.3f} to {row['high']:.3f}"
        cells = [row["name"], str(row["runs"]), f"**{row['ap50']:.3f}**", interval, f"{row['ap']:.3f}"]
        cells += [f"{row['elsewhere'][name]:.3f}" for name in worlds]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"{steps} steps on photos in each run."])


def chart(rows: list[dict[str, Any]], file: Path) -> None:
    """AP50 on the photos with its interval, beside the mean over the worlds that the photos do not show.

    Green: simulation first. Grey: photos alone.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    worlds = list(rows[0]["elsewhere"])
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 0.8 + 0.32 * len(rows)), sharey=True, layout="constrained")
    y = np.arange(len(rows))[::-1]
    colours = ["#9aa3ad" if row["name"].startswith("photos") else "#1b7f5c" for row in rows]
    values = np.array([row["ap50"] for row in rows])
    bounds = np.array([[row["low"] or row["ap50"], row["high"] or row["ap50"]] for row in rows])
    left.barh(y, values, color=colours, xerr=np.abs(bounds.T - values), error_kw={"ecolor": "#333333", "capsize": 2})
    elsewhere = [float(np.mean([row["elsewhere"][name] for name in worlds])) for row in rows] if worlds else []
    right.barh(y[: len(elsewhere)], elsewhere, color=colours)
    left.set_yticks(y, [row["name"] for row in rows])
    for axes, title in ((left, "AP50 on test photos, 95 %"), (right, f"AP50 elsewhere: {', '.join(worlds)}")):
        axes.set(title=title, xlim=(0, 1))
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)


def differences(rows: list[dict[str, Any]]) -> list[str]:
    """Each arm against each other one with as many photos, paired by sessions and shuffles."""
    from pipelines.gap.stats.interval import difference_interval

    lines = []
    for other, row in combinations(rows, 2):
        both = [shuffle for shuffle in row["by_shuffle"] if shuffle in other["by_shuffle"]]
        if row["name"].rpartition("-")[2] != other["name"].rpartition("-")[2] or not both:
            continue
        gaps = np.array([row["by_shuffle"][k] for k in both]) - [other["by_shuffle"][k] for k in both]
        draws = np.array([row["draws"][k] - other["draws"][k] for k in both])
        interval = difference_interval(gaps[:, 0].tolist(), draws, row["sessions"])
        bounds = "" if interval.low is None else f" ({interval.low:+.3f} to {interval.high:+.3f})"
        title = f"{row['name']} minus {other['name']}, {len(both)} runs of each"
        lines.append(f"- {title}: AP50 {interval.value:+.3f}{bounds}; AP {gaps[:, 1].mean():+.3f}")
    return lines


def main() -> None:
    from hybrid.weights.released import run_at

    options = arguments()
    chosen = {name: plan for name, plan in plans(options).items() if not options.only or name in options.only}
    began = time.monotonic()
    for done, (name, plan) in enumerate(chosen.items()):
        print(f"[{done + 1}/{len(chosen)}] {name}, {(time.monotonic() - began) / 60:.0f} min so far", flush=True)
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
    groups: dict[str, dict[int, Path]] = {"sim": {0: run_at(options.sim)}}
    for name, plan in chosen.items():
        groups.setdefault(f"{plan.arm}-{plan.shots}", {})[plan.shuffle] = options.out / name
    test = options.data / "test/annotations.json"
    rows = [row_of(name, runs, options, test) for name, runs in groups.items()]
    text = "\n".join([table(rows, options.steps), "", *differences(rows)])
    print(text)
    plain = [{key: value for key, value in row.items() if key != "draws"} for row in rows]
    chart(rows, options.out / "ap50.svg")
    (options.out / "table.md").write_text(text + "\n")
    (options.out / "table.json").write_text(json.dumps(plain, indent=1))


if __name__ == "__main__":
    main()
