"""Cells in quotes that go on over several lines, and quotes that were never meant so.

A quote that is opened by mistake (5" is five arc seconds) makes one cell of all rows up to the next
quote, or to the end, and no reader of CSV complains.
"""

import csv
import io
from collections.abc import Iterator, Sequence

from galaxyvotes.errors import DataError

__all__ = ["check_quotes", "may_span_lines"]


def may_span_lines(data: bytes) -> bool:
    """Whether some line has an odd number of quotes, as where a cell goes on in the next line."""
    return b'"' in data and any(line.count(b'"') % 2 for line in io.BytesIO(data))


def check_quotes(name: str, data: bytes, delimiter: str, *, skipped: int) -> None:
    """Raise a DataError, naming the line, if a cell in quotes ends nowhere, or ends where no cell
    does, or if rows that are whole by themselves are in it.

    `skipped` lines stood before the text.
    """
    record, columns, line = list[str](), 0, 1
    reader = csv.reader(_noting(data, record), delimiter=delimiter)
    while True:
        try:
            cells = next(reader, None)
            joined = len(record) > 1 and _is_joined(record, delimiter, columns)
        except csv.Error:  # a cell that is too long
            cells, joined = None, True
        if joined:
            raise DataError(
                f'{name} line {line + skipped}: a quote (") is opened here that does not end where'
                f" its cell does, so that it joins lines: close it, or leave it out"
            )
        if cells is None:
            return
        columns, line = columns or len(cells), reader.line_num + 1
        record.clear()


def _noting(data: bytes, record: list[str]) -> Iterator[str]:
    """The lines of a text, each of which is noted when it is read."""
    text = io.TextIOWrapper(io.BytesIO(data), "utf-8", errors="surrogateescape", newline="")
    for line in text:
        record.append(line)
        yield line


def _is_joined(record: Sequence[str], delimiter: str, columns: int) -> bool:
    """Whether the lines of one row are none: as its quotes are not in pairs around cells, or as
    each line has as many cells as the header.
    """
    try:
        list(csv.reader(record, delimiter=delimiter, strict=True))
    except csv.Error:
        return True
    alone = {len(cells) for line in record for cells in csv.reader([line], delimiter=delimiter)}
    return columns > 2 and alone == {columns}
