"""Whether something can be written to a place, found out before hours of work for it."""

import tempfile
from pathlib import Path

from galaxyvotes.errors import DataError

__all__ = ["check_writable"]


def check_writable(folder: Path) -> None:
    """Raise a DataError if nothing can be written into a folder, or, where it is still to be made,
    into the nearest folder above it that is there.

    Rights alone do not say it: file systems are read-only, full, or another computer's.
    """
    folder = folder.absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"\0")
    except OSError as error:
        raise DataError(f"cannot write into {folder}: {error.strerror or error}") from None
