"""What a photo as background costs: the same scenes with and without one, in turns, in one process.

    python -m benchmarks.photo_cost --renderer tiny --scenes 12 --out benchmarks/2026-11-29-photo-backgrounds.md

CPU time of `make_clip` (physics, rendering, sensor, JPEG, labels). Per scene the best of several rounds counts. The
photos are drawn by this script, of the size of a phone's. Three kinds of scenes are compared:

- synthetic: the preset as it is;
- bare: without clutter, sheets and legs, which a scene on a photo does not have either;
- photo: on photos.

The fair ratio is photo to bare: the work that is left out is no merit of the photo.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", LP_NUM_THREADS="1")

import cv2
import numpy as np

from simgen.generation.clip import make_clip
from simgen.presets.read import load_config
from simgen.scene.config import SceneConfig

BARE = ["clutter.count={low: 0, high: 0}", "stage.leg_m=0", "stage.sheets=none"]
ROUNDS = 2


def main() -> None:
    """Measure, print, and write a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="bolts_on_table")
    parser.add_argument("--renderer", default=["tiny", "pbr"], nargs="+")
    parser.add_argument("--scenes", type=int, default=12)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        _draw_photos(Path(folder))
        for renderer in asked.renderer:
            rows.append((renderer, *_measured(asked.preset, renderer, Path(folder), asked.scenes)))
    lines = [
        "| renderer | synthetic, s a scene | bare, s a scene | photo, s a scene | photo / synthetic | photo / bare |",
        "|---|---|---|---|---|---|",
        *(f"| {name} | {a:.3f} | {b:.3f} | {c:.3f} | {c / a:.2f} | {c / b:.2f} |" for name, a, b, c in rows),
    ]
    print("\n".join(lines))
    if asked.out:
        asked.out.write_text(_page(asked, lines), "utf-8")


def _measured(preset: str, renderer: str, folder: Path, scenes: int) -> tuple[float, float, float]:
    """Mean over the scenes of the best CPU time: synthetic, bare, photo."""
    still = [f"render.renderer={renderer}", "camera.drift_m_s=0"]
    configs = [
        load_config(preset, still),
        load_config(preset, [*still, *BARE]),
        load_config(preset, [*still, f"stage.photo={folder}"]),
    ]
    for config in configs:
        make_clip(config, 0, 10**6)  # compiles shaders, decodes photos
    best = np.full((len(configs), scenes), np.inf)
    for _ in range(ROUNDS):
        for index in range(scenes):
            for k, config in enumerate(configs):
                best[k, index] = min(best[k, index], _cpu_s(config, index))
    synthetic, bare, photo = (float(seconds) for seconds in best.mean(axis=1))
    return synthetic, bare, photo


def _cpu_s(config: SceneConfig, index: int) -> float:
    began = time.process_time()
    make_clip(config, 0, index)
    return time.process_time() - began


def _draw_photos(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for k in range(4):
        soft = cv2.resize(rng.normal(0, 1, (12, 16)).astype(np.float32), (1600, 1200), interpolation=cv2.INTER_CUBIC)
        photo = 120 + 25 * soft[..., None] + rng.normal(0, 3, (1200, 1600, 3))
        cv2.imwrite(str(folder / f"{k}.jpg"), np.clip(photo, 0, 255).astype(np.uint8))


def _page(asked: argparse.Namespace, lines: list[str]) -> str:
    when = datetime.now(timezone.utc).strftime("%Y-%m-%d")
    return "\n".join(
        [
            f"# What a photo as background costs, {when}",
            "",
            f"`python -m benchmarks.photo_cost --preset {asked.preset} --scenes {asked.scenes}`, "
            f"on {platform.machine()}, {os.cpu_count()} CPUs that other programs used too; CPU time, the best of "
            f"{ROUNDS} rounds.",
            "",
            *lines,
            "",
            str(__doc__).split("CPU time", 1)[1].join(["CPU time", ""]).strip(),
            "",
        ]
    )


if __name__ == "__main__":
    main()
