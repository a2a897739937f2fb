"""The device by its name. One check for every command: a wrong name is one line, before anything is loaded onto it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hybrid.core.errors import ConfigError

if TYPE_CHECKING:
    import torch

_NAME = re.compile(r"auto|cpu|mps|(cuda|xpu)(:\d{1,3})?")


def check_device_name(name: str) -> None:
    """Check the form of a name; loads no torch.

    Raises:
        ConfigError: there is no such kind of device.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(f"device {name!r}: there are auto, cpu, cuda, cuda:1, ..., mps and xpu")


def cpu_has_bf16() -> bool:
    """Whether the CPU multiplies in bf16 (AVX-512 BF16, AMX). Other CPUs convert it."""
    import torch

    has = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(has and has())


def device_named(name: str) -> torch.device:
    """The device of this name; auto is cuda if available, else the CPU.

    Raises:
        ConfigError: there is no such device on this machine.
    """
    import torch

    check_device_name(name)
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"device {name!r}: this machine has {torch.cuda.device_count()} CUDA devices; use cpu or auto"
        )
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(f"device {name!r}: not usable here: {str(error).splitlines()[0]}; use cpu or auto") from None
    return device
