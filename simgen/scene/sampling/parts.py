"""Parts: which kinds and sizes, their mass and friction, their finish, and where each starts to fall."""

from __future__ import annotations

import numpy as np

from simgen.assets.parts import PARTS, Size, part_family, part_model
from simgen.scene.config import KindKnobs, PartsKnobs, TextureKnobs
from simgen.scene.kinds import scene_kind
from simgen.scene.kinds.drop import DropArea
from simgen.scene.sampling.surfaces import draw_surface
from simgen.spec.knobs import Choice
from simgen.spec.scene import FamilySize, PartSpec, StageSpec


def sizes(kind: str, knobs: KindKnobs) -> list[str]:
    """The designations of `kind` that lie in the ranges of `knobs`.

    Raises:
        KeyError: there is no such kind.
        ValueError: none of its sizes lies in the ranges.
    """
    family = part_family(kind)

    def within(size: Size) -> bool:
        in_length = size.length_mm is None or knobs.length_mm.low <= size.length_mm <= knobs.length_mm.high
        return knobs.diameter_mm.low <= size.diameter_mm <= knobs.diameter_mm.high and in_length

    fitting = [size.designation for size in family.sizes if within(size)]
    if not fitting:
        wanted = f"{knobs.diameter_mm} mm, {knobs.length_mm} mm"
        raise ValueError(f"parts.kinds.{kind}: {family.standard} has no size in {wanted}")
    return fitting


def draw_parts(
    knobs: PartsKnobs,
    texture: TextureKnobs,
    stage: StageSpec,
    run_m: float,
    rng: np.random.Generator,
    textures: np.random.Generator,
) -> tuple[PartSpec, ...]:
    """The parts of a scene at their drop poses, in the order in which they are simulated.

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
        options = sizes(kind, knobs.kinds[kind])
        source = FamilySize(kind, options[int(rng.integers(len(options)))])
        model = part_model(source)
        density, friction = knobs.density_kg_m3.draw(rng), knobs.friction.draw(rng)
        finish = (knobs.kinds[kind].finishes or every).draw(textures)
        parts.append(
            PartSpec(
                source=source,
                category=PARTS[kind].category,
                mass_kg=density * model.volume_m3,
                friction=friction,
                material=draw_surface(texture.finishes[finish], textures),
                world_from_part=drop.next_pose(model, rng),
            )
        )
    return tuple(parts)
