"""A table of galaxies in any format, read in slices of rows.

FITS and Parquet may be larger than memory. Of all else (text, VOTable, ECSV, and what gzip has
packed) the whole is in memory.
"""

import io
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc

from galaxyvotes.errors import DataError
from galaxyvotes.runtime.object_store import open_file
from galaxyvotes.table_formats.fits_rows import FitsRows
from galaxyvotes.table_formats.from_astropy import from_astropy
from galaxyvotes.table_formats.parquet_rows import ParquetRows
from galaxyvotes.tables.astropy_tables import read_astropy, table_format
from galaxyvotes.tables.table import Table, unpacked

__all__ = ["MemoryRows", "Rows", "open_rows"]

_START = 16  # bytes that tell FITS and Parquet from all else


@dataclass(frozen=True)
class MemoryRows:
    """The rows of a table that is in memory."""

    name: str
    table: pa.Table

    @property
    def schema(self) -> pa.Schema:
        """The columns."""
        return self.table.schema

    @property
    def count(self) -> int:
        """The number of rows."""
        return self.table.num_rows

    def slices(self, size: int, start: int = 0) -> Iterator[pa.Table]:
        """So many rows at a time, from a row on."""
        for first in range(start, self.count, size):
            yield self.table[first : first + size]


Rows = FitsRows | ParquetRows | MemoryRows


@contextmanager
def open_rows(path: Path, *, as_text: bool = False) -> Generator[Rows]:
    """The rows of the table in a file, while the context lasts. `as_text` leaves the cells of a
    table of text as they are written.

    DataError if the file cannot be read, or if it holds no table, several, or one without rows.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open_file(path))
            rows = _rows(path.name, file, as_text=as_text)
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
        if not rows.count:
            raise DataError(f"{rows.name} is empty: it has a header but no rows")
        for name, count in Counter(cast("list[str]", rows.schema.names)).items():
            if count > 1:
                raise DataError(
                    f"{rows.name}: the column {name!r} is there {count} times; names must differ"
                )
        yield rows


def _rows(name: str, file: io.BufferedIOBase, *, as_text: bool) -> Rows:
    start = file.read(_START)
    file.seek(0)
    rows = None
    if start.startswith(b"SIMPLE  ="):
        rows = FitsRows.of(name, file)
    elif start.startswith(b"PAR1"):
        rows = ParquetRows.of(name, file)
    if rows is None:
        rows = _in_memory(name, unpacked(name, file.read()), as_text=as_text)
    return rows


def _in_memory(name: str, data: bytes, *, as_text: bool) -> Rows:
    if data.startswith(b"PAR1"):
        return ParquetRows.of(name, pa.BufferReader(data))
    kind = table_format(data)
    rows = FitsRows.of(name, io.BytesIO(data)) if kind == "fits" else None
    if rows is not None:
        return rows
    if kind is not None:
        return MemoryRows(name, read_astropy(name, data, kind, from_astropy))
    table = Table(name, data)
    names = table.header()
    if as_text:
        return MemoryRows(name, pa.table([table.text(each) for each in names], names=names))
    return MemoryRows(name, _with_leading_zeros(table, table.read()))


def _with_leading_zeros(table: Table, rows: pa.Table) -> pa.Table:
    """The rows with columns as they are written whose whole numbers begin with zeros, as ids do."""
    names = [field.name for field in rows.schema if pa.types.is_integer(field.type)]
    for name, words in zip(names, table.text_columns(names), strict=True):
        if pc.any(pc.match_substring_regex(words.texts, r"^\s*[+-]?0\d")).as_py():
            rows = rows.set_column(rows.schema.get_field_index(name), name, words.texts)
    return rows
