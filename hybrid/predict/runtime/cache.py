"""Exported steps, kept in the user's cache folder. Each may be deleted at any time; it is exported again."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path

import torch

from hybrid.model.network import Network
from simgen.dataset.store.files import write_atomically
from simgen.spec.install import DISTRIBUTION

PLACE = "SIM2LINE_CACHE"  # an environment variable: another folder
MOST_BYTES = 500_000_000
SOURCES = ("model", "core", "predict/onnx.py")  # of this package: what decides an exported step


def cache_folder() -> Path:
    """Where exported steps are kept: $SIM2LINE_CACHE, or by the system's custom."""
    if given := os.environ.get(PLACE):
        return Path(given).expanduser() / "onnx"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / DISTRIBUTION / "onnx"


def kept_file(network_id: str, height: int, width: int) -> Path:
    """The file of a network's step for frames of this size."""
    return cache_folder() / f"{network_id}-{height}x{width}.onnx"


def network_id(network: Network) -> str:
    """Names a network: by its weights, its config, and the version and the code of what exports it."""
    digest = hashlib.sha256(_code().encode())
    digest.update(json.dumps(asdict(network.config), sort_keys=True).encode())
    for name, tensor in network.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:40]


@cache
def _code() -> str:
    root, digest = Path(__file__).parents[2], hashlib.sha256(torch.__version__.encode())
    for source in SOURCES:
        files = sorted((root / source).rglob("*.py")) if (root / source).is_dir() else [root / source]
        for file in files:
            digest.update(file.read_bytes())
    return digest.hexdigest()


def keep(file: Path, content: bytes) -> bool:
    """Write a step, and delete the longest unused ones beyond MOST_BYTES. False: the folder cannot be written to."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(file, content)
    except OSError:
        return False
    with suppress(OSError):
        _prune(file)
    return True


def _prune(newest: Path) -> None:
    others = [path for path in newest.parent.glob("*.onnx") if path != newest]
    total = newest.stat().st_size
    for path in sorted(others, key=lambda one: one.stat().st_mtime, reverse=True):
        total += path.stat().st_size
        if total > MOST_BYTES:
            path.unlink(missing_ok=True)


def touch(file: Path) -> None:
    """Count a file as used now."""
    with suppress(OSError):
        os.utime(file)
