"""One writer at a time: whoever writes a file or folder holds its lock.

The lock of a folder that grows is the file `.lock` in it; that of what appears in one step is
`.NAME.lock` beside it, which is removed at the end. The operating system gives a lock back when
its process ends, however that ends: a lock file that was left behind holds nothing.
"""

import json
import os
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from galaxyvotes.errors import DataError
from galaxyvotes.runtime.rights import check_writable

__all__ = ["LOCK", "locked", "locked_folder", "writer_of"]

LOCK = ".lock"


@contextmanager
def locked(path: Path) -> Generator[None]:
    """Hold a file, or a folder that will appear whole, for writing while the context lasts.

    Raises DataError if another process or thread holds it, naming the process, or if the lock
    cannot be written.
    """
    file = path.with_name(f".{path.name}{LOCK}")
    with _held(path, file):
        try:
            yield
        finally:
            file.unlink(missing_ok=True)  # while it is held, so that nobody else's is removed


@contextmanager
def locked_folder(folder: Path) -> Generator[None]:
    """Hold a folder for writing into it while the context lasts; it is made if it is not there.

    Raises DataError as `locked` does.
    """
    with _held(folder, folder / LOCK):
        yield


def writer_of(folder: Path) -> str | None:
    """Who holds a folder for writing into it, in words; None if nobody does."""
    file = folder / LOCK
    if not file.is_file():
        return None
    from filelock import FileLock, Timeout

    lock = FileLock(file, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return _holder(file)
    except OSError:
        return None
    lock.release()
    return None


@contextmanager
def _held(path: Path, file: Path) -> Generator[None]:
    from filelock import FileLock, Timeout  # 0.1 s, and only who writes needs it

    check_writable(file.parent)  # some file systems without rights look locked to filelock
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(file, timeout=0)
        lock.acquire()
    except Timeout:
        raise DataError(
            f"{path} is being written by {_holder(file)}: wait until that has ended, or name"
            " another output"
        ) from None
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}") from error
    try:
        _write_holder(file)
        yield
    finally:
        lock.release()


def _write_holder(file: Path) -> None:
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:3]])
    holder = {
        "process": os.getpid(),
        "host": socket.gethostname(),
        "command": command,
        "since": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    }
    with suppress(OSError):
        file.write_text(json.dumps(holder), "utf-8")


def _holder(file: Path) -> str:
    """Who holds a lock, as far as its file says so."""
    try:
        holder = json.loads(file.read_text("utf-8"))
        return (
            f"process {holder['process']} on {holder['host']} ({holder['command']}, since"
            f" {holder['since']})"
        )
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
