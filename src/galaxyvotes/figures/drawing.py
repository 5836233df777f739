"""What all figures share: two palettes, text of a known width, a canvas in inches, and files.

Figures are drawn without pyplot, so they touch no global state and may be drawn in any thread.
Text stays text in SVG and PDF, to be searched and copied. Equal input gives equal bytes.
"""

import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyBboxPatch
from matplotlib.textpath import text_to_path

from galaxyvotes.errors import ConfigError
from galaxyvotes.runtime.files import replacing

__all__ = [
    "DARK",
    "LIGHT",
    "Palette",
    "box",
    "canvas",
    "check_format",
    "save",
    "svg",
    "text",
    "text_width",
    "wrap",
]

FORMATS = ("svg", "png", "pdf")
_SETTINGS: Any = {
    "font.sans-serif": ["DejaVu Sans"],  # one name, for each text of an SVG lists them all
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "galaxyvotes",
}
_METADATA: dict[str, dict[str, None]] = {
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@dataclass(frozen=True)
class Palette:
    """The colours of a figure, and of the page that shows it."""

    ink: str
    muted: str
    rule: str
    fill: str
    paper: str
    accent: str
    labels: str
    warn: str
    warn_fill: str


_COLOURS = {  # in the light and in the dark palette
    "ink": ("#1d2733", "#e4e8ed"),
    "muted": ("#5b6673", "#9aa5b1"),
    "rule": ("#d3d9e0", "#333c47"),
    "fill": ("#f3f5f8", "#1b2128"),
    "paper": ("#ffffff", "#12161b"),
    "accent": ("#2a64ad", "#74a9ea"),
    "labels": ("#b9822b", "#d9a650"),
    "warn": ("#b3261e", "#f2887f"),
    "warn_fill": ("#fdf3f2", "#2a1a1a"),
}
LIGHT = Palette(**{name: light for name, (light, _) in _COLOURS.items()})
DARK = Palette(**{name: dark for name, (_, dark) in _COLOURS.items()})


# ---- files


def check_format(path: Path) -> str:
    """The format of a figure by the extension of its file.

    Raises:
        ConfigError: It is none of SVG, PNG and PDF.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise ConfigError(
            f"{path}: unknown figure format {path.suffix!r}; name a file that ends in .svg, .png or"
            " .pdf"
        )
    return kind


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as SVG, PNG or PDF, by the extension of the file.

    Raises:
        ConfigError: The extension is another one.
    """
    path = Path(path)
    kind = check_format(path)
    with replacing(path) as partial:
        partial.write_bytes(_drawn(figure, kind))


def svg(figure: Figure) -> bytes:
    """The figure as an SVG file, lines joined."""
    return b" ".join(_drawn(figure, "svg").split())


def _drawn(figure: Figure, kind: str) -> bytes:
    file = io.BytesIO()
    with mpl.rc_context(_SETTINGS):
        figure.savefig(file, format=kind, dpi=160, metadata=_METADATA[kind])
    return file.getvalue()


# ---- a canvas in inches


def canvas(left: float, right: float, bottom: float, top: float) -> tuple[Figure, Axes]:
    """A figure of that size, in inches, and axes without ticks that fill it; one unit is one
    inch.
    """
    figure = Figure(figsize=(right - left, top - bottom), facecolor=LIGHT.paper)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set(xlim=(left, right), ylim=(bottom, top))
    return figure, axes


def box(
    axes: Axes,
    corner: tuple[float, float],
    width: float,
    height: float,
    *,
    face: str,
    edge: str,
    rounding: float = 0.04,
) -> None:
    """A rectangle with round corners; `corner` is the lower left one."""
    shape = f"round,pad=0,rounding_size={rounding}"
    patch = FancyBboxPatch(
        corner, width, height, boxstyle=shape, facecolor=face, edgecolor=edge, lw=0.8
    )
    patch.set_zorder(3)
    axes.add_patch(patch)


def text(
    axes: Axes,
    x: float,
    y: float,
    words: str,
    size: float,
    *,
    color: str = LIGHT.ink,
    align: Literal["left", "center"] = "center",
    weight: str = "normal",
) -> None:
    """A line of text, its middle at this height; `size` in points. Nothing in it is markup."""
    style: dict[str, Any] = {"fontsize": size, "color": color, "ha": align, "va": "center"}
    axes.text(x, y, words, parse_math=False, zorder=5, fontweight=weight, **style)


@cache
def text_width(words: str, size: float) -> float:
    """The width of a line of text, in inches; `size` in points."""
    font = FontProperties(size=size)
    width, _, _ = text_to_path.get_text_width_height_descent(words, font, ismath=False)
    return width / 72


def wrap(words: str, size: float, width: float) -> list[str]:
    """The words in as few lines as fit `width` inches, and these as even as can be.

    A word that is wider than that has a line of its own.
    """
    parts = words.split()
    widths = [text_width(part, size) for part in parts]
    space = text_width("n n", size) - text_width("nn", size)
    lines = _lines(widths, space, width)
    for limit in np.arange(width, max(widths, default=width), -0.05).tolist():
        narrower = _lines(widths, space, limit)
        if len(narrower) > len(lines):
            break
        lines = narrower
    return [" ".join(parts[i] for i in line) for line in lines]


def _lines(widths: list[float], space: float, limit: float) -> list[list[int]]:
    """Which words stand in each line if lines are filled one after the other."""
    lines: list[list[int]] = []
    for i, width in enumerate(widths):
        if lines and sum(widths[j] + space for j in lines[-1]) + width <= limit:
            lines[-1].append(i)
        else:
            lines.append([i])
    return lines
