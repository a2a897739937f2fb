"""Parts: which kinds and sizes, their mass and friction, their finish, and where each starts to fall."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from simgen.assets.parts import PartModel, Size, part_family, part_model
from simgen.assets.parts.library import packed_part
from simgen.scene.config import KindKnobs, PartsKnobs, TextureKnobs
from simgen.scene.kinds import scene_kind
from simgen.scene.kinds.drop import Drop, DropArea, Fed
from simgen.scene.kinds.model import Stock
from simgen.scene.kinds.setting import Setting
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


def draw_source(kind: str, knobs: KindKnobs, rng: np.random.Generator) -> PartSource:
    """Where the shape of a part of a kind comes from, as `sources`, and its scale."""
    options = sources(kind, knobs)
    source = options[int(rng.integers(len(options)))]
    if not isinstance(source, MeshFile) or knobs.scale is None:
        return source
    scale = round(knobs.scale.draw(rng), 2)  # in steps, so that meshes and objects are few
    return replace(source, mesh_scale=None if scale == 1.0 else scale)


def stock(knobs: PartsKnobs) -> Stock:
    """The parts of a preset, as a scene kind draws from them."""
    kinds = Choice({kind: k.weight for kind, k in knobs.kinds.items()})

    def draw(rng: np.random.Generator) -> tuple[str, PartSource, PartModel]:
        kind = kinds.draw(rng)
        source = draw_source(kind, knobs.kinds[kind], rng)
        return kind, source, part_model(source)

    return Stock(most=knobs.count.high, spread=knobs.spread.high, draw=draw)


@dataclass(frozen=True)
class Ground:
    """What the parts are laid on.

    `run_m` is how far the work surface moves from the start of the fall to the last frame. Parts are spread over so
    much more of it, and start so far upstream that half of them has passed in the middle of the clip.
    """

    stage: StageSpec
    setting: Setting
    run_m: float = 0.0

    def area(self, spread: float, standing_share: float, pile_share: float) -> DropArea:
        """Where parts are laid, for a share of the stage's length and width."""
        length_m, width_m = self.stage.size_m
        half_m = spread * width_m / 2 if self.setting.half_width_m is None else spread * self.setting.half_width_m
        return DropArea(
            half_m=(spread * length_m / 2 + self.run_m / 2, half_m),
            upstream_m=self.run_m / 2,
            standing_share=standing_share,
            pile_share=pile_share,
            setting=self.setting,
        )


def draw_parts(
    knobs: PartsKnobs, texture: TextureKnobs, ground: Ground, rng: np.random.Generator, textures: np.random.Generator
) -> tuple[tuple[PartSpec, ...], Drop]:
    """The parts of a scene at their drop poses, in the order in which they are simulated; and what laid them.

    Args:
        knobs: of the parts.
        texture: whose finishes they have.
        ground: that they lie on; its stage's kind says how they are laid.
        rng: draws everything but the finishes.
        textures: draws the finishes.

    Raises:
        KeyError: a kind of part does not exist.
        ValueError: a kind's range of sizes holds none of its standard's sizes.
        MissingContent: the file of an imported part is not known here.
    """
    count, spread = knobs.count.draw(rng), knobs.spread.draw(rng)
    area = ground.area(spread, knobs.standing_share.draw(rng), knobs.pile_share.draw(rng))
    every = Choice({name: finish.weight for name, finish in texture.finishes.items()})
    drop = scene_kind(ground.stage).drop(area)
    parts = []
    for kind, source in _contents(knobs, ground.setting, count, rng):
        own = knobs.kinds[kind]
        model = part_model(source)
        density, friction = knobs.density_kg_m3.draw(rng), knobs.friction.draw(rng)
        finish = (own.finishes or every).draw(textures)
        part = PartSpec(
            source=source,
            category=category_of(kind, own),
            mass_kg=_density(own, density, rng) * model.volume_m3,
            friction=friction,
            material=draw_surface(texture.finishes[finish], textures),
            world_from_part=drop.next_pose(model, rng),
        )
        feed = ground.setting.feed
        if isinstance(drop, Fed) and feed:
            part = replace(part, start_s=drop.starts_s[-1], velocity_m_s=feed.velocity_m_s)
        parts.append(part)
    return tuple(parts), drop


def _contents(
    knobs: PartsKnobs, setting: Setting, count: int, rng: np.random.Generator
) -> Iterator[tuple[str, PartSource]]:
    """The kind and the source of each part: as the setting plans them, or `count` of them by the kinds' weights."""
    if setting.contents is not None:
        yield from setting.contents
        return
    kinds = Choice({kind: k.weight for kind, k in knobs.kinds.items()})
    for _ in range(count):
        kind = kinds.draw(rng)
        yield kind, draw_source(kind, knobs.kinds[kind], rng)


def _density(knobs: KindKnobs, usual_kg_m3: float, rng: np.random.Generator) -> float:
    """Of a kind's own range, of its file, or the usual one."""
    if knobs.density_kg_m3 is not None:
        return knobs.density_kg_m3.draw(rng)
    return usual_kg_m3 if knobs.mesh is None else packed_part(knobs.mesh.sha256).density_kg_m3
