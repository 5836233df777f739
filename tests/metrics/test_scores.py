"""Errors are those of scikit-learn, and all measures keep the same laws."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, mean_squared_error, root_mean_squared_error

from galaxyvotes.metrics.accuracy import argmax_accuracy, consistency, question_accuracy
from galaxyvotes.metrics.bootstrap import confidence_intervals
from galaxyvotes.metrics.reliability import calibration_error, reliability_curve
from galaxyvotes.metrics.roc import auc_per_answer
from galaxyvotes.metrics.scores import (
    bootstrap_scores,
    mae,
    mse,
    rmse,
    rmse_per_answer,
    score_statistics,
)

laws = settings(max_examples=40, deadline=None)
many = st.builds(
    dict,
    number=st.integers(2, 60),
    seed=st.integers(0, 10_000),
    unknown=st.sampled_from([0.0, 0.3]),
)


@pytest.fixture(scope="module")
def everything(two_questions) -> Callable[..., dict[str, np.ndarray]]:
    """`everything(labels, predicted)`: the value of every statistic."""

    def measure(labels: np.ndarray, predicted: np.ndarray) -> dict[str, np.ndarray]:
        ones = np.ones((1, len(labels)))
        statistics = score_statistics(labels, predicted, two_questions)
        return {name: statistic(ones)[0] for name, statistic in statistics.items()}

    return measure


@laws
@given(many, st.integers(0, 1000))
def test_errors_are_those_of_scikit_learn_with_any_weights(galaxies, two_questions, recipe, seed):
    labels, predicted = galaxies(**recipe)
    known = ~np.isnan(labels)
    if not known.any():
        return
    weights = np.random.default_rng(seed).integers(0, 4, len(labels)) + 1.0
    cells = np.broadcast_to(weights[:, None], labels.shape)[known]
    found = score_statistics(labels, predicted, two_questions)
    for name, reference in (("mse", mean_squared_error), ("mae", mean_absolute_error)):
        np.testing.assert_allclose(
            found[name](weights[None]),
            reference(labels[known], predicted[known], sample_weight=cells),
            rtol=1e-5,
        )
        single = {"mse": mse, "mae": mae}[name](labels, predicted)
        np.testing.assert_allclose(single, reference(labels[known], predicted[known]), rtol=1e-5)
    assert rmse(labels, predicted) == pytest.approx(np.sqrt(mse(labels, predicted)))


@laws
@given(many)
def test_a_perfect_prediction_has_no_error(galaxies, everything, recipe):
    labels, _ = galaxies(**recipe)
    known = ~np.isnan(labels)
    found = everything(labels, np.nan_to_num(labels))
    for name in ("mse", "rmse", "mae", "calibration_error"):
        assert found[name] == 0 or not known.any()
    for name in ("argmax_accuracy", "question_accuracy", "confident_accuracy", "auc_per_answer"):
        np.testing.assert_array_equal(found[name][~np.isnan(found[name])], 1.0)
    np.testing.assert_array_equal(found["rmse_per_answer"][known.any(axis=0)], 0.0)


@laws
@given(many, st.randoms())
def test_the_order_of_galaxies_does_not_matter(galaxies, everything, recipe, random):
    labels, predicted = galaxies(**recipe)
    order = list(range(len(labels)))
    random.shuffle(order)
    shuffled = everything(labels[order], predicted[order])
    for name, value in everything(labels, predicted).items():
        np.testing.assert_allclose(shuffled[name], value, rtol=1e-9, atol=1e-12)


@laws
@given(many, st.integers(0, 1000))
def test_whole_weights_are_repeated_galaxies(galaxies, two_questions, everything, recipe, seed):
    labels, predicted = galaxies(**recipe)
    weights = np.random.default_rng(seed).integers(0, 4, len(labels))
    if not weights.any():
        return
    repeated = everything(np.repeat(labels, weights, axis=0), np.repeat(predicted, weights, axis=0))
    for name, statistic in score_statistics(labels, predicted, two_questions).items():
        np.testing.assert_allclose(
            statistic(weights[None].astype(float))[0], repeated[name], rtol=1e-9, atol=1e-12
        )


@laws
@given(many)
def test_unknown_cells_count_nowhere(galaxies, everything, recipe):
    labels, predicted = galaxies(**recipe)
    elsewhere = everything(labels, np.where(np.isnan(labels), np.float32(0.37), predicted))
    for name, value in everything(labels, predicted).items():
        np.testing.assert_array_equal(elsewhere[name], value)


def test_the_mean_vote_has_the_spread_of_the_votes_as_its_rmse(galaxies):
    labels, _ = galaxies(400, unknown=0.0)
    mean = np.broadcast_to(labels.mean(axis=0), labels.shape).copy()
    np.testing.assert_allclose(rmse_per_answer(labels, mean), labels.std(axis=0), rtol=1e-4)


def test_nothing_known_is_nan_everywhere(two_questions, everything):
    labels = np.full((3, 5), np.nan, np.float32)
    for name, value in everything(labels, np.zeros_like(labels)).items():
        assert np.isnan(value).all(), name
    assert question_accuracy(labels, np.zeros_like(labels), two_questions)["arms"][1] == 0


def test_no_galaxies_at_all_is_nan_and_cannot_be_resampled(two_questions):
    none = np.empty((0, 5), np.float32)
    assert np.isnan([mse(none, none), argmax_accuracy(none, none)]).all()
    assert np.isnan(auc_per_answer(none, none).auc).all()
    assert np.isnan(consistency(none, two_questions)["shape"].mean)
    assert reliability_curve(none, none).counts.sum() == 0
    with pytest.raises(ValueError, match="no galaxies"):
        bootstrap_scores(none, none, two_questions)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_prediction_that_is_no_number_is_refused(galaxies, wrong):
    labels, predicted = galaxies(10)
    predicted[3, 2] = wrong
    for measure in (
        mse,
        rmse_per_answer,
        argmax_accuracy,
        auc_per_answer,
    ):
        with pytest.raises(ValueError, match="1 predictions are NaN"):
            measure(labels, predicted)


def test_arrays_of_different_shapes_are_refused(galaxies, two_questions):
    labels, predicted = galaxies(10)
    for measure in (mse, question_accuracy):
        with pytest.raises((ValueError, TypeError)):
            measure(
                labels[:, :1], predicted, *([two_questions] if measure is question_accuracy else [])
            )
    with pytest.raises(ValueError, match="4 columns of fractions for 5 answers"):
        question_accuracy(labels[:, :4], predicted[:, :4], two_questions)


def test_the_bootstrap_gives_the_values_of_the_functions_inside_their_intervals(
    galaxies, two_questions
):
    labels, predicted = galaxies(300)
    found = bootstrap_scores(labels, predicted, two_questions, resamples=200, auc_resamples=50)
    asked = question_accuracy(labels, predicted, two_questions)
    confident = question_accuracy(labels, predicted, two_questions, min_confidence=0.8)
    answers, positives, _ = auc_per_answer(labels, predicted)
    expected = {
        "mse": mse(labels, predicted),
        "rmse": rmse(labels, predicted),
        "mae": mae(labels, predicted),
        "argmax_accuracy": argmax_accuracy(labels, predicted),
        "calibration_error": calibration_error(labels, predicted),
        "question_accuracy": [accuracy for accuracy, _ in asked.values()],
        "confident_accuracy": [accuracy for accuracy, _ in confident.values()],
        "rmse_per_answer": rmse_per_answer(labels, predicted),
        "auc_per_answer": answers,
        "mean_question_accuracy": np.mean([accuracy for accuracy, _ in asked.values()]),
        "mean_confident_accuracy": np.mean([accuracy for accuracy, _ in confident.values()]),
        "mean_auc": np.mean(answers),
        "mean_auc_of_frequent": np.mean(answers[positives >= 10]),
    }
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name].value, value, err_msg=name)
        if name != "calibration_error":  # biased upwards by resampling, so its value may lie below
            assert (found[name].low <= found[name].value).all(), name
            assert (found[name].value <= found[name].high).all(), name


def test_the_mean_auc_of_the_frequent_leaves_out_answers_of_few_positives(galaxies, two_questions):
    labels, predicted = galaxies(60, unknown=0.0)
    labels[:, 2], labels[:9, 2] = 0.0, 1.0
    answers, positives, _ = auc_per_answer(labels, predicted)
    assert positives[2] == 9
    found = bootstrap_scores(labels, predicted, two_questions, resamples=10, auc_resamples=10)
    frequent = positives >= 10
    assert found["mean_auc"].value == pytest.approx(answers.mean())
    assert found["mean_auc_of_frequent"].value == pytest.approx(answers[frequent].mean())


def test_a_statistic_of_ones_own_has_an_interval_from_the_same_resamples(galaxies, two_questions):
    labels, predicted = galaxies(100)
    known = score_statistics(labels, predicted, two_questions)
    own = {"half": lambda weights: known["rmse_per_answer"](weights)[:, :2] / 2}
    found = confidence_intervals(own, 100, resamples=50, seed=4)["half"]
    whole = bootstrap_scores(
        labels, predicted, two_questions, resamples=50, auc_resamples=1, seed=4
    )["rmse_per_answer"]
    for ours, theirs in (
        (found.value, whole.value),
        (found.low, whole.low),
        (found.high, whole.high),
    ):
        np.testing.assert_allclose(ours, theirs[:2] / 2)


def test_the_rmse_of_an_answer_is_that_of_scikit_learn(galaxies):
    labels, predicted = galaxies(300, unknown=0.0)
    expected = root_mean_squared_error(labels, predicted, multioutput="raw_values")
    np.testing.assert_allclose(rmse_per_answer(labels, predicted), expected, rtol=1e-5)
