"""Where the pictures of a list of labels are. Tools write their names in many ways.

CVAT, Datumaro and COCO itself write `annotations/instances_train.json` beside `images/train/`; FiftyOne `labels.json`
beside `data/`; Label Studio `result.json` beside `images/`, with names that are percent-encoded; Roboflow a JSON among
its pictures. A name may be in either Unicode form (NFC, NFD), and its letters of either case.

Only pictures below the folder of the data set are taken. A folder in it may be a link, as for Ultralytics: who links
`images` to a disk means it. A link from one file to another outside is refused.
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

from simgen.spec.text.printable import printable

MOST_FILES = 100_000  # that are looked through for a file name
MISSING = "image file missing"
CLIMBS = "file name refused: it leaves the data set's folder"
LINKED = "image refused: a link to a file outside of the data set's folder (copy the file, or link its folder)"
ELSEWHERE = "image found in another folder, or spelled otherwise, than stated"
_SPLIT = re.compile(r"(?i)(train|val|test|dev)(id|idation|ing)?[0-9]*")


@dataclass(frozen=True)
class FoundPicture:
    """The file of a picture, or why there is none."""

    path: Path | None
    note: str = ""  # MISSING, CLIMBS or LINKED where there is no path; ELSEWHERE or nothing where there is
    where: str = ""  # where it was looked for, or found


class PictureFiles:
    """Finds the pictures that a file of labels names."""

    def __init__(
        self, listing: Path, names: Iterable[str], root: Path | None = None, folders: Sequence[Path] = ()
    ) -> None:
        """
        Args:
            listing: the file of labels. Its data set is its folder, or the one around a folder `annotations`.
            names: of all its pictures. One that is in no sensible folder is looked for by its base name, if that is
                its own.
            root: the folder of the data set, where it is known.
            folders: to which names may be relative too.
        """
        self._beside = Path(os.path.abspath(listing)).parent  # without following links
        around = (up.parent for up in (self._beside, self._beside.parent) if _is_annotations(up))
        self.root = next(around, self._beside) if root is None else Path(os.path.abspath(root))
        self._splits = _splits(listing.stem)
        self._folders = _sensible_folders(self._beside, self.root, listing.stem, folders)
        self._stated = Counter(_same_name(_plain(name).split("/")[-1]) for name in names)

    @property
    def looked(self) -> str:
        """The folders in which pictures are looked for, relative to the data set's."""
        names = (os.path.relpath(folder, self.root) for folder in self._folders)
        return "looked in " + ", ".join(printable(str(self.root) if name == "." else name) for name in names)

    def find(self, name: str) -> FoundPicture:
        """The file of the picture with this name."""
        spellings, faults = _spellings(name), list[str]()
        for spelling in spellings:
            for folder in self._folders:
                path = Path(os.path.normpath(os.path.join(folder, spelling)))
                fault = self._fault(path, spelling)
                if not fault:
                    return FoundPicture(path)
                faults.append(fault)
        if LINKED in faults:
            return FoundPicture(None, LINKED)
        other = self._by_base_name(spellings)
        if other is not None:
            return FoundPicture(other, ELSEWHERE, printable(os.path.relpath(other, self.root)))
        return FoundPicture(None, CLIMBS) if faults[0] == CLIMBS else FoundPicture(None, MISSING, self.looked)

    def _fault(self, path: Path, spelling: str) -> str:
        """Why a path is not taken; nothing: it is."""
        if re.match(r"[A-Za-z]:", spelling) or "\0" in spelling or not path.is_relative_to(self.root):
            return CLIMBS
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                return MISSING
            inside = not leads_out(path, self.root)
        except (OSError, ValueError, RuntimeError):  # too long, a loop of links, not in the system's encoding
            return MISSING
        return "" if inside else LINKED

    def _by_base_name(self, spellings: Sequence[str]) -> Path | None:
        """The one file of the data set whose path ends most as the name does, and that is of no other split.

        Where the base name alone is the same, it must be that of one file and of one stated name.
        """
        for spelling in spellings:
            parts = spelling.split("/")
            splits = self._splits | set().union(*map(_splits, parts[:-1]))
            files = [file for file in self._by_name.get(_same_name(parts[-1]), ()) if self._may_be(file, splits)]
            alike = [_common_end(file.parts, parts) for file in files]
            best = [file for file, count in zip(files, alike, strict=True) if count == max(alike)]
            certain = len(best) == 1 and (max(alike) > 1 or self._stated[_same_name(parts[-1])] < 2)
            if certain and not self._fault(best[0], parts[-1]):
                return best[0]
        return None

    def _may_be(self, file: Path, splits: set[str]) -> bool:
        own = set().union(*map(_splits, file.relative_to(self.root).parts[:-1]))
        return not own or not splits or bool(own & splits)

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        """The files of the data set by base name."""
        files: defaultdict[str, list[Path]] = defaultdict(list)
        for number, path in enumerate(_walk((self.root, *self._folders))):
            if number >= MOST_FILES:
                return {}  # some may be missing: no name is certain to be the only one
            files[_same_name(path.name)].append(path)
        return dict(files)


def leads_out(path: Path, root: Path) -> bool:
    """Whether a file is a link to one that is neither below the root nor below its own, maybe linked, folder.

    Raises:
        OSError, RuntimeError: the link cannot be followed.
    """
    if not path.is_symlink():
        return False
    target = path.resolve()
    return not any(target.is_relative_to(folder.resolve()) for folder in (root, path.parent))


def _is_annotations(folder: Path) -> bool:
    return folder.name.lower() in ("annotations", "annotation")


def _sensible_folders(beside: Path, root: Path, stem: str, more: Sequence[Path]) -> list[Path]:
    """The folders that may hold the pictures of `stem`.json, such as instances_train.json: the likely ones first."""
    words = stem.split("_")
    subsets = [s for k in range(len(words)) if (s := "_".join(words[k:]))]
    folders = [beside, *more]
    for base in dict.fromkeys((beside, root)):
        for inner in ("images", "", "data"):
            folders += [base / inner / subset for subset in subsets]
        folders += [base, *(base / name for name in ("images", "images/default", "data", "img", "imgs", "JPEGImages"))]
    return [folder for folder in dict.fromkeys(folders) if _is_folder(folder)]


def _is_folder(folder: Path) -> bool:
    try:
        return folder.is_dir()
    except (OSError, ValueError):
        return False


def _spellings(name: str) -> list[str]:
    """The forms of a name under which its file may stand."""
    plain = _plain(name)
    decoded = [plain, unquote(plain)] if "%" in plain else [plain]
    forms = [
        form for one in decoded for form in (one, unicodedata.normalize("NFC", one), unicodedata.normalize("NFD", one))
    ]
    return list(dict.fromkeys(forms))


def _plain(name: str) -> str:
    return name.replace("\\", "/")


def _same_name(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _splits(text: str) -> set[str]:
    """The splits that a name is of: {"train"} for instances_train2017."""
    matches = (_SPLIT.fullmatch(word) for word in re.split(r"[^A-Za-z0-9]", text))
    return {match[1].lower() for match in matches if match}


def _common_end(path: Sequence[str], name: Sequence[str]) -> int:
    """How many parts at the end are the same."""
    pairs = zip(reversed(path), reversed(name), strict=False)
    return next((k for k, (one, other) in enumerate(pairs) if _same_name(one) != _same_name(other)), len(name))


def _walk(folders: Sequence[Path]) -> Iterator[Path]:
    """The files in and below these folders, each once. Links to folders deeper down are not followed."""
    seen: set[str] = set()
    for folder in folders:
        for path, _, names in os.walk(folder):
            real = os.path.realpath(path)
            if real not in seen:
                seen.add(real)
                yield from (Path(path, name) for name in names)
