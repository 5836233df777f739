"""How much memory this process can still take, and what to say where that is too little.

What it can take is the least of what the computer has left and of what the groups of processes are
allowed that this one is in: containers and batch systems limit memory by Linux's control groups
(cgroups, version 1 or 2). The kernel kills a process that passes such a limit, without an error
that a program could explain; so what takes much asks here before.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from errno import ENOMEM
from pathlib import Path
from typing import NamedTuple

from galaxyvotes.errors import DataError

__all__ = ["Memory", "available_memory", "enough_memory"]

# What RuntimeErrors of torch say: of GPUs, of its allocator for CPUs, of cuDNN and cuBLAS.
_SHORT = ("out of memory", "not enough memory", "can't allocate memory", "alloc_failed")


class Memory(NamedTuple):
    """So many bytes that are left, and what has them: a name for messages."""

    bytes: int
    of: str


def available_memory(root: Path = Path("/")) -> Memory | None:
    """The memory that this process can still take without swapping; None where nothing says so.

    Files of the kernel are looked up under `root`. Pages of files that the kernel can drop count as
    free.

    Source: the kernel's documentation, admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.
    """
    return min([*_of_computer(root), *_of_groups(root)], default=None)


@contextmanager
def enough_memory(remedy: str) -> Generator[None]:
    """What computes on a device; a DataError with a remedy if that has too little memory."""
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if not _is_short_of_memory(error):
            raise
        on_gpu = any(name in str(error).lower() for name in ("cuda", "mps", "cudnn", "cublas"))
        where = "the GPU has" if on_gpu else "there is"
        raise DataError(f"{where} too little memory: {remedy}") from None


def _is_short_of_memory(error: Exception) -> bool:
    """Whether Python, the system or torch, on whichever device, says that memory is short."""
    if isinstance(error, OSError):
        return error.errno == ENOMEM
    words = str(error).lower()
    return isinstance(error, MemoryError) or any(phrase in words for phrase in _SHORT)


def _of_computer(root: Path) -> Iterator[Memory]:
    available = _numbers(root / "proc/meminfo").get("MemAvailable")
    if available is not None:
        yield Memory(available * 1024, "this computer")


def _of_groups(root: Path) -> Iterator[Memory]:
    """What each group of this process, and each group around it, has left."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers == "":
            mount = root / "sys/fs/cgroup"
            limit, used, dropped = "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            mount = root / "sys/fs/cgroup/memory"
            limit, used, dropped = (
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
                "total_inactive_file",
            )
        else:
            continue
        # Inside a container the path may be that outside, of which only the top is mounted.
        inside = path.strip("/")
        for folder in (mount / inside, *(mount / inside).parents):
            if mount != folder and mount not in folder.parents:
                break
            most, now = (_text(folder / name).strip() for name in (limit, used))
            if most.isdigit() and now.isdigit():
                free = _numbers(folder / "memory.stat").get(dropped, 0)
                yield Memory(max(int(most) - int(now) + free, 0), "the cgroup of this process")


def _numbers(path: Path) -> dict[str, int]:
    """The numbers of a file with a name and a number a line."""
    rows = [line.replace(":", " ").split() for line in _text(path).splitlines()]
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdigit()}


def _text(path: Path) -> str:
    """A file of the kernel's; empty where it is not there or must not be read."""
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
