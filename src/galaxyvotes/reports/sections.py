"""The sections of the page of each kind of labels, and their figures.

Each figure is drawn twice, light and dark, and the browser shows the one of its colour scheme.
"""

import base64
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from galaxyvotes.figures import panels, plots
from galaxyvotes.figures.drawing import DARK, LIGHT, svg
from galaxyvotes.kinds import CLASSES, FRACTIONS, QUANTITIES, Kind
from galaxyvotes.metrics.classification import (
    confusion_matrix,
    correct_and_largest,
    membership,
    probabilities,
)
from galaxyvotes.metrics.roc import class_sizes
from galaxyvotes.metrics.scores import FEW_POSITIVES
from galaxyvotes.reports.comparison import Comparison
from galaxyvotes.reports.units import titled

__all__ = ["SECTIONS", "Section", "themed"]

_PX_PER_INCH = 96  # of a browser


@dataclass(frozen=True)
class Section:
    """A section of the page: its anchor, its title, its template, the keys of the document of which
    one must hold something, and its figures.

    Without anything to show it is left out, unless there is a `remedy`: what to run to fill it, in
    which `{store}` and `{run}` stand for their names.
    """

    name: str
    title: str
    template: str
    needs: tuple[str, ...] = ()
    figure: Callable[[Comparison], Markup] | None = None
    remedy: str = ""

    def present(self, document: Mapping[str, Any]) -> bool:
        """Whether there is something to show."""
        return not self.needs or any(document[key] not in (None, [], {}) for key in self.needs)

    def hint(self, document: Mapping[str, Any]) -> str:
        """What to run to fill the section; nothing if it needs nothing or has no remedy."""
        if self.present(document) or not self.remedy:
            return ""
        if document["cannot_calibrate"]:
            return f"This run is not calibrated. {document['cannot_calibrate']}"
        names = {name: document["provenance"].get(name, name.upper()) for name in ("store", "run")}
        names["run"] = names["run"].partition(" (mean of ")[0]
        return self.remedy.format(**{name: shlex.quote(text) for name, text in names.items()})


# ---- figures


def themed(draw: Callable[..., Figure], *given: Any, alt: str, **settings: Any) -> Markup:
    """A figure in both palettes, as an element that shows the one of the browser's colour scheme;
    `alt` says what is in it.
    """
    light, dark = (draw(*given, palette=palette, **settings) for palette in (LIGHT, DARK))
    width = round(light.get_figwidth() * _PX_PER_INCH)
    picture = (
        '<picture><source media="(prefers-color-scheme: dark)" srcset="{}"><img src="{}" alt="{}"'
        ' width="{}"></picture>'
    )
    return Markup(picture).format(_uri(dark), _uri(light), alt, width)


def _uri(figure: Figure) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg(figure)).decode()


def _judged(comparison: Comparison) -> list[int]:
    """The columns with enough positive galaxies, and a negative one, to be judged by."""
    positives, negatives = class_sizes(comparison.labels)
    return np.flatnonzero((positives >= FEW_POSITIVES) & (negatives > 0)).tolist()


def _curves(comparison: Comparison) -> Markup:
    return _both_curves(comparison, _judged(comparison))


def _curves_of_classes(comparison: Comparison) -> Markup:
    """One curve if there are two classes, of the rarer one: that of the other is its mirror
    image.
    """
    members = membership(comparison.labels)
    shares = probabilities(comparison.predicted.values)
    of_classes = replace(
        comparison, labels=members, predicted=replace(comparison.predicted, values=shares)
    )
    shown = _judged(of_classes)
    if members.shape[1] == 2:
        shown = [int(np.nansum(members, axis=0).argmin())]
    return _both_curves(of_classes, shown)


def _both_curves(comparison: Comparison, shown: list[int]) -> Markup:
    if not shown:
        return Markup("")
    labels, values = comparison.labels[:, shown], comparison.predicted.values[:, shown]
    names = [comparison.predicted.columns[i] for i in shown]
    alts = ("ROC curves; the areas are in a table.", "Precision–recall curves.")
    drawn = (panels.roc_plots, panels.precision_recall_plots)
    return Markup("").join(
        themed(draw, labels, values, comparison.tree, columns=names, alt=alt)
        for draw, alt in zip(drawn, alts, strict=True)
    )


def _agreement(comparison: Comparison) -> Markup:
    predicted = comparison.predicted
    given = (comparison.labels, predicted.values, comparison.tree)
    alt = "Prediction against label of each answer; the errors are in a table."
    return themed(panels.agreement_plots, *given, columns=predicted.columns, alt=alt)


def _confusion(comparison: Comparison) -> Markup:
    galaxies = confusion_matrix(comparison.labels, comparison.predicted.values)
    texts = {answer.column: answer.text for answer in comparison.tree.answers}
    names = [texts[column] for column in comparison.predicted.columns]
    alt = "Confusion matrix as a heat map; the numbers are in the table below."
    return themed(plots.confusion_plot, galaxies, names, alt=alt)


def _reliability_of_classes(comparison: Comparison) -> Markup:
    given = correct_and_largest(comparison.labels, comparison.predicted.values)
    names = ("largest probability", "accuracy")
    alt = "Accuracy against the largest probability; the numbers are in the table beside."
    return themed(plots.reliability_plot, *given, names=names, alt=alt)


def _reliability(comparison: Comparison) -> Markup:
    alt = "Mean label against mean prediction; the numbers are in the table beside."
    given = (comparison.labels, comparison.predicted.values)
    return themed(plots.reliability_plot, *given, alt=alt)


def _predicted(comparison: Comparison) -> Markup:
    predicted, units = comparison.predicted, comparison.tree.units
    names = [titled(name, units.get(name, "")) for name in predicted.columns]
    given = (comparison.labels, predicted.values, names)
    alt = "Predicted against measured values of each quantity, one point a galaxy."
    return themed(plots.quantity_plots, *given, bounds=predicted.bounds, alt=alt)


def _familiarity(comparison: Comparison) -> Markup:
    alt = "Cumulative distribution of familiarity scores; the numbers are in the table beside."
    return themed(plots.familiarity_plot, comparison.predicted.familiarity, alt=alt)


def _history(comparison: Comparison) -> Markup:
    alt = "Loss and other measures by epoch, of the training and the validation set."
    return themed(plots.history_plot, comparison.history, alt=alt)


# ---- tables keyed by the kind

_CALIBRATE = (
    "This run is not calibrated. Run galaxyvotes calibrate {store} --run {run}, then evaluate"
    " again."
)
_FAMILIARITY = Section(
    "familiarity",
    "Familiarity (out-of-distribution score)",
    "familiarity",
    ("familiarity",),
    _familiarity,
    _CALIBRATE,
)
_GALAXIES = Section("galaxies", "Galaxies", "galaxies", ("shown",))
_CHANCE = Section("chance", "Not better than chance", "chance", ("chance",))
_TRAINING = Section("training", "Training history", "training", ("history",), _history)
_PROVENANCE = Section("provenance", "Provenance", "provenance")

SECTIONS: dict[Kind, tuple[Section, ...]] = {
    FRACTIONS: (
        _GALAXIES,
        Section("performance", "Performance", "fractions/performance"),
        Section(
            "leaderboard", "2014 challenge leaderboard", "fractions/leaderboard", ("leaderboard",)
        ),
        Section("as-published", "Published protocol", "fractions/as_published", ("contaminated",)),
        Section("answers", "Errors by answer", "fractions/answers"),
        Section("agreement", "Prediction and label", "fractions/agreement", figure=_agreement),
        _CHANCE,
        Section("curves", "ROC and precision–recall curves", "fractions/curves", figure=_curves),
        Section("questions", "Accuracy by question", "fractions/questions"),
        Section("cuts", "Purity and completeness", "fractions/cuts"),
        Section("confusion", "Confusion matrices", "fractions/confusion"),
        Section("reliability", "Reliability diagram", "fractions/reliability", figure=_reliability),
        Section(
            "intervals",
            "Prediction intervals",
            "fractions/intervals",
            ("intervals", "noise_floor"),
            remedy=_CALIBRATE,
        ),
        _FAMILIARITY,
        _TRAINING,
        _PROVENANCE,
        Section("definitions", "Definitions", "fractions/definitions"),
    ),
    CLASSES: (
        _GALAXIES,
        Section("performance", "Performance", "classes/performance"),
        Section("classes", "Each class", "classes/classes"),
        Section("confusion", "Confusion matrix", "classes/confusion", figure=_confusion),
        _CHANCE,
        Section(
            "curves",
            "ROC and precision–recall curves",
            "classes/curves",
            figure=_curves_of_classes,
        ),
        Section(
            "reliability",
            "Calibration of the probabilities",
            "classes/reliability",
            figure=_reliability_of_classes,
        ),
        _FAMILIARITY,
        _TRAINING,
        _PROVENANCE,
        Section("definitions", "Definitions", "classes/definitions"),
    ),
    QUANTITIES: (
        _GALAXIES,
        Section("performance", "Performance", "quantities/performance"),
        Section(
            "predicted", "Predicted and measured values", "quantities/predicted", figure=_predicted
        ),
        _CHANCE,
        Section(
            "intervals",
            "Prediction intervals",
            "quantities/intervals",
            ("intervals",),
            remedy=_CALIBRATE,
        ),
        _FAMILIARITY,
        _TRAINING,
        _PROVENANCE,
        Section("definitions", "Definitions", "quantities/definitions"),
    ),
}
