"""Photographs by cameras that are known: flat polygons of many greys, through the simulated sensor. No renderer."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from simgen.camera.sensor import develop, expose
from tests.simgen.scenes import scene

WIDTH, HEIGHT, FINE = 480, 360, 4
PLAIN = replace(scene([]).sensor, full_well_e=1e9, read_noise_e=1e-3, blur_sigma_px=0.6, jpeg_quality=95)


def light(seed, width=WIDTH, height=HEIGHT):
    """Linear light of polygons that lie over one another, as a renderer with anti-aliasing makes it."""
    rng = np.random.default_rng(seed)
    fine = np.full((height * FINE, width * FINE), 0.25, np.float32)
    for _ in range(20):
        middle = rng.uniform(0, 1, 2) * (width, height)
        reach, turn, corners = rng.uniform(35, 110), rng.uniform(-0.12, 0.12), 4
        angles = turn + np.arange(corners) * 2 * np.pi / corners + np.pi / 4
        points = (middle + reach * np.column_stack([np.cos(angles), np.sin(angles)])) * FINE
        cv2.fillPoly(fine, [points.astype(np.int32)], float(rng.uniform(0.15, 0.9) ** 2.2))
    grey = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA)
    return np.repeat(grey[..., None], 3, axis=2)


def field(level):
    return np.full((HEIGHT, WIDTH, 3), level, np.float32)


def photograph(folder, scenes, sensor, suffix=".jpg"):
    """A folder of the scenes' photographs, each with noise of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, linear in enumerate(scenes):
        path = folder / f"{i:03d}{suffix}"
        if suffix == ".jpg":
            path.write_bytes(expose(linear, sensor, i))
        else:
            cv2.imwrite(str(path), develop(linear, sensor, i)[..., ::-1])
    return folder
