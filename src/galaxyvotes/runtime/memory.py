"""Keeping the memory that a network's activations need, from one batch to the next.

A training step of VGG-6 on 256 galaxies asks for two gigabytes in large blocks. glibc gives each
back to the kernel when it is freed, and the kernel hands it out anew in pages of 4 kB, each cleared
first: on a CPU that takes almost half of the step. With `keep_freed_memory`, and with pages of 2 MB
where the kernel has them, the process holds the memory of its largest batch until it ends, and
trains 1.5 to 1.8 times as fast (docs/speed.md).

Torch asks for large pages if THP_MEM_ALLOC_ENABLE is 1 in the environment when it first takes
memory. The command line sets that; a program that imports the package does so itself.
"""

import sys

__all__ = ["keep_freed_memory"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h


def keep_freed_memory() -> bool:
    """Make the C library reuse large blocks; False where it is not glibc, and nothing changes."""
    import ctypes  # only here: it is not needed to import this module

    mallopt = (
        getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform.startswith("linux") else None
    )
    if mallopt is None:
        return False
    return mallopt(_TRIM_THRESHOLD, 2**31 - 1) == 1 and mallopt(_MMAP_THRESHOLD, 2**30) == 1
