"""A spec as a Mitsuba scene, which is built once and updated for each frame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from simgen.assets.materials import check_material
from simgen.camera.lens.defocus import circle_of_confusion_px
from simgen.renderers.paths import light, matter, shapes
from simgen.renderers.paths.matter import Layer, Placed
from simgen.renderers.planes import FLOOR_SIDE_M, stage_sheets
from simgen.spec.frames import Trajectory
from simgen.spec.geometry import rotation_matrix
from simgen.spec.scene import BodySpec, CameraSpec, MaterialSpec, SceneSpec
from simgen.spec.types import Pose

NEAR_M, FAR_M = 0.05, 5000.0
MAX_DEPTH, ROULETTE_DEPTH = 7, 2  # edges of a path; depth from which Russian roulette may end it
SAMPLER = "ldsampler"  # low-discrepancy points (Kollig and Keller 2002): as clean as ten times as many random ones
OWN_COLOUR = "vertex_colour"  # Mitsuba reads from the name that it is one for each vertex
SKY_IN_WORLD = [[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]  # Mitsuba's y is up, -z in the middle


@dataclass(frozen=True)
class _Moved:
    """A mesh that moves from frame to frame."""

    key: str
    solid: shapes.Solid


class MitsubaScene:
    """A spec in Mitsuba, with the process's module `mi`.

    Raises:
        KeyError: a part, a texture or a material is unknown.
        ValueError: a number of a material is out of its range, or a body's shape is unknown.
    """

    def __init__(self, mi: Any, spec: SceneSpec) -> None:
        self._mi, self._spec = mi, spec
        self._moved: list[_Moved] = []
        self._made: dict[tuple[MaterialSpec, str, bool], tuple[Layer, Any]] = {}
        scene: dict[str, Any] = {
            "type": "scene",
            "integrator": {"type": "path", "max_depth": MAX_DEPTH, "rr_depth": ROULETTE_DEPTH},
            **self._meshes(),
            **self._light(),
        }
        self.scene = mi.load_dict(scene)
        self._params = mi.traverse(self.scene)

    # ------------------------------------------------------------------------------------------------------ frames

    def place(self, trajectory: Trajectory, frame: int) -> None:
        """Move parts, occluders and the belt to their poses in a frame."""
        parts = len(self._spec.solids)
        for i, (position, rotation) in enumerate(
            zip(trajectory.positions_m[frame], trajectory.rotations_xyzw[frame], strict=True)
        ):
            self._put(self._moved[i], rotation_matrix(rotation), np.asarray(position, np.float64))
        for i, position in enumerate(trajectory.occluder_positions_m[frame]):
            turned = rotation_matrix(self._spec.occluders[i].world_from_body.rotation_xyzw)
            self._put(self._moved[parts + i], turned, np.asarray(position, np.float64))
        if trajectory.surface_shifts_m is not None:
            shift_m = trajectory.surface_shift_m(frame)
            self._params["top.vertex_texcoords"] = self._uv_of_top(shift_m).ravel()
        self._params.update()

    def _put(self, moved: _Moved, rotation: Float64[np.ndarray, "3 3"], at_m: Float64[np.ndarray, "3"]) -> None:
        points = moved.solid.points_m @ rotation.T + at_m
        self._params[f"{moved.key}.vertex_positions"] = points.astype(np.float32).ravel()
        self._params[f"{moved.key}.vertex_normals"] = (moved.solid.normals @ rotation.T).astype(np.float32).ravel()

    def camera(self, world_from_camera: Pose, samples: int) -> Any:
        """Mitsuba's camera: a pinhole, or a thin lens where the spec has an aperture."""
        return self._mi.load_dict(camera_dict(self._mi, self._spec.camera, world_from_camera, samples))

    # ------------------------------------------------------------------------------------------------------ shapes

    def _meshes(self) -> dict[str, Any]:
        spec, stage = self._spec, self._spec.stage
        meshes = {}
        for i, part in enumerate(spec.solids):
            check_material(f"parts[{i}]", part.material)
            solid = shapes.part(part.source, matter.is_lathe(part.material))
            meshes[f"part{i}"] = self._mesh(f"part{i}", solid, part.material, matter.PART)
            self._moved.append(_Moved(f"part{i}", solid))
        for i, body in enumerate(spec.occluders):
            solid = _body(f"occluders[{i}]", body)
            meshes[f"occluder{i}"] = self._mesh(f"occluder{i}", solid, body.material, matter.BODY)
            self._moved.append(_Moved(f"occluder{i}", solid))
        for i, body in enumerate(spec.fixtures):
            solid = _body(f"clutter[{i}]", body)
            pose = body.world_from_body
            put = _at(solid, rotation_matrix(pose.rotation_xyzw), np.asarray(pose.position_m))
            meshes[f"clutter{i}"] = self._mesh(f"clutter{i}", put, body.material, matter.BODY)
        for name, material in (("sides", stage.sides), ("top", stage.top), ("floor", stage.floor)):
            check_material(f"stage.{name}", material)
        lathe = matter.is_lathe(stage.sides)
        sides = shapes.body("tray", (*stage.size_m, stage.thickness_m), lathe)
        floor = shapes.body("plane", (FLOOR_SIDE_M, FLOOR_SIDE_M, 1.0))
        lowered, below = (np.array([0.0, 0.0, -z]) for z in (stage.thickness_m / 2, stage.floor_below_m))
        meshes["sides"] = self._mesh("sides", _at(sides, np.eye(3), lowered), stage.sides, matter.BODY)
        meshes["floor"] = self._mesh("floor", _at(floor, np.eye(3), below), stage.floor, matter.FLOOR)
        meshes["top"] = self._stage_top()
        return meshes

    def _stage_top(self) -> Any:
        stage = self._spec.stage
        self._top = shapes.body("plane", (*stage.size_m, 1.0))
        layer = matter.surface(stage.top, matter.TOP)
        self._top_placed = layer.placed
        found = self._layer(layer, layer.placed)
        if stage.sheets:
            on_top = matter.sheets(self._spec, stage_sheets(self._spec))
            found = {
                "type": "blendbsdf", "weight": self._texture(on_top.cover, on_top.layer.placed, layer.placed),
                "below": found, "above": self._layer(on_top.layer, layer.placed),
            }  # fmt: skip
        return self._made_mesh("top", self._top, self._uv_of_top(0.0), self._mi.load_dict(found))

    def _uv_of_top(self, shift_m: float) -> Float32[np.ndarray, "n 2"]:
        """Texture coordinates of the stage's top, from the stage's corner; they move with a belt."""
        length, width = self._spec.stage.size_m
        corner = np.array([width / 2, length / 2 - shift_m])
        return _uv(self._top.across_along_m + corner, self._top_placed)

    def _mesh(self, key: str, solid: shapes.Solid, material: MaterialSpec, where: str) -> Any:
        kind = material, where, solid.colours is not None
        if kind not in self._made:
            layer = matter.surface(material, where)
            bsdf = self._layer(layer, layer.placed)
            if solid.colours is not None:
                _base(bsdf)["base_color"] = {"type": "mesh_attribute", "name": OWN_COLOUR}
            self._made[kind] = layer, self._mi.load_dict(bsdf)
        layer, bsdf = self._made[kind]
        mesh = self._made_mesh(key, solid, _uv(solid.across_along_m, layer.placed), bsdf)
        if solid.colours is not None:
            mesh.add_attribute(OWN_COLOUR, 3, matter.own_colours(layer, solid.colours).ravel())
        return mesh

    def _made_mesh(self, key: str, solid: shapes.Solid, uv: Float32[np.ndarray, "n 2"], bsdf: Any) -> Any:
        mi, count = self._mi, len(solid.points_m)
        properties = mi.Properties()
        properties["mesh_bsdf"] = bsdf
        made = mi.Mesh(
            key, vertex_count=count, face_count=count // 3, has_vertex_normals=True, has_vertex_texcoords=True,
            props=properties,
        )  # fmt: skip
        made.set_id(key)
        params = mi.traverse(made)
        params["vertex_positions"] = solid.points_m.astype(np.float32).ravel()
        params["vertex_normals"] = solid.normals.astype(np.float32).ravel()
        params["vertex_texcoords"] = uv.ravel()
        params["faces"] = np.arange(count, dtype=np.uint32)
        params.update()
        return made

    # ----------------------------------------------------------------------------------------------------- surfaces

    def _layer(self, layer: Layer, uv: Placed) -> dict[str, Any]:
        found: dict[str, Any] = {
            "type": "principled",
            "base_color": self._texture(layer.rgb, layer.placed, uv),
            "roughness": self._texture(layer.roughness, layer.placed, uv),
            "metallic": self._texture(layer.metallic, layer.placed, uv),
            "eta": matter.INDEX,
        }
        if layer.anisotropy:
            found["anisotropic"] = layer.anisotropy
        if layer.coat:  # Disney's is a quarter as strong as a whole coat, of an alpha between 0.1 and 0.001
            found["clearcoat"] = 4 * layer.coat
            found["clearcoat_gloss"] = float(np.clip((0.1 - layer.coat_roughness**2) / 0.099, 0, 1))
        if layer.relief is None:
            return found
        height = self._texture(layer.relief.height_m, layer.relief.placed, uv)
        return {"type": "bumpmap", "height": height, "scale": 1.0, "below": found}

    def _texture(self, values: matter.Map, placed: Placed, uv: Placed) -> Any:
        """A map; `uv` is the placement with which the mesh's texture coordinates were made."""
        mi = self._mi
        if values.shape[2] == 1 and values.shape[:2] == (1, 1):
            return {"type": "uniform", "value": float(values[0, 0, 0])}
        found = {
            "type": "bitmap", "bitmap": mi.Bitmap(np.ascontiguousarray(values)), "raw": True,
            "wrap_mode": "repeat", "filter_type": "bilinear",
        }  # fmt: skip
        if placed != uv:
            scale = [b / a for a, b in zip(uv.scale, placed.scale, strict=True)]
            start = [b - k * a for a, b, k in zip(uv.offset, placed.offset, scale, strict=True)]
            found["to_uv"] = mi.ScalarTransform4f(
                [[scale[0], 0, 0, start[0]], [0, scale[1], 0, start[1]], [0, 0, 1, 0], [0, 0, 0, 1]]
            )
        return found

    # -------------------------------------------------------------------------------------------------------- light

    def _light(self) -> dict[str, Any]:
        mi, found = self._mi, light.emitters(self._spec)
        made: dict[str, Any] = {}
        if found.sky.any():
            to_world = mi.ScalarTransform4f(SKY_IN_WORLD)
            made["sky"] = {"type": "envmap", "bitmap": mi.Bitmap(found.sky[:, ::-1].copy()), "to_world": to_world}
        for i, disc in enumerate(found.discs):
            at = np.asarray(disc.toward) * light.FAR_M
            facing = _facing(mi, at, -np.asarray(disc.toward), np.full(2, light.FAR_M * math.tan(disc.half_angle_rad)))
            made[f"disc{i}"] = {"type": "disk", "to_world": facing, "emitter": _area(disc.radiance)}
        for i, panel in enumerate(found.panels):
            lamp = panel.lamp
            half = np.asarray(lamp.size_m) / 2
            facing = _facing(mi, np.asarray(lamp.position_m), np.asarray(lamp.toward), half, np.asarray(lamp.up))
            made[f"panel{i}"] = {"type": "rectangle", "to_world": facing, "emitter": _area(panel.radiance)}
        for i, spot in enumerate(found.spots):
            made[f"spot{i}"] = {
                "type": "spot", "intensity": _rgb(spot.intensity),
                "to_world": _facing(mi, spot.position_m, np.asarray(spot.lamp.toward), np.ones(2)),
                "cutoff_angle": math.degrees(spot.lamp.half_angle_rad), "beam_width": math.degrees(spot.full_rad),
                "sampling_weight": 1 / light.SPOTS,
            }  # fmt: skip
        return made


# -------------------------------------------------------------------------------------------------------------- camera


def camera_dict(mi: Any, camera: CameraSpec, world_from_camera: Pose, samples: int) -> dict[str, Any]:
    """Mitsuba's camera with the spec's intrinsics (its x points left, its y up).

    Raises:
        ValueError: the lens is impossible, or it has an aperture and a principal point that is not at a multiple of
            half a pixel.
    """
    rotation, eye = rotation_matrix(world_from_camera.rotation_xyzw), np.asarray(world_from_camera.position_m)
    to_world = np.eye(4)
    to_world[:3, :3] = rotation * np.array([-1.0, -1.0, 1.0])
    to_world[:3, 3] = eye
    film, shift = _film(camera)
    found = {
        "type": "perspective", "to_world": mi.ScalarTransform4f(to_world.tolist()), "near_clip": NEAR_M,
        "far_clip": FAR_M, "fov_axis": "x", "fov": math.degrees(2 * math.atan(film["width"] / 2 / camera.focal_px)),
        "film": {
            "type": "hdrfilm", "pixel_format": "rgb", "component_format": "float32", "rfilter": {"type": "box"}, **film,
        },
        "sampler": {"type": SAMPLER, "sample_count": samples},
    }  # fmt: skip
    circle_of_confusion_px(np.ones(1), camera)  # raises where the lens is impossible
    if camera.f_number > 0:
        if any(shift):
            raise ValueError(
                f"camera.centre_px: {camera.centre_px}: with an aperture, the renderer pathtraced needs it at "
                "multiples of half a pixel; set lens.f_number to 0, or move it"
            )
        aperture_m = camera.focal_length_m / camera.f_number
        return {**found, "type": "thinlens", "aperture_radius": aperture_m / 2, "focus_distance": camera.focus_m}
    across, down = (s / n for s, n in zip(shift, (film["width"], film["height"]), strict=True))
    return {**found, "principal_point_offset_x": across, "principal_point_offset_y": down}


def _film(camera: CameraSpec) -> tuple[dict[str, int], tuple[float, float]]:
    """A larger film centred on the principal point, with a crop; and the remaining offset of the principal point."""
    sizes, starts, shifts = [], [], []
    for centre, size in zip(camera.centre_px, (camera.width_px, camera.height_px), strict=True):
        twice = round(2 * centre)
        start = max(0, size - twice)
        sizes.append(twice + 2 * start)
        starts.append(start)
        shifts.append(centre - twice / 2)
    film = {
        "width": sizes[0], "height": sizes[1], "crop_offset_x": starts[0], "crop_offset_y": starts[1],
        "crop_width": camera.width_px, "crop_height": camera.height_px,
    }  # fmt: skip
    return film, (shifts[0], shifts[1])


# ------------------------------------------------------------------------------------------------------------- helpers


def _body(name: str, body: BodySpec) -> shapes.Solid:
    if body.shape not in ("box", "cylinder"):
        raise ValueError(f"{name}: no body of shape {body.shape!r}; there are box and cylinder")
    check_material(name, body.material)
    size = body.size_m if body.shape == "box" else (body.size_m[0], body.size_m[0], body.size_m[2])
    return shapes.body(body.shape, size, matter.is_lathe(body.material))


def _at(solid: shapes.Solid, rotation: Float64[np.ndarray, "3 3"], at_m: Float64[np.ndarray, "3"]) -> shapes.Solid:
    return shapes.Solid(solid.points_m @ rotation.T + at_m, solid.normals @ rotation.T, solid.across_along_m)


def _base(bsdf: dict[str, Any]) -> dict[str, Any]:
    """The `principled` below a bump map, or the one that it is."""
    return _base(bsdf["below"]) if "below" in bsdf else bsdf


def _uv(across_along_m: Float64[np.ndarray, "n 2"], placed: Placed) -> Float32[np.ndarray, "n 2"]:
    return np.asarray(across_along_m * np.asarray(placed.scale) + np.asarray(placed.offset), np.float32)


def _facing(
    mi: Any,
    at_m: Float64[np.ndarray, "3"],
    toward: Float64[np.ndarray, "3"],
    half: Float64[np.ndarray, "2"],
    up: Float64[np.ndarray, "3"] | None = None,
) -> Any:
    """A transform from z to `toward`, from y to `up`, and from the square -1..1 to half sides of `half`."""
    if up is None:
        aside = np.array([0.0, 0.0, 1.0]) if abs(toward[2]) < 0.9 else np.array([0.0, 1.0, 0.0])
        up = aside - (aside @ toward) * toward
        up = up / np.linalg.norm(up)
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 2], matrix[:3, 3] = (
        np.cross(up, toward) * half[0],
        up * half[1],
        toward,
        at_m,
    )
    return mi.ScalarTransform4f(matrix.tolist())


def _rgb(values: Float64[np.ndarray, "3"]) -> dict[str, Any]:
    return {"type": "rgb", "value": [float(v) for v in values]}


def _area(radiance: Float64[np.ndarray, "3"]) -> dict[str, Any]:
    return {"type": "area", "radiance": _rgb(radiance)}
