"""Purity, completeness and confusion against counting by hand."""

import numpy as np
import pytest

from galaxyvotes import DecisionTree
from galaxyvotes.metrics import cuts, scores
from galaxyvotes.metrics.bootstrap import value_of

TRUTH = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8], [np.nan, np.nan]], np.float32)
GUESS = np.array([[0.95, 0.05], [0.4, 0.6], [0.7, 0.3], [0.1, 0.9], [1.0, 0.0]], np.float32)
TREE = DecisionTree.of_classes(["disc", "ball"], "shape")


def test_purity_and_completeness_are_those_counted_by_hand():
    found = {
        name: value_of(each, len(TRUTH))
        for name, each in cuts.statistics(TRUTH, GUESS, 0.5).items()
    }
    assert cuts.chosen(TRUTH, GUESS, 0.5).tolist() == [2, 2]  # the fifth galaxy is unknown
    np.testing.assert_allclose(found["purity"], [1 / 2, 1 / 2])
    np.testing.assert_allclose(found["completeness"], [1 / 2, 1 / 2])
    clean = {
        name: value_of(each, len(TRUTH))
        for name, each in cuts.statistics(TRUTH, GUESS, 0.8).items()
    }
    np.testing.assert_allclose(clean["purity"], [1, 1])
    np.testing.assert_allclose(clean["completeness"], [1 / 2, 1 / 2])


def test_with_nothing_chosen_or_wanted_they_are_undefined():
    found = cuts.statistics(0 * TRUTH, 0 * GUESS, 0.5)
    assert np.isnan([value_of(each, len(TRUTH)) for each in found.values()]).all()


def test_completeness_is_a_point_of_the_roc_curve():
    random = np.random.default_rng(0)
    labels, guess = random.random((2, 300, 1), np.float32)
    curve = scores.roc(labels[:, 0] > 0.5, guess[:, 0])
    complete = value_of(cuts.statistics(labels, guess, 0.6)["completeness"], 300)[0]
    at = np.flatnonzero(curve.thresholds > 0.6)[-2:]
    assert curve.true_positive_rate[at[0]] <= complete <= curve.true_positive_rate[at[-1] + 1]
    assert complete == ((labels > 0.5) & (guess > 0.6)).sum() / (labels > 0.5).sum()


def test_a_confusion_counts_who_is_taken_for_whom_and_its_diagonal_is_the_accuracy():
    (found,) = cuts.confusion(
        TRUTH[[0, 1, 2, 4]], GUESS[[0, 1, 2, 4]], TREE, columns=("disc", "ball")
    ).values()
    assert found.columns == ("ball", "disc")  # the tree's order
    assert found.galaxies.tolist() == [[0, 1], [1, 1]]
    kaggle = DecisionTree.load("kaggle")
    random = np.random.default_rng(1)
    labels, guess = (
        kaggle.joint(random.random((2, 200, 37))[i]).astype(np.float32) for i in (0, 1)
    )
    accuracy = scores.question_accuracy(labels, guess, kaggle)
    for name, each in cuts.confusion(labels, guess, kaggle).items():
        assert each.galaxies.sum() == accuracy[name].galaxies
        assert np.trace(each.galaxies) == pytest.approx(
            np.nan_to_num(accuracy[name].accuracy) * accuracy[name].galaxies
        )


def test_a_prediction_that_is_no_number_is_a_bug():
    with pytest.raises(ValueError, match="NaN or infinite"):
        cuts.confusion(TRUTH, GUESS * np.nan, TREE, columns=("disc", "ball"))
