"""The files that a data set's scenes are made of, beside its shards.

    photos/<sha256>.jpg    a photograph of the empty place
    meshes/<sha256>.glb    an imported part, or the card of a cut-out picture

A data set holds its own copies, so that its scenes can be made again anywhere. The config in the manifest names them by
their sha256.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from simgen.dataset.format.reader import DataSet
from simgen.dataset.store.files import check_plain, write_atomically
from simgen.dataset.store.locations import Location
from simgen.spec.contents import content, keep
from simgen.spec.errors import ShardError

MAX_CONTENT_BYTES = 256 * 2**20
PHOTOS, MESHES = FOLDERS = ("photos", "meshes")


def contents_of(config: Mapping[str, Any]) -> dict[str, bytes]:
    """The bytes that a stored config needs and that this process keeps, by their place in the data set.

    Raises:
        MissingContent: this process does not have one of them.
    """
    return {place: content(sha256, name) for place, sha256, name in _needed(config)}


def write_contents(folder: Location, contents: Mapping[str, bytes]) -> None:
    """Write what is not there yet.

    Raises:
        OSError: it cannot be written.
    """
    for place, data in contents.items():
        path = _at(folder, place)
        if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data)


def read_contents(folder: Location, config: Mapping[str, Any]) -> dict[str, bytes]:
    """What a stored config needs, from the folder of its data set or of a slice of it.

    Raises:
        ShardError: something is missing, cannot be read, or is not what it was.
    """
    return {place: _read(_at(folder, place), sha256, name) for place, sha256, name in _needed(config)}


def load_contents(data: DataSet, folders: Collection[str] = FOLDERS) -> None:
    """Keep what the data set's scenes are made of for this process: all of it, or what is in some of the folders.

    Raises:
        ShardError: as `read_contents`.
    """
    for place, sha256, name in _needed(data.manifest.request.config):
        if place.partition("/")[0] in folders:
            keep(_read(_at(data.folder, place), sha256, name))


def wrong_contents(folder: Location, config: Mapping[str, Any]) -> Iterator[ShardError]:
    """An error for each file that a stored config needs and that is missing, or is not what it was."""
    try:
        for place, sha256, name in _needed(config):
            try:
                _read(_at(folder, place), sha256, name)
            except ShardError as error:
                yield error
    except ShardError as error:  # the config itself is wrong
        yield error


def _needed(config: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The place in a data set, the sha256 and the name of each file that a stored config needs."""
    yield from _photos(config)
    for mesh in _meshes(config):
        name, sha256 = str(mesh.get("name")), _checked(mesh.get("sha256"), str(mesh.get("name")))
        yield f"{MESHES}/{sha256}.glb", sha256, name


def _meshes(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The imported parts: of the kinds of part, and of decoys."""
    parts, decoys = config.get("parts"), config.get("decoys")
    kinds = parts.get("kinds") if isinstance(parts, Mapping) else None
    for knobs in kinds.values() if isinstance(kinds, Mapping) else ():
        if isinstance(knobs, Mapping) and isinstance(knobs.get("mesh"), Mapping):
            yield knobs["mesh"]
    for knob in ("meshes", "cutouts"):
        yield from decoys.get(knob, ()) if isinstance(decoys, Mapping) else ()


def _checked(sha256: Any, name: str) -> str:
    if not isinstance(sha256, str) or not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ShardError(f"{name}: no sha256: {sha256!r:.80}")
    return sha256


def _photos(config: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    stage = config.get("stage")
    photo = stage.get("photo") if isinstance(stage, Mapping) else None
    for file in photo.get("pictures", ()) if isinstance(photo, Mapping) else ():
        name, sha256 = str(file["name"]), _checked(file["photo_sha256"], str(file["name"]))
        suffix = PurePosixPath(name).suffix.lower()
        kind = suffix if re.fullmatch(r"\.[a-z0-9]{1,5}", suffix) else ""
        yield f"{PHOTOS}/{sha256}{kind}", sha256, name


def _at(folder: Location, place: str) -> Location:
    inner, _, name = place.rpartition("/")
    return folder / inner / name


def _read(path: Location, sha256: str, name: str) -> bytes:
    try:
        check_plain(path, MAX_CONTENT_BYTES)
        data = path.read_bytes()
    except FileNotFoundError:
        raise ShardError(f"{path}: is missing: {name}, which the scenes need; copy it back") from None
    except OSError as error:
        raise ShardError(f"{path}: cannot be read: {error.strerror}") from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ShardError(f"{path}: is not the {name} that the scenes were made with: its sha256 differs; copy it back")
    return data
