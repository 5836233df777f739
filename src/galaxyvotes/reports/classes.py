"""The numbers of a report on classes (see `document`): one class a galaxy, predicted as a
probability of each. What each measure means is written in `metrics.classification`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from galaxyvotes.metrics.bootstrap import Interval, Measure, confidence_intervals, number
from galaxyvotes.metrics.classification import (
    OF_CLASSES,
    OVERALL,
    class_statistics,
    confidence_curve,
    confusion_matrix,
    membership,
    probabilities,
)
from galaxyvotes.metrics.information import entropy
from galaxyvotes.metrics.roc import auc_statistic
from galaxyvotes.metrics.scores import FEW_POSITIVES
from galaxyvotes.metrics.statistic import Statistic, mean_defined
from galaxyvotes.reports.comparison import Comparison, ReportSettings, Values
from galaxyvotes.tree import DecisionTree

__all__ = ["differences", "galaxy", "galaxy_entropies", "galaxy_errors", "summarise", "table"]

SHOWN_CLASSES = 3  # of a galaxy, the most probable

_DEFAULT = ReportSettings()


def summarise(comparison: Comparison, settings: ReportSettings = _DEFAULT) -> dict[str, Any]:
    """Every measure of the predictions, of each class, and the confusion matrix."""
    labels, predicted = comparison.labels, comparison.predicted
    areas = auc_statistic(membership(labels), probabilities(predicted.values))
    aucs: dict[str, Statistic] = {
        "auc": areas,
        "mean_auc": lambda weights: mean_defined(areas(weights)),
    }
    measured = confidence_intervals(
        class_statistics(labels, predicted.values) | aucs,
        len(labels),
        resamples=settings.resamples,
        seed=settings.seed,
        fewer=dict.fromkeys(aucs, settings.auc_resamples),
    )
    confusion = confusion_matrix(labels, predicted.values)
    curve = confidence_curve(labels, predicted.values)
    return {
        "galaxies": int(confusion.sum()),
        **{name: measured[name].measure() for name in (*OVERALL, "mean_auc")},
        "reliability": [
            {
                "range": f"{i / len(curve.counts):.1f}–{(i + 1) / len(curve.counts):.1f}",
                "mean_predicted": number(float(curve.mean_predicted[i])),
                "accuracy": number(float(curve.mean_label[i])),
                "galaxies": int(count),
            }
            for i, count in enumerate(curve.counts)
        ],
        "classes": _classes(comparison, confusion, measured),
        "confusion": confusion.tolist(),
    }


def _classes(
    comparison: Comparison, confusion: np.ndarray, measured: Mapping[str, Interval]
) -> list[dict[str, Any]]:
    texts = {answer.column: answer.text for answer in comparison.tree.answers}
    return [
        {
            "class": column,
            "text": texts[column],
            "galaxies": int(confusion[i].sum()),
            "predicted": int(confusion[:, i].sum()),
            "judged": int(confusion[i].sum()) >= FEW_POSITIVES,
            **{name: measured[name].measure(i) for name in (*OF_CLASSES, "auc")},
        }
        for i, column in enumerate(comparison.predicted.columns)
    ]


def differences(
    comparison: Comparison, other: Comparison, settings: ReportSettings = _DEFAULT
) -> dict[str, Measure]:
    """By how much `comparison` is better than `other`, of the same labels, on the same resamples:
    its accuracy less the other's, and the other's Brier score less its own.
    """
    own, others = (
        class_statistics(one.labels, one.predicted.values) for one in (comparison, other)
    )
    measured = confidence_intervals(
        {
            "accuracy": lambda weights: own["accuracy"](weights) - others["accuracy"](weights),
            "brier": lambda weights: others["brier"](weights) - own["brier"](weights),
        },
        len(comparison.labels),
        resamples=settings.resamples,
        seed=settings.seed,
    )
    return {name: interval.measure() for name, interval in measured.items()}


# ---- single galaxies


def galaxy_errors(labels: Values, predicted: Values) -> Float[np.ndarray, " galaxy"]:
    """1 − the probability of the galaxy's class."""
    return 1 - (np.nan_to_num(membership(labels)) * probabilities(predicted)).sum(axis=1)


def galaxy_entropies(comparison: Comparison) -> Float[np.ndarray, " galaxy"]:
    """The entropy of the probabilities, in bits."""
    predicted = comparison.predicted
    return entropy(comparison.tree, probabilities(predicted.values), predicted.columns)


def galaxy(row: int, comparison: Comparison) -> dict[str, Any]:
    """One galaxy: its class and its most probable classes."""
    own = membership(comparison.labels[row : row + 1])[0]
    chances = probabilities(comparison.predicted.values[row : row + 1])[0]
    columns = comparison.predicted.columns
    order = np.argsort(-chances, kind="stable").tolist()
    label = None if np.isnan(own).any() else columns[int(own.argmax())]
    shown = [i for i in order if i in order[:SHOWN_CLASSES] or columns[i] == label]
    return {
        "id": comparison.predicted.ids[row],
        "class": label,
        "predicted": columns[order[0]],
        "probabilities": [{"class": columns[i], "probability": float(chances[i])} for i in shown],
    }


# ---- the CSV


def table(document: Mapping[str, Any], tree: DecisionTree) -> list[list[Any]]:  # noqa: ARG001
    """A header, and a row for each class and predictor."""
    measures = (*OF_CLASSES, "auc")
    ends = [f"{name}{end}" for name in measures for end in ("", "_low", "_high")]
    rows: list[list[Any]] = [["class", "text", "predictor", "galaxies", "predicted", *ends]]
    for name, summary in {"network": document["network"], **document["baselines"]}.items():
        for row in summary["classes"]:
            cells = [value for measure in measures for value in row[measure].values()]
            described = [row["class"], row["text"], name, row["galaxies"], row["predicted"]]
            rows.append([*described, *cells])
    return rows
