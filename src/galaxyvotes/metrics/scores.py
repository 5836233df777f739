"""How far predictions are from what the volunteers said: pure functions on arrays of joint
fractions.

Truth and predictions are one row a galaxy, one column an answer. NaN in the truth means that the
volunteers' fractions of that question are not known for that galaxy; such cells count nowhere. A
prediction that is NaN or infinite is a ValueError: leaving it out would flatter whoever predicted
it. Whatever is measured over nothing (no known cell, no galaxy that was asked, no positive for a
ROC curve) is NaN, and what can be undefined comes with its counts.

Each number is a statistic (see `intervals`) with every weight one, and `bootstrap` gives it with
its interval.

Sources: RMSE over all cells: evaluation page of the Galaxy Challenge (Kaggle, 2014). ROC and AUC:
Fawcett 2006, Pattern Recognition Letters 27, 861. Reliability: DeGroot & Fienberg 1983, The
Statistician 32, 12; expected calibration error: Naeini et al. 2015, AAAI, 2901; Guo et al. 2017,
ICML, section 2.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Num
from sklearn.metrics import roc_curve  # pyright: ignore[reportUnknownVariableType]

from galaxyvotes.metrics.bootstrap import (
    Interval,
    Statistic,
    areas,
    divide,
    intervals,
    mean_defined,
    ratio,
    root,
    value_of,
)
from galaxyvotes.tree import DecisionTree

__all__ = [
    "Accuracy",
    "AnswerAuc",
    "Gap",
    "Reliability",
    "Roc",
    "argmax_accuracy",
    "auc",
    "auc_per_answer",
    "bootstrap",
    "calibration_error",
    "checked",
    "consistency",
    "mae",
    "mse",
    "question_accuracy",
    "reached",
    "reliability",
    "rmse",
    "rmse_per_answer",
    "roc",
    "sides",
    "statistics",
    "whole_questions",
]

MIN_ASKED = 0.5
MIN_CONFIDENCE = 0.8
THRESHOLD = 0.5
FEW_POSITIVES = 10
BINS = 10

_ROUNDING = 1e-6  # fractions are float32, often rounded to six digits: 0.24 / 0.3 must count as 0.8

Fractions = Float[np.ndarray, "galaxy answer"]


class Accuracy(NamedTuple):
    """The fraction of galaxies whose most voted answer is predicted (NaN without any), and how many
    they are.
    """

    accuracy: float
    galaxies: int


class Gap(NamedTuple):
    """How far the predicted answers of a question are from adding up: the mean over galaxies, and
    the largest.
    """

    mean: float
    largest: float


class AnswerAuc(NamedTuple):
    """Per answer: the area under its ROC curve (NaN if undefined), and how many galaxies are
    positive and negative.
    """

    auc: Float[np.ndarray, " answer"]
    positives: Int[np.ndarray, " answer"]
    negatives: Int[np.ndarray, " answer"]


@dataclass(frozen=True)
class Roc:
    """A ROC curve from (0, 0) to (1, 1), thresholds falling from infinity; no points at all if it
    is undefined.
    """

    false_positive_rate: Float[np.ndarray, " point"]
    true_positive_rate: Float[np.ndarray, " point"]
    thresholds: Float[np.ndarray, " point"]


@dataclass(frozen=True)
class Reliability:
    """Per bin of predicted fraction: mean predicted and mean true fraction (NaN if it is empty),
    number of cells.
    """

    mean_predicted: Float[np.ndarray, " bin"]
    mean_truth: Float[np.ndarray, " bin"]
    counts: Int[np.ndarray, " bin"]


# ---- errors of fractions


def mse(labels: Fractions, predicted: Fractions) -> float:
    """Mean squared error over all known cells: Σ (predicted − truth)² / number of cells."""
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


# ---- accuracy in three definitions


def argmax_accuracy(labels: Fractions, predicted: Fractions) -> float:
    """The fraction of galaxies whose largest column of all is predicted as the largest: the paper's
    definition.

    It compares answers to different questions, so it says little beyond the first question.
    Galaxies with anything unknown are left out; among equals the first column counts as the
    largest.
    """
    return float(value_of(_argmax_accuracy(labels, predicted), len(labels)))


def question_accuracy(
    labels: Fractions,
    predicted: Fractions,
    tree: DecisionTree,
    *,
    min_asked: float = MIN_ASKED,
    min_confidence: float = 0.0,
    columns: Sequence[str] | None = None,
) -> dict[str, Accuracy]:
    """Per question: how often the volunteers' most voted answer is predicted as the most voted.

    Counted are galaxies whose volunteers reached the question (at least `min_asked` of them, by
    default half, gave one of its answers) and agreed on it (at least `min_confidence` of those gave
    the same one; 0.8 is what Walmsley et al. call confident). Among equals the first answer counts
    as the most voted.

    `columns` names the answers that the arrays hold, if not all of the tree's; questions not held
    whole are left out.

    Source: Walmsley et al. 2022, MNRAS 509, 3966
    """
    names, hits, counted = _question_hits(
        labels, predicted, tree, columns, min_asked, min_confidence
    )
    accuracy, galaxies = value_of(ratio(hits, counted), len(labels)), counted.sum(axis=0)
    return {
        name: Accuracy(float(a), int(n))
        for name, a, n in zip(names, accuracy, galaxies, strict=True)
    }


# ---- telling galaxies apart


def roc(positive: Bool[np.ndarray, " galaxy"], predicted: Float[np.ndarray, " galaxy"]) -> Roc:
    """The ROC curve of telling positive galaxies by a predicted fraction; no points without
    positives or negatives.

    Points on a straight line between others are left out.

    Source: Fawcett 2006, algorithm 1
    """
    checked(positive, predicted)
    if positive.all() or not positive.any():
        return Roc(*(np.empty(0) for _ in range(3)))
    curve: tuple[np.ndarray, ...] = roc_curve(positive, predicted)
    return Roc(*(np.asarray(part, np.float64) for part in curve))


def auc(positive: Bool[np.ndarray, " galaxy"], predicted: Float[np.ndarray, " galaxy"]) -> float:
    """Area under the ROC curve: the chance that a positive galaxy is predicted higher than a
    negative one.

    Equal predictions count half: a constant has 0.5. NaN without positives or without negatives.

    Source: Fawcett 2006, section 7 (the Wilcoxon statistic)
    """
    checked(positive, predicted)
    alone = areas(np.ones_like(positive)[:, None], positive[:, None], predicted[:, None])
    return float(value_of(alone, len(positive))[0])


def auc_per_answer(
    labels: Fractions, predicted: Fractions, *, threshold: float = THRESHOLD
) -> AnswerAuc:
    """The AUC of each answer, where positive are galaxies of a fraction above the threshold: the
    paper's Table I.
    """
    aucs = value_of(_auc_per_answer(labels, predicted, threshold), len(labels))
    return AnswerAuc(aucs, *sides(labels, threshold))


def sides(
    labels: Fractions, threshold: float = THRESHOLD
) -> tuple[Int[np.ndarray, " answer"], Int[np.ndarray, " answer"]]:
    """How many galaxies are positive and how many negative, per answer."""
    return (labels > threshold).sum(axis=0), (labels <= threshold).sum(axis=0)


# ---- calibration, and the decision tree


def reliability(labels: Fractions, predicted: Fractions, *, bins: int = BINS) -> Reliability:
    """Whether cells predicted near a fraction have that fraction: means over equal bins of
    predicted fraction in 0–1.

    All known cells together. A bin holds its lower edge, the last one also 1; predictions outside
    0–1 count in the outermost bins.
    """
    checked(labels, predicted)
    known = ~np.isnan(labels)
    place = _bin(predicted[known], bins)
    counts = np.bincount(place, minlength=bins)
    sums = [
        np.bincount(place, weights=cells[known], minlength=bins) for cells in (predicted, labels)
    ]
    return Reliability(divide(sums[0], counts), divide(sums[1], counts), counts)


def calibration_error(labels: Fractions, predicted: Fractions, *, bins: int = BINS) -> float:
    """Expected calibration error: |mean predicted − mean true fraction| of `reliability`, averaged
    over its cells.

    Source: Guo et al. 2017, equation 3, with the fraction itself in the place of confidence and of
    accuracy
    """
    return float(value_of(_calibration_error(labels, predicted, bins), len(labels)))


def consistency(
    predicted: Fractions, tree: DecisionTree, *, columns: Sequence[str] | None = None
) -> dict[str, Gap]:
    """Per question: |sum of its predicted answers − predicted fraction of those asked it|.

    Zero where predictions keep to the tree: everybody who is asked a question gives one answer. NaN
    without galaxies. `columns` as in `question_accuracy`; a question is also left out if the answer
    that leads to it is not held.
    """
    gaps: dict[str, Gap] = {}
    for name, answers, asked_of in whole_questions(predicted, tree, columns):
        if asked_of != -1:
            asked = 1.0 if asked_of is None else predicted[:, asked_of].astype(np.float64)
            gap = np.abs(predicted[:, answers].sum(axis=1, dtype=np.float64) - asked)
            gaps[name] = (
                Gap(float(gap.mean()), float(gap.max())) if len(gap) else Gap(np.nan, np.nan)
            )
    return gaps


# ---- all of them, with intervals


def statistics(
    labels: Fractions,
    predicted: Fractions,
    tree: DecisionTree,
    *,
    columns: Sequence[str] | None = None,
) -> dict[str, Statistic]:
    """The statistics of `bootstrap` (all but the mean AUCs), each as a function of weights over
    galaxies.

    Values stand in the order of `question_accuracy` and of the columns.
    """
    squared = _error(labels, predicted, 2)
    reached = ratio(*_question_hits(labels, predicted, tree, columns, MIN_ASKED, 0.0)[1:])
    confident = ratio(
        *_question_hits(labels, predicted, tree, columns, MIN_ASKED, MIN_CONFIDENCE)[1:]
    )
    return {
        "mse": squared,
        "rmse": root(squared),
        "mae": _error(labels, predicted, 1),
        "argmax_accuracy": _argmax_accuracy(labels, predicted),
        "calibration_error": _calibration_error(labels, predicted, BINS),
        "question_accuracy": reached,
        "confident_accuracy": confident,
        "mean_question_accuracy": lambda weights: mean_defined(reached(weights)),
        "mean_confident_accuracy": lambda weights: mean_defined(confident(weights)),
        "rmse_per_answer": _rmse_per_answer(labels, predicted),
        "auc_per_answer": _auc_per_answer(labels, predicted, THRESHOLD),
    }


def bootstrap(
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

    Resamples are those of `intervals`, the same whoever predicted. Ranking costs most, so the AUCs
    have fewer. What an interval does not hold is the luck of training: the same recipe with another
    seed is another predictor.
    """
    positives, negatives = sides(labels)
    frequent = (positives >= FEW_POSITIVES) & (negatives > 0)
    sums = statistics(labels, predicted, tree, columns=columns)
    each = sums["auc_per_answer"]
    aucs: dict[str, Statistic] = {
        "auc_per_answer": each,
        "mean_auc": lambda weights: mean_defined(each(weights)),
        "mean_auc_of_frequent": lambda weights: mean_defined(each(weights)[:, frequent]),
    }
    fewer = dict.fromkeys(aucs, auc_resamples)
    return intervals(sums | aucs, len(labels), resamples=resamples, seed=seed, fewer=fewer)


# ---- statistics: functions of weights over galaxies


def _error(labels: Fractions, predicted: Fractions, power: int) -> Statistic:
    errors, known = _errors(labels, predicted, power)
    return ratio(np.asarray(errors.sum(axis=1)), np.asarray(known.sum(axis=1)))


def _rmse_per_answer(labels: Fractions, predicted: Fractions) -> Statistic:
    return root(ratio(*_errors(labels, predicted, 2)))


def _argmax_accuracy(labels: Fractions, predicted: Fractions) -> Statistic:
    checked(labels, predicted)
    whole = ~np.isnan(labels).any(axis=1)
    hits = whole & (labels.argmax(axis=1) == predicted.argmax(axis=1))
    return ratio(np.where(hits, 1.0, 0.0), np.where(whole, 1.0, 0.0))


def _calibration_error(labels: Fractions, predicted: Fractions, bins: int) -> Statistic:
    """Σ over bins |Σ over their cells (predicted − truth)| / number of cells."""
    checked(labels, predicted)
    known = ~np.isnan(labels)
    place = np.nonzero(known)[0] * bins + _bin(predicted[known], bins)
    surplus = predicted[known].astype(np.float64) - labels[known]
    in_bins = np.bincount(place, surplus, len(labels) * bins).reshape(len(labels), bins)
    cells = known.sum(axis=1).astype(np.float64)
    return lambda weights: divide(np.abs(weights @ in_bins).sum(axis=1), weights @ cells)


def _auc_per_answer(labels: Fractions, predicted: Fractions, threshold: float) -> Statistic:
    checked(labels, predicted)
    return areas(~np.isnan(labels), labels > threshold, predicted)


# ---- cells, questions, bins


def checked(
    labels: Num[np.ndarray, "..."] | Bool[np.ndarray, "..."], predicted: Float[np.ndarray, "..."]
) -> None:
    """Refuse predictions of another shape, or that are no numbers: leaving these out would
    flatter.
    """
    if labels.shape != predicted.shape:
        raise ValueError(
            f"the truth has shape {labels.shape}, the predictions have {predicted.shape}"
        )
    if not np.isfinite(predicted).all():
        raise ValueError(
            f"{np.count_nonzero(~np.isfinite(predicted))} predictions are NaN or infinite"
        )


def _errors(labels: Fractions, predicted: Fractions, power: int) -> tuple[Fractions, Fractions]:
    """|predicted − truth| to a power, zero where unknown; and 1 for each known cell, 0 for the
    others.
    """
    checked(labels, predicted)
    known = ~np.isnan(labels)
    errors = np.where(known, np.abs(predicted.astype(np.float64) - labels), 0.0)
    return errors**power, known.astype(np.float64)


def _question_hits(
    labels: Fractions,
    predicted: Fractions,
    tree: DecisionTree,
    columns: Sequence[str] | None,
    min_asked: float,
    min_confidence: float,
) -> tuple[list[str], Float[np.ndarray, "galaxy question"], Float[np.ndarray, "galaxy question"]]:
    """Questions; 1 where a counted galaxy's most voted answer is predicted; 1 where a galaxy is
    counted.
    """
    checked(labels, predicted)
    questions = list(whole_questions(labels, tree, columns))
    hits, counted = (np.zeros((len(labels), len(questions))) for _ in range(2))
    for place, (_, answers, _) in enumerate(questions):
        true = labels[:, answers].astype(np.float64)
        counts = reached(true, min_asked, min_confidence)
        counted[:, place] = counts
        hits[:, place] = counts & (true.argmax(axis=1) == predicted[:, answers].argmax(axis=1))
    return [name for name, _, _ in questions], hits, counted


def reached(
    voted: Float[np.ndarray, "galaxy answer"], min_asked: float, min_confidence: float = 0.0
) -> Bool[np.ndarray, " galaxy"]:
    """Whether so many volunteers gave one of a question's answers, and so many of these the same
    one.
    """
    asked, most = voted.sum(axis=1), voted.max(axis=1)  # NaN, and so not reached, where unknown
    return (
        (asked > 0)
        & (asked >= min_asked - _ROUNDING)
        & (most >= min_confidence * asked - _ROUNDING)
    )


def whole_questions(
    fractions: Fractions, tree: DecisionTree, columns: Sequence[str] | None
) -> Iterator[tuple[str, list[int], int | None]]:
    """Each question whose answers are all held: its name, their places, and that of the answer it
    is asked of.

    The last is None if everybody is asked, -1 if that answer is not held.
    """
    held = list(tree.columns if columns is None else columns)
    if fractions.shape[1] != len(held):
        raise ValueError(
            f"{fractions.shape[1]} columns of fractions for {len(held)} answers of tree"
            f" {tree.name!r}"
        )
    places = {column: place for place, column in enumerate(held)}
    for question, _ in tree:
        if all(answer.column in places for answer in question.answers):
            asked_of = None if question.asked_of is None else places.get(question.asked_of, -1)
            yield question.name, [places[answer.column] for answer in question.answers], asked_of


def _bin(predicted: Float[np.ndarray, " cell"], bins: int) -> Int[np.ndarray, " cell"]:
    """Which of the equal bins of 0–1 each prediction is in."""
    return np.clip(np.floor(predicted.astype(np.float64) * bins), 0, bins - 1).astype(np.int64)
