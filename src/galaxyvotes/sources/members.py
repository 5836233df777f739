"""The files of a source, each with its bytes when they are asked for: there may be millions."""

import os
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int, UInt32

from galaxyvotes.errors import DataError
from galaxyvotes.runtime.counted import counted
from galaxyvotes.runtime.digests import number_of
from galaxyvotes.sky.bands import split_band
from galaxyvotes.sky.cutouts import Cutout
from galaxyvotes.sky.fits import ANYWHERE, FitsLayout
from galaxyvotes.sources.cut_outs import CutOuts
from galaxyvotes.sources.folders import Folder
from galaxyvotes.sources.suffixes import MAX_BYTES, NOT_READ, split_suffix
from galaxyvotes.sources.zips import Zip
from galaxyvotes.tables.names import (
    PART,
    codes_of,
    first_repeated,
    iterate,
    name_column,
    repeated,
)

__all__ = ["Member", "Members", "Packed", "PassedOver", "files_at", "naming"]


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One file of a source; `read()` gives its bytes, in any thread, until the source is closed.

    A galaxy with a FITS file for each band is the file of its first band.
    """

    _place: "Folder | Packed | CutOuts"
    _row: int
    layout: FitsLayout = ANYWHERE  # of a FITS image
    _other_bands: tuple[tuple["Folder | Packed | CutOuts", int], ...] = ()

    @property
    def bands(self) -> "tuple[Member, ...]":
        """The files of its bands, one or several."""
        others = (Member(place, row, self.layout) for place, row in self._other_bands)
        return Member(self._place, self._row, self.layout), *others

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
        """The file's name without its folders and its last suffix, and without its band if it has a
        file for each; always printable.
        """
        stem = split_suffix(self._path)[0]
        return _printable(split_band(stem, self.layout.bands)[0] if self._other_bands else stem)

    @property
    def suffix(self) -> str:
        """The last suffix with its dot, in lower case."""
        return split_suffix(self._path)[1]

    @property
    def has_checksum(self) -> bool:
        """Whether `read` has checked its bytes: those in a zip, not those in a folder."""
        return isinstance(self._place, Packed)

    @property
    def size(self) -> int:
        """The number of its bytes, unpacked from its archive; a DataError as of `read`."""
        with naming(self.name):
            return self._place.size(self._row)

    @property
    def stamp(self) -> int:
        """A number for the sizes and times of its files, another one if any of them has changed; 0
        if one is not there.
        """
        try:
            stats = [status for _, status in self._files()]
        except (OSError, ValueError):
            return 0
        return number_of(f"{status.st_size} {status.st_mtime_ns};".encode() for status in stats)

    @property
    def newest_file(self) -> str:
        """The file of it, of an archive the archive, that was changed last; its name if one is not
        there.
        """
        try:
            return max(self._files(), key=lambda file: file[1].st_mtime_ns)[0]
        except (OSError, ValueError):
            return self.name

    def _files(self) -> list[tuple[str, os.stat_result]]:
        places = [(self._place, self._row), *self._other_bands]
        return [file for place, row in places for file in place.files(row)]

    def cut(self, side_px: int = 0, arcsec_px: float = 0.0) -> Cutout | None:
        """It cut from a mosaic, with so many pixels, or pixels of that side; None if it is a file.

        A DataError names it.
        """
        if not isinstance(self._place, CutOuts):
            return None
        with naming(self.name):
            return self._place.cut(self._row, side_px, arcsec_px)

    def read(self) -> bytes:
        """The whole file, unpacked and checked; a DataError names the archive and the entry."""
        with naming(self.name):
            return self._place.read(self._row)


@dataclass(frozen=True, eq=False)
class Members(Sequence[Member]):
    """Files in some order, each made a `Member` when it is asked for: there may be millions."""

    _places: "Sequence[Folder | Packed | CutOuts]"
    # Of each band, if it has a file for each: the number of its place, and its row there.
    _where: UInt32[np.ndarray, "file band 2"]
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
        return self._member(self._where[index].tolist())

    def _member(self, where: list[list[int]]) -> Member:
        (place, row), *others = where
        bands = tuple((self._places[place], row) for place, row in others)
        return Member(self._places[place], row, self._layout, bands)

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
            yield from map(self._member, self._where[start : start + PART].tolist())


def files_at(root: Path, bands: Sequence[Sequence[str]], layout: FitsLayout = ANYWHERE) -> Members:
    """The files at some paths, from the root on or absolute ones, of one band or of several."""
    places = [Folder.listed(root, paths) for paths in bands]
    rows, bands_ = np.indices((len(bands[0]), len(bands)), np.uint32)
    return Members(places, np.stack([bands_, rows], axis=2), layout)


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


class Packed(NamedTuple):
    """A zip, and where it is."""

    name: str
    archive: Zip
    problems: dict[int, str]

    def path(self, row: int) -> str:
        """The path of an entry."""
        return self.archive.names[row].as_py()

    def paths(self) -> Iterator[str]:
        """The paths of all entries."""
        return iterate(self.archive.names)

    def size(self, row: int) -> int:
        """The number of bytes that an entry declares to unpack to."""
        return self.archive.size(row)

    def files(self, _: int) -> list[tuple[str, os.stat_result]]:
        """The archive, and its size and time."""
        return [(self.name, self.archive.stat())]

    def read(self, row: int) -> bytes:
        """An entry, unpacked; DataError if it is larger than files of its kind may be."""
        size, limit = self.archive.size(row), MAX_BYTES[split_suffix(self.path(row))[1]]
        if size > limit:
            raise DataError(f"has {size:,} bytes; at most {limit:,} are read")
        return self.archive.read(row)

    def peek(self, row: int, count: int) -> bytes:
        """The first bytes of an entry."""
        return self.archive.peek(row, count)


def _printable(text: str) -> str:
    return text if text.isprintable() else text.encode("unicode_escape").decode()


@contextmanager
def naming(name: str) -> Generator[None]:
    """Make an error say which file it is about, as a DataError."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{name}: {error}") from None
    except zlib.error as error:
        raise DataError(f"{name}: is damaged: it cannot be unpacked ({error})") from None
    except OSError as error:
        raise DataError(f"{name}: cannot be read: {error.strerror or error}") from error
