"""What computes: which device, in which precision, on how many cores at once."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from galaxyvotes.errors import ConfigError
from galaxyvotes.runtime.memory import keep_freed_memory
from galaxyvotes.runtime.threads import in_order

__all__ = ["choose_device", "low_precision", "on_a_core_each"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name; "auto" is CUDA, else Apple's MPS, else the CPU."""
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
    """Whether convolutions and products run in bfloat16: "auto" means where the device multiplies
    it faster.
    """
    if setting != "auto":
        return setting == "bfloat16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    # Without these instructions a CPU only imitates bfloat16, slowly. Before 2.12 torch did not
    # tell.
    can: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return device.type == "cpu" and any(
        can.get(name, False) for name in ("avx512_bf16", "amx_bf16")
    )


def on_a_core_each(
    work: Callable[[Item], Result], items: Sequence[Item], workers: int | None = None
) -> Iterator[tuple[Item, Result]]:
    """`in_order`, where torch computes each item in its own thread only; as many at once as torch
    has threads.
    """
    threads = torch.get_num_threads()

    def alone(item: Item) -> Result:
        torch.set_num_threads(1)  # of this thread, and of those that begin later
        return work(item)

    try:
        yield from in_order(alone, items, workers or threads)
    finally:
        torch.set_num_threads(threads)
