"""The sections of the page of each kind of labels, and their figures.

Each figure is drawn twice, light and dark, and the browser shows the one of its colour scheme.
"""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from galaxyvotes.kinds import FRACTIONS, QUANTITIES, Kind
from galaxyvotes.reports import figures
from galaxyvotes.reports.comparison import Comparison
from galaxyvotes.reports.drawing import DARK, LIGHT, Palette, svg

__all__ = ["SECTIONS", "Section", "themed"]


@dataclass(frozen=True)
class Section:
    """A section of the page: its anchor, its title, its template, the keys of the document of which
    one must hold something, or it is left out, and its figure.
    """

    name: str
    title: str
    template: str
    needs: tuple[str, ...] = ()
    figure: Callable[[Comparison], Markup] | None = None

    def present(self, document: Mapping[str, Any]) -> bool:
        """Whether there is something to show."""
        return not self.needs or any(document[key] not in (None, [], {}) for key in self.needs)


# ---- figures


def themed(draw: Callable[..., Figure], *given: Any, alt: str, **settings: Any) -> Markup:
    """A figure in both palettes, as an element that shows the one of the browser's colour scheme;
    `alt` says what is in it.
    """
    light, dark = (_uri(draw, palette, *given, **settings) for palette in (LIGHT, DARK))
    picture = (
        '<picture><source media="(prefers-color-scheme: dark)" srcset="{}"><img src="{}" alt="{}">'
        "</picture>"
    )
    return Markup(picture).format(dark, light, alt)


def _uri(draw: Callable[..., Figure], palette: Palette, *given: Any, **settings: Any) -> str:
    image = svg(draw(*given, palette=palette, **settings))
    return "data:image/svg+xml;base64," + base64.b64encode(image).decode()


def _roc(comparison: Comparison) -> Markup:
    predicted = comparison.predicted
    given = (comparison.labels, predicted.values, comparison.tree)
    alt = "ROC curve of each answer; the areas are in the table above."
    return themed(figures.roc_plots, *given, columns=predicted.columns, alt=alt)


def _reliability(comparison: Comparison) -> Markup:
    alt = "Mean label against mean prediction; the numbers are in the table beside."
    given = (comparison.labels, comparison.predicted.values)
    return themed(figures.reliability_plot, *given, alt=alt)


def _predicted(comparison: Comparison) -> Markup:
    predicted = comparison.predicted
    given = (comparison.labels, predicted.values, predicted.columns)
    alt = "Predicted against measured values of each quantity, one point a galaxy."
    return themed(figures.quantity_plots, *given, bounds=predicted.bounds, alt=alt)


def _familiarity(comparison: Comparison) -> Markup:
    alt = "Cumulative distribution of familiarity scores; the numbers are in the table beside."
    return themed(figures.familiarity_plot, comparison.predicted.familiarity, alt=alt)


def _history(comparison: Comparison) -> Markup:
    alt = "Loss and other measures by epoch, of the training and the validation set."
    return themed(figures.history_plot, comparison.history, alt=alt)


# ---- tables keyed by the kind


_FAMILIARITY_SECTION = Section(
    "familiarity",
    "Familiarity (out-of-distribution score)",
    "familiarity",
    ("familiarity",),
    _familiarity,
)
_TRAINING_SECTION = Section("training", "Training history", "training", ("history",), _history)
_PROVENANCE_SECTION = Section("provenance", "Provenance", "provenance")

SECTIONS: dict[Kind, tuple[Section, ...]] = {
    FRACTIONS: (
        Section("performance", "Performance and baselines", "fractions/performance"),
        Section(
            "leaderboard", "2014 challenge leaderboard", "fractions/leaderboard", ("leaderboard",)
        ),
        Section("as-published", "Published protocol", "fractions/as_published", ("contaminated",)),
        Section("answers", "Errors by answer", "fractions/answers"),
        Section("roc", "ROC curves", "fractions/roc", figure=_roc),
        Section("questions", "Accuracy by question", "fractions/questions"),
        Section("cuts", "Purity and completeness", "fractions/cuts"),
        Section("confusion", "Confusion matrices", "fractions/confusion"),
        Section("reliability", "Reliability diagram", "fractions/reliability", figure=_reliability),
        Section(
            "intervals",
            "Prediction intervals",
            "fractions/intervals",
            ("intervals", "noise_floor"),
        ),
        _FAMILIARITY_SECTION,
        _TRAINING_SECTION,
        Section("galaxies", "Largest and smallest errors", "fractions/galaxies", ("best",)),
        _PROVENANCE_SECTION,
        Section("definitions", "Definitions", "fractions/definitions"),
    ),
    QUANTITIES: (
        Section("performance", "Performance and baselines", "quantities/performance"),
        Section(
            "predicted", "Predicted and measured values", "quantities/predicted", figure=_predicted
        ),
        Section("intervals", "Prediction intervals", "quantities/intervals", ("intervals",)),
        _FAMILIARITY_SECTION,
        _TRAINING_SECTION,
        Section("galaxies", "Largest and smallest errors", "quantities/galaxies", ("best",)),
        _PROVENANCE_SECTION,
        Section("definitions", "Definitions", "quantities/definitions"),
    ),
}
