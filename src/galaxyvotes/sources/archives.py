"""Where images and tables are, and their bytes: a folder, a zip, the challenge's zip of zips, or
single files.

`Source.open(*paths)` lists everything once; every `Member` then reads its own bytes, in any number
of threads and without waiting for the others. Nothing is unpacked to disk and memory stays flat,
because a file is a range of bytes of an archive that stays open. Reading in the order of the list
is fastest (see `zips`, where a zip in a zip is read).

An archive is hostile until checked: what could fool or exhaust the reader refuses the whole archive
when it is listed, what spoils one file is raised when that file is read. `zips` says what that is
for zips; here are the limits of a file's size, and a zip in a zip in a zip is refused.
"""

import os
import re
import zlib
from array import array
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import FileIO
from itertools import islice
from pathlib import Path
from typing import NamedTuple, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int, UInt32

from galaxyvotes.errors import DataError
from galaxyvotes.sources.names import (
    PART,
    codes_of,
    column_of,
    first_repeated,
    iterate,
    name_column,
    repeated,
)
from galaxyvotes.sources.windows import Window
from galaxyvotes.sources.zips import Zip

__all__ = ["IMAGE_SUFFIXES", "NOT_READ", "TABLE_SUFFIXES", "Member", "Members", "Source"]

# Listed, and rejected when they are read.
NOT_READ = frozenset({".avif", ".fit", ".fits", ".fz", ".gif", ".heic", ".jp2", ".jxl"})
IMAGE_SUFFIXES = NOT_READ | {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
TABLE_SUFFIXES = frozenset({".csv", ".parquet"})

_MIB = 2**20
_MAX_BYTES = {  # of one file; a zip stored in a zip has no limit of its own
    **dict.fromkeys(IMAGE_SUFFIXES, 256 * _MIB),
    **dict.fromkeys(TABLE_SUFFIXES, 4096 * _MIB),
    ".zip": 65_536 * _MIB,
}

_HIDDEN = re.compile(r"(?:^|/)(?:\.[^/]|__MACOSX/)")


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One file of a source; `read()` gives its bytes, in any thread, until the source is closed."""

    _place: "_Folder | _Packed"
    _row: int

    @property
    def _path(self) -> str:
        return self._place.path(self._row)

    @property
    def entry(self) -> str:
        """Its path inside its folder or innermost zip, as a table may name it.

        Bytes of the path that are not UTF-8 are escaped.
        """
        return self._path.encode("utf-8", "backslashreplace").decode()

    @property
    def name(self) -> str:
        """Where it is, for people: the path from the source on, through the zips; always
        printable.
        """
        place = self._place.name
        return _printable(f"{place}/{self._path}" if place else self._path)

    @property
    def id(self) -> str:
        """The file's name without its folders and its last suffix; always printable."""
        return _printable(_split(self._path)[0])

    @property
    def suffix(self) -> str:
        """The last suffix with its dot, in lower case."""
        return _split(self._path)[1]

    @property
    def has_checksum(self) -> bool:
        """Whether `read` has checked its bytes: those in a zip, not those in a folder."""
        return isinstance(self._place, _Packed)

    def read(self) -> bytes:
        """The whole file, unpacked and checked; a DataError names the archive and the entry."""
        with _naming(self.name):
            return self._place.read(self._row)


@dataclass(frozen=True, eq=False)
class Members(Sequence[Member]):
    """Files in some order, each made a `Member` when it is asked for: there may be millions."""

    _places: "Sequence[_Folder | _Packed]"
    _where: UInt32[np.ndarray, "file 2"]  # the number of its place, and its row there

    def __len__(self) -> int:
        """How many there are."""
        return len(self._where)

    @overload
    def __getitem__(self, index: int) -> Member: ...
    @overload
    def __getitem__(self, index: slice | Int[np.ndarray, " chosen"]) -> "Members": ...
    def __getitem__(self, index: int | slice | Int[np.ndarray, " chosen"]) -> "Member | Members":
        """One of them, or some."""
        if isinstance(index, slice | np.ndarray):
            return Members(self._places, self._where[index])
        return Member(self._places[int(self._where[index, 0])], int(self._where[index, 1]))

    def unique_ids(self) -> pa.LargeStringArray:
        """An id for each file: its `id`, or its `name` if several share an id.

        Files of a format that is not read never take an id: theirs is their `name`. DataError if
        two files have one name.
        """
        ids = name_column(file.name if file.suffix in NOT_READ else file.id for file in self)
        rows = repeated(codes_of(ids))
        if not len(rows):
            return ids
        names: dict[int, str] = {row: self[row].name for row in map(int, rows)}
        ids = name_column(names.get(row, name) for row, name in enumerate(iterate(ids)))
        if rows := first_repeated(codes_of(ids)):
            name = ids[rows[0]].as_py()
            count = pc.sum(pc.equal(ids, name)).as_py()
            raise DataError(
                f"{count} images are called {name}: give one folder that holds them all, or rename"
                " them"
            )
        return ids

    def __iter__(self) -> Iterator[Member]:
        """One after the other."""
        for start in range(0, len(self), PART):
            where: list[tuple[int, int]] = self._where[start : start + PART].tolist()
            for place, row in where:
                yield Member(self._places[place], row)


@dataclass(frozen=True, eq=False)
class Source:
    """The images and tables under some paths; a context manager, because archives stay open for
    their members.
    """

    images: Members
    tables: tuple[Member, ...]
    _open_files: ExitStack

    @staticmethod
    def open(*paths: str | Path) -> "Source":
        """List folders (and the zips in them), zips, zips of zips, image files and tables.

        Folders come in alphabetical order, zips in the order of their bytes. Hidden files,
        `__MACOSX` and whatever is no image, table or zip are passed over, and so are symbolic links
        to folders or out of the folder. DataError if a path is neither folder nor such a file, or
        if a zip is refused (see `zip_directory`).
        """
        with ExitStack() as stack:
            listing = _Listing(stack)
            for path in map(Path, paths):
                listing.add(path)
            images = Members(listing.places, np.array(listing.images, np.uint32).reshape(-1, 2))
            return Source(images, tuple(listing.tables), stack.pop_all())

    def close(self) -> None:
        """Close the archives. No member can be read any more, and no thread may be reading one
        now.
        """
        self._open_files.close()

    def __enter__(self) -> "Source":
        """The source itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the archives."""
        self.close()


class _Listing:
    """The files listed so far."""

    def __init__(self, stack: ExitStack) -> None:
        self.images = array("I")  # two numbers each: of the place, and of the row there
        self.tables: list[Member] = []
        self.places: list[_Folder | _Packed] = []
        self._stack = stack

    def add(self, path: Path) -> None:
        with _naming(str(path)):
            if not path.exists():
                raise DataError("there is no such file or folder")
            if not path.is_dir() and path.suffix.lower() not in _MAX_BYTES:
                raise DataError(
                    "is no folder and no file that is read"
                    f" ({', '.join(sorted(_MAX_BYTES.keys() - NOT_READ))})"
                )
            paths = _walk(path, path.resolve()) if path.is_dir() else iter([path.name])
            folder = _Folder.of(paths, path if path.is_dir() else path.parent)
        self._add(folder)

    def _add(self, place: "_Folder | _Packed", *, zips: int = 0) -> None:
        """What is in a place that is itself in so many zips."""
        number = len(self.places)
        self.places.append(place)
        for row, name in enumerate(place.paths()):
            if zips and _HIDDEN.search(name):
                continue
            suffix = _split(name)[1]
            if suffix in IMAGE_SUFFIXES:
                self.images.extend((number, row))
            elif suffix in TABLE_SUFFIXES:
                self.tables.append(Member(place, row))
            elif suffix == ".zip":
                inner = Member(place, row).name
                with _naming(inner):
                    if zips == 2:
                        raise DataError(
                            "is a zip in a zip in a zip; unpack the outermost one first"
                        )
                    archive = self._open(place, row)
                self._add(_Packed(inner, archive), zips=zips + 1)

    def _open(self, place: "_Folder | _Packed", row: int) -> Zip:
        if isinstance(place, _Packed):
            return place.archive.open(row)
        file = self._stack.enter_context(FileIO(place.root / place.path(row)))
        return Zip(Window(file, 0, os.fstat(file.fileno()).st_size), _limit)


class _Folder(NamedTuple):
    """Files below `root`, whose paths are bytes: the file system does not ask for UTF-8."""

    name: str
    encoded: pa.LargeBinaryArray
    root: Path

    @staticmethod
    def of(paths: Iterator[str], root: Path) -> "_Folder":
        parts = [column_of([], pa.large_binary())]
        while part := [os.fsencode(path) for path in islice(paths, PART)]:
            parts.append(column_of(part, pa.large_binary()))
        return _Folder("", pa.concat_arrays(parts), root)

    def path(self, row: int) -> str:
        return os.fsdecode(self.encoded[row].as_py())

    def paths(self) -> Iterator[str]:
        for start in range(0, len(self.encoded), PART):
            yield from map(os.fsdecode, self.encoded[start : start + PART].to_pylist())

    def read(self, row: int) -> bytes:
        path = self.path(row)
        with FileIO(self.root / path) as file:
            size, limit = os.fstat(file.fileno()).st_size, _MAX_BYTES[_split(path)[1]]
            if size > limit:
                raise DataError(f"has {size:,} bytes; at most {limit:,} are read")
            return file.readall()


class _Packed(NamedTuple):
    """A zip, and where it is."""

    name: str
    archive: Zip

    def path(self, row: int) -> str:
        return self.archive.names[row].as_py()

    def paths(self) -> Iterator[str]:
        return iterate(self.archive.names)

    def read(self, row: int) -> bytes:
        return self.archive.read(row)


def _split(path: str) -> tuple[str, str]:
    """A file's name without folders and last suffix, and that suffix in lower case; `posixpath`
    takes twice as long.
    """
    name = path[path.rfind("/") + 1 :]
    stem, dot, suffix = name.rpartition(".")
    return (stem, f".{suffix.lower()}") if stem.strip(".") and dot else (name, "")


def _limit(path: str) -> int:
    """How many bytes are read of a file in a zip; 0 if it is passed over."""
    return 0 if _HIDDEN.search(path) else _MAX_BYTES.get(_split(path)[1], 0)


def _printable(text: str) -> str:
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def _walk(folder: Path, root: Path, prefix: str = "") -> Iterator[str]:
    """Paths of the files in a folder, relative to it."""
    folders: set[str] = set()
    names: list[str] = []  # and no more of an entry, of which there may be millions
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.add(entry.name)
            elif not entry.is_file() or (
                entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(root)
            ):
                continue
            names.append(entry.name)
    for name in sorted(names):
        if _HIDDEN.match(f"{name}/"):
            continue
        if name in folders:
            yield from _walk(folder / name, root, f"{prefix}{name}/")
        else:
            yield prefix + name


@contextmanager
def _naming(name: str) -> Generator[None]:
    """Make an error say which file it is about."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{name}: {error}") from None
    except zlib.error as error:
        raise DataError(f"{name}: is damaged: it cannot be unpacked ({error})") from None
    except OSError as error:
        raise DataError(f"{name}: cannot be read: {error}") from error
