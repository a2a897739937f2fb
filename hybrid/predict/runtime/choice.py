"""Which of torch and ONNX Runtime runs the network, and when.

On a CPU the same network takes 0.4 of the time in ONNX Runtime (benchmarks/2026-11-29-cpu-use.md), but it must be
exported first, for each size of frames, which takes seconds. So it is exported once that pays: before a video or many
pictures, or when as much time has gone by in torch. It is kept for the next time (`cache`).
"""

from __future__ import annotations

import time
from collections import OrderedDict
from importlib.util import find_spec

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from hybrid.core.device import cpu_has_bf16
from hybrid.core.errors import ConfigError, RunError
from hybrid.core.types import State
from hybrid.model.network import Network
from hybrid.predict.onnx import OnnxDetector, exported
from hybrid.predict.postprocess import Answer
from hybrid.predict.runtime.cache import keep, kept_file, network_id, touch
from hybrid.predict.runtime.engine import PRECISIONS, TorchEngine, device_of
from hybrid.predict.runtime.onnx_engine import OnnxEngine
from simgen.spec.install import install_hint

RUNTIMES = ("auto", "torch", "onnx")
WORTH_S = 6.0  # spent in torch on frames of one size, from which on an export pays
MANY = 50  # pictures to come for which it pays at once
MOST_STEPS = 4  # sizes that are held ready


class Runtime:
    """A network that runs in torch, and on a CPU in ONNX Runtime where that pays. It is an `Engine`.

    `told` says in words what was chosen, each once, and is emptied by who reads it.
    """

    def __init__(self, network: Network, runtime: str = "auto", precision: str = "float32") -> None:
        """Args:
            network: the network, with its weights on its device.
            runtime: auto, torch or onnx. onnx: always, exported at the first frame of each size.
            precision: float32 or bf16, which runs in torch.

        Raises:
            ConfigError: there is no such runtime or precision, or it cannot be had here.
        """
        for name, value, rows in (("runtime", runtime, RUNTIMES), ("precision", precision, PRECISIONS)):
            if value not in rows:
                raise ConfigError(f"{name}: there is no {value!r}; choose from {list(rows)}")
        self.network, self.categories, self.tracks = network, network.config.categories, bool(network.config.tracks)
        self._many = False  # many frames will come
        self.told: list[str] = []
        self._torch, self._asked = TorchEngine(network, precision), runtime
        self._steps: OrderedDict[tuple[int, int], OnnxEngine] = OrderedDict()
        self._spent: dict[tuple[int, int], float] = {}
        self._id: str | None = None
        self._usable = self._check(precision)

    def _check(self, precision: str) -> bool:
        """Whether ONNX Runtime may be used.

        Raises:
            ConfigError: it was asked for and cannot.
        """
        device = device_of(self.network)
        _check_precision(precision, device)
        missing = [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]
        reason = ""
        if device.type != "cpu":
            reason = f"the network is on {device}, which torch runs"
        elif precision != "float32":
            reason = f"{precision} runs in torch"
        elif missing:
            reason = f"{' and '.join(missing)} not installed: {install_hint('onnx')}"
        if reason and self._asked == "onnx":
            raise ConfigError(f"runtime 'onnx': {reason}")
        if missing and self._asked == "auto" and device.type == "cpu" and precision == "float32":
            self.told.append(f"torch runs the network; ONNX Runtime would take less than half the time, {reason}")
        if precision == "bf16" and device.type == "cpu" and not cpu_has_bf16():
            self.told.append("this CPU has no bf16 arithmetic and emulates it: float32 is faster")
        return not reason and self._asked != "torch"

    def expect(self, total: int | None, moving: bool) -> None:
        """Say how many frames come next; None: unknown. `moving`: they are a video's or a camera's."""
        self._many = moving if total is None else total >= MANY

    def __call__(
        self,
        images: UInt8[Tensor, "n 3 h w"],
        state: State | None,
        elapsed: Float32[Tensor, "n 1"] | None,
        depth_m: Float32[Tensor, "n 1 h w"] | None,
    ) -> tuple[Answer, State]:
        """See `Engine`. A frame after a gap runs in torch: an exported step knows no times."""
        size = (images.shape[-2], images.shape[-1])
        step = self._step(size) if self._usable and elapsed is None else None
        if step is not None:
            return step(images, state, None, depth_m)
        began = time.perf_counter()
        answered = self._torch(images, state, elapsed, depth_m)
        self._spent[size] = self._spent.get(size, 0.0) + time.perf_counter() - began
        return answered

    def _step(self, size: tuple[int, int]) -> OnnxEngine | None:
        """The exported step for frames of this size; None: torch is to run."""
        if size in self._steps:
            self._steps.move_to_end(size)
            return self._steps[size]
        self._id = self._id or network_id(self.network)
        file = kept_file(self._id, *size)
        content: bytes | None = None
        if not file.is_file():
            if not (self._asked == "onnx" or pays(self._many, self._spent.get(size, 0.0))):
                return None
            content = self._export(size)
            if content is None:
                return None
        return self._ready(size, content)

    def _ready(self, size: tuple[int, int], content: bytes | None) -> OnnxEngine | None:
        """Load a step, from the cache where there is no content."""
        assert self._id is not None
        file, threads = kept_file(self._id, *size), torch.get_num_threads()
        try:
            step = OnnxEngine(OnnxDetector(file if content is None else content, threads))
        except RunError:
            if content is not None:
                raise
            file.unlink(missing_ok=True)  # damaged; it is exported again
            return self._step(size)
        if content is None:
            touch(file)
            self._tell("ONNX Runtime runs the network")
        self._steps[size] = step
        if len(self._steps) > MOST_STEPS:
            self._steps.popitem(last=False)
        return step

    def _export(self, size: tuple[int, int]) -> bytes | None:
        """Export a step and keep it; None: this network cannot be exported, and torch runs it from now on.

        Raises:
            ConfigError: ONNX Runtime was asked for.
        """
        assert self._id is not None
        began = time.perf_counter()
        try:
            content = exported(self.network, *size)
        except Exception as error:  # of torch's exporters, whose classes are many
            if self._asked == "onnx":
                raise ConfigError(f"runtime 'onnx': this network cannot be exported: {error!r:.300}") from error
            self._usable = False
            self._tell(f"torch runs the network, which cannot be exported to ONNX: {error!r:.200}")
            return None
        file, took_s = kept_file(self._id, *size), time.perf_counter() - began
        where = f"kept in {file.parent}" if keep(file, content) else f"not kept: {file.parent} cannot be written to"
        self._tell(f"ONNX Runtime runs the network, exported for {size[1]}x{size[0]} in {took_s:.0f} s, {where}")
        return content

    def _tell(self, what: str) -> None:
        if what not in self.told:
            self.told.append(what)


def pays(many: bool, spent_s: float) -> bool:
    """Whether an export pays: before many frames, or after as much time in torch as it takes."""
    return many or spent_s >= WORTH_S


def _check_precision(precision: str, device: torch.device) -> None:
    if precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise ConfigError(f"precision 'bf16': {torch.cuda.get_device_name(device)} has none; use float32")
