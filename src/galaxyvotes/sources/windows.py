"""Ranges of bytes that are read at any offset, by any number of threads.

- `Window`: a range of a file that stays open
- `Inflated`: what a deflate stream in a window unpacks to. Such a stream can only be read forwards,
  so it is inflated once when it is opened, and the state of the decompressor is kept at up to 256
  places (some 60 kB each) to start again from. Reading in the order of offsets goes straight on
  from the last read; any other order costs up to 1/256 of the stream (at least 1 MiB) a read.
"""

import os
import threading
import zlib
from bisect import bisect_right
from io import FileIO
from operator import attrgetter
from typing import NamedTuple

from galaxyvotes.errors import DataError

__all__ = ["Inflated", "Window"]

_MIB = 2**20
_BLOCK_BYTES = 32_768
_IDLE_CURSORS = 8


class Window(NamedTuple):
    """A range of bytes of an open file."""

    file: FileIO
    start: int
    size: int

    def stat(self) -> os.stat_result:
        """The size and time of the whole file."""
        return os.fstat(self.file.fileno())

    def read(self, offset: int, count: int) -> bytes:
        """The `count` bytes from an offset on; DataError if the file is closed or ends before."""
        if self.file.closed:
            raise DataError("cannot be read: its source has been closed")
        position, data = self.start + offset, b""
        while len(data) < count:  # once, but for more than 2 GiB
            more = os.pread(self.file.fileno(), count - len(data), position + len(data))
            if not more:
                raise DataError(
                    f"the file ends at byte {position + len(data):,}, in the middle of an entry"
                )
            data = data + more if data else more
        return data


class _Cursor:
    """A position in a deflate stream, to read on from."""

    def __init__(self, packed: Window) -> None:
        self._packed = packed
        self._fed = 0
        self._inflater = zlib.decompressobj(-15)
        self.position = 0

    def copy(self) -> "_Cursor":
        copy = _Cursor(self._packed)
        copy._fed, copy._inflater, copy.position = self._fed, self._inflater.copy(), self.position
        return copy

    def read(self, count: int) -> bytes:
        pieces: list[bytes] = []
        while count > 0:
            block = self._inflater.unconsumed_tail or self._next_block()
            piece = self._inflater.decompress(block, count)
            if not piece and (self._inflater.eof or not block):
                raise DataError(
                    "unpacks to fewer bytes than it declares: it is damaged or cut short"
                )
            pieces.append(piece)
            count -= len(piece)
            self.position += len(piece)
        return b"".join(pieces)

    def _next_block(self) -> bytes:
        block = self._packed.read(self._fed, min(_BLOCK_BYTES, self._packed.size - self._fed))
        self._fed += len(block)
        return block

    def skip_to(self, position: int) -> None:
        while self.position < position:
            self.read(min(_MIB // 4, position - self.position))


class Inflated:
    """What a deflate stream unpacks to."""

    def __init__(self, packed: Window, size: int) -> None:
        """Inflate it once; DataError if it has fewer than `size` bytes, zlib.error if damaged."""
        self.size = size
        self.stat = packed.stat
        self._lock = threading.Lock()
        self._idle: list[_Cursor] = []
        cursor = _Cursor(packed)
        self._starts = [cursor.copy()]
        while cursor.position < size:
            cursor.skip_to(min(size, cursor.position + max(_MIB, size // 256)))
            self._starts.append(cursor.copy())

    def read(self, offset: int, count: int) -> bytes:
        """The `count` bytes from an offset on; DataError or zlib.error as when it was opened."""
        cursor = self._take_cursor(offset)
        cursor.skip_to(offset)
        data = cursor.read(count)
        with self._lock:
            self._idle = [*self._idle[1 - _IDLE_CURSORS :], cursor]
        return data

    def _take_cursor(self, offset: int) -> _Cursor:
        """The nearest cursor before an offset: one that no thread uses, or a copy of a start."""
        position = attrgetter("position")
        with self._lock:  # held to choose a cursor only: several threads inflate at once
            start = self._starts[bisect_right(self._starts, offset, key=position) - 1]
            idle = [cursor for cursor in self._idle if cursor.position <= offset]
            cursor = max(idle, key=position, default=start)
            if cursor.position > start.position:
                self._idle.remove(cursor)
                return cursor
            return start.copy()
