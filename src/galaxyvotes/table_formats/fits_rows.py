"""The rows of a FITS binary table, in slices: memory holds one, whatever the file's size.

Each slice is read as a FITS file of its own, with the header of the whole and some of its rows, so
astropy reads it (`Table.read` would read all of a file). Rows are read and not mapped, because a
file that is cut short while it is mapped ends the process. The heap, which holds arrays of various
lengths, is in every slice.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from io import BufferedIOBase
from typing import Any

import pyarrow as pa

from galaxyvotes.errors import DataError
from galaxyvotes.runtime.quiet import quiet
from galaxyvotes.table_formats.columns import column, fact, with_meta
from galaxyvotes.table_formats.from_astropy import from_astropy
from galaxyvotes.tables.astropy_tables import STRUCTURE, check_single, read_astropy, simple

__all__ = ["FitsRows"]

_BLOCK = 2880
_FACTS = {"TCOMM": "description", "TUNIT": "unit", "TUCD": "ucd", "TUTYP": "utype",
          "TDISP": "display"}  # fmt: skip


@dataclass(frozen=True)
class FitsRows:
    """The one binary table of a file, which stays open; `name` is what errors call it."""

    name: str
    file: BufferedIOBase
    header: Any  # astropy's
    start: int  # of the rows in the file

    @staticmethod
    def of(name: str, file: BufferedIOBase) -> "FitsRows | None":
        """The rows of a file's table; None if that is one of text, which no large one is.

        DataError if the file is damaged, cut short, or holds no table or several.
        """
        fits: Any = import_module("astropy.io.fits")
        try:
            with quiet():
                units = fits.open(file, memmap=False, disable_image_compression=True)
                kinds = (fits.BinTableHDU, fits.TableHDU)
                tables = [unit for unit in units if isinstance(unit, kinds)]
                check_single(name, len(tables))
                header, start = tables[0].header.copy(), int(tables[0].fileinfo()["datLoc"])
        except DataError:
            raise
        except Exception as error:  # astropy's parsers raise nearly anything on hostile bytes
            raise DataError(f"{name}: not a table: {error}") from None
        if isinstance(tables[0], fits.TableHDU):
            return None
        rows = FitsRows(name, file, header, start)
        end = start + rows.count * rows.row_bytes + int(header["PCOUNT"])
        if file.seek(0, os.SEEK_END) < end:
            raise DataError(
                f"{name} is cut short: it has {file.tell():,} bytes, and its header says that the"
                f" table ends at {end:,}: get it again"
            )
        return rows

    @property
    def count(self) -> int:
        """The number of rows."""
        return int(self.header["NAXIS2"])

    @property
    def row_bytes(self) -> int:
        """The size of a row."""
        return int(self.header["NAXIS1"])

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns; DataError if they cannot be read."""
        return self._read(0, min(1, self.count)).schema

    def slices(self, size: int, start: int = 0) -> Iterator[pa.Table]:
        """So many rows at a time, from a row on; DataError if they cannot be read."""
        for first in range(start, self.count, size):
            yield self._read(first, min(first + size, self.count)).cast(self.schema)

    def _read(self, start: int, stop: int) -> pa.Table:
        return read_astropy(self.name, self._file_of(start, stop), "fits", self._with_facts)

    def _file_of(self, start: int, stop: int) -> bytes:
        """A FITS file with these rows and all arrays of various lengths."""
        fits: Any = import_module("astropy.io.fits")
        header = self.header.copy()
        header["NAXIS2"] = stop - start
        data = self._bytes(self.start + start * self.row_bytes, (stop - start) * self.row_bytes)
        if self._heap_bytes:
            gap = int(header.get("THEAP", self.count * self.row_bytes))
            header["PCOUNT"], header["THEAP"] = self._heap_bytes, len(data)
            data += self._bytes(self.start + gap, self._heap_bytes)
        else:
            header["PCOUNT"] = 0
        headers = fits.PrimaryHDU().header.tostring() + header.tostring()
        return headers.encode("ascii") + data + bytes(-len(data) % _BLOCK)

    @property
    def _heap_bytes(self) -> int:
        """The size of the heap, without the gap in front of it."""
        rows = self.count * self.row_bytes
        return int(self.header["PCOUNT"]) - (int(self.header.get("THEAP", rows)) - rows)

    def _bytes(self, start: int, size: int) -> bytes:
        self.file.seek(start)
        data = self.file.read(size)
        if len(data) < size:
            raise DataError(f"{self.name} has become shorter while it was read")
        return data

    def _with_facts(self, table: Any) -> pa.Table:
        """The rows with what the header says of each column, and of the table."""
        rows = from_astropy(table)
        fields = [self._field(field, number) for number, field in enumerate(rows.schema, 1)]
        cards = {str(card.keyword): card.value for card in self.header.cards}
        meta = {
            name: value
            for name, value in cards.items()
            if simple(value) and not STRUCTURE.fullmatch(name)
        }
        return pa.table(rows.columns, schema=with_meta(pa.schema(fields), meta))

    def _field(self, field: pa.Field, number: int) -> pa.Field:
        facts = {key: fact(field, key) for key in ("shape", "width", "complex")}
        for key, name in _FACTS.items():
            facts[name] = str(self.header.get(f"{key}{number}", "")).strip()
        if (null := self.header.get(f"TNULL{number}")) is not None and pa.types.is_integer(
            field.type
        ):
            facts["null"] = str(int(null) + int(self.header.get(f"TZERO{number}", 0)))
        return column(field.name, field.type, **facts)
