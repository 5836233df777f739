"""Predictions for a galaxy as JSON has them."""

import math
from typing import Any

from galaxyvotes.confidence.familiarity import LEVEL
from galaxyvotes.predictions import Predictions
from galaxyvotes.reports.in_words import phrases
from galaxyvotes.tree import DecisionTree

__all__ = ["galaxy_json", "number", "tree_json"]


def number(value: float) -> float | None:
    """A number as JSON has it: null where it is not finite."""
    return value if math.isfinite(value) else None


def galaxy_json(predictions: Predictions, row: int, tree: DecisionTree) -> dict[str, Any]:
    """The galaxy in a row: its id, answers, what they are in words, and its familiarity."""
    values = predictions.values[row].tolist()
    answers: dict[str, dict[str, float | None]] = {
        name: {"value": number(value)}
        for name, value in zip(predictions.columns, values, strict=True)
    }
    for end, bounds in zip(("low", "high"), predictions.bounds or (), strict=False):
        for name, value in zip(predictions.columns, bounds[row].tolist(), strict=True):
            answers[name][end] = number(value)
    scores = predictions.familiarity
    familiarity = None if scores is None else number(float(scores[row]))
    return {
        "id": predictions.ids[row],
        "answers": answers,
        "words": [
            {"text": phrase.text, "number": phrase.number, "interval": phrase.interval.strip()}
            for phrase in phrases(tree, predictions, row)
        ],
        "familiarity": familiarity,
        "unfamiliar": familiarity is not None and familiarity <= LEVEL,
    }


def tree_json(tree: DecisionTree) -> dict[str, Any]:
    """A decision tree: its questions, their answers, and which leads to which."""
    return {
        "name": tree.name,
        "title": tree.title,
        "kind": tree.kind.name,
        "questions": [
            {
                "name": question.name,
                "text": question.text,
                "asked_of": question.asked_of,
                "quantity": question.quantity,
                "unit": tree.units.get(question.answers[0].column, ""),
                "answers": [
                    {"column": answer.column, "text": answer.text, "next": answer.next}
                    for answer in question.answers
                ],
            }
            for question in tree.questions
        ],
    }
