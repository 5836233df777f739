"""What the network has not learned at all: pairs of answers at chance, and quantities that are not
predicted better than by their mean; and the likely reason.

A pair is listed if both answers have ten galaxies or more (see `metrics.pairs`) and the confidence
interval of its AUC reaches 0.5; a quantity, if that of its R² reaches 0.
"""

from typing import Any

from galaxyvotes.kinds import QUANTITIES
from galaxyvotes.metrics.bootstrap import confidence_intervals
from galaxyvotes.metrics.pairs import pair_statistic, pairs_of
from galaxyvotes.metrics.regression import quantity_statistics
from galaxyvotes.metrics.scores import FEW_POSITIVES
from galaxyvotes.reports.comparison import Comparison, ReportSettings

__all__ = ["at_chance"]

_MIRRORED = (
    "Images were rotated and mirrored in training, and predictions are the mean over such views, so"
    " nothing can be learned that this changes: clockwise and anticlockwise arms, or an angle on"
    " the sky, have to come out at chance. If mirror images differ in what is asked here, train"
    " again with --no-mirror (train.mirror=false)."
)
_NOT_MIRRORED = "Images were not mirrored in training, so this is not because of mirror images."
_OTHERWISE = (
    "Otherwise the images do not show the difference at this size, there were too few training"
    " galaxies, or too few are evaluated here to tell."
)


def at_chance(comparison: Comparison, settings: ReportSettings) -> dict[str, Any] | None:
    """The pairs or quantities at chance, and `why`; None if there are none."""
    of_quantities = comparison.kind is QUANTITIES
    found = (_quantities if of_quantities else _pairs)(comparison, settings)
    if not found:
        return None
    mirrored = {True: [_MIRRORED], False: [_NOT_MIRRORED], None: []}[comparison.mirrored]
    return {
        "quantities" if of_quantities else "pairs": found,
        "why": " ".join([*mirrored, _OTHERWISE]),
    }


def _pairs(comparison: Comparison, settings: ReportSettings) -> list[dict[str, Any]]:
    labels, predicted = comparison.labels, comparison.predicted
    texts = {answer.column: answer.text for answer in comparison.tree.answers}
    pairs = pairs_of(labels, comparison.tree, predicted.columns, least=FEW_POSITIVES)
    if not pairs:
        return []
    areas = confidence_intervals(
        {"auc": pair_statistic(labels, predicted.values, pairs)},
        len(labels),
        resamples=settings.auc_resamples,
        seed=settings.seed,
    )["auc"]
    return [
        {
            "question": pair.question,
            "answers": [texts[predicted.columns[i]] for i in (pair.first, pair.second)],
            "galaxies": list(pair.galaxies),
            "auc": areas.measure(i),
        }
        for i, pair in enumerate(pairs)
        if areas.low[i] <= 0.5
    ]


def _quantities(comparison: Comparison, settings: ReportSettings) -> list[dict[str, Any]]:
    labels, predicted = comparison.labels, comparison.predicted
    shares = confidence_intervals(
        {"r2": quantity_statistics(labels, predicted.values)["r2"]},
        len(labels),
        resamples=settings.resamples,
        seed=settings.seed,
    )["r2"]
    return [
        {"quantity": column, "r2": shares.measure(i)}
        for i, column in enumerate(predicted.columns)
        if shares.low[i] <= 0
    ]
