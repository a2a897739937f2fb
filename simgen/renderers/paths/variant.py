"""Mitsuba, and the selection of its variant: on a GPU, vectorized by LLVM, or scalar."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from simgen.spec.errors import RendererUnavailable
from simgen.spec.install import install_hint

HELP = f"the renderer pathtraced needs Mitsuba 3: {install_hint('pathtraced')}"
LLVM = "DRJIT_LIBLLVM_PATH"  # the LLVM library for Dr.Jit, Mitsuba's compiler
FOLDERS = ("/usr/lib/*", "/usr/lib64", "/usr/lib/llvm-*/lib", "/usr/local/lib", "/opt/homebrew/opt/llvm/lib")
PROBE_S = 120.0
# A white sphere in a white room. A compiler that is too old for Dr.Jit crashes the process here.
_PROBE = """
import sys
import mitsuba as mi
mi.set_variant(sys.argv[1])
ball = {"type": "sphere", "bsdf": {"type": "principled", "clearcoat": 0.5, "anisotropic": 0.5}}
film = {"type": "hdrfilm", "width": 4, "height": 4}
eye = mi.ScalarTransform4f().look_at([0, 0, 4], [0, 0, 0], [0, 1, 0])
scene = mi.load_dict({
    "type": "scene", "integrator": {"type": "path"}, "light": {"type": "constant"}, "ball": ball,
    "sensor": {"type": "perspective", "film": film, "to_world": eye},
})
assert 0.1 < float(mi.TensorXf(mi.render(scene, spp=4)).array[0]) < 10
"""


@dataclass(frozen=True)
class Variant:
    """A variant of Mitsuba, and the reason for it."""

    name: str  # Mitsuba's
    why: str
    llvm: str = ""  # path of the LLVM library, where that is used


@cache
def variant() -> Variant:
    """The fastest variant that works here. Variants that may crash a process are tried in another process.

    Raises:
        RendererUnavailable: Mitsuba is not installed, or no variant works.
    """
    if find_spec("mitsuba") is None:
        raise RendererUnavailable(HELP)
    if Path("/dev/nvidia0").exists() and _works("cuda_ad_rgb") == "":
        return Variant("cuda_ad_rgb", "a GPU is there")
    libraries = llvm_libraries()
    reasons = []
    for path in libraries[:3]:
        reason = _works("llvm_ad_rgb", path)
        if not reason:
            return Variant("llvm_ad_rgb", f"{Path(path).name} is there", path)
        reasons.append(f"{path} does not work ({reason})")
    if reason := _works("scalar_rgb"):
        raise RendererUnavailable(f"Mitsuba {_version('mitsuba')} does not run here ({reason})")
    return Variant("scalar_rgb", "; ".join(reasons) or "no LLVM library was found: apt-get install libllvm19 adds one")


def llvm_libraries() -> list[str]:
    """Paths of LLVM's shared libraries: the one in Dr.Jit's variable, or all in the usual folders, newest first."""
    if named := os.environ.get(LLVM):
        return [named]
    libraries = {
        path.resolve(): _llvm_version(path.resolve().name)
        for folder in FOLDERS
        for pattern in ("libLLVM*.so*", "libLLVM*.dylib")
        for path in Path("/").glob(f"{folder[1:]}/{pattern}")
    }
    return [
        str(path) for path, number in sorted(libraries.items(), key=lambda item: (item[1], str(item[0])), reverse=True)
    ]


def _llvm_version(name: str) -> tuple[int, ...]:
    """The version in a name such as libLLVM-15.so.1, libLLVM-14.0.6.so.1 or libLLVM.so.19.1."""
    numbers = re.search(r"libLLVM(?:-|\.so\.)([\d.]*\d)", name)
    return tuple(int(n) for n in numbers[1].split(".")) if numbers else ()


def _works(name: str, llvm: str = "") -> str:
    """Try a variant on a small image: an empty string where it works, else the error."""
    variables = {LLVM: llvm} if llvm else {}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE, name], env={**os.environ, **variables}, capture_output=True, timeout=PROBE_S,
            text=True, errors="replace", check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"a picture of 4 x 4 pixels took over {PROBE_S:.0f} s"
    if done.returncode == 0:
        return ""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if "rror" in line] or lines or [f"exit status {done.returncode}"]
    return errors[0].strip()[:120]


@cache
def mitsuba() -> Any:
    """The module `mitsuba`, set to its variant, with OMP_NUM_THREADS threads, or one per core.

    Raises:
        RendererUnavailable: Mitsuba is not installed, or no variant works.
    """
    chosen = variant()
    if chosen.llvm:
        os.environ.setdefault(LLVM, chosen.llvm)
    import drjit
    import mitsuba as mi

    mi.set_variant(chosen.name)
    mi.set_log_level(mi.LogLevel.Error)
    threads = os.environ.get("OMP_NUM_THREADS", "")
    drjit.set_thread_count(int(threads) if threads.isdecimal() and int(threads) > 0 else os.cpu_count() or 1)
    return mi


def describe() -> str:
    """Versions of Mitsuba and Dr.Jit, the variant, and its LLVM library.

    Raises:
        RendererUnavailable: Mitsuba is not installed, or no variant works.
    """
    chosen = variant()
    library = f" with {Path(chosen.llvm).name}" if chosen.llvm else ""
    return f"Mitsuba {_version('mitsuba')}, Dr.Jit {_version('drjit')}, {chosen.name}{library}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "of an unknown version"
