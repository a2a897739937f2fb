"""Parts: which kinds and sizes, their mass and friction, their finish, and where each starts to fall."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from simgen.assets.parts import Size, part_family, part_model
from simgen.assets.parts.library import packed_part
from simgen.scene.config import KindKnobs, PartsKnobs, TextureKnobs
from simgen.scene.kinds import scene_kind
from simgen.scene.kinds.drop import Drop, DropArea
from simgen.scene.sampling.surfaces import draw_surface
from simgen.spec.knobs import Choice
from simgen.spec.scene import FamilySize, MeshFile, PartSource, PartSpec, StageSpec


def sizes(kind: str, knobs: KindKnobs) -> list[str]:
    """The designations of `kind` that lie in the ranges of `knobs`.

    Raises:
        KeyError: there is no such kind.
        ValueError: none of its sizes lies in the ranges.
    """
    family = part_family(kind)

    diameters, lengths = knobs.diameter_mm, knobs.length_mm
    assert diameters is not None
    assert lengths is not None

    def within(size: Size) -> bool:
        in_length = size.length_mm is None or lengths.low <= size.length_mm <= lengths.high
        return diameters.low <= size.diameter_mm <= diameters.high and in_length

    fitting = [size.designation for size in family.sizes if within(size)]
    if not fitting:
        raise ValueError(f"parts.kinds.{kind}: {family.standard} has no size in {diameters} mm, {lengths} mm")
    return fitting


def sources(kind: str, knobs: KindKnobs) -> list[PartSource]:
    """Where the shapes of a kind come from: its standard's sizes, or its file, at a scale of 1.

    Raises:
        KeyError: there is no such kind.
        ValueError: none of its sizes lies in the ranges.
    """
    if knobs.mesh is None:
        return [FamilySize(kind, designation) for designation in sizes(kind, knobs)]
    return [MeshFile(knobs.mesh.name, knobs.mesh.sha256, mesh_colours=False if knobs.file_colours is False else None)]


def category_of(kind: str, knobs: KindKnobs) -> str:
    """The category of a kind of part in the labels.

    Raises:
        KeyError: there is no such kind.
        MissingContent: it is an imported part whose file is not known here.
    """
    if knobs.category is not None:
        return knobs.category
    return part_family(kind).category if knobs.mesh is None else packed_part(knobs.mesh.sha256).category


def draw_parts(
    knobs: PartsKnobs,
    texture: TextureKnobs,
    stage: StageSpec,
    run_m: float,
    rng: np.random.Generator,
    textures: np.random.Generator,
) -> tuple[tuple[PartSpec, ...], Drop]:
    """The parts of a scene at their drop poses, in the order in which they are simulated; and what laid them.

    Args:
        knobs: of the parts.
        texture: whose finishes they have.
        stage: that they lie on; its kind says how they are laid.
        run_m: how far the work surface moves from the start of the fall to the last frame. Parts are spread over so
            much more of it, and start so far upstream that half of them has passed in the middle of the clip.
        rng: draws everything but the finishes.
        textures: draws the finishes.

    Raises:
        KeyError: a kind of part does not exist.
        ValueError: a kind's range of sizes holds none of its standard's sizes.
        MissingContent: the file of an imported part is not known here.
    """
    count, spread = knobs.count.draw(rng), knobs.spread.draw(rng)
    stands, piles = knobs.standing_share.draw(rng), knobs.pile_share.draw(rng)
    kinds = Choice({kind: k.weight for kind, k in knobs.kinds.items()})
    every = Choice({name: finish.weight for name, finish in texture.finishes.items()})
    half_m = (spread * stage.size_m[0] / 2 + run_m / 2, spread * stage.size_m[1] / 2)
    area = DropArea(half_m=half_m, upstream_m=run_m / 2, standing_share=stands, pile_share=piles)
    drop = scene_kind(stage).drop(area)
    parts = []
    for _ in range(count):
        kind = kinds.draw(rng)
        own = knobs.kinds[kind]
        source = draw_source(kind, own, rng)
        model = part_model(source)
        density, friction = knobs.density_kg_m3.draw(rng), knobs.friction.draw(rng)
        finish = (own.finishes or every).draw(textures)
        parts.append(
            PartSpec(
                source=source,
                category=category_of(kind, own),
                mass_kg=_density(own, density, rng) * model.volume_m3,
                friction=friction,
                material=draw_surface(texture.finishes[finish], textures),
                world_from_part=drop.next_pose(model, rng),
            )
        )
    return tuple(parts), drop


def draw_source(kind: str, knobs: KindKnobs, rng: np.random.Generator) -> PartSource:
    """Where the shape of a part of a kind comes from, as `sources`, and its scale."""
    options = sources(kind, knobs)
    source = options[int(rng.integers(len(options)))]
    if not isinstance(source, MeshFile) or knobs.scale is None:
        return source
    scale = round(knobs.scale.draw(rng), 2)  # in steps, so that meshes and objects are few
    return replace(source, mesh_scale=None if scale == 1.0 else scale)


def _density(knobs: KindKnobs, usual_kg_m3: float, rng: np.random.Generator) -> float:
    """Of a kind's own range, of its file, or the usual one."""
    if knobs.density_kg_m3 is not None:
        return knobs.density_kg_m3.draw(rng)
    return usual_kg_m3 if knobs.mesh is None else packed_part(knobs.mesh.sha256).density_kg_m3
