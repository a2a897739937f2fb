"""STEP by cascadio, which holds OpenCASCADE: it tessellates the faces into a GLB."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from simgen.assets.cad.reading.files import read_source
from simgen.assets.cad.reading.gltf import glb_bodies
from simgen.assets.cad.request import UNITS
from simgen.assets.cad.shape.repair import Body
from simgen.spec.errors import PartFileError

CHORD_MM, ANGLE_RAD = 0.02, 0.2  # how far a triangle's edge may be off a curved face, and turn
SHAPES = re.compile(rb"=\s*(MANIFOLD_SOLID_BREP|BREP_WITH_VOIDS|FACETED_BREP|SHELL_BASED_SURFACE_MODEL|CLOSED_SHELL)")
SURFACES = re.compile(rb"=\s*(SHELL_BASED_SURFACE_MODEL|GEOMETRIC_CURVE_SET|OPEN_SHELL)")
INCH = re.compile(rb"CONVERSION_BASED_UNIT\s*\(\s*'INCH", re.IGNORECASE)
LENGTH = re.compile(rb"LENGTH_UNIT\s*\(\s*\)[^;]*?SI_UNIT\s*\(\s*(\.\w+\.|\$)\s*,\s*\.METRE\.\s*\)")
PREFIXES = {b".MILLI.": "mm", b".CENTI.": "cm", b"$": "m"}


def read_step(path: Path) -> tuple[list[Body], str]:
    """The bodies of a STEP file in its own unit, and that unit; in metres where it is told in an unusual way.

    Raises:
        PartFileError: it is no STEP file, holds no solid, or OpenCASCADE cannot read it.
    """
    import cascadio

    data = read_source(path)
    if not data.lstrip()[:13].upper().startswith(b"ISO-10303-21"):
        raise PartFileError(f"{path}: is no STEP file: it does not begin with ISO-10303-21")
    if not SHAPES.search(data):
        found = "surfaces or curves alone" if SURFACES.search(data) else "no shape"
        raise PartFileError(
            f"{path}: holds {found}, and no solid; export the part from CAD as a solid body (AP214 or AP242)"
        )
    with TemporaryDirectory(prefix="simgen-step-") as folder:
        source, target = Path(folder) / "part.step", Path(folder) / "part.glb"
        source.write_bytes(data)
        cascadio.step_to_glb(str(source), str(target), CHORD_MM, ANGLE_RAD)
        if not target.is_file() or not target.stat().st_size:
            raise PartFileError(f"{path}: OpenCASCADE cannot read it; save it again as STEP AP214, or as STL")
        bodies = glb_bodies(target.read_bytes(), path)
    unit = unit_said(data) or "m"  # OpenCASCADE converts to metres
    return [replace(body, vertices_m=body.vertices_m / UNITS[unit]) for body in bodies], unit


def unit_said(data: bytes) -> str | None:
    """The unit that a STEP file says for its lengths, a key of UNITS, or None where it is told in another way."""
    if INCH.search(data):
        return "in"
    match = LENGTH.search(data)
    return PREFIXES.get(match[1].upper()) if match else None
