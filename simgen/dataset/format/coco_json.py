"""A COCO JSON as it comes from outside: read within bounds, and seen to have its lists."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from simgen.spec.errors import CocoError


def read_coco_json(path: Path, lists: Iterable[str], most_bytes: int) -> dict[str, Any]:
    """The document, whose `lists` are lists; what is in them is not looked at.

    Raises:
        CocoError: it is no plain file, larger than `most_bytes`, no JSON, or lacks a list.
    """
    try:
        info = path.stat()
        if not stat.S_ISREG(info.st_mode):
            raise CocoError("is no plain file")
        if info.st_size > most_bytes:
            raise CocoError(f"{info.st_size} bytes, more than the {most_bytes} that are read")
        document = json.loads(path.read_text())
    except FileNotFoundError:
        raise CocoError("there is no such file") from None
    except CocoError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise CocoError(f"cannot be read as JSON: {error}"[:300]) from None
    for name in lists:
        if not isinstance(document, dict) or not isinstance(document.get(name), list):
            raise CocoError(f"no COCO JSON: it needs a list under {name!r}", readable=True)
    return dict(document)
