"""Names and ids, of which there may be millions, as Arrow columns of text.

A text takes its letters and 8 bytes, a fifth of what a Python string takes. Columns are made and
listed a part at a time, so that never more than a part of them exists as Python strings.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int

__all__ = ["PART", "codes_of", "first_repeated", "iterate", "name_column", "repeated"]

PART = 2**16  # texts that exist as Python strings at a time


def name_column(names: Iterable[str]) -> pa.LargeStringArray:
    """A column of these names; UnicodeEncodeError for a lone surrogate, which is not text."""
    remaining, parts = iter(names), [pa.array([], pa.large_string())]
    while part := list(islice(remaining, PART)):
        parts.append(pa.array(part, pa.large_string()))
    return pa.concat_arrays(parts)


def iterate(names: pa.Array) -> Iterator[str]:
    """The names as Python strings, one after the other."""
    for start in range(0, len(names), PART):
        yield from names[start : start + PART].to_pylist()


def codes_of(names: pa.Array) -> Int[np.ndarray, " name"]:
    """The rank of each name among the different names, from 0: equal for equal names only."""
    order = pc.sort_indices(names)
    ordered = names.take(order)
    differs = pc.not_equal(ordered[1:], ordered[:-1]).to_numpy(zero_copy_only=False)
    codes = np.zeros(len(names), np.int64)
    codes[order.to_numpy()[1:]] = np.cumsum(differs)
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
