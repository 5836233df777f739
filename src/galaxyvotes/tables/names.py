"""Names and ids, of which there may be millions, as Arrow columns of text.

A text takes its letters and 8 bytes, a fifth of what a Python string takes. Columns are made and
listed a part at a time, so that never more than a part of them exists as Python strings. They are
made from buffers and read by DLPack: `pa.array` and `to_numpy` import pandas where it is installed,
which takes longer and more memory than predicting a galaxy does.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int

__all__ = [
    "PART",
    "as_shown",
    "codes_of",
    "column_of",
    "first_repeated",
    "iterate",
    "name_column",
    "repeated",
    "row_column",
]

PART = 2**16  # texts that exist as Python strings at a time


def as_shown(name: str) -> str:
    """A name without what nobody sees of it: letters and accents composed (NFC), spaces of any kind
    as one plain one and none around, and nothing of no width, such as U+200B and byte order marks.
    """
    if name.isascii():
        return name.strip()
    composed = unicodedata.normalize("NFC", name)
    seen = "".join(letter for letter in composed if unicodedata.category(letter) != "Cf")
    return " ".join(seen.split())


def name_column(names: Iterable[str]) -> pa.LargeStringArray:
    """A column of these names; UnicodeEncodeError for a lone surrogate, which is not text."""
    remaining, parts = iter(names), [column_of([], pa.large_string())]
    while part := [name.encode() for name in islice(remaining, PART)]:
        parts.append(column_of(part, pa.large_string()))
    return pa.concat_arrays(parts)


def column_of(texts: Sequence[bytes], dtype: pa.DataType) -> pa.Array:
    """A column of these bytes; `dtype` is `pa.large_string()` (for UTF-8) or
    `pa.large_binary()`.
    """
    ends = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(texts))]
    return pa.Array.from_buffers(dtype, len(texts), buffers)


def row_column(
    rows: Int[np.ndarray, " row"], known: Bool[np.ndarray, " row"] | None = None
) -> pa.Int64Array:
    """Row numbers as a column, for `take`; null where they are not `known`."""
    numbers = np.ascontiguousarray(rows, np.int64)
    bits = None if known is None else pa.py_buffer(np.packbits(known, bitorder="little"))
    return pa.Array.from_buffers(pa.int64(), len(numbers), [bits, pa.py_buffer(numbers)])


def iterate(names: pa.Array) -> Iterator[str]:
    """The names as Python strings, one after the other."""
    for start in range(0, len(names), PART):
        yield from names[start : start + PART].to_pylist()


def codes_of(names: pa.Array) -> Int[np.ndarray, " name"]:
    """The rank of each name among the different names, from 0: equal for equal names only."""
    order = pc.sort_indices(names)
    ordered = names.take(order)
    differs = pc.not_equal(ordered[1:], ordered[:-1]).cast(pa.uint8())
    codes = np.zeros(len(names), np.int64)
    ranks: Int[np.ndarray, " name"] = np.from_dlpack(order).astype(np.int64)
    codes[ranks[1:]] = np.cumsum(np.from_dlpack(differs), dtype=np.int64)
    return codes


def repeated(codes: Int[np.ndarray, " name"]) -> Int[np.ndarray, " repeated"]:
    """The rows, in rising order, of the codes (0 or more) that occur more than once."""
    return np.flatnonzero(np.bincount(codes)[codes] > 1)


def first_repeated(codes: Int[np.ndarray, " name"]) -> tuple[int, int] | None:
    """The first row whose code (0 or more) occurs before it, after the first row with that code.

    None if all codes differ.
    """
    rows = repeated(codes)
    _, firsts = np.unique(codes[rows], return_index=True)
    later = np.delete(rows, firsts)
    if not len(later):
        return None
    return int(np.argmax(codes == codes[later[0]])), int(later[0])
