"""The experiment on photographs: does a detector that learned from simulation first need fewer photos?

    python benchmarks/real_run.py --data ../shared/real/bolts_washers --sim data/table --out out/real-run
    python benchmarks/real_run.py ... --choose      a fifth of the pool held out to choose settings by; test is not read

The folder `--data` holds pool/annotations.json (to train on) and test/annotations.json (measured once all runs are
done, never trained or chosen on). Runs, all with one detector, one tile and one batch:

    sim                         simulation alone (sim-stage1 and so on before it, if --sim names several data sets)
    scratch10-s0 -s1            the first 10 photos of one fixed shuffle, no simulation, two seeds
    scratch-all                 all photos, no simulation
    sim10-s0 -s1                simulation, then the same 10 photos
    sim-all                     simulation, then all photos
    short-scratch10-s0 -s1 -all no simulation, and no more steps on photos than the runs that begin with simulation
    long-sim10-s0               simulation, then as many steps on 10 photos as scratch10 had

So every question has its fair pair: at the same number of steps in all (`sim10` and `scratch10`), at the same few steps
on photos (`sim10` and `short-scratch10`), at the same many (`long-sim10` and `scratch10`). `--scratch-steps` is by
default the sum of the pretraining's and the fine-tuning's. Each run is a folder under --out. A run that was stopped
goes on, a finished one is left as it is. With `--only` runs are trained and nothing is measured.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

SHOTS = 10
SEEDS = (0, 1)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder with pool/ and test/")
    add(
        "--sim",
        type=Path,
        nargs="+",
        required=True,
        help="simulated data set to pretrain on; several: one after another",
    )
    add("--out", type=Path, required=True)
    add("--choose", action="store_true", help="hold a fifth of the pool out and measure on it; read no test")
    add("--preset", default="tiny")
    add("--branches", default="cnn")
    add("--sim-steps", type=int, nargs="+", default=[2000], help="on each of them")
    add("--steps", type=int, default=600, help="of fine-tuning")
    add("--scratch-steps", type=int, default=0, help="0: sim-steps + steps")
    add("--batch", type=int, default=8)
    add("--clip-length", type=int, default=1)
    add("--tile", type=int, default=256)
    add("--lr", type=float, default=5e-4, help="of pretraining and of training from scratch")
    add("--fine-lr", type=float, default=2e-4)
    add("--mix", type=float, default=0.0, help="share of simulated samples in fine-tuning")
    add("--device", default="auto")
    add("--threads", type=int, default=0)
    add("--workers", type=int, default=1)
    add("--only", nargs="*", help="names of the runs to do (default: all)")
    options = parser.parse_args()
    if len(options.sim) != len(options.sim_steps):
        parser.error(f"--sim names {len(options.sim)} data sets, --sim-steps {len(options.sim_steps)} numbers")
    return options


def plan(options: argparse.Namespace) -> dict[str, list[str]]:
    """Each run's command, in an order in which a run comes after the one that it starts from."""
    common = [
        "--batch", options.batch, "--clip-length", options.clip_length, "--tile", options.tile,
        "--device", options.device, "--threads", options.threads, "--workers", options.workers,
    ]  # fmt: skip
    model = ["--preset", options.preset, "--branches", options.branches]
    photos = ["pipelines.finetune_real", "--data", options.data / "pool/annotations.json", *common]
    if options.choose:
        photos += ["--holdout", 0.2]
    many = options.scratch_steps or sum(options.sim_steps) + options.steps
    ten = ["--shots", SHOTS]

    def scratch(steps: int) -> list[object]:
        return [*photos, *model, "--checkpoint", "none", "--steps", steps, "--lr", options.lr]

    def tuned(steps: int) -> list[object]:
        mixed = ["--sim", options.sim[-1], "--sim-share", options.mix] if options.mix else []
        return [*photos, "--checkpoint", options.out / "sim", "--steps", steps, "--lr", options.fine_lr, *mixed]

    runs: dict[str, list[object]] = {}
    start = model
    for i, (data, steps) in enumerate(zip(options.sim, options.sim_steps, strict=True), 1):
        name = "sim" if i == len(options.sim) else f"sim-stage{i}"
        learn = ["pipelines.train_sim", "--data", data, *start, *common, "--steps", steps, "--lr", options.lr]
        runs[name], start = learn, ["--init", options.out / name]
    for seed in SEEDS:
        seeded = [*ten, "--seed", seed]
        runs[f"scratch{SHOTS}-s{seed}"] = [*scratch(many), *seeded]
        runs[f"sim{SHOTS}-s{seed}"] = [*tuned(options.steps), *seeded]
        runs[f"short-scratch{SHOTS}-s{seed}"] = [*scratch(options.steps), *seeded]
    runs[f"long-sim{SHOTS}-s0"] = [*tuned(many), *ten, "--seed", 0]
    runs["scratch-all"] = scratch(many)
    runs["sim-all"] = tuned(options.steps)
    runs["short-scratch-all"] = scratch(options.steps)
    return {name: [str(word) for word in command] for name, command in runs.items()}


def on_simulation(name: str) -> bool:
    """Whether a run was trained on simulation alone; then its own validation is on simulation too."""
    return name == "sim" or name.startswith("sim-stage")


def folder(options: argparse.Namespace, name: str) -> Path:
    """The run's folder. With --choose, runs have folders of their own, but for those on simulation alone."""
    return options.out / (f"choose-{name}" if options.choose and not on_simulation(name) else name)


def run(command: list[str]) -> None:
    print("$ python -m", *command, flush=True)
    subprocess.run([sys.executable, "-m", *command], check=True)


def table(rows: dict[str, dict[str, object]]) -> str:
    lines = ["| run | AP50 | AP | AR |", "|---|---|---|---|"]
    for name, row in rows.items():
        figures = ("n/a" if row[key] is None else f"{row[key]:.3f}" for key in ("ap50", "ap", "ar"))
        lines.append(f"| {name} | {' | '.join(figures)} |")
    return "\n".join(lines)


def chart(rows: dict[str, dict[str, object]], file: Path) -> None:
    """AP50 of every run as bars, so that the table need not be read."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7.2, 0.42 * len(rows) + 0.9), layout="constrained")
    names = list(rows)[::-1]
    values = [float(str(rows[name]["ap50"] or 0.0)) for name in names]
    colours = ["#1f6feb" if "sim" in name else "#8b949e" for name in names]
    bars = axes.barh(names, values, color=colours)
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.set(xlim=(0, 1), xlabel="AP50 on the test photos; blue: with simulation, grey: without")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)


def chosen_on(folders: list[Path]) -> dict[str, dict[str, object]]:
    """How each run does on the photos of the pool that it did not train on."""
    rows = {}
    for one in folders:
        plain = json.loads((one / "run.json").read_text())
        rows[one.name] = plain["validation"]["ema"]["overall"]
    return rows


def main() -> None:
    options = arguments()
    commands = plan(options)
    names = [name for name in commands if not options.only or name in options.only]
    unknown = set(options.only or ()) - set(commands)
    if unknown:
        sys.exit(f"error: no run {sorted(unknown)}; there are {list(commands)}")
    began = time.monotonic()
    for done, name in enumerate(names):
        print(f"[{done + 1}/{len(names)}] {name}, {(time.monotonic() - began) / 60:.0f} min so far", flush=True)
        run([*commands[name], "--out", str(folder(options, name))])
    if options.choose:
        tuned = [folder(options, name) for name in names if name != "sim" and not name.startswith("sim-")]
        print("\nOn the held-out part of the pool (to choose by; the test photos were not read):\n")
        print(table(chosen_on(tuned)))
        return
    if options.only:
        print("Trained; without --only the test photos are measured.")
        return
    report = options.out / "report.html"
    run([
        "pipelines.gap_report", "--sim", str(options.sim[-1]), "--real", str(options.data / "test/annotations.json"),
        "--look", str(options.data / "pool/annotations.json"), "--out", str(report),
        "--runs", *(str(folder(options, name)) for name in names),
    ])  # fmt: skip
    measured = json.loads(report.with_suffix(".json").read_text())
    print(f"\nOn {measured['real']['images']} test photos, {measured['real']['boxes']} boxes:\n")
    rows = {row["name"]: row["target"] for row in measured["runs"]}
    print(table(rows))
    chart(rows, options.out / "ap50.svg")


if __name__ == "__main__":
    main()
