"""Whether predicted fractions are calibrated: whether cells predicted near a fraction have it.

All known cells count together, in equal bins of predicted fraction.

Sources: DeGroot & Fienberg 1983, The Statistician 32, 12 (reliability); Naeini et al. 2015, AAAI,
2901, and Guo et al. 2017, ICML, equation 3 (expected calibration error).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from galaxyvotes.metrics.statistic import (
    Fractions,
    Statistic,
    check_predictions,
    divide,
    value_of,
)

__all__ = [
    "ReliabilityCurve",
    "calibration_error",
    "calibration_error_statistic",
    "reliability_curve",
]

BINS = 10


@dataclass(frozen=True)
class ReliabilityCurve:
    """Per bin of predicted fraction: mean predicted and mean label (NaN if it is empty),
    number of cells.
    """

    mean_predicted: Float[np.ndarray, " bin"]
    mean_label: Float[np.ndarray, " bin"]
    counts: Int[np.ndarray, " bin"]


def reliability_curve(
    labels: Fractions, predicted: Fractions, *, bins: int = BINS
) -> ReliabilityCurve:
    """Whether cells predicted near a fraction have that fraction: means over equal bins of
    predicted fraction in 0–1.

    All known cells together. A bin holds its lower edge, the last one also 1; predictions outside
    0–1 count in the outermost bins.
    """
    check_predictions(labels, predicted)
    known = ~np.isnan(labels)
    bin_of = _bin(predicted[known], bins)
    counts = np.bincount(bin_of, minlength=bins)
    sums = [
        np.bincount(bin_of, weights=cells[known], minlength=bins) for cells in (predicted, labels)
    ]
    return ReliabilityCurve(divide(sums[0], counts), divide(sums[1], counts), counts)


def calibration_error(labels: Fractions, predicted: Fractions, *, bins: int = BINS) -> float:
    """Expected calibration error: |mean predicted − mean label| of `reliability_curve`, averaged
    over its cells.

    Source: Guo et al. 2017, equation 3, with the fraction itself in the place of confidence and of
    accuracy
    """
    return float(value_of(calibration_error_statistic(labels, predicted, bins), len(labels)))


def calibration_error_statistic(
    labels: Fractions, predicted: Fractions, bins: int = BINS
) -> Statistic:
    """`calibration_error` as a function of weights: Σ over bins |Σ over their cells (predicted −
    label)| / number of cells.
    """
    check_predictions(labels, predicted)
    known = ~np.isnan(labels)
    bin_of = np.nonzero(known)[0] * bins + _bin(predicted[known], bins)
    surplus = predicted[known].astype(np.float64) - labels[known]
    in_bins = np.bincount(bin_of, surplus, len(labels) * bins).reshape(len(labels), bins)
    cells = known.sum(axis=1).astype(np.float64)
    return lambda weights: divide(np.abs(weights @ in_bins).sum(axis=1), weights @ cells)


def _bin(predicted: Float[np.ndarray, " cell"], bins: int) -> Int[np.ndarray, " cell"]:
    """Which of the equal bins of 0–1 each prediction is in."""
    return np.clip(np.floor(predicted.astype(np.float64) * bins), 0, bins - 1).astype(np.int64)
