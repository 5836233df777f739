"""The questions of a decision tree and which answer leads to which: figure 1 of the 2023 paper.

Questions stand in layers, each below all that lead to it. Within a layer their order is that in
which a walk from the first question meets them that takes answers from left to right; then arrows
cross only where the tree itself is not planar. An arrow that skips layers gets a lane of its own in
each of them, so it never runs through a box. Positions are the least-squares fit to vertical
arrows that keeps order and distances.

Source: Gansner, Koutsofios, North & Vo 1993, IEEE Transactions on Software Engineering 19, 214:
layers, virtual nodes for long edges, and larger weights for these.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import networkx as nx
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.path import Path as Curve
from scipy.optimize import lsq_linear  # pyright: ignore[reportUnknownVariableType]

from galaxyvotes.figures.drawing import LIGHT, box, canvas, text, text_width, wrap
from galaxyvotes.tree import DecisionTree, Question

__all__ = ["flowchart"]

BOX_GAP = 0.45  # inches between neighbours of a layer
LANE_WIDTH = 0.25
LAYER_GAP, LAYER_GAP_WITH_ENDS = 0.6, 0.85
LANE_WEIGHT = 30.0  # a bend in a lane counts this many times as much as one at a box

Lane = tuple[int, int]  # edge, layer
Node = int | Lane  # a question, or where an edge passes a layer


@dataclass(frozen=True)
class Exit:
    """Neighbouring answers of a question that lead to the same one; None is the end."""

    first: int
    last: int
    target: int | None


@dataclass(frozen=True)
class Card:
    """A question as a box: its text in lines, its answers in cells of one width. In inches."""

    name: str
    lines: list[str]
    cells: list[list[str]]
    cell_width: float
    exits: list[Exit]

    @property
    def width(self) -> float:
        """The width of the box."""
        return len(self.cells) * self.cell_width + 0.16

    @property
    def cell_height(self) -> float:
        """The height of the highest answer."""
        return 0.14 + 0.145 * max(len(cell) for cell in self.cells)

    @property
    def height(self) -> float:
        """The height of the box."""
        return 0.34 + 0.175 * len(self.lines) + self.cell_height + 0.08

    def cell_x(self, index: int) -> float:
        """The middle of a cell, from the middle of the box."""
        return (index - (len(self.cells) - 1) / 2) * self.cell_width

    def port(self, leaving: Exit) -> float:
        """Where the arrow of an exit starts, from the middle of the box."""
        return (self.cell_x(leaving.first) + self.cell_x(leaving.last)) / 2


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

    layers: list[int]
    x: list[float]
    lanes: list[list[float]]


# ---- positions


def back_edges(count: int, edges: Sequence[tuple[int, int]]) -> set[tuple[int, int]]:
    """Edges that lead back to a box on the way from box 0 to their start; without them there is no
    circle.
    """
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(count))
    graph.add_edges_from(edges)
    back: set[tuple[int, int]] = set()
    while True:
        try:
            back.add(nx.find_cycle(graph)[-1])
        except nx.NetworkXNoCycle:
            return back
        graph.remove_edges_from(back)


def lay_out(widths: Sequence[float], edges: Sequence[Edge], *, gap: float, lane: float) -> Layout:
    """Positions of boxes of these widths, `gap` apart, and of lanes `lane` wide; the edges have no
    circle.
    """
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(len(widths)))
    graph.add_edges_from((edge.source, edge.target) for edge in edges)
    layers = enumerate(nx.topological_generations(graph))
    layer_of = {node: layer for layer, nodes in layers for node in nodes}
    chains = [_chain(number, edge, layer_of) for number, edge in enumerate(edges)]
    rows = _rows(range(len(widths)), chains, layer_of)
    size: dict[Node, float] = {node: lane for row in rows for node in row} | dict(enumerate(widths))
    x = _positions(rows, [*zip(edges, chains, strict=True)], size, gap)
    boxes = range(len(widths))
    lanes = [[x[node] for node in chain[1:-1]] for chain in chains]
    return Layout([layer_of[node] for node in boxes], [x[node] for node in boxes], lanes)


def _chain(number: int, edge: Edge, layer_of: dict[int, int]) -> list[Node]:
    """What an edge passes on its way: its source, a lane in each layer it skips, its target."""
    skipped = range(layer_of[edge.source] + 1, layer_of[edge.target])
    return [edge.source, *((number, layer) for layer in skipped), edge.target]


def _rows(
    boxes: Sequence[int], chains: Sequence[list[Node]], layer_of: dict[int, int]
) -> list[list[Node]]:
    """Boxes and lanes of each layer, in the order in which a walk from the first box meets them."""
    graph: nx.DiGraph[Node] = nx.DiGraph()
    for chain in chains:
        nx.add_path(graph, chain)
    graph.add_nodes_from(boxes)
    rows: list[list[Node]] = [[] for _ in range(max(layer_of.values()) + 1)]
    met: dict[Node, None] = {}
    for start in boxes:
        met |= dict.fromkeys(nx.dfs_preorder_nodes(graph, start))
    for node in met:
        rows[layer_of[node] if isinstance(node, int) else node[1]].append(node)
    return rows


def _positions(
    rows: Sequence[list[Node]],
    chains: Sequence[tuple[Edge, list[Node]]],
    size: dict[Node, float],
    gap: float,
) -> dict[Node, float]:
    """The x of every box and lane: unknown are the x of the first of each row and how much further
    apart than `gap` its neighbours are, which is 0 or more.
    """
    count = sum(len(row) for row in rows)
    number = {node: i for i, node in enumerate(node for row in rows for node in row)}
    of_unknowns, fixed = np.zeros((count, count)), np.zeros(count)
    lowest = np.zeros(count)
    for row in rows:
        first = number[row[0]]
        lowest[first] = -np.inf
        steps = [(size[a] + size[b]) / 2 + gap for a, b in pairwise(row)]
        for place, shift in enumerate(np.cumsum([0.0, *steps])):
            of_unknowns[first + place, first : first + place + 1] = 1
            fixed[first + place] = shift
    pulls = [pull for edge, chain in chains for pull in _pulls(edge, chain)]
    difference = np.zeros((len(pulls) + 1, count))
    target, weight = np.zeros(len(pulls) + 1), np.ones(len(pulls) + 1)
    for i, (above, below, port, strength) in enumerate(pulls):
        difference[i, number[above]], difference[i, number[below]] = 1, -1
        target[i], weight[i] = -port, strength
    difference[-1, 0] = 1  # the first box is at 0
    fit: Any = lsq_linear(
        weight[:, None] * (difference @ of_unknowns),
        weight * (target - difference @ fixed),
        (lowest, np.full(count, np.inf)),
        method="bvls",
    )
    x: list[float] = (of_unknowns @ fit.x + fixed).tolist()
    return dict(zip(number, x, strict=True))


def _pulls(edge: Edge, chain: list[Node]) -> Iterator[tuple[Node, Node, float, float]]:
    """Per layer that an edge crosses: from where, to where, its port, and how much a bend costs."""
    for above, below in pairwise(chain):
        straight = isinstance(above, tuple) and isinstance(below, tuple)
        port = edge.port if above == edge.source else 0.0
        yield above, below, port, LANE_WEIGHT if straight else 1.0


# ---- the drawing


def flowchart(tree: DecisionTree) -> Figure:
    """The questions of a tree as boxes, with arrows from answers to the questions they lead to.

    Neighbouring answers that lead to the same question share an arrow. Where an answer leads back
    to a question above it, the question's name stands there in place of an arrow.
    """
    names = [question.name for question in tree.questions]
    cards = [_card(question, names) for question in tree.questions]
    exits = [(source, leaving) for source, card in enumerate(cards) for leaving in card.exits]
    links = [(source, leaving.target) for source, leaving in exits if leaving.target is not None]
    back = back_edges(len(cards), links)
    edges: list[Edge] = []
    ends: list[tuple[int, float, str]] = []
    for source, leaving in exits:
        target, port = leaving.target, cards[source].port(leaving)
        if target is None:
            ends.append((source, port, "end"))
        elif (source, target) in back:
            ends.append((source, port, f"back to {names[target]}"))
        else:
            edges.append(Edge(source, target, port))
    layout = lay_out([card.width for card in cards], edges, gap=BOX_GAP, lane=LANE_WIDTH)
    tops = _tops(cards, layout.layers, {layout.layers[source] for source, _, _ in ends})
    figure, axes = _sized(cards, layout, tops)
    for edge, lane in zip(edges, layout.lanes, strict=True):
        _draw_arrow(axes, edge, lane, layout, tops, cards[edge.source].height)
    for source, port, words in ends:
        bottom = tops[layout.layers[source]] - cards[source].height
        _draw_end(axes, layout.x[source] + port, bottom, words)
    for card, x, layer in zip(cards, layout.x, layout.layers, strict=True):
        _draw_card(axes, card, x, tops[layer])
    return figure


def _card(question: Question, names: Sequence[str]) -> Card:
    texts = [answer.text for answer in question.answers]
    longest = max(text_width(word, 8.0) for words in texts for word in words.split() or [""])
    cell_width = max(0.72, longest + 0.14, 2.14 / len(texts))
    cells = [wrap(words, 8.0, cell_width - 0.1) for words in texts]
    title = "" if question.text == question.name else question.text
    lines = wrap(title, 9.0, len(texts) * cell_width - 0.14)
    exits: list[Exit] = []
    for i, answer in enumerate(question.answers):
        target = None if answer.next is None else names.index(answer.next)
        if exits and exits[-1].target == target:
            exits[-1] = Exit(exits[-1].first, i, target)
        else:
            exits.append(Exit(i, i, target))
    return Card(question.name, lines, cells, cell_width, exits)


def _tops(cards: Sequence[Card], layers: Sequence[int], with_ends: set[int]) -> list[float]:
    """The upper edge of each layer; below one from which answers end there is more room."""
    tops = [0.0]
    for layer in range(max(layers)):
        highest = max(card.height for card, at in zip(cards, layers, strict=True) if at == layer)
        gap = LAYER_GAP_WITH_ENDS if layer in with_ends else LAYER_GAP
        tops.append(tops[-1] - highest - gap)
    return tops


def _sized(cards: Sequence[Card], layout: Layout, tops: Sequence[float]) -> tuple[Figure, Axes]:
    """A canvas with room for all boxes and lanes."""
    boxes = list(zip(cards, layout.x, layout.layers, strict=True))
    lanes = [x for lane in layout.lanes for x in lane]
    left = min([*lanes, *(x - card.width / 2 for card, x, _ in boxes)])
    right = max([*lanes, *(x + card.width / 2 for card, x, _ in boxes)])
    bottom = min(tops[layer] - card.height for card, _, layer in boxes)
    return canvas(left - 0.3, right + 0.3, bottom - 0.6, 0.25)


def _draw_card(axes: Axes, card: Card, x: float, top: float) -> None:
    bottom, step = top - card.height, card.cell_width
    corner = (x - card.width / 2, bottom)
    box(axes, corner, card.width, card.height, face=LIGHT.fill, edge=LIGHT.muted, rounding=0.07)
    text(axes, x, top - 0.17, card.name, 8.0, color=LIGHT.accent, weight="bold")
    for i, line in enumerate(card.lines):
        text(axes, x, top - 0.38 - 0.175 * i, line, 9.0)
    for i, lines in enumerate(card.cells):
        middle = x + card.cell_x(i)
        corner = (middle - step / 2 + 0.02, bottom + 0.08)
        box(axes, corner, step - 0.04, card.cell_height, face=LIGHT.paper, edge=LIGHT.rule)
        for j, line in enumerate(lines):
            y = bottom + 0.08 + card.cell_height / 2 + 0.145 * ((len(lines) - 1) / 2 - j)
            text(axes, middle, y, line, 8.0)
    for leaving in card.exits if len(card.exits) > 1 else ():
        if leaving.last > leaving.first:
            left = x + card.cell_x(leaving.first) - step / 2 + 0.04
            right = x + card.cell_x(leaving.last) + step / 2 - 0.04
            style: dict[str, Any] = {"lw": 2, "solid_capstyle": "butt", "zorder": 4}
            axes.plot([left, right], [bottom, bottom], color=LIGHT.ink, **style)


def _draw_end(axes: Axes, x: float, bottom: float, words: str) -> None:
    axes.plot([x, x], [bottom, bottom - 0.2], color=LIGHT.muted, lw=1)
    width = text_width(words, 7.5) + 0.2
    corner = (x - width / 2, bottom - 0.4)
    box(axes, corner, width, 0.2, face=LIGHT.paper, edge=LIGHT.rule, rounding=0.1)
    text(axes, x, bottom - 0.3, words, 7.5, color=LIGHT.muted)


def _draw_arrow(
    axes: Axes,
    edge: Edge,
    lane: Sequence[float],
    layout: Layout,
    tops: Sequence[float],
    height: float,
) -> None:
    """Down from the answer, an S-curve to each lane and straight along it, and into the top of the
    target.
    """
    layer, x = layout.layers[edge.source], layout.x[edge.source] + edge.port
    points, codes = [(x, tops[layer] - height)], [Curve.MOVETO]
    for step, to in enumerate([*lane, layout.x[edge.target]]):
        below = tops[layer + step + 1]
        y0, y1 = below + 0.5, below + (0.14 if step == len(lane) else 0.0)
        points += [(x, y0), (x, (y0 + y1) / 2), (to, (y0 + y1) / 2), (to, y1)]
        codes += [Curve.LINETO, *[Curve.CURVE4] * 3]
        x = to
    points.append((x, tops[layout.layers[edge.target]]))
    codes.append(Curve.LINETO)
    style: dict[str, Any] = {
        "arrowstyle": "-|>,head_length=5,head_width=2.4",
        "shrinkA": 0,
        "shrinkB": 0,
    }
    arrow = FancyArrowPatch(path=Curve(points, codes), color=LIGHT.muted, lw=1.1, zorder=1, **style)
    axes.add_patch(arrow)
