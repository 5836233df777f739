"""CSV and Parquet tables, from bytes that nobody has checked yet."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from galaxyvotes.errors import DataError

__all__ = ["Table"]

_TOGETHER = 32  # columns read as text at a time: surveys have hundreds, and text takes memory
# What readers raise at bytes that are not a table.
_BROKEN = (pa.ArrowException, OSError, UnicodeDecodeError, csv.Error)


@dataclass(frozen=True)
class Table:
    """One table's bytes, with the name that errors give it."""

    name: str
    data: bytes

    @property
    def is_parquet(self) -> bool:
        """Whether it is Parquet rather than CSV."""
        return self.data[:4] == b"PAR1"

    def at(self, row: int) -> str:
        """Where a row stands, as a person counts: the line of a CSV, the row of anything else."""
        if self.is_parquet:
            return f"{self.name} row {row + 1}"
        line = row + 2
        with suppress(csv.Error):
            line, _ = next(islice(self._lines(), row + 1, None))
        return f"{self.name} line {line}"

    def header(self) -> list[str]:
        """The names of the columns; DataError for an empty or damaged file, and for a name that is
        there twice.
        """
        try:
            if self.is_parquet:
                names = pq.read_schema(pa.BufferReader(self.data)).names
            else:
                _, names = next(self._lines(), (1, [""]))
        except _BROKEN as error:
            raise DataError(f"{self.name}: not a table: {error}") from None
        if not any(names):
            raise DataError(f"{self.name} is empty: expected a header and one row a galaxy")
        if any(
            "\udc80" <= letter <= "\udcff" for letter in "".join(names)
        ):  # bytes that are no text
            raise DataError(
                f"{self.name}: the header is not UTF-8 text; save the table as CSV in UTF-8"
            )
        if len(names) == 1 and (other := next((mark for mark in ";\t" if mark in names[0]), None)):
            raise DataError(f"{self.name}: columns are separated by {other!r}; expected a comma")
        for name, count in Counter(names).items():
            if count > 1:
                raise DataError(
                    f"{self.name}: the column {name!r} is there {count} times; names must differ"
                )
        return names

    def read(self) -> pa.Table:
        """All rows, types inferred; DataError if there are none or the file is damaged."""
        table = self._read(None)
        if table.num_rows == 0:
            raise DataError(self._no_rows)
        return table

    def texts(self, column: str) -> list[str]:
        """One column as it is written, leading zeros and all; "" if empty. DataError as `read`."""
        return self.text(column).to_pylist()

    def text(self, column: str) -> pa.ChunkedArray:
        """The same as an Arrow array."""
        return next(self.text_columns([column]))

    def text_columns(self, names: Sequence[str]) -> Iterator[pa.ChunkedArray]:
        """Columns as they are written, a few of them in memory at a time; DataError as `read`."""
        for start in range(0, len(names), _TOGETHER):
            yield from map(_as_text, self._read(names[start : start + _TOGETHER]).columns)

    def _read(self, as_text: Sequence[str] | None) -> pa.Table:
        header = self.header()
        try:
            if self.is_parquet:
                return pq.read_table(pa.BufferReader(self.data), columns=as_text)
            options = pacsv.ConvertOptions()
            if as_text:
                types = dict.fromkeys(as_text, pa.large_string())
                options = pacsv.ConvertOptions(include_columns=as_text, column_types=types)
            return pacsv.read_csv(pa.BufferReader(self.data), convert_options=options)
        except _BROKEN as error:
            problem = f"{self.name}: not a table: {error}"
            with suppress(csv.Error):
                cells = [] if self.is_parquet else [(line, len(row)) for line, row in self._lines()]
                if len(cells) == 1:
                    problem = self._no_rows
                elif broken := [cell for cell in cells if cell[1] != len(header)]:
                    line, count = broken[0]
                    problem = (
                        f"{self.name} line {line} has {count} cells and the header {len(header)}"
                    )
            raise DataError(problem) from None

    @property
    def _no_rows(self) -> str:
        return f"{self.name} is empty: it has a header but no rows"

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        """Each row of a CSV, the header first, with the number of the line it begins at; blank
        lines are no rows.
        """
        reader = csv.reader(
            io.TextIOWrapper(
                io.BytesIO(self.data), "utf-8-sig", errors="surrogateescape", newline=""
            )
        )
        line = 1
        for cells in reader:
            if cells:
                yield line, cells
            line = reader.line_num + 1


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_floating(column.type):  # whole numbers with gaps, as pandas writes them
        numbers = column.to_pylist()
        texts = [
            "" if v is None or v != v else str(int(v)) if v.is_integer() else repr(v)
            for v in numbers
        ]
        return pa.chunked_array([pa.array(texts, pa.large_string())])
    try:
        return column.cast(pa.large_string()).fill_null("")
    except pa.ArrowException:  # lists and the like, or bytes that are no text
        return pa.chunked_array([pa.array([""] * len(column), pa.large_string())])
