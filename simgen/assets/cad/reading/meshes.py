"""STL, OBJ, PLY, OFF and 3MF by trimesh, with checks of what trimesh would take at its word."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from simgen.assets.cad.reading.files import Beside, check_triangles, read_source
from simgen.assets.cad.shape.repair import Body
from simgen.spec.colour import linear_from_srgb
from simgen.spec.errors import PartFileError

STL_HEADER, STL_TRIANGLE = 84, 50
MAX_UNPACKED_BYTES, MAX_MEMBERS = 512 * 2**20, 1000
UNITS_3MF = {"millimeter": "mm", "centimeter": "cm", "meter": "m", "inch": "in"}


def read_stl(path: Path) -> tuple[list[Body], None]:
    """The body of an STL file. It says no unit."""
    data = read_source(path)
    if len(data) >= STL_HEADER:
        count = int.from_bytes(data[80:84], "little")
        expected = STL_HEADER + count * STL_TRIANGLE
        if not data[:5].lower() == b"solid" and len(data) != expected:
            raise PartFileError(
                f"{path}: is no whole STL file: its header says {count} triangles, which take {expected} bytes, "
                f"and it has {len(data)}"
            )
        if len(data) == expected:
            check_triangles(count, str(path))
    return bodies_of(by_trimesh(data, "stl", path), path), None


def read_obj(path: Path) -> tuple[list[Body], None]:
    """The bodies of an OBJ file, with the colours of its materials if these lie beside it. It says no unit."""
    data = read_source(path)
    check_triangles(data.count(b"\nf "), str(path))
    return bodies_of(by_trimesh(data, "obj", path, Beside(path, (".mtl",)), split_objects=True), path), None


def read_ply(path: Path) -> tuple[list[Body], None]:
    """The body of a PLY file. It says no unit."""
    data = read_source(path)
    head, end, _ = data[:65536].partition(b"end_header")
    if not data.startswith(b"ply") or not end:
        raise PartFileError(f"{path}: is no PLY file: it needs 'ply' in its first line, and 'end_header'")
    counts = re.findall(rb"^element\s+(\w+)\s+(\d{1,18})\s*$", head, re.MULTILINE)
    for what, count in counts:
        if int(count) > len(data):
            raise PartFileError(f"{path}: says {int(count)} of {what.decode(errors='replace')!r}, in {len(data)} bytes")
        if what == b"face":
            check_triangles(int(count), str(path))
    return bodies_of(by_trimesh(data, "ply", path, skip_materials=True), path), None


def read_off(path: Path) -> tuple[list[Body], None]:
    """The body of an OFF file. It says no unit."""
    data = read_source(path)
    check_triangles(data.count(b"\n") // 2, str(path))
    return bodies_of(by_trimesh(data, "off", path), path), None


def read_3mf(path: Path) -> tuple[list[Body], str]:
    """The bodies of a 3MF file, and its unit."""
    data = read_source(path)
    _check_archive(data, path)
    scene = by_trimesh(data, "3mf", path)
    unit = str(scene.metadata.get("units", "millimeter")).rstrip("s")
    if unit not in UNITS_3MF:
        raise PartFileError(f"{path}: its unit is {unit!r}; {', '.join(UNITS_3MF)} are read: save it in another one")
    return bodies_of(scene, path), UNITS_3MF[unit]


def _check_archive(data: bytes, path: Path) -> None:
    """Refuse an archive that is damaged, unpacks to too much, or whose XML declares entities."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            total = sum(member.file_size for member in members)
            if total > MAX_UNPACKED_BYTES or len(members) > MAX_MEMBERS:
                raise PartFileError(
                    f"{path}: unpacks to {len(members)} files of {total // 2**20} MB; at most {MAX_MEMBERS} files and "
                    f"{MAX_UNPACKED_BYTES // 2**20} MB are read"
                )
            models = [member for member in members if member.filename.lower().endswith(".model")]
            if not models:
                raise PartFileError(f"{path}: is no 3MF file: no .model is in it")
            for member in models:
                text = archive.read(member)
                check_no_doctype(text, path)
                check_triangles(text.count(b"<triangle "), str(path))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        if isinstance(error, PartFileError):
            raise
        raise PartFileError(f"{path}: is no 3MF file that can be read: {error}") from None


def check_no_doctype(text: bytes, path: Path) -> None:
    """Refuse XML with a document type, which can hold entities; CAD files need none.

    Raises:
        PartFileError: it has one, or is not UTF-8, where it could be hidden.
    """
    try:
        plain = text.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise PartFileError(f"{path}: its XML is not UTF-8; save it as UTF-8") from None
    if "<!DOCTYPE" in plain or "<!ENTITY" in plain:
        raise PartFileError(f"{path}: its XML declares a document type or entities, which are not read; remove them")


def by_trimesh(data: bytes, form: str, path: Path, resolver: Any = None, **options: Any) -> Any:
    """The scene that trimesh reads.

    Raises:
        PartFileError: it cannot read it. Says what trimesh said.
    """
    import trimesh

    try:
        return trimesh.load_scene(
            io.BytesIO(data), file_type=form, resolver=resolver, process=False, maintain_order=True, **options
        )
    except PartFileError:
        raise
    except MemoryError:
        raise
    except BaseException as error:  # a parser of damaged files raises whatever it meets
        said = " ".join(str(error).split())[:160] or type(error).__name__
        raise PartFileError(f"{path}: cannot be read as {form.upper()}: {said}") from None


def bodies_of(scene: Any, path: Path, linear: bool = False) -> list[Body]:
    """The meshes of a scene of trimesh, each where the scene puts it.

    Args:
        linear: whether its colours are linear, as in glTF; else they are sRGB.

    Raises:
        PartFileError: it has no triangles, or its numbers are not finite or out of range.
    """
    bodies, total = [], 0
    for node in sorted(scene.graph.nodes_geometry):
        matrix, key = scene.graph[node]
        mesh = scene.geometry[key]
        faces = getattr(mesh, "faces", None)
        if faces is None or not len(faces):
            continue
        total += len(faces)
        check_triangles(total, str(path))
        bodies.append(_body(mesh, np.asarray(matrix, np.float64), str(node), path, linear))
    if not bodies:
        raise PartFileError(f"{path}: holds no triangles: no solid and no surface is in it; export the part itself")
    return bodies


def _body(mesh: Any, matrix: np.ndarray, name: str, path: Path, linear: bool) -> Body:
    vertices, faces = np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64)
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise PartFileError(f"{path}: a triangle names corner {int(faces.max())}, and there are {len(vertices)}")
    placed = vertices @ matrix[:3, :3].T + matrix[:3, 3]
    if not np.isfinite(placed).all() or np.abs(placed).max() > 1e12:
        raise PartFileError(f"{path}: a corner's position is no finite number; export it again")
    if np.linalg.det(matrix[:3, :3]) < 0:
        faces = faces[:, ::-1]
    name = "" if name.startswith("geometry_") else name  # trimesh's own, of a file without names
    return Body(name[:80], placed, faces, _colours(mesh, linear))


def _colours(mesh: Any, linear: bool) -> Float32[np.ndarray, "t 3"] | None:
    """Linear RGB of each triangle, or None where the file says no colour."""
    visual = mesh.visual
    if visual.kind == "texture":
        rgba = np.tile(np.asarray(visual.material.main_color), (len(mesh.faces), 1))
        if getattr(visual.material, "baseColorFactor", rgba) is None:
            return None
    elif visual.kind in ("face", "vertex"):
        rgba = np.asarray(visual.face_colors)
    else:
        return None
    rgb = rgba[:, :3].astype(np.float32) / np.float32(255)
    return rgb if linear else np.asarray(linear_from_srgb(rgb), np.float32)
