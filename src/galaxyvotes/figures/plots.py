"""Figures of predictions beside their labels: reliability, confusion between classes, predicted
against measured, familiarity, and the training history. Curves of each answer are in `panels`.

Every function gives a `matplotlib.figure.Figure`; `drawing.save` writes it. Arrays have one row a
galaxy and one column an answer; a label that is NaN is not known, and the cell is left out. The
page draws each figure in two palettes, light and dark.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from galaxyvotes.figures.drawing import LIGHT, Palette, text_width
from galaxyvotes.metrics.reliability import reliability_curve
from galaxyvotes.predictions import Bounds

__all__ = [
    "DASHES",
    "Values",
    "confusion_plot",
    "familiarity_plot",
    "history_plot",
    "plain",
    "quantity_plots",
    "reliability_plot",
]

Values = Float[np.ndarray, "galaxy answer"]

DASHES = (0, (4, 3))
_VECTOR_POINTS = 500  # more galaxies are drawn as pixels: an element each would be megabytes


# ---- fractions and classes


def reliability_plot(
    labels: Values,
    predicted: Values,
    *,
    names: tuple[str, str] = ("predicted fraction", "mean fraction of volunteers"),
    palette: Palette = LIGHT,
) -> Figure:
    """Mean label against mean prediction in ten bins of predicted fraction; below, the number of
    fractions in each. `names` are those of the axes.
    """
    curve = reliability_curve(labels, predicted)
    filled = curve.counts > 0
    figure = Figure(figsize=(4.4, 5.2), facecolor=palette.paper)
    figure.subplots_adjust(left=0.13, right=0.97, top=0.98, bottom=0.09, hspace=0.06)
    axes, below = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": (4, 1)})
    plain(axes, palette)
    plain(below, palette)
    means = curve.mean_predicted[filled], curve.mean_label[filled]
    axes.plot([0, 1], [0, 1], color=palette.muted, lw=0.8, ls=DASHES)
    axes.plot(*means, "o-", color=palette.accent, lw=1.6, ms=4.5)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
    axes.set_ylabel(names[1], color=palette.ink)
    edges = np.linspace(0, 1, len(curve.counts) + 1)
    heights, widths = np.maximum(curve.counts, 0.5), np.diff(edges) * 0.92
    below.bar(edges[:-1], heights, width=widths, align="edge", color=palette.accent)
    below.set_yscale("log")
    below.set_ylim(0.5, max(10.0, float(curve.counts.max(initial=0)) * 2))
    below.set_xlabel(names[0], color=palette.ink)
    below.set_ylabel("number", color=palette.ink)
    return figure


def confusion_plot(
    galaxies: Int[np.ndarray, "own given"], classes: Sequence[str], *, palette: Palette = LIGHT
) -> Figure:
    """A confusion matrix as a heat map: rows are the galaxies of a class, columns what they are
    given; the colour is the share of the row.
    """
    sums = galaxies.sum(axis=1, keepdims=True)
    shares = np.divide(galaxies, sums, out=np.zeros(galaxies.shape), where=sums > 0)
    number, cell = len(classes), 0.85  # inches
    names = [words if len(words) < 26 else words[:25] + "…" for words in classes]
    widest = max(text_width(words, 9.0) for words in names) + 0.45
    width, height = widest + cell * number + 0.15, 0.6 * widest + cell * number + 0.65
    figure = Figure(figsize=(width, height), facecolor=palette.paper)
    sides = (widest / width, 0.45 / height, cell * number / width, cell * number / height)
    axes = figure.add_axes(sides)
    plain(axes, palette)
    axes.grid(visible=False)
    colours = LinearSegmentedColormap.from_list("share", [palette.paper, palette.accent])
    axes.pcolormesh(shares, cmap=colours, vmin=0, vmax=1, edgecolors=palette.rule, lw=0.8)
    for own, given in np.ndindex(*galaxies.shape):
        ink = palette.paper if shares[own, given] > 0.55 else palette.ink
        words = f"{100 * shares[own, given]:.0f} %\n{galaxies[own, given]:,}"
        words = words if sums[own, 0] else "–"
        centre: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 9.0, "color": ink}
        axes.text(given + 0.5, own + 0.5, words, **centre)
    middles = np.arange(number) + 0.5
    axes.xaxis.tick_top()
    axes.set_xticks(middles, names, rotation=40, ha="left", rotation_mode="anchor")
    axes.set_yticks(middles, names)
    for text in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        text.set(color=palette.ink, parse_math=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.invert_yaxis()
    axes.set_ylabel("class", color=palette.muted)
    axes.text(number / 2, number + 0.3, "predicted class", ha="center", color=palette.muted)
    return figure


# ---- quantities


def quantity_plots(
    labels: Values,
    predicted: Values,
    columns: Sequence[str],
    *,
    bounds: Bounds | None = None,
    palette: Palette = LIGHT,
) -> Figure:
    """Predicted against measured values, a panel a quantity; bounds are thin bars, equality the
    dashed line.
    """
    across = min(3, len(columns))
    down = math.ceil(len(columns) / across)
    size = (4.4 * across, 4.4 * down)
    figure = Figure(figsize=size, layout="constrained", facecolor=palette.paper)
    for i, name in enumerate(columns):
        axes = figure.add_subplot(down, across, i + 1)
        plain(axes, palette)
        known = ~np.isnan(labels[:, i])
        x, y = labels[known, i], predicted[known, i]
        pixels = len(x) > _VECTOR_POINTS
        if bounds is not None:
            low, high = (end[known, i] for end in bounds)
            axes.vlines(x, low, high, color=palette.muted, lw=0.5, alpha=0.4, rasterized=pixels)
        if known.any():
            middle = (float(x.mean()), float(x.mean()))
            axes.axline(middle, slope=1, color=palette.muted, lw=0.8, ls=DASHES)
        dots: dict[str, Any] = {"ms": 3.5, "alpha": 0.6, "mew": 0, "rasterized": pixels}
        axes.plot(x, y, "o", color=palette.accent, **dots)
        axes.set_xlabel(f"measured {name}", color=palette.ink, parse_math=False)
        axes.set_ylabel(f"predicted {name}", color=palette.ink, parse_math=False)
    return figure


# ---- both


def familiarity_plot(
    familiarity: Float[np.ndarray, " galaxy"], *, palette: Palette = LIGHT
) -> Figure:
    """The cumulative distribution of familiarity scores; that of galaxies like those of the
    calibration is the diagonal.
    """
    figure = Figure(figsize=(4.4, 4.0), facecolor=palette.paper)
    figure.subplots_adjust(left=0.13, right=0.97, top=0.98, bottom=0.12)
    axes = figure.add_subplot()
    plain(axes, palette)
    axes.plot([0, 1], [0, 1], color=palette.muted, lw=0.8, ls=DASHES)
    values, counts = np.unique(familiarity, return_counts=True)
    shares = np.cumsum(counts) / len(familiarity)
    axes.step([0, *values, 1], [0, *shares, 1], where="post", color=palette.accent, lw=1.6)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
    axes.set_xlabel("familiarity score", color=palette.ink)
    axes.set_ylabel("cumulative fraction of galaxies", color=palette.ink)
    return figure


def history_plot(history: Sequence[Mapping[str, Any]], *, palette: Palette = LIGHT) -> Figure:
    """Loss, MSE and accuracy by epoch, of the training and the validation set; `history` is the
    rows of `metrics.jsonl`. A measure that no epoch has is left out.
    """
    figure = Figure(figsize=(10.2, 3.1), facecolor=palette.paper)
    figure.subplots_adjust(left=0.05, right=0.99, top=0.9, bottom=0.16, wspace=0.2)
    epochs = [row["epoch"] for row in history]
    measures = {"loss": "loss", "mse": "MSE", "accuracy": "accuracy (argmax)"}
    known = {
        name: title
        for name, title in measures.items()
        if any(row.get(key) is not None for row in history for key in (name, f"validation_{name}"))
    }
    marker = "o" if len(epochs) == 1 else ""
    for i, (name, title) in enumerate(known.items()):
        axes = figure.add_subplot(1, len(known), i + 1)
        plain(axes, palette)
        for key, words, color, dashes in (
            (name, "training set", palette.muted, (0, (4, 2))),
            (f"validation_{name}", "validation set", palette.accent, "-"),
        ):
            values = [np.nan if row.get(key) is None else row[key] for row in history]
            axes.plot(epochs, values, color=color, ls=dashes, lw=1.6, marker=marker, label=words)
        axes.set_title(title, fontsize=10, color=palette.ink, loc="left")
        axes.set_xlabel("epoch", color=palette.ink)
        whole = MaxNLocator(nbins=6, steps=(1, 2, 5, 10), integer=True, min_n_ticks=1)
        axes.xaxis.set_major_locator(whole)
        if i == 0:
            axes.legend(frameon=False, fontsize=9, labelcolor=palette.ink)
    return figure


def plain(axes: Axes, palette: Palette, size: float = 9.0) -> None:
    """Axes that stay behind their data."""
    axes.set_facecolor(palette.paper)
    axes.grid(color=palette.rule, lw=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=size, colors=palette.muted, length=2.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(palette.muted)
