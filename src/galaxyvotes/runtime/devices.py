"""Which device computes, and in which precision."""

import platform
from functools import cache
from pathlib import Path

import torch

from galaxyvotes.errors import ConfigError
from galaxyvotes.runtime.memory import keep_freed_memory

__all__ = ["choose_device", "low_precision"]

_ALSO = {"gpu": "cuda", "nvidia": "cuda", "rocm": "cuda", "metal": "mps", "apple": "mps"}


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name; "auto" is CUDA, else Apple's MPS, else the CPU. "gpu" is the one of
    CUDA, or Apple's where there is no other.

    For the CPU, the C library is set to reuse large blocks of memory (see `runtime.memory`).

    Raises ConfigError if this machine has no such device; it lists those it has.
    """
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    asked, name = name, name.strip().lower()
    if name == "gpu" and present["mps"] and not present["cuda"]:
        name = "mps"
    kind, colon, number = name.partition(":")
    name = _ALSO.get(kind, kind) + colon + number
    if name == "auto":
        name = next(kind for kind, there in present.items() if there)
    if not present.get(name.partition(":")[0], False) or not _exists(name):
        here = ", ".join(kind for kind, there in present.items() if there)
        raise ConfigError(
            f"device {asked!r}: this machine has {here}; auto takes the first of them"
        )
    if name == "cpu":
        keep_freed_memory()
    return torch.device(name)


def _exists(name: str) -> bool:
    """Whether a device of a kind that is there has that number, if it names one."""
    kind, colon, number = name.partition(":")
    if not colon:
        return True
    count = torch.cuda.device_count() if kind == "cuda" else 1
    return number.isdecimal() and int(number) < count


def low_precision(setting: str, device: torch.device) -> bool:
    """Whether convolutions and matrix products run in bfloat16; "auto" means where that is quicker:
    on GPUs that have it, on processors that multiply matrices of it (Intel's AMX), and on AMD's
    that multiply vectors of it.

    On Intel's with vectors alone it is slower than float32, and without either it is imitated. The
    processor decides, not a measurement: two processes on one machine compute the same.
    """
    if setting != "auto":
        return setting == "bfloat16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    # Torch lists what a processor can since 2.12.
    can: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    quick = can.get("amx_bf16", False) or (can.get("avx512_bf16", False) and _is_amd())
    return device.type == "cpu" and quick


@cache
def _is_amd() -> bool:
    """Whether AMD made the processor; False where nothing says so."""
    try:
        return "AuthenticAMD" in Path("/proc/cpuinfo").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return "AuthenticAMD" in platform.processor()
