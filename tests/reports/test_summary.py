from dataclasses import replace

import numpy as np
import pytest

from galaxyvotes.predictions import Predictions
from galaxyvotes.reports.comparison import Comparison
from galaxyvotes.reports.document import document_of
from galaxyvotes.tree import DecisionTree


@pytest.mark.parametrize(
    ("noise", "words"),
    [
        (0.05, "the RMSE of the network is lower by"),
        (0.6, "the RMSE of the network is higher by"),
        (0.2, "no significant difference"),
    ],
)
def test_the_summary_names_the_smaller_rmse_only_where_the_interval_excludes_zero(
    make_comparison, make_labels, make_predictions, quick, noise, words
):
    labels = make_labels()
    comparison = make_comparison(
        predicted=make_predictions(labels[:, :5], noise),
        baselines={"another": make_predictions(labels, 0.2)},
    )
    assert words in document_of(comparison, quick)["summary"]


def test_galaxies_seen_in_training_are_reported(make_comparison, quick):
    summary = document_of(make_comparison(), quick)["summary"]
    assert "On 40 galaxies that were not used in training" in summary
    seen = document_of(make_comparison(seen_in_training=7), quick)["summary"]
    assert "On 40 galaxies, the RMSE" in seen
    assert "Of these galaxies, 7 are in the training or validation set" in seen


def test_each_quantity_has_its_own_sentences(quick):
    tree = DecisionTree.of_numbers(["ttype", "colour"])
    labels = np.array([[1.0, np.nan], [2.0, np.nan], [4.0, np.nan]])
    predicted = Predictions(tuple("abc"), tree.columns, np.full((3, 2), 2.0))
    comparison = Comparison(tree, labels, predicted)
    summary = document_of(comparison, quick)["summary"]
    assert summary.startswith("On 3 galaxies that were not used in training, the RMSE of ttype is")
    assert "colour is not known for any of these galaxies." in summary
    baselines = {"mean": replace(predicted, values=np.full((3, 2), 7 / 3))}
    summary = document_of(replace(comparison, baselines=baselines), quick)["summary"]
    assert "The best baseline, mean, has an RMSE of 1.247" in summary
