"""How much more an imported part of 20,000 triangles costs than a parametric one, on the same scenes.

    LP_NUM_THREADS=1 nice -n 10 python -m benchmarks.mesh_cost --out benchmarks/2026-11-29-mesh-cost.md

Scenes of `bolts_on_table` and `conveyor` whose parts are all of one source: an M12 bolt of 60 mm, or a turned knob of
the same length with 20,000 triangles, at the same places. Each step is timed in turns, and the median of the ratios of
each pair is told, so that what else runs on the machine counts for both.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", LP_NUM_THREADS="1")

import numpy as np

from simgen.assets.cad.packed import Origin, PackedPart, RestingPose, Symmetries, write_packed
from simgen.assets.parts import part_model
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
PRESETS = ("bolts_on_table", "conveyor")
SEGMENTS, RINGS = 100, 100


def knob() -> MeshFile:
    """A turned knob with a wavy profile, 67 mm long, of 20,000 triangles."""
    z = np.linspace(-0.0335, 0.0335, RINGS)
    radius = 0.008 + 0.0015 * np.sin(600 * z)
    mesh = loft([circle(float(r), float(h), SEGMENTS) for r, h in zip(radius, z, strict=True)])
    volume_m3, centre_m, inertia = mass_properties(mesh)
    vertices, normals, triangles = shaded(Mesh(mesh.vertices_m - centre_m, mesh.triangles))
    root, corners = float(np.sqrt(0.5)), [circle(0.0095, h, 16) for h in (-0.033, 0.033)]
    part = PackedPart(
        name="knob", category="knob", origin=Origin(file="knob.stl", unit="mm", sha256="0" * 64), material=None,
        density_kg_m3=7850.0, volume_m3=volume_m3, inertia_m2=tuple(float(v) for v in np.diag(inertia)),
        vertices_m=vertices.astype(np.float32), normals=normals.astype(np.float32), triangles=triangles, colours=None,
        hulls_m=(np.concatenate(corners),),
        resting_poses=(
            RestingPose(rotation_xyzw=(root, 0.0, 0.0, root), height_m=0.0095, probability=1.0, drop_share=1.0),
        ),
        symmetries=Symmetries(axes=((0.0, 0.0, 1.0),)),
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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path)
    parser.add_argument("--scenes", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--renderers", nargs="+", default=["tiny", "pbr"])
    asked = parser.parse_args()
    source = knob()
    triangles = {name: len(part_model(s).triangles) for name, s in (("bolt", BOLT), ("knob", source))}
    rows = ["| preset | renderer | step | bolt, s | knob, s | ratio |", "|---|---|---|---|---|---|"]
    for preset in PRESETS:
        config = load_config(preset)
        for renderer in asked.renderers:
            times: dict[str, list[tuple[float, float]]] = {}
            for index in range(asked.scenes):
                plain = sample(config, 3, index)
                pair = [with_source(plain, one, renderer) for one in (BOLT, source)]
                made = [steps(spec, simulate(spec)) for spec in pair]
                for _ in range(asked.repeats):
                    for step in made[0]:
                        times.setdefault(step, []).append((timed(made[0][step]), timed(made[1][step])))
            totals = [tuple(map(sum, zip(*row, strict=True))) for row in zip(*times.values(), strict=True)]
            for step, pairs in {**times, "all": totals}.items():
                bolt, other = (statistics.median(column) for column in zip(*pairs, strict=True))
                ratio = statistics.median(b / a for a, b in pairs)
                rows.append(f"| {preset} | {renderer} | {step} | {bolt:.3f} | {other:.3f} | {ratio:.2f} |")
                print(rows[-1], flush=True)
    text = "\n".join(rows)
    if asked.out:
        head = f"# What an imported part costs\n\n{(__doc__ or '').strip()}\n\n"
        asked.out.write_text(f"{head}Triangles: {triangles}. CPU seconds a scene.\n\n{text}\n")


if __name__ == "__main__":
    main()
