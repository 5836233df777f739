"""Files and folders that are whole or not there: written beside their place, then renamed."""

import os
import shutil
import uuid
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.runtime.locks import locked
from galaxyvotes.runtime.rights import check_writable

__all__ = [
    "given_path",
    "given_source",
    "given_sources",
    "new_file",
    "new_folder",
    "read_text",
    "replacing",
    "write_text",
]


@contextmanager
def replacing(path: Path) -> Generator[Path]:
    """A path to write to; on success the file there takes the place of `path` in one step, on
    failure it is removed. An OSError becomes a DataError. Raises ConfigError as `given_path`.
    """
    path = given_path(path)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise DataError(
            f"cannot write {path}: {error.strerror or error}; what was there before is untouched"
        ) from error
    finally:
        with suppress(OSError):
            partial.unlink()


def new_file(path: str | Path, *, overwrite: bool) -> Path:
    """The path of a file to write: nothing is there, or a file that may be replaced.

    Raises ConfigError as `given_path`, for a file that is there unless `overwrite`, and for a
    folder, a pipe or a device in any case; DataError if its folder cannot be written.
    """
    path = given_path(path)
    if path.is_dir():
        raise ConfigError(f"{path} is a folder: name a file in it")
    if path.exists() and not path.is_file():
        raise ConfigError(f"{path} is not an ordinary file: name another one")
    if path.exists() and not overwrite:
        raise ConfigError(
            f"{path} exists: pass `overwrite=True` to replace it, or name another file"
        )
    check_writable(path.parent)
    return path


@contextmanager
def new_folder(out: Path) -> Generator[Path]:
    """A folder to fill, which takes the place of `out` in one step; nothing is left of it on
    failure.

    Raises ConfigError if `out` holds anything, DataError if another process is filling it; an
    OSError becomes a DataError.
    """
    with locked(out.absolute()):
        yield from _new_folder(out)


def _new_folder(out: Path) -> Generator[Path]:
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise ConfigError(f"{out} exists and is not an empty folder; name a new one")
    building = out.with_name(f".{out.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        building.mkdir(parents=True)
        yield building
        if out.exists():
            out.rmdir()
        building.rename(out)
    except OSError as error:
        raise DataError(
            f"cannot write {out}: {error.strerror or error}; nothing of it is left"
        ) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def given_path(path: str | Path) -> Path:
    """The path that a user gave.

    Raises ConfigError for "", as an unset variable of a shell gives, which would else be the
    current folder, and for a name that is not UTF-8, which file formats cannot hold.
    """
    path = given_source(path)
    try:
        str(path).encode()
    except UnicodeEncodeError:
        shown = os.fsencode(path).decode(errors="backslashreplace")
        raise ConfigError(f"the name {shown} is not UTF-8 text: use another name") from None
    return path


def given_source(path: str | Path) -> Path:
    """The path of images or tables that a user gave, whose name may be any bytes; ConfigError for
    "".
    """
    if not str(path):
        raise ConfigError('the path is empty (""); is a variable not set?')
    return Path(path)


def given_sources(paths: Any) -> list[Path]:
    """The paths, one or several, of images or tables that a user gave.

    Raises ConfigError for "", and for what is no path, such as an array of pixels or a table.
    """
    try:
        is_table = isinstance(paths, Mapping) or hasattr(paths, "columns")
        listed: list[Any] = [paths] if isinstance(paths, str | Path) or is_table else [*paths]
    except TypeError:  # nothing that has items
        listed = [paths]
    others: list[type[Any]] = [type(path) for path in listed if not isinstance(path, str | Path)]
    if others:
        what = f"{others[0].__module__}.{others[0].__qualname__}".removeprefix("builtins.")
        raise ConfigError(
            f"expected the paths of folders, archives, images or a table, not {what}: write pixels"
            " or rows into a file, or pass the column that holds paths"
        )
    return [given_source(path) for path in listed]


def read_text(path: Path) -> str:
    """The UTF-8 text of a file; a DataError if it has none."""
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as UTF-8 text: {error}") from None


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text in one step."""
    with replacing(path) as partial:
        partial.write_text(text, "utf-8")
