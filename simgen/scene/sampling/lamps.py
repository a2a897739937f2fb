"""Draw lamps, surroundings and flicker, which a preset may add to a scene's light. Each has its own random stream."""

from __future__ import annotations

import math

import numpy as np

from simgen.assets import surroundings as environments
from simgen.scene.config import EnvironmentKnobs, FlickerKnobs, LampKnobs
from simgen.spec.colour import black_body
from simgen.spec.geometry import vec3
from simgen.spec.scene import EnvironmentSpec, FlickerSpec, LampSpec
from simgen.spec.types import Radians

KINDS = ("directional", "spot", "softbox")
MAINS = ("50", "60")


def draw_lamps(knobs: LampKnobs, rng: np.random.Generator) -> tuple[LampSpec, ...]:
    """Lamps around the stage, aimed near its middle."""
    return tuple(_draw_lamp(knobs, rng) for _ in range(knobs.count.draw(rng)))


def _draw_lamp(knobs: LampKnobs, rng: np.random.Generator) -> LampSpec:
    kind, distance = knobs.kinds.draw(rng), knobs.distance_m.draw(rng)
    up, turn = math.radians(knobs.elevation_deg.draw(rng)), math.radians(knobs.azimuth_deg.draw(rng))
    position = distance * np.array([math.cos(up) * math.cos(turn), math.cos(up) * math.sin(turn), math.sin(up)])
    aim = np.array([knobs.aim_m.draw(rng), knobs.aim_m.draw(rng), 0.0])
    toward = (aim - position) / np.linalg.norm(aim - position)
    side = np.cross(toward, (0.0, 0.0, 1.0) if abs(toward[2]) < 0.99 else (0.0, 1.0, 0.0))
    above = np.cross(side / np.linalg.norm(side), toward)
    sizes = [knobs.size_m.draw(rng), knobs.size_m.draw(rng)]
    size = (sizes[0], sizes[1]) if kind == "softbox" else (sizes[0] / 5, sizes[0] / 5)
    gain = knobs.intensity.draw(rng) * (1.0 if kind == "directional" else distance**2)
    rgb = np.array(black_body(knobs.temperature_k.draw(rng))) * gain
    half_angle = math.radians(knobs.half_angle_deg.draw(rng))
    return LampSpec(
        kind=kind, position_m=vec3(position), toward=vec3(toward), up=vec3(above), size_m=size,
        half_angle_rad=Radians(half_angle), rgb=vec3(rgb),
    )  # fmt: skip


def draw_environment(knobs: EnvironmentKnobs, rng: np.random.Generator) -> EnvironmentSpec:
    """One of the surroundings. A file is chosen from the sorted names in its folder.

    Raises:
        BadEnvironment: there is no such folder, no file in it, or it cannot be read.
    """
    name, intensity = knobs.kinds.draw(rng), knobs.intensity.draw(rng)
    temperature, daylight = knobs.temperature_k.draw(rng), knobs.daylight_k.draw(rng)
    rotation, pick, seed = knobs.rotation_deg.draw(rng), float(rng.uniform()), int(rng.integers(2**31))
    file, sha256 = "", ""
    if name == environments.FILE:
        files = environments.folder_files(knobs.folder)
        path = files[int(pick * len(files))]
        file, sha256 = str(path), environments.digest(path)
    return EnvironmentSpec(
        name=name, temperature_k=temperature, daylight_k=daylight, rotation_rad=Radians(math.radians(rotation)),
        intensity=intensity, seed=seed, file=file, sha256=sha256,
    )  # fmt: skip


def draw_flicker(knobs: FlickerKnobs, rng: np.random.Generator) -> FlickerSpec:
    """Flicker of lamps on the mains, with a random phase."""
    mains, depth, exposure = float(knobs.mains_hz.draw(rng)), knobs.depth.draw(rng), knobs.exposure_s.draw(rng)
    phase = Radians(float(rng.uniform(0, math.tau)))
    return FlickerSpec(mains_hz=mains, depth=depth, exposure_s=exposure, phase_rad=phase)
