"""Parts: families of sizes from standards, and parts that were imported from CAD files.

A new family is a new file and a row here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, lru_cache

from simgen.assets.parts.blocks import block_model
from simgen.assets.parts.families.bolts import HEX_BOLT, HEX_SCREW
from simgen.assets.parts.families.gears import GEAR
from simgen.assets.parts.families.nuts import HEX_NUT
from simgen.assets.parts.families.plates import BRACKET, FLANGE, SLOTTED_PLATE
from simgen.assets.parts.families.rings import BEARING, BUSHING, SPRING_WASHER
from simgen.assets.parts.families.shafts import SHAFT
from simgen.assets.parts.families.sockets import CAP_SCREW, COUNTERSUNK_SCREW
from simgen.assets.parts.families.washers import WASHER
from simgen.assets.parts.library import imported_model
from simgen.assets.parts.mesh import Hull, Primitive
from simgen.assets.parts.model import Family, PartModel, Rest, Size, Thread
from simgen.assets.parts.things import THINGS, thing_model
from simgen.spec.scene import Block, FamilySize, MeshFile, PartSource

__all__ = [
    "PARTS",
    "UNSEEN_LIT_PX",
    "UNSEEN_PX",
    "Drawn",
    "Family",
    "Hull",
    "PartModel",
    "Primitive",
    "Rest",
    "Size",
    "Thread",
    "drawn",
    "family_model",
    "part_family",
    "part_model",
]  # fmt: skip
UNSEEN_PX = 0.2  # an error of the surface that nobody sees
UNSEEN_LIT_PX = 0.5  # the same, where the mesh gives light and shadow alone: its outline is blurred by the sensor
MODELS = 256  # imported parts that are remembered, each of a scale

PARTS: dict[str, Family] = {
    "ball_bearing": BEARING,
    "bracket": BRACKET,
    "bushing": BUSHING,
    "cap_screw": CAP_SCREW,
    "countersunk_screw": COUNTERSUNK_SCREW,
    "flange": FLANGE,
    "hex_bolt": HEX_BOLT,
    "hex_nut": HEX_NUT,
    "hex_screw": HEX_SCREW,
    "shaft": SHAFT,
    "slotted_plate": SLOTTED_PLATE,
    "spring_washer": SPRING_WASHER,
    "spur_gear": GEAR,
    "washer": WASHER,
}


def part_family(kind: str) -> Family:
    """A row of PARTS.

    Raises:
        KeyError: no such kind; the message lists the kinds.
    """
    if kind not in PARTS:
        raise KeyError(f"no part kind {kind!r}; there are {sorted(PARTS)}")
    return PARTS[kind]


def part_model(source: PartSource) -> PartModel:
    """The model of a part, from where its shape comes from (`PartSpec.source`).

    Raises:
        KeyError: no such kind of part, or no such size of it; the message lists what exists.
        MissingContent: an imported part whose file is not known here (`simgen.assets.parts.library`).
    """
    if isinstance(source, FamilySize):
        return family_model(source)
    return _of_file(source) if isinstance(source, MeshFile) else _of_block(source)


@cache
def family_model(source: FamilySize) -> PartModel:
    """The model of a size of a family, as `part_model`."""
    family = part_family(source.kind)
    return family.build(family.size(source.designation))


@lru_cache(maxsize=MODELS)
def _of_file(source: MeshFile) -> PartModel:
    if source.mesh_scale is not None:
        return part_model(replace(source, mesh_scale=None)).scaled(source.mesh_scale)
    model = imported_model(source.mesh_sha256)
    return model.uncoloured if source.mesh_colours is False else model


@lru_cache(maxsize=MODELS)
def _of_block(source: Block) -> PartModel:
    if source.block in THINGS:
        return thing_model(source.block, source.block_form or 0, source.block_size_m[0])
    return block_model(source)


@dataclass(frozen=True)
class Drawn:
    """What is drawn of a part: the mesh of its source as large as in its file, and the scale.

    So a mesh is uploaded once for all scales.
    """

    of_file: PartSource
    is_coarse: bool
    scale: float

    @property
    def model(self) -> PartModel:
        """Of `of_file`."""
        model = part_model(self.of_file)
        return model.coarse if self.is_coarse and model.coarse is not None else model


def drawn(source: PartSource, px_per_m: float, unseen_px: float = UNSEEN_PX) -> Drawn:
    """What is drawn of a part where a metre is at most so many pixels, and an error below `unseen_px` is not seen."""
    model = part_model(source)
    is_coarse = model.coarse is not None and model.coarse_error_m * px_per_m < unseen_px
    if not isinstance(source, MeshFile) or source.mesh_scale is None:
        return Drawn(source, is_coarse, 1.0)
    return Drawn(replace(source, mesh_scale=None), is_coarse, source.mesh_scale)
