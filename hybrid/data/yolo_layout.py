"""Where the pictures of a YOLO data set are, and what its classes are called: `data.yaml`, and what stands for it.

Known layouts: Ultralytics, Roboflow, FiftyOne and CVAT (`data.yaml` with folders, lists of folders, or lists of
pictures); Label Studio (`images`, `labels`, `classes.txt` or `notes.json`); Darknet (`obj.names`). Nothing outside of
the folder of `data.yaml` is read, but a folder in it may be a link.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from hybrid.core.errors import DataError
from hybrid.data.clips import IMAGE_SUFFIXES, Skips
from simgen.dataset.format.picture_files import PictureFiles
from simgen.spec.errors import ConfigError, TextFileError
from simgen.spec.text.json_text import read_json, read_text
from simgen.spec.text.printable import printable
from simgen.spec.text.yaml_text import MAX_YAML_BYTES, compose, values_of

MOST_CLASSES = 10_000
SPLITS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}  # and how tools call them
_SPLIT_WORD = re.compile(r"(?i)(train|val|test)(id|idation|ing)?[0-9]*")


@dataclass(frozen=True)
class YoloLayout:
    """The pictures of a split, by their names, and the classes 0, 1, 2, ..."""

    root: Path  # absolute
    pictures: Mapping[str, Path]
    classes: tuple[str, ...]
    keypoint_numbers: int | None = None  # behind the box of a row; None: rows have no keypoints
    whole_folders: bool = True  # the split is of folders, so that each label file in them is of it
    skips: Skips = field(default_factory=Skips)


def yolo_layout(path: Path, split: str, names: Sequence[str] | None = None) -> YoloLayout:
    """The pictures and the classes of a YOLO data set.

    Args:
        path: `data.yaml`, or the folder that holds it, or a folder with `images` and names of classes.
        split: train, val or test.
        names: the names of the classes, in place of those that the data set states.

    Raises:
        DataError: the names or the pictures are missing. Says what there is.
    """
    listing = listing_of(path)
    if listing is None:
        return _without_listing(path, split, names)
    skips = Skips()
    stated = _read_listing(listing)
    classes = tuple(names) if names is not None else _classes(stated, listing, skips)
    keypoints = _keypoint_numbers(stated, listing)
    node = next((stated[key] for key in SPLITS.get(split, (split,)) if key in stated), None)
    if node is None or not _texts(node):
        there = [key for key in stated if key in sum(SPLITS.values(), ())]
        raise DataError(f"{listing}: needs {split!r}: a folder, a list of them, or a list of pictures; has {there}")
    root = Path(os.path.abspath(listing)).parent
    places = _Places(root, [*_stated_root(stated, root), root])
    entries = [(text, places.find(text)) for text in _texts(node)]
    for text, entry in entries:
        if entry is None:
            hint = f" ('path' is {_texts(stated['path'])})" if "path" in stated else ""
            raise DataError(f"{listing}: {split}: {printable(text)!r} is no folder below {root}, and no list{hint}")
    found = [entry for _, entry in entries if entry is not None]
    pictures = _pictures(found, places, root, skips)
    return YoloLayout(root, pictures, classes, keypoints, all(entry.is_dir() for entry in found), skips)


def listing_of(path: Path) -> Path | None:
    """The YAML file of a data set: the file itself, `data.yaml` in the folder, or the only YAML file in it."""
    if not path.is_dir():
        return path
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in (".yaml", ".yml") and file.is_file())
    named = [file for file in files if file.stem.lower() in ("data", "dataset")]
    return named[0] if named else files[0] if len(files) == 1 else None


def is_yolo_folder(path: Path) -> bool:
    """Whether a folder is a YOLO data set: with its YAML file, or with names of classes beside `images`."""
    if not path.is_dir() or (path / "manifest.json").exists():
        return False
    listing = listing_of(path)
    if listing is not None and listing.stem.lower() not in ("data", "dataset"):
        try:
            return "names" in _read_listing(listing)
        except DataError:
            return False
    return listing is not None or any((path / name).is_file() for name in ("classes.txt", "notes.json", "obj.names"))


def measuring_split(path: Path) -> str:
    """The split of a YOLO data set to measure on: `test`, or `val` where there is no `test` with pictures."""
    try:
        return "test" if listing_of(path) is not None and yolo_layout(path, "test").pictures else "val"
    except DataError:
        return "val"


def _read_listing(listing: Path) -> dict[str, yaml.Node]:
    """The values of the YAML file as nodes: the names of classes are then as they are written (01, NO, 1.50)."""
    try:
        node = compose(read_text(listing, MAX_YAML_BYTES), str(listing))
        if node is not None:
            values_of(node, (), str(listing), {})  # refuses tags, and keys that are given twice
    except (ConfigError, TextFileError) as error:
        raise DataError(str(error)) from None
    if not isinstance(node, yaml.MappingNode):
        raise DataError(f"{listing}: needs `names` and splits, such as `train: images/train`")
    return {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}


def _texts(node: yaml.Node) -> list[str]:
    """The texts of a value or of a list of values, without empty ones."""
    nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
    texts = [one.value.strip() for one in nodes if isinstance(one, yaml.ScalarNode) and not one.tag.endswith(":null")]
    return [text for text in texts if text]


def _classes(stated: Mapping[str, yaml.Node], listing: Path, skips: Skips) -> tuple[str, ...]:
    """The names of the classes, from a list, a mapping from numbers, or one name."""
    node = stated.get("names")
    if isinstance(node, yaml.MappingNode):
        named = {key.value: text for key, value in node.value for text in _texts(value)[:1]}
        if not all(re.fullmatch("[0-9]{1,4}", key) for key in named):
            raise DataError(f"{listing}: names: needs the classes' numbers, got {[*map(printable, named)][:5]}")
        numbers = {int(key): text for key, text in named.items()}
        classes = [numbers.get(k, f"class {k}") for k in range(max(numbers, default=-1) + 1)]
    else:
        classes = [] if node is None else _texts(node)
        if isinstance(node, yaml.ScalarNode) and ("," in node.value or "/" in node.value):
            raise DataError(f"{listing}: names: write a list, [bolt, nut], got {printable(node.value)!r:.60}")
        if isinstance(node, yaml.SequenceNode) and len(classes) != len(node.value):
            raise DataError(f"{listing}: names: {len(node.value) - len(classes)} of {len(node.value)} are no text")
    if not 0 < len(classes) <= MOST_CLASSES:
        raise DataError(f"{listing}: needs `names`, one for each class; has {len(classes)}")
    count = _texts(stated["nc"]) if "nc" in stated else []
    if count and count != [str(len(classes))]:
        skips.add(
            "nc is not the number of names: the names are taken", f"nc {printable(count[0])}, {len(classes)} names"
        )
    for name in dict.fromkeys(name for name in classes if classes.count(name) > 1):
        skips.add("category name used twice: read as one category", printable(name))
    return tuple(map(printable, classes))


def _keypoint_numbers(stated: Mapping[str, yaml.Node], listing: Path) -> int | None:
    """k d, for `kpt_shape: [k, d]`."""
    if "kpt_shape" not in stated or not _texts(stated["kpt_shape"]):
        return None
    shape = _texts(stated["kpt_shape"])
    if len(shape) != 2 or not re.fullmatch("[0-9]{1,4}", shape[0]) or shape[1] not in ("2", "3"):
        raise DataError(f"{listing}: kpt_shape: needs [number of keypoints, 2 or 3], got {shape!r:.60}")
    return int(shape[0]) * int(shape[1])


def _stated_root(stated: Mapping[str, yaml.Node], root: Path) -> list[Path]:
    """The folder that `path` of `data.yaml` names, where it is below that of `data.yaml`."""
    texts = _texts(stated["path"])[:1] if "path" in stated else []
    found = [_Places(root, [root]).find(text) for text in texts]
    return [folder for folder in found if folder is not None and folder.is_dir()]


@dataclass(frozen=True)
class _Places:
    """Finds the folders and files that `data.yaml` names."""

    root: Path  # nothing outside of it is found
    bases: Sequence[Path]  # to which a name may be relative, the likely ones first

    def find(self, text: str) -> Path | None:
        """What a name stands for; None: nothing below the root.

        Roboflow writes ../train/images for train/images. A data set that was moved has names such as
        /content/parts/train/images: the end of such a name is taken.
        """
        plain = text.replace("\\", "/")
        parts = [part for part in plain.split("/") if part not in ("", ".")]
        while parts and parts[0] == "..":
            parts = parts[1:]
        for base in self.bases:
            if (found := self._below(base, plain)) is not None:
                return found
        for base in self.bases:
            for start in range(len(parts)):
                if any(_SPLIT_WORD.fullmatch(part) for part in parts[:start]):
                    break  # train/images is not images
                found = self._below(base, "/".join(parts[start:]))
                if found is not None:
                    return found
        return None

    def _below(self, base: Path, text: str) -> Path | None:
        path = Path(os.path.normpath(os.path.join(base, text)))
        try:
            return path if path.is_relative_to(self.root) and (path.is_dir() or path.is_file()) else None
        except (OSError, ValueError):
            return None


def _pictures(entries: Sequence[Path], places: _Places, root: Path, skips: Skips) -> dict[str, Path]:
    """The pictures of folders, of lists of pictures, and of single pictures, by their names.

    A name is relative to the folder, where there is one alone, else to the root.
    """
    pictures: dict[str, Path] = {}
    for entry in entries:
        if entry.is_dir():
            base = entry if len(entries) == 1 else root
            pictures |= {file.relative_to(base).as_posix(): file for file in picture_files(entry)}
        elif entry.suffix.lower() in IMAGE_SUFFIXES:
            pictures[entry.relative_to(root).as_posix()] = entry
        else:
            pictures |= dict(_listed(entry, places, root, skips))
    return {printable(name): file for name, file in pictures.items()}


def picture_files(folder: Path, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> list[Path]:
    """The pictures in and below a folder, in order. Links to folders are followed, each folder once."""
    found: list[Path] = []
    seen: set[str] = set()
    for path, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(path)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        found += [Path(path, name) for name in names if os.path.splitext(name)[1].lower() in suffixes]
    return sorted(found)


def _listed(file: Path, places: _Places, root: Path, skips: Skips) -> Iterator[tuple[str, Path]]:
    """The pictures that a list names, one a line: relative to the list, to `path` or to the root, or absolute."""
    try:
        lines = [line.strip() for line in read_text(file).splitlines()]
    except TextFileError as error:
        raise DataError(str(error)) from None
    lines = list(dict.fromkeys(line for line in lines if line))
    files = PictureFiles(file, lines, root, places.bases)
    for line in lines:
        found = files.find(line)
        if found.note:
            skips.add(found.note, f"{printable(line)} ({found.where})" if found.where else printable(line))
        if found.path is not None:
            yield found.path.relative_to(root).as_posix(), found.path


def _without_listing(path: Path, split: str, names: Sequence[str] | None) -> YoloLayout:
    """A folder of `images` and `labels` without `data.yaml`."""
    root = Path(os.path.abspath(path))
    classes = tuple(names) if names is not None else _named_beside(root)
    words = SPLITS.get(split, (split,))
    folders = [root / inner for word in words for inner in (f"images/{word}", f"{word}/images", f"obj_{word}_data")]
    folder = next((one for one in (*folders, root / "images") if one.is_dir()), None)
    if folder is None or not classes:
        raise DataError(
            f"{path}: no data.yaml; without it the folder needs `images`, and classes.txt, or the classes' names given"
        )
    pictures = {printable(file.relative_to(folder).as_posix()): file for file in picture_files(folder)}
    return YoloLayout(root, pictures, classes)


def _named_beside(folder: Path) -> tuple[str, ...]:
    """The names of the classes in `classes.txt` or `obj.names`, one a line, or in Label Studio's `notes.json`."""
    try:
        for name in ("classes.txt", "obj.names"):
            if (folder / name).is_file():
                return tuple(printable(line.strip()) for line in read_text(folder / name).splitlines() if line.strip())
        if (folder / "notes.json").is_file():
            notes = read_json(folder / "notes.json")
            rows = notes.get("categories") if isinstance(notes, dict) else None
            named = [row.get("name") for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
            return tuple(printable(name) for name in named if isinstance(name, str))
    except TextFileError as error:
        raise DataError(str(error)) from None
    return ()
