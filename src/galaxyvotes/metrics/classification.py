"""How well galaxies are sorted into classes, and how good the predicted probabilities are.

Labels have one row a galaxy and one column a class, 1 for the class of the galaxy; where they are
fractions, the largest is its class. A galaxy whose class is none of the columns, or not known,
counts nowhere. Predictions are divided by their sum over the classes; the largest is the predicted
class, among equals the first.

    accuracy           galaxies whose class is predicted, of all
    balanced_accuracy  mean of the classes' recall: as if all classes had as many galaxies
    macro_f1           mean of the classes' F1
    cross_entropy      mean of −log(probability of the galaxy's class), at least 1e-6
    brier              mean of Σ (probability − label)² over the classes: 0 to 2
    calibration_error  |largest probability − accuracy| in ten bins of it, averaged over galaxies
    precision, recall  of a class: galaxies rightly given it, of those given it and of its own
    f1                 2 · rightly given it / (given it + its own)

Each is a statistic (see `statistic`): a function of weights over galaxies. What is undefined (no
galaxy of a class, or none predicted) is NaN, and is left out of means.

Sources: Sokolova & Lapalme 2009, Information Processing & Management 45, 427, tables 2 and 3.
Brier 1950, Monthly Weather Review 78, 1. Guo et al. 2017, ICML, equation 3 (calibration error).
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from galaxyvotes.metrics.reliability import (
    ReliabilityCurve,
    calibration_error_statistic,
    reliability_curve,
)
from galaxyvotes.metrics.statistic import (
    Fractions,
    Statistic,
    check_predictions,
    mean_defined,
    ratio,
)

__all__ = [
    "OF_CLASSES",
    "OVERALL",
    "class_statistics",
    "confidence_curve",
    "confusion_matrix",
    "correct_and_largest",
    "membership",
    "probabilities",
]

OVERALL = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "cross_entropy",
    "brier",
    "calibration_error",
)
OF_CLASSES = ("precision", "recall", "f1")

_LEAST = 1e-6  # a smaller probability counts as this


def probabilities(predicted: Fractions) -> Fractions:
    """Predictions divided by their sum over the classes; equal ones where all are 0."""
    positive = predicted.astype(np.float64).clip(min=0)
    sums = positive.sum(axis=1, keepdims=True)
    equal = np.full(positive.shape, 1 / positive.shape[1])
    return np.divide(positive, sums, out=equal, where=sums > 0)


def membership(labels: Fractions) -> Fractions:
    """1 for the class of each galaxy and 0 for the others; NaN where its class is not known."""
    known = _known(labels)
    members = np.full(labels.shape, np.nan)
    members[known] = np.eye(labels.shape[1])[labels[known].argmax(axis=1)]
    return members


def class_statistics(labels: Fractions, predicted: Fractions) -> dict[str, Statistic]:
    """`OVERALL`, one number each, and `OF_CLASSES`, one a class, as functions of weights.

    Raises ValueError for predictions that are NaN, infinite or of another shape.
    """
    own, given = _own_and_given(labels, predicted)
    right, chances = own * given, probabilities(predicted)
    recall, f1 = ratio(right, own), ratio(2 * right, own + given)
    counted = own.sum(axis=1)
    surprise = -np.log((own * chances).sum(axis=1).clip(min=_LEAST)) * counted
    squares = ((chances - own) ** 2).sum(axis=1) * counted
    correct, largest = correct_and_largest(labels, predicted)
    return {
        "accuracy": ratio(right.sum(axis=1), counted),
        "balanced_accuracy": lambda weights: mean_defined(recall(weights)),
        "macro_f1": lambda weights: mean_defined(f1(weights)),
        "cross_entropy": ratio(surprise, counted),
        "brier": ratio(squares, counted),
        "calibration_error": calibration_error_statistic(correct, largest),
        "precision": ratio(right, given),
        "recall": recall,
        "f1": f1,
    }


def confusion_matrix(labels: Fractions, predicted: Fractions) -> Int[np.ndarray, "own given"]:
    """How many galaxies of each class (row) are given each class (column)."""
    own, given = _own_and_given(labels, predicted)
    return (own.T @ given).astype(np.int64)


def confidence_curve(labels: Fractions, predicted: Fractions) -> ReliabilityCurve:
    """In ten bins of the largest probability: its mean, the accuracy and the number of galaxies."""
    return reliability_curve(*correct_and_largest(labels, predicted))


def _known(labels: Fractions) -> Bool[np.ndarray, " galaxy"]:
    return ~np.isnan(labels).any(axis=1) & (np.nan_to_num(labels).max(axis=1) > 0)


def _own_and_given(labels: Fractions, predicted: Fractions) -> tuple[Fractions, Fractions]:
    """1 for the class of each galaxy, and 1 for the predicted one; 0 where its class is not
    known.
    """
    check_predictions(labels, predicted)
    own = np.nan_to_num(membership(labels))
    given = np.eye(labels.shape[1])[predicted.argmax(axis=1)]
    return own, given * own.sum(axis=1, keepdims=True)


def correct_and_largest(
    labels: Fractions, predicted: Fractions
) -> tuple[Float[np.ndarray, "galaxy 1"], Float[np.ndarray, "galaxy 1"]]:
    """Whether the predicted class is right, NaN where it is not known, and its probability."""
    own, given = _own_and_given(labels, predicted)
    correct = np.where(_known(labels), (own * given).sum(axis=1), np.nan)
    return correct[:, None], probabilities(predicted).max(axis=1)[:, None]
