"""Statistics: functions of one weight a galaxy, of which every measure here is made.

With every weight one, a statistic is the number itself; with weights that count how often each
galaxy was drawn in a resample, it is a draw of the bootstrap (`bootstrap`). So a number and its
confidence interval come from the same code. All but the area under a ROC curve are functions of
weighted sums over galaxies: a thousand resamples are one matrix product.

Arrays of labels and predictions have one row a galaxy and one column an answer, and hold joint
fractions. A label that is NaN is not known; such cells count nowhere.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Num

__all__ = [
    "Fractions",
    "Statistic",
    "check_predictions",
    "divide",
    "mean_defined",
    "once",
    "ratio",
    "root",
    "value_of",
]

Fractions = Float[np.ndarray, "galaxy answer"]
Statistic = Callable[[Float[np.ndarray, "resample galaxy"]], Float[np.ndarray, " resample *values"]]


def value_of(statistic: Statistic, galaxies: int) -> Float[np.ndarray, "*values"]:
    """The statistic with every weight one."""
    return np.asarray(statistic(np.ones((1, galaxies)))[0])


def ratio(
    above: Float[np.ndarray, " galaxy *values"], below: Float[np.ndarray, " galaxy *values"]
) -> Statistic:
    """The weighted sum of the one over galaxies, divided by that of the other."""
    if below.ndim == 1:
        return once(lambda weights: divide(weights @ above, weights @ below))
    # Often many columns below are equal: the answers of a question are known of the same galaxies.
    numbers: dict[bytes, int] = {}
    same = [numbers.setdefault(column.tobytes(), len(numbers)) for column in below.T]
    different = below[:, [same.index(number) for number in range(len(numbers))]]
    return once(lambda weights: divide(weights @ above, (weights @ different)[:, same]))


def once(statistic: Statistic) -> Statistic:
    """The same statistic, which computes the values of an array of weights once: others that are
    made of it ask for them again.
    """
    last: list[np.ndarray] = [np.empty(0), np.empty(0)]

    def remembering(
        weights: Float[np.ndarray, "resample galaxy"],
    ) -> Float[np.ndarray, " resample *values"]:
        if weights is not last[0]:
            last[:] = weights, statistic(weights)
        return last[1]

    return remembering


def root(statistic: Statistic) -> Statistic:
    """The square root of another."""
    return lambda weights: np.sqrt(statistic(weights))


def divide(
    above: Num[np.ndarray, "*values"], below: Num[np.ndarray, "*values"]
) -> Float[np.ndarray, "*values"]:
    """The quotient; NaN where there is nothing to divide by."""
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)


def mean_defined(values: Float[np.ndarray, "*resample value"]) -> Float[np.ndarray, "*resample"]:
    """The mean over the last axis of what is not NaN; NaN if everything is."""
    sums = np.nansum(values, axis=-1, dtype=np.float64)
    return divide(np.asarray(sums), np.asarray((~np.isnan(values)).sum(axis=-1)))


def check_predictions(
    labels: Num[np.ndarray, "..."] | Bool[np.ndarray, "..."], predicted: Float[np.ndarray, "..."]
) -> None:
    """Refuse predictions of another shape, or that are NaN or infinite: leaving these out would
    flatter. Raises ValueError.
    """
    if labels.shape != predicted.shape:
        raise ValueError(
            f"the labels have shape {labels.shape}, the predictions have {predicted.shape}"
        )
    if not np.isfinite(predicted).all():
        raise ValueError(
            f"{np.count_nonzero(~np.isfinite(predicted))} predictions are NaN or infinite"
        )
