"""Accuracy, confusion and consistency against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix

from galaxyvotes.metrics.accuracy import (
    argmax_accuracy,
    confusion_matrices,
    consistency,
    question_accuracy,
)
from galaxyvotes.tree import DecisionTree

LABELS = np.array(
    [
        [0.6, 0.4, 0.0, 0.3, 0.1],  # smooth; fewer than half were asked about arms
        [0.1, 0.9, 0.0, 0.8, 0.1],  # disc, confidently; arms, confidently (0.89)
        [0.3, 0.6, 0.1, 0.4, 0.2],  # disc; arms
        [0.7, 0.3, 0.0, 0.24, 0.06],  # smooth; arms by exactly 0.8, but few were asked
        [np.nan] * 5,
    ],
    np.float32,
)
PREDICTED = np.array(
    [
        [0.5, 0.4, 0.1, 0.1, 0.3],
        [0.2, 0.8, 0.0, 0.1, 0.7],
        [0.5, 0.4, 0.1, 0.3, 0.1],
        [0.9, 0.1, 0.0, 0.1, 0.0],
        [0.2, 0.2, 0.6, 0.0, 0.2],
    ],
    np.float32,
)


def test_argmax_accuracy_is_that_of_scikit_learn(galaxies):
    labels, predicted = galaxies(300, unknown=0.0)
    expected = accuracy_score(labels.argmax(1), predicted.argmax(1))
    assert argmax_accuracy(labels, predicted) == pytest.approx(expected)


def test_a_question_counts_galaxies_that_reached_it_and_agreed_on_it(two_questions):
    assert question_accuracy(LABELS, PREDICTED, two_questions) == {
        "shape": (3 / 4, 4),
        "arms": (1 / 2, 2),
    }
    assert question_accuracy(LABELS, PREDICTED, two_questions, min_asked=0.0) == {
        "shape": (3 / 4, 4),
        "arms": (2 / 4, 4),
    }
    confident = question_accuracy(LABELS, PREDICTED, two_questions, min_confidence=0.8)
    assert confident == {"shape": (1.0, 1), "arms": (0.0, 1)}


def test_a_fraction_rounded_to_float32_still_counts_as_exactly_eight_tenths(two_questions):
    found = question_accuracy(
        LABELS[3:4], PREDICTED[3:4], two_questions, min_asked=0.3, min_confidence=0.8
    )
    assert found["arms"] == (1.0, 1)


def test_a_question_that_nobody_was_asked_counts_no_galaxy(two_questions):
    labels = np.array([[1.0, 0.0, 0.0, 0.0, 0.0]])
    assert question_accuracy(labels, labels, two_questions, min_asked=0.0)["arms"].galaxies == 0


def test_with_some_columns_only_questions_held_whole_are_measured(galaxies, two_questions):
    columns = ("star", "none", "arms", "smooth")
    places = [two_questions.columns.index(column) for column in columns]
    labels, predicted = galaxies(40)
    kept = question_accuracy(
        labels[:, places], predicted[:, places], two_questions, columns=columns
    )
    assert kept == {"arms": question_accuracy(labels, predicted, two_questions)["arms"]}
    assert consistency(predicted[:, places], two_questions, columns=columns) == {}, (
        "the answer 'disc' is not held"
    )


def test_consistency_is_zero_where_predictions_keep_to_the_tree_and_measures_the_gap_elsewhere(
    galaxies, two_questions
):
    labels, _ = galaxies(40, unknown=0.0)
    assert all(gap.largest < 1e-6 for gap in consistency(labels, two_questions).values())
    broken = np.array([[0.5, 0.4, 0.1, 0.3, 0.1], [0.5, 0.6, 0.1, 0.2, 0.1]])
    found = consistency(broken, two_questions)
    assert found["shape"] == pytest.approx((0.1, 0.2))
    assert found["arms"] == pytest.approx((0.15, 0.3))


SHAPE = DecisionTree.of_classes(["disc", "ball"], "shape")
SHAPES = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8], [np.nan, np.nan]], np.float32)
GUESSED = np.array([[0.95, 0.05], [0.4, 0.6], [0.7, 0.3], [0.1, 0.9], [1.0, 0.0]], np.float32)


def test_a_confusion_counts_who_is_taken_for_whom_and_its_diagonal_is_the_accuracy():
    (found,) = confusion_matrices(
        SHAPES[[0, 1, 2, 4]], GUESSED[[0, 1, 2, 4]], SHAPE, columns=("disc", "ball")
    ).values()
    assert found.columns == ("ball", "disc")  # the tree's order
    assert found.galaxies.tolist() == [[0, 1], [1, 1]]
    kaggle = DecisionTree.load("kaggle")
    random = np.random.default_rng(1)
    labels, guess = (
        kaggle.joint(random.random((2, 200, 37))[i]).astype(np.float32) for i in (0, 1)
    )
    accuracy = question_accuracy(labels, guess, kaggle)
    for name, each in confusion_matrices(labels, guess, kaggle).items():
        assert each.galaxies.sum() == accuracy[name].galaxies
        assert np.trace(each.galaxies) == pytest.approx(
            np.nan_to_num(accuracy[name].accuracy) * accuracy[name].galaxies
        )


def test_a_confusion_is_that_of_scikit_learn_over_the_galaxies_that_reached_the_question(
    galaxies, two_questions
):
    labels, predicted = galaxies(300)
    found = confusion_matrices(labels, predicted, two_questions)
    for question, where in two_questions:
        voted, guessed = labels[:, where], predicted[:, where]
        reached = voted.sum(axis=1) >= 0.5 - 1e-6
        pairs = voted[reached].argmax(axis=1), guessed[reached].argmax(axis=1)
        expected = confusion_matrix(*pairs, labels=range(len(question.answers)))
        np.testing.assert_array_equal(found[question.name].galaxies, expected)
        accuracy = question_accuracy(labels, predicted, two_questions)[question.name]
        assert accuracy == (pytest.approx(accuracy_score(*pairs)), reached.sum())


def test_a_confusion_of_predictions_that_are_no_numbers_is_refused():
    with pytest.raises(ValueError, match="NaN or infinite"):
        confusion_matrices(SHAPES, GUESSED * np.nan, SHAPE, columns=("disc", "ball"))
