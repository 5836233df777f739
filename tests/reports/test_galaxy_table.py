import numpy as np

from galaxyvotes.predictions import Bounds, Predictions
from galaxyvotes.reports.comparison import Comparison
from galaxyvotes.reports.galaxy_table import galaxy_table
from galaxyvotes.tree import DecisionTree


def test_a_galaxy_has_label_prediction_and_bounds_of_each_answer():
    tree = DecisionTree.of_numbers(["ttype", "colour"])
    labels = np.array([[1.0, np.nan], [2.0, 0.5]])
    values = labels.round() + 0.25
    values[0, 1] = 0.75
    bounds = Bounds(values - 1, values + 1)
    scores = np.array([0.5, 0.25])
    predicted = Predictions(
        ("a", "b"), tree.columns, values, id_name="ttype", bounds=bounds, familiarity=scores
    )
    table = galaxy_table(Comparison(tree, labels, predicted))
    ends = ("label", "predicted", "low", "high")
    names = [f"{name}_{end}" for name in ("ttype", "colour") for end in ends]
    assert table.column_names == ["ttype", *names, "familiarity"]
    assert table.column(0).to_pylist() == ["a", "b"]
    assert table.column("colour_label").to_pylist() == [None, 0.5]
    assert table.column("colour_high").to_pylist() == [1.75, 1.25]


def test_a_galaxy_of_unknown_class_has_an_empty_class():
    tree = DecisionTree.of_classes(["ring", "no ring"])
    labels = np.array([[1.0, 0.0], [np.nan, np.nan]])
    predicted = Predictions(("a", "b"), tree.columns, np.array([[0.2, 0.8], [0.9, 0.1]]))
    table = galaxy_table(Comparison(tree, labels, predicted))
    assert table.column("class").to_pylist() == ["no ring", None]
    assert table.column("predicted").to_pylist() == ["ring", "no ring"]
    assert not set(table.column_names) & set(tree.columns)
