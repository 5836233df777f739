"""Figures of one panel an answer: ROC and precision–recall curves, and predicted against label.

Panels have one size, however many there are. Arrays have one row a galaxy and one column an answer;
a label that is NaN is not known, and the cell is left out. Positive are galaxies of a label above
0.5.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure

from galaxyvotes.figures.drawing import LIGHT, Palette, text_width
from galaxyvotes.figures.plots import DASHES, Values, plain
from galaxyvotes.metrics.precision_recall import precision_recall_curve
from galaxyvotes.metrics.roc import THRESHOLD, roc_curve
from galaxyvotes.tree import Answer, DecisionTree

__all__ = ["agreement_plots", "precision_recall_plots", "roc_plot", "roc_plots"]

_ACROSS = 6
_CURVE_POINTS, _PANEL_POINTS = 300, 100  # enough to look smooth
_SIDE, _PITCH = 1.5, (1.7, 2.0)  # inches: of a panel, and from one to the next
_LEFT, _BELOW = 0.55, 0.45  # for the names of the axes
_CELLS = 25  # of predicted against label, on each side
_SMALL = 7.5  # points

_Column = Float[np.ndarray, " galaxy"]


def roc_plot(
    labels: _Column, predicted: _Column, *, title: str, palette: Palette = LIGHT
) -> Figure:
    """The ROC curve of one answer, as figures 4 to 7 of the 2023 paper."""
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
    names = tree.columns if columns is None else columns
    figure = _figure(len(names), palette, "false positive rate", "true positive rate")
    for i, axes, title in _panels(figure, names, tree):
        _roc_panel(
            axes,
            labels[:, i],
            predicted[:, i],
            title,
            palette,
            size=_SMALL,
            points=_PANEL_POINTS,
        )
        _outer_ticks(axes, i, len(names))
    return figure


def precision_recall_plots(
    labels: Values,
    predicted: Values,
    tree: DecisionTree,
    *,
    columns: Sequence[str] | None = None,
    palette: Palette = LIGHT,
) -> Figure:
    """A panel with a precision–recall curve for each answer, the share of positives dashed;
    `columns` as in `roc_plots`.
    """
    names = tree.columns if columns is None else columns
    figure = _figure(len(names), palette, "recall (completeness)", "precision (purity)")
    for i, axes, title in _panels(figure, names, tree):
        known = ~np.isnan(labels[:, i])
        curve = precision_recall_curve(labels[known, i] > THRESHOLD, predicted[known, i])
        plain(axes, palette, _SMALL)
        if len(curve.recall):
            axes.axhline(curve.positives, color=palette.muted, lw=0.7, ls=DASHES)
            shown = _thinned(len(curve.recall), _PANEL_POINTS)
            points = curve.recall[shown], curve.precision[shown]
            axes.plot(*points, color=palette.accent, lw=1.5)
            area = f"average precision {curve.average_precision:.3f}"
        else:
            area = "undefined"
        _unit_square(axes)
        _title(axes, title, area, palette, _SMALL)
        _outer_ticks(axes, i, len(names))
    return figure


def agreement_plots(
    labels: Values,
    predicted: Values,
    tree: DecisionTree,
    *,
    columns: Sequence[str] | None = None,
    palette: Palette = LIGHT,
) -> Figure:
    """A panel for each answer with the number of galaxies by label and prediction, darker for more
    (logarithmic); predictions are correct on the dashed line. `columns` as in `roc_plots`.
    """
    names = tree.columns if columns is None else columns
    figure = _figure(len(names), palette, "label", "prediction")
    colours = LinearSegmentedColormap.from_list("number", [palette.fill, palette.accent])
    edges = np.linspace(0, 1, _CELLS + 1)
    for i, axes, title in _panels(figure, names, tree):
        known = ~np.isnan(labels[:, i])
        label, guess = (
            np.asarray(side[known, i], np.float64).clip(0, 1) for side in (labels, predicted)
        )
        counts = np.histogram2d(label, guess, bins=(edges, edges))[0].T
        plain(axes, palette, _SMALL)
        scale = LogNorm(0.5, max(2.0, float(counts.max())))
        seen = np.ma.masked_equal(counts, 0)
        axes.pcolormesh(edges, edges, seen, cmap=colours, norm=scale, rasterized=True)
        axes.plot([0, 1], [0, 1], color=palette.muted, lw=0.7, ls=DASHES)
        error = float(np.sqrt(np.mean((guess - label) ** 2))) if known.any() else math.nan
        _unit_square(axes)
        _title(axes, title, f"RMSE {error:.3f}" if known.any() else "not known", palette, _SMALL)
        _outer_ticks(axes, i, len(names))
    return figure


# ---- panels of one size


def _figure(panels: int, palette: Palette, across_name: str, up_name: str) -> Figure:
    """A figure with room for so many panels, and the names of their axes."""
    width = _LEFT + _PITCH[0] * min(_ACROSS, panels)
    height = _BELOW + _PITCH[1] * math.ceil(panels / _ACROSS)
    figure = Figure(figsize=(width, height), facecolor=palette.paper)
    figure.supxlabel(across_name, fontsize=9, color=palette.ink, y=0.05 / height)
    figure.supylabel(up_name, fontsize=9, color=palette.ink, x=0.08 / width)
    return figure


def _panels(
    figure: Figure, names: Sequence[str], tree: DecisionTree
) -> Iterator[tuple[int, Axes, str]]:
    """The index, axes and title of each answer."""
    several = len(tree.questions) > 1
    titles = {
        a.column: _panel_title(q.name if several else "", a) for q, _ in tree for a in q.answers
    }
    width, height = figure.get_size_inches()
    for i, name in enumerate(names):
        row, column = divmod(i, _ACROSS)
        left, bottom = _LEFT + column * _PITCH[0], height - (row + 1) * _PITCH[1]
        sides = (left / width, bottom / height, _SIDE / width, _SIDE / height)
        yield i, figure.add_axes(sides), titles[name]


def _panel_title(question: str, answer: Answer) -> str:
    """The answer's name and text, or as much of it as a small panel has room for."""
    full = answer.text if answer.text == answer.column else f"{answer.column} {answer.text}"
    short = (full, f"{question}: {answer.text}", answer.text) if question else (answer.text,)
    return next(
        (words for words in short if text_width(words, _SMALL) < 1.65), answer.text[:24] + "…"
    )


def _outer_ticks(axes: Axes, index: int, panels: int) -> None:
    """Ticks at the left of the first panel of a row, and below the last of a column."""
    axes.grid(visible=False)
    across = min(_ACROSS, panels)
    first, last = index % across == 0, index + across >= panels
    axes.tick_params(left=first, labelleft=first, bottom=last, labelbottom=last)


def _unit_square(axes: Axes) -> None:
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.set(xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))


def _title(axes: Axes, title: str, below: str, palette: Palette, size: float) -> None:
    axes.set_title(f"{title}\n{below}", fontsize=size, color=palette.ink, parse_math=False)


def _thinned(points: int, shown: int) -> np.ndarray:
    return np.unique(np.linspace(0, points - 1, shown).round().astype(int))


def _roc_panel(
    axes: Axes,
    labels: _Column,
    predicted: _Column,
    title: str,
    palette: Palette,
    *,
    size: float,
    points: int,
) -> None:
    known = ~np.isnan(labels)
    positive = labels[known] > THRESHOLD
    curve = roc_curve(positive, predicted[known])
    plain(axes, palette, size)
    axes.plot([0, 1], [0, 1], color=palette.muted, lw=0.7, ls=DASHES)
    if len(curve.thresholds):
        across, up = curve.false_positive_rate, curve.true_positive_rate
        shown = _thinned(len(across), points)
        axes.plot(across[shown], up[shown], color=palette.accent, lw=1.5)
        area = f"AUC {np.diff(across) @ (up[1:] + up[:-1]) / 2:.3f}"
    else:
        reason = "undefined\n(0 " + ("positives)" if not positive.any() else "negatives)")
        style: dict[str, Any] = {"ha": "center", "va": "center", "backgroundcolor": palette.paper}
        axes.text(0.5, 0.5, reason, fontsize=size, color=palette.muted, **style)
        area = "AUC undefined"
    _unit_square(axes)
    _title(axes, title, area, palette, size)
