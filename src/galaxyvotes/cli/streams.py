"""What the system may refuse: standard output and standard error of a narrow encoding, closed or
full, and paths that are not to be read or written.

A message or a name that an encoding lacks is printed with backslashes, \\u2192 for an arrow, and
never ends a command. What cannot be written at all is an error of one line.
"""

import errno
import io
import os
import sys
from contextlib import suppress
from pathlib import Path

__all__ = ["discard_output", "is_of_path", "is_unwritable", "prepare_streams", "print_error"]

_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF, errno.EFBIG)
_OF_PATHS = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR),
    *(errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE),
)


def prepare_streams() -> None:
    """Let both streams take any text; what is printed to a closed one is lost.

    The number of a closed stream is taken, so that no file gets it: libraries in C print to 1 and
    2, whatever they are.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def is_unwritable(error: OSError) -> bool:
    """Whether an error is of a stream: the library turns those of files into its own."""
    return error.filename is None and error.errno in _UNWRITABLE


def is_of_path(error: OSError) -> bool:
    """Whether the system refuses a path that a user gave: for lack of a permission, as too long, on
    a full disk.
    """
    return error.filename is not None and error.errno in _OF_PATHS


def discard_output() -> None:
    """Let what is still to be flushed at the end go nowhere."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_error(message: str) -> None:
    """Print a line on standard error, if it takes one."""
    with suppress(OSError):
        print(f"galaxyvotes: {message}", file=sys.stderr)
