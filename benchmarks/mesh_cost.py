"""How much more an imported part of 20,000 triangles costs than a parametric one, on the same scenes.

    LP_NUM_THREADS=1 nice -n 10 python -m benchmarks.mesh_cost --out benchmarks/2026-11-30-mesh-cost.md

Scenes whose parts are all of one source: an M12 bolt of 60 mm, or a turned knob of the same length with 20,000
triangles, at the same places. The knob's file has a coarse mesh too, as `simgen parts add` writes it, or has none. Each
step is timed in turns, and the median of the ratios of each pair is told, so that what else runs on the machine counts
for both.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", LP_NUM_THREADS="1")

import numpy as np

from simgen.assets.cad.packed import CoarseMesh, Origin, PackedPart, RestingPose, Symmetries, write_packed
from simgen.assets.parts.mesh import Mesh, circle, loft, mass_properties, shaded
from simgen.generation.exposure import capture
from simgen.labels.boxes import annotate
from simgen.presets.read import load_config
from simgen.renderers import render
from simgen.scene.sampling.sample import sample
from simgen.scene.simulate import simulate
from simgen.spec.contents import keep
from simgen.spec.frames import Trajectory
from simgen.spec.scene import FamilySize, MeshFile, PartSource, RenderSpec, SceneSpec

BOLT = FamilySize("hex_bolt", "M12x60")
COARSE_ERROR_M = 0.0095 * (1 - np.cos(np.pi / 24))  # of 24 segments in place of a circle


def turned(segments: int, rings: int) -> Mesh:
    """A turned knob with a wavy profile, 67 mm long."""
    z = np.linspace(-0.0335, 0.0335, rings)
    radius = 0.008 + 0.0015 * np.sin(600 * z)
    return loft([circle(float(r), float(h), segments) for r, h in zip(radius, z, strict=True)])


def knob(coarse: bool) -> MeshFile:
    """The knob with 20,000 triangles, and with or without a coarse mesh of 1,900 beside them."""
    mesh = turned(100, 100)
    volume_m3, centre_m, inertia = mass_properties(mesh)
    root, corners = float(np.sqrt(0.5)), [circle(0.0095, h, 16) for h in (-0.033, 0.033)]

    def drawn(one: Mesh) -> dict[str, Any]:
        vertices, normals, triangles = shaded(Mesh(one.vertices_m - centre_m, one.triangles))
        floats = {"vertices_m": vertices.astype(np.float32), "normals": normals.astype(np.float32)}
        return {**floats, "triangles": triangles, "colours": None}

    part = PackedPart(
        name="knob", category="knob", origin=Origin(file="knob.stl", unit="mm", sha256="0" * 64), material=None,
        density_kg_m3=7850.0, volume_m3=volume_m3, inertia_m2=tuple(float(v) for v in np.diag(inertia)),
        hulls_m=(np.concatenate(corners),),
        resting_poses=(
            RestingPose(rotation_xyzw=(root, 0.0, 0.0, root), height_m=0.0095, probability=1.0, drop_share=1.0),
        ),
        symmetries=Symmetries(axes=((0.0, 0.0, 1.0),)),
        coarse=CoarseMesh(**drawn(turned(24, 40)), error_m=COARSE_ERROR_M) if coarse else None,
        **drawn(mesh),
    )  # fmt: skip
    return MeshFile("knob", keep(write_packed(part)))


def with_source(spec: SceneSpec, source: PartSource, renderer: str) -> SceneSpec:
    parts = tuple(replace(part, source=source) for part in spec.parts)
    return replace(spec, parts=parts, render=RenderSpec(renderer=renderer, supersample=spec.render.supersample))


def timed(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def steps(spec: SceneSpec, trajectory: Trajectory) -> dict[str, Callable[[], object]]:
    frames = list(capture(spec, trajectory, render))  # warms the caches, which last for a process
    ids = np.stack([frame.ids for frame in frames])
    return {
        "physics": lambda: simulate(spec),
        "drawing": lambda: list(capture(spec, trajectory, render)),
        "labels": lambda: annotate(spec, trajectory, ids),
    }


def _time(
    plain: SceneSpec, sources: dict[str, MeshFile], renderer: str, repeats: int, found: dict[Any, list[Any]]
) -> None:
    """Add the seconds of each step with the bolt and with each knob, and their sums, to `found`."""
    specs = {name: with_source(plain, source, renderer) for name, source in {"bolt": BOLT, **sources}.items()}
    made = {name: steps(spec, simulate(spec)) for name, spec in specs.items()}
    for _ in range(repeats):
        took = {name: {step: timed(work) for step, work in of_it.items()} for name, of_it in made.items()}
        for name in sources:
            for step in took["bolt"]:
                found.setdefault((name, step), []).append((took["bolt"][step], took[name][step]))
            found.setdefault((name, "all"), []).append((sum(took["bolt"].values()), sum(took[name].values())))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path)
    parser.add_argument("--scenes", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--presets", nargs="+", default=["bolts_on_table", "conveyor"])
    parser.add_argument("--renderers", nargs="+", default=["tiny", "pbr"])
    asked = parser.parse_args()
    sources = {"20,000 alone": knob(coarse=False), "with a coarse mesh": knob(coarse=True)}
    rows = ["| preset | renderer | knob | step | bolt, s | knob, s | ratio |", "|---|---|---|---|---|---|---|"]
    for preset in asked.presets:
        config = load_config(preset)
        for renderer in asked.renderers:
            found: dict[tuple[str, str], list[tuple[float, float]]] = {}
            for index in range(asked.scenes):
                _time(sample(config, 3, index), sources, renderer, asked.repeats, found)
            for (name, step), pairs in found.items():
                bolt, other = (statistics.median(column) for column in zip(*pairs, strict=True))
                ratio = statistics.median(b / a for a, b in pairs)
                rows.append(f"| {preset} | {renderer} | {name} | {step} | {bolt:.3f} | {other:.3f} | {ratio:.2f} |")
                print(rows[-1], flush=True)
    text = "\n".join(rows)
    if asked.out:
        head = f"# What an imported part costs\n\n{(__doc__ or '').strip()}\n\n"
        asked.out.write_text(f"{head}CPU seconds a scene.\n\n{text}\n")


if __name__ == "__main__":
    main()
