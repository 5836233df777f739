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
from pathlib import Path
from typing import NamedTuple, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int, UInt32

from galaxyvotes.errors import DataError
from galaxyvotes.runtime.counted import counted
from galaxyvotes.runtime.files import given_source
from galaxyvotes.sky.fits import ANYWHERE, FitsLayout
from galaxyvotes.sources.folders import Folder
from galaxyvotes.sources.signatures import FIRST_BYTES, begins_as_image, holds_table
from galaxyvotes.sources.suffixes import (
    FITS_SUFFIXES,
    HIDDEN,
    IMAGE_SUFFIXES,
    MAX_BYTES,
    NAMED_TABLE_SUFFIXES,
    NOT_READ,
    TABLE_SUFFIXES,
    UNSURE_SUFFIXES,
    explain_passed_over,
    split_suffix,
)
from galaxyvotes.sources.windows import Window
from galaxyvotes.sources.zips import Zip
from galaxyvotes.tables.names import (
    PART,
    codes_of,
    first_repeated,
    iterate,
    name_column,
    repeated,
)

__all__ = ["Member", "Members", "PassedOver", "Source"]

_URL = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+:)/+")


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One file of a source; `read()` gives its bytes, in any thread, until the source is closed."""

    _place: "Folder | _Packed"
    _row: int
    layout: FitsLayout = ANYWHERE  # of a FITS image

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
        return _printable(split_suffix(self._path)[0])

    @property
    def suffix(self) -> str:
        """The last suffix with its dot, in lower case."""
        return split_suffix(self._path)[1]

    @property
    def has_checksum(self) -> bool:
        """Whether `read` has checked its bytes: those in a zip, not those in a folder."""
        return isinstance(self._place, _Packed)

    @property
    def size(self) -> int:
        """The number of its bytes, unpacked from its archive; a DataError as of `read`."""
        with _naming(self.name):
            return self._place.size(self._row)

    def read(self) -> bytes:
        """The whole file, unpacked and checked; a DataError names the archive and the entry."""
        with _naming(self.name):
            return self._place.read(self._row)


@dataclass(frozen=True, eq=False)
class Members(Sequence[Member]):
    """Files in some order, each made a `Member` when it is asked for: there may be millions."""

    _places: "Sequence[Folder | _Packed]"
    _where: UInt32[np.ndarray, "file 2"]  # the number of its place, and its row there
    _layout: FitsLayout = ANYWHERE

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
            return Members(self._places, self._where[index], self._layout)
        place, row = int(self._where[index, 0]), int(self._where[index, 1])
        return Member(self._places[place], row, self._layout)

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
                yield Member(self._places[place], row, self._layout)


@dataclass(frozen=True, eq=False)
class PassedOver:
    """Files that are neither images nor tables, or cannot be read, each with its reason."""

    files: Members
    reasons: tuple[str, ...]

    def __len__(self) -> int:
        """How many there are."""
        return len(self.reasons)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """The name of each file, and why it was passed over."""
        for file, reason in zip(self.files, self.reasons, strict=True):
            yield file.name, reason

    @property
    def hint(self) -> str:
        """How many there are and the first, one that may be a table before others: the end of a
        message; empty if there is none.
        """
        if not len(self):
            return ""
        tables = (row for row, why in enumerate(self.reasons) if "table" in why or "CSV" in why)
        row = next(tables, 0)
        which = f"{self.files[row].name}: {self.reasons[row]}"
        return f" ({counted(len(self), 'file', 'was')} passed over: {which})"


@dataclass(frozen=True, eq=False)
class Source:
    """The images and tables under some paths, and what else is there; a context manager, because
    archives stay open for their members.
    """

    images: Members
    tables: tuple[Member, ...]
    passed_over: PassedOver
    _open_files: ExitStack

    @staticmethod
    def open(
        *paths: str | Path, listed: Sequence[Folder] = (), layout: FitsLayout = ANYWHERE
    ) -> "Source":
        """List folders (and the zips in them), zips, zips of zips, image files and tables.

        `listed` are files that only a table names (see `listed_images`); `layout` says where in
        FITS files the images are.

        Folders come in alphabetical order, zips in the order of their bytes. Links are followed.
        Hidden files and the rubbish of operating systems (`__MACOSX`, `Thumbs.db`) are left out;
        whatever else is no image, table or zip is listed as passed over, with its reason. A file
        without suffix is an image if it begins as one does, a FITS file a table if its first data
        are one. DataError if a path is empty, neither folder nor such a file, or if a zip is
        refused (see `zip_directory`).
        """
        with ExitStack() as stack:
            listing = _Listing(stack)
            for path in paths:
                listing.add(given_source(path))
            for folder in listed:
                listing.add_place(folder)
            images, passed = (
                Members(listing.places, np.array(where, np.uint32).reshape(-1, 2), layout)
                for where in (listing.images, listing.passed)
            )
            passed_over = PassedOver(passed, tuple(listing.reasons))
            return Source(images, tuple(listing.tables), passed_over, stack.pop_all())

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
        self.passed = array("I")
        self.reasons: list[str] = []
        self.tables: list[Member] = []
        self.places: list[Folder | _Packed] = []
        self._stack = stack

    def add(self, path: Path) -> None:
        with _naming(_written(path)):
            if not path.exists():
                raise DataError(_explain_absent(path))
            folder = Folder.of(path)
        number, is_file = len(self.places), not path.is_dir()
        self.add_place(folder, named=is_file)
        if is_file and number in self.passed[-2:-1]:
            reason = self.reasons[-1]
            raise DataError(f"{path}: is no folder and no file that is read: it {reason}")

    def add_place(self, place: "Folder | _Packed", *, zips: int = 0, named: bool = False) -> None:
        """What is in a place that is itself in so many zips, or was itself named."""
        number = len(self.places)
        self.places.append(place)
        for row, path in enumerate(place.paths()):
            if zips and (HIDDEN.search(path) or path.endswith("/")):
                continue
            suffix = split_suffix(path)[1]
            kind = place.problems.get(row) or _kind(place, row, suffix, named=named)
            if kind == "image":
                self.images.extend((number, row))
            elif kind == "table":
                self.tables.append(Member(place, row))
            elif kind == "zip":
                kind = self._add_zip(place, row, zips)
            if kind not in ("image", "table", "zip"):
                self.passed.extend((number, row))
                self.reasons.append(kind)

    def _add_zip(self, place: "Folder | _Packed", row: int, zips: int) -> str:
        """Add a zip's files; the reason if it is in a zip and is none."""
        inner = Member(place, row).name
        with _naming(inner):
            if zips and place.peek(row, 2) != b"PK":
                return "is not a zip"
            if zips == 2:
                raise DataError("is a zip in a zip in a zip; unpack the outermost one first")
            archive = self._open(place, row)
        self.add_place(_Packed(inner, archive, {}), zips=zips + 1)
        return "zip"

    def _open(self, place: "Folder | _Packed", row: int) -> Zip:
        if isinstance(place, _Packed):
            return place.archive.open(row)
        file = self._stack.enter_context(FileIO(place.root / place.path(row)))
        return Zip(Window(file, 0, os.fstat(file.fileno()).st_size), _limit)


def _kind(place: "Folder | _Packed", row: int, suffix: str, *, named: bool) -> str:
    """image, table or zip; or else why a file is passed over."""
    if suffix in FITS_SUFFIXES or suffix in UNSURE_SUFFIXES:
        return _ask(place, row, suffix)
    if suffix in IMAGE_SUFFIXES:
        return "image"
    if suffix in TABLE_SUFFIXES or (named and suffix in NAMED_TABLE_SUFFIXES):
        return "table"
    return "zip" if suffix == ".zip" else explain_passed_over(suffix)


def _ask(place: "Folder | _Packed", row: int, suffix: str) -> str:
    """The same of a file whose name leaves it open, from its first bytes."""
    try:
        start = place.peek(row, FIRST_BYTES)
    except (DataError, OSError, zlib.error) as error:
        return "image" if suffix in FITS_SUFFIXES else f"cannot be read: {error}"
    if suffix and holds_table(start):
        return "table"
    is_image = suffix in FITS_SUFFIXES or (not suffix and begins_as_image(start))
    return "image" if is_image else explain_passed_over(suffix)


def _written(path: Path) -> str:
    """A path as it was written: of two slashes after a URL's scheme one is lost."""
    return _URL.sub(r"\1//", str(path))


def _explain_absent(path: Path) -> str:
    if _URL.match(str(path)):
        return "is a URL, and URLs are not read: download it first"
    return "there is no such file or folder"


class _Packed(NamedTuple):
    """A zip, and where it is."""

    name: str
    archive: Zip
    problems: dict[int, str]

    def path(self, row: int) -> str:
        return self.archive.names[row].as_py()

    def paths(self) -> Iterator[str]:
        return iterate(self.archive.names)

    def size(self, row: int) -> int:
        return self.archive.size(row)

    def read(self, row: int) -> bytes:
        size, limit = self.archive.size(row), MAX_BYTES[split_suffix(self.path(row))[1]]
        if size > limit:
            raise DataError(f"has {size:,} bytes; at most {limit:,} are read")
        return self.archive.read(row)

    def peek(self, row: int, count: int) -> bytes:
        return self.archive.peek(row, count)


def _limit(path: str) -> int:
    """How many bytes are read of a file in a zip; 0 if it is passed over, or not yet known."""
    if HIDDEN.search(path):
        return 0
    suffix = split_suffix(path)[1]
    return 0 if not suffix or suffix in NAMED_TABLE_SUFFIXES else MAX_BYTES.get(suffix, 0)


def _printable(text: str) -> str:
    return text if text.isprintable() else text.encode("unicode_escape").decode()


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
        raise DataError(f"{name}: cannot be read: {error.strerror or error}") from error
