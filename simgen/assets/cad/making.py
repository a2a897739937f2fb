"""From a CAD file to a packed part: the steps of the import in their order. Drops in a simulator come after it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from simgen.assets.cad.packed import MAX_SIZE_M, MIN_SIZE_M, Origin, PackedPart
from simgen.assets.cad.reading import read_bodies
from simgen.assets.cad.reading.files import read_source
from simgen.assets.cad.request import UNITS, BodyFound, Report, Request
from simgen.assets.cad.shape.budget import change, painted, simplified
from simgen.assets.cad.shape.coarse import coarse_mesh
from simgen.assets.cad.shape.hulls import convex_pieces
from simgen.assets.cad.shape.repair import MOST_CROSSED, SAID_CROSSED, Body, closed, enclosed, split_bodies, union
from simgen.assets.cad.shape.resting import poses_by_hull
from simgen.assets.cad.shape.shading import shaded
from simgen.assets.cad.shape.solid import Solid, mass_of, part_axes
from simgen.assets.cad.shape.symmetry import symmetries
from simgen.spec.errors import PartFileError
from simgen.spec.geometry import vec3

FLAT = 1e-6  # of its box: a solid that fills less has no thickness
CHANGED = 0.01  # of the volume: said where fewer triangles change it by more


def make_part(request: Request) -> tuple[PackedPart, Report]:
    """The part in a CAD file, and what the import found.

    Raises:
        PartFileError: the file cannot be read, or what is in it is no part. Says what would help.
    """
    bodies, unit = read_bodies(request)
    pieces = split_bodies(bodies)
    taken, notes = _chosen(pieces, request), list[str]()
    _check_size(taken, unit, request)
    solid = _one_solid(taken, str(request.file), notes)
    part = _packed(solid, taken, unit, request, notes)
    found = [BodyFound(name=b.name, size_m=vec3(b.size_m), triangles=len(b.triangles)) for b in pieces]
    read = sum(len(body.triangles) for body in taken)
    return part, Report(unit=unit, bodies=tuple(found), triangles_read=read, notes=part.notes)


def _chosen(pieces: list[Body], request: Request) -> list[Body]:
    for number in request.bodies:
        if not 1 <= number <= len(pieces):
            raise PartFileError(f"{request.file}: no body {number}; there are 1 to {len(pieces)}")
    return [pieces[number - 1] for number in request.bodies] or pieces


def _check_size(bodies: list[Body], unit: str, request: Request) -> None:
    """Refuse a part whose size makes no sense, with the units in which it would make sense."""
    corners = np.concatenate([body.vertices_m[np.unique(body.triangles)] for body in bodies])
    longest_m = float(np.ptp(corners, axis=0).max())
    if MIN_SIZE_M <= longest_m <= MAX_SIZE_M:
        return
    number = longest_m / UNITS[unit]
    would = [f"--unit {u} ({_length(number * m)})" for u, m in UNITS.items() if MIN_SIZE_M <= number * m <= MAX_SIZE_M]
    wrong = "over 2 m" if longest_m > MAX_SIZE_M else "under 0.5 mm"
    hint = f"; it would make sense with {' or '.join(would)}" if would else ""
    raise PartFileError(f"{request.file}: is {_length(longest_m)} long in {unit}, {wrong}{hint}")


def _length(metres: float) -> str:
    return f"{metres:.4g} m" if metres >= 1 else f"{metres * 1000:.4g} mm"


def _one_solid(bodies: list[Body], file: str, notes: list[str]) -> Solid:
    """The bodies as one closed solid.

    Raises:
        PartFileError: one cannot be closed, has no thickness, or its surface cuts through itself.
    """
    said: list[str] = []
    solids = [closed(body, file, said) for body in bodies]
    notes += list(dict.fromkeys(said))[:20]
    solid = union(solids, file) if len(solids) > 1 else solids[0]
    if len(solids) > 1:
        notes.append(f"joined {len(solids)} bodies to one part")
    volume_m3 = mass_of(solid).volume_m3
    if volume_m3 < FLAT * float(np.prod(np.ptp(solid.vertices_m, axis=0))) or volume_m3 <= 0:
        raise PartFileError(f"{file}: has no thickness: its volume is {volume_m3:.3g} m3; export a solid body")
    whole, crossed = enclosed(solid)
    share = crossed / whole if whole > 0 else 0.0
    if share > MOST_CROSSED:
        raise PartFileError(
            f"{file}: its surface cuts through itself: {100 * share:.0f} % of its volume is enclosed twice or inside "
            f"out; join the bodies in CAD (boolean union), or repair it in Blender or MeshLab"
        )
    if share > SAID_CROSSED:
        notes.append(
            f"its surface cuts through itself: {100 * share:.1f} % of its volume is enclosed twice or inside out"
        )
    return solid


def _packed(solid: Solid, bodies: list[Body], unit: str, request: Request, notes: list[str]) -> PackedPart:
    mass = mass_of(solid)
    axes = part_axes(solid, mass)
    own = solid.turned(axes, mass.centre_m)
    moments = np.diag(axes @ mass.inertia_m2 @ axes.T)
    fewer = simplified(own, request.most_triangles)
    if len(fewer.triangles) < len(own.triangles):
        notes.append(f"reduced {len(own.triangles)} triangles to {len(fewer.triangles)}")
        if (changed := change(own, fewer)) > CHANGED:
            notes.append(f"fewer triangles change its volume by {100 * changed:.1f} %; --triangles allows more")
    in_part = [Body(b.name, (b.vertices_m - mass.centre_m) @ axes.T, b.triangles, b.colours) for b in bodies]
    colours = painted(fewer, in_part)
    turns = symmetries(fewer, moments, colours)
    vertices_m, normals, triangles, tints = shaded(fewer, colours)
    hulls_m, why = convex_pieces(fewer, mass.volume_m3)
    notes += [why] if why else []
    return PackedPart(
        name=request.name,
        category=request.category,
        origin=Origin(file=request.file.name, unit=unit, sha256=_sha256(request.file)),
        material=request.material,
        density_kg_m3=request.density_kg_m3,
        volume_m3=mass.volume_m3,
        inertia_m2=vec3(moments),
        vertices_m=vertices_m,
        normals=normals,
        triangles=triangles,
        colours=tints,
        hulls_m=hulls_m,
        resting_poses=poses_by_hull(vertices_m.astype(np.float64), turns),
        symmetries=turns,
        notes=tuple(notes),
        coarse=coarse_mesh(fewer, colours),
    )


def _sha256(file: Path) -> str:
    return hashlib.sha256(read_source(file)).hexdigest()
