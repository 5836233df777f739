"""Tables as text, however their columns are divided: by commas, tabs, semicolons, bars or spaces.

How it is divided shows in its first lines: the sign at which all of them have as many cells as the
header. Spaces, and bars around each line, are turned into tabs first, line by line.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from galaxyvotes.errors import DataError
from galaxyvotes.runtime.counted import counted
from galaxyvotes.tables.cells import all_thousands, is_decimal_comma
from galaxyvotes.tables.encodings import to_utf8
from galaxyvotes.tables.lines import split_lines, without_comments
from galaxyvotes.tables.other_files import what_else
from galaxyvotes.tables.quotes import check_quotes, may_span_lines

__all__ = ["AMBIGUOUS", "TextTable"]

AMBIGUOUS = b"ambiguous"

_DELIMITERS = ",\t;|"
_BLOCK = 2**20  # bytes that Arrow parses at a time
_MOST_COLUMNS = 100_000
_FIRST_LINES = 50
_RULE = re.compile(r"[\s|+:=-]*-[\s|+:=-]*")  # between header and rows, in tables drawn with bars
_SPACE = r"[^\S\x0b\x0c\x1c-\x1f\x85\u2028\u2029]"  # between words of a line; ends of lines are not
_SPACES = re.compile(f"{_SPACE}+")
_WORD = re.compile(r"[\S\x0b\x0c\x1c-\x1f\x85\u2028\u2029]+")
# What readers raise at bytes that are not a table.
_BROKEN = (pa.ArrowException, csv.Error, UnicodeDecodeError)


class TextTable:
    """A table as text: its header and its columns, checked as they are read."""

    def __init__(self, name: str, data: bytes) -> None:
        """Find out how it is divided; DataError if it is empty, if no one way fits or if a quote is
        not closed.
        """
        self._name = name
        text, self._skipped = without_comments(_checked_text(name, data))
        lines = _first_lines(text)
        if not lines:
            raise DataError(f"{name} is empty: expected a header and one row a galaxy")
        delimiter = _delimiter_of(lines, name)
        if delimiter is None:
            text, delimiter = _words_with_tabs(text, bars=_has_bars(lines)), "\t"
            header = text.lstrip(b"\n")  # below a rule
            self._skipped += len(text) - len(header)
            text = header
        self._data, self._delimiter = text, delimiter
        self._names = self._read_header()
        self._spans_lines = may_span_lines(text)
        if self._spans_lines:
            check_quotes(name, text, delimiter, skipped=self._skipped)
        self._check_first_lines()

    @property
    def names(self) -> list[str]:
        """The columns as they are written; several without a name are called by their number."""
        return self._names

    def line(self, row: int) -> int | None:
        """The line that a row begins at, from 1; None if that cannot be told."""
        with suppress(csv.Error):
            return next(islice(self._lines(), row + 1, None), (None,))[0]
        return None

    def read(self, as_text: Sequence[str] | None = None) -> pa.Table:
        """All columns with types inferred, or some as the bytes that are written there.

        DataError if the table is damaged, or has rows with more or fewer cells than the header.
        """
        convert = pacsv.ConvertOptions()
        if as_text is not None:
            types = dict.fromkeys(as_text, pa.large_binary())
            convert = pacsv.ConvertOptions(include_columns=list(as_text), column_types=types)
        try:
            table = self._parsed(convert, _BLOCK)
            return table if as_text is not None else self._with_doubts(table)
        except _BROKEN as error:
            raise DataError(self._problem() or f"{self._name}: not a table: {error}") from None

    def _parsed(self, convert: pacsv.ConvertOptions, block: int) -> pa.Table:
        parse = pacsv.ParseOptions(delimiter=self._delimiter, newlines_in_values=self._spans_lines)
        how = pacsv.ReadOptions(column_names=self._names, skip_rows_after_names=1, block_size=block)
        try:
            return pacsv.read_csv(pa.BufferReader(self._data), how, parse, convert)
        except pa.ArrowInvalid as error:
            whole = min(len(self._data) + 1, 2**31 - 1)
            if "straddl" in str(error) and block < whole:  # a row is longer than a block
                return self._parsed(convert, whole)
            raise

    def _with_doubts(self, table: pa.Table) -> pa.Table:
        """The same, where other cells have decimal commas and all of a column may be thousands with
        a point (1.234), with one of these as the column's `AMBIGUOUS` metadata.
        """
        with suppress(csv.Error):
            first = [cell for _, cells in islice(self._lines(), _FIRST_LINES) for cell in cells]
            if self._delimiter == "," or not any(map(is_decimal_comma, first)):
                return table
        for place, field in enumerate(table.schema):
            if not pa.types.is_floating(field.type):
                continue
            texts = self.read([field.name]).column(0).cast(pa.large_string())
            if word := all_thousands(texts):
                doubtful = field.with_metadata({AMBIGUOUS: word.encode()})
                table = table.set_column(place, doubtful, table.column(place))
        return table

    def _read_header(self) -> list[str]:
        try:
            _, names = next(self._lines(), (1, [""]))
        except csv.Error:
            limit = csv.field_size_limit()
            raise DataError(
                f"{self._name}: the name of a column has more than {limit:,} letters: begin the"
                " table with the names of its columns"
            ) from None
        if len(names) > _MOST_COLUMNS:
            raise DataError(
                f"{self._name} has {len(names):,} columns, and at most {_MOST_COLUMNS:,} are read:"
                " leave some out"
            )
        for number, name in enumerate(names, 1):
            if any("\udc80" <= letter <= "\udcff" for letter in name):  # no text
                written = name.encode("utf-8", "surrogateescape")
                raise DataError(
                    f"{self._name}: the header is not UTF-8 text (column {number} is {written!r});"
                    " save the table as CSV in UTF-8"
                )
        return _with_numbers(names)

    def _check_first_lines(self) -> None:
        """Refuse a title above the header, and a header that comes again among the rows, as in
        tables that were joined end to end.
        """
        title, *rows = lines = _first_lines(self._data)
        fits = len({*_cells(lines, self._delimiter)}) == 1
        for sign in "" if fits else _DELIMITERS:
            below = {*_cells(rows, sign)}
            if len(below) == 1 and max(below) > 1 and _cells([title], sign) == [1]:
                raise DataError(
                    f"{self._name} line {1 + self._skipped} has 1 cell and the lines below"
                    f" {max(below)}: begin the table with the names of its columns (# and a space"
                    " before a remark)"
                )
        header = self._data[: self._data.find(b"\n") + 1]
        again = self._data.find(b"\n" + header, len(header) - 1) + 1
        if self._data.endswith(b"\n" + header.rstrip(b"\r\n")):  # without the end of a line
            again = again or self._data.rfind(b"\n") + 1
        if header and again and len(self._names) > 1:
            line = self._data.count(b"\n", 0, again) + 1 + self._skipped
            raise DataError(
                f"{self._name} line {line} is the header once more: leave out that line, or name"
                " the tables that were joined one by one"
            )

    def _problem(self) -> str:
        """What is wrong with the first row that has not as many cells as the header."""
        with suppress(csv.Error):
            cells = [(line, len(row)) for line, row in self._lines()]
            if len(cells) == 1:
                return f"{self._name} is empty: it has a header but no rows"
            for line, count in cells[1:]:
                if count != cells[0][1]:
                    return (
                        f"{self._name} line {line} has {counted(count, 'cell')} and the header"
                        f" {cells[0][1]}: correct it (a text that holds what divides the cells"
                        " stands in quotes, a comment begins with # and a space)"
                    )
        return ""

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        """Each row, the header first, with the number of the line it begins at; blank lines are no
        rows.
        """
        text = io.TextIOWrapper(
            io.BytesIO(self._data), "utf-8", errors="surrogateescape", newline=""
        )
        reader = csv.reader(text, delimiter=self._delimiter)
        line = 1
        for cells in reader:
            if cells:
                yield line + self._skipped, cells
            line = reader.line_num + 1


def _with_numbers(names: Sequence[str]) -> list[str]:
    """The names of columns, of several without a name their numbers: spreadsheets write empty
    columns.
    """
    if sum(not name.strip() for name in names) < 2:
        return list(names)
    return [name if name.strip() else f"column {n}" for n, name in enumerate(names, 1)]


def _checked_text(name: str, data: bytes) -> bytes:
    """The text in UTF-8; DataError for another kind of file, and for zero bytes, which stand where
    a download broke off or a disk failed. DOS ends texts with Ctrl-Z.
    """
    if what := what_else(data):
        raise DataError(f"{name} {what}")
    text = to_utf8(data).removesuffix(b"\x1a")
    if what := what_else(text):  # in UTF-16, or below a byte order mark
        raise DataError(f"{name} {what}")
    if (zero := text.find(b"\0")) >= 0:
        line = text.count(b"\n", 0, zero) + 1
        raise DataError(
            f"{name} line {line} holds a zero byte, which no text does: it is damaged, or was not"
            " fetched whole; fetch it again"
        )
    return text


# ---- how columns are divided


def _first_lines(text: bytes) -> list[str]:
    """The first lines that are not blank, without one that is broken off."""
    sample = text[: 2**20]
    lines = split_lines(sample.decode("utf-8", "surrogateescape"))
    lines = lines[:-1] if len(sample) < len(text) and len(lines) > 1 else lines
    return [line for line in lines if line.strip()][:_FIRST_LINES]


def _delimiter_of(lines: Sequence[str], name: str) -> str | None:
    """What divides the columns; None for spaces, or bars around each line.

    DataError if two signs would do equally well.
    """
    if _has_bars(lines):
        return None
    counts = {sign: _cells(lines, sign) for sign in _DELIMITERS}
    there = {sign: cells for sign, cells in counts.items() if cells and cells[0] > 1}
    even = {sign: cells for sign, cells in there.items() if len({*cells}) == 1}
    if len(even) > 1:
        most = max(cells[0] for cells in even.values())
        best = [sign for sign, cells in even.items() if cells[0] == most]
        if len(best) > 1:
            raise DataError(
                f"{name}: columns may be separated by {' or '.join(map(repr, best))}: save the"
                " table with commas, and texts in quotes"
            )
        return best[0]
    words = [len(_words(line)) for line in lines]
    of_spaces = len(words) > 1 and words[0] > 1 and max(words[1:]) > 1
    if not even and {*there} <= {"\t"} and (len({*words}) == 1 or not there) and of_spaces:
        return None
    sign = next((sign for sign in _DELIMITERS if sign in lines[0]), ",")
    return next(iter(even or there), sign)


def _has_bars(lines: Sequence[str]) -> bool:
    rows = [line.strip() for line in lines if not _RULE.fullmatch(line)]
    return bool(rows) and all(row[0] == row[-1] == "|" and len(row) > 1 for row in rows)


def _cells(lines: Sequence[str], delimiter: str) -> list[int]:
    """How many cells each row has with this sign; none where quotes do not stand around cells."""
    counts: list[int] = []
    try:
        for cells in csv.reader(lines, delimiter=delimiter, strict=True):
            counts.append(len(cells))
    except csv.Error as error:
        return counts if "unexpected end" in str(error) else []  # the last lines go on further down
    return counts


# ---- spaces and bars


def _words_with_tabs(text: bytes, *, bars: bool) -> bytes:
    """The same lines with a tab between cells that spaces, or bars, divide."""
    lines = split_lines(text.decode("utf-8", "surrogateescape"))
    rows = [_between_bars(line) for line in lines] if bars else _between_spaces(lines)
    output = io.StringIO()
    writer = csv.writer(output, delimiter="\t", lineterminator="\n")
    for row in rows:
        if row:
            writer.writerow(row)
        else:
            output.write("\n")
    return output.getvalue().encode("utf-8", "surrogateescape")


def _between_bars(line: str) -> list[str]:
    if not line.strip() or _RULE.fullmatch(line):
        return []
    return [cell.strip() for cell in line.strip()[1:-1].split("|")]


def _between_spaces(lines: Sequence[str]) -> Iterator[list[str]]:
    """The words of each line, or where these are not as many as the header's, what stands in
    columns of a fixed width.
    """
    rows = [_words(line) for line in lines]
    counts = {len(row) for row in rows if row}
    edges = [] if len(counts) == 1 else _fixed_columns([line for line in lines if line.strip()])
    if len(edges) != next((len(row) for row in rows if row), 0):
        yield from rows
        return
    for line in lines:
        yield [line[slice(*edge)].strip() for edge in edges] if line.strip() else []


def _words(line: str) -> list[str]:
    if '"' not in line:
        return _WORD.findall(line)
    plain = _SPACES.sub(" ", line).strip()
    rows = list(csv.reader([plain], delimiter=" ", skipinitialspace=True))
    return rows[0] if rows else []


def _fixed_columns(lines: Sequence[str]) -> list[tuple[int, int | None]]:
    """From where to where each column goes that spaces divide in every line alike."""
    used = np.zeros(max(map(len, lines)) + 1, bool)
    for line in lines:
        for word in _WORD.finditer(line):
            used[word.start() : word.end()] = True
    starts = np.flatnonzero(used & ~np.insert(used[:-1], 0, False)).tolist()
    return list(zip(starts, [*starts[1:], None], strict=True))
