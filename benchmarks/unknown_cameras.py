"""Does the gap report's advice find what a camera that it does not know does otherwise, and does following it help?

    python benchmarks/unknown_cameras.py --out out/unknown                      (hours; a stopped run goes on)
    python benchmarks/unknown_cameras.py --out out/unknown --worlds 1 --nulls 1 --seeds 1 --scenes 100 --steps 100
    python benchmarks/unknown_cameras.py --out out/unknown --advice-only        what is named, untrained (minutes)

Worlds are made by seeds, from `--first` on. Each is the base preset with two or three groups of knobs moved outside of
it, and two decoys that should cost no AP. Null worlds are the base preset itself. Of a world the advice sees a pool
alone: 30 labelled pictures in six sessions. The base preset is narrow, and all training is without changes of colour,
blur and noise: these hide the gap, since they cover the worlds by themselves. One detector learns the base preset from
ImageNet weights. All arms train it on, as `--iterate` does it, with as many scenes and the same steps and seeds, on

    base        the base preset
    advised     the base preset with the ranges that the advice widens
    sham        as many other groups, drawn at random, widened by half on both sides
    everything  all ranges that the advice knows, widened by half on both sides
    oracle      the world itself

and measured on 60 pictures of the world. closed = sum(advised - base) / sum(oracle - base), of AP50, both sums over the
worlds: a mean of each world's ratio would be ruled by worlds that have no gap. Its interval is of the jackknife over
the worlds, with Student's t. Groups that were named are compared with those that were moved. Each world is a file,
world-N.json; the table is printed from these files, and nothing is left out of it. `--arms base oracle` trains these
two alone, which says how large the gap is.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

from hybrid.data.clips import ClipSource
from pipelines.common.data import read
from pipelines.gap.advice.preset import Rendered, layered
from pipelines.gap.advice.trials import render_words, run_python, train_words
from pipelines.gap.advice.widening import NOT_KNOWN, RULES, Change, changes, widened
from pipelines.gap.finished import FinishedRun, open_run
from pipelines.gap.measure import measure
from pipelines.gap.sections.why import looks, why
from pipelines.gap.sets import with_labels_of
from pipelines.gap.stats.grouping import PhotoSessions
from simgen.presets.read import load_config
from simgen.scene.config import SceneConfig

BASE = "demo"
NARROW: Mapping[str, Any] = {
    "camera.width_px": 160, "camera.height_px": 128, "timing.frames": 1, "timing.settle_s": 0.5,
    "camera.distance_m": {"low": 0.3, "high": 0.36}, "parts.count": {"low": 5, "high": 9},
    "sensor.read_noise_e": {"low": 3.0, "high": 10.0}, "sensor.blur_sigma_px": {"low": 0.35, "high": 0.6},
    "sensor.white_balance": {"low": 0.9, "high": 1.1}, "sensor.exposure": {"low": 0.7, "high": 1.1},
}  # fmt: skip
PLAIN = "augment: {strength: 0.0}\n"  # a recipe: no changes of colour, blur and noise
TILE_PX, RATE = 128, 1e-3
# Groups that a world moves: the statistic that should tell, and by how much the ends of its knob are multiplied.
GROUPS: Mapping[str, tuple[str, float]] = {
    "noise": ("noise", 4.0), "blur": ("sharpness", 3.0), "white balance": ("warmth", 1.6),
    "exposure": ("brightness", 0.35), "distance": ("box_size", 1.6), "finish": ("part_brightness", 0.45),
    "density": ("parts_per_image", 2.0), "colour": ("saturation", 2.0),
}  # fmt: skip
DECOYS = {"sensor.vignetting": (0.0, 0.3), "sensor.jpeg_quality": (70, 80)}
OF_SESSION = ("sensor.exposure", "sensor.read_noise_e", "camera.distance_m", "light.temperature_k")
SESSIONS, PHOTOS, TESTS = 6, 5, 60
EVERYTHING = 1.5
ARMS = ("base", "advised", "sham", "everything", "oracle")
ONE_CORE = ("--threads", "1", "--workers", "0")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    numbers = {"worlds": 8, "nulls": 20, "seeds": 3, "scenes": 200, "steps": 150, "first": 0}
    numbers["first-steps"] = 800
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS, help="train these alone")
    parser.add_argument("--advice-only", action="store_true", help="say what the advice names, and train nothing")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    for number in range(asked.first, asked.first + asked.worlds + asked.nulls):
        is_null = number >= asked.first + asked.worlds
        path = asked.out / f"world-{number}.json"
        known = json.loads(path.read_text()) if path.exists() else None
        if known is None or not (asked.advice_only or is_null or measured(known, asked.arms, asked.seeds)):
            path.write_text(json.dumps(World(number, is_null, asked).judged(), indent=1) + "\n")
    print(table([json.loads(path.read_text()) for path in sorted(asked.out.glob("world-*.json"))]))


def measured(row: Mapping[str, Any], arms: Sequence[str], seeds: int) -> bool:
    """Whether a world's arms have as many seeds."""
    return all(len(row.get("ap50", {}).get(arm, ())) >= seeds for arm in arms)


class World:
    """One camera that the advice does not know."""

    def __init__(self, number: int, is_null: bool, asked: argparse.Namespace) -> None:
        self.number, self.is_null, self.asked = number, is_null, asked
        self.folder: Path = asked.out / f"world-{number}"
        self.rng = np.random.default_rng([2026, number])
        self.base = load_config(BASE, [f"{key}={json.dumps(value)}" for key, value in NARROW.items()])
        self.moved = (
            [] if is_null else sorted(self.rng.choice(sorted(GROUPS), int(self.rng.integers(2, 4)), False).tolist())
        )

    def judged(self) -> dict[str, Any]:
        """What the advice says; and, of a world that is none of the null ones, what following it wins."""
        hidden = self.hidden()
        pool = self.pool(hidden)
        sim = self.scenes("base", self.layer(()), self.asked.out / "base")
        advised = self.advised(sim, pool)
        of_statistic = {statistic: name for name, (statistic, _) in GROUPS.items()}
        named = sorted({of_statistic.get(one.statistic, one.statistic) for one in advised})
        row = {"number": self.number, "null": self.is_null, "moved": self.moved, "named": named}
        if self.is_null or self.asked.advice_only:
            return row
        test = read(self.rendered("test", self.sets(hidden), TESTS, 7), sim.categories)
        layers = {
            "base": self.layer(()), "advised": self.layer(advised), "sham": self.layer(self.sham(advised)),
            "everything": self.layer(self.every(EVERYTHING)), "oracle": self.sets(hidden),
        }  # fmt: skip
        return row | {"ap50": {arm: self.trained(arm, layers[arm], test) for arm in ARMS if arm in self.asked.arms}}

    def hidden(self) -> dict[str, tuple[float, float]]:
        """The ranges of the world that are others than the base's."""
        found: dict[str, tuple[float, float]] = {}
        for name in self.moved:
            statistic, factor = GROUPS[name]
            for one in widened(statistic, self.base, (1.0, 2.0), "guess", "", NOT_KNOWN):
                low, high = one.before
                least = low / factor if name == "white balance" else low * factor  # gains of two colours: wider apart
                found[one.key] = (least, high * factor)
        return found if self.is_null else found | {key: (float(a), float(b)) for key, (a, b) in DECOYS.items()}

    def sets(self, ranges: Mapping[str, tuple[float, float]]) -> str:
        """The base preset with these ranges, as YAML."""
        rows = [Change(key, (0.0, 0.0), ends, "guess", "hidden", NOT_KNOWN, "") for key, ends in ranges.items()]
        return self.layer(rows)

    def layer(self, rows: Sequence[Change]) -> str:
        return layered(Rendered(self.base, BASE, NARROW), rows, self.folder)

    def pool(self, hidden: Mapping[str, tuple[float, float]]) -> tuple[ClipSource, PhotoSessions]:
        """Six sessions of five pictures: in each, camera and light stand still."""
        world = dict(ranges_of(self.base)) | dict(hidden)
        for k in range(SESSIONS):
            still = {key: (value, value) for key in OF_SESSION for value in [float(self.rng.uniform(*world[key]))]}
            self.rendered(f"pool/s{k}", self.sets({**hidden, **still}), PHOTOS, 11 + k)
        source = read(self.folder / "pool")
        sessions = [int(clip.name.split("/")[0][1:]) for clip in source.clips]
        return source, PhotoSessions(np.array(sessions, np.int64), "plan", "as they were rendered")

    def advised(self, sim: ClipSource, pool: tuple[ClipSource, PhotoSessions]) -> tuple[Change, ...]:
        """What the report would widen."""
        source, sessions = pool
        return changes(why(looks(sim, source, sessions), "").coverage, (), self.base)

    def sham(self, advised: Sequence[Change]) -> list[Change]:
        """As many other ranges, widened on both sides by the same factors."""
        taken = {one.statistic for one in advised}
        names = [name for name in sorted(RULES) if name not in taken]
        chosen = self.rng.permutation(names)[: len(taken)].tolist()
        return [one for name in chosen for one in widened(name, self.base, (EVERYTHING,) * 2, "guess", "", NOT_KNOWN)]

    def every(self, factor: float) -> list[Change]:
        return [one for name in RULES for one in widened(name, self.base, (factor, factor), "guess", "", NOT_KNOWN)]

    def rendered(self, name: str, preset: str, scenes: int, seed: int, folder: Path | None = None) -> Path:
        """A data set of a preset; rendered once."""
        out = (folder or self.folder) / name
        path = out.with_name(f"{out.name}.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(preset)
        if not (out / "manifest.json").exists():
            run_python(render_words(path, scenes, out, seed))
        return out

    def scenes(self, name: str, preset: str, folder: Path | None = None) -> ClipSource:
        return read(self.rendered(f"scenes-{name}", preset, self.asked.scenes, 5, folder))

    def trained(self, arm: str, preset: str, test: ClipSource) -> list[float]:
        """AP50 on the test pictures, of each seed. The base's runs are those of all worlds."""
        folder = self.asked.out / "base" if arm == "base" else self.folder
        data = self.rendered(f"scenes-{arm}", preset, self.asked.scenes, 5, folder)
        start, values = self.start(), []
        for seed in range(self.asked.seeds):
            out = folder / f"run-{arm}-{seed}"
            run_python([*train_words(start, data, self.asked.steps, seed, out, 1), *self.alike()])
            run = open_run(out)
            source = with_labels_of(test, run)
            ap50 = measure(
                run, source, self.folder / "cache", f"world {self.number}, {arm} {seed}"
            ).metrics.overall.ap50
            values.append(float(ap50 or 0.0))
        return values

    def start(self) -> FinishedRun:
        """The detector that has learned the base preset from ImageNet weights."""
        out = self.asked.out / "base" / "start"
        data = self.rendered("scenes-base", self.layer(()), self.asked.scenes, 5, self.asked.out / "base")
        words: list[str | Path] = ["-m", "pipelines.train_sim", "--preset", "lite", "--data", data, "--out", out]
        words += ["--steps", str(self.asked.first_steps), "--tile", str(TILE_PX), "--clip-length", "1"]
        run_python([*words, "--holdout", "0.05", *self.alike()])
        return open_run(out)

    def alike(self) -> list[str | Path]:
        """What all trainings have in common."""
        recipe = self.asked.out / "plain.yaml"
        recipe.write_text(PLAIN)
        return ["--recipe", recipe, "--lr", str(RATE), *ONE_CORE]


def ranges_of(config: SceneConfig) -> dict[str, tuple[float, float]]:
    """The ranges of the knobs that a session holds still."""
    found = {}
    for key in OF_SESSION:
        group, name = key.split(".")
        knob = getattr(getattr(config, group), name)
        found[key] = (float(knob.low), float(knob.high))
    return found


def closed(rows: Sequence[Mapping[str, Any]], arm: str) -> tuple[float, float]:
    """The share of the worlds' gaps that an arm closes, and half its 95 % interval (jackknife over the worlds)."""
    mean = {name: np.array([np.mean(row["ap50"][name]) for row in rows]) for name in ("base", arm, "oracle")}
    won, gap = mean[arm] - mean["base"], mean["oracle"] - mean["base"]
    count = len(rows)
    without = (won.sum() - won) / (gap.sum() - gap)
    error = np.sqrt((count - 1) / count * np.square(without - without.mean()).sum())
    return float(won.sum() / gap.sum()), float(student.ppf(0.975, count - 1) * error)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The worlds; closed with its interval, precision of the names, silence in null worlds."""
    worlds, nulls = ([row for row in rows if row["null"] == null] for null in (False, True))
    lines = ["| world | moved | named | " + " | ".join(ARMS) + " |", "|---" * (3 + len(ARMS)) + "|"]
    for row in worlds:
        values = [f"{np.mean(row['ap50'][arm]):.3f}" if arm in row.get("ap50", ()) else "not run" for arm in ARMS]
        cells = [str(row["number"]), ", ".join(row["moved"]), ", ".join(row["named"]), *values]
        lines.append(f"| {' | '.join(cells)} |")
    whole = [row for row in worlds if measured(row, ARMS, 1)]
    for arm in ("advised", "sham", "everything") if len(whole) > 1 else ():
        share, half = closed(whole, arm)
        lines.append(f"{arm}: closed {share:.2f} [{share - half:.2f}, {share + half:.2f}]")
    named = sum(len(row["named"]) for row in worlds)
    right = sum(len(set(row["named"]) & set(row["moved"])) for row in worlds)
    lines.append(f"named and moved: {right} of {named} named; {sum(len(row['moved']) for row in worlds)} were moved")
    lines.append(f"silent null worlds: {sum(not row['named'] for row in nulls)} of {len(nulls)}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
