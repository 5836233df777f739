"""Where images and tables are, and their bytes: a folder, a zip, the challenge's zip of zips, or single files.

`Source.open(*paths)` lists everything once; every `Member` then reads its own bytes, in any number of threads and
without waiting for the others. Nothing is unpacked to disk and memory stays flat, because a file is a range of bytes
of an archive that stays open. Reading in `order_key` order is fastest (see `zips`, where a zip in a zip is read).

An archive is hostile until checked: what could fool or exhaust the reader refuses the whole archive when it is listed,
what spoils one file is raised when that file is read. `zips` says what that is for zips; here are the limits of a
file's size, and a zip in a zip in a zip is refused.
"""

import os
import posixpath
import re
import zlib
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import FileIO
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from galaxyvotes.errors import DataError
from galaxyvotes.zips import Line, Window, Zip

__all__ = ["IMAGE_SUFFIXES", "TABLE_SUFFIXES", "Member", "Source"]

IMAGE_SUFFIXES = frozenset({".bmp", ".fit", ".fits", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
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
    """One file of a source; `read()` gives its bytes, in any thread, until the source is closed.

    `entry` is its path inside its folder or innermost zip, as a table may name it; `line` is its line in that zip.
    """

    entry: str
    _place: "_Folder | _Packed"
    line: Line | None = None

    @property
    def name(self) -> str:
        """Where it is, for people: the path from the source on, through the zips; always printable."""
        return _printable(posixpath.join(self._place.name, self.entry))

    @property
    def id(self) -> str:
        """The file's name without its folders and its last suffix; always printable."""
        return _printable(_split(self.entry)[0])

    @property
    def suffix(self) -> str:
        """The last suffix with its dot, in lower case."""
        return _split(self.entry)[1]

    @property
    def has_checksum(self) -> bool:
        """Whether `read` has checked its bytes: those in a zip, not those in a folder."""
        return self.line is not None

    @property
    def order_key(self) -> tuple[int, int]:
        """Where its bytes lie: read many files in this order."""
        return self._place.number, self.line.offset if self.line else 0

    def read(self) -> bytes:
        """The whole file, unpacked and checked; a DataError names the archive and the entry."""
        with _naming(self.name):
            return self._place.read(self)


@dataclass(frozen=True, eq=False)
class Source:
    """The images and tables under some paths; a context manager, because archives stay open for their members."""

    images: tuple[Member, ...]
    tables: tuple[Member, ...]
    _open_files: ExitStack

    @staticmethod
    def open(*paths: str | Path) -> "Source":
        """List folders (and the zips in them), zips, zips of zips, image files and tables.

        Folders come in alphabetical order, zips in the order of their bytes. Hidden files, `__MACOSX` and whatever
        is no image, table or zip are passed over, and so are symbolic links to folders or out of the folder.
        """
        with ExitStack() as stack:
            listing = _Listing(stack)
            for path in map(Path, paths):
                listing.add(path)
            return Source(tuple(listing.images), tuple(listing.tables), stack.pop_all())

    def close(self) -> None:
        """Close the archives. No member can be read any more, and no thread may be reading one now."""
        self._open_files.close()

    def __enter__(self) -> "Source":
        """The source itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the archives."""
        self.close()


class _Listing:
    """What was found so far."""

    def __init__(self, stack: ExitStack) -> None:
        self.images: list[Member] = []
        self.tables: list[Member] = []
        self._stack = stack
        self._places = 0

    def add(self, path: Path) -> None:
        with _naming(str(path)):
            if not path.exists():
                raise DataError("there is no such file or folder")
            if not path.is_dir() and path.suffix.lower() not in _MAX_BYTES:
                raise DataError(f"is no folder and no file that is read ({', '.join(sorted(_MAX_BYTES))})")
            folder = _Folder("", self._number(), path if path.is_dir() else path.parent)
            entries = list(_walk(path, path.resolve())) if path.is_dir() else [path.name]
        for entry in entries:
            member = Member(entry, folder)
            if member.suffix == ".zip":
                with _naming(entry):
                    file = self._stack.enter_context(FileIO(folder.root / entry))
                    archive = Zip(Window(file, 0, os.fstat(file.fileno()).st_size))
                self._add_zip(_Packed(entry, self._number(), archive), nested=False)
            else:
                self._add_member(member)

    def _number(self) -> int:
        self._places += 1
        return self._places

    def _add_member(self, member: Member) -> None:
        suffix = member.suffix
        if suffix in IMAGE_SUFFIXES:
            self.images.append(member)
        elif suffix in TABLE_SUFFIXES:
            self.tables.append(member)

    def _add_zip(self, place: "_Packed", *, nested: bool) -> None:
        with _naming(place.name):
            members = [Member(line.name, place, line) for line in place.archive.lines(_limit)]
        for member in members:
            if member.suffix != ".zip":
                self._add_member(member)
                continue
            with _naming(member.name):
                if nested:
                    raise DataError("is a zip in a zip in a zip; unpack the outermost one first")
                inner = place.open(member)
            self._add_zip(_Packed(member.name, self._number(), inner), nested=True)


class _Folder(NamedTuple):
    name: str
    number: int
    root: Path

    def read(self, member: Member) -> bytes:
        with FileIO(self.root / member.entry) as file:
            size, limit = os.fstat(file.fileno()).st_size, _MAX_BYTES[member.suffix]
            if size > limit:
                raise DataError(f"has {size:,} bytes; at most {limit:,} are read")
            return file.readall()


class _Packed(NamedTuple):
    """A zip, and where it is."""

    name: str
    number: int
    archive: Zip

    def read(self, member: Member) -> bytes:
        assert member.line is not None
        return self.archive.read(member.line)

    def open(self, member: Member) -> Zip:
        assert member.line is not None
        return self.archive.open(member.line)


def _split(path: str) -> tuple[str, str]:
    """A file's name without folders and last suffix, and that suffix in lower case; `posixpath` takes twice as long."""
    name = path[path.rfind("/") + 1 :]
    stem, dot, suffix = name.rpartition(".")
    return (stem, f".{suffix.lower()}") if stem.strip(".") and dot else (name, "")


def _limit(path: str) -> int | None:
    """How many bytes are read of a file in a zip; None if it is passed over."""
    return None if _HIDDEN.search(path) else _MAX_BYTES.get(_split(path)[1])


def _printable(text: str) -> str:
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def _walk(folder: Path, root: Path, prefix: str = "") -> Iterator[str]:
    """Paths of the files in a folder, relative to it."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=attrgetter("name"))
    for entry in entries:
        if _HIDDEN.match(f"{entry.name}/"):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(folder / entry.name, root, f"{prefix}{entry.name}/")
        elif entry.is_file() and (not entry.is_symlink() or Path(entry.path).resolve().is_relative_to(root)):
            yield prefix + entry.name


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
