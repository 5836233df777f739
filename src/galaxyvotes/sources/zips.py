"""The files in a zip, and in a zip inside a zip: their bytes, read in any order by any number of
threads.

A zip is a window of bytes of a file that stays open, read at an offset:

- a zip: the file itself
- a zip stored inside a zip: a range of the outer file
- a zip deflated inside a zip: a deflate stream can only be read forwards, so opening inflates it
  once and keeps the state of the decompressor at up to 256 places (some 60 kB each) to start again
  from. Reading in the order of offsets goes straight on from the last read; any other order costs
  up to 1/256 of the stream (at least 1 MiB) a file.

A zip is hostile until checked. What could fool or exhaust the reader refuses the whole zip when it
is listed: a name that leads outside, two entries of one name, entries that share bytes (Fifield
2019, "A better zip bomb"), a size beyond the limits. What spoils one file is raised when that file
is read: encryption, an unknown packing, a symbolic link, a local header that contradicts the
directory, a wrong size or checksum. Python's zipfile checks few of these and reads through one
lock, so the format is read here. Source: PKWARE, .ZIP File Format Specification (APPNOTE.TXT),
sections 4.3 to 4.5.
"""

import os
import re
import stat
import struct
import threading
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator
from io import FileIO
from itertools import islice
from operator import attrgetter
from typing import NamedTuple

import numpy as np

from galaxyvotes.errors import DataError
from galaxyvotes.runtime.texts import Texts, twins

__all__ = ["Window", "Zip"]

_MIB = 2**20
_MAX_RATIO = 1_000  # unpacked to packed size, of entries over a mebibyte
_MAX_ENTRIES = 5_000_000
_MAX_DIRECTORY_BYTES = 512 * _MIB

_UNSAFE = re.compile(r"^/|^[A-Za-z]:|(?:^|/)\.\.(?:/|$)|[\x00-\x1f\x7f\\\ud800-\udfff]")
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR_BYTES = 20
_LINE = np.dtype(  # what is kept of an entry, beside its name
    [
        ("offset", "<u8"),
        ("packed", "<u8"),
        ("size", "<u8"),
        ("checksum", "<u4"),
        ("name_bytes", "<u2"),
        ("method", "<u2"),
        ("flags", "<u2"),
        ("link", "?"),
    ]
)
_FAR = 2**62  # beyond the end of any file, and twice as much is still a number of 64 bits


class Line(NamedTuple):
    """What a zip's directory says about one entry, and where the next one begins."""

    offset: int
    packed: int
    size: int
    checksum: int
    name_bytes: int
    method: int
    flags: int
    link: bool
    name: str
    end: int


class Zip:
    """A zip somewhere in an open file, checked as a whole; errors do not say which, as the caller
    knows.

    Its entries stand in the order of their bytes; they are numbered so, and `names` are theirs.
    `limit` says how many bytes are read of a file of a name; 0 passes it over. A zip stored in this
    one may be of any size.
    """

    def __init__(self, content: "Window | _Inflated", limit: Callable[[str], int]) -> None:
        """Read and check its directory."""
        self._content, self._limit = content, limit
        self.names, self._lines, self._directory_at = _read_directory(content)
        self._check()

    def _check(self) -> None:
        """Refuse what could fool or exhaust the reader."""
        names, lines = self.names, self._lines
        for name in names:
            if _UNSAFE.search(name):
                raise DataError(
                    f"refused: entry {name!r} leads outside, or has a backslash or control byte in"
                    " its name"
                )
        if found := twins(names):
            raise DataError(f"refused: two entries are named {names[found[0]]!r}")
        ends = np.append(lines["offset"][1:], np.uint64(self._directory_at))
        reached = (
            lines["offset"] + np.minimum(lines["packed"], _FAR) + lines["name_bytes"] + _LOCAL.size
        )
        for row in map(int, np.flatnonzero(reached > ends)):
            raise DataError(
                f"refused: entry {names[row]!r} overlaps what follows it: a zip bomb, or damaged"
            )
        most = np.fromiter(map(self._limit, names), np.uint64, len(names))
        large = np.maximum(lines["size"], lines["packed"]) > most
        bombs = lines["size"] > np.maximum(_MIB, _MAX_RATIO * lines["packed"])
        for row in map(int, np.flatnonzero((large | bombs) & (most > 0))):
            name, line = names[row], self._line(row)
            if large[row] and not (name.lower().endswith(".zip") and line.method == 0):
                size = max(line.size, line.packed)
                raise DataError(
                    f"refused: entry {name!r} has {size:,} bytes; at most {most[row]:,} are read"
                )
            if bombs[row]:
                raise DataError(
                    f"refused: entry {name!r} unpacks to over {_MAX_RATIO:,} times its size: a zip"
                    " bomb"
                )

    def _line(self, row: int) -> Line:
        following = self._lines["offset"][row + 1 : row + 2].tolist()
        return Line._make(
            (*self._lines[row].item(), self.names[row], *(following or [self._directory_at]))
        )

    def read(self, row: int) -> bytes:
        """The file of an entry, unpacked and checked."""
        line = self._line(row)
        record, start = self._record(line)
        data = record[start : start + line.packed]
        if line.method == 8:
            inflater = zlib.decompressobj(-15)
            data = inflater.decompress(data, line.size + 1)
            if len(data) != line.size or not inflater.eof:
                raise DataError(f"does not unpack to the {line.size:,} bytes that it declares")
        if zlib.crc32(data) != line.checksum:
            raise DataError("is damaged: its checksum (CRC-32) does not match")
        return data

    def open(self, row: int) -> "Zip":
        """The zip of an entry of this zip, which must not itself be in one."""
        line = self._line(row)
        _, start = self._record(line, headers_only=True)
        assert isinstance(self._content, Window)
        packed = Window(self._content.file, self._content.start + line.offset + start, line.packed)
        return Zip(_Inflated(packed, line.size) if line.method == 8 else packed, self._limit)

    def _record(self, line: Line, *, headers_only: bool = False) -> tuple[bytes, int]:
        """A line's bytes with the local header before them, and where they begin, checked."""
        if problem := _find_problem(line):
            raise DataError(problem)
        most = _LOCAL.size + 2 * 65_535 + (0 if headers_only else line.packed)
        record = self._content.read(line.offset, min(line.end - line.offset, most))
        if not record.startswith(b"PK\3\4"):
            raise DataError("is not where the directory of its zip says: the zip is damaged")
        *_, name_bytes, extra_bytes = _LOCAL.unpack_from(record)
        name = _decode(record[_LOCAL.size : _LOCAL.size + name_bytes], line.flags)
        start = _LOCAL.size + name_bytes + extra_bytes
        if name != line.name:
            raise DataError(
                f"is called {name!r} by its local header: the zip is damaged or made to deceive"
            )
        if line.offset + start + line.packed > line.end:
            raise DataError(
                "has bytes that belong to the next entry: the zip is damaged or made to deceive"
            )
        return record, start


class Window(NamedTuple):
    """A range of bytes of an open file."""

    file: FileIO
    start: int
    size: int

    def read(self, offset: int, count: int) -> bytes:
        """So many bytes from an offset in it, in any thread."""
        if self.file.closed:
            raise DataError("cannot be read: its source has been closed")
        at, data = self.start + offset, b""
        while len(data) < count:  # once, but for more than 2 GiB
            more = os.pread(self.file.fileno(), count - len(data), at + len(data))
            if not more:
                raise DataError(
                    f"the file ends at byte {at + len(data):,}, in the middle of an entry"
                )
            data = data + more if data else more
        return data


class _Cursor:
    """A place in a deflate stream, to read on from."""

    def __init__(self, packed: Window) -> None:
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
                raise DataError(
                    "unpacks to fewer bytes than it declares: it is damaged or cut short"
                )
            pieces.append(piece)
            count -= len(piece)
            self.position += len(piece)
        return b"".join(pieces)

    def skip_to(self, position: int) -> None:
        while self.position < position:
            self.read(min(_MIB // 4, position - self.position))


class _Inflated:
    """A zip deflated inside a zip, to read anywhere."""

    def __init__(self, packed: Window, size: int) -> None:
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
            cursor = max(
                (idle for idle in self._idle if idle.position <= offset),
                key=position,
                default=start,
            )
            if cursor.position > start.position:
                self._idle.remove(cursor)
            else:
                cursor = start.copy()
        cursor.skip_to(offset)
        data = cursor.read(count)
        with self._lock:
            self._idle = [*self._idle[-7:], cursor]
        return data


def _find_problem(line: Line) -> str | None:
    """Why an entry cannot be read although its archive can."""
    if line.link:
        return "is a symbolic link, which is not followed"
    if line.flags & 0x2041:
        return "is encrypted"
    if line.method not in (0, 8):
        return f"is packed by method {line.method}; pack it stored or deflated"
    if line.method == 0 and line.packed != line.size:
        return f"is stored, yet declares two sizes: {line.packed:,} and {line.size:,} bytes"
    return None


def _read_directory(archive: Window | _Inflated) -> tuple[Texts, np.ndarray, int]:
    """The names and numbers (`_LINE`) of a zip's entries in the order of their bytes; where its
    directory begins.
    """
    tail_at = max(0, archive.size - 65_535 - _END.size - _LOCATOR_BYTES - _END64.size)
    tail = archive.read(tail_at, archive.size - tail_at)
    end = tail.rfind(b"PK\5\6")
    while (
        end >= 0
        and int.from_bytes(tail[end + 20 : end + 22], "little") != len(tail) - end - _END.size
    ):
        end = tail.rfind(b"PK\5\6", 0, end)  # that one stood in the comment
    if end < 0:
        if archive.read(0, min(4, archive.size)) == b"PK\3\4":
            raise DataError(
                "is a zip that is cut short, or has other bytes after its end; fetch it again"
            )
        raise DataError("is not a zip")
    *_, here, count, size, at, _ = _END.unpack_from(tail, end)
    end64 = end - _LOCATOR_BYTES - _END64.size
    if (
        end64 >= 0
        and tail.startswith(b"PK\6\6", end64)
        and tail.startswith(b"PK\6\7", end - _LOCATOR_BYTES)
    ):
        *_, here, count, size, at = _END64.unpack_from(tail, end64)
        end = end64
    directory_at = tail_at + end - size
    prefix = directory_at - at  # bytes before the archive, as in one that unpacks itself
    if here != count:
        raise DataError("is one part of a split zip; join the parts first")
    if prefix < 0:
        raise DataError("is a zip with a damaged directory; fetch it again")
    if size > _MAX_DIRECTORY_BYTES:
        raise DataError(
            f"refused: its directory has {size:,} bytes; at most {_MAX_DIRECTORY_BYTES:,} are read"
        )
    names = Texts()
    entries = _parse_directory(archive, directory_at, directory_at + size, prefix, names)
    lines = np.fromiter(islice(entries, _MAX_ENTRIES + 1), _LINE)
    if len(lines) > _MAX_ENTRIES:
        raise DataError(f"refused: it has more than {_MAX_ENTRIES:,} entries")
    if len(lines) % 65_536 != count % 65_536:  # old programs count modulo 65,536
        raise DataError(
            f"is a damaged zip: it lists {len(lines):,} entries instead of {count:,}; fetch it"
            " again"
        )
    order = np.argsort(lines["offset"], kind="stable")
    if (order[1:] < order[:-1]).any():
        names, lines = Texts(names[place] for place in map(int, order)), lines[order]
    return names, lines, directory_at


def _parse_directory(
    archive: Window | _Inflated, begin: int, end: int, prefix: int, names: Texts
) -> Iterator[tuple[int, ...]]:
    """The numbers of a directory's entries, as far as they can be read; their names are put into
    `names`.
    """
    directory, at = b"", 0
    while True:
        if (
            len(directory) - at < _CENTRAL.size + 3 * 65_535 and begin < end
        ):  # a part only: it may be half a gigabyte
            part = archive.read(begin, min(_MIB, end - begin))
            directory, at, begin = directory[at:] + part, 0, begin + len(part)
        if not directory.startswith(b"PK\1\2", at) or at + _CENTRAL.size > len(directory):
            return
        fields = _CENTRAL.unpack_from(directory, at)
        flags, method, checksum, packed, size = fields[3], fields[4], *fields[7:10]
        name_bytes, extra_bytes, comment_bytes, attributes, offset = *fields[10:13], *fields[15:17]
        name_end = at + _CENTRAL.size + name_bytes
        names.append(_decode(directory[name_end - name_bytes : name_end], flags))
        if 0xFFFFFFFF in (size, packed, offset):
            size, packed, offset = _read_zip64(
                directory[name_end : name_end + extra_bytes], size, packed, offset
            )
        offset = min(prefix + offset, _FAR)
        yield (
            offset,
            packed,
            size,
            checksum,
            name_bytes,
            method,
            flags,
            stat.S_ISLNK(attributes >> 16),
        )
        at = name_end + extra_bytes + comment_bytes


def _read_zip64(extra: bytes, *values: int) -> Iterator[int]:
    """The values, those that did not fit into 32 bits taken from the extra field with that
    purpose.
    """
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
