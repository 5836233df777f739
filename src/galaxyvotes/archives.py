"""Where images and tables are, and their bytes: a folder, a zip, the challenge's zip of zips, or single files.

`Source.open(*paths)` lists everything once; every `Member` then reads its own bytes, in any number of threads and
without waiting for the others. Nothing is unpacked to disk and memory stays flat, because a file is a range of bytes
of an archive that stays open, read at its offset:

- a zip: the file itself
- a zip stored inside a zip: a range of the outer file
- a zip deflated inside a zip: a deflate stream can only be read forwards, so listing inflates it once and keeps the
  state of the decompressor at up to 256 places (some 60 kB each) to start again from. Reading in `order_key` order
  goes straight on from the last read; any other order costs up to 1/256 of the stream (at least 1 MiB) a file.

An archive is hostile until checked. What could fool or exhaust the reader refuses the whole archive when it is
listed: a name that leads outside, two entries of one name, entries that share bytes (Fifield 2019, "A better zip
bomb"), a size beyond the limits below, a zip in a zip in a zip. What spoils one file is raised when that file is
read: encryption, an unknown packing, a symbolic link, a local header that contradicts the directory, a wrong size or
checksum. Python's zipfile checks few of these and reads through one lock, so the format is read here.
Source: PKWARE, .ZIP File Format Specification (APPNOTE.TXT), sections 4.3 to 4.5.
"""

import os
import posixpath
import re
import stat
import struct
import threading
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import FileIO
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from galaxyvotes.errors import DataError

__all__ = ["IMAGE_SUFFIXES", "TABLE_SUFFIXES", "Member", "Source"]

IMAGE_SUFFIXES = frozenset({".bmp", ".fit", ".fits", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
TABLE_SUFFIXES = frozenset({".csv", ".parquet"})

_MIB = 2**20
_MAX_BYTES = {  # of one file; a zip stored in a zip has no limit of its own
    **dict.fromkeys(IMAGE_SUFFIXES, 256 * _MIB),
    **dict.fromkeys(TABLE_SUFFIXES, 4096 * _MIB),
    ".zip": 65_536 * _MIB,
}
_MAX_RATIO = 1_000  # unpacked to packed size, of entries over a mebibyte
_MAX_ENTRIES = 5_000_000
_MAX_DIRECTORY_BYTES = 512 * _MIB

_HIDDEN = re.compile(r"(?:^|/)(?:\.[^/]|__MACOSX/)")
_UNSAFE = re.compile(r"^/|^[A-Za-z]:|(?:^|/)\.\.(?:/|$)|[\x00-\x1f\x7f\\\ud800-\udfff]")
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR_BYTES = 20


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One file of a source; `read()` gives its bytes, in any thread, until the source is closed.

    `entry` is its path inside its folder or innermost zip, as a table may name it.
    """

    entry: str
    _place: "_Folder | _Zip"
    _line: "_Line | None" = None
    _end: int = 0

    @property
    def name(self) -> str:
        """Where it is, for people: the path from the source on, through the zips; always printable."""
        return _printable(posixpath.join(self._place.name, self.entry))

    @property
    def id(self) -> str:
        """The file's name without its folders and its last suffix; always printable."""
        return _printable(posixpath.splitext(posixpath.basename(self.entry))[0])

    @property
    def suffix(self) -> str:
        """The last suffix with its dot, in lower case."""
        return posixpath.splitext(self.entry)[1].lower()

    @property
    def order_key(self) -> tuple[int, int]:
        """Where its bytes lie: read many files in this order."""
        return self._place.number, self._line.offset if self._line else 0

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
                    content = _Range(file, 0, os.fstat(file.fileno()).st_size)
                self._add_zip(_Zip(entry, self._number(), content), nested=False)
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

    def _add_zip(self, archive: "_Zip", *, nested: bool) -> None:
        with _naming(archive.name):
            members = archive.members()
        for member in members:
            if member.suffix != ".zip":
                self._add_member(member)
                continue
            with _naming(member.name):
                if nested:
                    raise DataError("is a zip in a zip in a zip; unpack the outermost one first")
                content = archive.open(member)
            self._add_zip(_Zip(member.name, self._number(), content), nested=True)


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


class _Line(NamedTuple):
    """What a zip's directory says about one entry."""

    offset: int
    name_bytes: int
    packed: int
    size: int
    checksum: int
    method: int
    flags: int
    attributes: int


class _Zip(NamedTuple):
    name: str
    number: int
    content: "_Range | _Inflated"

    def members(self) -> list[Member]:
        """Its images, tables and zips in the order of their bytes, once the whole archive has been checked."""
        entries, directory_at = _read_directory(self.content)
        ends = [*(line.offset for line, _ in entries[1:]), directory_at]
        members: list[Member] = []
        seen: set[str] = set()
        for (line, name), end in zip(entries, ends, strict=True):
            if _UNSAFE.search(name):
                raise DataError(
                    f"refused: entry {name!r} leads outside, or has a backslash or control byte in its name"
                )
            if name in seen:
                raise DataError(f"refused: two entries are named {name!r}")
            if line.offset + _LOCAL.size + line.name_bytes + line.packed > end:
                raise DataError(f"refused: entry {name!r} overlaps what follows it: a zip bomb, or damaged")
            seen.add(name)
            member = Member(name, self, line, end)
            suffix = member.suffix
            if suffix not in _MAX_BYTES or _HIDDEN.search(name):
                continue
            limit = _MAX_BYTES[suffix]
            if max(line.size, line.packed) > limit and not (suffix == ".zip" and line.method == 0):
                raise DataError(f"refused: entry {name!r} has {line.size:,} bytes; at most {limit:,} are read")
            if line.size > max(_MIB, _MAX_RATIO * line.packed):
                raise DataError(f"refused: entry {name!r} unpacks to over {_MAX_RATIO:,} times its size: a zip bomb")
            members.append(member)
        return members

    def read(self, member: Member) -> bytes:
        line, record, start = self._record(member)
        data = record[start : start + line.packed]
        if line.method == 8:
            inflater = zlib.decompressobj(-15)
            data = inflater.decompress(data, line.size + 1)
            if len(data) != line.size or not inflater.eof:
                raise DataError(f"does not unpack to the {line.size:,} bytes that it declares")
        if zlib.crc32(data) != line.checksum:
            raise DataError("is damaged: its checksum (CRC-32) does not match")
        return data

    def open(self, member: Member) -> "_Range | _Inflated":
        """A zip in this zip, which must not itself be in one."""
        line, _, start = self._record(member, headers_only=True)
        assert isinstance(self.content, _Range)
        packed = _Range(self.content.file, self.content.start + line.offset + start, line.packed)
        return _Inflated(packed, line.size) if line.method == 8 else packed

    def _record(self, member: Member, *, headers_only: bool = False) -> "tuple[_Line, bytes, int]":
        """A member's line, its bytes with the local header before them, and where they begin, checked."""
        line = member._line
        assert line is not None
        if problem := _find_problem(line):
            raise DataError(problem)
        most = _LOCAL.size + 2 * 65_535 + (0 if headers_only else line.packed)
        record = self.content.read(line.offset, min(member._end - line.offset, most))
        if not record.startswith(b"PK\3\4"):
            raise DataError("is not where the directory of its zip says: the zip is damaged")
        *_, name_bytes, extra_bytes = _LOCAL.unpack_from(record)
        name = _decode(record[_LOCAL.size : _LOCAL.size + name_bytes], line.flags)
        start = _LOCAL.size + name_bytes + extra_bytes
        if name != member.entry:
            raise DataError(f"is called {name!r} by its local header: the zip is damaged or made to deceive")
        if line.offset + start + line.packed > member._end:
            raise DataError("has bytes that belong to the next entry: the zip is damaged or made to deceive")
        return line, record, start


class _Range:
    """A range of an open file."""

    def __init__(self, file: FileIO, start: int, size: int) -> None:
        self.file = file
        self.start = start
        self.size = size

    def read(self, offset: int, count: int) -> bytes:
        if self.file.closed:
            raise DataError("cannot be read: its source has been closed")
        at, data = self.start + offset, b""
        while len(data) < count:  # once, but for more than 2 GiB
            more = os.pread(self.file.fileno(), count - len(data), at + len(data))
            if not more:
                raise DataError(f"the file ends at byte {at + len(data):,}, in the middle of an entry")
            data = data + more if data else more
        return data


class _Cursor:
    """A place in a deflate stream, to read on from."""

    def __init__(self, packed: _Range) -> None:
        self._packed = packed
        self._fed = 0
        self._inflater = zlib.decompressobj(-15)
        self.position = 0

    def copy(self) -> "_Cursor":
        twin = _Cursor(self._packed)
        twin._fed, twin._inflater, twin.position = self._fed, self._inflater.copy(), self.position
        return twin

    def read(self, count: int) -> bytes:
        pieces: list[bytes] = []
        while count > 0:
            waiting = self._inflater.unconsumed_tail
            if not waiting:
                waiting = self._packed.read(self._fed, min(32_768, self._packed.size - self._fed))
                self._fed += len(waiting)
            piece = self._inflater.decompress(waiting, count)
            if not piece and (self._inflater.eof or not waiting):
                raise DataError("unpacks to fewer bytes than it declares: it is damaged or cut short")
            pieces.append(piece)
            count -= len(piece)
            self.position += len(piece)
        return b"".join(pieces)

    def skip_to(self, position: int) -> None:
        while self.position < position:
            self.read(min(_MIB // 4, position - self.position))


class _Inflated:
    """A zip deflated inside a zip, to read anywhere."""

    def __init__(self, packed: _Range, size: int) -> None:
        self.size = size
        self._lock = threading.Lock()
        self._idle: list[_Cursor] = []
        cursor = _Cursor(packed)
        self._starts = [cursor.copy()]
        while cursor.position < size:
            cursor.skip_to(min(size, cursor.position + max(_MIB, size // 256)))
            self._starts.append(cursor.copy())

    def read(self, offset: int, count: int) -> bytes:
        position = attrgetter("position")
        with self._lock:  # held to choose a cursor only: several threads inflate at once
            start = self._starts[bisect_right(self._starts, offset, key=position) - 1]
            cursor = max((idle for idle in self._idle if idle.position <= offset), key=position, default=start)
            if cursor.position > start.position:
                self._idle.remove(cursor)
            else:
                cursor = start.copy()
        cursor.skip_to(offset)
        data = cursor.read(count)
        with self._lock:
            self._idle = [*self._idle[-7:], cursor]
        return data


def _find_problem(line: _Line) -> str | None:
    """Why an entry cannot be read although its archive can."""
    if stat.S_ISLNK(line.attributes >> 16):
        return "is a symbolic link, which is not followed"
    if line.flags & 0x2041:
        return "is encrypted"
    if line.method not in (0, 8):
        return f"is packed by method {line.method}; pack it stored or deflated"
    if line.method == 0 and line.packed != line.size:
        return f"is stored, yet declares two sizes: {line.packed:,} and {line.size:,} bytes"
    return None


def _read_directory(archive: _Range | _Inflated) -> tuple[list[tuple[_Line, str]], int]:
    """A zip's entries in the order of their bytes, and where its directory begins."""
    tail_at = max(0, archive.size - 65_535 - _END.size - _LOCATOR_BYTES - _END64.size)
    tail = archive.read(tail_at, archive.size - tail_at)
    end = tail.rfind(b"PK\5\6")
    while end >= 0 and int.from_bytes(tail[end + 20 : end + 22], "little") != len(tail) - end - _END.size:
        end = tail.rfind(b"PK\5\6", 0, end)  # that one stood in the comment
    if end < 0:
        if archive.read(0, min(4, archive.size)) == b"PK\3\4":
            raise DataError("is a zip that is cut short, or has other bytes after its end; fetch it again")
        raise DataError("is not a zip")
    *_, here, count, size, at, _ = _END.unpack_from(tail, end)
    end64 = end - _LOCATOR_BYTES - _END64.size
    if end64 >= 0 and tail.startswith(b"PK\6\6", end64) and tail.startswith(b"PK\6\7", end - _LOCATOR_BYTES):
        *_, here, count, size, at = _END64.unpack_from(tail, end64)
        end = end64
    directory_at = tail_at + end - size
    prefix = directory_at - at  # bytes before the archive, as in one that unpacks itself
    if here != count:
        raise DataError("is one part of a split zip; join the parts first")
    if prefix < 0:
        raise DataError("is a zip with a damaged directory; fetch it again")
    if size > _MAX_DIRECTORY_BYTES:
        raise DataError(f"refused: its directory has {size:,} bytes; at most {_MAX_DIRECTORY_BYTES:,} are read")
    entries = list(islice(_parse_directory(archive.read(directory_at, size), prefix), _MAX_ENTRIES + 1))
    if len(entries) > _MAX_ENTRIES:
        raise DataError(f"refused: it has more than {_MAX_ENTRIES:,} entries")
    if len(entries) % 65_536 != count % 65_536:  # old programs count modulo 65,536
        raise DataError(f"is a damaged zip: it lists {len(entries):,} entries instead of {count:,}; fetch it again")
    return sorted(entries), directory_at


def _parse_directory(directory: bytes, prefix: int) -> Iterator[tuple[_Line, str]]:
    """The lines of a directory and the names in them, as far as they can be read."""
    at = 0
    while directory.startswith(b"PK\1\2", at) and at + _CENTRAL.size <= len(directory):
        fields = _CENTRAL.unpack_from(directory, at)
        flags, method, checksum, packed, size = fields[3], fields[4], *fields[7:10]
        name_bytes, extra_bytes, comment_bytes, attributes, offset = *fields[10:13], *fields[15:17]
        name_end = at + _CENTRAL.size + name_bytes
        name = _decode(directory[name_end - name_bytes : name_end], flags)
        if 0xFFFFFFFF in (size, packed, offset):
            size, packed, offset = _read_zip64(directory[name_end : name_end + extra_bytes], size, packed, offset)
        yield _Line(prefix + offset, name_bytes, packed, size, checksum, method, flags, attributes), name
        at = name_end + extra_bytes + comment_bytes


def _read_zip64(extra: bytes, *values: int) -> Iterator[int]:
    """The values, those that did not fit into 32 bits taken from the extra field with that purpose."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        at += 4
        if kind == 1:
            break
        at += length
    for value in values:
        if value == 0xFFFFFFFF and at + 8 <= len(extra):
            (value,) = struct.unpack_from("<Q", extra, at)
            at += 8
        yield value


def _decode(name: bytes, flags: int) -> str:
    return name.decode("utf-8", "surrogateescape") if flags & 0x800 else name.decode("cp437")


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
def _naming(name: str) -> Iterator[None]:
    """Make an error say which file it is about."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{name}: {error}") from None
    except zlib.error as error:
        raise DataError(f"{name}: is damaged: it cannot be unpacked ({error})") from None
    except OSError as error:
        raise DataError(f"{name}: cannot be read: {error}") from error
