"""The lines of a text: where they end, and which of them are comments.

A line ends at a line feed or a carriage return. Python's `splitlines` ends one at form feeds,
U+0085 and U+2028, too, which stand in the cells of tables.
"""

import re
from contextlib import suppress

__all__ = ["split_lines", "without_comments"]

_SEPARATOR_LINE = re.compile(rb'"?sep=[^"\r\n]"?[ \t]*(?:\r\n|\r|\n)', re.IGNORECASE)  # Excel's
_END = re.compile(r"\r\n|\r|\n")
_BLANK_LINES = re.compile(rb"(?:[ \t]*(?:\r\n|\r|\n))+")
_COMMENT = re.compile(rb" *#(?:[\s#=*!]|--|$)")  # an id may begin with #, too
_BEFORE_COMMENT = re.compile(rb"[\r\n] *#(?:[\s#=*!]|--|$)")


def split_lines(text: str) -> list[str]:
    """The lines of a text, without their ends."""
    lines = _END.split(text)
    return lines if lines[-1] else lines[:-1]


def without_comments(data: bytes) -> tuple[bytes, int]:
    """A text from its header on, and how many lines stood before that. Comments after the header
    become empty lines.

    A line that begins with # is a comment before the header, and after it if a space or another
    sign follows. The last comment before is the header if a row with a number follows, or nothing.
    """
    start, count, last = 0, 0, b""
    if first := _SEPARATOR_LINE.match(data):  # which sign it is shows in the rows
        start, count = first.end(), 1
    while data.startswith(b"#", start):
        end = data.find(b"\n", start) + 1 or len(data)
        last, start, count = data[start:end], end, count + 1
    lines = split_lines(data[start : start + 65_536].decode("utf-8", "surrogateescape"))
    first = next((line for line in lines if line.strip()), "")
    cells = re.split(r"[\s,;|]+", first)
    if last and (not first or any(_is_number(cell) for cell in cells)):
        return last.lstrip(b"# \t") + _with_blank_comments(data[start:]), count - 1
    if blank := _BLANK_LINES.match(data, start):
        count, start = count + len(blank[0].splitlines()), blank.end()
    return _with_blank_comments(data[start:]), count


def _is_number(cell: str) -> bool:
    with suppress(ValueError):
        return float(cell) == float(cell)
    return False


def _with_blank_comments(data: bytes) -> bytes:
    """The same lines, those empty that are comments and not part of a cell in quotes."""
    if not _BEFORE_COMMENT.search(data):
        return data
    lines, in_quotes = list[bytes](), False
    for line in data.splitlines(keepends=True):
        if not in_quotes and _COMMENT.match(line):
            lines.append(line[len(line.rstrip(b"\r\n")) :])
            continue
        in_quotes ^= line.count(b'"') % 2 == 1
        lines.append(line)
    return b"".join(lines)
