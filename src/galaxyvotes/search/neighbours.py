"""Nearest neighbours among representations, exactly: every galaxy is compared with every other.

The distance of two representations is 1 − cos of the angle between them: 0 for the same direction,
1 for a right angle. Representations as they are were as good as standardised ones, and better than
whitened ones, at finding galaxies for which volunteers voted alike (docs/experiments.md), and need
nothing that would have to be measured on other galaxies first.

Representations may lie in a file that is mapped into memory: they are read in blocks.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int, Int64

__all__ = ["Find", "Neighbours", "Representations", "nearest", "nearest_of_each", "unit_vectors"]

_QUERIES, _BLOCK = 1024, 8192  # rows that are compared at a time: 32 MiB of distances
_LEAST = 1e-12  # of a length: an empty representation has no direction

Representations = Float32[np.ndarray, "galaxy feature"]


class Neighbours(NamedTuple):
    """The rows of the nearest galaxies of each query, the nearest first, and their distances
    (0–2).
    """

    rows: Int64[np.ndarray, "query neighbour"]
    distances: Float32[np.ndarray, "query neighbour"]


Find = Callable[
    [
        Float32[np.ndarray, "query feature"],
        int,
        Int[np.ndarray, " query"],
    ],
    Neighbours | None,
]


def unit_vectors(representations: Representations) -> Representations:
    """The directions of representations: vectors of length 1, or 0 for those of length 0."""
    lengths = np.linalg.norm(representations, axis=1, keepdims=True)
    return representations / np.maximum(lengths, _LEAST)


def nearest(
    representations: Representations,
    queries: Float32[np.ndarray, "query feature"],
    count: int,
    own: Int[np.ndarray, " query"] | None = None,
) -> Neighbours:
    """The `count` nearest galaxies of each query, or as many as there are, the nearest first; of
    those as near as each other the first row first.

    `own` has the row of each query that is itself among the galaxies, and no neighbour of itself.
    """
    others = len(representations) - (own is not None)
    count = max(min(count, others), 0)
    directions, asked = unit_vectors(queries), np.arange(len(queries))
    rows = np.empty((len(queries), 0), np.int64)
    distances = np.empty((len(queries), 0), np.float32)
    for start in range(0, len(representations), _BLOCK):
        block = unit_vectors(np.asarray(representations[start : start + _BLOCK]))
        found = np.maximum(1 - directions @ block.T, 0)
        if own is not None:
            here = (own >= start) & (own < start + len(block))
            found[asked[here], own[here] - start] = np.inf
        if 0 < count < len(block):
            kept = np.argpartition(found, count - 1, axis=1)[:, :count]
        else:
            kept = np.broadcast_to(np.arange(len(block)), found.shape)
        distances = np.concatenate([distances, np.take_along_axis(found, kept, axis=1)], axis=1)
        rows = np.concatenate([rows, kept + start], axis=1)
        order = np.lexsort((rows, distances))[:, :count]
        distances = np.take_along_axis(distances, order, axis=1)
        rows = np.take_along_axis(rows, order, axis=1)
    return Neighbours(rows, distances)


def nearest_of_each(
    representations: Representations, count: int, find: "Find | None" = None
) -> Iterator[Neighbours]:
    """The nearest other galaxies of every galaxy, some galaxies at a time, in their order; found by
    an index, where that finds them.
    """
    for start in range(0, len(representations), _QUERIES):
        queries = np.asarray(representations[start : start + _QUERIES])
        own = np.arange(start, start + len(queries))
        found = find and find(queries, count, own)
        yield found or nearest(representations, queries, count, own)
