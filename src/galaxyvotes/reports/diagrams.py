"""Diagrams drawn from the things themselves: the volunteers' flowchart from a decision tree, the
architecture from a network. Nothing is drawn by hand, so no picture can fall behind. One unit of a
canvas is one inch.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, cast

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Polygon
from matplotlib.path import Path as Curve
from matplotlib.textpath import text_to_path
from torch import Tensor, nn

from galaxyvotes.reports.layout import Edge, Layout, lay_out, leads_back
from galaxyvotes.tree import DecisionTree, Question

__all__ = ["architecture", "flowchart"]

INK, MUTED, RULE, FILL, PAPER, ACCENT = (
    "#1d2733",
    "#65707e",
    "#d3d9e0",
    "#f3f5f8",
    "#fefefe",
    "#2a64ad",
)


# ---- figure 1: what volunteers are asked


@dataclass(frozen=True)
class _Card:
    """A question as a box: its text in lines, its answers in cells of one width, and where it
    leads. In inches.
    """

    name: str
    text: list[str]
    cells: list[list[str]]
    cell_width: float
    exits: list[tuple[int, int, str | None]]  # first answer, last answer, next

    @property
    def width(self) -> float:
        return len(self.cells) * self.cell_width + 0.16

    @property
    def cell_height(self) -> float:
        return 0.14 + 0.145 * max(len(cell) for cell in self.cells)

    @property
    def height(self) -> float:
        return 0.34 + 0.175 * len(self.text) + self.cell_height + 0.08

    def cell_x(self, index: int) -> float:
        """The middle of a cell, from the middle of the box."""
        return (index - (len(self.cells) - 1) / 2) * self.cell_width


def flowchart(tree: DecisionTree) -> Figure:
    """What volunteers are asked, and which answer leads where: the paper's figure 1, for any tree.

    Answers side by side that lead to the same question share an arrow. Where an answer leads back
    to a question above it, the question's name stands there in place of an arrow.
    """
    cards = [_card(question) for question in tree.questions]
    names = [question.name for question in tree.questions]
    links = [
        (i, names.index(after))
        for i, card in enumerate(cards)
        for _, _, after in card.exits
        if after
    ]
    back = leads_back(len(cards), links)
    edges: list[Edge] = []
    ends: list[tuple[int, float, str]] = []
    for i, card in enumerate(cards):
        for first, last, after in card.exits:
            port = (card.cell_x(first) + card.cell_x(last)) / 2
            if after is None or (i, names.index(after)) in back:
                ends.append((i, port, f"back to {after}" if after else "end"))
            else:
                edges.append(Edge(i, names.index(after), port))
    layout = lay_out([card.width for card in cards], edges, gap=0.45, lane=0.25)
    rows = range(max(layout.layers) + 1)
    heights = [
        max(c.height for c, level in zip(cards, layout.layers, strict=True) if level == row)
        for row in rows
    ]
    gaps = [0.85 if any(layout.layers[i] == row for i, _, _ in ends) else 0.6 for row in rows]
    tops = [-sum(heights[:row], 0.0) - sum(gaps[:row], 0.0) for row in rows]
    left = min(x - card.width / 2 for x, card in zip(layout.x, cards, strict=True))
    right = max(x + card.width / 2 for x, card in zip(layout.x, cards, strict=True))
    lanes = [x for lane in layout.lanes for x in lane]
    axes = _canvas(
        min([left, *lanes]) - 0.3, max([right, *lanes]) + 0.3, tops[-1] - heights[-1] - 0.6, 0.25
    )
    for edge, lane in zip(edges, layout.lanes, strict=True):
        _arrow(axes, edge, lane, layout, tops, cards[edge.source].height)
    for i, port, words in ends:
        x, y = layout.x[i] + port, tops[layout.layers[i]] - cards[i].height
        axes.plot([x, x], [y, y - 0.2], color=MUTED, lw=1)
        width = text_width(words, 7.5) + 0.2
        _box(axes, x - width / 2, y - 0.4, width, 0.2, face=PAPER, edge=RULE, rounding=0.1)
        _text(axes, x, y - 0.3, words, 7.5, color=MUTED)
    for card, x, level in zip(cards, layout.x, layout.layers, strict=True):
        _draw_card(axes, card, x, tops[level])
    return _figure_of(axes)


def _card(question: Question) -> _Card:
    exits: list[tuple[int, int, str | None]] = []
    for i, answer in enumerate(question.answers):
        if exits and exits[-1][2] == answer.next:
            exits[-1] = (exits[-1][0], i, answer.next)
        else:
            exits.append((i, i, answer.next))
    texts = [answer.text for answer in question.answers]
    longest = max(text_width(word, 8.0) for text in texts for word in text.split() or [""])
    cell_width = max(0.72, longest + 0.14, 2.14 / len(texts))
    cells = [_wrapped(text, 8.0, cell_width - 0.1) for text in texts]
    text = (
        []
        if question.text == question.name
        else _wrapped(question.text, 9.0, len(texts) * cell_width - 0.14)
    )
    return _Card(question.name, text, cells, cell_width, exits)


def _draw_card(axes: Axes, card: _Card, x: float, top: float) -> None:
    left, bottom = x - card.width / 2, top - card.height
    _box(axes, left, bottom, card.width, card.height, face=FILL, edge=MUTED, rounding=0.07)
    _text(axes, x, top - 0.17, card.name, 8.0, color=ACCENT, weight="bold")
    for i, line in enumerate(card.text):
        _text(axes, x, top - 0.38 - 0.175 * i, line, 9.0)
    step = card.cell_width
    for i, lines in enumerate(card.cells):
        middle = x + card.cell_x(i)
        _box(
            axes,
            middle - step / 2 + 0.02,
            bottom + 0.08,
            step - 0.04,
            card.cell_height,
            face=PAPER,
            edge=RULE,
        )
        for j, line in enumerate(lines):
            y = bottom + 0.08 + card.cell_height / 2 + 0.145 * ((len(lines) - 1) / 2 - j)
            _text(axes, middle, y, line, 8.0)
    for first, last, _ in card.exits:
        if last > first and len(card.exits) > 1:
            ends = [
                x + card.cell_x(first) - step / 2 + 0.04,
                x + card.cell_x(last) + step / 2 - 0.04,
            ]
            axes.plot(ends, [bottom, bottom], color=INK, lw=2, solid_capstyle="butt", zorder=4)


def _arrow(
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
    level, at = layout.layers[edge.source], layout.x[edge.source] + edge.port
    points, codes = [(at, tops[level] - height)], [Curve.MOVETO]
    for step, to in enumerate([*lane, layout.x[edge.target]]):
        below = tops[level + step + 1]
        y0, y1 = below + 0.5, below + (0.14 if step == len(lane) else 0.0)
        points += [(at, y0), (at, (y0 + y1) / 2), (to, (y0 + y1) / 2), (to, y1)]
        codes += [Curve.LINETO, *[Curve.CURVE4] * 3]
        at = to
    points.append((at, tops[layout.layers[edge.target]]))
    codes.append(Curve.LINETO)
    style: dict[str, Any] = {
        "arrowstyle": "-|>,head_length=5,head_width=2.4",
        "shrinkA": 0,
        "shrinkB": 0,
    }
    axes.add_patch(
        FancyArrowPatch(path=Curve(points, codes), color=MUTED, lw=1.1, zorder=1, **style)
    )


# ---- figures 2 and 3: the network


@dataclass(frozen=True)
class _Layer:
    """One leaf of a network as it ran: what kind, its own setting, what it gave, how many
    parameters it owns.
    """

    kind: str
    detail: str
    shape: tuple[int, ...]
    parameters: int


# Kinds that every reader of the paper looks for have a colour of their own; others take what is
# left, in turn.
_COLOURS = {
    "Conv2d": "#4e79a7",
    "BatchNorm2d": "#59a14f",
    "MaxPool2d": "#e15759",
    "Linear": "#f28e2b",
    "Dropout": "#a9b1ba",
    "ReLU": "#edc948",
    "Sigmoid": "#d37295",
    "Flatten": "#b07aa1",
}
_OTHERS = ("#76b7b2", "#9c755f", "#d4a6c8", "#8cd17d", "#79706e", "#b6992d", "#a0cbe8", "#fabfd2")
_ROW_INCHES = 12.0


def architecture(network: nn.Module, input_shape: tuple[int, int, int]) -> Figure:
    """The network as it runs: every layer in order with the shape it gives, and a legend with
    parameter counts.

    The paper's figures 2 and 3, for any network that takes float (galaxy, channel, height, width).
    Blocks are as high as the image is large and as wide as it has channels; layers that leave the
    shape as it was and have no parameters are thin slabs. Only layers that are called as modules
    can be seen.
    """
    layers = _layers(network, input_shape)
    total = sum(p.numel() for p in network.parameters() if p.requires_grad)
    blocks: list[list[_Layer]] = [[_Layer("input", "", input_shape, 0)]]
    for layer in layers:
        if layer.shape == blocks[-1][-1].shape and not layer.parameters:
            blocks[-1].append(layer)
        else:
            blocks.append([layer])
    kinds = list(dict.fromkeys(layer.kind for layer in layers))
    spare = [kind for kind in kinds if kind not in _COLOURS]
    colours = (
        {"input": RULE}
        | _COLOURS
        | {kind: _OTHERS[i % len(_OTHERS)] for i, kind in enumerate(spare)}
    )
    side = max(
        (max(layer.shape[1:]) for block in blocks for layer in block if len(layer.shape) > 1),
        default=1,
    )
    places: list[tuple[float, int, float]] = []
    x, row = 0.0, 0
    for block in blocks:
        width = (
            max(
                _block_size(block, side)[0],
                *(text_width(words, 7.5) for words in _caption(block[0])),
            )
            + 0.28
        )
        if x + width > _ROW_INCHES:
            x, row = 0.0, row + 1
        places.append((x, row, width))
        x += width
    across = max(x + width for x, _, width in places)
    columns = max(1, min(len(kinds), int(max(across, 6.0) // 2.9)))
    legend = math.ceil(len(kinds) / columns) * 0.3 + 0.6
    bottom = -(row + 1) * 2.9 - legend
    axes = _canvas(-0.2, max(across, 6.0) + 0.2, bottom, 0.2)
    for block, (x, row, width) in zip(blocks, places, strict=True):
        _draw_block(axes, block, x, -row * 2.9 - 1.15, width, side, colours)
        if block is not blocks[0] and x > 0:
            axes.add_patch(
                FancyArrowPatch(
                    (x - 0.13, -row * 2.9 - 1.15),
                    (x + 0.13, -row * 2.9 - 1.15),
                    color=MUTED,
                    arrowstyle="-|>,head_length=3,head_width=1.8",
                    lw=0.9,
                )
            )
    for i, kind in enumerate(kinds):
        at, y = (i % columns) * 2.9, bottom + legend - 0.32 - (i // columns) * 0.3
        mine = [layer for layer in layers if layer.kind == kind]
        count = sum(layer.parameters for layer in mine)
        _box(axes, at, y - 0.08, 0.22, 0.16, face=colours[kind], edge=INK)
        words = f"{kind} × {len(mine)}" + (f": {count:,} parameters" if count else "")
        _text(axes, at + 0.32, y, words, 8.0, align="left")
    drawn = sum(layer.parameters for layer in layers)
    outside = f", {total - drawn:,} of them outside these layers" if total != drawn else ""
    _text(
        axes,
        0.0,
        bottom + 0.12,
        f"{total:,} trainable parameters{outside}",
        9.0,
        align="left",
        weight="bold",
    )
    return _figure_of(axes)


def _layers(network: nn.Module, input_shape: tuple[int, int, int]) -> list[_Layer]:
    """The leaves of a network in the order they run; parameters used twice count once."""
    layers: list[_Layer] = []
    counted: set[int] = set()

    def record(module: nn.Module, _: Any, output: Any) -> None:
        first = cast("Sequence[Any]", output)[0] if isinstance(output, (tuple, list)) else output
        shape = tuple(first.shape[1:]) if isinstance(first, Tensor) else ()
        mine = [p for p in module.parameters() if p.requires_grad and id(p) not in counted]
        counted.update(id(p) for p in mine)
        layers.append(
            _Layer(type(module).__name__, _setting(module), shape, sum(p.numel() for p in mine))
        )

    leaves = [module for module in network.modules() if not list(module.children())]
    hooks = [leaf.register_forward_hook(record) for leaf in leaves]
    training, parameter = (
        [m for m in network.modules() if m.training],
        next(network.parameters(), torch.zeros(0)),
    )
    try:
        with torch.no_grad():
            network.eval()(
                torch.zeros(1, *input_shape, device=parameter.device, dtype=parameter.dtype)
            )
    finally:
        for hook in hooks:
            hook.remove()
        for module in training:
            module.training = True
    return layers


def _setting(module: nn.Module) -> str:
    """The one setting worth a word: the size of a kernel."""
    size: int | tuple[int, ...] | None = getattr(module, "kernel_size", None)
    return (
        ""
        if size is None
        else "×".join(map(str, size if isinstance(size, tuple) else (size, size)))
    )


def _caption(layer: _Layer) -> tuple[str, str, str]:
    shape = " × ".join(f"{n:,}" for n in layer.shape)
    return (
        f"{layer.kind} {layer.detail}".strip(),
        shape,
        f"{layer.parameters:,} params" if layer.parameters else "",
    )


def _block_size(block: list[_Layer], side: int) -> tuple[float, float, float]:
    """Width with slabs and slant, height, and slant of a block, in inches."""
    shape = block[0].shape
    if len(shape) > 1:
        height, thick = (
            0.3 + 1.3 * math.sqrt(max(shape[1:]) / side),
            0.06 + 0.06 * math.log2(max(shape[0], 1)),
        )
        slant = 0.22 * height
    else:
        height, thick, slant = (
            min(2.1, 0.25 + 0.15 * math.log2(shape[0] if shape else 1)),
            0.14,
            0.06,
        )
    return thick + 0.08 * (len(block) - 1) + slant, height, slant


def _draw_block(
    axes: Axes,
    block: list[_Layer],
    x: float,
    y: float,
    width: float,
    side: int,
    colours: Mapping[str, str],
) -> None:
    full, height, slant = _block_size(block, side)
    thick = full - slant - 0.08 * (len(block) - 1)
    left, bottom, rise = x + (width - full) / 2, y - (height + slant * 0.7) / 2, slant * 0.7
    for i, layer in reversed(list(enumerate(block))):
        a = left + (thick + 0.08 * (i - 1) if i else 0)
        b, top = a + (0.08 if i else thick), bottom + height
        faces = {
            1.0: [(a, bottom), (b, bottom), (b, top), (a, top)],
            1.25: [(a, top), (b, top), (b + slant, top + rise), (a + slant, top + rise)],
            0.75: [(b, bottom), (b + slant, bottom + rise), (b + slant, top + rise), (b, top)],
        }
        for shade, corners in faces.items():
            face = np.clip(np.array(to_rgb(colours[layer.kind])) * shade, 0, 1)
            axes.add_patch(
                Polygon(corners, closed=True, facecolor=tuple(face), edgecolor=INK, lw=0.5)
            )
    for i, words in enumerate(_caption(block[0])):
        _text(axes, x + width / 2, y - 1.2 - 0.17 * i, words, 7.5, color=MUTED if i else INK)


# ---- a canvas in inches


def _canvas(left: float, right: float, bottom: float, top: float) -> Axes:
    figure = Figure(figsize=(right - left, top - bottom), facecolor=PAPER)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set(xlim=(left, right), ylim=(bottom, top))
    return axes


def _figure_of(axes: Axes) -> Figure:
    figure = axes.get_figure(root=True)
    assert figure is not None
    return figure


def _box(
    axes: Axes,
    left: float,
    bottom: float,
    width: float,
    height: float,
    *,
    face: str,
    edge: str,
    rounding: float = 0.04,
) -> None:
    shape = f"round,pad=0,rounding_size={rounding}"
    box = FancyBboxPatch(
        (left, bottom), width, height, boxstyle=shape, facecolor=face, edgecolor=edge, lw=0.8
    )
    box.set_zorder(3)
    axes.add_patch(box)


def _text(
    axes: Axes,
    x: float,
    y: float,
    words: str,
    size: float,
    *,
    color: str = INK,
    align: Literal["left", "center"] = "center",
    weight: str = "normal",
) -> None:
    style: dict[str, Any] = {
        "fontsize": size,
        "color": color,
        "ha": align,
        "va": "center",
        "fontweight": weight,
    }
    axes.text(x, y, words, parse_math=False, zorder=5, **style)


@cache
def text_width(words: str, size: float) -> float:
    """How wide a line of text is, in inches, at a size in points."""
    width, _, _ = text_to_path.get_text_width_height_descent(
        words, FontProperties(size=size), ismath=False
    )
    return width / 72


def _wrapped(words: str, size: float, width: float) -> list[str]:
    """As few lines as fit `width` inches (unless one word does not), and these as even as can
    be.
    """
    parts = words.split()
    widths, space = (
        [text_width(part, size) for part in parts],
        text_width("n n", size) - text_width("nn", size),
    )

    def breaks(limit: float) -> list[list[int]]:
        lines: list[list[int]] = []
        for i in range(len(parts)):
            if lines and sum(widths[j] + space for j in lines[-1]) + widths[i] <= limit:
                lines[-1].append(i)
            else:
                lines.append([i])
        return lines

    lines = breaks(width)
    for limit in np.arange(width, max(widths, default=width), -0.05).tolist():
        if len(narrower := breaks(limit)) > len(lines):
            break
        lines = narrower
    return [" ".join(parts[i] for i in line) for line in lines]
