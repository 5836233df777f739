"""CSV and Parquet tables, from bytes that nobody has checked yet."""

import csv
import io
from collections import Counter
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from galaxyvotes.errors import DataError

__all__ = ["Table"]


@dataclass(frozen=True)
class Table:
    """One table's bytes, with the name that errors give it."""

    name: str
    data: bytes

    @property
    def is_parquet(self) -> bool:
        """Whether it is Parquet rather than CSV."""
        return self.data[:4] == b"PAR1"

    @property
    def first_line(self) -> int:
        """What a person calls the first row: line 2 of a CSV with a header, row 1 of anything else."""
        return 1 if self.is_parquet else 2

    def at(self, row: int) -> str:
        """Where a row stands, in words."""
        return f"{self.name} {'row' if self.is_parquet else 'line'} {row + self.first_line}"

    def header(self) -> list[str]:
        """The names of the columns; none twice."""
        try:
            if self.is_parquet:
                names = pq.read_schema(pa.BufferReader(self.data)).names
            else:
                end = self.data.find(b"\n")
                line = self.data[: end if end >= 0 else len(self.data)].decode("utf-8-sig")
                names = next(csv.reader(io.StringIO(line.rstrip("\r"))), [])
        except (pa.ArrowInvalid, UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"{self.name}: not a table: {error}") from None
        if not names or not any(names):
            raise DataError(f"{self.name} is empty: expected a header and one row a galaxy")
        for name, count in Counter(names).items():
            if count > 1:
                raise DataError(f"{self.name}: the column {name!r} is there {count} times; names must differ")
        return names

    def read(self) -> pa.Table:
        """All rows, types inferred; a table without rows is an error."""
        table = self._read(None)
        if table.num_rows == 0:
            raise DataError(f"{self.name} is empty: it has a header but no rows")
        return table

    def texts(self, column: str) -> list[str]:
        """One column as it is written, leading zeros and all; "" where it is empty."""
        values = self._read(column).column(column)
        if pa.types.is_floating(values.type):
            numbers = values.to_pylist()
            return ["" if v is None else str(int(v)) if float(v).is_integer() else repr(v) for v in numbers]
        if pa.types.is_nested(values.type) or pa.types.is_binary(values.type):
            return [""] * len(values)
        return [value or "" for value in values.cast(pa.string()).to_pylist()]

    def _read(self, as_text: str | None) -> pa.Table:
        self.header()
        try:
            if self.is_parquet:
                return pq.read_table(pa.BufferReader(self.data), columns=[as_text] if as_text else None)
            options = pacsv.ConvertOptions()
            if as_text:
                options = pacsv.ConvertOptions(include_columns=[as_text], column_types={as_text: pa.string()})
            return pacsv.read_csv(pa.BufferReader(self.data), convert_options=options)
        except pa.ArrowInvalid as error:
            raise DataError(f"{self.name}: not a table: {error}") from None
