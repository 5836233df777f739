"""The directory of a zip, read and checked before any file of the zip is.

A zip is hostile until checked. What could fool or exhaust the reader refuses the whole zip: a name
that leads outside, two entries of one name, entries that share bytes (Fifield 2019, "A better zip
bomb"), a size beyond the limits. Source: PKWARE, .ZIP File Format Specification (APPNOTE.TXT),
sections 4.3 to 4.5.
"""

import re
import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import UInt64

from galaxyvotes.errors import DataError
from galaxyvotes.runtime.counted import counted
from galaxyvotes.sources.windows import Inflated, Window
from galaxyvotes.tables.names import codes_of, first_repeated, iterate, name_column, row_column

__all__ = ["LOCAL_HEADER_BYTES", "Directory", "Line", "decode_name"]

LOCAL_HEADER_BYTES = 30
_MIB = 2**20
_MAX_RATIO = 1_000  # unpacked to packed size, of entries over a mebibyte
_BLACK = 256 * _MIB  # up to here a file may be an image that is black all over
_MAX_ENTRIES = 5_000_000
_MAX_DIRECTORY_BYTES = 512 * _MIB
_PART = 1024  # entries that exist as Python objects at a time

_UNSAFE = re.compile(r"^/|^[A-Za-z]:/|(?:^|/)\.\.(?:/|$)|\0")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR_BYTES = 20
_UTF8, _ZIP64, _UNICODE_PATH = 0x800, 1, 0x7075
_LINE = np.dtype(  # what is kept of an entry, beside its name
    [
        ("offset", "<u8"),
        ("packed", "<u8"),
        ("size", "<u8"),
        ("checksum", "<u4"),
        ("name_checksum", "<u4"),
        ("name_bytes", "<u2"),
        ("method", "<u2"),
        ("flags", "<u2"),
        ("link", "?"),
    ]
)
_FAR = 2**62  # beyond the end of any file, and twice as much is still a number of 64 bits


class Line(NamedTuple):
    """What the directory says about one entry, and the offset at which the next one begins."""

    offset: int
    packed: int
    size: int
    checksum: int
    name_checksum: int
    name_bytes: int
    method: int
    flags: int
    link: bool
    name: str
    end: int


class Directory(NamedTuple):
    """The entries of a zip in the order of their bytes, and the offset of the directory itself."""

    names: pa.LargeStringArray
    lines: np.ndarray
    starts_at: int

    @staticmethod
    def read(archive: Window | Inflated, limit: Callable[[str], int]) -> "Directory":
        """The checked directory of a zip; DataError if there is none or an entry is refused.

        `limit` gives the number of bytes that are read of a file with a name; 0 passes it over.
        """
        directory = _read_directory(archive)
        limits = np.fromiter(map(limit, iterate(directory.names)), np.uint64, len(directory.names))
        directory._refuse_repeated_names(limits)
        directory._refuse_overlaps()
        directory._refuse_sizes(limits)
        return directory

    def line(self, row: int) -> Line:
        """One entry."""
        following = self.lines["offset"][row + 1 : row + 2].tolist()
        end = following[0] if following else self.starts_at
        return Line._make((*self.lines[row].item(), self.names[row].as_py(), end))

    def _refuse_repeated_names(self, limits: UInt64[np.ndarray, " entry"]) -> None:
        read = self.names.take(row_column(np.flatnonzero(limits)))
        if rows := first_repeated(codes_of(read)):
            raise DataError(
                f"refused: two entries are named {read[rows[0]].as_py()!r}; zip the files again"
            )

    def _refuse_overlaps(self) -> None:
        offsets, packed = self.lines["offset"], np.minimum(self.lines["packed"], _FAR)
        ends = np.append(offsets[1:], np.uint64(self.starts_at))
        reached = offsets + packed + self.lines["name_bytes"] + LOCAL_HEADER_BYTES
        for row in np.flatnonzero(reached > ends).tolist():
            raise DataError(
                f"refused: entry {self.names[row].as_py()!r} overlaps what follows it: a zip bomb,"
                " or damaged"
            )

    def _refuse_sizes(self, most: UInt64[np.ndarray, " entry"]) -> None:
        """Refuse an entry over its limit, other than a stored zip, and one that unpacks to much."""
        sizes, packed = self.lines["size"], self.lines["packed"]
        large = np.maximum(sizes, packed) > most
        bombs = (sizes > np.maximum(_MIB, _MAX_RATIO * packed)) & (most > _BLACK)
        for row in np.flatnonzero((large | bombs) & (most > 0)).tolist():
            line = self.line(row)
            if large[row] and not (line.name.lower().endswith(".zip") and line.method == 0):
                raise DataError(
                    f"refused: entry {line.name!r} has {max(line.size, line.packed):,} bytes; at"
                    f" most {most[row]:,} are read"
                )
            if bombs[row]:
                raise DataError(
                    f"refused: entry {line.name!r} unpacks to over {_MAX_RATIO:,} times its size: a"
                    " zip bomb"
                )


def _read_directory(archive: Window | Inflated) -> Directory:
    count, size, starts_at, shift = _find_directory(archive)
    if size > _MAX_DIRECTORY_BYTES:
        raise DataError(
            f"refused: its directory has {size:,} bytes; at most {_MAX_DIRECTORY_BYTES:,} are read"
        )
    names, lines = _read_entries(archive, starts_at, starts_at + size, shift)
    if len(lines) % 65_536 != count % 65_536:  # old programs count modulo 65,536
        raise DataError(
            f"is a damaged zip: it lists {counted(len(lines), 'entry')} instead of {count:,};"
            " fetch it again"
        )
    order = np.argsort(lines["offset"], kind="stable")
    if (order[1:] < order[:-1]).any():
        names, lines = names.take(row_column(order)), lines[order]
    return Directory(names, lines, starts_at)


def _find_directory(archive: Window | Inflated) -> tuple[int, int, int, int]:
    """From the end of a zip: how many entries it lists, the size and offset of its directory, and
    the number of bytes before the zip, as in one that unpacks itself.
    """
    tail_at = max(0, archive.size - 65_535 - _END.size - _LOCATOR_BYTES - _END64.size)
    tail = archive.read(tail_at, archive.size - tail_at)
    end = _find_end(tail)
    if end < 0:
        if archive.read(0, min(4, archive.size)) == b"PK\3\4":
            raise DataError(
                "is a zip that is cut short, or has other bytes after its end; fetch it again"
            )
        raise DataError("is not a zip")
    _, disk, first, here, count, size, offset, _ = _END.unpack_from(tail, end)
    end64 = end - _LOCATOR_BYTES - _END64.size
    if (
        end64 >= 0
        and tail.startswith(b"PK\6\6", end64)
        and tail.startswith(b"PK\6\7", end - _LOCATOR_BYTES)
    ):
        *_, disk, first, here, count, size, offset = _END64.unpack_from(tail, end64)
        end = end64
    starts_at = tail_at + end - size
    if here != count or disk or first:
        raise DataError(
            "is one part of a split zip; join the parts first (zip -s 0 PARTS.zip -O WHOLE.zip)"
        )
    if starts_at < offset:
        raise DataError("is a zip with a damaged directory; fetch it again")
    return count, size, starts_at, starts_at - offset


def _find_end(tail: bytes) -> int:
    """Where the record that ends a zip begins, -1 if there is none; its comment may hold others."""
    end = tail.rfind(b"PK\5\6")
    while end >= 0:
        comment_bytes = int.from_bytes(tail[end + 20 : end + 22], "little")
        if end + _END.size + comment_bytes == len(tail):
            break
        end = tail.rfind(b"PK\5\6", 0, end)
    return end


def _read_entries(
    archive: Window | Inflated, begin: int, end: int, shift: int
) -> tuple[pa.LargeStringArray, np.ndarray]:
    """The names and the numbers (`_LINE`) of a directory's entries, as far as they can be read."""
    entries = _parse_directory(archive, begin, end, shift)
    names, lines = [name_column(())], [np.empty(0, _LINE)]
    while part := list(islice(entries, _PART)):
        names.append(name_column(name for name, _ in part))
        lines.append(np.array([line for _, line in part], _LINE))
        if sum(map(len, lines)) > _MAX_ENTRIES:
            raise DataError(f"refused: it has more than {_MAX_ENTRIES:,} entries")
    return pa.concat_arrays(names), np.concatenate(lines)


def _parse_directory(
    archive: Window | Inflated, begin: int, end: int, shift: int
) -> Iterator[tuple[str, tuple[int, ...]]]:
    directory, at = b"", 0
    while True:
        if len(directory) - at < _CENTRAL.size + 3 * 65_535 and begin < end:
            part = archive.read(begin, min(_MIB, end - begin))  # it may be half a gigabyte
            directory, at, begin = directory[at:] + part, 0, begin + len(part)
        if not directory.startswith(b"PK\1\2", at) or at + _CENTRAL.size > len(directory):
            return
        fields = _CENTRAL.unpack_from(directory, at)
        flags, method, checksum, packed, size = fields[3], fields[4], *fields[7:10]
        name_bytes, extra_bytes, comment_bytes, attributes, offset = *fields[10:13], *fields[15:17]
        extra_at = at + _CENTRAL.size + name_bytes
        raw = directory[extra_at - name_bytes : extra_at]
        extra = directory[extra_at : extra_at + extra_bytes]
        name = decode_name(raw, flags, extra)
        if _UNSAFE.search(name):
            raise DataError(
                f"refused: entry {name!r} leads outside the folder that it is in, or has a zero"
                " byte in its name: the zip is damaged or made to deceive"
            )
        at = extra_at + extra_bytes + comment_bytes
        if 0xFFFFFFFF in (size, packed, offset):
            size, packed, offset = _read_zip64(extra, size, packed, offset)
        link = stat.S_ISLNK(attributes >> 16)
        offset = min(shift + offset, _FAR)
        yield (
            name,
            (
                offset,
                packed,
                size,
                checksum,
                zlib.crc32(raw),
                name_bytes,
                method,
                flags,
                link,
            ),
        )


def _read_zip64(extra: bytes, *values: int) -> Iterator[int]:
    """The values, those that did not fit into 32 bits taken from the extra field with that
    purpose.
    """
    field, at = _find_extra(extra, _ZIP64), 0
    for value in values:
        if value == 0xFFFFFFFF and at + 8 <= len(field):
            (value,) = struct.unpack_from("<Q", field, at)
            at += 8
        yield value


def _find_extra(extra: bytes, purpose: int) -> bytes:
    """The extra field with a purpose; empty if there is none."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == purpose:
            return extra[at + 4 : at + 4 + length]
        at += 4 + length
    return b""


def decode_name(name: bytes, flags: int, extra: bytes = b"") -> str:
    """An entry's name as text, with slashes between folders.

    It is Info-ZIP's Unicode path, if the extra fields have one for this name (APPNOTE, 4.6.9), and
    UTF-8 if it is valid as such, whether flagged or not, as most programs write it. Else it is code
    page 437, or has its bytes escaped if it was flagged as UTF-8. Backslashes, as of PowerShell 5,
    are slashes.
    """
    field = _find_extra(extra, _UNICODE_PATH)
    if field[:1] == b"\1" and field[1:5] == zlib.crc32(name).to_bytes(4, "little"):
        name, flags = field[5:], flags | _UTF8
    name = name.replace(b"\\", b"/")
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("utf-8", "backslashreplace") if flags & _UTF8 else name.decode("cp437")
