"""Imported parts in a preset: `parts.kinds.bracket.mesh: parts/bracket.glb` becomes the content that the file has.

So does each file of the folder `decoys.meshes`, and the card of each picture of `decoys.cutouts`. A path is relative to
the preset that names it, and to the working folder in `--set`. A file is read once: the config holds its name and
sha256, `simgen.spec.contents` its bytes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from simgen.assets.cad.packed import MAX_FILE_BYTES, read_packed
from simgen.dataset.store.files import check_plain
from simgen.presets.outlines.cutouts import read_cutouts
from simgen.spec.contents import keep
from simgen.spec.errors import SimgenError
from simgen.spec.text.yaml_text import KeyPath, Tree, dotted_key

OF_DECOYS = ("meshes", "cutouts")  # knobs of decoys that name files
_PATHS = re.compile(
    r"""((?:^base:|\b(?:mesh(?:es)?|cutouts):)\s*)(["']?)([^\s"',{}\#][^"',{}\#\n]*?)(\2)(?=\s*(?:[,}\#\n]|$))""",
    re.MULTILINE,
)


def moved(text: str, folder: Path, to: Path) -> str:
    """The text of a preset from `folder`, for a copy in the folder `to`: what it names is found from there too."""

    def seen_from_there(found: re.Match[str]) -> str:
        key, quote, path = found[1], found[2], found[3]
        is_file = not key.startswith("base") or "/" in path or path.endswith((".yaml", ".yml"))
        if not is_file or Path(path).is_absolute():
            return found[0]
        return f"{key}{quote}{Path(os.path.relpath(folder / path, to)).as_posix()}{quote}"

    return text if folder.resolve() == to.resolve() else _PATHS.sub(seen_from_there, text)


def named_kinds(values: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The kinds of part of a tree that name a mesh, valid or not."""
    kinds: Any = values.get("parts")
    kinds = kinds.get("kinds") if isinstance(kinds, dict) else None
    for name, knobs in kinds.items() if isinstance(kinds, dict) else ():
        if isinstance(knobs, dict) and knobs.get("mesh") is not None:
            yield name, knobs


def anchored_meshes(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The values of a layer with the paths of its meshes, which are relative to `folder`, as seen from here."""
    paths = {name: str(folder / knobs["mesh"]) for name, knobs in named_kinds(values) if isinstance(knobs["mesh"], str)}
    decoys = {
        knob: [str(folder / one) if isinstance(one, str) else one for one in _of_decoys(values, knob)]
        for knob in OF_DECOYS
    }
    return _with_meshes(values, paths, decoys)


def read_meshes(tree: Tree) -> tuple[dict[str, Any], dict[KeyPath, str]]:
    """The values of a merged tree with the content of each file in place of its path, and a message for each problem.

    The content of a file is kept for this process.
    """
    found: dict[str, Any] = {}
    decoys: dict[str, list[Any]] = {knob: [] for knob in OF_DECOYS}
    problems: dict[KeyPath, str] = {}
    for path, mesh in _named(tree.values):
        try:
            if path[0] == "decoys":
                decoys[str(path[1])] += _of_path(str(path[1]), Path(mesh)) if isinstance(mesh, str) else [_stored(mesh)]
            else:
                found[str(path[2])] = _read(Path(mesh)) if isinstance(mesh, str) else _stored(mesh)
        except SimgenError as error:
            problems[path] = f"{tree.where(path)}: {dotted_key(path)}: {error}"
    return _with_meshes(tree.values, found, decoys), problems


def _named(values: dict[str, Any]) -> Iterator[tuple[KeyPath, Any]]:
    """All that names a mesh, with its key."""
    for kind, knobs in named_kinds(values):
        yield ("parts", "kinds", kind, "mesh"), knobs["mesh"]
    for knob in OF_DECOYS:
        for mesh in _of_decoys(values, knob):
            yield ("decoys", knob), mesh


def _of_decoys(values: dict[str, Any], knob: str) -> list[Any]:
    decoys = values.get("decoys")
    files = decoys.get(knob) if isinstance(decoys, dict) else None
    return files if isinstance(files, list) else []


def _of_path(knob: str, path: Path) -> list[dict[str, str]]:
    """What a path of a knob of decoys holds, as the config of a data set names it."""
    return read_cutouts(path) if knob == "cutouts" else [_read(file) for file in _files(path)]


def _with_meshes(values: dict[str, Any], by_kind: dict[str, Any], of_decoys: dict[str, list[Any]]) -> dict[str, Any]:
    if by_kind:
        kinds = values["parts"]["kinds"]
        others = {name: {**kinds[name], "mesh": mesh} for name, mesh in by_kind.items()}
        values = {**values, "parts": {**values["parts"], "kinds": {**kinds, **others}}}
    found = {knob: files for knob, files in of_decoys.items() if files}
    return {**values, "decoys": {**values["decoys"], **found}} if found else values


def _stored(mesh: Any) -> dict[str, str]:
    """A mesh as the config of a data set names it."""
    if isinstance(mesh, dict) and mesh.keys() == {"name", "sha256"}:
        return mesh
    raise SimgenError(f"needs the path of an imported part, such as parts/bracket.glb, got {mesh!r:.60}")


def _files(path: Path) -> list[Path]:
    """The imported parts in a folder, sorted; or the file itself."""
    if not path.is_dir():
        return [path]
    files = sorted(one for one in path.iterdir() if one.suffix.lower() == ".glb")
    if not files:
        raise SimgenError(f"{path}: no .glb file in it: simgen parts add makes them")
    return files


def _read(path: Path) -> dict[str, str]:
    """The name and the sha256 of an imported part's file.

    Raises:
        SimgenError: it cannot be read, or is no imported part.
    """
    try:
        check_plain(path, MAX_FILE_BYTES)
        content = path.read_bytes()
    except OSError as error:
        raise SimgenError(f"{path}: cannot be read: {error.strerror}: simgen parts add makes such a file") from None
    part = read_packed(content, str(path))
    return {"name": part.name, "sha256": keep(content)}
