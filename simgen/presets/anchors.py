"""Paths in a preset are relative to its file. The merged tree has them as they are seen from the working folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from simgen.presets.meshes import anchored_meshes
from simgen.spec.text.yaml_text import KeyPath

WHERE: KeyPath = ("stage", "photo")


def anchored(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The values of a layer with the paths of its files, which are relative to `folder`, as seen from here."""
    values = anchored_meshes(values, folder)
    group = photo_group(values) or {}
    files, area = group.get("files"), group.get("area")
    if isinstance(files, list) and all(isinstance(file, str) for file in files):
        values = with_photo(values, {"files": [str(folder / file) for file in files]})
    return with_photo(values, {"area": str(folder / area)}) if isinstance(area, str) and area else values


def photo_group(values: dict[str, Any]) -> dict[str, Any] | None:
    """The group `stage.photo` of a tree, valid or not; None where there is none."""
    stage = values.get("stage")
    photo = stage.get("photo") if isinstance(stage, dict) else None
    return photo if isinstance(photo, dict) else None


def with_photo(values: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """The values with other keys in the group `stage.photo`."""
    stage = values["stage"]
    return {**values, "stage": {**stage, "photo": {**stage["photo"], **found}}}
