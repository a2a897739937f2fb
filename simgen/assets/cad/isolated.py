"""Import a CAD file in a process of its own, so that a damaged file can crash or hang nothing else.

The libraries that read CAD files are large C++ programs. The process has limits on memory and time, and all that comes
back from it is checked as a file from outside is.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from simgen.assets.cad.packed import MAX_FILE_BYTES, PackedPart, read_packed
from simgen.assets.cad.reading.files import read_source
from simgen.assets.cad.request import BodyFound, Report, Request
from simgen.assets.cad.worker import PART, REPORT
from simgen.spec.errors import PartFileError
from simgen.spec.install import install_hint
from simgen.spec.text.json_text import read_json

MEMORY_BYTES = 8 * 2**30
SECONDS = 300  # of the processor
BUSY = 3  # seconds of the clock for each of these, where other programs run
# The process finds modules where this one does: the current folder is not searched if it is not searched here.
START = "import sys; sys.path[:] = sys.argv[1:]; from simgen.assets.cad.worker import main; main()"
NEEDED = ("trimesh", "networkx", "manifold3d", "fast_simplification", "coacd")
NEEDED_BY = {".step": "cascadio", ".stp": "cascadio", ".3mf": "lxml", ".urdf": "defusedxml"}


def import_part(
    request: Request, *, seconds: int = SECONDS, memory_bytes: int = MEMORY_BYTES
) -> tuple[PackedPart, Report]:
    """The part in a CAD file, and what the import found. Its resting poses are not yet confirmed by drops.

    Args:
        request: what to read, and how.
        seconds: of the processor's time; by the clock it may take BUSY times as long.
        memory_bytes: at most.

    Raises:
        PartFileError: the file cannot be read or what is in it is no part, a library is missing, or the reader crashed
            or needed too much time or memory. Says what would help.
    """
    _check_libraries(request.file)
    read_source(request.file)  # says at once, and in this process, that there is no such file
    with TemporaryDirectory(prefix="simgen-part-") as folder:
        request_text = {**asdict(request), "file": str(request.file)}
        asked = {"request": request_text, "folder": folder, "seconds": seconds, "memory_bytes": memory_bytes}
        _run(asked, request.file, seconds, memory_bytes)
        report = read_json(Path(folder) / REPORT)
        if "error" in report:
            raise PartFileError(str(report["error"]))
        data = read_source(Path(folder) / PART, MAX_FILE_BYTES)
    return read_packed(data, str(request.file)), _report(report)


def _check_libraries(file: Path) -> None:
    needed = [*NEEDED, *([NEEDED_BY[file.suffix.lower()]] if file.suffix.lower() in NEEDED_BY else [])]
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise PartFileError(f"{file}: needs {', '.join(missing)}, which is not installed: {install_hint('cad')}")


def _run(asked: dict[str, Any], file: Path, seconds: int, memory_bytes: int) -> None:
    """Run the worker to its end.

    Raises:
        PartFileError: it crashed, or took too much time or memory.
    """
    too_slow = f"{file}: was not read within {seconds} s; export it with a coarser tolerance, or give --seconds more"
    limits = f"at most {memory_bytes / 2**30:.3g} GB and {seconds} s are given"
    try:
        done = subprocess.run(
            [sys.executable, "-c", START, *sys.path],
            input=json.dumps(asked).encode(),
            capture_output=True,
            timeout=BUSY * seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PartFileError(too_slow) from None
    if done.returncode == 0 and (Path(asked["folder"]) / REPORT).is_file():
        return
    last = (done.stderr.decode("utf-8", "replace").strip().splitlines() or [""])[-1][:200]
    if done.returncode == -getattr(signal, "SIGXCPU", 24):
        raise PartFileError(too_slow)
    if "MemoryError" in last or "bad_alloc" in last or done.returncode == -getattr(signal, "SIGKILL", 9):
        raise PartFileError(f"{file}: reading it needs too much memory ({limits}); export it with a coarser tolerance")
    how = f"crashed ({_signal(done.returncode)})" if done.returncode < 0 else f"failed ({last or done.returncode})"
    raise PartFileError(
        f"{file}: the library that reads {file.suffix} files {how}: the file is damaged, or more than it can read; "
        f"save it again from CAD, in another format"
    )


def _signal(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return str(code)


def _report(value: dict[str, Any]) -> Report:
    bodies = tuple(
        BodyFound(name=str(b["name"]), size_m=tuple(b["size_m"]), triangles=int(b["triangles"]))
        for b in value["bodies"]
    )
    return Report(
        unit=str(value["unit"]), bodies=bodies, triangles_read=int(value["triangles_read"]),
        notes=tuple(map(str, value["notes"])),
    )  # fmt: skip
