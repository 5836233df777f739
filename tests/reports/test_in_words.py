from dataclasses import replace

import numpy as np
import pytest

from galaxyvotes.predictions import Bounds, Predictions
from galaxyvotes.reports.in_words import phrases
from galaxyvotes.tree import DecisionTree


def predicted(tree: DecisionTree, values: dict[str, float], *, bounds: bool = False) -> Predictions:
    """One galaxy with these values; the other answers have none of the votes."""
    row = np.array([[values.get(name, 0.0) for name in tree.columns]])
    ends = Bounds(np.maximum(row - 0.1, 0), np.minimum(row + 0.1, 1)) if bounds else None
    return Predictions(("g",), tree.columns, row, bounds=ends)


SPIRAL = {
    "Class1.2": 0.9,
    "Class1.1": 0.1,
    "Class2.2": 0.85,
    "Class3.2": 0.7,
    "Class4.1": 0.8,
    "Class10.1": 0.5,
    "Class11.2": 0.6,
    "Class5.3": 0.4,
    "Class6.2": 0.95,
}


def said(tree: DecisionTree, predictions: Predictions) -> list[str]:
    return [
        str(phrase).replace("\N{NO-BREAK SPACE}", " ") for phrase in phrases(tree, predictions, 0)
    ]


def test_a_spiral_is_described_down_the_tree_by_what_shows(kaggle):
    assert said(kaggle, predicted(kaggle, SPIRAL)) == [
        "features or disk 90 %",
        "spiral 80 %",
        "tight arms 50 %",
        "2 arms 60 %",
        "obvious bulge 40 %",
    ]


def test_an_answer_that_few_would_give_is_left_out(kaggle):
    assert said(kaggle, predicted(kaggle, SPIRAL | {"Class11.2": 0.29})) == [
        "features or disk 90 %",
        "spiral 80 %",
        "tight arms 50 %",
        "obvious bulge 40 %",
    ]


def test_the_ends_of_an_interval_stand_in_brackets(kaggle):
    smooth = {"Class1.1": 0.8, "Class7.1": 0.55, "Class6.2": 0.9}
    assert said(kaggle, predicted(kaggle, smooth, bounds=True)) == [
        "smooth 80 % (70–90)",
        "completely round 55 % (45–65)",
    ]


def test_the_two_likeliest_classes_are_named():
    tree = DecisionTree.load("classes5")
    values = {"spiral": 0.7, "edge-on": 0.2, "in-between-smooth": 0.1}
    assert said(tree, predicted(tree, values)) == ["spiral 70 %", "edge-on 20 %"]
    assert said(tree, predicted(tree, {"spiral": 0.95, "edge-on": 0.05})) == ["spiral 95 %"]


def test_a_quantity_has_the_digits_that_its_interval_tells_apart():
    tree = DecisionTree.of_numbers(["ttype"])
    predictions = Predictions(
        ("g",),
        ("ttype",),
        np.array([[-3.25]]),
        bounds=Bounds(np.array([[-5.043]]), np.array([[-1.528]])),
    )
    assert said(tree, predictions) == ["ttype −3.2 (−5.0 to −1.5)"]
    assert said(tree, Predictions(("g",), ("ttype",), np.array([[-3.25]]))) == ["ttype −3.25"]


def test_a_quantity_has_its_unit():
    tree = replace(DecisionTree.of_numbers(["size", "ttype"]), units={"size": "arcsec"})
    predictions = Predictions(("g",), ("size", "ttype"), np.array([[3.25, 1.0]]))
    assert said(tree, predictions) == ["size 3.25 arcsec", "ttype 1"]


@pytest.mark.parametrize("columns", [("Class4.1", "Class4.2"), ("Class1.1",)])
def test_answers_that_a_run_does_not_predict_are_not_said(kaggle, columns):
    predictions = Predictions(("g",), columns, np.full((1, len(columns)), 0.6))
    assert len(said(kaggle, predictions)) == (1 if columns == ("Class1.1",) else 0)


def test_a_question_that_nobody_would_be_asked_is_not_answered(kaggle):
    values = np.full((1, 37), np.nan)
    values[0, :3] = 0.9, 0.05, 0.05
    assert said(kaggle, Predictions(("g",), kaggle.columns, values)) == ["smooth 90 %"]
