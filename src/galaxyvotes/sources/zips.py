"""The files in a zip, and in a zip inside a zip: their bytes, read in any order by any number of
threads.

A zip is a window of bytes: a file, a range of the outer file for a zip stored inside a zip, or what
a deflate stream unpacks to (see `windows`). Its directory is checked when it is listed (see
`zip_directory`). What spoils one file is raised when that file is read: encryption, an unknown
packing, a symbolic link, a local header that contradicts the directory, a wrong size or checksum.

Python's zipfile reads files as fast, but keeps six times as much memory for each, unpacks a zip
inside a zip to disk, and leaves most of these checks to its caller (docs/decisions.md).
"""

import os
import struct
import zlib
from collections.abc import Callable

import pyarrow as pa

from galaxyvotes.errors import DataError
from galaxyvotes.sources.windows import Inflated, Window
from galaxyvotes.sources.zip_directory import LOCAL_HEADER_BYTES, Directory, Line

__all__ = ["Zip"]

_LOCAL = struct.Struct("<4s5H3I2H")
_STORED, _DEFLATED = 0, 8
_FIRST_PACKED = 4096  # bytes of a deflate stream that say how the following are packed


class Zip:
    """A zip somewhere in an open file, checked as a whole; errors do not name it, as the caller
    knows where it is.

    Its entries stand in the order of their bytes; they are numbered so, and `names` are theirs.
    """

    def __init__(self, content: Window | Inflated, limit: Callable[[str], int]) -> None:
        """Read and check its directory; DataError if it is refused.

        `limit` gives the number of bytes that are read of a file with a name; 0 passes it over. A
        zip stored in this one may be of any size.
        """
        self._content, self._limit = content, limit
        self._directory = Directory.read(content, limit)

    @property
    def names(self) -> pa.LargeStringArray:
        """The names of its entries."""
        return self._directory.names

    def read(self, row: int) -> bytes:
        """The file of an entry, unpacked; DataError or zlib.error if it cannot be read whole."""
        line = self._directory.line(row)
        record, start = self._record(line)
        data = record[start : start + line.packed]
        if line.method == _DEFLATED:
            inflater = zlib.decompressobj(-15)
            data = inflater.decompress(data, line.size + 1)
            if len(data) != line.size or not inflater.eof:
                raise DataError(f"does not unpack to the {line.size:,} bytes that it declares")
        if zlib.crc32(data) != line.checksum:
            raise DataError("is damaged: its checksum (CRC-32) does not match")
        return data

    def size(self, row: int) -> int:
        """The number of bytes that an entry declares to unpack to."""
        return self._directory.line(row).size

    def peek(self, row: int, count: int) -> bytes:
        """The first bytes of an entry's file, unchecked; DataError or zlib.error as of `read`."""
        line = self._directory.line(row)
        _, start = self._record(line, header_only=True)
        packed = count + _FIRST_PACKED if line.method == _DEFLATED else count
        data = self._content.read(line.offset + start, min(packed, line.packed))
        if line.method == _DEFLATED:
            return zlib.decompressobj(-15).decompress(data, count)
        return data

    def stat(self) -> os.stat_result:
        """The size and time of the file that it is in."""
        return self._content.stat()

    def open(self, row: int) -> "Zip":
        """The zip of an entry of this zip, which must not itself be in one; DataError if it is, and
        as for both.
        """
        line = self._directory.line(row)
        _, start = self._record(line, header_only=True)
        assert isinstance(self._content, Window)
        packed = Window(self._content.file, self._content.start + line.offset + start, line.packed)
        stored = line.method == _STORED
        return Zip(packed if stored else Inflated(packed, line.size), self._limit)

    def _record(self, line: Line, *, header_only: bool = False) -> tuple[bytes, int]:
        """An entry's local header and packed bytes, and where the latter begin, checked."""
        if problem := _find_problem(line):
            raise DataError(problem)
        most = LOCAL_HEADER_BYTES + 2 * 65_535 + (0 if header_only else line.packed)
        record = self._content.read(line.offset, min(line.end - line.offset, most))
        if not record.startswith(b"PK\3\4"):
            raise DataError("is not where the directory of its zip says: the zip is damaged")
        *_, name_bytes, extra_bytes = _LOCAL.unpack_from(record)
        name = record[LOCAL_HEADER_BYTES : LOCAL_HEADER_BYTES + name_bytes]
        start = LOCAL_HEADER_BYTES + name_bytes + extra_bytes
        if name_bytes != line.name_bytes or zlib.crc32(name) != line.name_checksum:
            called = name.decode("utf-8", "backslashreplace")
            raise DataError(
                f"is called {called!r} by its local header: the zip is damaged or made to deceive"
            )
        if line.offset + start + line.packed > line.end:
            raise DataError(
                "has bytes that belong to the next entry: the zip is damaged or made to deceive"
            )
        return record, start


def _find_problem(line: Line) -> str | None:
    """Why an entry cannot be read although its archive can."""
    if line.link:
        return "is a symbolic link, which is not followed"
    if line.flags & 0x2041:
        return "is encrypted"
    if line.method not in (_STORED, _DEFLATED):
        return f"is packed by method {line.method}; pack it stored or deflated"
    if line.method == _STORED and line.packed != line.size:
        return f"is stored, yet declares two sizes: {line.packed:,} and {line.size:,} bytes"
    return None
