"""Errors of predicted quantities, such as a T type or a colour: statistics for the bootstrap.

Labels and predictions have one row a galaxy and one column a quantity; a label that is NaN is not
known and counts nowhere. Nothing is pooled over quantities, which have no common unit.

    rmse    root mean squared error
    mae     mean absolute error
    bias    mean of predicted − measured
    r2      1 − Σ (predicted − measured)² / Σ (measured − mean)²: the share of the variance among
            these galaxies that is explained; 0 for their mean, negative for worse

Source of R²: Draper & Smith 1998, Applied Regression Analysis, section 1.3.
"""

import numpy as np
from jaxtyping import Float

from galaxyvotes.metrics.statistic import Statistic, check_predictions, divide, ratio, root

__all__ = ["MEASURES", "known_means", "quantity_statistics"]

MEASURES = ("rmse", "mae", "bias", "r2")

Values = Float[np.ndarray, "galaxy quantity"]

_LEAST_VARIANCE = 1e-12  # of a resample, as a share of that of all galaxies; below, R² is undefined


def quantity_statistics(labels: Values, predicted: Values) -> dict[str, Statistic]:
    """`MEASURES` of each quantity, as functions of weights over galaxies; NaN over no galaxy.

    Raises ValueError for predictions that are NaN, infinite or of another shape.
    """
    check_predictions(labels, predicted)
    known = ~np.isnan(labels)
    counts = known.astype(np.float64)
    errors = np.where(known, predicted.astype(np.float64) - labels, 0.0)
    # Around their mean, so that the variance of values far from zero is no difference of huge
    # numbers.
    centred = np.where(known, labels - known_means(labels), 0.0)
    least = _LEAST_VARIANCE * (centred**2).sum(axis=0)

    def explained(
        weights: Float[np.ndarray, "resample galaxy"],
    ) -> Float[np.ndarray, "resample quantity"]:
        spread = weights @ centred**2 - divide(np.square(weights @ centred), weights @ counts)
        return 1 - divide(weights @ errors**2, np.where(spread > least, spread, 0.0))

    return {
        "rmse": root(ratio(errors**2, counts)),
        "mae": ratio(np.abs(errors), counts),
        "bias": ratio(errors, counts),
        "r2": explained,
    }


def known_means(values: Values) -> Float[np.ndarray, " quantity"]:
    """The mean of each quantity over the galaxies where it is known; 0 where it never is."""
    known = ~np.isnan(values)
    sums = np.where(known, values, 0).sum(axis=0, dtype=np.float64)
    return sums / np.maximum(known.sum(axis=0), 1)
