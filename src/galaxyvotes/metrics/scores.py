"""How far predictions are from what volunteers said, and all measures together with their
confidence intervals.

Predictions that are NaN or infinite are a ValueError: leaving them out would flatter whoever
predicted them. Whatever is measured over nothing (no known cell, no galaxy that was asked, no
positive for a ROC curve) is NaN. Each number is a statistic (see `statistic`) with every weight
one.

Source: evaluation page of the Galaxy Challenge (Kaggle, 2014): the RMSE over all cells.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from galaxyvotes.metrics.accuracy import MIN_CONFIDENCE, argmax_statistic, question_statistic
from galaxyvotes.metrics.bootstrap import Interval, confidence_intervals
from galaxyvotes.metrics.reliability import calibration_error_statistic
from galaxyvotes.metrics.roc import auc_statistic, class_sizes
from galaxyvotes.metrics.statistic import (
    Fractions,
    Statistic,
    check_predictions,
    mean_defined,
    ratio,
    root,
    value_of,
)
from galaxyvotes.tree import DecisionTree

__all__ = [
    "FEW_POSITIVES",
    "bootstrap_scores",
    "mae",
    "mse",
    "rmse",
    "rmse_per_answer",
    "score_statistics",
]

FEW_POSITIVES = 10  # with fewer, an AUC says little


def mse(labels: Fractions, predicted: Fractions) -> float:
    """Mean squared error over all known cells: Σ (predicted − label)² / number of cells."""
    return float(value_of(_error(labels, predicted, 2), len(labels)))


def rmse(labels: Fractions, predicted: Fractions) -> float:
    """Root of the mean squared error over all known cells: the number that the Galaxy Challenge
    ranked by.

    The root is taken once, over galaxies and answers together; it is not the mean of the answers'
    own RMSEs.

    Source: evaluation page of the Galaxy Challenge (Kaggle, 2014)
    """
    return float(value_of(root(_error(labels, predicted, 2)), len(labels)))


def mae(labels: Fractions, predicted: Fractions) -> float:
    """Mean absolute error over all known cells."""
    return float(value_of(_error(labels, predicted, 1), len(labels)))


def rmse_per_answer(labels: Fractions, predicted: Fractions) -> Float[np.ndarray, " answer"]:
    """Root of the mean squared error of each answer, over the galaxies where it is known; NaN where
    it never is.
    """
    return value_of(_rmse_per_answer(labels, predicted), len(labels))


def score_statistics(
    labels: Fractions,
    predicted: Fractions,
    tree: DecisionTree,
    *,
    columns: Sequence[str] | None = None,
) -> dict[str, Statistic]:
    """The measures of `bootstrap_scores`, all but the mean AUCs, as functions of weights over
    galaxies.

    Values stand in the order of `question_accuracy` and of the columns.
    """
    squared = _error(labels, predicted, 2)
    reached = question_statistic(labels, predicted, tree, columns)
    confident = question_statistic(labels, predicted, tree, columns, MIN_CONFIDENCE)
    return {
        "mse": squared,
        "rmse": root(squared),
        "mae": _error(labels, predicted, 1),
        "argmax_accuracy": argmax_statistic(labels, predicted),
        "calibration_error": calibration_error_statistic(labels, predicted),
        "question_accuracy": reached,
        "confident_accuracy": confident,
        "mean_question_accuracy": lambda weights: mean_defined(reached(weights)),
        "mean_confident_accuracy": lambda weights: mean_defined(confident(weights)),
        "rmse_per_answer": _rmse_per_answer(labels, predicted),
        "auc_per_answer": auc_statistic(labels, predicted),
    }


def bootstrap_scores(
    labels: Fractions,
    predicted: Fractions,
    tree: DecisionTree,
    *,
    columns: Sequence[str] | None = None,
    resamples: int = 1000,
    auc_resamples: int = 200,
    seed: int = 0,
) -> dict[str, Interval]:
    """Every statistic with its 95 % interval, by name.

    Single numbers: `mse`, `rmse`, `mae`, `argmax_accuracy`, `calibration_error`. One a question:
    `question_accuracy`, `confident_accuracy` (the same from 0.8). One an answer: `rmse_per_answer`,
    `auc_per_answer`. Means over what is defined: `mean_question_accuracy`,
    `mean_confident_accuracy`, `mean_auc`, and `mean_auc_of_frequent` over the answers with ten
    positives or more, as with fewer an AUC says little.

    Resamples are those of `confidence_intervals`, the same whoever predicted. Ranking costs most,
    so the AUCs have fewer. What an interval does not hold is the luck of training: the same recipe
    with another seed is another predictor.

    Raises ValueError without galaxies, or for predictions that are NaN, infinite or of another
    shape.
    """
    positives, negatives = class_sizes(labels)
    frequent = (positives >= FEW_POSITIVES) & (negatives > 0)
    sums = score_statistics(labels, predicted, tree, columns=columns)
    per_answer = sums["auc_per_answer"]
    aucs: dict[str, Statistic] = {
        "auc_per_answer": per_answer,
        "mean_auc": lambda weights: mean_defined(per_answer(weights)),
        "mean_auc_of_frequent": lambda weights: mean_defined(per_answer(weights)[:, frequent]),
    }
    fewer = dict.fromkeys(aucs, auc_resamples)
    return confidence_intervals(
        sums | aucs, len(labels), resamples=resamples, seed=seed, fewer=fewer
    )


def _error(labels: Fractions, predicted: Fractions, power: int) -> Statistic:
    errors, known = _errors(labels, predicted, power)
    return ratio(np.asarray(errors.sum(axis=1)), np.asarray(known.sum(axis=1)))


def _rmse_per_answer(labels: Fractions, predicted: Fractions) -> Statistic:
    return root(ratio(*_errors(labels, predicted, 2)))


def _errors(labels: Fractions, predicted: Fractions, power: int) -> tuple[Fractions, Fractions]:
    """|predicted − label| to a power, zero where unknown; and 1 for each known cell, 0 for the
    others.
    """
    check_predictions(labels, predicted)
    known = ~np.isnan(labels)
    errors = np.where(known, np.abs(predicted.astype(np.float64) - labels), 0.0)
    return errors**power, known.astype(np.float64)
