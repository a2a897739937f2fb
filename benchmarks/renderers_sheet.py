"""One scene by every renderer, side by side: assets/renderers.jpg.

python -m benchmarks.renderers_sheet [--scene 0] [--samples 32] [--out FILE]

A close look at the preset workshop's scene, whose light is of one mind (shadows take most of the key light), with one
exposure for all, before the sensor. Prints each part's mean radiance by pathtraced over pbr's.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from simgen.presets.read import load_config
from simgen.renderers import RENDERERS
from simgen.scene.sampling.sample import sample
from simgen.scene.simulate import simulate
from simgen.spec.frames import Frame
from simgen.spec.scene import RenderSpec

ORDER = ("tiny", "pbr", "pathtraced")
SETTINGS = (
    "camera.width_px=320", "camera.height_px=260", "camera.focal_px.low=352", "camera.focal_px.high=352",
    "camera.distance_m.low=0.36", "camera.distance_m.high=0.38", "camera.aim.low=-0.02", "camera.aim.high=0.02",
    "parts.count.low=12", "parts.count.high=12", "parts.spread.low=0.16", "parts.spread.high=0.17",
    "stage.belt_speed_m_s.low=0", "stage.belt_speed_m_s.high=0", "light.lamps.count.low=0", "light.lamps.count.high=0",
    "light.environment.intensity.low=0.6", "light.shadow_strength.low=0.9", "light.shadow_strength.high=1.0",
    "timing.frames=1",
)  # fmt: skip


def shown(frame: Frame, white: float) -> np.ndarray:
    """As a screen shows it: 8 bits, BGR."""
    return (np.clip(frame.linear[..., ::-1] / white, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scene", type=int, default=0)
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--out", type=Path, default=Path("assets/renderers.jpg"))
    options = parser.parse_args()
    spec = sample(load_config("workshop", SETTINGS), 0, options.scene)
    trajectory = simulate(spec)
    spec = replace(spec, render=RenderSpec(renderer="pathtraced", supersample=2, samples=options.samples, seed=1))
    frames = {name: next(iter(RENDERERS[name](spec, trajectory))) for name in ORDER}
    white = float(np.quantile(frames["pbr"].linear, 0.97))
    cv2.imwrite(str(options.out), np.hstack([shown(f, white) for f in frames.values()]), [cv2.IMWRITE_JPEG_QUALITY, 88])
    truth = frames["pathtraced"].ids
    for i, part in enumerate(spec.parts):
        visible = truth == i
        if visible.any():
            pbr, ours = (frames[name].linear[visible].mean() for name in ("pbr", "pathtraced"))
            print(f"{part.source.designation:8} {visible.sum():6} px  {ours / pbr:.3f}")


if __name__ == "__main__":
    main()
