"""ROC curves and areas under them are those of scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics
from sklearn.metrics import roc_auc_score

from galaxyvotes.metrics.roc import auc, auc_per_answer, auc_statistic, roc_curve

laws = settings(max_examples=40, deadline=None)
many = st.builds(
    dict,
    number=st.integers(2, 60),
    seed=st.integers(0, 10_000),
    unknown=st.sampled_from([0.0, 0.3]),
)


@laws
@given(many, st.integers(0, 1000))
def test_auc_is_that_of_scikit_learn_with_ties_unknown_truth_and_weights(galaxies, recipe, seed):
    labels, predicted = galaxies(**recipe)
    weights = np.random.default_rng(seed).integers(0, 4, len(labels)).astype(float)
    found = auc_per_answer(labels, predicted)
    weighted = auc_statistic(labels, predicted)(weights[None])[0]
    for i in range(labels.shape[1]):
        known = ~np.isnan(labels[:, i])
        positive, guess = labels[known, i] > 0.5, predicted[known, i]
        assert (found.positives[i], found.negatives[i]) == (positive.sum(), (~positive).sum())
        drawn = weights[known] > 0
        for value, use, sample_weight in (
            (found.auc[i], known[known], None),
            (weighted[i], drawn, weights[known]),
        ):
            if len(set(positive[use])) < 2:
                assert np.isnan(value)
            else:
                chosen = None if sample_weight is None else sample_weight[use]
                expected = roc_auc_score(positive[use], guess[use], sample_weight=chosen)
                assert value == pytest.approx(expected, abs=1e-9)
        assert auc(positive, guess) == pytest.approx(found.auc[i], nan_ok=True)


def test_the_roc_curve_is_that_of_scikit_learn_and_encloses_the_auc(galaxies):
    labels, predicted = galaxies(200, unknown=0.0)
    positive = labels[:, 0] > 0.5
    curve = roc_curve(positive, predicted[:, 0])
    for ours, theirs in zip(
        (curve.false_positive_rate, curve.true_positive_rate, curve.thresholds),
        sklearn_metrics.roc_curve(positive, predicted[:, 0]),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)
    area = np.trapezoid(curve.true_positive_rate, curve.false_positive_rate)
    assert area == pytest.approx(auc(positive, predicted[:, 0]))


@laws
@given(many)
def test_auc_does_not_change_under_a_rising_map_and_mirrors_under_a_falling_one(galaxies, recipe):
    labels, predicted = galaxies(**recipe)
    straight = auc_per_answer(labels, predicted).auc
    np.testing.assert_allclose(auc_per_answer(labels, np.exp(3 * predicted)).auc, straight)
    np.testing.assert_allclose(
        auc_per_answer(labels, 1 - predicted.astype(float)).auc, 1 - straight
    )


def test_a_constant_prediction_tells_nothing_apart(galaxies):
    labels, predicted = galaxies(50)
    np.testing.assert_array_equal(auc_per_answer(labels, np.full_like(predicted, 0.3)).auc, 0.5)


def test_without_positives_there_is_no_curve_and_no_area():
    predicted = np.linspace(0, 1, 5)
    for positive in (np.zeros(5, bool), np.ones(5, bool)):
        assert np.isnan(auc(positive, predicted))
        assert len(roc_curve(positive, predicted).thresholds) == 0
    found = auc_per_answer(np.full((5, 1), 0.5), predicted[:, None])
    assert np.isnan(found.auc).all()
    assert (found.positives.item(), found.negatives.item()) == (0, 5), "0.5 is not above 0.5"
