"""The process in which a CAD file is read, started by `simgen.assets.cad.isolated`.

It reads a request as JSON from standard input, and writes the packed part and a report into the folder that the request
names. A failure that the user can put right is the report's `error`. Memory and processor time are limited.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from simgen.spec.errors import SimgenError

PART, REPORT = "part.glb", "report.json"
TOO_MUCH = "needs more memory than the {} GB that reading may take; export it from CAD with a coarser tolerance"


def _limit(memory_bytes: int, seconds: int) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def work(asked: dict[str, Any]) -> dict[str, Any]:
    """The report of an import, of which `error` says why there is no part."""
    from simgen.assets.cad.making import make_part
    from simgen.assets.cad.packed import write_packed
    from simgen.assets.cad.request import Request

    request = Request(
        **{**asked["request"], "file": Path(asked["request"]["file"])}
        | {"bodies": tuple(asked["request"]["bodies"])}
        | {"pose": tuple((name, value) for name, value in asked["request"]["pose"])}
    )
    try:
        part, report = make_part(request)
        (Path(asked["folder"]) / PART).write_bytes(write_packed(part))
        return asdict(report)
    except SimgenError as error:
        return {"error": str(error)}
    except MemoryError:
        return {"error": f"{request.file}: {TOO_MUCH.format(asked['memory_bytes'] // 2**30)}"}


def main() -> None:
    """The process."""
    asked = json.load(sys.stdin)
    _limit(asked["memory_bytes"], asked["seconds"])
    report = work(asked)
    (Path(asked["folder"]) / REPORT).write_text(json.dumps(report), "utf-8")
