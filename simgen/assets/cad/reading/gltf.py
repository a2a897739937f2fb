"""GLB and glTF by trimesh. Pictures are not read: of materials the base colour alone counts."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from simgen.assets.cad.reading.files import Beside, read_source
from simgen.assets.cad.reading.meshes import bodies_of, by_trimesh
from simgen.assets.cad.shape.repair import Body
from simgen.spec.errors import PartFileError, TextFileError
from simgen.spec.text.json_text import parse_json

MAX_NODES, MAX_DEPTH = 10_000, 100
COMPRESSED = ("KHR_draco_mesh_compression", "EXT_meshopt_compression")


def read_glb(path: Path) -> tuple[list[Body], str]:
    """The bodies of a GLB file, in metres as the standard says."""
    return glb_bodies(read_source(path), path), "m"


def glb_bodies(data: bytes, path: Path) -> list[Body]:
    """The bodies in the bytes of a GLB.

    Raises:
        PartFileError: it cannot be read. Names the file.
    """
    if len(data) < 20 or data[:4] != b"glTF":
        raise PartFileError(f"{path}: is no GLB file: it does not begin with the four letters glTF")
    size, kind = struct.unpack_from("<II", data, 12)
    if kind != 0x4E4F534A or 20 + size > len(data):
        raise PartFileError(f"{path}: is no whole GLB file: its first part is not JSON, or is cut off")
    text = json.dumps(_plain(data[20 : 20 + size].rstrip(b" \0"), path)).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), kind) + text + data[20 + size :]
    whole = struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks
    scene = by_trimesh(whole, "glb", path, Beside(path, ()), merge_primitives=False)
    return bodies_of(scene, path, linear=True)


def read_gltf(path: Path) -> tuple[list[Body], str]:
    """The bodies of a glTF file, with the buffers beside it; in metres as the standard says."""
    tree = _plain(read_source(path), path)
    beside = Beside(path, (".bin",))
    for buffer in tree.get("buffers", []):
        uri = buffer.get("uri") if isinstance(buffer, dict) else None
        if isinstance(uri, str) and not uri.startswith("data:"):
            beside.read(uri)  # says which one is outside the folder, or missing
            if not uri.lower().endswith(".bin"):
                raise PartFileError(f"{path}: names the buffer {uri[:80]!r}; only .bin files are read")
    scene = by_trimesh(json.dumps(tree).encode(), "gltf", path, beside, merge_primitives=False)
    return bodies_of(scene, path, linear=True), "m"


def _plain(text: bytes, path: Path) -> dict[str, Any]:
    """The JSON document without pictures and textures, and with a bound on its nodes.

    Raises:
        PartFileError: it is no JSON object, is compressed, or its nodes are too many or nested too deep.
    """
    try:
        tree = parse_json(text)
    except TextFileError as error:
        raise PartFileError(f"{path}: {error}") from None
    if not isinstance(tree, dict) or not isinstance(tree.get("meshes"), list):
        raise PartFileError(f"{path}: holds no meshes; export the part as a mesh")
    required = tree.get("extensionsRequired", [])
    for name in COMPRESSED:
        if isinstance(required, list) and name in required:
            raise PartFileError(f"{path}: is compressed ({name}); export it without compression")
    _check_nodes(tree.get("nodes", []), path)
    for key in ("images", "textures", "samplers", "animations", "skins"):
        tree.pop(key, None)
    for material in tree.get("materials", []):
        if isinstance(material, dict):
            rough = material.get("pbrMetallicRoughness")
            base = rough.get("baseColorFactor") if isinstance(rough, dict) else None
            material.clear()
            if base is not None:
                material["pbrMetallicRoughness"] = {"baseColorFactor": base}
    return tree


def _check_nodes(nodes: Any, path: Path) -> None:
    """Refuse nodes that are too many, nested too deep, or no tree, in which a parser could hang."""
    if not isinstance(nodes, list) or len(nodes) > MAX_NODES:
        raise PartFileError(f"{path}: has no list of nodes, or more than {MAX_NODES}")
    parent = [-1] * len(nodes)
    for number, node in enumerate(nodes):
        below = node.get("children", []) if isinstance(node, dict) else []
        for child in below if isinstance(below, list) else []:
            if not isinstance(child, int) or not 0 <= child < len(nodes) or parent[child] >= 0:
                raise PartFileError(
                    f"{path}: node {number} names the child {child!r:.20}, which does not exist or has a parent already"
                )
            parent[child] = number
    for number in range(len(nodes)):
        depth = 0
        while number >= 0:
            number, depth = parent[number], depth + 1
            if depth > MAX_DEPTH:
                raise PartFileError(f"{path}: its nodes are nested more than {MAX_DEPTH} deep, or in a circle")
