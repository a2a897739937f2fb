"""A spec as a draw list: meshes in drawing order, each with its record for the shaders."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from simgen.assets.materials import MATERIALS, WearKey, check_material, tile_facts, tile_origin, wear_key
from simgen.assets.parts import UNSEEN_LIT_PX, UNSEEN_PX, drawn, part_model
from simgen.camera.detail import most_px_per_m
from simgen.renderers.gl import layout
from simgen.renderers.gl.meshes import Key
from simgen.renderers.gl.shadows import Spheres
from simgen.renderers.planes import FLOOR_SIDE_M
from simgen.renderers.textures import BRUSHED_ANISOTROPY, placed_tile
from simgen.renderers.tiles import TileKey, tile_key
from simgen.spec.frames import Trajectory
from simgen.spec.geometry import rotation_matrix
from simgen.spec.scene import BodySpec, MaterialSpec, MatterSpec, PartSpec, SceneSpec
from simgen.spec.types import BACKGROUND, CLUTTER


@dataclass(frozen=True)
class Item:
    """One mesh to draw: its program and resources."""

    # "part", "stage", "body" or "floor", plus "+matter", "+lathe" and "+coloured"; on a photo the ground is
    # "stage+photo" where it takes shadows, and else "floor+photo"
    program: str
    mesh: Key  # of the truth
    lit_mesh: Key  # of light and shadows: `mesh`, or one with fewer triangles
    tile: TileKey
    wear: WearKey | None = None


@dataclass(frozen=True)
class DrawList:
    """Parts, decoys, occluders, clutter, walls, the stage's sides, its top and the floor: roughly from near to far."""

    items: tuple[Item, ...]
    rows: np.ndarray  # of layout.DRAW, moved from frame to frame by `place`
    radii_m: np.ndarray  # of a sphere about each item's position

    @property
    def casters(self) -> int:
        """Number of items that cast shadows: all but the stage's top and the floor."""
        return len(self.items) - 2

    def spheres(self, count: int) -> Spheres:
        """Bounding spheres of the first `count` items."""
        return Spheres(self.rows["world_from_local"][:count, 3, :3].astype(np.float64), self.radii_m[:count])


def draw_list(spec: SceneSpec) -> DrawList:
    """The draw list of a scene, with every body at its pose in the spec.

    Raises:
        KeyError: a part, a texture or a material is unknown.
        ValueError: a number of a material is out of its range, a body's shape is unknown, too many sheets.
    """
    if len(spec.stage.sheets) > layout.MAX_SHEETS:
        raise ValueError(f"{len(spec.stage.sheets)} sheets on the stage; the pbr renderer takes {layout.MAX_SHEETS}")
    stage, sides, middle_m = spec.stage, (*spec.stage.size_m, spec.stage.thickness_m), -spec.stage.thickness_m / 2
    px_per_m = most_px_per_m(spec.camera)
    lit_px = UNSEEN_LIT_PX if spec.render.supersample > 1 else UNSEEN_PX  # one sample is lit where the truth's depth is
    codes = [*range(len(spec.parts)), *[CLUTTER] * (len(spec.solids) - len(spec.parts))]
    made = [
        _part(i, part, code, px_per_m, lit_px) for i, (part, code) in enumerate(zip(spec.solids, codes, strict=True))
    ]
    made += [_body(f"occluders[{i}]", body) for i, body in enumerate(spec.occluders)]
    made += [_body(f"clutter[{i}]", body) for i, body in enumerate(spec.clutter)]
    made += [_body(f"walls[{i}]", body) for i, body in enumerate(spec.walls or ())]
    made += [
        _record("stage.sides", "body", "tray", stage.sides, sides, BACKGROUND, position_m=(0.0, 0.0, middle_m)),
        _record("stage.top", "stage", "plane", stage.top, (*stage.size_m, 1.0), BACKGROUND),
        _record(
            "stage.floor", "floor", "plane", stage.floor, (FLOOR_SIDE_M, FLOOR_SIDE_M, 1.0), BACKGROUND,
            position_m=(0.0, 0.0, -stage.floor_below_m),
        ),
    ]  # fmt: skip
    rows = np.concatenate([row for _, row, _ in made])
    items = [item for item, _, _ in made]
    if stage.photo is not None:
        under = ("floor+photo", "stage+photo", "floor+photo")
        items[-3:] = [replace(item, program=name, wear=None) for name, item in zip(under, items[-3:], strict=True)]
    return DrawList(tuple(items), rows, np.array([radius for _, _, radius in made]))


def place(draws: DrawList, trajectory: Trajectory, frame: int) -> None:
    """Move parts and occluders to their poses in a frame."""
    matrices = draws.rows["world_from_local"]
    parts = trajectory.positions_m.shape[1]
    for i in range(parts):
        rotation = rotation_matrix(trajectory.rotations_xyzw[frame, i])
        matrices[i] = layout.columns(rotation, trajectory.positions_m[frame, i])
    for i, position in enumerate(trajectory.occluder_positions_m[frame]):
        matrices[parts + i, 3, :3] = position


def _part(index: int, part: PartSpec, code: int, px_per_m: float, lit_px: float) -> tuple[Item, np.ndarray, float]:
    model, mesh, lit = part_model(part.source), drawn(part.source, px_per_m), drawn(part.source, px_per_m, lit_px)
    key, size = replace(mesh, scale=1.0), (mesh.scale,) * 3
    item, row, _ = _record(f"parts[{index}]", "part", key, part.material, size, code)
    item = replace(item, lit_mesh=replace(lit, scale=1.0))
    if model.colours is not None:
        item = replace(item, program=f"{item.program}+coloured")
    row["thread"] = (1.0, 1.0, 1.0, -1.0)
    if model.thread:
        row["thread"] = (model.thread.pitch_m, model.thread.radius_m, model.thread.z_from_m, model.thread.z_to_m)
    return item, row, model.radius_m


def _body(name: str, body: BodySpec) -> tuple[Item, np.ndarray, float]:
    if body.shape not in ("box", "cylinder"):
        raise ValueError(f"{name}: no body of shape {body.shape!r}; there are box and cylinder")
    size = body.size_m if body.shape == "box" else (body.size_m[0], body.size_m[0], body.size_m[2])
    pose = body.world_from_body
    rotation = rotation_matrix(pose.rotation_xyzw)
    return _record(name, "body", body.shape, body.material, size, CLUTTER, rotation, pose.position_m)


def _record(
    name: str,
    program: str,
    mesh: Key,
    material: MaterialSpec,
    size_m: tuple[float, ...],
    code: int,
    rotation: np.ndarray | None = None,
    position_m: tuple[float, ...] = (0.0, 0.0, 0.0),
) -> tuple[Item, np.ndarray, float]:
    check_material(name, material)
    row = np.zeros(1, layout.DRAW)
    row["world_from_local"] = layout.columns(np.eye(3) if rotation is None else rotation, np.asarray(position_m))
    row["size"] = (*size_m, code)
    radius_m = float(np.linalg.norm(size_m)) / 2
    if material.matter:
        return _with_matter(row, material.matter, program, mesh, tile_key(material)), row, radius_m
    row["base"] = (*material.rgb, material.metallic)
    anisotropy = BRUSHED_ANISOTROPY * material.metallic if material.texture == "brushed" else 0.0
    _, (u, v), texel_m = placed_tile(material)
    row["finish"] = (material.roughness, material.contrast, 1 / texel_m, anisotropy)
    row["place"] = (u, v, 0.0, 0.0)
    return Item(program, mesh, mesh, tile_key(material)), row, radius_m


def _with_matter(row: np.ndarray, matter: MatterSpec, program: str, mesh: Key, tile: TileKey) -> Item:
    """Fill the record's fields for a procedural material."""
    facts = tile_facts(*tile[1:])
    row["base"] = (*matter.base.rgb, matter.base.metallic)
    row["second"] = (*matter.second.rgb, matter.second.metallic)
    row["finish"] = (matter.base.roughness, matter.contrast, 1 / matter.tile_m, matter.anisotropy)
    row["relief"] = (matter.second.roughness, matter.gloss, matter.relief, 0.0)
    row["coat"] = (matter.coat, matter.coat_roughness, facts.quarter_lost, 1 / (facts.most_lost - facts.quarter_lost))
    u, v = tile_origin(matter)
    row["place"] = (u, v, 0.0, 0.0)
    wear = wear_key(matter.wear)
    row["worn"] = (1 / matter.wear.side_m, v, u, float(bool(wear[0])))
    round_axis = "+lathe" if MATERIALS[matter.name].lathe and program in ("part", "body") else ""
    return Item(f"{program}+matter{round_axis}", mesh, mesh, tile, wear if wear[0] else None)
