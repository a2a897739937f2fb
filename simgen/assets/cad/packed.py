"""The packed part: one GLB file that holds all that simulation, rendering and labels need of an imported part.

Any glTF viewer shows it. Metres throughout. The part's frame: the origin is the centre of mass, the axes are principal
axes of inertia; z is the axis of a turned part, else the axis of the largest moment, so that a flat part lies flat when
its z is up. What glTF has no place for stands in the document's `extras`, under `simgen_part`.

Reading needs numpy alone. The file may come from anywhere: everything in it is checked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int32

from simgen.assets.cad.facts import SCHEMA, Facts, checked_facts
from simgen.assets.cad.glb import read_array, read_chunks, write_glb
from simgen.spec.errors import PartFileError
from simgen.spec.types import Quat, Vec3

MAX_FILE_BYTES = 64 * 2**20
MAX_TRIANGLES = 250_000
MIN_SIZE_M, MAX_SIZE_M = 0.0005, 2.0  # of the longest side of the part's box
KEY = "simgen_part"
NOT_ONE = "not an imported part: simgen parts add FILE makes one"


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a part comes from."""

    file: str  # its name, without a folder
    unit: str  # of the file's lengths
    sha256: str  # of the file's bytes


@dataclass(frozen=True, kw_only=True)
class RestingPose:
    """A way in which the part comes to rest on a table. Any turn about the table's normal gives the same pose."""

    rotation_xyzw: Quat  # from the part's frame to that of a table whose z is up
    height_m: float  # of the part's origin above the table
    probability: float
    drop_share: float  # of the drops in PyBullet that ended in this pose


@dataclass(frozen=True, kw_only=True)
class Symmetries:
    """Turns about the part's origin after which it looks the same. The identity is not listed.

    With one axis, `rotations_xyzw` holds what the turns about that axis do not reach, such as the flip of a cylinder.
    """

    rotations_xyzw: tuple[Quat, ...] = ()
    axes: tuple[Vec3, ...] = ()  # unit vectors about which any turn is allowed: none, one, or a ball's three


@dataclass(frozen=True, kw_only=True)
class CoarseMesh:
    """The part's surface with far fewer triangles, for pictures in which nobody can see the difference."""

    vertices_m: Float32[np.ndarray, "v 3"]
    normals: Float32[np.ndarray, "v 3"]
    triangles: Int32[np.ndarray, "t 3"]
    colours: Float32[np.ndarray, "v 3"] | None
    error_m: float  # how far the two surfaces are apart at most


@dataclass(frozen=True, kw_only=True)
class PackedPart:
    """A part from a CAD file. `vertices_m` repeats a corner for each smooth surface and each colour that meets it."""

    name: str
    category: str
    origin: Origin
    material: str | None
    density_kg_m3: float
    volume_m3: float
    inertia_m2: Vec3  # principal moments of inertia of one kilogram, about the axes of the part's frame
    vertices_m: Float32[np.ndarray, "v 3"]
    normals: Float32[np.ndarray, "v 3"]
    triangles: Int32[np.ndarray, "t 3"]  # counter-clockwise seen from outside
    colours: Float32[np.ndarray, "v 3"] | None  # linear RGB of each vertex, where the CAD file has colours
    hulls_m: tuple[Float64[np.ndarray, "_ 3"], ...]  # corners of the convex pieces that collide
    resting_poses: tuple[RestingPose, ...]  # the likeliest first
    symmetries: Symmetries
    notes: tuple[str, ...] = ()  # what the import did: repairs, bodies, triangles
    coarse: CoarseMesh | None = None  # where it saves much

    @property
    def mass_kg(self) -> float:
        return self.density_kg_m3 * self.volume_m3

    @property
    def size_m(self) -> Vec3:
        """The extents of the part along its own axes."""
        x, y, z = (self.vertices_m.max(axis=0) - self.vertices_m.min(axis=0)).tolist()
        return x, y, z


def write_packed(part: PackedPart) -> bytes:
    """The bytes of a packed part. The same part gives the same bytes.

    Raises:
        PartFileError: the part has something that `read_packed` would refuse.
    """
    _check_mesh(part.vertices_m, part.normals, part.triangles, part.colours, part.name)
    arrays: list[np.ndarray] = []
    meshes = [_stored_mesh(mesh, arrays) for mesh in (part, part.coarse) if mesh is not None]
    document = {
        "asset": {"version": "2.0", "generator": "simgen parts add"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": part.name}],
        "meshes": meshes,  # viewers show the first one alone
        "materials": [{"pbrMetallicRoughness": {"metallicFactor": 0.3, "roughnessFactor": 0.6}}],
        "extras": {KEY: _facts(part)},
    }
    try:
        data = write_glb(document, arrays)
    except ValueError:  # JSON has no such numbers
        raise PartFileError(f"{part.name}: a number of it is not finite") from None
    read_packed(data, part.name)
    return data


def _stored_mesh(mesh: PackedPart | CoarseMesh, arrays: list[np.ndarray]) -> dict[str, Any]:
    """A mesh of the document. Its numbers are added to `arrays`."""
    first = len(arrays)
    arrays += [mesh.vertices_m, mesh.normals, mesh.triangles.astype(np.uint32).ravel()]
    attributes = {"POSITION": first, "NORMAL": first + 1}
    if mesh.colours is not None:
        attributes["COLOR_0"] = first + 3
        arrays.append(mesh.colours)
    return {"primitives": [{"attributes": attributes, "indices": first + 2, "material": 0}]}


def _facts(part: PackedPart) -> dict[str, Any]:
    poses = [
        {
            "rotation_xyzw": _digits(pose.rotation_xyzw, 12),
            "height_m": _digit(pose.height_m, 9),
            "probability": _digit(pose.probability, 12),
            "drop_share": _digit(pose.drop_share, 9),
        }
        for pose in part.resting_poses
    ]
    return {
        "schema": SCHEMA,
        "name": part.name,
        "category": part.category,
        "origin": {"file": part.origin.file, "unit": part.origin.unit, "sha256": part.origin.sha256},
        "material": part.material,
        "density_kg_m3": part.density_kg_m3,
        "volume_m3": _digit(part.volume_m3, 9),
        "inertia_m2": _digits(part.inertia_m2, 9),
        "hulls_m": [[_digits(corner, 9) for corner in hull] for hull in part.hulls_m],
        "resting_poses": poses,
        "symmetries": {
            "rotations_xyzw": [_digits(rotation, 12) for rotation in part.symmetries.rotations_xyzw],
            "axes": [_digits(axis, 12) for axis in part.symmetries.axes],
        },
        "notes": list(part.notes),
        **({} if part.coarse is None else {"coarse_error_m": _digit(part.coarse.error_m, 9)}),
    }


def _digit(value: float, digits: int) -> float:
    """The number with so many significant digits, so that the last bits of a sum do not change the file."""
    return float(f"{value:.{digits}g}") + 0.0  # + 0.0: no minus zero


def _digits(values: Any, digits: int) -> list[float]:
    return [_digit(float(value), digits) for value in values]


def read_packed(data: bytes, name: str) -> PackedPart:
    """The part in the bytes of a packed part.

    Args:
        name: of the file, for messages.

    Raises:
        PartFileError: it is no packed part, or anything in it is wrong. Names the file and the value.
    """
    if len(data) > MAX_FILE_BYTES:
        raise PartFileError(f"{name}: has {len(data)} bytes, more than the {MAX_FILE_BYTES} that a part may have")
    document, block = read_chunks(data, name)
    extras = document.get("extras")
    if not isinstance(extras, dict) or KEY not in extras:
        raise PartFileError(f"{name}: {NOT_ONE}")
    facts = checked_facts(extras[KEY], name)
    vertices_m, normals, triangles, colours = _mesh(document, block, name, 0)
    _check_mesh(vertices_m, normals, triangles, colours, name)
    coarse = None if facts.coarse_error_m is None else _coarse(document, block, name, facts.coarse_error_m)
    _check_facts(facts, vertices_m, name)
    return PackedPart(
        name=facts.name,
        category=facts.category,
        origin=Origin(file=facts.origin.file, unit=facts.origin.unit, sha256=facts.origin.sha256),
        material=facts.material,
        density_kg_m3=facts.density_kg_m3,
        volume_m3=facts.volume_m3,
        inertia_m2=facts.inertia_m2,
        vertices_m=vertices_m,
        normals=normals,
        triangles=triangles,
        colours=colours,
        hulls_m=tuple(np.array(hull, np.float64) for hull in facts.hulls_m),
        resting_poses=tuple(RestingPose(**pose.model_dump()) for pose in facts.resting_poses),
        symmetries=Symmetries(rotations_xyzw=facts.symmetries.rotations_xyzw, axes=facts.symmetries.axes),
        notes=facts.notes,
        coarse=coarse,
    )


def _coarse(document: dict[str, Any], block: bytes, name: str, error_m: float) -> CoarseMesh:
    vertices_m, normals, triangles, colours = _mesh(document, block, name, 1)
    _check_mesh(vertices_m, normals, triangles, colours, name)
    return CoarseMesh(vertices_m=vertices_m, normals=normals, triangles=triangles, colours=colours, error_m=error_m)


def _mesh(
    document: dict[str, Any], block: bytes, name: str, number: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    try:
        (primitive,) = document["meshes"][number]["primitives"]
        attributes, indices = primitive["attributes"], primitive["indices"]
        positions, normals, colours = attributes["POSITION"], attributes["NORMAL"], attributes.get("COLOR_0")
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        raise PartFileError(f"{name}: its mesh is not stored as an imported part stores it; import it again") from None
    flat = read_array(document, block, indices, name)
    if flat.ndim != 1 or flat.dtype.kind != "u" or len(flat) % 3 or not len(flat):
        raise PartFileError(f"{name}: its triangles are no list of three corners each")
    if len(flat) > 3 * MAX_TRIANGLES:
        raise PartFileError(f"{name}: has {len(flat) // 3} triangles, more than {MAX_TRIANGLES}")
    vectors = [read_array(document, block, index, name) for index in (positions, normals)]
    tints = None if colours is None else read_array(document, block, colours, name).astype(np.float32)
    if flat.max() >= len(vectors[0]):
        raise PartFileError(f"{name}: a triangle names corner {flat.max()} of {len(vectors[0])}")
    triangles = flat.reshape(-1, 3).astype(np.int32)
    return vectors[0].astype(np.float32), vectors[1].astype(np.float32), triangles, tints


def _check_mesh(
    vertices_m: np.ndarray, normals: np.ndarray, triangles: np.ndarray, colours: np.ndarray | None, name: str
) -> None:
    """Refuse a mesh that cannot be drawn."""
    for what, array in (("positions", vertices_m), ("normals", normals), ("colours", colours)):
        if array is not None and (array.shape != vertices_m.shape or array.ndim != 2 or not np.isfinite(array).all()):
            raise PartFileError(f"{name}: its {what} are not three finite numbers for each corner")
    longest = float(np.ptp(vertices_m.astype(np.float64), axis=0).max())  # a difference of float32 may overflow
    if not MIN_SIZE_M <= longest <= MAX_SIZE_M or len(vertices_m) > 3 * len(triangles):
        raise PartFileError(
            f"{name}: is {longest:.4g} m long, with {len(vertices_m)} corners for {len(triangles)} triangles; "
            f"a part is {MIN_SIZE_M} to {MAX_SIZE_M} m long, with at most three corners for a triangle"
        )
    if np.abs(np.linalg.norm(normals.astype(np.float64), axis=1) - 1).max() > 1e-3:
        raise PartFileError(f"{name}: its normals are not of length 1")
    if colours is not None and (colours.min() < 0 or colours.max() > 1):
        raise PartFileError(f"{name}: its colours are not between 0 and 1")


def _check_facts(facts: Facts, vertices_m: np.ndarray, name: str) -> None:
    """Refuse facts that contradict each other or the mesh."""
    radius_m = float(np.linalg.norm(vertices_m.astype(np.float64), axis=1).max())
    total = math.fsum(pose.probability for pose in facts.resting_poses)
    if abs(total - 1) > 1e-6:
        raise PartFileError(f"{name}: the probabilities of its resting poses add up to {total:.6g}, not to 1")
    if facts.volume_m3 > 4.2 * radius_m**3:
        raise PartFileError(f"{name}: a volume of {facts.volume_m3:.4g} m3 does not fit into {radius_m:.4g} m")
    a, b, c = sorted(facts.inertia_m2)
    if c > (a + b) * (1 + 1e-6) or c > radius_m**2 * (1 + 1e-3):
        raise PartFileError(f"{name}: no body of this size has the principal inertia {facts.inertia_m2}")
    for number, hull in enumerate(facts.hulls_m):
        corners = np.array(hull)
        reach_m = 1.2 * radius_m
        if np.abs(corners).max() > reach_m or np.linalg.norm(corners, axis=1).max() > reach_m:
            raise PartFileError(f"{name}: its convex piece {number} reaches far out of its mesh")
        if np.linalg.matrix_rank(corners - corners.mean(axis=0), tol=1e-7) < 3:
            raise PartFileError(f"{name}: its convex piece {number} is flat")
    for number, pose in enumerate(facts.resting_poses):
        if pose.height_m > radius_m * (1 + 1e-3) + 1e-6:
            raise PartFileError(f"{name}: resting pose {number} holds the part {pose.height_m:.4g} m above the table")
