"""The layers of a network as blocks with their shapes and parameters: figures 2 and 3 of the 2023
paper.

The network itself is run once on a black image, so the picture cannot fall behind the code. Blocks
are as high as the image is large (square root) and as wide as it has channels (logarithm); layers
that keep the shape and have no parameters are thin slabs behind the block.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Polygon
from torch import Tensor, nn

from galaxyvotes.figures.drawing import LIGHT, box, canvas, text, text_width

__all__ = ["architecture"]

# Kinds of layer that the paper names have a colour of their own; others take the next free one.
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
_ROW_WIDTH, _ROW_HEIGHT = 12.0, 2.9  # inches
_LEGEND_WIDTH, _LEGEND_HEIGHT = 2.9, 0.3
_SLAB = 0.08


@dataclass(frozen=True)
class Layer:
    """One layer as it ran: its kind, its kernel, the shape of its output without the galaxy axis,
    and how many trainable parameters it owns.
    """

    kind: str
    kernel: str
    shape: tuple[int, ...]
    parameters: int

    @property
    def caption(self) -> tuple[str, str, str]:
        """Three lines below its block."""
        return (
            f"{self.kind} {self.kernel}".strip(),
            " × ".join(f"{n:,}" for n in self.shape),
            f"{self.parameters:,} params" if self.parameters else "",
        )


@dataclass(frozen=True)
class Block:
    """A layer and the slabs behind it, with the side of the largest image; sizes in inches."""

    layers: tuple[Layer, ...]
    largest: int

    @property
    def height(self) -> float:
        """The height of the front face."""
        shape = self.layers[0].shape
        if len(shape) > 1:
            return 0.3 + 1.3 * math.sqrt(max(shape[1:]) / self.largest)
        return min(2.1, 0.25 + 0.15 * math.log2(shape[0] if shape else 1))

    @property
    def depth(self) -> float:
        """The width of the front face."""
        shape = self.layers[0].shape
        return 0.06 + 0.06 * math.log2(max(shape[0], 1)) if len(shape) > 1 else 0.14

    @property
    def slant(self) -> float:
        """How far to the right the rear edges lie."""
        return 0.22 * self.height if len(self.layers[0].shape) > 1 else 0.06

    @property
    def drawn_width(self) -> float:
        """The width of what is drawn, slabs and slant included."""
        return self.depth + _SLAB * (len(self.layers) - 1) + self.slant

    @property
    def width(self) -> float:
        """The room that it needs in its row, with its caption."""
        captions = (text_width(words, 7.5) for words in self.layers[0].caption)
        return max(self.drawn_width, *captions) + 0.28


@dataclass(frozen=True)
class Place:
    """Where a block stands: the left end of its room, and its row."""

    x: float
    row: int


def architecture(network: nn.Module, input_shape: tuple[int, int, int]) -> Figure:
    """Every layer of a network in the order they run, and a legend with parameter counts.

    The network takes float images (galaxy, channel, height, width). Only layers that are called as
    modules are seen; a layer that is called twice is drawn twice, its parameters count once.
    """
    layers = run_layers(network, input_shape)
    blocks = _blocks([Layer("input", "", input_shape, 0), *layers])
    places = _places(blocks)
    kinds = list(dict.fromkeys(layer.kind for layer in layers))
    colours = _colours(kinds)
    width = max(6.0, *(place.x + b.width for place, b in zip(places, blocks, strict=True)))
    columns = max(1, min(len(kinds), int(width // _LEGEND_WIDTH)))
    legend_top = -(places[-1].row + 1) * _ROW_HEIGHT
    bottom = legend_top - math.ceil(len(kinds) / columns) * _LEGEND_HEIGHT - 0.6
    figure, axes = canvas(-0.2, width + 0.2, bottom, 0.2)
    for block, place in zip(blocks, places, strict=True):
        middle = -place.row * _ROW_HEIGHT - 1.15
        _draw_block(axes, block, place.x, middle, colours)
        if place.x > 0:
            _draw_arrow(axes, place.x, middle)
    for i, kind in enumerate(kinds):
        x = (i % columns) * _LEGEND_WIDTH
        y = legend_top - 0.32 - (i // columns) * _LEGEND_HEIGHT
        _draw_legend(axes, x, y, [layer for layer in layers if layer.kind == kind], colours[kind])
    words = _total(network, layers)
    text(axes, 0.0, bottom + 0.12, words, 9.0, align="left", weight="bold")
    return figure


def run_layers(network: nn.Module, input_shape: tuple[int, int, int]) -> list[Layer]:
    """The layers of a network in the order they run; the network is left as it was."""
    layers: list[Layer] = []
    counted: set[int] = set()

    def record(module: nn.Module, _: Any, output: Any) -> None:
        first = cast("Sequence[Any]", output)[0] if isinstance(output, (tuple, list)) else output
        shape = tuple(first.shape[1:]) if isinstance(first, Tensor) else ()
        own = [p for p in module.parameters() if p.requires_grad and id(p) not in counted]
        counted.update(id(p) for p in own)
        number = sum(p.numel() for p in own)
        layers.append(Layer(type(module).__name__, _kernel(module), shape, number))

    leaves = [module for module in network.modules() if not list(module.children())]
    hooks = [leaf.register_forward_hook(record) for leaf in leaves]
    training = [module for module in network.modules() if module.training]
    parameter = next(network.parameters(), torch.zeros(0))
    black = torch.zeros(1, *input_shape, device=parameter.device, dtype=parameter.dtype)
    try:
        with torch.no_grad():
            network.eval()(black)
    finally:
        for hook in hooks:
            hook.remove()
        for module in training:
            module.training = True
    return layers


def _kernel(module: nn.Module) -> str:
    size: int | tuple[int, ...] | None = getattr(module, "kernel_size", None)
    if size is None:
        return ""
    return "×".join(map(str, size if isinstance(size, tuple) else (size, size)))


def _blocks(layers: Sequence[Layer]) -> list[Block]:
    groups: list[list[Layer]] = []
    for layer in layers:
        if groups and layer.shape == groups[-1][-1].shape and not layer.parameters:
            groups[-1].append(layer)
        else:
            groups.append([layer])
    largest = max((max(layer.shape[1:]) for layer in layers if len(layer.shape) > 1), default=1)
    return [Block(tuple(group), largest) for group in groups]


def _places(blocks: Sequence[Block]) -> list[Place]:
    """Blocks side by side, in as many rows as it takes."""
    places: list[Place] = []
    x, row = 0.0, 0
    for block in blocks:
        if x + block.width > _ROW_WIDTH:
            x, row = 0.0, row + 1
        places.append(Place(x, row))
        x += block.width
    return places


def _colours(kinds: Sequence[str]) -> dict[str, str]:
    others = [kind for kind in kinds if kind not in _COLOURS]
    free = {kind: _OTHERS[i % len(_OTHERS)] for i, kind in enumerate(others)}
    return {"input": LIGHT.rule} | _COLOURS | free


def _total(network: nn.Module, layers: Sequence[Layer]) -> str:
    total = sum(p.numel() for p in network.parameters() if p.requires_grad)
    drawn = sum(layer.parameters for layer in layers)
    outside = f", {total - drawn:,} of them outside these layers" if total != drawn else ""
    return f"{total:,} trainable parameters{outside}"


def _draw_block(
    axes: Axes, block: Block, x: float, middle: float, colours: Mapping[str, str]
) -> None:
    rise = block.slant * 0.7
    left = x + (block.width - block.drawn_width) / 2
    bottom = middle - (block.height + rise) / 2
    for i, layer in reversed(list(enumerate(block.layers))):
        start = left + (block.depth + _SLAB * (i - 1) if i else 0)
        width = _SLAB if i else block.depth
        _draw_prism(
            axes, (start, bottom), (width, block.height), (block.slant, rise), colours[layer.kind]
        )
    for i, words in enumerate(block.layers[0].caption):
        color = LIGHT.muted if i else LIGHT.ink
        text(axes, x + block.width / 2, middle - 1.2 - 0.17 * i, words, 7.5, color=color)


def _draw_prism(
    axes: Axes,
    corner: tuple[float, float],
    size: tuple[float, float],
    shift: tuple[float, float],
    color: str,
) -> None:
    """The front, the lighter top and the darker side of a box; its rear is shifted by `shift`."""
    (a, bottom), (slant, rise) = corner, shift
    b, top = a + size[0], bottom + size[1]
    faces = {
        1.0: [(a, bottom), (b, bottom), (b, top), (a, top)],
        1.25: [(a, top), (b, top), (b + slant, top + rise), (a + slant, top + rise)],
        0.75: [(b, bottom), (b + slant, bottom + rise), (b + slant, top + rise), (b, top)],
    }
    for shade, corners in faces.items():
        face = tuple(np.clip(np.array(to_rgb(color)) * shade, 0, 1))
        axes.add_patch(Polygon(corners, closed=True, facecolor=face, edgecolor=LIGHT.ink, lw=0.5))


def _draw_arrow(axes: Axes, x: float, y: float) -> None:
    style = "-|>,head_length=3,head_width=1.8"
    ends = (x - 0.13, y), (x + 0.13, y)
    axes.add_patch(FancyArrowPatch(*ends, color=LIGHT.muted, arrowstyle=style, lw=0.9))


def _draw_legend(axes: Axes, x: float, y: float, layers: Sequence[Layer], color: str) -> None:
    """A colour, the kind of layer it stands for, how many there are, and their parameters."""
    count = sum(layer.parameters for layer in layers)
    box(axes, (x, y - 0.08), 0.22, 0.16, face=color, edge=LIGHT.ink)
    parameters = f": {count:,} parameters" if count else ""
    words = f"{layers[0].kind} × {len(layers)}{parameters}"
    text(axes, x + 0.32, y, words, 8.0, align="left")
