"""Which answer is predicted as the most voted: accuracy in three definitions, confusion between
answers, and how far predicted answers add up.

Questions count where volunteers reached them: the joint fractions of their answers add up to the
fraction of everybody who was asked.

Sources: Walmsley et al. 2022, MNRAS 509, 3966 (accuracy of a question).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from galaxyvotes.metrics.statistic import (
    Fractions,
    Statistic,
    check_predictions,
    ratio,
    value_of,
)
from galaxyvotes.tree import DecisionTree

__all__ = [
    "MIN_CONFIDENCE",
    "MIN_REACHED",
    "Accuracy",
    "Confusion",
    "Gap",
    "MostGiven",
    "argmax_accuracy",
    "argmax_statistic",
    "confusion_matrices",
    "consistency",
    "most_given",
    "question_accuracy",
    "question_statistic",
]

MIN_REACHED = 0.5  # of everybody, who gave one of the answers of a question
MIN_CONFIDENCE = 0.8  # of these, who gave the same one: a confident galaxy

_ROUNDING = 1e-6  # fractions are float32, often rounded to six digits: 0.24 / 0.3 must count as 0.8


class Accuracy(NamedTuple):
    """The fraction of galaxies whose most voted answer is predicted as the most voted (NaN without
    any), and how many galaxies count.
    """

    accuracy: float
    galaxies: int


class Gap(NamedTuple):
    """How far the predicted answers of a question are from adding up: the mean over galaxies, and
    the largest.
    """

    mean: float
    largest: float


class Confusion(NamedTuple):
    """How many galaxies have one answer as the volunteers' most voted (row) and one as the most
    predicted (column).
    """

    columns: tuple[str, ...]
    galaxies: Int[np.ndarray, "voted predicted"]


class MostGiven(NamedTuple):
    """Per galaxy the volunteers' most voted answer of a question and the most predicted one, as
    indices of its `columns`; both -1 where volunteers did not reach the question.
    """

    columns: tuple[str, ...]
    voted: Int[np.ndarray, " galaxy"]
    predicted: Int[np.ndarray, " galaxy"]


def argmax_accuracy(labels: Fractions, predicted: Fractions) -> float:
    """The fraction of galaxies whose largest column of all is predicted as the largest: the paper's
    definition.

    It compares answers to different questions, so it says little beyond the first question.
    Galaxies with anything unknown are left out; among equals the first column counts as the
    largest.
    """
    return float(value_of(argmax_statistic(labels, predicted), len(labels)))


def question_accuracy(
    labels: Fractions,
    predicted: Fractions,
    tree: DecisionTree,
    *,
    min_asked: float = MIN_REACHED,
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
    check_predictions(labels, predicted)
    questions = list(_held_questions(labels, tree, columns))
    hits, counted = _question_hits(labels, predicted, questions, min_asked, min_confidence)
    accuracies, galaxies = value_of(ratio(hits, counted), len(labels)), counted.sum(axis=0)
    return {
        question.name: Accuracy(float(accuracy), int(number))
        for question, accuracy, number in zip(questions, accuracies, galaxies, strict=True)
    }


def confusion_matrices(
    labels: Fractions,
    predicted: Fractions,
    tree: DecisionTree,
    *,
    columns: Sequence[str] | None = None,
) -> dict[str, Confusion]:
    """Per question: which answer is predicted as the most voted, for which most voted one.

    Counted are galaxies whose volunteers reached the question (see `question_accuracy`). The share
    on the diagonal is its accuracy; that of a row, the accuracy of a class.
    """
    confusions: dict[str, Confusion] = {}
    for name, given in most_given(labels, predicted, tree, columns=columns).items():
        counted, answers = given.voted >= 0, len(given.columns)
        galaxies = np.zeros((answers, answers), np.int64)
        np.add.at(galaxies, (given.voted[counted], given.predicted[counted]), 1)
        confusions[name] = Confusion(given.columns, galaxies)
    return confusions


def most_given(
    labels: Fractions,
    predicted: Fractions,
    tree: DecisionTree,
    *,
    columns: Sequence[str] | None = None,
) -> dict[str, MostGiven]:
    """Per question: the most voted and the most predicted answer of each galaxy whose volunteers
    reached it (see `question_accuracy`). Among equals the first answer is it.
    """
    check_predictions(labels, predicted)
    held = tree.columns if columns is None else columns
    given: dict[str, MostGiven] = {}
    for question in _held_questions(labels, tree, columns):
        voted = labels[:, question.answers].astype(np.float64)
        most = voted.argmax(axis=1), predicted[:, question.answers].argmax(axis=1)
        counted = _reached(voted, MIN_REACHED)
        names = tuple(held[i] for i in question.answers)
        given[question.name] = MostGiven(names, *(np.where(counted, one, -1) for one in most))
    return given


def consistency(
    predicted: Fractions, tree: DecisionTree, *, columns: Sequence[str] | None = None
) -> dict[str, Gap]:
    """Per question: |sum of its predicted answers − predicted fraction of those asked it|.

    Zero where predictions keep to the tree: everybody who is asked a question gives one answer. NaN
    without galaxies. `columns` as in `question_accuracy`; a question is also left out if the answer
    that leads to it is not held.
    """
    gaps: dict[str, Gap] = {}
    for question in _held_questions(predicted, tree, columns):
        if question.parent == -1:
            continue
        asked = 1.0 if question.parent is None else predicted[:, question.parent].astype(np.float64)
        gap = np.abs(predicted[:, question.answers].sum(axis=1, dtype=np.float64) - asked)
        mean, largest = (gap.mean(), gap.max()) if len(gap) else (np.nan, np.nan)
        gaps[question.name] = Gap(float(mean), float(largest))
    return gaps


# ---- statistics: functions of weights over galaxies


def argmax_statistic(labels: Fractions, predicted: Fractions) -> Statistic:
    """`argmax_accuracy` as a function of weights."""
    check_predictions(labels, predicted)
    whole = ~np.isnan(labels).any(axis=1)
    hits = whole & (labels.argmax(axis=1) == predicted.argmax(axis=1))
    return ratio(np.where(hits, 1.0, 0.0), np.where(whole, 1.0, 0.0))


def question_statistic(
    labels: Fractions,
    predicted: Fractions,
    tree: DecisionTree,
    columns: Sequence[str] | None,
    min_confidence: float = 0.0,
) -> Statistic:
    """`question_accuracy` as a function of weights, one value a question that is held whole."""
    check_predictions(labels, predicted)
    questions = list(_held_questions(labels, tree, columns))
    return ratio(*_question_hits(labels, predicted, questions, MIN_REACHED, min_confidence))


# ---- questions


class _HeldQuestion(NamedTuple):
    """A question of which all answers are held, with the indices of their columns.

    `parent` is the index of the answer that the question is asked of; None if everybody is asked,
    -1 if that answer is not held.
    """

    name: str
    answers: list[int]
    parent: int | None


def _held_questions(
    fractions: Fractions, tree: DecisionTree, columns: Sequence[str] | None
) -> Iterator[_HeldQuestion]:
    """The questions of which all answers are among the columns; ValueError if the array has another
    number of columns.
    """
    held = list(tree.columns if columns is None else columns)
    if fractions.shape[1] != len(held):
        raise ValueError(
            f"{fractions.shape[1]} columns of fractions for {len(held)} answers of tree"
            f" {tree.name!r}"
        )
    indices = {column: index for index, column in enumerate(held)}
    for question in tree.questions:
        if all(answer.column in indices for answer in question.answers):
            answers = [indices[answer.column] for answer in question.answers]
            parent = None if question.asked_of is None else indices.get(question.asked_of, -1)
            yield _HeldQuestion(question.name, answers, parent)


def _question_hits(
    labels: Fractions,
    predicted: Fractions,
    questions: Sequence[_HeldQuestion],
    min_asked: float,
    min_confidence: float,
) -> tuple[Float[np.ndarray, "galaxy question"], Float[np.ndarray, "galaxy question"]]:
    """1 where a counted galaxy's most voted answer is predicted; 1 where a galaxy is counted."""
    hits, counted = (np.zeros((len(labels), len(questions))) for _ in range(2))
    for index, question in enumerate(questions):
        voted, guessed = labels[:, question.answers], predicted[:, question.answers]
        voted = voted.astype(np.float64)
        counted[:, index] = _reached(voted, min_asked, min_confidence)
        right = voted.argmax(axis=1) == guessed.argmax(axis=1)
        hits[:, index] = counted[:, index] * right
    return hits, counted


def _reached(
    voted: Float[np.ndarray, "galaxy answer"], min_asked: float, min_confidence: float = 0.0
) -> Bool[np.ndarray, " galaxy"]:
    """Whether so many of everybody gave one of a question's answers, and so many of these the same
    one.
    """
    asked, most = voted.sum(axis=1), voted.max(axis=1)  # NaN, and so not reached, where unknown
    return (
        (asked > 0)
        & (asked >= min_asked - _ROUNDING)
        & (most >= min_confidence * asked - _ROUNDING)
    )
