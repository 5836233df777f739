"""Whether prediction intervals hold what they promise, and the noise that no predictor can beat.

Labels and bounds have one row a galaxy and one column an answer. A cell counts if its label is
known and it has an interval; whatever is measured over nothing is NaN. Each number is a statistic
(see `statistic`) with every weight one. Whether the fractions themselves are calibrated is
`reliability.calibration_error`.

Sources: coverage: Angelopoulos & Bates 2023, Foundations and Trends in Machine Learning 16, 494,
section 3. Interval score: Gneiting & Raftery 2007, JASA 102, 359, equation 43.
"""

import numpy as np
from jaxtyping import Bool, Float, Num

from galaxyvotes.metrics.statistic import Fractions, Statistic, ratio, root, value_of

__all__ = [
    "coverage_per_answer",
    "empirical_coverage",
    "interval_score",
    "interval_statistics",
    "mean_width",
    "noise_floor",
    "width_per_answer",
]

Counted = Bool[np.ndarray, "galaxy answer"]


def empirical_coverage(labels: Fractions, lower: Fractions, upper: Fractions) -> float:
    """The fraction of cells whose label lies within its interval, ends included."""
    return float(value_of(_coverage(labels, lower, upper, by_answer=False), len(labels)))


def coverage_per_answer(
    labels: Fractions, lower: Fractions, upper: Fractions
) -> Float[np.ndarray, " answer"]:
    """The empirical coverage of each answer; a calibration promises it answer by answer."""
    return value_of(_coverage(labels, lower, upper, by_answer=True), len(labels))


def mean_width(labels: Fractions, lower: Fractions, upper: Fractions) -> float:
    """Sharpness: the mean width of the intervals, 0–1; the smaller the better, at the same
    coverage.
    """
    return float(value_of(_width(labels, lower, upper, by_answer=False), len(labels)))


def width_per_answer(
    labels: Fractions, lower: Fractions, upper: Fractions
) -> Float[np.ndarray, " answer"]:
    """The mean width of each answer's intervals."""
    return value_of(_width(labels, lower, upper, by_answer=True), len(labels))


def interval_score(
    labels: Fractions, lower: Fractions, upper: Fractions, *, coverage: float
) -> float:
    """Width and misses in one number: mean of (u − l) + 2/α · (how far the label is outside), α = 1
    − coverage.

    Proper: it is lowest, on average, for the true quantiles α/2 and 1 − α/2. The smaller the
    better.

    Source: Gneiting & Raftery 2007, equation 43
    """
    return float(value_of(_interval_score(labels, lower, upper, coverage), len(labels)))


def interval_statistics(
    labels: Fractions, lower: Fractions, upper: Fractions, *, coverage: float
) -> dict[str, Statistic]:
    """All of them as functions of weights over galaxies, for `bootstrap.confidence_intervals`."""
    return {
        "coverage": _coverage(labels, lower, upper, by_answer=False),
        "coverage_per_answer": _coverage(labels, lower, upper, by_answer=True),
        "width": _width(labels, lower, upper, by_answer=False),
        "width_per_answer": _width(labels, lower, upper, by_answer=True),
        "interval_score": _interval_score(labels, lower, upper, coverage),
    }


# ---- the volunteers' own noise


def noise_floor(fractions: Fractions, volunteers: Num[np.ndarray, "galaxy answer"]) -> float:
    """The RMSE, over all cells, of the perfect predictor: that of the fractions behind the panels
    against the panels.

    No predictor is expected to do better. A joint fraction observed as p among n volunteers has the
    sampling variance θ(1 − θ)/n around the θ behind it, of which p(1 − p)/(n − 1) is an unbiased
    estimate. It is averaged over galaxies and answers, and the root is taken once. Cells that are
    not known or have fewer than two volunteers are left out. `volunteers` are those who could have
    given the answer (see `DecisionTree.volunteers`), not only those asked. Weighted or debiased
    fractions come from no plain panel; for them the floor is approximate.

    Source: Cochran 1977, Sampling Techniques, section 3.2
    """
    known = ~np.isnan(fractions) & (volunteers >= 2)
    p = np.where(known, fractions, 0).astype(np.float64)
    variance = p * (1 - p) / np.where(known, volunteers - 1.0, 1.0)
    cells = known.astype(np.float64)
    return float(value_of(root(ratio(variance.sum(axis=1), cells.sum(axis=1))), len(fractions)))


# ---- statistics: functions of weights over galaxies


def _coverage(
    labels: Fractions, lower: Fractions, upper: Fractions, *, by_answer: bool
) -> Statistic:
    counted = _counted(labels, lower, upper)
    return _mean(counted & (lower <= labels) & (labels <= upper), counted, by_answer=by_answer)


def _width(labels: Fractions, lower: Fractions, upper: Fractions, *, by_answer: bool) -> Statistic:
    counted = _counted(labels, lower, upper)
    return _mean(np.where(counted, upper - lower, 0), counted, by_answer=by_answer)


def _interval_score(
    labels: Fractions, lower: Fractions, upper: Fractions, coverage: float
) -> Statistic:
    if not 0 < coverage < 1:
        raise ValueError(f"coverage {coverage} does not lie between 0 and 1")
    counted = _counted(labels, lower, upper)
    outside = np.maximum(lower - labels, 0) + np.maximum(labels - upper, 0)
    return _mean(
        np.where(counted, upper - lower + 2 / (1 - coverage) * outside, 0), counted, by_answer=False
    )


def _mean(values: Fractions | Counted, counted: Counted, *, by_answer: bool) -> Statistic:
    above, below = values.astype(np.float64), counted.astype(np.float64)
    return ratio(above, below) if by_answer else ratio(above.sum(axis=1), below.sum(axis=1))


def _counted(labels: Fractions, lower: Fractions, upper: Fractions) -> Counted:
    """Where the label is known and there is an interval."""
    if not labels.shape == lower.shape == upper.shape:
        raise ValueError(
            f"the labels have shape {labels.shape}, the bounds have {lower.shape} and {upper.shape}"
        )
    return ~(np.isnan(labels) | np.isnan(lower) | np.isnan(upper))
