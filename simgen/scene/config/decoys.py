"""Knobs of decoys: foreign things among the parts, which a detector must not take for parts."""

from __future__ import annotations

from typing import Annotated

from simgen.scene.config.bounds import Group, Knob, plain, share
from simgen.scene.config.bounds import count as how_many  # a field has the name count
from simgen.spec.knobs import Choice, IntRange, LogUniform, MeshContent, Uniform

BLOCKS, CUTOUTS, FASTENERS, MESHES, THINGS = "blocks", "cutouts", "fasteners", "meshes", "things"
SORTS = ("cable", "carton", "glove", "label", "roll", "spanner", "swarf", "tape")


class DecoyKnobs(Group):
    """Things without a label that fall and lie among the parts."""

    count: Annotated[IntRange, how_many("Decoys in a scene.", 500)] = IntRange(2, 8)
    kinds: Annotated[
        Choice,
        plain(
            "blocks: boxes and cylinders; cutouts: cards with pictures; fasteners: of categories that no part has; "
            "meshes: of a folder; things: of a workshop, see the knob things."
        ),
    ] = Choice({BLOCKS: 1.0})
    meshes: Annotated[
        tuple[MeshContent, ...],
        plain("A folder of imported parts (simgen parts add), for the kind meshes; relative to the preset."),
    ] = ()
    cutouts: Annotated[
        tuple[MeshContent, ...],
        plain(
            "Folder of pictures with transparency, or COCO JSON with polygons, of things that are no parts, for the "
            "kind cutouts; relative to the preset."
        ),
    ] = ()
    things: Annotated[
        Choice, plain("Things, for the kind things: cable, carton, glove, label, roll (of tape), spanner, swarf, tape.")
    ] = Choice({sort: 1.0 for sort in SORTS})
    thing_size: Annotated[
        LogUniform, Knob("", 0.1, 100, "Longest extent of a thing or a cut-out, relative to a part's.", "a size ratio")
    ] = LogUniform(0.5, 3.0)
    size: Annotated[
        LogUniform, Knob("", 0.05, 20, "Size of blocks and fasteners, relative to a part's.", "a size ratio")
    ] = LogUniform(0.4, 1.6)
    near_share: Annotated[Uniform, share("Share of a scene's decoys that lie against a part.")] = Uniform(0.2, 0.6)
    alike_share: Annotated[
        Uniform, share("Share of a scene's decoys with a finish of the parts; the others have colours as clutter has.")
    ] = Uniform(0.2, 0.6)
    empty_share: Annotated[float, share("Share of the scenes without any part, with decoys alone.")] = 0.0
