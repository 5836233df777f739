"""The numbers of a report on quantities (see `document`): each has its own unit, so nothing is
pooled over them. What each measure means is written in `metrics.regression`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from galaxyvotes.metrics.bootstrap import Measure, confidence_intervals, number
from galaxyvotes.metrics.coverage import interval_statistics
from galaxyvotes.metrics.regression import MEASURES, known_means, quantity_statistics
from galaxyvotes.reports.comparison import Comparison, ReportSettings, Values
from galaxyvotes.tree import DecisionTree

__all__ = [
    "galaxy",
    "galaxy_errors",
    "interval_widths",
    "prediction_intervals",
    "rmse_differences",
    "summarise",
    "table",
]

_DEFAULT = ReportSettings()
_ROUNDING = 1e-4  # ends are float32, or as a table has them: widths that differ by less are equal


def summarise(comparison: Comparison, settings: ReportSettings = _DEFAULT) -> list[dict[str, Any]]:
    """Per quantity the number of galaxies it is known for, their mean and standard deviation, and
    every measure.
    """
    labels, predicted = comparison.labels, comparison.predicted
    measured = confidence_intervals(
        quantity_statistics(labels, predicted.values),
        len(labels),
        resamples=settings.resamples,
        seed=settings.seed,
    )
    rows: list[dict[str, Any]] = []
    for i, column in enumerate(predicted.columns):
        known = labels[~np.isnan(labels[:, i]), i].astype(np.float64)
        described = {
            "quantity": column,
            "unit": comparison.tree.units.get(column, ""),
            "galaxies": len(known),
            "mean": float(known.mean()) if len(known) else None,
            "deviation": float(known.std()) if len(known) else None,
        }
        rows.append(described | {name: measured[name].measure(i) for name in MEASURES})
    return rows


def rmse_differences(
    comparison: Comparison, other: Comparison, settings: ReportSettings = _DEFAULT
) -> list[Measure]:
    """Per quantity the RMSE of `other`, of the same labels, less that of `comparison`, on the same
    resamples.
    """
    first, second = (
        quantity_statistics(one.labels, one.predicted.values)["rmse"] for one in (comparison, other)
    )

    def difference(weights: np.ndarray) -> np.ndarray:
        return second(weights) - first(weights)

    galaxies, resamples = len(comparison.labels), settings.resamples
    measured = confidence_intervals(
        {"rmse": difference}, galaxies, resamples=resamples, seed=settings.seed
    )
    return [measured["rmse"].measure(i) for i in range(len(comparison.predicted.columns))]


def prediction_intervals(comparison: Comparison, settings: ReportSettings) -> dict[str, Any] | None:
    """Empirical coverage and width of the bounds of each quantity; None without bounds."""
    predicted, nominal = comparison.predicted, comparison.nominal_coverage
    if predicted.bounds is None or nominal is None:
        return None
    of_bounds = interval_statistics(comparison.labels, *predicted.bounds, coverage=nominal)
    measured = confidence_intervals(
        {name: of_bounds[f"{name}_per_answer"] for name in ("coverage", "width")},
        len(predicted),
        resamples=settings.resamples,
        seed=settings.seed,
    )
    rows = [
        {"quantity": column, "unit": comparison.tree.units.get(column, "")}
        | {name: interval.measure(i) for name, interval in measured.items()}
        for i, column in enumerate(predicted.columns)
    ]
    return {"nominal": nominal, "quantities": rows}


def galaxy_errors(labels: Values, predicted: Values) -> Float[np.ndarray, " galaxy"]:
    """The mean squared error of each galaxy over its known quantities, each in units of its
    standard deviation among these galaxies.
    """
    known = ~np.isnan(labels)
    variances = _variances(labels)
    errors = np.where(known, (predicted.astype(np.float64) - labels) ** 2, 0)
    scaled = errors / np.where(variances > 0, variances, 1)
    return scaled.sum(axis=1) / np.maximum(known.sum(axis=1), 1)


def interval_widths(comparison: Comparison) -> Float[np.ndarray, " galaxy"] | None:
    """The mean width of the intervals of each galaxy, each in units of the standard deviation of
    the quantity among these galaxies; None without intervals, or if all are equally wide.
    """
    bounds = comparison.predicted.bounds
    if bounds is None:
        return None
    deviations = np.sqrt(_variances(comparison.labels))
    widths = (bounds.upper - bounds.lower).astype(np.float64)
    mean = (widths / np.where(deviations > 0, deviations, 1)).mean(axis=1)
    return None if np.ptp(mean) <= _ROUNDING * mean.max() else mean


def _variances(labels: Values) -> Float[np.ndarray, " quantity"]:
    """The variance of each quantity over the galaxies where it is known; 0 where it never is."""
    known = ~np.isnan(labels)
    squares = np.where(known, (labels - known_means(labels)) ** 2, 0).sum(axis=0)
    return squares / np.maximum(known.sum(axis=0), 1)


def galaxy(row: int, comparison: Comparison) -> dict[str, Any]:
    """One galaxy: its measured and its predicted values."""
    predicted = comparison.predicted
    bounds = predicted.bounds
    return {
        "id": predicted.ids[row],
        "quantities": [
            {
                "quantity": column,
                "unit": comparison.tree.units.get(column, ""),
                "measured": number(float(comparison.labels[row, i])),
                "predicted": number(float(predicted.values[row, i])),
                "low": None if bounds is None else number(float(bounds.lower[row, i])),
                "high": None if bounds is None else number(float(bounds.upper[row, i])),
            }
            for i, column in enumerate(predicted.columns)
        ],
    }


def table(document: Mapping[str, Any], tree: DecisionTree) -> list[list[Any]]:  # noqa: ARG001
    """A header, and a row for each quantity and predictor."""
    ends = [f"{name}{end}" for name in MEASURES for end in ("", "_low", "_high")]
    rows: list[list[Any]] = [["quantity", "predictor", "galaxies", "mean", "deviation", *ends]]
    for name, summary in {"network": document["network"], **document["baselines"]}.items():
        for row in summary:
            cells = [value for measure in MEASURES for value in row[measure].values()]
            described = [row["quantity"], name, row["galaxies"], row["mean"], row["deviation"]]
            rows.append([*described, *cells])
    return rows
