"""ROC curves and the areas under them: how well a predicted fraction separates two classes.

Positive are the galaxies whose labelled fraction of an answer is above a threshold. What is
undefined, without positives or without negatives, is NaN or has no points, and comes with its
counts.

Source: Fawcett 2006, Pattern Recognition Letters 27, 861: algorithm 1 (the curve), section 7 (the
area as the Wilcoxon statistic).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn import metrics as sklearn_metrics

from galaxyvotes.metrics.statistic import (
    Fractions,
    Statistic,
    check_predictions,
    divide,
    once,
    value_of,
)

__all__ = [
    "THRESHOLD",
    "AnswerAuc",
    "RocCurve",
    "auc",
    "auc_per_answer",
    "auc_statistic",
    "class_sizes",
    "roc_curve",
]

THRESHOLD = 0.5


@dataclass(frozen=True)
class RocCurve:
    """A ROC curve from (0, 0) to (1, 1), thresholds falling from infinity; no points at all if it
    is undefined.
    """

    false_positive_rate: Float[np.ndarray, " point"]
    true_positive_rate: Float[np.ndarray, " point"]
    thresholds: Float[np.ndarray, " point"]


class AnswerAuc(NamedTuple):
    """Per answer: the area under its ROC curve (NaN if undefined), and how many galaxies are
    positive and negative.
    """

    auc: Float[np.ndarray, " answer"]
    positives: Int[np.ndarray, " answer"]
    negatives: Int[np.ndarray, " answer"]


def roc_curve(
    positive: Bool[np.ndarray, " galaxy"], predicted: Float[np.ndarray, " galaxy"]
) -> RocCurve:
    """The ROC curve of a predicted fraction; no points without positives or without negatives.

    Points on a straight line between others are left out.

    Source: Fawcett 2006, algorithm 1
    """
    check_predictions(positive, predicted)
    if positive.all() or not positive.any():
        return RocCurve(*(np.empty(0) for _ in range(3)))
    curve: tuple[np.ndarray, ...] = sklearn_metrics.roc_curve(positive, predicted)
    return RocCurve(*(np.asarray(part, np.float64) for part in curve))


def auc(positive: Bool[np.ndarray, " galaxy"], predicted: Float[np.ndarray, " galaxy"]) -> float:
    """Area under the ROC curve: the chance that a positive galaxy is predicted higher than a
    negative one.

    Equal predictions count half: a constant has 0.5. NaN without positives or without negatives.

    Source: Fawcett 2006, section 7 (the Wilcoxon statistic)
    """
    check_predictions(positive, predicted)
    alone = _areas(np.ones_like(positive)[:, None], positive[:, None], predicted[:, None])
    return float(value_of(alone, len(positive))[0])


def auc_per_answer(
    labels: Fractions, predicted: Fractions, *, threshold: float = THRESHOLD
) -> AnswerAuc:
    """The AUC of each answer, where positive are galaxies of a fraction above the threshold: the
    paper's Table I.
    """
    aucs = value_of(auc_statistic(labels, predicted, threshold), len(labels))
    return AnswerAuc(aucs, *class_sizes(labels, threshold))


def class_sizes(
    labels: Fractions, threshold: float = THRESHOLD
) -> tuple[Int[np.ndarray, " answer"], Int[np.ndarray, " answer"]]:
    """How many galaxies are positive and how many negative, per answer."""
    return (labels > threshold).sum(axis=0), (labels <= threshold).sum(axis=0)


def auc_statistic(
    labels: Fractions, predicted: Fractions, threshold: float = THRESHOLD
) -> Statistic:
    """`auc_per_answer` as a function of weights over galaxies."""
    check_predictions(labels, predicted)
    return _areas(~np.isnan(labels), labels > threshold, predicted)


# ---- areas: the weight of pairs whose positive is predicted above their negative


def _areas(
    known: Bool[np.ndarray, "galaxy answer"],
    positive: Bool[np.ndarray, "galaxy answer"],
    predicted: Float[np.ndarray, "galaxy answer"],
) -> Statistic:
    """Per answer: the weight of pairs whose positive is above their negative (half if equal) over
    that of all pairs.
    """
    answers = [_ranks(*columns) for columns in zip(known.T, positive.T, predicted.T, strict=True)]

    def areas(
        weights: Float[np.ndarray, "resample galaxy"],
    ) -> Float[np.ndarray, "resample answer"]:
        both = np.array([[_pairs(ranks, row) for ranks in answers] for row in weights])
        return divide(both[..., 0], both[..., 1])

    return once(areas)


class _Ranks(NamedTuple):
    """Where galaxies stand among the predictions of the positive galaxies of one answer.

    `above` are galaxies of known label from the lowest of those predictions up; the others are
    below every positive one and need no ranks. Of them, `level` is 2i + 1 for a galaxy predicted
    equal to the i-th lowest, 2i for one between it and the one below. `positives` are galaxies,
    `equal` is their i. `negative` is 1 for each negative galaxy.
    """

    above: Int[np.ndarray, " above"]
    level: Int[np.ndarray, " above"]
    positives: Int[np.ndarray, " positive"]
    equal: Int[np.ndarray, " positive"]
    negative: Float[np.ndarray, " galaxy"]


def _ranks(
    known: Bool[np.ndarray, " galaxy"],
    positive: Bool[np.ndarray, " galaxy"],
    predicted: Float[np.ndarray, " galaxy"],
) -> _Ranks:
    positives = np.flatnonzero(positive)
    steps, equal = np.unique(predicted[positives], return_inverse=True)
    above = np.flatnonzero(known & (predicted >= steps.min(initial=np.inf)))
    order = np.argsort(predicted[above])  # searching for rising values is several times as fast
    rising = predicted[above[order]]
    level = np.empty(len(above), np.int64)
    level[order] = np.searchsorted(steps, rising, "left") + np.searchsorted(steps, rising, "right")
    return _Ranks(above, level, positives, equal, (known & ~positive).astype(np.float64))


def _pairs(ranks: _Ranks, weights: Float[np.ndarray, " galaxy"]) -> tuple[float, float]:
    """The weight of pairs in the right order, and of all pairs of a positive and a negative
    galaxy.
    """
    positive = np.bincount(ranks.equal, weights[ranks.positives])
    negative = np.bincount(ranks.level, weights[ranks.above], 2 * len(positive) + 1)
    negative[1::2] -= positive
    up_to = np.cumsum(negative)
    positives, negatives = float(positive.sum()), float(weights @ ranks.negative)
    right = float(positive @ (up_to[:-1:2] + up_to[1::2]) / 2)
    return right + positives * (negatives - float(up_to[-1])), positives * negatives
