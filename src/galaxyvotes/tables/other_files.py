"""What a file that is called a table is, if it is none: a web page, a workbook, an archive …"""

import re

__all__ = ["what_else"]

_SAVE = "save the table as CSV"
_UNPACK = "unpack it first"
_FETCH = "fetch the table again"
_BEGINNINGS = (
    (b"PK\x03\x04", "a zip archive", "call it .zip, or unpack it first"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook (.xls)", _SAVE),
    (b"%PDF-", "a PDF", _SAVE),
    (rb"{\rtf", "a text of a word processor (RTF)", _SAVE),
    (b"SQLite format 3\0", "an SQLite database", _SAVE),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", _SAVE),
    (b"\x93NUMPY", "an array of NumPy", _SAVE),
    (b"ARROW1\0\0", "a Feather file", "save the table as Parquet"),
    (b"\xfd7zXZ\0", "packed by xz", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "packed by zstd", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (b"\xff\xd8\xff", "a JPEG image", "name a table"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image", "name a table"),
    (b"version https://git-lfs.github.com/spec/", "a pointer of Git LFS", "run git lfs pull"),
)
_PATTERNS = (
    (
        rb"\s*(?:<!--(?s:.*?)-->\s*)*<(?:!doctype\s+html|html|head|body)\b",
        "a web page (HTML), perhaps an error page",
        _FETCH,
    ),
    (rb"BZh[1-9]1AY&SY", "packed by bzip2", _UNPACK),
    (rb"\s*<(?:\?xml|error)\b", "XML and no VOTable, perhaps an error", _FETCH),
    (rb"\s*(?:\{\s*[\"}]|\[\s*[\[{\]])", "JSON", _SAVE),
    (rb"\x80[\x02-\x05][\x95\]}(]", "a pickle of Python, which is never read", _SAVE),
    (rb"(?:\s*%.*\n)*\s*\\(?:begin|documentclass)\b", "LaTeX", _SAVE),
    (rb"(?:[^\n]*&)+[^\n]*\\\\[ \t]*(?:\\hline)?\r?\n", "a table of LaTeX", _SAVE),
)
_WORKBOOK = re.compile(rb"\[Content_Types\]\.xml|xl/|opendocument\.spreadsheet")
_FIRST_BYTES = 4096


def what_else(data: bytes) -> str:
    """What a file is and what to do, by its first bytes; empty if it may be text with a table."""
    start = data[:_FIRST_BYTES]
    if start.startswith(b"PK\x03\x04") and _WORKBOOK.search(start):
        return f"is a workbook of Excel or another spreadsheet: {_SAVE}"
    for beginning, what, remedy in _BEGINNINGS:
        if start.startswith(beginning):
            return f"is {what}: {remedy}"
    for pattern, what, remedy in _PATTERNS:
        if re.match(pattern, start, re.IGNORECASE):
            return f"is {what}: {remedy}"
    return ""
