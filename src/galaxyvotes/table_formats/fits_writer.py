"""A table as a FITS binary table, written part by part.

astropy puts descriptions of columns into comments, where no other program looks for them. Here they
stand in TCOMMn, as TOPCAT and STILTS write and read them, and UCDs in TUCDn. Values are as the
standard has them (FITS 4.0, section 7.3): unsigned whole numbers by TZEROn, unknown ones by TNULLn,
unknown truth values by a zero byte, arrays of various lengths in the heap behind the rows.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from galaxyvotes.errors import DataError
from galaxyvotes.table_formats.columns import (
    elements,
    fact,
    meta_of,
    plain,
    plain_schema,
    shape_of,
    single,
)

if TYPE_CHECKING:
    from astropy.io.fits import Header

__all__ = ["write_fits"]

_BLOCK = 2880
_MOST_COLUMNS = 999  # TFIELDS has three digits
_HEAP_LIMIT = 2**31  # bytes that the short descriptor of an array reaches
_CODES = {
    pa.bool_(): "L",
    pa.uint8(): "B",
    pa.int8(): "I",  # FITS has no signed byte, and few programs read one that is shifted
    pa.int16(): "I",
    pa.uint16(): "I",
    pa.int32(): "J",
    pa.uint32(): "J",
    pa.int64(): "K",
    pa.uint64(): "K",
    pa.float32(): "E",
    pa.float64(): "D",
}
_STORED = {"L": "u1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}
_ZEROS = {pa.uint16(): 2**15, pa.uint32(): 2**31, pa.uint64(): 2**63}


@dataclass
class _Column:
    """A column of the file: how its cells are stored, and what the rows have shown so far."""

    field: pa.Field
    shape: tuple[int, ...]
    element: pa.DataType
    is_list: bool = False
    width: int = 1  # of the longest text, in bytes
    unknown: int = 0  # cells
    smallest: int = 0
    largest: int = 0
    longest: int = 0  # elements of a list
    heap: int = 0  # bytes of all lists
    null: int | None = None

    @staticmethod
    def of(each: pa.Field) -> "_Column":
        shape, element = shape_of(each)
        is_list = pa.types.is_large_list(element)
        width = int(fact(each, "width") or 1)
        return _Column(each, shape, element.value_type if is_list else element, is_list, width)

    @property
    def is_text(self) -> bool:
        return self.element in (pa.large_string(), pa.large_binary())

    @property
    def is_integer(self) -> bool:
        return pa.types.is_integer(self.element)

    @property
    def code(self) -> str:
        return "A" if self.is_text else _CODES[self.element]

    @property
    def count(self) -> int:
        """Elements a cell."""
        return int(np.prod(self.shape, dtype=int))

    @property
    def stored(self) -> Any:
        """The type of a cell in the rows."""
        if self.is_list:
            return (">i8" if self.is_long else ">i4", (2,))
        kind = f"S{self.width}" if self.is_text else _STORED[self.code]
        return (kind, self.shape) if self.shape else kind

    @property
    def is_long(self) -> bool:
        return self.heap >= _HEAP_LIMIT

    def measure(self, values: pa.Array) -> None:
        """Take note of what decides how the column is stored."""
        if self.is_list:
            lengths = pc.fill_null(pc.list_value_length(values), 0)
            self.longest = max(self.longest, pc.max(lengths).as_py() or 0)
            self.heap += np.dtype(_STORED[self.code]).itemsize * (pc.sum(lengths).as_py() or 0)
            return
        flat = elements(values)
        if self.is_text:
            self.width = max(self.width, pc.max(pc.binary_length(flat)).as_py() or 0)
        elif self.is_integer:
            self.unknown += flat.null_count
            ends = pc.min_max(flat).as_py()
            self.smallest = min(self.smallest, ends["min"] or 0)
            self.largest = max(self.largest, ends["max"] or 0)

    def choose_null(self, name: str) -> None:
        """Choose the number that stands for unknown ones: the column's own, or one that it does not
        have; DataError if it has all.
        """
        if not (self.is_integer and self.unknown):
            return
        ends = np.iinfo(self.element.to_pandas_dtype())
        # astropy cannot read a table in which that of unsigned numbers is negative as it is stored.
        own = "" if self.element in _ZEROS else fact(self.field, "null")
        least, most = int(ends.min), int(ends.max)
        if own and least <= int(own) <= most:
            self.null = int(own)
        elif self.smallest > least:
            self.null = least
        elif self.largest < most:
            self.null = most
        else:
            raise DataError(
                f"{name}: column {self.field.name!r} has unknown values, and every number of its"
                " type stands for another already: write .parquet"
            )

    def cards(self, number: int) -> Iterator[tuple[str, Any]]:
        """The header's cards about the column."""
        yield f"TTYPE{number}", _ascii(self.field.name)
        yield f"TFORM{number}", self._form
        if len(self.shape) > 1 or (self.shape and self.is_text):
            axes = [*([self.width] if self.is_text else []), *reversed(self.shape)]
            if self._is_complex:
                axes = axes[1:]
            if len(axes) > 1:
                yield f"TDIM{number}", f"({','.join(map(str, axes))})"
        if (zero := _ZEROS.get(self.element)) is not None:
            yield f"TSCAL{number}", 1
            yield f"TZERO{number}", zero
        if self.null is not None:
            yield f"TNULL{number}", self.null - _ZEROS.get(self.element, 0)
        known = {"TUNIT": "unit", "TDISP": "display", "TCOMM": "description", "TUCD": "ucd"}
        for key, name in known.items():
            if value := fact(self.field, name):
                yield f"{key}{number}", _ascii(value)

    @property
    def _is_complex(self) -> bool:
        return bool(fact(self.field, "complex")) and self.shape[-1:] == (2,)

    @property
    def _form(self) -> str:
        if self.is_list:
            return f"1{'Q' if self.is_long else 'P'}{self.code}({self.longest})"
        if self.is_text:
            return f"{self.width * self.count}A"
        if self._is_complex:
            return f"{self.count // 2}{'C' if self.code == 'E' else 'M'}"
        return f"{self.count}{self.code}"

    def pack(self, values: pa.Array) -> np.ndarray:
        """Cells as they are stored; of lists, the elements, one cell after the other."""
        flat = values.flatten() if self.is_list else elements(values)
        if self.is_text:
            packed = np.array(pc.fill_null(flat.cast(pa.large_binary()), b"").to_pylist(), "S")
            packed = packed.astype(f"S{self.width}")
        elif self.code == "L":
            known = pc.fill_null(pc.if_else(flat, pa.scalar(84, "u1"), pa.scalar(70, "u1")), 0)
            packed = known.to_numpy(zero_copy_only=False)  # the letters T and F
        elif self.is_integer:
            known = pc.fill_null(flat, self.null or 0).to_numpy(zero_copy_only=False)
            packed = _shifted(known, self.element)
        else:
            packed = pc.fill_null(flat, np.nan).to_numpy(zero_copy_only=False)
        return packed if self.is_list else packed.reshape(len(values), *self.shape)


def write_fits(path: Path, schema: pa.Schema, parts: Iterable[pa.Table]) -> None:
    """Write a table to a new file; `parts` are gone through twice, because the header says how wide
    texts are.

    DataError for a column that FITS does not have, and for more than 999.
    """
    schema = plain_schema(schema, path.name)
    if len(schema) > _MOST_COLUMNS:
        raise DataError(
            f"{path.name}: {len(schema):,} columns; a FITS table has {_MOST_COLUMNS} at most: write"
            " .parquet"
        )
    columns, rows = [_Column.of(each) for each in schema], 0
    for part in parts:
        rows += len(part)
        for column, values in zip(columns, plain(part, schema).itercolumns(), strict=True):
            column.measure(single(values))
    for column in columns:
        column.choose_null(path.name)
    row = np.dtype({
        "names": [f"c{number}" for number in range(len(columns))],
        "formats": [column.stored for column in columns],
    })  # fmt: skip
    heap = sum(column.heap for column in columns)
    with path.open("wb") as file:
        file.write(_headers(columns, rows, row.itemsize, heap, meta_of(schema)))
        start = file.tell()
        _write_rows(file, row, columns, (plain(part, schema) for part in parts), rows)
        file.seek(start + rows * row.itemsize + heap)
        file.write(bytes(-(rows * row.itemsize + heap) % _BLOCK))


def _write_rows(
    file: BinaryIO, row: np.dtype, columns: list[_Column], parts: Iterable[pa.Table], rows: int
) -> None:
    at, heap_at = file.tell(), 0
    heap_start = at + rows * row.itemsize
    for part in parts:
        packed = np.zeros(len(part), row)
        for name, column, values in zip(row.names or (), columns, part.itercolumns(), strict=True):
            cells = single(values)
            if not column.is_list:
                packed[name] = column.pack(cells)
                continue
            arrays = column.pack(cells).astype(_STORED[column.code])
            lengths = pc.fill_null(pc.list_value_length(cells), 0).to_numpy(zero_copy_only=False)
            packed[name][:, 0] = lengths
            packed[name][:, 1] = heap_at + (np.cumsum(lengths) - lengths) * arrays.itemsize
            file.seek(heap_start + heap_at)
            file.write(arrays.tobytes())
            heap_at += arrays.nbytes
        file.seek(at)
        file.write(packed.tobytes())
        at += packed.nbytes


# ---- the header


def _headers(
    columns: list[_Column], rows: int, row_bytes: int, heap: int, meta: dict[str, Any]
) -> bytes:
    """The header of an empty image, which begins every FITS file, and that of the table."""
    from astropy.io import fits

    header = fits.Header()
    structure = {
        "XTENSION": ("BINTABLE", "binary table"),
        "BITPIX": (8, "bytes"),
        "NAXIS": (2, "rows and columns"),
        "NAXIS1": (row_bytes, "bytes a row"),
        "NAXIS2": (rows, "rows"),
        "PCOUNT": (heap, "bytes of arrays of various lengths"),
        "GCOUNT": (1, "one group"),
        "TFIELDS": (len(columns), "columns"),
    }
    for key, card in structure.items():
        header[key] = card
    for number, column in enumerate(columns, 1):
        for key, value in column.cards(number):
            header[key] = value
    _add_meta(header, meta)
    primary = cast("Header", fits.PrimaryHDU().header)
    return (primary.tostring() + header.tostring()).encode("ascii")


def _add_meta(header: "Header", meta: dict[str, Any]) -> None:
    """Add cards about the table, under the first eight letters of each name."""
    for name, value in meta.items():
        key = "".join(c for c in name.upper() if c.isascii() and (c.isalnum() or c in "-_"))[:8]
        if not key or key in header:
            continue
        if isinstance(value, bool | int | float) and np.isfinite(value):
            header[key] = value
        elif isinstance(value, str):
            header[key] = _ascii(value)


# ---- values


def _shifted(values: np.ndarray, dtype: pa.DataType) -> np.ndarray:
    """Whole numbers less TZERO, as numbers of FITS's own type."""
    if dtype not in _ZEROS:
        return values
    top = values.dtype.type(1 << (8 * values.dtype.itemsize - 1))
    return (values ^ top).view(f"i{values.dtype.itemsize}")


def _ascii(text: str) -> str:
    """Text for a card, which has printable ASCII only."""
    return "".join(c if " " <= c <= "~" else c.encode("unicode_escape").decode() for c in text)
