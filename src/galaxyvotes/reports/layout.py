"""Where the boxes of a flowchart stand: in layers, each below every box that leads to it. Numbers
only, no drawing.

An arrow that skips layers gets a lane of its own in each of them, so it never runs through a box.
The order within a layer follows the mean of the neighbours; positions are the least-squares fit to
the arrows' ends that keeps that order and the distances, which is isotonic regression.

Source: Sugiyama, Tagawa and Toda 1981, IEEE Trans. SMC 11, 109.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.isotonic import isotonic_regression  # pyright: ignore[reportUnknownVariableType]

__all__ = ["Edge", "Layout", "lay_out", "leads_back"]

_SWEEPS = 24
_STRAIGHT = 8.0  # a bend in a lane weighs this much more than one at a box


@dataclass(frozen=True)
class Edge:
    """An arrow between two boxes; it starts `port` to the right of the middle of its source."""

    source: int
    target: int
    port: float = 0.0


@dataclass(frozen=True)
class Layout:
    """Per box its layer (0 on top) and the x of its middle; per edge the x of its lane in each
    layer it skips.
    """

    layers: tuple[int, ...]
    x: tuple[float, ...]
    lanes: tuple[tuple[float, ...], ...]


def leads_back(count: int, edges: Sequence[tuple[int, int]]) -> set[tuple[int, int]]:
    """The edges, met depth first from box 0, that lead back to a box already on the way."""
    back: set[tuple[int, int]] = set()
    done: set[int] = set()

    def visit(box: int, path: tuple[int, ...]) -> None:
        for source, target in edges:
            if source == box and target in path:
                back.add((source, target))
            elif source == box and target not in done:
                visit(target, (*path, target))
        done.add(box)

    for box in range(count):
        if box not in done:
            visit(box, (box,))
    return back


def lay_out(widths: Sequence[float], edges: Sequence[Edge], *, gap: float, lane: float) -> Layout:
    """Boxes of these widths, `gap` apart, and lanes `lane` wide. No edge may lead back (see
    `leads_back`).
    """
    layers = _longest_paths(len(widths), edges)
    ends, lanes = _pieces(layers, edges)
    sizes = [*widths, *(lane for row in lanes for _ in row)]
    levels = [
        *layers,
        *(
            layers[e.source] + 1 + i
            for e, row in zip(edges, lanes, strict=True)
            for i in range(len(row))
        ),
    ]
    rows: list[list[int]] = [[] for _ in range(max(levels) + 1)]
    for box, level in enumerate(levels):
        rows[level].append(box)
    rows = _ordered(rows, ends)
    x = _positions(rows, ends, sizes, gap=gap, boxes=len(widths))
    _straighten(x, rows, lanes, sizes, gap=gap)
    return Layout(
        tuple(layers),
        tuple(x[: len(widths)].tolist()),
        tuple(tuple(x[row].tolist()) if row else () for row in lanes),
    )


def _longest_paths(count: int, edges: Sequence[Edge]) -> list[int]:
    """The layer of every box: one below the lowest box that leads to it."""
    layers = [0] * count
    for _ in range(count):
        for edge in edges:
            layers[edge.target] = max(layers[edge.target], layers[edge.source] + 1)
    return layers


def _pieces(layers: list[int], edges: Sequence[Edge]) -> tuple[list[Edge], list[list[int]]]:
    """Every edge cut into pieces of one layer each, through numbered lanes that follow the
    boxes.
    """
    pieces: list[Edge] = []
    lanes: list[list[int]] = []
    fresh = len(layers)
    for edge in edges:
        row = list(range(fresh, fresh + layers[edge.target] - layers[edge.source] - 1))
        fresh += len(row)
        stops = [edge.source, *row, edge.target]
        pieces += [
            Edge(a, b, 0.0 if i else edge.port)
            for i, (a, b) in enumerate(itertools.pairwise(stops))
        ]
        lanes.append(row)
    return pieces, lanes


def _ordered(rows: list[list[int]], pieces: list[Edge]) -> list[list[int]]:
    """Each row sorted by the mean of its neighbours, up and down in turn; the order with the fewest
    crossings.
    """
    best, fewest = rows, _crossings(rows, pieces)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        rows = [list(row) for row in rows]
        for row in rows if down else rows[::-1]:
            place = {box: i for other in rows for i, box in enumerate(other)}
            mean: dict[int, float] = {}
            for box in row:
                if down:
                    near = [
                        place[p.source] + math.tanh(p.port) / 2 for p in pieces if p.target == box
                    ]
                else:
                    near = [
                        place[p.target] - math.tanh(p.port) / 2 for p in pieces if p.source == box
                    ]
                mean[box] = float(np.mean(near)) if near else place[box]
            row.sort(key=lambda box: mean[box])
        crossings = _crossings(rows, pieces)
        if crossings < fewest:
            best, fewest = rows, crossings
    return best


def _crossings(rows: list[list[int]], pieces: list[Edge]) -> int:
    place = {box: i for row in rows for i, box in enumerate(row)}
    level = {box: i for i, row in enumerate(rows) for box in row}
    ends = [
        (level[p.source], place[p.source] + math.tanh(p.port) / 2, place[p.target]) for p in pieces
    ]
    return sum(
        a[0] == b[0] and (a[1] - b[1]) * (a[2] - b[2]) < 0
        for i, a in enumerate(ends)
        for b in ends[i + 1 :]
    )


def _positions(
    rows: list[list[int]], pieces: list[Edge], sizes: list[float], *, gap: float, boxes: int
) -> np.ndarray:
    """The x of every box and lane: each row in turn moves to its neighbours as far as order and
    distances allow.
    """
    x = np.zeros(len(sizes))
    distances: list[np.ndarray] = []
    for row in rows:
        steps = [(sizes[a] + sizes[b]) / 2 + gap for a, b in itertools.pairwise(row)]
        distances.append(np.cumsum([0.0, *steps]))
        x[row] = distances[-1] - distances[-1][-1] / 2
    for sweep in range(_SWEEPS):
        for level in range(len(rows)) if sweep % 2 == 0 else reversed(range(len(rows))):
            wanted: list[float] = []
            weights: list[float] = []
            row = rows[level]
            for box in row:
                pulls = [
                    (x[p.source] + p.port, p.source >= boxes) for p in pieces if p.target == box
                ]
                pulls += [
                    (x[p.target] - p.port, p.target >= boxes) for p in pieces if p.source == box
                ]
                force = [_STRAIGHT if lane and box >= boxes else 1.0 for _, lane in pulls]
                wanted.append(
                    np.average([at for at, _ in pulls], weights=force) if pulls else x[box]
                )
                weights.append(sum(force) or 1.0)
            shift = np.asarray(wanted) - distances[level]
            x[row] = (
                isotonic_regression(shift, sample_weight=np.asarray(weights)) + distances[level]
            )
    return x


def _straighten(
    x: np.ndarray, rows: list[list[int]], lanes: list[list[int]], sizes: list[float], *, gap: float
) -> None:
    """Each edge's lanes in one line, in place, where their neighbours leave room for it."""
    beside = {box: (row[:i][-1:], row[i + 1 :][:1]) for row in rows for i, box in enumerate(row)}
    for boxes in lanes:
        lows = [x[a] + (sizes[a] + sizes[box]) / 2 + gap for box in boxes for a in beside[box][0]]
        highs = [x[b] - (sizes[b] + sizes[box]) / 2 - gap for box in boxes for b in beside[box][1]]
        low, high = max(lows, default=-np.inf), min(highs, default=np.inf)
        if boxes and low <= high:
            x[boxes] = np.clip(x[boxes].mean(), low, high)
