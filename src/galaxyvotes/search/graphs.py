"""Whether a file of usearch's can be searched: every number in it that says where something lies
points into the file.

usearch follows such numbers unchecked, so a damaged or hostile file would end the process. Its
format of version 2 is: the vectors with their numbers of rows and bytes, a head of 64 bytes, the
size of the graph, then its levels and its nodes one after the other. A node has its key, its level,
and for each of its levels the number of its neighbours and room for them; the lowest level has room
for more.

Source: usearch 2.26, include/usearch/index_dense.hpp and index.hpp (`index_dense_head_t`,
`index_serialized_header_t`, `node_t`).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Int64

from galaxyvotes.errors import DataError

__all__ = ["check_graph", "check_that"]

_HEAD_BYTES, _SIZES_BYTES, _KEY_BYTES = 64, 40, 10  # a key of 8 bytes is followed by its level
_KINDS = b"c\x0c\x0e\x0f"  # cosines of float16; keys of 64, numbers of nodes of 32 bits
_TOGETHER = 8192  # nodes that are checked at a time


class _Graph(NamedTuple):
    """The bytes of a graph; where its nodes begin and their levels; how many neighbours fit."""

    contents: memoryview
    begins: Int64[np.ndarray, " node"]
    levels: Int[np.ndarray, " node"]
    room: tuple[int, int]  # on the lowest level, and on each other


def check_graph(contents: memoryview, galaxies: int, row_bytes: int) -> None:
    """Check a graph of so many galaxies, whose vectors have so many bytes; DataError if a number in
    it does not fit.
    """
    graph = _open(contents, galaxies, row_bytes)
    for start in range(0, galaxies, _TOGETHER):
        for level in range(int(graph.levels.max()) + 1):
            nodes = np.arange(start, min(start + _TOGETHER, galaxies))
            _check_neighbours(graph, nodes[graph.levels[nodes] >= level], level)


def _open(contents: memoryview, galaxies: int, row_bytes: int) -> _Graph:
    start = 8 + galaxies * row_bytes + _HEAD_BYTES
    check_that(len(contents) >= start + _SIZES_BYTES + 2 * galaxies, "its length")
    rows = np.frombuffer(contents, np.uint32, 2).tolist()
    check_that(rows == [galaxies, row_bytes], "the shape of its vectors")
    head = bytes(contents[start - _HEAD_BYTES : start])
    check_that(head.startswith(b"usearch\x02\x00") and head[13:17] == _KINDS, "what it holds")
    counts = np.frombuffer(head, np.uint64, 3, 17).tolist()
    check_that(counts == [galaxies, 0, row_bytes // 2] and not head[41], "its counts")
    sizes = np.frombuffer(contents, np.uint64, 5, start).tolist()
    size, upper, lowest, highest, entry = sizes
    check_that(size == galaxies > entry, "the number of its galaxies")
    check_that(0 < upper <= lowest <= 4096, "the number of neighbours")
    levels = np.frombuffer(contents, np.int16, galaxies, start + _SIZES_BYTES).astype(np.int64)
    check_that(levels.min() >= 0 and levels.max() == highest == levels[entry], "its levels")
    bytes_of_each = _KEY_BYTES + 4 * (1 + lowest) + levels * 4 * (1 + upper)
    ends = start + _SIZES_BYTES + 2 * galaxies + np.cumsum(bytes_of_each)
    check_that(int(ends[-1]) == len(contents), "its length")
    return _Graph(contents, ends - bytes_of_each, levels, (lowest, upper))


def _check_neighbours(graph: _Graph, nodes: Int64[np.ndarray, " chosen"], level: int) -> None:
    """Check the neighbours of some nodes on one level."""
    if not len(nodes):
        return
    lowest, upper = graph.room
    room = lowest if level == 0 else upper
    first = 0 if level == 0 else 4 * (1 + lowest) + (level - 1) * 4 * (1 + upper)
    places = graph.begins[nodes] + _KEY_BYTES + first
    bytes_of = np.frombuffer(graph.contents, np.uint8)
    lists = np.ascontiguousarray(bytes_of[places[:, None] + np.arange(4 * (1 + room))])
    numbers = lists.view(np.uint32).astype(np.int64)
    counts, neighbours = numbers[:, 0], numbers[:, 1:]
    check_that(counts.max() <= room, "the number of neighbours")
    used = neighbours[np.arange(room) < counts[:, None]]
    check_that(
        (used < len(graph.levels)).all() and (graph.levels[used] >= level).all(), "a neighbour"
    )
    own = bytes_of[graph.begins[nodes][:, None] + np.arange(8, _KEY_BYTES)]
    written = np.ascontiguousarray(own).view(np.int16)[:, 0]
    check_that((written == graph.levels[nodes]).all(), "the level of a node")


def check_that(fits: bool | np.bool, what: str, expected: str = "another") -> None:
    """DataError unless something is as expected."""
    if not fits:
        raise DataError(f"{what} cannot be right; expected {expected}")
