"""Readers of CAD files: each gives the bodies of a file, in the file's unit, and that unit where the format says it.

They run in a process of their own (`simgen.assets.cad.isolated`), since a damaged file can crash or hang a library.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from simgen.assets.cad.reading.gltf import read_glb, read_gltf
from simgen.assets.cad.reading.meshes import read_3mf, read_obj, read_off, read_ply, read_stl
from simgen.assets.cad.reading.step import read_step
from simgen.assets.cad.reading.urdf import read_urdf
from simgen.assets.cad.request import UNITS, Request
from simgen.assets.cad.shape.repair import Body
from simgen.spec.errors import PartFileError

READERS: dict[str, Callable[[Path], tuple[list[Body], str | None]]] = {
    ".stl": read_stl,
    ".obj": read_obj,
    ".ply": read_ply,
    ".off": read_off,
    ".3mf": read_3mf,
    ".glb": read_glb,
    ".gltf": read_gltf,
    ".step": read_step,
    ".stp": read_step,
}
URDF, STEP = ".urdf", (".step", ".stp")


def read_bodies(request: Request) -> tuple[list[Body], str]:
    """The bodies of a CAD file in metres, and the unit that was taken for its lengths.

    Raises:
        PartFileError: the file cannot be read, or nothing tells its unit. Says what would help.
    """
    path, suffix = request.file, request.file.suffix.lower()
    said: str | None
    if suffix == URDF:
        bodies, said = read_urdf(path, READERS, request.pose)
    elif suffix in READERS:
        bodies, said = READERS[suffix](path)
    else:
        known = ", ".join(sorted((*READERS, URDF)))
        raise PartFileError(f"{path}: no format {suffix or path.name!r} is read; {known} are: export it as one of them")
    unit = request.unit or said
    if unit is None:
        raise PartFileError(f"{path}: {suffix} files do not say their unit{_sizes(bodies)}")
    if said is not None and unit != said and suffix in STEP:
        raise PartFileError(f"{path}: says that its lengths are in {said}; leave --unit {unit} out")
    scaled = [replace(body, vertices_m=body.vertices_m * UNITS[unit]) for body in bodies]
    return scaled, unit


def _sizes(bodies: list[Body]) -> str:
    longest = max(float(body.size_m.max()) for body in bodies)
    return f"; its longest side is {longest:.4g}: give --unit mm for {longest:.4g} mm, or cm, m or in"
