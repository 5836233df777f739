"""The bytes of a text file, in whatever encoding, as UTF-8."""

import codecs
import re

from galaxyvotes.errors import DataError

__all__ = ["to_utf8"]

_MARKS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Latin-1 and Windows-1252 agree above these, and languages that are written in them have single
# letters with accents between plain ones; Cyrillic and Asian encodings have pairs.
_AMBIGUOUS = re.compile(rb"[\x80-\x9f]|[\xa0-\xff]{2}")
_SAMPLE = 4096
_ZEROS = (
    0.2  # of every second byte of UTF-16: digits, commas and ends of lines have one in any language
)
_STRAY = 0.01  # zeros among the other bytes, as letters beyond Latin may have


def to_utf8(data: bytes) -> bytes:
    """A text as UTF-8 without a byte order mark.

    UTF-16 and UTF-32 are known by their mark, or UTF-16 by a fifth or more of every second byte
    being zero. What is not UTF-8 and can only be Latin-1 or Windows-1252 is read as these. Bytes
    that may be several things stay as they are, for whoever needs them to refuse. DataError if a
    text breaks off in a letter.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _decoded(data.removeprefix(mark), encoding).removeprefix(codecs.BOM_UTF8)
    even, odd = (_share_of_zeros(data[start:_SAMPLE:2]) for start in (0, 1))
    if odd >= _ZEROS and even <= _STRAY:
        return _decoded(data, "utf-16-le")
    if even >= _ZEROS and odd <= _STRAY:
        return _decoded(data, "utf-16-be")
    if data.isascii() or _is_utf8(data) or _AMBIGUOUS.search(data):
        return data
    return data.decode("latin-1").encode()


def _share_of_zeros(data: bytes) -> float:
    return data.count(0) / max(len(data), 1)


def _decoded(data: bytes, encoding: str) -> bytes:
    if encoding == "utf-8":
        return data
    try:
        return data.decode(encoding).encode()
    except UnicodeError as error:
        raise DataError(f"is damaged {encoding.upper()} text: {error}") from None


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
