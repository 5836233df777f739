"""The files of a folder: what is listed, and their bytes.

Symbolic links are followed, to files and to folders, wherever they lead: a selection of galaxies is
often a folder of links. A folder is listed once, however many links lead to it, so no circle of
links is endless.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from io import FileIO
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from galaxyvotes.errors import DataError
from galaxyvotes.runtime.object_store import read_object, url_of
from galaxyvotes.sources.suffixes import HIDDEN, MAX_BYTES, split_suffix
from galaxyvotes.tables.names import PART, column_of

__all__ = ["Folder"]

_SPECIAL = "is not an ordinary file"
_ELSEWHERE = "is a link to a folder that is listed elsewhere"


class Folder(NamedTuple):
    """Files below `root`, whose paths are bytes: the file system does not ask for UTF-8.

    `problems` has the rows of those that cannot be read, each with its reason.
    """

    name: str
    encoded: pa.LargeBinaryArray
    root: Path
    problems: dict[int, str]

    @staticmethod
    def of(path: Path) -> "Folder":
        """The files of a folder in alphabetical order, without hidden ones; or one file."""
        if not path.is_dir():
            problems: dict[int, str] = {} if path.is_file() else {0: _SPECIAL}
            name = column_of([os.fsencode(path.name)], pa.large_binary())
            return Folder("", name, path.parent, problems)
        files, problems, row = _Walk(path).files(), dict[int, str](), 0
        parts = [column_of([], pa.large_binary())]
        while part := list(islice(files, PART)):
            parts.append(column_of([os.fsencode(name) for name, _ in part], pa.large_binary()))
            problems |= {row + at: reason for at, (_, reason) in enumerate(part) if reason}
            row += len(part)
        return Folder("", pa.concat_arrays(parts), path, problems)

    @staticmethod
    def listed(root: Path, paths: Sequence[str], problem: str = "") -> "Folder":
        """Files that are named, by their paths from the root on, absolute ones, or URLs; with a
        problem, all have it.
        """
        encoded = column_of([os.fsencode(path) for path in paths], pa.large_binary())
        return Folder(
            "", encoded, root, dict.fromkeys(range(len(paths)), problem) if problem else {}
        )

    def path(self, row: int) -> str:
        """The path of a file below the root."""
        return os.fsdecode(self.encoded[row].as_py())

    def paths(self) -> Iterator[str]:
        """The paths of all files."""
        for start in range(0, len(self.encoded), PART):
            yield from map(os.fsdecode, self.encoded[start : start + PART].to_pylist())

    def read(self, row: int) -> bytes:
        """A file; DataError if it is larger than files of its kind may be."""
        path = self.path(row)
        limit = MAX_BYTES.get(split_suffix(path)[1], MAX_BYTES[""])
        if url := url_of(path) or url_of(self.root / path):
            return read_object(url, limit)
        with FileIO(self.root / path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > limit:
                raise DataError(f"has {size:,} bytes; at most {limit:,} are read")
            return file.readall()

    def size(self, row: int) -> int:
        """The number of bytes of a file."""
        return (self.root / self.path(row)).stat().st_size

    def files(self, row: int) -> list[tuple[str, os.stat_result]]:
        """The path of a file, and its size and time."""
        path = self.path(row)
        return [(path, (self.root / path).stat())]

    def peek(self, row: int, count: int) -> bytes:
        """The first bytes of a file."""
        with FileIO(self.root / self.path(row)) as file:
            return file.read(count) or b""


class _Entry(NamedTuple):
    """What lies in a folder: its path below the root, and why it cannot be read, if so."""

    path: str
    is_folder: bool
    problem: str | None = None


class _Walk:
    """A walk through a folder that enters each folder once, however deep it lies."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._resolved = root.resolve()
        self._entered = {_identity(root)}

    def files(self) -> Iterator[tuple[str, str | None]]:
        """The path of each file, and why it cannot be read, if so; of a folder, only if so."""
        listings = [self._listing("")]  # the root, the folder in it that is listed now, and so on
        while listings:
            entry = next(listings[-1], None)
            if entry is None:
                listings.pop()
            elif not entry.is_folder:
                yield entry.path, entry.problem
            else:
                try:
                    if self._enter(self._root / entry.path):
                        listings.append(self._listing(f"{entry.path}/"))
                    else:
                        yield entry.path, _ELSEWHERE
                except OSError as error:  # not ours to read, or its path is too long
                    yield entry.path, f"is a folder that cannot be read ({error.strerror})"

    def _listing(self, prefix: str) -> Iterator[_Entry]:
        """What lies in a folder, in alphabetical order; OSError, at once, if it cannot be read."""
        names, folders, problems = list[str](), set[str](), dict[str, str]()
        with os.scandir(self._root / prefix) as entries:
            for entry in entries:  # and no more of one than its name, as there may be millions
                names.append(entry.name)
                if entry.is_dir(follow_symlinks=False):
                    folders.add(entry.name)
                elif not entry.is_file(follow_symlinks=False):
                    self._look_at(entry, folders, problems)
        names.sort()
        return (
            _Entry(prefix + name, name in folders, problems.get(name))
            for name in names
            if not HIDDEN.match(f"{name}/")
        )

    def _look_at(
        self, entry: os.DirEntry[str], folders: set[str], problems: dict[str, str]
    ) -> None:
        """Note what is neither file nor folder: a link to one of them, or a problem."""
        path = Path(entry.path)
        try:
            mode = path.stat().st_mode
        except OSError as error:  # nowhere, in a circle, or where nobody may look
            problems[entry.name] = f"is a link that leads nowhere ({error.strerror})"
            return
        if not stat.S_ISDIR(mode):
            if not stat.S_ISREG(mode):
                problems[entry.name] = _SPECIAL
        elif path.resolve().is_relative_to(self._resolved):
            problems[entry.name] = _ELSEWHERE
        else:
            folders.add(entry.name)

    def _enter(self, folder: Path) -> bool:
        """Whether a folder has not been entered before."""
        identity = _identity(folder)
        if identity in self._entered:
            return False
        self._entered.add(identity)
        return True


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino
