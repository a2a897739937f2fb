"""Contact sheets of every material, wear, environment and lamp: `python -m benchmarks.matter_sheets --out assets`.

A cell shows a sphere and a bolt of one material on a grey table; environments are shown by a mirror, a grey sphere and
a bolt. Drawn by `pbr`, straight from linear light: no sensor is in between.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from simgen.assets.materials import MATERIALS, WEAR, draw_material, draw_wear
from simgen.assets.parts import PARTS, Family, Size, part_model
from simgen.assets.parts.mesh import circle, loft
from simgen.assets.parts.model import PartModel, turned_part
from simgen.assets.surroundings import ENVIRONMENTS, ambient
from simgen.renderers.gl import renderer as pbr
from simgen.spec.frames import Trajectory
from simgen.spec.geometry import look_at
from simgen.spec.knobs import Uniform
from simgen.spec.scene import (
    CameraSpec,
    EnvironmentSpec,
    FamilySize,
    LampSpec,
    LightSpec,
    MaterialSpec,
    PartSpec,
    RenderSpec,
    SceneSpec,
    SensorSpec,
    StageSpec,
)
from simgen.spec.types import Pose

WIDTH, HEIGHT, COLUMNS = 176, 128, 8
BALL_M = 0.018
PLAIN = MaterialSpec(
    rgb=(0.35, 0.35, 0.35), metallic=0.0, roughness=0.7, texture="plain", texture_scale_m=0.01, contrast=0.0,
    texture_seed=0,
)  # fmt: skip
MIRROR = replace(PLAIN, rgb=(0.95, 0.95, 0.95), metallic=1.0, roughness=0.03)
OVERHEAD = LampSpec(
    kind="softbox", position_m=(-0.35, -0.25, 0.6), toward=(0.4741, 0.3386, -0.8127), up=(0.5812, -0.8137, 0.0),
    size_m=(0.3, 0.2), half_angle_rad=0.6, rgb=(0.45, 0.45, 0.45),
)  # fmt: skip
LAMPS = {
    "directional": replace(OVERHEAD, kind="directional", size_m=(0.02, 0.02), rgb=(0.9, 0.9, 0.9)),
    "spot": replace(OVERHEAD, kind="spot", size_m=(0.03, 0.03), half_angle_rad=0.14, rgb=(0.7, 0.7, 0.7)),
    "softbox": replace(OVERHEAD, rgb=(0.6, 0.6, 0.6)),
}


def ball(size: Size) -> PartModel:
    """A sphere of BALL_M radius."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, 64)[1:-1]
    return turned_part(loft([circle(BALL_M * np.cos(a), BALL_M * np.sin(a), 128) for a in angle]), (), None)


def part(kind: str, designation: str, x: float, y: float, material: MaterialSpec, lying: bool = False) -> PartSpec:
    z = 0.0052 if lying else -part_model(FamilySize(kind, designation)).vertices_m[:, 2].min()
    turn = (math.sin(0.3) * 0.7071, math.cos(0.3) * 0.7071, math.sin(0.3) * 0.7071, math.cos(0.3) * 0.7071)
    pose = Pose(position_m=(x, y, z + 0.006 if lying else z), rotation_xyzw=turn if lying else (0.0, 0.0, 0.0, 1.0))
    return PartSpec(
        source=FamilySize(kind, designation), category=kind, mass_kg=1.0, friction=0.5, material=material,
        world_from_part=pose,
    )  # fmt: skip


def scene(parts: tuple[PartSpec, ...], light: LightSpec, top: MaterialSpec = PLAIN) -> SceneSpec:
    stage = StageSpec(
        size_m=(0.6, 0.6), thickness_m=0.03, floor_below_m=0.7, belt_speed_m_s=0.0, top=top, sides=PLAIN,
        floor=replace(PLAIN, rgb=(0.2, 0.2, 0.2)), sheets=(),
    )  # fmt: skip
    camera = CameraSpec(
        width_px=WIDTH, height_px=HEIGHT, focal_px=1.75 * WIDTH, centre_px=(WIDTH / 2, HEIGHT / 2),
        world_from_camera=(look_at((0.0, -0.145, 0.12), (0.0, 0.002, 0.009)),),
    )  # fmt: skip
    sensor = SensorSpec(
        exposure=1.0, white_balance=(1.0, 1.0, 1.0), vignetting=0.0, blur_sigma_px=0.0, motion_blur_px=0.0,
        motion_angle_rad=0.0, full_well_e=1e4, read_noise_e=1.0, denoise=0.0, sharpen=0.0, saturation=1.0, gamma=2.2,
        jpeg_quality=90, seed=0,
    )  # fmt: skip
    return SceneSpec(
        index=0, parts=parts, clutter=(), occluders=(), stage=stage, light=light, camera=camera, sensor=sensor,
        render=RenderSpec(renderer="pbr", supersample=2), settle_s=0.0, frame_interval_s=0.1,
    )  # fmt: skip


def light(name: str, *lamps: LampSpec, intensity: float = 0.45, kelvin: float = 5500.0) -> LightSpec:
    surroundings = EnvironmentSpec(
        name=name, temperature_k=kelvin, daylight_k=6500.0, rotation_rad=0.6, intensity=intensity, seed=3
    )
    return LightSpec(
        direction=(0.0, 0.0, 1.0), key_rgb=(0.0, 0.0, 0.0), ambient_rgb=ambient(surroundings), shadow_strength=1.0,
        source_angle_rad=0.1, occlusion_strength=0.7, horizon_rgb=(0.0, 0.0, 0.0), zenith_rgb=(0.0, 0.0, 0.0), glows=(),
        lamps=lamps or None, environment=surroundings,
    )  # fmt: skip


def drawn(spec: SceneSpec, name: str) -> np.ndarray:
    """8-bit BGR, with a name in the corner."""
    poses = [p.world_from_part for p in spec.parts]
    still = Trajectory(
        np.array([[p.position_m for p in poses]], np.float32),
        np.array([[p.rotation_xyzw for p in poses]], np.float32),
        np.zeros((1, 0, 3), np.float32),
    )
    linear = next(iter(pbr.render(spec, still))).linear
    srgb = np.clip(1.15 * linear, 0, 1) ** (1 / 2.2)
    picture = np.ascontiguousarray((255 * srgb[..., ::-1]).astype(np.uint8))
    for colour, thick in (((0, 0, 0), 2), ((255, 255, 255), 1)):
        cv2.putText(picture, name, (4, HEIGHT - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.38, colour, thick, cv2.LINE_AA)
    return picture


def pair(material: MaterialSpec) -> tuple[PartSpec, ...]:
    return (
        part("ball", "B", -0.028, 0.008, material),
        part("hex_bolt", "M8x40", 0.018, -0.004, material, lying=True),
    )


def materials() -> list[np.ndarray]:
    lit = light("office", OVERHEAD)
    cells = [
        drawn(scene(pair(draw_material(name, np.random.default_rng(i))), lit), name) for i, name in enumerate(MATERIALS)
    ]
    for name in WEAR:
        rng = np.random.default_rng(2)
        worn = draw_material("stainless", rng, draw_wear({name: Uniform(0.8, 0.8)}, 0.06, rng))
        cells.append(drawn(scene(pair(worn), lit, worn), f"+ {name}"))
    return cells


def environments() -> list[np.ndarray]:
    bolt = draw_material("zinc_plated", np.random.default_rng(1))
    parts = (
        part("ball", "B", -0.03, 0.012, MIRROR),
        part("ball", "B", 0.03, 0.012, PLAIN),
        part("hex_bolt", "M10x45", 0.0, -0.03, bolt, lying=True),
    )
    cells = [drawn(scene(parts, light(name, intensity=0.8)), name) for name in ENVIRONMENTS]
    for kelvin in (2800.0, 9000.0):
        cells.append(drawn(scene(parts, light("office", intensity=0.8, kelvin=kelvin)), f"office {kelvin:.0f} K"))
    return cells + [drawn(scene(parts, light("office", lamp, intensity=0.12)), name) for name, lamp in LAMPS.items()]


SHEETS: dict[str, Callable[[], list[np.ndarray]]] = {"materials": materials, "environments": environments}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("assets"))
    parser.add_argument("--only", choices=sorted(SHEETS))
    options = parser.parse_args()
    PARTS["ball"] = Family(
        standard="none", category="ball", sizes=(Size(designation="B", diameter_mm=36.0, length_mm=None),), build=ball
    )
    for name, make in SHEETS.items():
        if options.only in (None, name):
            cells = make()
            cells += [np.zeros_like(cells[0])] * (-len(cells) % COLUMNS)
            rows = [np.concatenate(cells[i : i + COLUMNS], axis=1) for i in range(0, len(cells), COLUMNS)]
            cv2.imwrite(str(options.out / f"{name}.jpg"), np.concatenate(rows), [cv2.IMWRITE_JPEG_QUALITY, 82])


if __name__ == "__main__":
    main()
