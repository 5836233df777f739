"""The predictions for a galaxy in words: down the decision tree, at each question the likeliest
answer.

Only what shows is said: an answer of at least three volunteers in ten, and no "no bar" or "nothing
odd". Of a classification, which asks one question, the two likeliest classes are named, and of
quantities all.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from galaxyvotes.kinds import QUANTITIES
from galaxyvotes.predictions import Predictions
from galaxyvotes.reports.digits import Digits, digits_of, span
from galaxyvotes.reports.units import in_unit
from galaxyvotes.tree import Answer, DecisionTree, Question

__all__ = ["Phrase", "phrases"]

SAID_FROM = 0.3  # of all volunteers
SECOND_FROM = 0.1
_NOUNS = ("bulge", "arms")  # that a question has and its answers leave out: "obvious", "tight"
_ABSENT = re.compile(r"(?:no|not|none|nothing|can't tell)\b")


class Phrase(NamedTuple):
    """An answer with its predicted value, the ends of its prediction interval, NaN if it has none,
    and its question.
    """

    text: str
    value: float
    lower: float
    upper: float
    question: str
    is_fraction: bool
    unit: str = ""

    def __str__(self) -> str:
        """For example "spiral 80 % (61–93)"."""
        return f"{self.text} {self.number}{self.interval}"

    @property
    def number(self) -> str:
        """The value: a fraction in per cent, a quantity in its unit, with as many digits as its
        interval tells apart.
        """
        return in_unit(self._digits.value, "%" if self.is_fraction else self.unit)

    @property
    def interval(self) -> str:
        """The ends of the prediction interval in brackets; empty if there is none."""
        return "" if np.isnan(self.lower) else f" ({span(self._digits)})"

    @property
    def _digits(self) -> Digits:
        ends = {"value": self.value, "low": self.lower, "high": self.upper}
        if not self.is_fraction:
            return digits_of(ends, None)
        return digits_of({end: 100 * value for end, value in ends.items()}, 0)


def phrases(tree: DecisionTree, predictions: Predictions, row: int) -> list[Phrase]:
    """What is said of the galaxy in a row of predictions for that tree; the first phrase is the
    answer to its first question.
    """
    says = _Row(predictions, row)
    if tree.kind is QUANTITIES:
        said = [(question, question.answers[0]) for question in tree.questions]
        phrases = [says.phrase(*pair) for pair in said if says.knows(pair[1])]
        units = [tree.units.get(answer.column, "") for _, answer in said if says.knows(answer)]
        return [each._replace(unit=unit) for each, unit in zip(phrases, units, strict=True)]
    if len(tree.questions) == 1:
        ranked = says.ranked(tree.questions[0])
        likely = [answer for answer in ranked[1:2] if says.value(answer) >= SECOND_FROM]
        return [says.phrase(tree.questions[0], answer) for answer in [*ranked[:1], *likely]]
    path = list(_most_given(tree, says))
    shown = [
        (question, answer)
        for question, answer in path[1:]
        if not _ABSENT.match(answer.text) and says.value(answer) >= SAID_FROM
    ]
    return [says.phrase(*pair) for pair in [*path[:1], *shown]]


class _Row:
    """The predictions for one galaxy, by answer."""

    def __init__(self, predictions: Predictions, row: int) -> None:
        columns = predictions.columns
        self._values = dict(zip(columns, predictions.values[row].tolist(), strict=True))
        unknown = [float("nan")] * len(columns)
        lower, upper = (
            (unknown, unknown)
            if predictions.bounds is None
            else (end[row].tolist() for end in predictions.bounds)
        )
        self._ends = dict(zip(columns, zip(lower, upper, strict=True), strict=True))

    def knows(self, answer: Answer) -> bool:
        return not np.isnan(self._values.get(answer.column, np.nan))

    def value(self, answer: Answer) -> float:
        return self._values[answer.column]

    def ranked(self, question: Question) -> list[Answer]:
        """The answers that are predicted, the most likely first."""
        known: Sequence[Answer] = [answer for answer in question.answers if self.knows(answer)]
        return sorted(known, key=self.value, reverse=True)

    def phrase(self, question: Question, answer: Answer) -> Phrase:
        ends = self._ends[answer.column]
        is_fraction = not question.quantity
        return Phrase(
            _named(question, answer), self.value(answer), *ends, question.text, is_fraction
        )


def _named(question: Question, answer: Answer) -> str:
    """An answer with the noun that it leaves to its question: "obvious bulge"."""
    missing = [noun for noun in _NOUNS if noun in question.text and noun[:3] not in answer.text]
    return " ".join([answer.text, *missing])


def _most_given(tree: DecisionTree, row: _Row) -> Iterator[tuple[Question, Answer]]:
    """The questions that a volunteer is asked who gives every time the most likely answer."""
    by_name = {question.name: question for question in tree.questions}
    question: Question | None = tree.questions[0]
    while question is not None and by_name.pop(question.name, None):  # none is asked twice
        answers = row.ranked(question)
        if not answers:
            return
        yield question, answers[0]
        question = by_name.get(answers[0].next or "")
