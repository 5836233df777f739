"""The paper's figures: its two diagrams (see `diagrams`), and curves from numbers.

Every function returns a `matplotlib.figure.Figure` and touches no global state (no pyplot), so
figures may be drawn in any thread. `save` writes one; equal input gives equal bytes. Text stays
text in SVG: to be searched, copied, read aloud, and recoloured by the page that shows it.
"""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from galaxyvotes.errors import ConfigError
from galaxyvotes.metrics import scores
from galaxyvotes.predictions import Bounds
from galaxyvotes.reports.diagrams import (
    ACCENT,
    INK,
    MUTED,
    PAPER,
    RULE,
    architecture,
    flowchart,
    text_width,
)
from galaxyvotes.runtime.files import replacing
from galaxyvotes.tree import Answer, DecisionTree

__all__ = [
    "architecture",
    "familiarity_plot",
    "flowchart",
    "history_plot",
    "quantity_plots",
    "reliability_plot",
    "roc_plot",
    "roc_plots",
    "save",
    "to_svg",
]

FORMATS = ("svg", "png", "pdf")
_METADATA: dict[str, dict[str, None]] = {
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as SVG, PNG or PDF, as the extension says; an unknown one is an error."""
    path = Path(path)
    name = path.suffix.lower().removeprefix(".")
    if name not in FORMATS:
        raise ConfigError(
            f"{path}: unknown figure format {path.suffix!r}; name a file that ends in .svg, .png or"
            " .pdf"
        )
    with replacing(path) as partial:
        partial.write_bytes(_drawn(figure, name))


def to_svg(figure: Figure) -> str:
    """The figure as the text of an SVG file."""
    return _drawn(figure, "svg").decode()


def _drawn(figure: Figure, name: str) -> bytes:
    file = io.BytesIO()
    with mpl.rc_context(
        {"svg.hashsalt": "galaxyvotes", "svg.fonttype": "none", "pdf.fonttype": 42}
    ):
        figure.savefig(file, format=name, dpi=160, metadata=_METADATA[name])
    return file.getvalue()


# ---- figures 4 to 7, and what training looked like


def roc_plot(
    labels: Float[np.ndarray, " galaxy"], predicted: Float[np.ndarray, " galaxy"], *, title: str
) -> Figure:
    """The ROC curve of one answer, positive where its true fraction is above 0.5: the paper's
    figures 4 to 7.
    """
    figure = Figure(figsize=(4.4, 4.4), layout="constrained", facecolor=PAPER)
    axes = figure.add_subplot()
    _roc_panel(axes, labels, predicted, title, size=10.0)
    axes.set_xlabel("false positive rate", color=INK)
    axes.set_ylabel("true positive rate", color=INK)
    return figure


def roc_plots(
    labels: Float[np.ndarray, "galaxy answer"],
    predicted: Float[np.ndarray, "galaxy answer"],
    tree: DecisionTree,
    *,
    columns: Sequence[str] | None = None,
) -> Figure:
    """Small multiples: a ROC curve for each answer. `columns` names the answers that the arrays
    hold, if not all.
    """
    several = len(tree.questions) > 1
    titles = {
        a.column: _panel_title(q.name if several else "", a) for q, _ in tree for a in q.answers
    }
    names = tree.columns if columns is None else columns
    across = min(6, len(names))
    down = math.ceil(len(names) / across)
    figure = Figure(figsize=(0.6 + 1.75 * across, 0.75 + 1.95 * down), facecolor=PAPER)
    grid = {
        "left": 0.5 / (0.6 + 1.75 * across),
        "right": 0.99,
        "top": 1 - 0.5 / (0.75 + 1.95 * down),
    }
    grid |= {"bottom": 0.45 / (0.75 + 1.95 * down), "wspace": 0.16, "hspace": 0.42}
    figure.subplots_adjust(**grid)
    for i, name in enumerate(names):
        axes = figure.add_subplot(down, across, i + 1)
        _roc_panel(axes, labels[:, i], predicted[:, i], titles[name], size=7.5)
        axes.tick_params(labelleft=i % across == 0, labelbottom=i + across >= len(names))
    figure.supxlabel("false positive rate", fontsize=9, color=INK, y=0.1 / (0.75 + 1.95 * down))
    figure.supylabel("true positive rate", fontsize=9, color=INK, x=0.08 / (0.6 + 1.75 * across))
    return figure


def _panel_title(question: str, answer: Answer) -> str:
    """The answer's name and text, or as much of it as a small panel has room for."""
    full = answer.text if answer.text == answer.column else f"{answer.column} {answer.text}"
    short = (full, f"{question}: {answer.text}", answer.text) if question else (answer.text,)
    return next((words for words in short if text_width(words, 7.5) < 1.7), answer.text[:24] + "…")


def reliability_plot(
    labels: Float[np.ndarray, "galaxy answer"], predicted: Float[np.ndarray, "galaxy answer"]
) -> Figure:
    """Mean true fraction against mean predicted fraction in ten bins; below, how many fractions are
    in each.
    """
    curve = scores.reliability(labels, predicted)
    filled = curve.counts > 0
    figure = Figure(figsize=(4.4, 5.2), facecolor=PAPER)
    figure.subplots_adjust(left=0.13, right=0.97, top=0.98, bottom=0.09, hspace=0.06)
    axes, below = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": (4, 1)})
    _plain(axes)
    _plain(below)
    axes.plot([0, 1], [0, 1], color=MUTED, lw=0.8, ls=(0, (4, 3)))
    axes.plot(
        curve.mean_predicted[filled], curve.mean_truth[filled], "o-", color=ACCENT, lw=1.6, ms=4.5
    )
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
    axes.set_ylabel("volunteers' mean fraction", color=INK)
    edges = np.linspace(0, 1, len(curve.counts) + 1)
    below.bar(
        edges[:-1],
        np.maximum(curve.counts, 0.5),
        width=np.diff(edges) * 0.92,
        align="edge",
        color=ACCENT,
    )
    below.set_yscale("log")
    below.set_ylim(0.5, max(10.0, float(curve.counts.max(initial=0)) * 2))
    below.set_xlabel("predicted fraction", color=INK)
    below.set_ylabel("fractions", color=INK)
    return figure


def quantity_plots(
    labels: Float[np.ndarray, "galaxy answer"],
    predicted: Float[np.ndarray, "galaxy answer"],
    columns: Sequence[str],
    *,
    bounds: Bounds | None = None,
) -> Figure:
    """Predicted against measured, a panel a quantity; on the dashed line they are equal. Bounds are
    thin bars.
    """
    across = min(3, len(columns))
    down = math.ceil(len(columns) / across)
    figure = Figure(figsize=(4.4 * across, 4.4 * down), layout="constrained", facecolor=PAPER)
    for place, name in enumerate(columns):
        axes = figure.add_subplot(down, across, place + 1)
        _plain(axes)
        known = ~np.isnan(labels[:, place])
        x, y = labels[known, place], predicted[known, place]
        if bounds is not None:
            axes.vlines(
                x,
                bounds.lower[known, place],
                bounds.upper[known, place],
                color=MUTED,
                lw=0.5,
                alpha=0.4,
            )
        if known.any():
            axes.axline(
                (float(x.mean()), float(x.mean())), slope=1, color=MUTED, lw=0.8, ls=(0, (4, 3))
            )
        axes.plot(x, y, "o", color=ACCENT, ms=3.5, alpha=0.6, mew=0)
        axes.set_xlabel("measured", color=INK)
        axes.set_ylabel("predicted", color=INK)
        axes.set_title(name, fontsize=10, color=INK, loc="left", parse_math=False)
    return figure


def familiarity_plot(familiarity: Float[np.ndarray, " galaxy"]) -> Figure:
    """The share of galaxies up to each familiarity; on the diagonal they are like those of the
    calibration.
    """
    figure = Figure(figsize=(4.4, 4.0), facecolor=PAPER)
    figure.subplots_adjust(left=0.13, right=0.97, top=0.98, bottom=0.12)
    axes = figure.add_subplot()
    _plain(axes)
    axes.plot([0, 1], [0, 1], color=MUTED, lw=0.8, ls=(0, (4, 3)))
    values, counts = np.unique(familiarity, return_counts=True)
    axes.step(
        [0, *values, 1],
        [0, *np.cumsum(counts) / len(familiarity), 1],
        where="post",
        color=ACCENT,
        lw=1.6,
    )
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
    axes.set_xlabel("familiarity", color=INK)
    axes.set_ylabel("galaxies up to it", color=INK)
    return figure


def history_plot(history: Sequence[Mapping[str, Any]]) -> Figure:
    """Loss, MSE and accuracy (if any) by epoch, of training and validation galaxies: the rows of
    scores.jsonl.
    """
    figure = Figure(figsize=(10.2, 3.1), facecolor=PAPER)
    figure.subplots_adjust(left=0.05, right=0.99, top=0.9, bottom=0.16, wspace=0.2)
    epochs = [row["epoch"] for row in history]
    panels = (("loss", "loss"), ("mse", "MSE"), ("accuracy", "accuracy (argmax)"))
    told = [
        panel
        for panel in panels
        if any(
            row.get(key) is not None
            for row in history
            for key in (panel[0], f"validation_{panel[0]}")
        )
    ]
    for i, (name, title) in enumerate(told):
        axes = figure.add_subplot(1, len(told), i + 1)
        _plain(axes)
        for key, words, color, dashes in (
            (name, "training", MUTED, (0, (4, 2))),
            (f"validation_{name}", "validation", ACCENT, "-"),
        ):
            values = [np.nan if row.get(key) is None else row[key] for row in history]
            axes.plot(
                epochs,
                values,
                color=color,
                ls=dashes,
                lw=1.6,
                marker="o" if len(epochs) == 1 else "",
                label=words,
            )
        axes.set_title(title, fontsize=10, color=INK, loc="left")
        axes.set_xlabel("epoch", color=INK)
        axes.xaxis.set_major_locator(
            MaxNLocator(nbins=6, steps=(1, 2, 5, 10), integer=True, min_n_ticks=1)
        )
        if i == 0:
            axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    return figure


def _roc_panel(
    axes: Axes,
    labels: Float[np.ndarray, " galaxy"],
    predicted: Float[np.ndarray, " galaxy"],
    title: str,
    *,
    size: float,
) -> None:
    known = ~np.isnan(labels)
    positive = labels[known] > scores.THRESHOLD
    curve = scores.roc(positive, predicted[known])
    _plain(axes, size)
    axes.plot([0, 1], [0, 1], color=MUTED, lw=0.7, ls=(0, (4, 3)))
    if len(curve.thresholds):
        places = np.unique(
            np.linspace(0, len(curve.thresholds) - 1, 300).round().astype(int)
        )  # enough to look smooth
        axes.plot(
            curve.false_positive_rate[places],
            curve.true_positive_rate[places],
            color=ACCENT,
            lw=1.5,
        )
        across, up = curve.false_positive_rate, curve.true_positive_rate
        words = f"AUC {np.diff(across) @ (up[1:] + up[:-1]) / 2:.3f}"
    else:
        words = "undefined\n(0 " + ("positives)" if not positive.any() else "negatives)")
        axes.text(
            0.5,
            0.5,
            words,
            ha="center",
            va="center",
            fontsize=size,
            color=MUTED,
            backgroundcolor=PAPER,
        )
        words = "AUC undefined"
    axes.set(
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.02),
        aspect="equal",
        xticks=(0, 0.5, 1),
        yticks=(0, 0.5, 1),
    )
    axes.set_title(f"{title}\n{words}", fontsize=size, color=INK, parse_math=False)


def _plain(axes: Axes, size: float = 9.0) -> None:
    """Axes that stay behind their data."""
    axes.set_facecolor(PAPER)
    axes.grid(color=RULE, lw=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=size, colors=MUTED, length=2.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
