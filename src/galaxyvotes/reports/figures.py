"""Figures of predictions beside their labels: ROC curves, reliability, predicted against measured,
familiarity, and the training history.

Every function gives a `matplotlib.figure.Figure`; `drawing.save` writes it. Arrays have one row a
galaxy and one column an answer; a label that is NaN is not known, and the cell is left out. The
page draws each figure in two palettes, light and dark.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from galaxyvotes.metrics.reliability import reliability_curve
from galaxyvotes.metrics.roc import THRESHOLD, roc_curve
from galaxyvotes.predictions import Bounds
from galaxyvotes.reports.drawing import LIGHT, Palette, text_width
from galaxyvotes.tree import Answer, DecisionTree

__all__ = [
    "familiarity_plot",
    "history_plot",
    "quantity_plots",
    "reliability_plot",
    "roc_plot",
    "roc_plots",
]

Values = Float[np.ndarray, "galaxy answer"]

_DASHES = (0, (4, 3))
_CURVE_POINTS, _PANEL_POINTS = 300, 100  # enough to look smooth
_VECTOR_POINTS = 500  # more galaxies are drawn as pixels: an element each would be megabytes


# ---- fractions


def roc_plot(
    labels: Float[np.ndarray, " galaxy"],
    predicted: Float[np.ndarray, " galaxy"],
    *,
    title: str,
    palette: Palette = LIGHT,
) -> Figure:
    """The ROC curve of one answer, as figures 4 to 7 of the 2023 paper; positive are galaxies of a
    fraction above 0.5.
    """
    figure = Figure(figsize=(4.4, 4.4), layout="constrained", facecolor=palette.paper)
    axes = figure.add_subplot()
    _roc_panel(axes, labels, predicted, title, palette, size=10.0, points=_CURVE_POINTS)
    axes.set_xlabel("false positive rate", color=palette.ink)
    axes.set_ylabel("true positive rate", color=palette.ink)
    return figure


def roc_plots(
    labels: Values,
    predicted: Values,
    tree: DecisionTree,
    *,
    columns: Sequence[str] | None = None,
    palette: Palette = LIGHT,
) -> Figure:
    """A panel with a ROC curve for each answer; `columns` are the answers that the arrays hold, if
    not all.
    """
    several = len(tree.questions) > 1
    titles = {
        a.column: _panel_title(q.name if several else "", a) for q, _ in tree for a in q.answers
    }
    names = tree.columns if columns is None else columns
    across = min(6, len(names))
    down = math.ceil(len(names) / across)
    width, height = 0.6 + 1.75 * across, 0.75 + 1.95 * down  # inches
    figure = Figure(figsize=(width, height), facecolor=palette.paper)
    sides = {"left": 0.5 / width, "right": 0.99, "top": 1 - 0.5 / height, "bottom": 0.45 / height}
    figure.subplots_adjust(**sides, wspace=0.16, hspace=0.42)
    for i, name in enumerate(names):
        axes = figure.add_subplot(down, across, i + 1)
        _roc_panel(
            axes,
            labels[:, i],
            predicted[:, i],
            titles[name],
            palette,
            size=7.5,
            points=_PANEL_POINTS,
        )
        axes.grid(visible=False)
        first, last = i % across == 0, i + across >= len(names)
        axes.tick_params(left=first, labelleft=first, bottom=last, labelbottom=last)
    figure.supxlabel("false positive rate", fontsize=9, color=palette.ink, y=0.1 / height)
    figure.supylabel("true positive rate", fontsize=9, color=palette.ink, x=0.08 / width)
    return figure


def _panel_title(question: str, answer: Answer) -> str:
    """The answer's name and text, or as much of it as a small panel has room for."""
    full = answer.text if answer.text == answer.column else f"{answer.column} {answer.text}"
    short = (full, f"{question}: {answer.text}", answer.text) if question else (answer.text,)
    return next((words for words in short if text_width(words, 7.5) < 1.7), answer.text[:24] + "…")


def _roc_panel(
    axes: Axes,
    labels: Float[np.ndarray, " galaxy"],
    predicted: Float[np.ndarray, " galaxy"],
    title: str,
    palette: Palette,
    *,
    size: float,
    points: int,
) -> None:
    known = ~np.isnan(labels)
    positive = labels[known] > THRESHOLD
    curve = roc_curve(positive, predicted[known])
    _plain(axes, palette, size)
    axes.plot([0, 1], [0, 1], color=palette.muted, lw=0.7, ls=_DASHES)
    if len(curve.thresholds):
        across, up = curve.false_positive_rate, curve.true_positive_rate
        shown = np.unique(np.linspace(0, len(across) - 1, points).round().astype(int))
        axes.plot(across[shown], up[shown], color=palette.accent, lw=1.5)
        area = f"AUC {np.diff(across) @ (up[1:] + up[:-1]) / 2:.3f}"
    else:
        reason = "undefined\n(0 " + ("positives)" if not positive.any() else "negatives)")
        style: dict[str, Any] = {"ha": "center", "va": "center", "backgroundcolor": palette.paper}
        axes.text(0.5, 0.5, reason, fontsize=size, color=palette.muted, **style)
        area = "AUC undefined"
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.set(xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
    axes.set_title(f"{title}\n{area}", fontsize=size, color=palette.ink, parse_math=False)


def reliability_plot(labels: Values, predicted: Values, *, palette: Palette = LIGHT) -> Figure:
    """Mean label against mean prediction in ten bins of predicted fraction; below, the number of
    fractions in each.
    """
    curve = reliability_curve(labels, predicted)
    filled = curve.counts > 0
    figure = Figure(figsize=(4.4, 5.2), facecolor=palette.paper)
    figure.subplots_adjust(left=0.13, right=0.97, top=0.98, bottom=0.09, hspace=0.06)
    axes, below = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": (4, 1)})
    _plain(axes, palette)
    _plain(below, palette)
    means = curve.mean_predicted[filled], curve.mean_label[filled]
    axes.plot([0, 1], [0, 1], color=palette.muted, lw=0.8, ls=_DASHES)
    axes.plot(*means, "o-", color=palette.accent, lw=1.6, ms=4.5)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
    axes.set_ylabel("mean fraction of volunteers", color=palette.ink)
    edges = np.linspace(0, 1, len(curve.counts) + 1)
    heights, widths = np.maximum(curve.counts, 0.5), np.diff(edges) * 0.92
    below.bar(edges[:-1], heights, width=widths, align="edge", color=palette.accent)
    below.set_yscale("log")
    below.set_ylim(0.5, max(10.0, float(curve.counts.max(initial=0)) * 2))
    below.set_xlabel("predicted fraction", color=palette.ink)
    below.set_ylabel("number", color=palette.ink)
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
        _plain(axes, palette)
        known = ~np.isnan(labels[:, i])
        x, y = labels[known, i], predicted[known, i]
        pixels = len(x) > _VECTOR_POINTS
        if bounds is not None:
            low, high = (end[known, i] for end in bounds)
            axes.vlines(x, low, high, color=palette.muted, lw=0.5, alpha=0.4, rasterized=pixels)
        if known.any():
            middle = (float(x.mean()), float(x.mean()))
            axes.axline(middle, slope=1, color=palette.muted, lw=0.8, ls=_DASHES)
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
    _plain(axes, palette)
    axes.plot([0, 1], [0, 1], color=palette.muted, lw=0.8, ls=_DASHES)
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
        _plain(axes, palette)
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


def _plain(axes: Axes, palette: Palette, size: float = 9.0) -> None:
    """Axes that stay behind their data."""
    axes.set_facecolor(palette.paper)
    axes.grid(color=palette.rule, lw=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=size, colors=palette.muted, length=2.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(palette.muted)
