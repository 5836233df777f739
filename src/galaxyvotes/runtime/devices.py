"""Which device computes, and in which precision."""

import torch

from galaxyvotes.errors import ConfigError
from galaxyvotes.runtime.memory import keep_freed_memory

__all__ = ["choose_device", "low_precision"]


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name; "auto" is CUDA, else Apple's MPS, else the CPU.

    For the CPU, the C library is set to reuse large blocks of memory (see `runtime.memory`).

    Raises ConfigError if this machine has no such device; it lists those it has.
    """
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(kind for kind, there in present.items() if there)
    if not present.get(name.partition(":")[0], False):
        here = ", ".join(kind for kind, there in present.items() if there)
        raise ConfigError(
            f"--device {name!r}: this machine has {here}; auto takes the first of them"
        )
    if name == "cpu":
        keep_freed_memory()
    return torch.device(name)


def low_precision(setting: str, device: torch.device) -> bool:
    """Whether convolutions and matrix products run in bfloat16; "auto" means where the device has
    instructions for it.
    """
    if setting != "auto":
        return setting == "bfloat16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    # Without these instructions a CPU only imitates bfloat16, slowly. Torch lists them since 2.12.
    can: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return device.type == "cpu" and any(
        can.get(name, False) for name in ("avx512_bf16", "amx_bf16")
    )
