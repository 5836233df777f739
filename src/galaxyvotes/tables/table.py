"""Tables in any format that people have, from bytes that nobody has checked yet.

Parquet, text divided by commas, tabs, semicolons, bars or spaces (`text_tables`), and what astropy
reads (`astropy_tables`), each as it is or packed by gzip. Which of these a table is, its first
bytes say, and not its name.
"""

import gzip
import io
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from galaxyvotes.errors import DataError
from galaxyvotes.runtime.files import given_path
from galaxyvotes.runtime.object_store import open_file
from galaxyvotes.tables.astropy_tables import read_columns, table_facts, table_format
from galaxyvotes.tables.cells import (
    LARGEST_WHOLE,
    rewrite,
    unfit_as_ids,
    values_a_row,
    without_point,
)
from galaxyvotes.tables.text_tables import TextTable

__all__ = ["Table", "Words", "unpacked"]

_TOGETHER = 2**26  # bytes of columns read as text at a time, which takes memory; 32 at least
_MAX_BYTES = 2**32  # of a table that gzip has packed
_MAX_RATIO = 1_000  # unpacked to packed size, of tables over a mebibyte
_MIB = 2**20
_BROKEN = (pa.ArrowException, OSError, UnicodeDecodeError)  # what Arrow raises at bad bytes


class Words(NamedTuple):
    """A column as texts, and why it cannot be one of ids, if it cannot."""

    texts: pa.ChunkedArray
    unfit: str = ""


@dataclass(frozen=True)
class Table:
    """One table's bytes, with the name that errors give it; or some of its rows, of which the first
    is the `first_row`, from 0.
    """

    name: str
    data: bytes | pa.Table
    first_row: int = 0

    @staticmethod
    def open(path: str | Path) -> "Table":
        """The table in a file; DataError if it cannot be read."""
        path = given_path(path)
        try:
            with open_file(path) as file:
                return Table(str(path), file.read())
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}") from None

    def at(self, row: int) -> str:
        """Where a row stands, as a person counts: the line of a text, the row of anything else.

        DataError as `header`.
        """
        if isinstance(self._content, TextTable):
            return f"{self.name} line {self._content.line(row) or row + 2}"
        return f"{self.name} row {self.first_row + row + 1}"

    def header(self) -> list[str]:
        """The names of the columns; DataError for an empty or damaged file, and for a name that is
        there twice.
        """
        return self._header

    @property
    def facts(self) -> dict[str, str]:
        """What the file says in words of the whole table, by names in lower case; nothing if that
        cannot be read. DataError as `read`.
        """
        return table_facts(self.read().schema)

    def read(self) -> pa.Table:
        """All rows, types inferred; whole numbers that no type holds stay as they are written.

        DataError if there are none or the file is damaged.
        """
        header, content = self.header(), self._content
        table = content.read() if isinstance(content, TextTable) else self._read(header)
        if table.num_rows == 0:
            raise DataError(f"{self.name} is empty: it has a header but no rows")
        if isinstance(content, TextTable):
            return self._with_long_numbers(table)
        return _readable(table)

    def texts(self, column: str) -> list[str]:
        """One column as `text` has it, for ids: DataError, too, if these are floats that have lost
        digits.
        """
        values = next(self._columns([column]))
        if values.type in LARGEST_WHOLE and (lost := unfit_as_ids(values)) is not None:
            raise DataError(self._lost_digits(column, *lost))
        return self.text(column).to_pylist()

    def text(self, column: str) -> pa.ChunkedArray:
        """One column as it is written, leading zeros and all; "" if empty.

        DataError as `read`, and for bytes that are no text.
        """
        texts = self._texts(column, next(self._columns([column])))
        if isinstance(texts, str):
            raise DataError(texts)
        return texts

    def text_columns(self, names: Sequence[str]) -> Iterator[Words]:
        """Columns as they are written, a few of them in memory at a time; DataError as `read`.

        A column that cannot be one of ids has the reason, and may be empty.
        """
        for name, column in zip(names, self._columns(names), strict=True):
            texts = self._texts(name, column)
            if isinstance(texts, str):
                yield Words(pa.chunked_array([[""] * len(column)], pa.large_string()), texts)
                continue
            lost = unfit_as_ids(column if column.type in LARGEST_WHOLE else texts)
            yield Words(texts, "" if lost is None else self._lost_digits(name, *lost))

    # ---- what it is read from

    @cached_property
    def _content(self) -> TextTable | pa.Table | bytes:
        """The table, or its bytes if it is Parquet, whose columns are read when they are needed."""
        if not isinstance(self.data, bytes):
            return self.data
        data = unpacked(self.name, self.data)
        if data.startswith(b"PAR1"):
            return data
        if (kind := table_format(data)) is not None:
            return read_columns(self.name, data, kind)
        try:
            return TextTable(self.name, data)
        except DataError as error:
            named = str(error).startswith(self.name)
            raise error if named else DataError(f"{self.name} {error}") from None

    @cached_property
    def _header(self) -> list[str]:
        names = self._names()
        if not any(names):
            raise DataError(f"{self.name} is empty: expected a header and one row a galaxy")
        for name, count in Counter(names).items():
            if count > 1:
                raise DataError(
                    f"{self.name}: the column {name!r} is there {count} times; names must differ"
                )
        return names

    def _names(self) -> list[str]:
        content = self._content
        if isinstance(content, TextTable):
            return content.names
        if not isinstance(content, bytes):
            return content.column_names
        try:
            return pq.read_schema(pa.BufferReader(content)).names
        except _BROKEN as error:
            raise DataError(f"{self.name}: not a table: {error}") from None

    def _read(self, names: Sequence[str]) -> pa.Table:
        """Columns by their names; of a text, as the bytes that are written there."""
        content = self._content
        try:
            if isinstance(content, TextTable):
                return content.read(names)
            if isinstance(content, bytes):
                # Not `read_table`: its scanner may free the bytes in a thread of its own while the
                # interpreter ends, which aborts it.
                file = pq.ParquetFile(pa.BufferReader(content), pre_buffer=False)
                return file.read(columns=list(names), use_threads=False)
            return content.select(list(names))
        except _BROKEN as error:
            raise DataError(f"{self.name}: not a table: {error}") from None

    def _columns(self, names: Sequence[str]) -> Iterator[pa.ChunkedArray]:
        size = len(self.data) if isinstance(self.data, bytes) else int(self.data.nbytes)
        columns = max(32, len(self._header) * _TOGETHER // max(size, 1))
        for start in range(0, len(names), columns):
            part = names[start : start + columns]
            table = self._read(part)
            if table.num_rows == 0:
                raise DataError(f"{self.name} is empty: it has a header but no rows")
            yield from (table.column(name) for name in part)

    # ---- columns as texts

    def _texts(self, name: str, column: pa.ChunkedArray) -> pa.ChunkedArray | str:
        """A column as texts, or where it is not UTF-8."""
        if pa.types.is_floating(column.type):  # whole numbers with gaps, as pandas writes them
            limit = LARGEST_WHOLE[column.type]
            texts = [_float_as_text(value, limit) for value in column.to_pylist()]
            return pa.chunked_array([pa.array(texts, pa.large_string())])
        if pa.types.is_nested(column.type):
            return (
                f"{self.name}: the column {name!r} holds {values_a_row(column.type)} a row: save"
                " the one that is meant as a column of its own"
            )
        try:
            if _is_text(column.type):
                column = column.cast(pa.large_binary())  # so that UTF-8 is checked
            texts = column.cast(pa.large_string()).fill_null("")
        except pa.ArrowException:
            row = _first_not_utf8(column)
            if row is None:
                return pa.chunked_array([[""] * len(column)], pa.large_string())
            value = column[row].as_py()
            return (
                f"{self.at(row)}: {name} is {value!r}, which is not UTF-8 text: save the table in"
                " UTF-8"
            )
        return rewrite(texts, without_point) if pa.types.is_decimal(column.type) else texts

    def _lost_digits(self, name: str, row: int, number: str) -> str:
        return (
            f"{self.at(row)}: {name} is {number}, a float, which holds 16 digits at most, so ids"
            " have lost their last digits: write the column as whole numbers or as text"
        )

    def _with_long_numbers(self, table: pa.Table) -> pa.Table:
        """The same, with columns of whole numbers beyond 64 bits as texts instead of floats."""
        for place, name in enumerate(table.column_names):
            column = table.column(place)
            if column.type != pa.float64() or not _any_above(column, 2**53):
                continue
            texts = self.text(name)
            if pc.all(pc.match_substring_regex(texts, r"^\s*[+-]?\d*\s*$")).as_py():
                table = table.set_column(place, name, texts)
        return table


def unpacked(name: str, data: bytes) -> bytes:
    """The bytes that gzip has packed, or the bytes as they are; DataError if they are damaged, or
    too many.
    """
    if not data.startswith(b"\x1f\x8b"):
        return data
    parts, left = list[bytes](), min(_MAX_BYTES, max(_MIB, _MAX_RATIO * len(data)))
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            while left >= 0 and (part := file.read(_MIB)):  # read at once, it reserves all of it
                parts.append(part)
                left -= len(part)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{name}: is damaged: it cannot be unpacked ({error})") from None
    if left < 0:
        raise DataError(
            f"{name}: unpacks to more than {_MAX_BYTES:,} bytes, or to over {_MAX_RATIO:,} times"
            " its size: refused"
        )
    return b"".join(parts)


def _float_as_text(value: float | None, limit: int) -> str:
    if value is None or value != value:
        return ""
    return str(int(value)) if value.is_integer() and abs(value) < limit else repr(value)


def _any_above(column: pa.ChunkedArray, limit: int) -> bool:
    return bool(pc.any(pc.greater_equal(pc.abs(column), limit)).as_py())


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _first_not_utf8(column: pa.ChunkedArray) -> int | None:
    """The first row of bytes that are not UTF-8; None if the column does not hold bytes."""
    if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        return None
    for row, value in enumerate(cast("list[bytes | None]", column.to_pylist())):
        try:
            (value or b"").decode()
        except UnicodeDecodeError:
            return row
    return None


def _readable(table: pa.Table) -> pa.Table:
    """The same, with columns of texts that are not UTF-8 as bytes, which can be read."""
    for place, name in enumerate(table.column_names):
        column = table.column(place)
        if _is_text(column.type):
            as_bytes = column.cast(pa.large_binary())
            try:
                as_bytes.cast(pa.large_string())
            except pa.ArrowException:
                table = table.set_column(place, name, as_bytes)
    return table
