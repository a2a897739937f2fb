"""Decoys: foreign things among the parts, without a label."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from simgen.assets.parts import PARTS, part_model
from simgen.assets.parts.cards import CARD_M
from simgen.assets.parts.things import FORMS
from simgen.scene.config import PartsKnobs, TextureKnobs
from simgen.scene.config.decoys import BLOCKS, CUTOUTS, FASTENERS, THINGS, DecoyKnobs
from simgen.scene.kinds.drop import Drop
from simgen.scene.sampling.parts import category_of, draw_source
from simgen.scene.sampling.surfaces import draw_surface
from simgen.spec.knobs import Choice
from simgen.spec.scene import Block, FamilySize, MeshFile, PartSource, PartSpec

CATEGORY = "decoy"  # never in a label
CYLINDERS = 0.4  # share of the blocks
KINDS = (
    "hex_bolt",
    "hex_nut",
    "hex_screw",
    "washer",
)  # of fasteners; a new one would change the scenes of old data sets


def draw_decoys(
    knobs: DecoyKnobs, parts: PartsKnobs, texture: TextureKnobs, drop: Drop, rng: np.random.Generator
) -> tuple[PartSpec, ...]:
    """The decoys of a scene at their drop poses.

    Args:
        knobs: of the decoys.
        parts: whose sizes, densities and frictions they have.
        texture: whose finishes, or colours of clutter, they have.
        drop: lays them after the parts.
        rng: draws everything.

    Raises:
        MissingContent: the file of an imported part is not known here.
    """
    count, near, alike = knobs.count.draw(rng), knobs.near_share.draw(rng), knobs.alike_share.draw(rng)
    every = Choice({name: finish.weight for name, finish in texture.finishes.items()})
    decoys = []
    for _ in range(count):
        source = _draw_source(knobs, parts, rng)
        model = part_model(source)
        is_alike, is_near = rng.uniform() < alike, rng.uniform() < near
        surface = texture.finishes[every.draw(rng)] if is_alike else texture.clutter
        decoys.append(
            PartSpec(
                source=source,
                category=CATEGORY,
                mass_kg=parts.density_kg_m3.draw(rng) * model.volume_m3,
                friction=parts.friction.draw(rng),
                material=draw_surface(surface, rng),
                world_from_part=drop.next_pose(model, rng, near=is_near),
            )
        )
    return tuple(_printed(decoy) if _is_card(decoy.source, knobs) else decoy for decoy in decoys)


def foreign_sizes(parts: PartsKnobs) -> list[FamilySize]:
    """The sizes of fasteners whose category no part has."""
    labelled = {category_of(kind, knobs) for kind, knobs in parts.kinds.items()}
    families = {kind: PARTS[kind] for kind in KINDS if PARTS[kind].category not in labelled}
    return [FamilySize(kind, size.designation) for kind, family in families.items() for size in family.sizes]


def _draw_source(knobs: DecoyKnobs, parts: PartsKnobs, rng: np.random.Generator) -> PartSource:
    kind, ratio = knobs.kinds.draw(rng), knobs.size.draw(rng)
    names = Choice({name: row.weight for name, row in parts.kinds.items()})
    name = names.draw(rng)
    radius_m = ratio * part_model(draw_source(name, parts.kinds[name], rng)).radius_m
    if kind == BLOCKS:
        return _draw_block(radius_m, rng)
    if kind == THINGS:
        longest_m = 2 * radius_m / ratio * knobs.thing_size.draw(rng)
        return Block(knobs.things.draw(rng), (longest_m,) * 3, int(rng.integers(FORMS)))
    if kind == FASTENERS:
        sizes = foreign_sizes(parts)
        apart = [abs(np.log(part_model(size).radius_m / radius_m)) for size in sizes]
        return sizes[int(rng.choice(np.argsort(apart, kind="stable")[:8]))]
    if kind == CUTOUTS:
        one = knobs.cutouts[int(rng.integers(len(knobs.cutouts)))]
        scale = 2 * radius_m / ratio * knobs.thing_size.draw(rng) / CARD_M
        return MeshFile(one.name, one.sha256, mesh_scale=float(f"{scale:.2g}"))
    mesh = knobs.meshes[int(rng.integers(len(knobs.meshes)))]
    return MeshFile(mesh.name, mesh.sha256)


def _is_card(source: PartSource, knobs: DecoyKnobs) -> bool:
    return isinstance(source, MeshFile) and any(one.sha256 == source.mesh_sha256 for one in knobs.cutouts)


def _printed(decoy: PartSpec) -> PartSpec:
    """The decoy without a pattern and a metal's reflection: a picture on paper."""
    return replace(decoy, material=replace(decoy.material, metallic=0.0, contrast=0.0))


def _draw_block(radius_m: float, rng: np.random.Generator) -> Block:
    """A box or a cylinder whose half diagonal is a radius."""
    sides = np.exp(rng.uniform(np.log(0.15), 0.0, 3))
    cylinder = rng.uniform() < CYLINDERS
    if cylinder:
        sides[1] = sides[0]
    x, y, z = (float(side) for side in 2 * radius_m * sides / np.linalg.norm(sides))
    return Block("cylinder" if cylinder else "box", (x, y, z))
